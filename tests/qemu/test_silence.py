# SPDX-License-Identifier: MIT
"""Moves between two daemons: the guest is not silent for longer than they say."""
import unittest

from lab import Stolen, needs, qemu10, slow
from lab.host import PROGRAMS
from test_move import NO_QEMU10, Moves


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Silence(Moves):
    def test_the_guest_goes_on_and_was_not_silent_for_longer_than_reported(self):
        pair = self.pair()
        taken = Stolen()
        job = pair.move()
        pair.console.wait_line("^hb ", after=len(pair.console.lines))
        gap = pair.console.gap_across(pair.source_pid, pair.beta.machine("guest")["pid"])
        self.assertLess(gap.seconds, job["report"]["downtime_ms"] / 1000 + 0.1 + taken.seconds())
        self.assertEqual(pair.finish(), [])


@slow
@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class SilenceOfQemu10(Silence):
    source = destination = qemu10()[0]


@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class SilenceFromOldToNew(Silence):
    destination = qemu10()[0]
    machine_type = "pc-i440fx-7.2"


@slow
@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class SilenceFromNewToOld(Silence):
    source = qemu10()[0]
    machine_type = "pc-i440fx-7.2"


if __name__ == "__main__":
    unittest.main()
