# SPDX-License-Identifier: MIT
"""What `vm list` and `vm show` say of a machine is what its QEMU says."""
import os
import signal
import unittest

from lab import Lab, machine, needs, wait_for
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.qmp import QMP

TIME_LIMIT = 120
PARALLEL = True


@needs(*PROGRAMS)
class Case(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"))
        limits = {"outage-limit": "2s", "switchover-outage-limit": "1s"}
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name),
                 settings={"move": limits}) for name in ("alpha", "beta")))
        self.alpha.start()
        self.alpha.define(machine.definition("web", *machine.boot_sector_arguments(self.lab),
                                             memory="16M"))
        self.alpha.drover("vm", "start", "web")
        self.pid = self.alpha.machine("web")["pid"]

    def monitor(self, *commands):
        """Somebody else's client; the answer to the last command."""
        qmp = QMP(os.path.join(self.alpha.run_dir, "machines", "web", "qmp.sock"))
        try:
            for command in commands:
                answer = qmp(command)
            return answer
        finally:
            qmp.close()

    def state(self):
        shown = self.alpha.machine("web")
        listed, = self.alpha.api("GET", "/v1/machines")
        # That is only looked up for one.
        self.assertEqual(shown | {"huge_pages": None}, listed)
        return shown["state"], shown["status"]

    def await_state(self, state):
        return wait_for(f"state {state}", lambda: (m := self.alpha.machine("web"))["state"] == state
                        and m, 10, 0.05)


class Paused(Case):
    def test_by_somebodys_monitor(self):
        self.assertEqual(self.state(), ("running", "running"))
        self.monitor("stop")
        self.assertEqual(self.state(), ("paused", "paused"))
        self.monitor("cont")
        self.assertEqual(self.state(), ("running", "running"))

    def test_by_command(self):
        self.assertEqual(self.alpha.drover("vm", "pause", "web", "--json").json["state"], "paused")
        self.assertFalse(self.monitor("query-status")["running"])
        self.assertEqual(self.state(), ("paused", "paused"))
        self.assertEqual(self.alpha.drover("vm", "resume", "web").stdout, "web goes on.\n")
        self.assertTrue(self.monitor("query-status")["running"])
        self.assertEqual(self.state(), ("running", "running"))
        self.alpha.drover("vm", "stop", "web", "--now")
        for command in ("pause", "resume"):
            answer = self.alpha.drover("vm", command, "web", check=False)
            self.assertEqual(answer.status, 8)
            self.assertIn("machine web does not run", answer.stderr)

    def test_a_monitor_that_is_in_use_holds_nobody_up(self):
        qmp = QMP(os.path.join(self.alpha.run_dir, "machines", "web", "qmp.sock"))
        self.addCleanup(qmp.close)
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        self.assertIsNone(self.alpha.machine("web")["status"])


class Ended(Case):
    def test_one_that_was_killed_is_lost_until_it_is_started(self):
        os.kill(self.pid, signal.SIGKILL)
        # Then come the last words of its log, whatever they are.
        self.assertRegex(self.await_state("lost")["lost"], "^its QEMU was killed by signal 9: .")
        self.alpha.restart()
        self.assertEqual(self.alpha.machine("web")["state"], "lost")
        self.alpha.drover("vm", "start", "web")
        self.assertEqual(self.state(), ("running", "running"))

    def test_one_that_ended_in_good_order_is_stopped(self):
        self.monitor("quit")
        self.assertIsNone(self.await_state("stopped")["lost"])

    def test_while_no_daemon_was_there(self):
        self.alpha.stop()
        os.kill(self.pid, signal.SIGKILL)
        wait_for("its end", lambda: not os.path.exists(f"/proc/{self.pid}"))
        self.alpha.start()
        self.assertEqual(self.alpha.machine("web")["state"], "lost")
        self.alpha.drover("vm", "stop", "web", "--now")
        self.assertEqual(self.alpha.machine("web")["state"], "stopped")

    def test_a_forgotten_one_leaves_no_zombie(self):
        self.alpha.drover("vm", "forget", "web", "--leave-running")
        self.assertTrue(os.path.exists(f"/proc/{self.pid}"))
        os.kill(self.pid, signal.SIGKILL)
        wait_for("its end", lambda: not os.path.exists(f"/proc/{self.pid}"), 5)


class Signals(Case):
    def test_the_hangup_of_a_terminal_does_not_end_the_daemon(self):
        os.kill(self.alpha.pid, signal.SIGHUP)
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        self.assertTrue(self.alpha.running())
        self.assertEqual(self.alpha.stop(), 0)


class Log(Case):
    def test_it_is_bounded_and_keeps_its_end(self):
        path = os.path.join(self.alpha.run_dir, "machines", "web", "qemu.log")
        with open(path, "ab") as f:
            f.write(b"a guest that makes its QEMU complain\n" * 60000 + b"the last line\n")
        self.assertGreater(os.path.getsize(path), 2 << 20)
        wait_for("a shorter log", lambda: os.path.getsize(path) <= 64 << 10, 5)
        with open(path, "rb") as f:
            self.assertTrue(f.read().endswith(b"complain\nthe last line\n"))


class LogLevel(unittest.TestCase):
    """Of the daemon, while it runs."""

    def test_it_holds_at_once_and_until_the_next_change(self):
        lab = Lab()
        self.addCleanup(lab.close)
        network = Network(lab, ("alpha", "beta"))
        host = Host(lab, "alpha", network["alpha"], network.addresses("alpha")).start()
        asked = "API: GET /v1/nics: 200"

        def level(*words):
            return host.drover("log", "level", *words).stdout
        for word, seen in (("", 0), ("debug", 1), ("error", 1), ("debug", 2), ("info", 2)):
            if word:
                self.assertEqual(level(word), f"The log level is {word}.\n")
            self.assertEqual(level(), f"The log level is {word or 'info'}.\n")
            host.drover("nic", "list")
            self.assertEqual(host.log_text().count(asked), seen)
        self.assertIn("the log level is debug from here on, it was error", host.log_text())
        wrong = host.drover("log", "level", "loud", check=False)
        self.assertEqual((wrong.status, wrong.stderr),
                         (2, "drover: log level loud: 'loud' is not a log level: use error, "
                             "warning, info or debug\n"))


class InDoubt(Case):
    def test_it_is_said_and_stop_says_what_ends_it(self):
        self.beta.start()
        point = self.lab.path("point")
        self.alpha.restart(fault=f"source:before-commit-sent=wait:{point}")
        move = self.lab.spawn(self.alpha.drover_argv("move", "web", "beta"))
        wait_for("the point", lambda: os.path.exists(point + ".reached"), 20)
        self.beta.kill9()
        with open(point, "w", encoding="ascii"):
            pass
        job = self.await_state("in-doubt")["job"]
        answer = self.alpha.drover("vm", "stop", "web", "--now", check=False)
        self.assertEqual(answer.status, 8)
        self.assertIn(f"machine web has been in doubt since job {job}", answer.stderr)
        self.assertIn(f"drover job resolve {job}", answer.stderr)
        # It asks five times a second, and has to see the doubt before that ends.
        self.assertEqual(move.wait(20), 4)
        self.alpha.drover("job", "resolve", job, "--run-here")
        self.assertEqual(self.await_state("running")["pid"], self.pid)


if __name__ == "__main__":
    unittest.main()
