# SPDX-License-Identifier: MIT
"""What every part of the benchmark begins with, and how runs are counted.

The build that is measured is build/, or what DROVER_BUILD names, as in the
tests; their `lab` can be imported after this.
"""
import os
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
MIB = 1 << 20

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))


def note(text):
    print(f"    {text}", file=sys.stderr, flush=True)


def processors():
    return len(os.sched_getaffinity(0))


def autogroup():
    """Whether the kernel gives each session a fair share of the processors, so
    that the idle class means less than a process of the same session only."""
    try:
        with open("/proc/sys/kernel/sched_autogroup_enabled", encoding="ascii") as f:
            return f.read().strip() == "1"
    except FileNotFoundError:
        return False


def good(runs):
    """Those that came to their end."""
    return [r for r in runs if not r.error]


def median(runs, attribute="seconds"):
    """Of those that came to their end."""
    return statistics.median([getattr(r, attribute) for r in good(runs)] or [0.0])


def median_of(runs, function):
    """Of function(run) of those that came to their end; no bar holds without any."""
    return statistics.median([function(r) for r in good(runs)] or [float("inf")])


def failures(*kinds):
    return [r.error for runs in kinds for r in runs if r.error]


def ratios(runs, others):
    """Pair by pair, of the pairs that came to their end."""
    return [r.seconds / o.seconds for r, o in zip(runs, others) if not r.error and not o.error]


def spread(runs):
    each = [r.seconds for r in good(runs)]
    if len(each) < 2:
        return f"{median(runs):.2f} s"
    return f"{median(runs):.2f} s ({min(each):.2f} to {max(each):.2f})"


def point(x, values):
    """(x, median, least, most), as the plots want it; None where there is nothing."""
    return (x, statistics.median(values), min(values), max(values)) if values else None
