# SPDX-License-Identifier: MIT
"""What daemons say to each other (docs/wire.md), said by a test: one that means harm,
or that asks for what no `drover` would."""
import ctypes
import json
import struct
import threading
import time

PAGES, STREAM, MESSAGE, ACK, BYE = 1, 2, 3, 4, 5
OPEN, JOIN, ACCEPT, REFUSE = 1, 2, 3, 4
DATA, ZERO, FILL, SAME, DELTA, PROOF = range(6)
LZ4, ZSTD = 1, 2

_xxh = ctypes.CDLL("libxxhash.so.0")
_xxh.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_xxh.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def xxh3(data, seed=0):
    return _xxh.XXH3_64bits_withSeed(data, len(data), seed)


def hello(kind, text=b"alpha", session=0, secret=bytes(32), version=2, lowest=2):
    head = b"DROVER\r\n" + struct.pack(">HHHHQ", version, lowest, kind, len(text), session)
    data = head + secret + text
    return data + struct.pack(">Q", xxh3(data))


def page_sum(page):
    return struct.pack(">Q", xxh3(page, 0x50414745))


def delta(content, *records, length=None):
    """Side bytes that say: the page becomes `content` by (skip, words)."""
    data = b"".join(struct.pack(">HH", skip, len(words) // 8) + words for skip, words in records)
    return struct.pack(">H", len(data) if length is None else length) + page_sum(content) + data


def batch(block, runs, side=b"", data=b"", codec=0, side_length=None):
    """Of (first page, pages, kind)."""
    pages = sum(count for _, count, kind in runs if kind == DATA)
    return struct.pack(">HBBHHI", block, codec, 0, len(runs), pages,
                       len(side) if side_length is None else side_length) + \
        b"".join(struct.pack(">QII", *run) for run in runs) + side + data


class Peer:
    """One connection, and what can be said on it."""

    def __init__(self, suite, first=None):
        self.socket = suite.attacker.socket()
        suite.addCleanup(self.socket.close)
        self.socket.settimeout(10)
        self.socket.connect((suite.target, 6600))
        self.session, self.secret, self.seq, self.ordinal = 0, bytes(32), 0, 0
        self.sending = threading.Lock()
        if first:
            self.send(first)

    def send(self, data):
        try:
            with self.sending:
                self.socket.sendall(data)
        except OSError:
            return False
        return True

    def stay(self):
        """Say something now and then: who is silent for a second is hung up on."""
        def talk():
            while self.frame(ACK, struct.pack(">QIIQQ", 1, 0, 0, 0, 0)):
                time.sleep(0.2)
        threading.Thread(target=talk, daemon=True).start()

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def answer(self):
        """(kind, text) of the other side's hello."""
        head = self.read(56)
        kind, length, self.session = struct.unpack(">HHQ", head[12:24])
        self.secret = head[24:56]
        return kind, self.read(length + 8)[:-8].decode()

    def frame(self, kind, payload=b"", *, seq=None, offset=0, stream=0, flags=0, length=None):
        if seq is None:
            self.seq += kind <= MESSAGE
            seq = self.seq if kind <= MESSAGE else 0
        length = len(payload) if length is None else length
        head = struct.pack(">BBHIQQQ", kind, flags, stream, length, seq, offset, xxh3(payload))
        return self.send(head + struct.pack(">Q", xxh3(head, self.session)) + payload)

    def message(self, value):
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.ordinal += 1
        return self.frame(MESSAGE, text, offset=self.ordinal - 1)

    def frames(self):
        """(kind, payload) of what comes, to the end."""
        try:
            while True:
                kind, length = struct.unpack(">B3xI", self.read(40)[:8])
                yield kind, self.read(length)
        except OSError:
            return

    def goodbye(self):
        """The reason with which the other side ends the session."""
        for kind, payload in self.frames():
            if kind == BYE:
                return payload.decode()
        return None

    def leave(self):
        """In good order: nobody waits whether it comes back."""
        self.frame(BYE)
        self.socket.close()

    def reply(self):
        for kind, payload in self.frames():
            if kind == MESSAGE:
                return json.loads(payload)
        return None
