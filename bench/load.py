# SPDX-License-Identifier: MIT
"""A busy host: others that count what they get done, in spans.

Spinners use a processor each; a flow sends over a card of the course as fast as
that takes it.  The processes are of the usual class and priority.  They start
stopped, so that they take nothing until they are let go, and are let go all at
once.
"""
import os
import signal
import socket
import sys
import threading
import time

SPIN = os.path.join(os.path.dirname(os.path.realpath(__file__)), "spin.py")
COUNT_BYTES = 8
FLOW_PORT = 5001
FLOW_CHUNK = 256 << 10


class Load:
    """with load: it runs in here; rate() afterwards.  Without `with`: go() and
    pause(), as often as wanted, next() between them, and close()."""

    def __init__(self):
        self.spans = []             # [begin, end, done]

    def go(self):
        self._begin()
        self.let(True)

    def next(self):
        """Another span, without a rest."""
        self._end()
        self._begin()

    def pause(self):
        self.let(False)
        self._end()

    def _begin(self):
        self.spans.append([time.monotonic(), None, self.counted()])

    def _end(self):
        span = self.spans[-1]
        span[1:] = time.monotonic(), self.counted() - span[2]

    def rates(self):
        """What it did in a second, span by span."""
        return [s[2] / (s[1] - s[0]) for s in self.spans]

    def rate(self):
        """What it did in a second, over all spans."""
        return sum(s[2] for s in self.spans) / sum(s[1] - s[0] for s in self.spans)

    def __enter__(self):
        self.go()
        return self

    def __exit__(self, *_):
        self.pause()
        self.close()


class Spinners(Load):
    """Counts turns, over all processes."""

    def __init__(self, lab, number):
        super().__init__()
        self.path = lab.path(f"spinners{time.monotonic_ns()}")
        with open(self.path, "wb") as f:
            f.write(bytes(number * COUNT_BYTES))
        self.processes = [lab.spawn([sys.executable, SPIN, self.path, n])
                          for n in range(number)]
        for one in self.processes:
            os.waitpid(one.pid, os.WUNTRACED)

    def counted(self):
        with open(self.path, "rb") as f:
            return sum(memoryview(f.read()).cast("Q"))

    def let(self, run):
        for one in self.processes:
            one.send_signal(signal.SIGCONT if run else signal.SIGSTOP)

    def close(self):
        for one in self.processes:
            one.kill()
            one.wait()


class Flow(Load):
    """Counts the bytes that one TCP connection over a link brings to its end 1."""

    def __init__(self, link):
        super().__init__()
        self.bytes = 0
        self._may = threading.Event()
        with link.ends[1].socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((link.addresses[1], FLOW_PORT))
            listener.listen(1)
            self._sender = link.ends[0].socket()
            self._sender.connect((link.addresses[1], FLOW_PORT))
            self._receiver, _ = listener.accept()
        self._threads = [threading.Thread(target=f, daemon=True)
                         for f in (self._send, self._receive)]
        for one in self._threads:
            one.start()

    def _send(self):
        chunk = bytes(FLOW_CHUNK)
        try:
            while self._may.wait():
                self._sender.send(chunk)
        except OSError:
            pass                    # close() has shut it down

    def _receive(self):
        buffer = bytearray(FLOW_CHUNK)
        while received := self._receiver.recv_into(buffer):
            self.bytes += received

    def counted(self):
        return self.bytes

    def let(self, run):
        if run:
            self._may.set()
        else:
            self._may.clear()

    def close(self):
        # The sender sees that it is shut down at its next try.
        self._sender.shutdown(socket.SHUT_RDWR)
        self._may.set()
        for one in self._threads:
            one.join()
        self._sender.close()
        self._receiver.close()
