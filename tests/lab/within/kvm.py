# SPDX-License-Identifier: MIT
"""Runs in a lab host: moves of a guest under KVM, which checks its own memory.

KVM's dirty log is right where that of QEMU 7.2's TCG is not, so here the guest is the
judge of the whole way: of all that it has after each move.
"""
import re
import unittest

from lab import Lab, core, machine, needs
from lab.host import PROGRAMS
from lab.pair import Pair

MOVES = 3
PAGES = (24 << 20) // 4096
# What is chosen anew for each run of `make soak`.
RATES, HOT = ("4M", "10M", "20M"), ("4M", "8M", "16M")


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Kvm(unittest.TestCase):
    def verified(self, pair):
        """Pages that the guest has checked so far."""
        line = pair.console.heartbeats()[-1].text
        return int(re.search(r"verified=(\d+)", line).group(1))

    def test_a_guest_under_kvm_finds_no_page_that_is_wrong(self):
        lab = Lab()
        self.addCleanup(lab.close)
        self.assertEqual(machine.ACCELERATOR, "kvm")
        chance = core.chance()
        pair = Pair(lab, links=2, memory="64M", settings={"move": {"option": "auto"}},
                    guest=machine.stress_arguments(
                        fill="24M", hot=chance.choice(HOT),
                        rate=chance.choice(RATES), verify="16M", heartbeat=200,
                        seed=chance.randrange(1, 1000))).start()
        here, there = pair.alpha, pair.beta
        for number in range(MOVES):
            answer = here.drover("move", "guest", there.name, check=False)
            self.assertEqual(answer.status, 0, answer.stderr + here.log_text()[-600:])
            report = here.newest_job(kind="move")["report"]
            here, there = there, here
            before = self.verified(pair)
            core.wait_for("a check of all its memory",
                          lambda: self.verified(pair) > before + PAGES or pair.console.corrupt(),
                          120, 0.2)
            print(f"move {number + 1}: {report['total_ms']} ms, paused {report['downtime_ms']}, "
                  f"{report['rounds']} rounds; {pair.console.heartbeats()[-1].text}")
            self.assertEqual(pair.console.corrupt(), [])
        self.assertEqual(here.machine("guest")["state"], "running")
