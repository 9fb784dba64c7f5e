# SPDX-License-Identifier: MIT
"""A host is emptied, and filled again: docs/drain.md.  Real QEMUs on three hosts."""
import os
import time
import unittest

from lab import Lab, machine, needs, release, slow, wait_for
from lab.console import Console
from lab.core import chance
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.qmp import QMP

TIME_LIMIT = 600
NAMES = ("alpha", "beta", "gamma")
MACHINES = 6


class Case(unittest.TestCase):
    count, memory, rate = MACHINES, "64M", None
    busy = True  # guests that change their memory; else such as halt
    fill = None  # a stress guest with so much that no compression makes less

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, NAMES)
        for first, second in (("alpha", "beta"), ("alpha", "gamma"), ("beta", "gamma")):
            self.network.link(first, second, rate=self.rate)
        self.hosts = connect(*(Host(self.lab, name, self.network[name],
                                    self.network.addresses(name)) for name in NAMES))
        self.alpha, self.beta, self.gamma = self.hosts
        self.names = [f"web{i}" for i in range(self.count)]

    def define(self, host, name, more="", **kwargs):
        guest = machine.boot_sector_arguments(self.lab) if self.busy else ()
        if self.fill:
            guest = machine.stress_arguments(fill=self.fill, content="random", rate="64K",
                                             hot="1M")
        host.define(machine.definition(name, *guest, memory=kwargs.pop("memory", self.memory),
                                       **kwargs) + more)

    def start(self, more=None):
        """All daemons, and the machines on alpha; more: lines of each one's definition."""
        for host in self.hosts:
            host.start()
        for name in self.names:
            self.define(self.alpha, name, (more or {}).get(name, ""))
            self.alpha.drover("vm", "start", name)

    def where(self):
        """{name: hosts on which it runs}, also if that is more than one."""
        found = {}
        for host in self.hosts:
            if host.running():
                for one in host.api("GET", "/v1/machines"):
                    if one["pid"] and one["state"] != "incoming":
                        found.setdefault(one["name"], []).append(host.name)
        return found

    def guests_that_run(self):
        """Of every QEMU of this lab, asked itself: (name, whether its guest runs)."""
        found = []
        for host in self.hosts:
            folder = os.path.join(host.run_dir, "machines")
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                path = os.path.join(folder, name, "qmp.sock")
                if not os.path.exists(path):
                    continue
                try:
                    qmp = QMP(path)
                    found += [name] if qmp("query-status")["running"] else []
                    qmp.close()
                except OSError:
                    pass
        return sorted(found)

    def assert_each_runs_once(self, names=None):
        self.assertEqual(self.guests_that_run(), sorted(names or self.names))

    def drained(self):
        return self.alpha.api("GET", "/v1/drain")

    def fates(self):
        return {m["name"]: m["fate"] for m in self.drained()["machines"]}

    def wait_end(self, timeout=120):
        def ended():
            now = self.drained()
            return now["state"] not in ("draining", "returning") and now
        return wait_for("the end of the drain", ended, timeout, 0.1)


@needs(*PROGRAMS)
class There(Case):
    def test_six_machines_leave_for_two_hosts_and_come_back(self):
        self.start()
        done = self.alpha.drover("drain")
        at = self.where()
        self.assertEqual(sorted(at), self.names)
        self.assertEqual({h for hosts in at.values() for h in hosts}, {"beta", "gamma"})
        self.assert_each_runs_once()
        self.assertIn("web0", done.stdout)
        self.assertEqual(self.drained()["state"], "drained")
        self.assertEqual(set(self.fates().values()), {"moved"})

        # It takes and starts nothing, also after a reboot.
        self.alpha.restart()
        self.assertEqual(self.drained()["state"], "drained")
        name, home = "web0", at["web0"][0]
        host = next(h for h in self.hosts if h.name == home)
        for words in (("move", name, "alpha"), ("compare", name, "alpha")):
            refused = host.drover(*words, check=False)
            self.assertEqual(refused.status, 8, refused.stderr)
            self.assertIn("alpha is drained and takes no machines",
                          refused.stderr + refused.stdout)
        self.define(self.alpha, "other")
        refused = self.alpha.drover("vm", "start", "other", check=False)
        self.assertEqual(refused.status, 8)
        self.assertIn("alpha is drained", refused.stderr)

        self.alpha.drover("return")
        self.assertEqual(self.where(), {name: ["alpha"] for name in self.names})
        self.assert_each_runs_once()
        self.assertEqual(self.drained()["state"], "none")
        self.assertFalse(os.path.exists(os.path.join(self.alpha.state, "drain.json")))
        self.alpha.drover("vm", "start", "other")


