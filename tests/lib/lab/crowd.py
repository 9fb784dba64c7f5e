# SPDX-License-Identifier: MIT
"""Many connections to a port that never say what they want."""
import contextlib
import socket
import threading
import time

TOGETHER, APART_S = 100, 0.1    # how they come to begin with
BEGIN_LIMIT_S = 30


class Crowd:
    """with Crowd(...): so many have come.

    They say a byte at a time, of what a TLS handshake begins with, or, every
    silent-th of them, nothing.  In each turn those that were thrown out are
    closed here as well and `others` come, so many as were thrown out without."""

    def __init__(self, namespace, to, number, *, turn_s=APART_S, others=None, silent=0):
        self.namespace, self.to, self.number = namespace, to, number
        self.turn_s, self.others, self.silent = turn_s, others, silent
        self.came, self._there = 0, []
        self._begun, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._come)

    def __enter__(self):
        self._thread.start()
        if not self._begun.wait(BEGIN_LIMIT_S):
            self.__exit__()
            raise TimeoutError(f"{self.came} of {self.number} connections in {BEGIN_LIMIT_S} s")
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _dial(self, number):
        for _ in range(number):
            s = socket.socket()
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                s.connect(self.to)
            self._there.append(s)
        self.came += number

    def _come(self):
        while self.came < self.number and not self._over.wait(APART_S):
            self._turn(TOGETHER)
        self._begun.set()
        while not self._over.wait(self.turn_s):
            self._turn(self.others)
        for s in self._there:
            s.close()

    def _turn(self, others):
        self._there = [s for s in self._there if self._stays(s)]
        self.namespace.inside(self._dial, self.number - len(self._there)
                              if others is None else others)

    def _stays(self, s):
        try:
            if self.silent and s.fileno() % self.silent == 0:
                return s.recv(1) != b""
            s.send(b"\x16")
        except BlockingIOError:
            pass
        except OSError:
            s.close()
            return False
        return True
