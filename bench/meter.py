# SPDX-License-Identifier: MIT
"""What one migration costs: processor time by kind of process, and memory.

/proc is asked twenty times a second, because some of the processes come and go
meanwhile: one that appears counts from nothing, of one that is gone the last
that was seen counts.
"""
import ctypes
import os
import threading
import time

PERIOD_S = 0.05
LIBC = ctypes.CDLL(None)


def read(path):
    """Of a file in /proc; None when the process is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return None


def processor_s(pid):
    """User's and system's of all threads, of those that have ended too; None when
    the process is gone."""
    clock = ctypes.c_int()
    if LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)):
        return None
    try:
        return time.clock_gettime(clock.value)
    except OSError:
        return None


def tree(pid):
    """A process and all that descend from it."""
    # What a thread starts is that thread's child.
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
    children = [c for thread in threads
                for c in (read(f"/proc/{pid}/task/{thread}/children") or "").split()]
    return [pid, *(p for child in children for p in tree(int(child)))]


class Peak:
    """How much memory a process takes at once from now on, beyond what it has."""

    def __init__(self, pid):
        self.pid = pid
        try:
            with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
                f.write("5")
        except (FileNotFoundError, ProcessLookupError):
            pass
        self.before = self._kib()

    def _kib(self):
        status = read(f"/proc/{self.pid}/status") or ""
        return next((int(line.split()[1]) for line in status.splitlines()
                     if line.startswith("VmHWM")), None)

    def mib(self):
        """None when the process is gone."""
        now = self._kib()
        return None if None in (now, self.before) else (now - self.before) / 1024


class Meter:
    """with Meter({kind: function}) as meter: ...;  meter.seconds() by kind.

    The functions give ids of processes; they are asked each time."""

    def __init__(self, kinds):
        self.kinds = kinds
        self.first = {}             # of each process, when it began
        self.last = {kind: {} for kind in kinds}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._sample()
        self.first = {pid: used for last in self.last.values() for pid, used in last.items()}
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._sample()

    def _watch(self):
        while not self._stop.wait(PERIOD_S):
            self._sample()

    def _sample(self):
        for kind, pids in self.kinds.items():
            for pid in pids():
                used = processor_s(pid)
                if used is not None:
                    self.last[kind][pid] = used

    def seconds(self):
        """Of the kinds that took part."""
        return {kind: round(sum(used - self.first.get(pid, 0) for pid, used in last.items()), 3)
                for kind, last in self.last.items() if last}
