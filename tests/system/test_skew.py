# SPDX-License-Identifier: MIT
"""Old and new side by side: hosts are not upgraded all at once.

`old` is the last release (lab.release), `new` is this build.  Machines move
between them both ways and back, the one's command speaks with the other's
daemon, and a daemon of today takes over what one of before wrote: machines that
run, that were adopted and that stand, and moves in doubt.
"""
import os
import unittest

from lab import BUILD, Lab, core, machine, needs, release, slow, wait_for
from lab.console import Console
from lab.field import Field
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 300
PARALLEL = True


def setUpModule():
    release.built()  # skips everything, with the reason, where it cannot be had


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Case(unittest.TestCase):
    """alpha and beta, and a guest that checks its memory and says so on its console."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.old, self.new = release.built(), BUILD
        self.network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta")))
        self.console = Console(self.lab)
        self.definition = machine.definition(
            "web", *machine.stress_arguments(fill="16M", hot="8M", rate="8M"),
            *self.console.arguments(), memory="48M")

    def start(self, alpha, beta):
        self.alpha.of(alpha).start()
        self.beta.of(beta).start()

    def begin(self):
        self.alpha.define(self.definition)
        self.alpha.drover("vm", "start", "web")
        self.console.wait_line("^drover-stress ready", 30)

    def move(self, source, destination, *options):
        """There, and the guest lives there and nowhere else."""
        done = source.drover("move", "web", destination.name, *options)
        self.assertIn(f"web moved to {destination.name}.", done.stdout)
        for host, role in ((source, "source"), (destination, "destination")):
            job = host.newest_job(role=role)
            self.assertEqual(host.wait_job(job["id"], timeout=20)["state"], "done")
        self.assertNotIn("web", [m["name"] for m in source.api("GET", "/v1/machines")])
        shown = destination.machine("web")
        self.assertEqual(shown["state"], "running")
        seen = len(self.console.lines)
        wait_for("the guest after its move", lambda: any(
            line.pid == shown["pid"] for line in self.console.lines[seen:]), 10)


class Moves(Case):
    """A guest that moves there and back, in each mode."""

    @staticmethod
    def word(host):
        return "--mode" if host.command_build == BUILD else "--option"

    def there_and_back(self, alpha, beta):
        self.start(alpha, beta)
        self.begin()
        modes = ["tcp", "compression", "multichannel", "auto"]
        core.chance().shuffle(modes)
        for mode in modes:
            self.move(self.alpha, self.beta, self.word(self.alpha), mode)
            self.move(self.beta, self.alpha, self.word(self.beta), mode)
        self.assertEqual(self.console.corrupt(), [])

    def test_from_new_to_old_and_back(self):
        self.there_and_back(self.new, self.old)

    def test_from_old_to_new_and_back(self):
        self.there_and_back(self.old, self.new)

    def understood(self, alpha, beta):
        self.start(alpha, beta)
        self.begin()
        found = self.alpha.drover("compare", "web", "beta", "--json").json
        self.assertTrue(found["ok"], found)
        plan = self.alpha.drover("nic", "plan", "beta", "--json").json
        self.assertTrue([p for p in plan["paths"] if p["state"] == "used"], plan)

    def test_what_new_asks_old_answers(self):
        self.understood(self.new, self.old)

    def test_what_old_asks_new_answers(self):
        self.understood(self.old, self.new)

    def test_a_machine_that_waits_at_the_old_host_is_upgraded_with_it(self):
        """It moves to the other while its own is upgraded, as one does that."""
        self.start(self.old, self.old)
        self.begin()
        self.move(self.alpha, self.beta)
        self.alpha.stop()
        self.alpha.of(self.new).start()
        self.move(self.beta, self.alpha)
        self.beta.stop()
        self.beta.of(self.new).start()
        self.move(self.alpha, self.beta)
        self.assertEqual(self.console.corrupt(), [])


class Commands(Case):
    """The command of the one, the daemon of the other."""

    def converse(self, daemons, command):
        self.start(daemons, daemons)
        for host in (self.alpha, self.beta):
            host.command_build = command
        self.begin()
        self.assertIn("web", self.alpha.drover("vm", "list").stdout)
        self.assertIn("running", self.alpha.drover("vm", "show", "web").stdout)
        word = "--mode" if command == self.new else "--option"
        plan = self.alpha.drover("nic", "plan", "beta", word, "multichannel", "--json").json
        self.assertEqual(plan["option"], "multichannel")
        self.move(self.alpha, self.beta, word, "multichannel")
        listed = self.alpha.drover("job", "list").stdout.splitlines()
        self.assertEqual(len(listed), 2, listed)
        self.assertIn("done", listed[1])
        job = self.alpha.newest_job()
        # A program that knew the fields of before finds them.
        self.assertEqual((job["report"]["option_asked"], job["report"]["option_got"]),
                         ("multichannel", "multichannel"))
        job = job["id"]
        shown = self.alpha.drover("job", "show", job).stdout
        self.assertIn("Total time", shown)
        refused = self.alpha.drover("vm", "start", "nobody", check=False)
        # One of before told failures from wrong usage and no more.
        self.assertEqual(refused.status, 6 if command == self.new else 1)
        self.assertRegex(refused.stderr, "^drover: vm start nobody: .*nobody")
        self.beta.drover("vm", "stop", "web", "--now")
        self.beta.drover("vm", "forget", "web")
        self.assertEqual(self.beta.api("GET", "/v1/machines"), [])

    def test_a_new_command_and_an_old_daemon(self):
        self.converse(self.old, self.new)

    def test_an_old_command_and_a_new_daemon(self):
        self.converse(self.new, self.old)


class Books(Case):
    """A state directory of before."""

    def test_machines_that_run_were_adopted_or_stand_are_taken_over(self):
        self.start(self.old, self.old)
        self.begin()
        self.alpha.define(machine.definition("idle", memory="16M"))
        own = machine.Qemu(self.lab, "own", "-name", "own", memory="16M", machine="pc")
        own.qmp.close()
        self.alpha.drover("vm", "adopt", own.pid)
        self.move(self.alpha, self.beta)
        self.move(self.beta, self.alpha)  # so that it is one that came by
        before = {m["name"]: (m["state"], m["pid"], m["adopted"])
                  for m in self.alpha.api("GET", "/v1/machines")}
        self.assertEqual(sorted(before), ["idle", "own", "web"])
        self.alpha.stop()
        self.alpha.of(self.new).start()

        def taken():
            return {m["name"]: (m["state"], m["pid"], m["adopted"])
                    for m in self.alpha.api("GET", "/v1/machines")}
        self.assertEqual(taken(), before)
        # What was rewritten is read again, and moves; also one that is started here.
        self.alpha.restart()
        self.assertEqual(taken(), before)
        self.move(self.alpha, self.beta)
        self.alpha.drover("vm", "start", "idle")
        self.assertEqual(self.alpha.machine("idle")["state"], "running")
        self.alpha.drover("vm", "stop", "idle", "--now")
        self.assertEqual(self.alpha.machine("own")["pid"], own.pid)

    def test_settings_of_before_are_read(self):
        """Each key that the last release knew, as it documents it."""
        self.alpha.settings["move"] = {
            "downtime-limit": "300ms", "timeout": "10min", "on-timeout": "abort",
            "outage-limit": "30s", "switchover-outage-limit": "5s", "option": "auto",
            "connections-per-card": 2}
        self.alpha.of(self.old).write_settings()
        for build in (self.old, self.new):
            checked = self.lab.run([os.path.join(build, PROGRAMS[0]), "-c", self.alpha.config,
                                    "--check"], namespace=self.alpha.namespace)
            self.assertIn("the configuration is good", checked.stdout)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Doubt(unittest.TestCase):
    """A move between two of before, at whose commit the network was cut; then one
    of them is upgraded, or both are, and the paths come back."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        old = release.built()
        self.field = Field(self.lab)
        self.field.alpha.of(old)
        self.field.beta.of(old)
        self.field.start()

    def cut(self, point):
        field = self.field
        field.faults(here=[point] if point.startswith("source") else [],
                     there=[point] if point.startswith("destination") else [])
        self.moving = field.move()
        field.reached(point)
        self.job = field.here.newest_job(role="source")["id"]
        field.link.blackhole()
        field.go_on()

    def upgrade(self, *hosts):
        for host in hosts:
            host.kill9()
            host.of(BUILD).start()

    def states(self):
        return [j["state"] for host in (self.field.here, self.field.there)
                for j in host.api("GET", "/v1/jobs") if j["id"] == self.job]

    def ends(self):
        """By itself, at the destination, which had to be told "commit"."""
        field = self.field
        field.link.heal()
        wait_for("an end of the doubt",
                 lambda: not {"running", "in-doubt"} & set(self.states()), 30, 0.05)
        self.moving.wait()
        field.moved()
        field.settle(20)
        self.assertEqual(field.watch.running(), [field.pid])
        field.heartbeat()
        self.assertEqual(field.both_at_once(), [])
        field.move_once_more()

    def both_doubt(self):
        self.cut("source:before-commit-sent")
        for host in (self.field.here, self.field.there):
            host.wait_job(self.job, "in-doubt", timeout=20)
        self.assertEqual(self.field.watch.running(), [])

    @slow
    def test_its_source_is_upgraded(self):
        self.both_doubt()
        self.upgrade(self.field.here)
        self.ends()

    def test_its_destination_is_upgraded(self):
        self.both_doubt()
        self.upgrade(self.field.there)
        self.ends()

    @slow
    def test_both_are_upgraded_and_still_say_what_to_do(self):
        self.both_doubt()
        self.upgrade(self.field.here, self.field.there)
        for host in (self.field.here, self.field.there):
            job = host.wait_job(self.job, "in-doubt", timeout=20)
            self.assertIn("drover job resolve", job["advice"])
        self.assertEqual(self.field.watch.running(), [])
        self.ends()


class Named(unittest.TestCase):
    """The line of NEWS.md."""

    def test_the_first_one_is_the_last_release(self):
        text = "# News\n## 0.2\nrelease: 0.2 " + "b" * 40 + "\nrelease: 0.1 " + "a" * 40 + "\n"
        self.assertEqual(release.named(text), ("0.2", "b" * 40))
        self.assertRegex(release.last()[1], "^[0-9a-f]{40}$")

    def test_without_one_it_is_said(self):
        with self.assertRaisesRegex(Exception, "names no release"):
            release.named("release: 0.1 abc\n")


if __name__ == "__main__":
    unittest.main()