@needs(*PROGRAMS, "guest/drover-stress.elf")
@slow
class Rest(Case):
    """--stop-the-rest asks guests to power off, and cuts no power."""
    count = 0

    def begin(self, **guests):
        """{name: (words for the guest, lines of the definition)} run on alpha, and can go
        nowhere: both hosts have another machine of that name."""
        for host in self.hosts:
            host.start()
        for name, (words, lines) in guests.items():
            console = Console(self.lab, self.lab.path(f"console-{name}"))
            self.alpha.define(machine.definition(
                name, *machine.stress_arguments(fill="4M", rate="0", hot="1M", **words),
                *console.arguments(), memory="64M") + lines)
            self.alpha.drover("vm", "start", name)
            for host in (self.beta, self.gamma):
                self.define(host, name)
            console.wait_line("^hb ", 60)

    def test_a_guest_that_obeys_is_stopped_and_others_stay(self):
        self.begin(obeys=({}, ""), still=({}, ""),
                   deaf=({"button": "ignore"}, "stop-timeout = 3s\n"))
        self.alpha.drover("vm", "pause", "still")
        pid = self.alpha.machine("deaf")["pid"]
        done = self.alpha.drover("drain", "--stop-the-rest", check=False)
        self.assertEqual(done.status, 1, done.stderr)
        self.assertIn("\nobeys is stopped\n", done.stdout)
        self.assertIn("\ndeaf is asked to power off\n", done.stdout)
        self.assertIn("\ndeaf stays: the guest of machine deaf did not power off within 3.0 s after",
                      done.stdout)
        self.assertIn("\nstill stays: machine still is paused (paused), and its guest cannot answer",
                      done.stdout)
        self.assertEqual(self.drained()["state"], "remains")
        self.assertEqual(self.fates(), {"obeys": "stopped", "deaf": "stays", "still": "stays"})
        self.assertEqual(self.alpha.machine("obeys")["state"], "stopped")
        self.assertEqual(self.alpha.machine("deaf")["pid"], pid)
        self.assertEqual(self.alpha.machine("still")["state"], "paused")
        for name in ("deaf", "still"):
            self.alpha.drover("vm", "stop", name, "--now")
        self.alpha.drover("drain", "--resume")
        # The other one's end was not the drain's doing.
        self.assertEqual(self.fates(), {"obeys": "stopped", "deaf": "stopped"})
        self.alpha.drover("return")
        self.assertEqual(self.where(), {"obeys": ["alpha"], "deaf": ["alpha"]})

    def test_the_end_of_the_daemon_and_a_cancel_leave_it_running_and_known(self):
        self.begin(deaf=({"button": "ignore"}, "stop-timeout = 1h\n"))
        for end in ("kill", "cancel"):
            self.alpha.drover("drain", "--stop-the-rest", "--background")
            wait_for("the question", lambda: any(
                m["asked"] for m in self.drained()["machines"]), 60, 0.05)
            if end == "kill":
                self.alpha.kill9()
                self.alpha.start()
                self.assertEqual(self.drained()["state"], "interrupted")
                self.assertEqual(self.fates(), {"deaf": "stays"})
                self.alpha.drover("vm", "stop", "deaf", "--now")
                self.alpha.drover("return")
                self.assertEqual(self.where(), {"deaf": ["alpha"]})
            else:
                self.alpha.drover("drain", "--cancel")
                self.assertEqual(self.where(), {"deaf": ["alpha"]})
            self.assertEqual(self.drained()["state"], "none")


