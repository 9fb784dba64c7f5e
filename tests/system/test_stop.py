# SPDX-License-Identifier: MIT
"""A guest is asked to power off, which it does, or not; the power is cut by --now."""
import os
import subprocess
import unittest

from lab import Lab, machine, needs, wait_for
from lab.host import PROGRAMS, Host
from lab.network import Network

TIME_LIMIT = 120
PARALLEL = True


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Stop(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.host = Host(self.lab, "alpha", Network(self.lab, ("alpha",))["alpha"],
                         ["127.0.0.1"]).start()

    def begin(self, *more, button=None, keys=""):
        """The machine runs, and its guest is far enough to be asked."""
        console = self.lab.path("console")
        self.host.define(machine.definition(
            "web", *machine.stress_arguments(fill="4M", rate="0", hot="1M", button=button),
            "-serial", f"file:{console}", *more, memory="64M") + keys)
        self.host.drover("vm", "start", "web")

        def said():
            with open(console, encoding="ascii", errors="replace") as f:
                return f.read()

        def beats():
            return "\nhb " in said()
        self.beats, self.tail = beats, lambda: said()[-200:]
        wait_for("the guest", beats, 30, 0.05)
        return self.host.machine("web")["pid"]

    def state(self):
        return self.host.machine("web")["state"]

    def test_a_guest_that_obeys_is_off(self):
        pid = self.begin()
        done = self.host.drover("vm", "stop", "web")
        self.assertEqual(done.stdout, "web is off.\n")
        self.assertEqual(self.state(), "stopped")
        self.assertNotIn(pid, self.lab.processes())
        self.assertEqual(self.host.drover("vm", "stop", "web").stdout, "web is off.\n")

    def test_one_whose_qemu_waits_is_off_as_well(self):
        pid = self.begin("-no-shutdown")
        self.host.drover("vm", "stop", "web")
        self.assertEqual(self.state(), "stopped")
        self.assertNotIn(pid, self.lab.processes())

    def test_one_that_does_not_answer_runs_until_its_power_is_cut(self):
        pid = self.begin(button="ignore", keys="stop-timeout = 1s\n")
        for words, said in (([], "1.0 s"), (["--timeout", "300ms"], "300 ms")):
            done = self.host.drover("vm", "stop", "web", *words, check=False)
            self.assertEqual(done.status, 5, done.stderr)
            self.assertIn(f"machine web did not power off within {said} after it was asked",
                          done.stderr)
            self.assertIn("it still runs, and 'drover vm stop web --now' cuts the power",
                          done.stderr)
            self.assertEqual(self.host.machine("web")["pid"], pid)
            self.assertEqual(self.state(), "running")
        # Another may cut it while somebody waits, who is told that it is off.
        waits = subprocess.Popen(self.host.drover_argv("vm", "stop", "web", "--timeout", "90s"),
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(waits.stdout.close)
        wait_for("a third question", lambda: self.host.log_text().count(
            "machine web: its guest is asked to power off") == 3, 20, 0.05)
        self.host.drover("vm", "stop", "web", "--now")
        self.assertEqual(waits.communicate(timeout=30)[0], "web is off.\n")
        self.assertEqual(waits.returncode, 0)
        self.assertEqual(self.state(), "stopped")
        self.assertNotIn(pid, self.lab.processes())

    def test_one_that_is_paused_is_not_asked(self):
        self.begin()
        self.host.drover("vm", "pause", "web")
        done = self.host.drover("vm", "stop", "web", check=False)
        self.assertEqual(done.status, 8, done.stderr)
        self.assertIn("machine web is paused (paused), and its guest cannot answer", done.stderr)
        self.assertEqual(self.state(), "paused")
        self.host.drover("vm", "resume", "web")
        self.host.drover("vm", "stop", "web")
        self.assertEqual(self.state(), "stopped")

    def test_a_restart_is_another_qemu_and_a_drained_host_leaves_it_as_it_is(self):
        pid = self.begin()
        done = self.host.drover("vm", "restart", "web", check=False)
        self.assertEqual((done.status, done.stdout), (0, "web is started anew.\n"),
                         f"{done.stderr}{self.host.machine('web')}, the console ends: {self.tail()}")
        again = self.host.machine("web")
        self.assertEqual(again["state"], "running")
        self.assertNotEqual(again["pid"], pid)
        self.assertNotIn(pid, self.lab.processes())
        wait_for("the guest", self.beats, 30, 0.05)
        self.host.drover("drain", check=False)
        done = self.host.drover("vm", "restart", "web", check=False)
        self.assertEqual(done.status, 8, done.stderr)
        self.assertIn("machine web is left as it is: alpha is drained", done.stderr)
        self.assertEqual(self.host.machine("web")["pid"], again["pid"])
        self.host.drover("drain", "--cancel")
        self.host.drover("vm", "stop", "web")
        self.host.drover("vm", "restart", "web")
        self.assertEqual(self.state(), "running")

    def test_a_guest_that_ignores_a_restart_runs_on(self):
        pid = self.begin(button="ignore")
        done = self.host.drover("vm", "restart", "web", "--timeout", "300ms", check=False)
        self.assertEqual(done.status, 5, done.stderr)
        self.assertIn("did not power off within 300 ms", done.stderr)
        self.assertEqual(self.host.machine("web")["pid"], pid)
        self.assertEqual(self.host.drover("vm", "restart", "web", "--now", "--timeout", "1s",
                                          check=False).status, 2)
        self.host.drover("vm", "restart", "web", "--now")
        self.assertNotEqual(self.host.machine("web")["pid"], pid)
        self.assertEqual(self.state(), "running")

    def test_what_is_so_already_is_no_failure(self):
        pid = self.begin()
        for _ in range(2):
            self.assertEqual(self.host.drover("vm", "start", "web").stdout,
                             "web runs already.\n")
        self.assertIs(self.host.drover("vm", "start", "web", "--json").json["unchanged"], True)
        definition = self.host.drover("vm", "show", "web", "--definition").stdout
        with open(os.path.join(self.host.dir, "definition"), encoding="utf-8") as f:
            written = f.read()
        # As it is kept: with its uuid, and each argument in a line of its own.
        self.assertIn(f"\nuuid = {self.host.machine('web')['uuid']}\n", definition)
        self.assertIn("\narguments = -nodefaults\n", definition)
        for text in (written, definition):  # the same, while it runs
            self.host.define(text)
            self.assertEqual(self.host.drover("vm", "show", "web", "--definition").stdout,
                             definition)
        self.assertEqual(self.host.machine("web")["pid"], pid)
        done = self.host.drover("vm", "forget", "web", check=False)
        self.assertEqual(done.status, 8)
        self.assertIn("machine web runs: stop it first", done.stderr)
        self.assertEqual(self.host.drover("vm", "forget", "web", "--if-exists",
                                          check=False).status, 8)
        self.host.drover("vm", "stop", "web", "--if-exists")
        self.host.drover("vm", "forget", "web", "--if-exists")
        for words in (("forget",), ("stop",), ("stop", "--now")):
            done = self.host.drover("vm", *words, "web", "--if-exists")
            self.assertEqual(done.stdout, "There is no machine called web here.\n")
        self.assertEqual(self.host.drover("vm", "stop", "web", check=False).status, 6)
        self.assertNotIn(pid, self.lab.processes())


if __name__ == "__main__":
    unittest.main()
