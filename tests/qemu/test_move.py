# SPDX-License-Identifier: MIT
"""Moves between two daemons: the destination has what QEMU sent, page by page."""
import unittest

from lab import Lab, needs, qemu10, slow
from lab import machine
from lab.host import PROGRAMS
from lab.pair import Pair

TIME_LIMIT = 600
PARALLEL = True


class Moves(unittest.TestCase):
    source = destination = machine.QEMU
    machine_type = "pc"

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def pair(self, **options):
        return Pair(self.lab, source_qemu=self.source, destination_qemu=self.destination,
                    machine_type=self.machine_type, **options).start()

    def check(self, pair):
        verdict = pair.judge()
        print(verdict)
        self.assertTrue(verdict.good, verdict)
        self.assertEqual(verdict.destination[0].missing, 0)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Move(Moves):
    def test_the_destination_has_each_page_as_it_was_sent_last(self):
        pair = self.pair()
        pair.move("--paused")
        self.check(pair)
        self.assertEqual(pair.finish(), [])

    def test_memory_is_whole_with_four_channels(self):
        pair = self.pair(settings={"move": {"connections-per-card": 4}})
        pair.move("--paused")
        self.check(pair)

    def test_the_report_says_what_was_asked_for_and_what_was_done(self):
        pair = self.pair(settings={"move": {"compress": "never"}})
        report = pair.move("--paused", "--mode", "compression", "--network", "lan2",
                           "--network", "10.77.1.0/24", "--connections", 3)["report"]
        self.assertEqual((report["mode_asked"], report["mode_got"]), ("compression", "tcp"))
        self.assertEqual(report["reasons"][:2],
                         ["mode 'compression' uses one pair of cards at a time",
                          "asked for compression, but the settings say compress = never"])
        self.assertIsNone(report["press"])
        self.assertTrue(report["paths"])
        self.assertIsInstance(report["cards"], list)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class CompressedMove(Moves):
    """A guest of zeros, text and noise, over two cards of 1 Gbit/s."""

    def pressed(self, option, **settings):
        """A move with @option; its report. What arrived is what was sent.  Channels wait
        for the workers, as a machine that tests run on may have no idle time."""
        pair = self.pair(settings={"move": {"compress": "always", **settings}})
        report = pair.move("--paused", "--mode", option)["report"]
        self.check(pair)
        press = report["press"]
        print(press)
        self.assertEqual(report["mode_got"], option)
        self.assertGreater(press["after"], 0)
        self.assertGreater(press["before"], press["after"])
        self.assertGreater(press["processor_ms"], 0)
        self.assertRegex(pair.said, r"Compressed +[\d.]+ \S+ to [\d.]+ \S+, ratio [\d.]+, last by "
                                    fr"{press['codec']} level {press['level']}")
        self.assertRegex(pair.said, r"Sent raw +\d+% of the pages because the link took them")
        self.assertLessEqual(max(map(len, pair.said.splitlines())), 80, pair.said)
        return report

    def test_memory_is_whole_when_it_was_compressed(self):
        report = self.pressed("compression")
        used = [p for p in report["paths"] if p["bytes"] > 1 << 20]
        self.assertEqual(len(used), 1, used)

    def test_memory_is_whole_when_it_was_compressed_over_all_cards(self):
        report = self.pressed("auto")
        used = [p for p in report["paths"] if p["bytes"] > 1 << 20]
        self.assertEqual(len(used), 2, used)

    def test_memory_is_whole_with_one_codec_that_is_always_used(self):
        press = self.pressed("auto", codec="zstd:3")["press"]
        self.assertEqual((press["codec"], press["level"]), ("zstd", 3))
        self.assertEqual(press["tried"], [])

    def test_memory_is_whole_with_idle_time_and_each_page_is_counted(self):
        pair = self.pair()
        report = pair.move("--paused")["report"]
        self.check(pair)
        press = report["press"]
        print(press)
        self.assertEqual((report["mode_asked"], press["compress"]), ("compression", "idle"))
        counted = press["before"] + press["dense"] + press["raw_link_free"]
        # Frames of a page or two are not worth it, and each has a head.
        self.assertGreater(counted, 0.8 * report["bytes"]["raw"])
        self.assertLess(counted, 1.02 * report["bytes"]["raw"])
        self.assertLessEqual(press["taken_back"], press["raw_link_free"])


NO_QEMU10 = f"no QEMU 10: {qemu10()[1]}"


@slow
@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class MoveOfQemu10(Move):
    source = destination = qemu10()[0]


@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class MoveFromOldToNew(Move):
    destination = qemu10()[0]
    machine_type = "pc-i440fx-7.2"
    # What does not depend on the version at the other end.
    test_memory_is_whole_with_four_channels = slow(Move.test_memory_is_whole_with_four_channels)
    test_the_report_says_what_was_asked_for_and_what_was_done = slow(
        Move.test_the_report_says_what_was_asked_for_and_what_was_done)


@slow
@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class MoveFromNewToOld(Move):
    source = qemu10()[0]
    machine_type = "pc-i440fx-7.2"


if __name__ == "__main__":
    unittest.main()
