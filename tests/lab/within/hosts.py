# SPDX-License-Identifier: MIT
"""Runs in a lab host: a move in it."""
import unittest

from lab import Lab, machine
from lab.host import PROGRAMS
from lab.core import needs
from lab.pair import Pair


class Inside(unittest.TestCase):
    @needs(*PROGRAMS, "guest/drover-stress.elf")
    def test_a_guest_under_kvm_moves_between_two_namespaces(self):
        lab = Lab()
        self.addCleanup(lab.close)
        self.assertEqual(machine.ACCELERATOR, "kvm")
        pair = Pair(lab, links=1, memory="64M",
                    guest=machine.stress_arguments(fill="32M", hot="4M", rate="4M",
                                                   verify="8M", heartbeat=200))
        pair.start()
        pair.move()
        pair.console.wait_line("^hb ", after=len(pair.console.lines))
        self.assertEqual(pair.console.corrupt(), [])
        self.assertEqual(pair.finish(), [])
