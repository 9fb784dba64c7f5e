# SPDX-License-Identifier: MIT
"""Hosts that are far from each other: a proxy delays every byte on the way."""
import unittest

from lab import Lab, Stolen, needs, proxy, qemu10, slow
from lab.far import MBIT, Far, steady
from lab.host import PROGRAMS

TIME_LIMIT = 300
MIB = 1 << 20


@needs(*PROGRAMS, "guest/drover-stress.elf", proxy.DELAY)
class Distance(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def busy(self, qemu):
        """A guest that changes 8 MiB at twice the link's rate, 80 ms away."""
        return Far(self.lab, 80, fill="64M", rate="240M", hot="8M", memory="128M", qemu=qemu)

    @unittest.skipUnless(qemu10()[0], f"no QEMU 10: {qemu10()[1]}")
    def test_a_guest_that_is_faster_than_a_long_link_is_let_go(self):
        """QEMU 10 asks whether it may switch over."""
        taken = Stolen()
        job, answer = self.busy(qemu10()[0]).move("12s")
        self.assertEqual(job["state"], "done", answer.stderr)
        self.assertLess(job["report"]["total_ms"], 1000 * (8 + taken.seconds()))

    @slow
    def test_what_a_long_link_holds_may_be_on_its_way(self):
        """600 ms: 37 MB of 500 Mbit/s.  The first third is left to the start of the move."""
        link = 500
        far = Far(self.lab, 600, fill="1000M", rate="1M", hot="1M", memory="1152M", channels=4,
                  link=link)
        job, answer, samples = far.watched_move("90s")
        self.assertEqual(job["state"], "done", answer.stderr)
        total = job["report"]["bytes"]["wire"]
        rate = steady(samples, total)
        print(f"{total / MIB:.0f} MiB, {rate / (link * MBIT):.3f} of the link")
        # What TCP leaves of the link is 95 % of it.
        self.assertGreater(rate, 0.9 * 0.95 * link * MBIT)
        self.assertEqual(far.console.corrupt(), [])


if __name__ == "__main__":
    unittest.main()
