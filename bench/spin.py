# SPDX-License-Identifier: MIT
"""Uses a processor and counts: spin.py FILE NUMBER.  Stops itself first.

FILE holds a 64-bit count for each of us, ours is NUMBER.
"""
import mmap
import os
import signal
import sys

# Counted once in so many turns: writing the count should cost nothing.
TURNS = 1000

with open(sys.argv[1], "r+b") as f:
    count = memoryview(mmap.mmap(f.fileno(), 0)).cast("Q")
number = int(sys.argv[2])
os.kill(os.getpid(), signal.SIGSTOP)
while True:
    for _ in range(TURNS):
        pass
    count[number] += 1