@needs(*PROGRAMS)
@slow
class Choices(Case):
    memory, busy = "16M", False

    def setUp(self):
        super().setUp()
        # web5 cannot go: both hosts have another machine of that name.
        apart = "apart = a\nstop-timeout = 500ms\n"
        self.start({"web0": apart, "web1": apart, "web2": apart,
                    "web3": "together = t\n", "web4": "together = t\n"})
        for host in (self.beta, self.gamma):
            self.define(host, "web5")

    def stay(self, record):
        return {m["name"]: m["why"] for m in record["machines"] if m["fate"] == "stays"}

    def test_a_plan_names_who_cannot_go_and_does_nothing(self):
        plan = self.alpha.drover("drain", "--plan", "--json").json
        self.assertEqual(plan["state"], "planned")
        stay = self.stay(plan)
        self.assertEqual(len(stay), 2)
        self.assertIn("another one, its uuid is", stay.pop("web5"))
        name, why = stay.popitem()
        self.assertIn(name, ("web0", "web1", "web2"))
        self.assertEqual(why.count("that it is kept apart from"), 2, why)
        to = {m["name"]: m["to"] for m in plan["machines"]}
        self.assertEqual(to["web3"], to["web4"])
        shown = self.alpha.drover("drain", "--plan").stdout
        self.assertRegex(shown, r"(?m)^web5 stays: .*another one")
        self.assertIn("After this, alpha must not fail: 2 of its machines", shown.replace("\n", " "))
        self.assertEqual(self.where(), {name: ["alpha"] for name in self.names})
        self.assertEqual(self.drained()["state"], "none")

    def test_what_remains_is_said_and_stopped_only_on_request(self):
        done = self.alpha.drover("drain", check=False)
        self.assertEqual(done.status, 1)
        self.assertIn("its state is 'remains': 2 machines", done.stderr)
        # Before anything has begun.
        self.assertLess(done.stdout.index("web5 stays"), done.stdout.index(" is on "))
        at = self.where()
        self.assertEqual(at["web3"], at["web4"])
        self.assertEqual(at["web5"], ["alpha"])
        left = [n for n in ("web0", "web1", "web2") if at[n] != ["alpha"]]
        self.assertEqual(len({at[n][0] for n in left}), 2)
        self.assert_each_runs_once()
        self.assertEqual(self.alpha.drover("drain", "--resume", check=False).status, 1)
        # The names are free: one more can go.
        for host in (self.beta, self.gamma):
            host.drover("vm", "forget", "web5")
        self.alpha.drover("drain", "--resume", check=False)
        self.assertNotEqual(self.where()["web5"], ["alpha"])

        # Its guest does not answer.
        stays = next(n for n, hosts in self.where().items() if hosts == ["alpha"])
        done = self.alpha.drover("drain", "--stop-the-rest", check=False)
        self.assertEqual(done.status, 1)
        self.assertIn(f"{stays} stays: the guest of machine {stays} did not power off within "
                      f"500 ms after it was asked to: it still runs, and 'drover vm stop {stays} "
                      "--now' cuts the power", done.stdout)
        self.assertEqual(self.drained()["state"], "remains")
        self.assert_each_runs_once()
        self.alpha.drover("vm", "stop", stays, "--now")
        self.alpha.drover("drain", "--resume")
        self.assertNotIn("alpha", [h for hosts in self.where().values() for h in hosts])
        self.assertEqual(sorted(self.fates().values()), ["moved"] * 5 + ["stopped"])
        self.alpha.drover("return")
        self.assertEqual(self.where(), {name: ["alpha"] for name in self.names})
        self.assertEqual(self.drained()["state"], "none")

    def test_only_to_the_hosts_that_are_named(self):
        for words in (("drain", "--to", "delta"), ("drain", "--plan", "--to", "delta")):
            refused = self.alpha.drover(*words, check=False)
            self.assertEqual(refused.status, 6, refused.stderr)
            self.assertIn("alpha knows no host called delta", refused.stderr)
        plan = self.alpha.drover("drain", "--plan", "--to", "gamma", "--json").json
        self.assertEqual(plan["to"], ["gamma"])
        self.assertEqual({m["to"] for m in plan["machines"] if m["fate"] == "waits"}, {"gamma"})
        self.assertIn("beta is none of those that were named", self.stay(plan)["web5"])

    def test_one_machine_goes_where_a_drain_would_bring_it(self):
        self.alpha.drover("move", "web0", "--any")
        self.alpha.drover("move", "web1", "--any")
        self.assertEqual(self.alpha.drover("job", "wait", "web1").stdout, "")
        at = self.where()
        self.assertEqual({at["web0"][0], at["web1"][0]}, {"beta", "gamma"})
        refused = self.alpha.drover("move", "web2", "--any", check=False)
        self.assertEqual(refused.status, 8, refused.stderr)
        self.assertIn("kept apart from (apart = a)", refused.stderr)
        self.assertEqual(self.alpha.drover("move", "none", "--any", check=False).status, 6)
        # It went alone: nobody is called back.
        self.assertEqual(self.alpha.drover("return", check=False).status, 8)

    def test_a_host_that_does_not_tell_is_used_when_it_is_named(self):
        self.beta.settings["peer alpha"]["may"] = "move-in, compare, state"
        self.beta.restart()
        plan = self.alpha.drover("drain", "--plan", "--json").json
        self.assertEqual({m["to"] for m in plan["machines"] if m["fate"] == "waits"}, {"gamma"})
        self.assertIn("may not ask host beta for 'facts': add plan to 'may'",
                      self.stay(plan)["web5"])
        self.alpha.drover("drain", "--to", "beta", check=False)
        self.assertEqual({hosts[0] for hosts in self.where().values()}, {"alpha", "beta"})
        self.assert_each_runs_once()

    def test_nothing_is_called_back_without_the_right(self):
        self.beta.settings["peer alpha"]["may"] = "move-in, compare, plan, state"
        self.beta.restart()
        self.alpha.drover("drain", "--to", "beta", check=False)
        there = [name for name, hosts in self.where().items() if hosts == ["beta"]]
        self.assertTrue(there)
        done = self.alpha.drover("return", check=False)
        self.assertEqual(done.status, 1)
        self.assertEqual(self.drained()["state"], "away")
        self.assertIn("may not ask host beta for 'return'",
                      next(m["why"] for m in self.drained()["machines"] if m["name"] == there[0]))
        self.assert_each_runs_once()
        # It is no drained host any more, and tries again when it is asked.
        self.beta.settings["peer alpha"]["may"] = "move-in, compare, plan, state, return"
        self.beta.restart()
        self.alpha.drover("return")
        self.assertEqual(self.where(), {name: ["alpha"] for name in self.names})


