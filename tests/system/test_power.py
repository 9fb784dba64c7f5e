# SPDX-License-Identifier: MIT
"""Processors are kept from sleeping deeply while a move runs, and no longer."""
import os
import struct
import unittest

from lab import Lab, needs, wait_for
from lab import machine
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 120
DEVICE = "/dev/cpu_dma_latency"
# What each host asks for: nobody else does for as much.
ALPHA_US, BETA_US = 71, 72


def latency():
    """What the kernel goes by now: the least of all that is asked for."""
    with open(DEVICE, "rb") as f:
        return struct.unpack("i", f.read(4))[0]


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Power(unittest.TestCase):
    def setUp(self):
        if not os.access(DEVICE, os.R_OK | os.W_OK):
            self.skipTest(f"there is no {DEVICE} here, or it is not ours")
        if latency() <= BETA_US:
            self.skipTest("somebody asks for less already")
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, ("alpha", "beta"), links=1, rate="50mbit")
        self.alpha, self.beta = (
            Host(self.lab, name, network[name], network.addresses(name),
                 settings={"power": {"cpu-latency": f"{us}us"}, "move": {"mode": "tcp"}})
            for name, us in (("alpha", ALPHA_US), ("beta", BETA_US)))
        for host in connect(self.alpha, self.beta):
            host.start()
        console = Console(self.lab)
        self.addCleanup(console.close)
        self.alpha.define(machine.definition(
            "web", *machine.stress_arguments(fill="32M", rate="0", hot="4M"),
            *console.arguments(), memory="96M"))
        self.alpha.drover("vm", "start", "web")
        console.wait_line("^drover-stress ready", 60)

    @staticmethod
    def holds(host):
        """How often it has the device open."""
        found = 0
        for fd in os.listdir(f"/proc/{host.pid}/fd"):
            try:
                found += os.readlink(f"/proc/{host.pid}/fd/{fd}") == DEVICE
            except FileNotFoundError:
                pass
        return found

    def test_it_is_held_by_both_hosts_and_let_go_at_the_end(self):
        self.assertEqual((self.holds(self.alpha), self.holds(self.beta)), (0, 0))
        job = self.alpha.drover("move", "web", "beta", "--background", "--json").json
        wait_for("both hold it",
                 lambda: self.holds(self.alpha) == self.holds(self.beta) == 1, 10)
        self.assertEqual(latency(), ALPHA_US)
        self.assertEqual(self.alpha.drover("job", "watch", job["id"], timeout=60).status, 0)
        wait_for("both let it go",
                 lambda: self.holds(self.alpha) == self.holds(self.beta) == 0, 10)
        self.assertGreater(latency(), BETA_US)
        self.assertEqual(self.alpha.newest_job()["report"]["cpu_latency_us"], ALPHA_US)

    def test_a_daemon_that_is_killed_lets_it_go(self):
        self.alpha.drover("move", "web", "beta", "--background")
        wait_for("it is held", lambda: latency() == ALPHA_US, 10)
        self.alpha.kill9()
        wait_for("the other's counts", lambda: latency() != ALPHA_US, 5)

    def test_a_move_does_without_where_there_is_none(self):
        self.alpha.drover("host", "set", "power.cpu-latency-device", "/no/such/device")
        self.assertEqual(self.alpha.drover("move", "web", "beta", timeout=60).status, 0)
        self.assertIn("/no/such/device: No such file", self.alpha.log_text())
        self.assertNotIn("cpu_latency_us", self.alpha.newest_job()["report"])


if __name__ == "__main__":
    unittest.main()
