# SPDX-License-Identifier: MIT
"""Runs in a lab host of two NUMA nodes: memory that is bound arrives on its node, and what
places it runs there."""
import ctypes
import glob
import mmap
import os
import re
import threading
import unittest

from lab import Lab, machine, needs
from lab.host import PROGRAMS
from lab.pair import Pair

HALF = 32 << 20
BOUND = [word for node in (0, 1) for word in (
    "-object", f"memory-backend-{{kind}},id=n{node},size=32M,host-nodes={node},policy=bind",
    "-numa", f"node,memdev=n{node}")]


def halves(pid):
    """Its mappings of 32 MiB: where each begins and ends."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        return [m.groups() for m in re.finditer(r"^(\w+)-(\w+) ", f.read(), re.M)
                if int(m[2], 16) - int(m[1], 16) == HALF]


def mappings(pid, starts):
    """Where the pages of each are that the process has mapped, by the node it is bound to."""
    found = {}
    with open(f"/proc/{pid}/numa_maps", encoding="ascii") as f:
        for line in f:
            words = line.split()
            bound = re.match("bind:([01])$", words[1])
            if words[0] in starts and bound:
                found[int(bound[1])] = {int(n): int(pages) for n, pages in
                                        re.findall(r" N(\d+)=(\d+)", line)}
    return found


def files(pid):
    """The same of files, whose pages a guest that has not run yet has not mapped: we map
    those that are there, and only those."""
    maps = []
    for start, end in halves(pid):
        fd = os.open(f"/proc/{pid}/map_files/{start}-{end}", os.O_RDWR)
        memory, at = mmap.mmap(fd, HALF), 0
        while at < HALF:
            try:
                at = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                break  # no more of them
            hole = os.lseek(fd, at, os.SEEK_HOLE)
            for page in range(at, hole, mmap.PAGESIZE):
                memory[page]  # pylint: disable=pointless-statement
            at = hole
        os.close(fd)
        maps.append(memory)
    starts = [f"{ctypes.addressof(ctypes.c_char.from_buffer(m)):08x}" for m in maps]
    return mappings("self", starts)


def readers(pid):
    """The processors of each thread that places pages."""
    for task in glob.glob(f"/proc/{pid}/task/*"):
        try:
            with open(f"{task}/status", encoding="ascii") as f:
                text = f.read()
        except OSError:
            continue  # it has ended
        if text.startswith("Name:\tchannel in"):
            yield re.search(r"Cpus_allowed_list:\s*(\S+)", text)[1]


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Numa(unittest.TestCase):
    def move(self, kind):
        """Its QEMU at the destination, and where readers were."""
        lab = Lab()
        self.addCleanup(lab.close)
        pair = Pair(lab, links=1, rate="200mbit", memory="64M", vcpus=2,
                    settings={"move": {"option": "tcp"}},
                    guest=[*machine.stress_arguments(fill="44M", rate=0),
                           *(word.format(kind=kind) for word in BOUND)])
        # Not pair.start(): its oracle reads a guest whose memory is in one piece.
        pair.alpha.start()
        pair.beta.start()
        pair.alpha.define(pair.definition)
        pair.alpha.drover("vm", "start", "guest")
        pair.console.wait_line("^drover-stress ready|^hb ", 90)
        seen, over = set(), threading.Event()

        def look():
            while not over.wait(0.02):
                seen.update(readers(pair.beta.pid))
        looking = threading.Thread(target=look)
        looking.start()
        try:
            pair.move("--paused")
        finally:
            over.set()
            looking.join()
        return pair.beta.machine("guest")["pid"], seen

    def check(self, found, seen):
        print(f"pages by node {found}, readers on {sorted(seen)}")
        self.assertEqual(set(found), {0, 1})
        for node, pages in found.items():
            self.assertEqual(set(pages), {node})
        self.assertLessEqual({"0", "1"}, seen)

    def test_private_memory_arrives_on_its_node(self):
        pid, seen = self.move("ram")
        self.check(mappings(pid, [start for start, _ in halves(pid)]), seen)

    def test_a_file_arrives_on_its_node(self):
        pid, seen = self.move("memfd,share=on")
        self.check(files(pid), seen)