@needs(*PROGRAMS)
@slow
class MixedVersions(Case):
    """beta is of the last release."""

    count, memory, busy = 2, "16M", False

    def test_an_older_host_takes_machines_when_it_is_named_and_gives_none_back(self):
        self.beta.of(release.built())
        self.start()
        plan = self.alpha.drover("drain", "--plan", "--json").json
        self.assertEqual({m["to"] for m in plan["machines"]}, {"gamma"})
        self.alpha.drover("drain", "--to", "beta")
        self.assertEqual(self.where(), {name: ["beta"] for name in self.names})
        done = self.alpha.drover("return", check=False)
        self.assertEqual(done.status, 1)
        why = self.drained()["machines"][0]["why"]
        self.assertIn("host beta has a version of Drover that moves nothing back by itself", why)
        # What the sentence says is to be done.
        for name in self.names:
            self.assertIn(f"'drover move {name} alpha' there does",
                          next(m["why"] for m in self.drained()["machines"] if m["name"] == name))
            self.beta.drover("move", name, "alpha")
        self.alpha.drover("return")
        self.assertEqual(self.drained()["state"], "none")
        self.assert_each_runs_once()


@needs(*PROGRAMS)
class Empty(Case):
    count = 0

    def test_a_host_without_machines_is_drained_at_once(self):
        self.start()
        self.alpha.drover("drain")
        self.assertEqual(self.drained()["state"], "drained")
        self.alpha.kill9()
        self.alpha.start()
        self.assertEqual(self.drained()["state"], "drained")
        self.assertEqual(self.alpha.drover("drain", "--cancel").stdout,
                         "This host is not drained any more.\n")
        for words in (("drain", "--cancel"), ("drain", "--resume"), ("return",)):
            self.assertEqual(self.alpha.drover(*words, check=False).status, 8)
        for words in (("--plan", "--cancel"), ("--resume", "--to", "beta")):
            self.assertEqual(self.alpha.drover("drain", *words, check=False).status, 2)


