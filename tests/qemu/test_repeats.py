# SPDX-License-Identifier: MIT
"""A guest that writes a few bytes of a page again and again, over a slow card.

It dirties pages faster than the card carries them whole.  What the destination
has in the end is what QEMU sent, page by page, also when connections are cut
while deltas are on their way, and are sent again.
"""
import os
import threading
import unittest

from lab import Lab, Stolen, needs, qemu10, slow, wait_for
from lab import machine, oracle
from lab.host import PROGRAMS
from lab.pair import Pair

TIME_LIMIT = 400


def damage(pid, size):
    """One byte of each page, until its QEMU is ended for it."""
    path, start = oracle.memory_place(pid, size)
    with open(path, "r+b", buffering=0) as f:
        for at in range(start + 100, start + size, 4096):
            byte = os.pread(f.fileno(), 1, at)
            if not byte:
                break
            os.pwrite(f.fileno(), bytes([byte[0] ^ 1]), at)


class Case(unittest.TestCase):
    program = machine.QEMU

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def pair(self, rate="40M", hot="40M", fill="64M", cache="48M", **settings):
        guest = machine.stress_arguments(fill=fill, rate=rate, hot=hot, touch="few")
        return Pair(self.lab, links=1, rate="100mbit", memory="128M", guest=guest,
                    source_qemu=self.program,
                    settings={"move": {"repeat-cache": cache, **settings}}).start()

    def check(self, pair):
        """Memory is what was sent; then the guest runs on and finds nothing."""
        verdict = pair.judge()
        print(verdict)
        self.assertTrue(verdict.good, verdict)
        self.assertEqual(verdict.destination[0].missing, 0)
        pair.beta.drover("vm", "start", "guest")
        pid = pair.beta.machine("guest")["pid"]
        # All of the memory is verified in less than three seconds.
        wait_for("heartbeats at the destination", lambda: sum(
            x.pid == pid for x in pair.console.heartbeats()) > 150, 20)
        if not verdict.lost_by_qemu:
            self.assertEqual(pair.console.corrupt(), [])

    def move(self, pair, option="compression"):
        report = pair.move("--paused", "--mode", option, "--timeout", "90s")["report"]
        print(report["pages"], report["bytes"], f"{report['downtime_ms']} ms")
        return report


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Deltas(Case):
    def test_a_hot_set_faster_than_the_link_arrives_as_deltas(self):
        pair = self.pair()
        taken = Stolen()
        report = self.move(pair)
        pages = report["pages"]
        self.assertGreater(pages["delta"], 3000)
        # Generation, two sums and a word, of one change or of a few.
        self.assertLess(pages["delta_bytes"], pages["delta"] * 200)
        self.assertGreater(pages["zero"], 0)
        self.assertLess(report["downtime_ms"], 1000 + 1000 * taken.seconds())
        self.assertIn(f"{pages['delta']} as what had changed", " ".join(pair.said.split()))
        self.check(pair)

    @slow
    def test_deltas_are_whole_when_connections_break_all_the_time(self):
        pair = self.pair(**{"connections-per-card": 4})
        over = threading.Event()

        def cut():
            while not over.wait(0.4):
                pair.network.links[0].reset()
        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            report = self.move(pair)
        finally:
            over.set()
            cutter.join()
        self.assertGreater(report["pages"]["delta"], 1000)
        self.assertGreater(report["bytes"]["resent"], 0)
        self.check(pair)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Repeats(Case):
    @slow
    def test_deltas_are_whole_when_one_of_two_cards_fails(self):
        guest = machine.stress_arguments(fill="64M", rate="60M", hot="40M", touch="few")
        pair = Pair(self.lab, links=2, rate="50mbit", memory="128M", guest=guest,
                    source_qemu=self.program, settings={"move": {"repeat-cache": "48M"}}).start()
        over = threading.Event()

        def fail():
            while not over.wait(1):
                pair.network.links[1].flap(0.7)
        breaker = threading.Thread(target=fail)
        breaker.start()
        try:
            report = self.move(pair, "auto")
        finally:
            over.set()
            breaker.join()
        self.assertGreater(report["pages"]["delta"], 1000)
        self.assertGreater(report["bytes"]["resent"], 0)
        self.check(pair)

    def test_a_destination_with_other_memory_ends_the_move_and_the_guest_stays(self):
        # So much that QEMU never finds a moment to switch over.
        pair = self.pair(rate="400M", **{"downtime-limit": "1ms"})
        number = pair.alpha.drover("move", "guest", "beta", "--mode", "compression",
                                   "--background", "--json").json["id"]
        wait_for("deltas", lambda: pair.alpha.job(number)["progress"]["pages"]["delta"] > 500,
                 60)
        there, = (pid for pid, line in self.lab.processes().items()
                  if f"{pair.beta.run_dir}/" in line and " -name " in line)
        damage(there, pair.bytes)
        ended = pair.alpha.wait_job(number, timeout=30)
        self.assertEqual(ended["state"], "failed")
        self.assertRegex(ended["error"], "page [0-9]+ of RAM block pc.ram is not what the source "
                                         "says it is")
        self.assertEqual(pair.alpha.machine("guest")["state"], "running")
        pair.console.wait_line("^hb ", 5, after=len(pair.console.lines))
        self.assertEqual(pair.console.corrupt(), [])

    def test_without_a_cache_only_what_is_unchanged_is_left_out(self):
        pair = self.pair(rate="10M", hot="6M", fill="32M", cache="0")
        pages = self.move(pair)["pages"]
        self.assertGreater(pages["data"], 0)
        # A page that was zero needs no cache; this guest has a handful.
        self.assertLess(pages["delta"], 100)
        self.check(pair)

    def test_without_compression_every_page_travels_as_it_is(self):
        pair = self.pair(rate="5M", hot="4M", fill="32M")
        pages = self.move(pair, "tcp")["pages"]
        self.assertGreater(pages["data"], 0)
        self.assertEqual([pages[k] for k in ("filled", "unchanged", "delta", "delta_bytes")],
                         [0, 0, 0, 0])
        self.check(pair)


@slow
@unittest.skipIf(qemu10()[0] is None, f"no QEMU 10: {qemu10()[1]}")
class DeltasOfQemu10(Deltas):
    program = qemu10()[0]


if __name__ == "__main__":
    unittest.main()
