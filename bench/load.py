# SPDX-License-Identifier: MIT
"""A busy host: processes that use a processor each and count what they got done.

They are of the usual class and priority.  They are started stopped, so that
they take nothing until they are let go, and are let go all at once.
"""
import os
import signal
import sys
import time

SPIN = os.path.join(os.path.dirname(os.path.realpath(__file__)), "spin.py")
COUNT_BYTES = 8


class Spinners:
    """with Spinners(lab, 2) as spinners: they spin in here; rate() afterwards.
    Without `with`: go() and pause(), as often as wanted, and close()."""

    def __init__(self, lab, number):
        self.path = lab.path(f"spinners{time.monotonic_ns()}")
        with open(self.path, "wb") as f:
            f.write(bytes(number * COUNT_BYTES))
        self.spans = []             # [begin, end, turns] of each time they were let go
        self.processes = [lab.spawn([sys.executable, SPIN, self.path, n])
                          for n in range(number)]
        for one in self.processes:
            os.waitpid(one.pid, os.WUNTRACED)

    def counted(self):
        with open(self.path, "rb") as f:
            return sum(memoryview(f.read()).cast("Q"))

    def go(self):
        self.spans.append([time.monotonic(), None, self.counted()])
        self._signal(signal.SIGCONT)

    def pause(self):
        self._signal(signal.SIGSTOP)
        span = self.spans[-1]
        span[1:] = time.monotonic(), self.counted() - span[2]

    def _signal(self, number):
        for one in self.processes:
            one.send_signal(number)

    def rate(self):
        """Turns in a second, over all of them."""
        return sum(s[2] for s in self.spans) / sum(s[1] - s[0] for s in self.spans)

    def __enter__(self):
        self.go()
        return self

    def __exit__(self, *_):
        self.pause()
        self.close()

    def close(self):
        for one in self.processes:
            one.kill()
            one.wait()