@needs(*PROGRAMS)
class Capacity(Case):
    count, memory, busy = 2, "16M", False

    def test_a_host_that_must_not_fail_is_named(self):
        with open("/proc/meminfo", encoding="ascii") as f:
            free = {line.split(":")[0]: int(line.split()[1]) for line in f}["MemAvailable"]
        self.start()
        shown = self.alpha.drover("capacity", "--json").json
        self.assertTrue(shown["enough"])
        # Two that no other host has room for together, without a page that is used.
        for name in ("big0", "big1"):
            self.define(self.alpha, name, memory=f"{free // 1024 * 3 // 4}M")
            self.alpha.drover("vm", "start", name)
        self.gamma.stop()
        done = self.alpha.drover("capacity", check=False)
        self.assertEqual(done.status, 1)
        said = done.stdout.replace("\n", " ")
        self.assertIn("Now alpha must not fail: 1 of its machines", said)
        self.assertIn("gamma is not heard", said)
        plan = self.alpha.drover("drain", "--plan", "--json").json
        stay = [m for m in plan["machines"] if m["fate"] == "stays"]
        self.assertEqual(len(stay), 1)
        self.assertRegex(stay[0]["why"], "beta has .* of memory left, and .* are needed")


class Broken(Case):
    """Over links on which a move takes seconds."""

    memory, rate, fill = "64M", "8mbit", "6M"

    def setUp(self):
        super().setUp()
        for host in self.hosts:
            host.settings["move"] = {"outage-limit": "4s", "max-moves": 2}
        self.start()

    def begin(self, *words):
        self.alpha.drover("drain", "--background", *words)

        def copies():
            jobs = self.alpha.api("GET", "/v1/jobs")
            ended = self.drained()["state"] not in ("draining", "none")
            self.assertFalse(ended, (jobs, self.drained()))
            return any(j["state"] == "running" and j["stage"] == "pre-copy" for j in jobs)
        wait_for("a move that copies", copies, 30, 0.05)

    def faster(self):
        for link in self.network.links:
            link.shape("1gbit")

    def until_drained(self):
        """--resume until it is; how often."""
        for turn in range(8):
            now = self.wait_end()
            if now["state"] == "drained":
                return turn
            self.alpha.drover("drain", "--resume", "--background")
        self.fail(f"it is not drained: {self.drained()}")

    def settle(self):
        """Every job of a daemon that was killed has come to its end."""
        def ended():
            return all(j["state"] in ("done", "failed", "cancelled")
                       for host in self.hosts for j in host.api("GET", "/v1/jobs"))
        wait_for("the end of all jobs", ended, 60, 0.1)

    def come_back(self):
        self.settle()
        for _ in range(3):
            if self.alpha.drover("return", check=False).status == 0:
                break
        self.assertEqual(self.where(), {name: ["alpha"] for name in self.names})
        self.assert_each_runs_once()


