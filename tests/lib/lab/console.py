# SPDX-License-Identifier: MIT
"""Serial lines of a machine with the host's time of each, wherever it runs.

The console is a unix socket that we listen on and that every QEMU of the
machine connects to (`-chardev socket,...,server=off`): so the lines of the
source's and of the destination's QEMU come in one list, with no polling, and
each says which process it came from.
"""
import os
import re
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass

from .core import Failed, wait_for

HEARTBEAT = re.compile(r"^hb (\d+) t=(\d+)\b(?:.*\bverified=(\d+))?")


@dataclass
class Line:
    at: float       # time.monotonic() when its last byte arrived
    pid: int        # the QEMU
    text: str


@dataclass
class Gap:
    seconds: float
    before: Line
    after: Line


class Console:
    def __init__(self, lab, path=None):
        self.path = path or lab.path("console")
        self.lines = []
        self.pids = []      # of the QEMUs that came, the first one first
        self._rest = {}
        self._stop, self._wake = socket.socketpair()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(self._stop, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        lab.cleanup(self.close)

    def arguments(self, name="console"):
        """QEMU's arguments for a first serial line that ends here."""
        return ["-chardev", f"socket,id={name},path={self.path},server=off",
                "-serial", f"chardev:{name}"]

    def _read(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._stop:
                    return
                if key.fileobj is self._listener:
                    peer, _ = self._listener.accept()
                    pid = struct.unpack("3i", peer.getsockopt(
                        socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
                    self.pids.append(pid)
                    self._selector.register(peer, selectors.EVENT_READ, pid)
                    self._rest[peer] = b""
                else:
                    self._take(key.fileobj, key.data)

    def _take(self, peer, pid):
        try:
            data = peer.recv(65536)
        except OSError:
            data = b""
        now = time.monotonic()
        if not data:
            self._selector.unregister(peer)
            peer.close()
            return
        *whole, self._rest[peer] = (self._rest[peer] + data).split(b"\n")
        for line in whole:
            self.lines.append(Line(now, pid, line.decode(errors="replace").rstrip("\r")))

    def wait_line(self, pattern, timeout=20, after=0):
        """The first line from number `after` on that the pattern matches."""
        pattern = re.compile(pattern)

        def found():
            return next((x for x in self.lines[after:] if pattern.search(x.text)), None)
        try:
            return wait_for(f"console line {pattern.pattern!r}", found, timeout)
        except Failed as e:
            raise Failed(f"{e}; it ends: {self.tail()}") from None

    def tail(self, lines=4):
        return " / ".join(x.text for x in self.lines[-lines:]) or "nothing"

    def heartbeats(self):
        return [x for x in list(self.lines) if HEARTBEAT.match(x.text)]

    def corrupt(self):
        return [x.text for x in list(self.lines) if x.text.startswith("CORRUPT")]

    def longest_gap(self, since=0.0, until=float("inf")):
        """The longest time between two heartbeats on the host's clock."""
        beats = [x for x in self.heartbeats() if since <= x.at <= until]
        gaps = [Gap(b.at - a.at, a, b) for a, b in zip(beats, beats[1:])]
        return max(gaps, key=lambda g: g.seconds, default=None)

    def gap_across(self, first_pid, second_pid):
        """From the last heartbeat in one QEMU to the first one in another."""
        beats = self.heartbeats()
        before = [x for x in beats if x.pid == first_pid]
        after = [x for x in beats if x.pid == second_pid
                 and before and x.at > before[-1].at]
        if not before or not after:
            return None
        return Gap(after[0].at - before[-1].at, before[-1], after[0])

    def lost_sequence(self):
        """Heartbeat numbers that are not one more than the one before."""
        numbers = [int(HEARTBEAT.match(x.text).group(1)) for x in self.heartbeats()]
        return [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]

    def close(self):
        self._wake.close()
        self._thread.join(5)
        self._listener.close()
        self._stop.close()
        for peer in self._rest:
            peer.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
