# SPDX-License-Identifier: MIT
"""Moves wait for their turn: so many at once, by priority, on both hosts.

The QEMUs are real and small.  Where a test looks at those that wait, moves stand
at a fault point until they are told to go on.
"""
import json
import os
import unittest

from lab import Failed, Lab, machine, needs, wait_for
from lab.field import Move
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 240
PARALLEL = True


@needs(*PROGRAMS)
class Case(unittest.TestCase):
    """Hosts, and machines that do nothing."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.points = {}

    def hosts(self, *names, **moves):
        """In a row: each knows those beside it."""
        network = Network(self.lab, names)
        if len(names) > 2:
            for one, other in zip(names, names[1:]):
                network.link(one, other)
        found = [
            Host(self.lab, name, network[name], network.addresses(name),
                 settings={"move": {"requeue": "on", **moves.get(name, {})}})
            for name in names]
        self.all = found
        for one, other in zip(found, found[1:]):
            connect(one, other)
        return found

    def machines(self, host, *names, keys=""):
        for name in names:
            host.define(machine.definition(name, memory="16M").replace("vcpus", f"{keys}vcpus"))
            host.drover("vm", "start", name)
        return names

    def stand(self, host, point):
        """Start the host so that moves stand at a point until go()."""
        path = self.lab.path(f"{host.name}.go")
        if os.path.exists(path):
            os.unlink(path)
        self.points[host] = path
        host.start(fault=f"{point}=wait:{path}")

    def go(self, host):
        with open(self.points[host], "w", encoding="ascii"):
            pass

    def move(self, host, name, to, *options):
        """The id of its job."""
        return host.drover("move", name, to.name, "--background", "--json",
                           *options).json["id"]

    @staticmethod
    def jobs(host, role="source"):
        """{machine: job} of those that have not ended"""
        return {j["machine"]: j for j in host.api("GET", "/v1/jobs")
                if j["role"] == role and j["state"] == "running"}

    def waiting(self, host):
        """Machines that wait, by their places."""
        found = [j for j in self.jobs(host).values() if j["queue"]]
        found.sort(key=lambda j: j["queue"]["place"])
        self.assertEqual([j["queue"]["place"] for j in found], list(range(1, len(found) + 1)))
        self.assertTrue(all(j["stage"] == "waiting" for j in found))
        return [j["machine"] for j in found]

    def moving(self, host):
        return {n for n, j in self.jobs(host).items() if not j["queue"]}

    @staticmethod
    def here(host):
        return {m["name"] for m in host.api("GET", "/v1/machines") if m["state"] == "running"}

    def arrive(self, host, names, timeout=90):
        try:
            wait_for(f"{sorted(names)} on {host.name}", lambda: self.here(host) >= set(names),
                     timeout)
        except Failed as why:
            jobs = [(one.name, j["machine"], j["role"], j["state"], j["error"])
                    for one in self.all for j in one.api("GET", "/v1/jobs")]
            raise Failed(f"{why}: {jobs}") from why

    def files(self, host):
        """Moves that stand on disk: {job: what is there}"""
        folder = os.path.join(host.state, "queue")
        found = {}
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                found[name.removesuffix(".json")] = json.load(f)
        return found


class Five(Case):
    """Five machines, two at once."""

    def setUp(self):
        super().setUp()
        self.alpha, self.beta = self.hosts("alpha", "beta")
        self.stand(self.alpha, "source:pre-copy")
        self.beta.start()
        self.names = (*self.machines(self.alpha, "m1", "m2", "m3", "m4"),
                      *self.machines(self.alpha, "m5", keys="priority = 70\n"))

    def five(self):
        """m1 and m2 move, m5, m3 and m4 wait in this order."""
        ids = {n: self.move(self.alpha, n, self.beta, *(["--priority", "45"] if n == "m4" else []))
               for n in self.names}
        self.assertEqual(self.waiting(self.alpha), ["m5", "m3", "m4"])
        self.assertEqual(self.moving(self.alpha), {"m1", "m2"})
        return ids

    def test_two_move_and_the_rest_waits_by_priority(self):
        ids = self.five()
        shown = self.alpha.drover("job", "list").stdout.splitlines()
        places = {line.split()[2]: line.split()[6] for line in shown[1:] if "waiting" in line}
        self.assertEqual(places, {"m5": "1", "m3": "2", "m4": "3"})
        shown = self.alpha.drover("job", "show", ids["m3"]).stdout
        self.assertRegex(shown, r"Waits for +place 2 of 3: 2 moves leave this host at once")
        job = self.alpha.job(ids["m5"])
        self.assertEqual((job["priority"], job["queue"]["of"], job["state"]), (70, 3, "running"))
        # All three go on as they are asked to stand now.
        self.alpha.drover("job", "set", ids["m4"], "--priority", "90")
        self.assertEqual(self.waiting(self.alpha), ["m4", "m5", "m3"])
        self.assertEqual(self.files(self.alpha)[ids["m4"]]["rank"], 90)
        late = self.alpha.drover("job", "set", ids["m1"], "--priority", "90", check=False)
        self.assertEqual(late.status, 8)
        # Who waits holds nothing: there are no more than two there, and two QEMUs.
        self.assertEqual(len(self.jobs(self.beta, "destination")), 2)
        self.go(self.alpha)
        self.arrive(self.beta, self.names)
        self.assertEqual(self.here(self.alpha), set())
        began = [self.alpha.job(ids[n])["started"] for n in ("m4", "m5", "m3")]
        self.assertEqual(began, sorted(began))
        wait_for("an empty queue", lambda: not self.files(self.alpha), 10)

    def test_a_machine_that_waits_is_its_users(self):
        ids = self.five()
        again = self.alpha.drover("move", "m3", "beta", check=False)
        self.assertEqual(again.status, 8)
        self.assertIn(f"waits for its move to beta already, as job {ids['m3']}", again.stderr)
        self.alpha.drover("vm", "pause", "m5")
        self.alpha.drover("vm", "stop", "m3", "--now")
        self.alpha.drover("job", "cancel", ids["m4"])
        self.assertEqual(self.alpha.job(ids["m4"])["state"], "cancelled")
        self.assertEqual(self.waiting(self.alpha), ["m5", "m3"])
        self.assertNotIn(ids["m4"], self.files(self.alpha))
        self.go(self.alpha)
        self.assertEqual(self.alpha.wait_job(ids["m5"])["state"], "done")
        self.assertEqual(self.beta.machine("m5")["state"], "paused")
        stopped = self.alpha.wait_job(ids["m3"])
        self.assertEqual(stopped["state"], "failed")
        self.assertIn("machine m3 does not run", stopped["error"])
        self.assertEqual(self.here(self.alpha), {"m4"})

    def test_the_source_is_killed_while_they_wait_and_move(self):
        ids = self.five()
        self.assertEqual({i: f["started"] for i, f in self.files(self.alpha).items()},
                         {ids[n]: n in ("m1", "m2") for n in self.names})
        watched = Move(self.alpha, self.alpha.drover_argv("job", "watch", ids["m1"]))
        wait_for("the watcher", lambda: watched.process.poll() is None and
                 watched.process.stdout.readline(), 10)
        self.alpha.kill9()
        self.stand(self.alpha, "source:pre-copy")
        # Those that waited have their numbers, those that were undone new ones.
        again = {(n, ids[n]) for n in ("m1", "m2")}
        wait_for("those that moved", lambda: {
            (n, j["after"]) for n, j in self.jobs(self.alpha).items() if j["after"]} == again, 20)
        self.assertEqual({n: j["id"] for n, j in self.jobs(self.alpha).items() if not j["after"]},
                         {n: ids[n] for n in ("m3", "m4", "m5")})
        self.assertLessEqual(len(self.moving(self.alpha)), 2)
        self.go(self.alpha)
        self.arrive(self.beta, self.names)
        self.assertEqual(self.here(self.alpha), set())
        wait_for("an empty queue", lambda: not self.files(self.alpha), 10)
        status, said = watched.wait()
        self.assertEqual(status, 0, said)
        self.assertIn(f"undid job {ids['m1']}: the move is queued again as job ", said)

    def test_a_source_that_ends_takes_them_up_again(self):
        ids = self.five()
        self.go(self.alpha)
        self.assertEqual(self.alpha.stop(), 0)
        self.alpha.start()
        self.arrive(self.beta, self.names)
        self.assertEqual(self.here(self.alpha), set())
        wait_for("an empty queue", lambda: not self.files(self.alpha), 10)
        self.assertEqual(len(ids), 5)


class Full(Case):
    """The destination takes one at a time."""

    def test_it_is_waited_for_without_holding_anything(self):
        alpha, beta, gamma = self.hosts("alpha", "beta", "gamma", beta={"max-moves": 1})
        self.stand(beta, "destination:loaded")
        gamma.start()
        alpha.start()
        mine = self.machines(alpha, "a1", "a2", "a3")
        other = self.machines(gamma, "g1")
        ids = {n: self.move(alpha, n, beta) for n in mine}
        wait_for("the first there", lambda: self.jobs(beta, "destination"), 20)
        wait_for("the others wait", lambda: len(self.waiting(alpha)) == 2, 20)
        self.move(gamma, "g1", beta)
        wait_for("the stranger waits", lambda: self.waiting(gamma) == ["g1"], 20)
        self.assertEqual(self.jobs(gamma)["g1"]["queue"]["why"], "host beta takes no more for now")
        # A restart would find that it waits.
        self.assertEqual([f["started"] for f in self.files(gamma).values()], [False])
        self.assertEqual(alpha.machine(self.waiting(alpha)[0])["job"], None)
        self.assertEqual(len(self.jobs(beta, "destination")), 1)
        self.go(beta)
        self.arrive(beta, [*mine, *other])
        for host in (alpha, gamma):
            self.assertEqual(self.here(host), set())
        self.assertTrue(all(alpha.wait_job(i)["state"] == "done" for i in ids.values()))

    def test_the_destination_is_killed_while_they_wait_and_one_moves(self):
        alpha, beta = self.hosts("alpha", "beta", beta={"max-moves": 1})
        self.stand(beta, "destination:loaded")
        alpha.start()
        mine = self.machines(alpha, "a1", "a2", "a3")
        for name in mine:
            self.move(alpha, name, beta)
        wait_for("the others wait", lambda: len(self.waiting(alpha)) == 2, 20)
        waited = self.waiting(alpha)
        beta.kill9()
        # One asks while nobody is there, and does not give up.
        wait_for("somebody who asks in vain", lambda: "host beta is not reached" in
                 [j["queue"]["why"] for j in self.jobs(alpha).values() if j["queue"]], 30)
        beta.start()
        # Those that waited come, and the one that moved comes again.
        self.arrive(beta, mine)
        self.assertEqual(self.here(alpha), set())
        self.assertEqual(len(waited), 2)
        wait_for("an empty queue", lambda: not self.files(alpha), 10)


class Across(Case):
    def test_two_hosts_drain_into_each_other(self):
        one = {"max-moves": 1}
        alpha, beta = self.hosts("alpha", "beta", alpha=one, beta=one)
        alpha.start()
        beta.start()
        mine = self.machines(alpha, "a1", "a2", "a3")
        theirs = self.machines(beta, "b1", "b2", "b3")
        for a, b in zip(mine, theirs):
            self.move(alpha, a, beta)
            self.move(beta, b, alpha)
        self.arrive(beta, mine)
        self.arrive(alpha, theirs)
        self.assertEqual((self.here(alpha), self.here(beta)), (set(theirs), set(mine)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
