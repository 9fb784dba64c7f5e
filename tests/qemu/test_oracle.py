# SPDX-License-Identifier: MIT
"""Does the oracle see what it must?  Two QEMUs and no Drover between them."""
import os
import random
import unittest

from lab import Lab, Stolen, qemu10, slow
from lab import machine, oracle
from lab.console import Console

TIME_LIMIT = 300
PARALLEL = True
MEMORY = 128 << 20


class Migration(unittest.TestCase):
    """From one QEMU to another of the same version, through the tap."""

    program = machine.QEMU
    vcpus = 1

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def start(self, name, *arguments, memory=MEMORY, **kwargs):
        return machine.Qemu(self.lab, name, *arguments, *self.guest, program=self.program,
                            memory=f"{memory >> 20}M", vcpus=self.vcpus,
                            tapped="migrate.sock", **kwargs)

    def run_migration(self, memory=MEMORY, shared_source=True, capabilities=None, passes=4,
                      bandwidth=200 << 20, seed=7):
        console = Console(self.lab)
        self.guest = [*machine.boot_sector_arguments(self.lab), *console.arguments()]
        source = self.start("source", memory=memory, shared=shared_source)
        console.wait_line("^hb ")
        if shared_source:
            fill(oracle.memory_file(source.pid, memory), memory, seed)
        destination = self.start("destination", memory=memory, incoming=True)
        machine.migrate(source, destination, self.lab.path("migrate.sock"),
                        capabilities=capabilities, passes=passes, bandwidth=bandwidth,
                        downtime=2000)
        self.console = console
        return source, destination

    def judge(self, source, destination, memory=MEMORY):
        kept = {"pc.ram": destination.memory(memory)}
        return oracle.judge(source.stream(), kept, {"pc.ram": source.memory(memory)})

    def test_finds_no_difference_after_a_good_migration(self):
        verdict = self.judge(*self.run_migration())
        print(verdict)
        self.assertTrue(verdict.good, verdict)
        self.assertEqual(verdict.destination[0].missing, 0)
        self.assertGreater(verdict.counts.normal, MEMORY // 4096 // 3)
        self.assertGreater(verdict.counts.zero, 0)

    def test_finds_one_flipped_bit_in_the_destination(self):
        source, destination = self.run_migration()
        page = MEMORY // 4096 // 2 + 3
        with open(oracle.memory_file(destination.pid, MEMORY), "r+b", buffering=0) as f:
            f.seek(page * 4096 + 1234)
            byte = f.read(1)[0]
            f.seek(page * 4096 + 1234)
            f.write(bytes([byte ^ 0x10]))
        verdict = self.judge(source, destination)
        self.assertFalse(verdict.good)
        self.assertEqual(verdict.destination[0].differ, [page])

    def test_finds_a_page_that_should_be_zero_and_is_not(self):
        source, destination = self.run_migration()
        page = next(p for p in range(MEMORY // 4096 - 1, 0, -1) if is_hole(p))
        with open(oracle.memory_file(destination.pid, MEMORY), "r+b", buffering=0) as f:
            f.seek(page * 4096 + 4095)
            f.write(b"\x01")
        verdict = self.judge(source, destination)
        self.assertEqual(verdict.destination[0].differ, [page])

    def test_applies_xbzrle_deltas(self):
        # So slow that the guest has changed its hot set again before any pass ends.
        size = 16 << 20
        source, destination = self.run_migration(memory=size, bandwidth=4 << 20,
                                                 capabilities={"xbzrle": True})
        verdict = self.judge(source, destination, size)
        print(verdict)
        self.assertGreater(verdict.counts.xbzrle, 0)
        self.assertTrue(verdict.good, verdict)

    def test_reads_an_anonymous_source_through_its_monitor(self):
        source, destination = self.run_migration(shared_source=False)
        memory = oracle.read_source(source.qmp, MEMORY, os.path.join(self.lab.fast, "ram"))
        verdict = oracle.judge(source.stream(), {"pc.ram": destination.memory(MEMORY)},
                               {"pc.ram": memory})
        print(verdict)
        self.assertTrue(verdict.good, verdict)
        # What the boot sector writes is dirtied by emulated stores; TCG may
        # lose some of it, and nothing else.
        self.assertLess(verdict.lost_by_qemu, 160)

    def test_console_sees_the_guest_move(self):
        source, destination = self.run_migration()
        destination.qmp("cont")
        mark = len(self.console.lines)
        self.console.wait_line("^hb ", after=mark)
        gap = self.console.gap_across(source.pid, destination.pid)
        self.assertIsNotNone(gap)
        self.assertGreater(gap.seconds, 0)
        self.assertEqual(self.console.corrupt(), [])

    @slow
    def test_judges_a_gibibyte_in_ten_seconds(self):
        size = 1 << 30
        source, destination = self.run_migration(memory=size)
        taken = Stolen()
        verdict = self.judge(source, destination, size)
        print(verdict)
        self.assertTrue(verdict.good, verdict)
        self.assertLess(verdict.seconds, 10 + taken.seconds())


@slow
@unittest.skipIf(qemu10()[0] is None, f"no QEMU 10: {qemu10()[1]}")
class MigrationOfQemu10(Migration):
    program = qemu10()[0]
    vcpus = 2


class DamagedStream(unittest.TestCase):
    """What is not understood is an error, never a good verdict."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def stream(self, *parts):
        path = self.lab.path("stream")
        with open(path, "wb") as f:
            f.write(b"QEVM\0\0\0\3" + b"".join(parts))
        return path

    def ram(self, *records):
        start = b"\1\0\0\0\2\3ram\0\0\0\0\0\0\0\4"
        blocks = (8192 | 4).to_bytes(8, "big") + b"\1m" + (8192).to_bytes(8, "big")
        foot = b"\x7e\0\0\0\2"
        eos = (16).to_bytes(8, "big")
        return (start + blocks + eos + foot + b"\3\0\0\0\2" + b"".join(records) + eos + foot)

    def test_the_last_version_of_a_page_counts(self):
        path = self.stream(self.ram(
            (8).to_bytes(8, "big") + b"\1m" + b"a" * 4096,
            (4096 | 8 | 32).to_bytes(8, "big") + b"b" * 4096,
            (2 | 32).to_bytes(8, "big") + b"\0"))
        s = oracle.Stream(path)
        self.assertEqual(s.content(s.blocks["m"].pages[0]), bytes(4096))
        self.assertEqual(s.content(s.blocks["m"].pages[1]), b"b" * 4096)

    def test_unknown_page_flags_are_an_error(self):
        with self.assertRaisesRegex(oracle.BadStream, "record flags 0x800"):
            oracle.Stream(self.stream(self.ram((0x800).to_bytes(8, "big"))))

    def test_a_stream_cut_within_ram_is_an_error(self):
        path = self.stream(self.ram((8).to_bytes(8, "big") + b"\1m" + b"a" * 4096))
        os.truncate(path, os.path.getsize(path) - 7)
        with self.assertRaises(oracle.BadStream):
            oracle.Stream(path)

    def test_an_unknown_section_is_an_error(self):
        with self.assertRaisesRegex(oracle.BadStream, "section vfio"):
            oracle.Stream(self.stream(b"\1\0\0\0\2\4vfio\0\0\0\0\0\0\0\4"))


def is_hole(page):
    """fill() leaves every second 4 MiB of the upper memory untouched."""
    return page >= 1024 and page // 1024 % 2 == 1


def fill(path, size, seed):
    """Random pages above 4 MiB (the firmware and the guest live below)."""
    content = random.Random(seed).randbytes(4 << 20)
    with open(path, "r+b", buffering=0) as f:
        for at in range(8 << 20, size - (4 << 20), 8 << 20):
            f.seek(at)
            f.write(at.to_bytes(8, "big") + content[8:])


if __name__ == "__main__":
    unittest.main()
