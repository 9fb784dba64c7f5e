# SPDX-License-Identifier: MIT
"""Huge pages of 2 MiB for the time of a test."""
import fcntl
import unittest
from contextlib import contextmanager

MIB = 1 << 20
# One number for the whole host: who changes it holds its lock,
# tests/unit/test_memory.c too.
TOTAL = "/proc/sys/vm/nr_hugepages"


@contextmanager
def huge_pages(size):
    """So many bytes of huge pages of 2 MiB more than there were; skips the test
    where there are none to be had.  Waits for a test that has some."""
    with open(TOTAL, encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with more_pages(size):
            yield


@contextmanager
def more_pages(size):
    def total():
        with open(TOTAL, encoding="ascii") as f:
            return int(f.read())

    def ask(n):
        with open(TOTAL, "w", encoding="ascii") as f:
            f.write(str(n))
    before, more = total(), size // (2 * MIB)
    try:
        ask(before + more)
    except OSError as e:
        raise unittest.SkipTest(f"no huge pages: {TOTAL}: {e.strerror}") from None
    try:
        if total() < before + more:
            raise unittest.SkipTest(f"no {more} huge pages free, only {total() - before}")
        yield
    finally:
        ask(before)
