#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The oracle: is what QEMU sent what the destination has?

Reads a recorded migration stream (tap.py) from its header to the end of the
section `ram`, the simplest way: one record after the other, and remembers where
in the file the last version of each page stands.  It shares no code with
Drover, and stops with an error at anything that it does not know.

    page differs between stream and destination     Drover's (or our) fault
    page differs between stream and source          QEMU never sent its last
                                                    content: counted, not judged
                                                    (TCG loses dirty pages)

    oracle.py STREAM [BLOCK=FILE...] [--source BLOCK=FILE]
"""
import argparse
import mmap
import os
import struct
import sys
import time
from dataclasses import dataclass, field

PAGE = 4096
ZERO, MEM_SIZE, NORMAL, EOS, CONTINUE = 0x02, 0x04, 0x08, 0x10, 0x20
XBZRLE, MULTIFD_FLUSH = 0x40, 0x200
ZERO_PAGE = bytes(PAGE)
# What stands for "the last version is zeros" and "no version at all".
IS_ZERO, ABSENT = -1, -2

U32 = struct.Struct(">I")
U64 = struct.Struct(">Q")

COMMANDS = {1: "OPEN_RETURN_PATH", 2: "PING", 3: "POSTCOPY_ADVISE", 11: "SWITCHOVER_START"}


class BadStream(Exception):
    pass


@dataclass
class Block:
    name: str
    size: int
    pages: list = field(default_factory=list)   # file offset, IS_ZERO, ABSENT or bytes

    def __post_init__(self):
        self.pages = [ABSENT] * (self.size // PAGE)


@dataclass
class Counts:
    zero: int = 0
    normal: int = 0
    xbzrle: int = 0
    sections: int = 0


class Stream:
    """A recorded stream; parsed by the constructor up to the end of RAM."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        self.size = len(self.data)
        self.at = 0
        self.blocks = {}
        self.counts = Counts()
        self.machine = None
        self.capabilities = []
        self.commands = []
        self.ram_end = None
        self._ids = {}
        self._block = None
        try:
            self._parse()
        except (struct.error, IndexError):
            raise BadStream(f"{path}: ends within a record, at byte {self.at} "
                            f"of {self.size}") from None

    # -- primitives
    def _u8(self):
        value = self.data[self.at]
        self.at += 1
        return value

    def _u32(self):
        value, = U32.unpack_from(self.data, self.at)
        self.at += 4
        return value

    def _u64(self):
        value, = U64.unpack_from(self.data, self.at)
        self.at += 8
        return value

    def _bytes(self, n):
        value = self.data[self.at:self.at + n]
        if len(value) != n:
            raise IndexError
        self.at += n
        return value

    def _name(self):
        return self._bytes(self._u8()).decode()

    def _bad(self, what):
        raise BadStream(f"{self.path}: {what}, at byte {self.at}")

    # -- framing
    def _parse(self):
        if self._bytes(4) != b"QEVM" or self._u32() != 3:
            self._bad("not a migration stream of version 3")
        if self.data[self.at] == 0x07:
            self.at += 1
            self._configuration()
        while self.ram_end is None:
            kind = self._u8()
            if kind in (0x01, 0x04):
                self._section_start(kind)
            elif kind in (0x02, 0x03):
                number = self._u32()
                self._body(number, kind)
            elif kind == 0x08:
                self._command()
            else:
                self._bad(f"section type {kind:#x}")

    def _configuration(self):
        self.machine = self._bytes(self._u32()).decode()
        while self.data[self.at] == 0x05:
            self.at += 1
            name = self._name()
            self._u32()
            if name == "configuration/capabilities":
                self.capabilities = [self._name() for _ in range(self._u32())]
            elif name == "configuration/target-page-bits":
                self._u32()
            elif name == "configuration/uuid":
                self._bytes(16)
            else:
                self._bad(f"configuration subsection {name}")

    def _section_start(self, kind):
        number = self._u32()
        name = self._name()
        self._u32()
        self._u32()
        self._ids[number] = name
        if kind == 0x04 and not name.endswith("virtio-mem-device-early"):
            self._bad(f"device state of {name} before the end of RAM")
        self._body(number, kind)

    def _body(self, number, kind):
        name = self._ids.get(number)
        if name == "ram":
            self._ram()
            if kind == 0x03:
                self.ram_end = self.at
        elif name == "dirty-bitmap":
            self._dirty_bitmap()
        elif name and name.endswith("virtio-mem-device-early"):
            self._virtio_mem()
        else:
            self._bad(f"section {name or number}")
        if self._u8() != 0x7E or self._u32() != number:
            self._bad(f"no footer of section {name}")

    def _command(self):
        number, length = struct.unpack_from(">HH", self.data, self.at)
        self.at += 4
        payload = self._bytes(length)
        if number not in COMMANDS:
            self._bad(f"command {number}")
        if number == 3 and payload[:8] not in (b"", U64.pack(PAGE)):
            self._bad("post-copy of huge pages: the block list is another one")
        self.commands.append((COMMANDS[number], payload))

    def _dirty_bitmap(self):
        while True:
            flags = self._u8()
            if flags == 0x01:
                return
            if flags & 0x08:
                self._name()
            if flags & 0x04:
                self._name()
            if flags & 0x10:
                self._bytes(5)
            elif flags & 0x40:
                self._bytes(12)
                if not flags & 0x02:
                    self._bytes(self._u64())
            elif not flags & 0x20:
                self._bad(f"dirty bitmap flags {flags:#x}")

    def _virtio_mem(self):
        self._u64()
        region, size = self._u64(), self._u64()
        self._bytes(4 + 8)
        self._bytes(8 * ((region // size + 63) // 64))

    # -- RAM
    def _block_list(self, total):
        while total > 0:
            name, size = self._name(), self._u64()
            if "x-ignore-shared" in self.capabilities:
                self._u64()
            self.blocks[name] = Block(name, size)
            total -= size
        if total:
            self._bad("block sizes do not add up")

    def _ram(self):
        """One body of section ram: records until EOS."""
        # The one loop where time counts: a million records are usual.
        data, unpack, at = self.data, U64.unpack_from, self.at
        pages = self._block.pages if self._block else None
        zero = normal = 0
        self.counts.sections += 1
        while True:
            value, = unpack(data, at)
            at += 8
            flags, offset = value & 0xFFF, value & ~0xFFF
            if flags & (ZERO | NORMAL | XBZRLE):
                if not flags & CONTINUE:
                    end = at + 1 + data[at]
                    name = data[at + 1:end].decode()
                    at = end
                    self._block = self.blocks.get(name)
                    if not self._block:
                        self.at = at
                        self._bad(f"page of a block {name} that was not announced")
                    pages = self._block.pages
                flags &= ~CONTINUE
                if flags == NORMAL:
                    pages[offset >> 12] = at
                    at += PAGE
                    normal += 1
                elif flags == ZERO:
                    if data[at]:
                        self._bad("a zero page filled with something else")
                    pages[offset >> 12] = IS_ZERO
                    at += 1
                    zero += 1
                elif flags == XBZRLE:
                    self.at = at
                    pages[offset >> 12] = self._delta(pages[offset >> 12])
                    at = self.at
                else:
                    self._bad(f"page flags {flags:#x}")
            elif flags == EOS:
                break
            elif flags == MEM_SIZE:
                self.at = at
                self._block_list(offset)
                at = self.at
            elif flags != MULTIFD_FLUSH:
                self._bad(f"record flags {flags:#x}")
        self.at = at
        self.counts.zero += zero
        self.counts.normal += normal

    def _delta(self, last):
        """XBZRLE: runs to keep and runs to replace, in turn."""
        if self._u8() != 1:
            self._bad("XBZRLE encoding")
        length, = struct.unpack_from(">H", self.data, self.at)
        self.at += 2
        delta = self._bytes(length)
        page = bytearray(self.content(last))
        i = to = 0
        keep = True
        while i < length:
            run = delta[i]
            i += 1
            if run & 0x80:
                run = run & 0x7F | delta[i] << 7
                i += 1
            if not keep:
                page[to:to + run] = delta[i:i + run]
                i += run
            to += run
            keep = not keep
        if len(page) != PAGE:
            self._bad("an XBZRLE delta beyond its page")
        self.counts.xbzrle += 1
        return bytes(page)

    def content(self, version):
        if isinstance(version, bytes):
            return version
        if version == ABSENT:
            raise BadStream(f"{self.path}: a delta to a page that was never sent")
        return ZERO_PAGE if version == IS_ZERO else self.data[version:version + PAGE]

    def close(self):
        self.data.close()


@dataclass
class Comparison:
    block: str
    pages: int
    differ: list = field(default_factory=list)     # page numbers
    missing: int = 0                               # never in the stream

    def __str__(self):
        text = f"{self.block}: {self.pages} pages, {len(self.differ)} differ"
        if self.differ:
            text += " (" + ", ".join(f"{p:#x}" for p in self.differ[:8]) + \
                    (", ..." if len(self.differ) > 8 else "") + ")"
        return text + f", {self.missing} never sent"


def compare(stream, name, memory):
    """The last version of each page of block `name` against a Memory."""
    block = stream.blocks[name]
    data, size = stream.data, min(block.size, len(memory))
    result = Comparison(name, block.size // PAGE)
    if len(memory) < block.size:
        raise BadStream(f"{name}: {block.size} bytes in the stream, "
                        f"{len(memory)} in {memory.what}")
    at = 0
    for version in block.pages:
        if at >= size:
            break
        if version == IS_ZERO:
            expected = ZERO_PAGE
        elif version == ABSENT:
            result.missing += 1
            at += PAGE
            continue
        elif isinstance(version, int):
            expected = data[version:version + PAGE]
        else:
            expected = version
        if memory[at:at + PAGE] != expected:
            result.differ.append(at // PAGE)
        at += PAGE
    return result


class Memory:
    """A RAM block's memory, held open: it outlives the QEMU it came from."""

    def __init__(self, path, what=None):
        self.what = what or path
        with open(path, "rb") as f:
            self.size = os.fstat(f.fileno()).st_size
            self.map = mmap.mmap(f.fileno(), self.size, access=mmap.ACCESS_READ)

    def __len__(self):
        return self.size

    def __getitem__(self, where):
        return self.map[where]

    @staticmethod
    def of_process(pid, size=None):
        """The RAM of a QEMU: shared, found among its descriptors by its size, or its
        own, which is there as long as it lives."""
        try:
            return Memory(memory_file(pid, size), f"memory of process {pid}")
        except FileNotFoundError:
            return PrivateMemory(pid, size)

    def close(self):
        self.map.close()


class PrivateMemory:
    """The same of memory that a QEMU has for itself, read while it lives."""

    def __init__(self, pid, size=None):
        self.what = f"memory of process {pid}"
        self.start, self.size = private_memory(pid, size)
        self.file = os.open(f"/proc/{pid}/mem", os.O_RDONLY)

    def __len__(self):
        return self.size

    def __getitem__(self, where):
        start, end, step = where.indices(self.size)
        assert step == 1
        found = os.pread(self.file, end - start, self.start + start)
        while found and len(found) < end - start:
            more = os.pread(self.file, end - start - len(found),
                            self.start + start + len(found))
            found = found + more if more else b""
        if len(found) < end - start:
            raise ProcessLookupError(f"{self.what}: it has ended")
        return found

    def close(self):
        os.close(self.file)


def private_memory(pid, size=None):
    """Where a QEMU has its largest private memory, or the only one of this size."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        for line in f:
            where, access, _, _, inode, *name = line.split()
            start, end = (int(x, 16) for x in where.split("-"))
            if (access == "rw-p" and inode == "0" and (size is None or end - start == size)
                    and (not name or name[0].startswith("[anon:"))):
                found.append((end - start, start))
    if not found or (size is not None and len(found) > 1):
        raise FileNotFoundError(f"process {pid} has {len(found)} private mappings"
                                + (f" of {size} bytes" if size else ""))
    length, start = max(found)
    return start, length


def memory_place(pid, size=None):
    """The file, and where in it the RAM of a QEMU begins, to be written to."""
    try:
        return memory_file(pid, size), 0
    except FileNotFoundError:
        return f"/proc/{pid}/mem", private_memory(pid, size)[0]


def memory_file(pid, size=None):
    """/proc/PID/fd/N of the (largest, or the one of this size) shared memory."""
    found = []
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        try:
            target = os.readlink(path)
            length = os.stat(path).st_size
        except OSError:
            continue
        if not target.startswith(("/memfd:", "/dev/shm/", "/dev/hugepages/")):
            continue
        if length and (size is None or length == size):
            found.append((length, path))
    if not found:
        raise FileNotFoundError(f"process {pid} has no shared memory"
                                + (f" of {size} bytes" if size else ""))
    return max(found)[1]


def read_source(qmp, size, path):
    """The paused source's memory by its monitor, for one without shared RAM.
    Guest addresses equal block offsets only below the hole at 3 GiB."""
    assert size <= 2 << 30
    qmp("pmemsave", val=0, size=size, filename=path)
    return Memory(path, "memory of the source")


@dataclass
class Verdict:
    destination: list
    source: list
    seconds: float
    counts: Counts

    @property
    def good(self):
        return not any(c.differ for c in self.destination)

    @property
    def lost_by_qemu(self):
        return sum(len(c.differ) for c in self.source)

    def __str__(self):
        lines = [f"destination: {c}" for c in self.destination]
        lines += [f"source: {c}" for c in self.source]
        c = self.counts
        lines.append(f"stream: {c.normal} pages, {c.zero} zero pages, {c.xbzrle} deltas in "
                     f"{c.sections} sections; judged in {self.seconds:.1f} s")
        return "\n".join(lines)


def judge(stream_path, destination, source=None):
    """destination, source: {block name: Memory}."""
    start = time.monotonic()
    stream = Stream(stream_path)
    verdict = Verdict([compare(stream, name, memory) for name, memory in destination.items()],
                      [compare(stream, name, memory) for name, memory in (source or {}).items()],
                      0.0, stream.counts)
    stream.close()
    verdict.seconds = time.monotonic() - start
    return verdict


def main():
    parser = argparse.ArgumentParser(description="compare a recorded migration stream "
                                                 "with the memory of both ends")
    parser.add_argument("stream")
    parser.add_argument("destination", nargs="*", metavar="BLOCK=FILE")
    parser.add_argument("--source", action="append", default=[], metavar="BLOCK=FILE")
    args = parser.parse_args()

    def memories(words):
        return {name: Memory(path) for name, path in (w.split("=", 1) for w in words)}

    try:
        verdict = judge(args.stream, memories(args.destination), memories(args.source))
    except (BadStream, OSError) as e:
        print(f"oracle: {e}", file=sys.stderr)
        return 2
    print(verdict)
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
