# SPDX-License-Identifier: MIT
"""What a move would take, before anything starts, and what it says while it goes on."""
import unittest

from lab import Lab, needs
from lab import machine
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 200
MIB = 1 << 20


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Estimate(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, ("alpha", "beta"), links=1, rate="100mbit")
        self.alpha, self.beta = (Host(self.lab, name, network[name], network.addresses(name),
                                    settings={"move": {"mode": "tcp"}})
                               for name in ("alpha", "beta"))
        for host in connect(self.alpha, self.beta):
            host.start()

    def start(self, **guest):
        console = Console(self.lab)
        self.addCleanup(console.close)
        self.alpha.define(machine.definition(
            "web", *machine.stress_arguments(**guest), *console.arguments(), memory="256M"))
        self.alpha.drover("vm", "start", "web")
        console.wait_line("^drover-stress ready", 60)

    def estimate(self, *words):
        return self.alpha.drover("move", "--estimate", "web", "beta", "--json", *words).json

    def test_what_moves_have_carried_is_what_the_next_one_is_estimated_by(self):
        self.start(fill="96M", rate="1M", hot="4M")
        before = self.estimate()
        # A veth says that it carries 10 Gbit/s: that is no measurement.
        self.assertEqual((before["sure"], before["rate_measured"]), ("low", False))
        self.assertEqual(before["memory"], 256 * MIB)
        self.assertGreater(before["used"], 90 * MIB)
        self.assertLess(before["used"], 160 * MIB)
        self.assertEqual(self.alpha.api("GET", "/v1/jobs"), [])
        self.assertEqual(self.beta.api("GET", "/v1/machines"), [])
        self.assertEqual(self.alpha.machine("web")["state"], "running")

        seen = self.alpha.drover("move", "web", "beta", "--json", timeout=90).lines
        told = [job["progress"] for job in seen if job["progress"]["time_left_ms"] is not None]
        self.assertGreater(len(told), 3)
        for progress in told:
            self.assertLessEqual(progress["time_left_least_ms"], progress["time_left_ms"])
            self.assertLessEqual(progress["time_left_ms"], progress["time_left_most_ms"])
            self.assertEqual(progress["ends"], "converges")
        self.assertIn("fair", {p["sure"] for p in told})
        took = seen[-1]["report"]["total_ms"]
        self.beta.drover("move", "web", "alpha", timeout=90)

        after = self.estimate()
        self.assertEqual((after["sure"], after["rate_measured"]), ("fair", True))
        # 100 Mbit/s are 11.9 MiB/s.
        self.assertGreater(after["rate"], 9 * MIB)
        self.assertLess(after["rate"], 14 * MIB)
        self.assertEqual(after["ends"], "converges")
        self.assertLess(abs(after["time_ms"] - took), 0.5 * took, (after, took))
        self.assertLess(after["downtime_ms"], 350)
        text = self.alpha.drover("move", "--estimate", "web", "beta").stdout
        self.assertIn("as in moves before", text)

    def test_a_guest_that_is_too_fast_is_told_and_what_would_help(self):
        self.start(fill="160M", rate="80M", hot="128M")
        # At the 10 Gbit/s that its card claims it is not.
        self.alpha.drover("move", "web", "beta", "--timeout", "6s", check=False, timeout=60)
        found = self.estimate()
        # A page counts once in the three seconds that QEMU looks, which is 42 MiB a
        # second.  It looks at 128 pages: half of that is six times their deviation.
        self.assertGreaterEqual(found["dirty_rate"], 20 * MIB)
        self.assertEqual(found["ends"], "never")
        self.assertIsNone(found["time_ms"])
        self.assertRegex(found["advice"], "does not converge: .*--converge throttle")
        found = self.estimate("--converge", "pause", "--timeout", "30s")
        self.assertEqual(found["ends"], "paused")
        self.assertGreater(found["downtime_ms"], 1000)
        self.assertGreater(found["time_ms"], 30000)

    def test_what_does_not_run_or_is_not_there_is_refused(self):
        self.start(fill="16M", rate="0", hot="4M")
        self.alpha.drover("vm", "stop", "web", "--now")
        answer = self.alpha.drover("move", "--estimate", "web", "beta", check=False)
        self.assertEqual(answer.status, 8)
        self.assertIn("does not run", answer.stderr)
        answer = self.alpha.drover("move", "--estimate", "web", "gamma", check=False)
        self.assertNotEqual(answer.status, 0)


if __name__ == "__main__":
    unittest.main()