@needs(*PROGRAMS)
@slow
class Faults(Broken):
    def test_what_has_begun_is_cancelled_and_the_host_is_open(self):
        self.begin()
        self.alpha.drover("drain", "--cancel")
        self.assertEqual(self.drained()["state"], "none")
        self.settle()
        self.assert_each_runs_once()
        self.assertEqual(sorted(self.where()), self.names)
        name = next(n for n, hosts in sorted(self.where().items()) if hosts == ["alpha"])
        self.alpha.drover("vm", "stop", name, "--now")
        self.alpha.drover("vm", "start", name)
        self.assertEqual(self.alpha.drover("drain", "--resume", check=False).status, 8)

    def test_one_that_comes_when_the_host_is_closed_is_moved_away_in_turn(self):
        for name in self.names:
            self.alpha.drover("vm", "stop", name, "--now")
        self.define(self.beta, "late")
        self.beta.drover("vm", "start", "late")
        for link in self.network.links:
            link.shape("1mbit")
        self.beta.drover("move", "late", "alpha", "--background")
        wait_for("what comes", lambda: any(
            m["name"] == "late" and m["state"] == "incoming"
            for m in self.alpha.api("GET", "/v1/machines")), 30, 0.05)
        self.alpha.drover("drain", "--background")
        self.assertEqual(self.drained()["state"], "draining")
        self.faster()
        self.assertEqual(self.wait_end()["state"], "drained")
        self.assertNotEqual(self.where()["late"], ["alpha"])
        self.assert_each_runs_once(["late"])

    def test_one_whose_move_is_cancelled_is_not_stopped_with_the_rest(self):
        self.begin("--stop-the-rest")
        job = next(j for j in self.alpha.api("GET", "/v1/jobs")
                   if j["state"] == "running" and j["stage"] == "pre-copy")
        self.alpha.drover("job", "cancel", job["id"])
        self.faster()
        self.assertEqual(self.wait_end()["state"], "remains")
        self.assertEqual(self.fates()[job["machine"]], "stays")
        self.assertEqual(self.where()[job["machine"]], ["alpha"])
        self.assert_each_runs_once()

    def test_a_host_that_is_gone_is_left_out(self):
        self.begin()
        self.beta.kill9()
        self.faster()
        self.wait_end()
        self.beta.start()
        self.settle()
        self.until_drained()
        self.assert_each_runs_once()
        self.come_back()

    def test_a_network_that_is_out_for_a_while_loses_nothing(self):
        for host in self.hosts:
            host.drover("host", "set", "move.outage-limit", "60s")
        self.begin()
        for link in self.network.links:
            link.down()
        time.sleep(20)  # the outage is what is tested
        for link in self.network.links:
            link.up()
        self.faster()
        self.until_drained()
        self.assert_each_runs_once()

    def test_two_hosts_that_drain_into_a_full_one_end_and_go_on(self):
        """Each has a machine of 5/8 of the memory, which nobody uses: what counts is
        claimed while a move comes in."""
        with open("/proc/meminfo", encoding="ascii") as f:
            free = {line.split(":")[0]: int(line.split()[1]) for line in f}["MemAvailable"]
        self.busy = False
        for host, name in ((self.alpha, "big0"), (self.beta, "big1")):
            self.define(host, name, memory=f"{free // 1024 * 5 // 8}M")
            host.drover("vm", "start", name)
        for host in (self.alpha, self.beta):
            host.drover("drain", "--to", "gamma", "--background")
        self.faster()
        for host in (self.alpha, self.beta):
            wait_for(f"the end of {host.name}'s drain", lambda host=host: host.api(
                "GET", "/v1/drain")["state"] in ("drained", "remains"), 120, 0.1)
            for one in host.api("GET", "/v1/drain")["machines"]:
                if one["fate"] == "stays":
                    self.assertIn("memory", one["why"])
        for host in (self.alpha, self.beta):
            if host.api("GET", "/v1/drain")["state"] == "remains":
                host.drover("drain", "--resume")
        self.assertEqual(self.where(), {name: ["gamma"] for name in [*self.names, "big0", "big1"]})
        self.assert_each_runs_once([*self.names, "big0", "big1"])

    def test_a_service_that_was_stopped_goes_on_when_it_is_told(self):
        self.begin()
        self.alpha.restart()
        state = self.drained()["state"]
        self.assertEqual(state, "interrupted")
        self.faster()
        self.alpha.drover("drain", "--resume", "--background")
        self.until_drained()
        self.assert_each_runs_once()
        self.assertNotIn("alpha", [h for hosts in self.where().values() for h in hosts])


@needs(*PROGRAMS)
@slow
class ByChance(Broken):
    """A daemon dies at some moment; `make soak` asks for many."""

    def test_whoever_dies_at_whatever_moment(self):
        choose = chance()
        victim, fast = choose.choice(self.hosts), choose.choice((True, False))
        after = choose.uniform(0, 2 if fast else 8)
        print(f"{victim.name} dies {after:.2f} s after the beginning, fast: {fast}")
        if fast:
            self.faster()
        self.alpha.drover("drain", "--background")
        time.sleep(after)  # the moment is what is chosen
        victim.kill9()
        self.faster()
        victim.start()
        self.until_drained()
        self.settle()
        self.assert_each_runs_once()
        self.assertEqual(sorted(self.where()), self.names)
        self.come_back()


if __name__ == "__main__":
    unittest.main()
