# SPDX-License-Identifier: MIT
"""Is a guest as fast after a move as before: random reads in the guest, of each kind
of memory, and how much of that is in huge pages.

The loops before and after a move follow each other within seconds, and what counts
is the median of the moves' ratios: what else this machine does is in both.
"""
import copy
import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from unittest import SkipTest

from common import MIB, median_of, note
from course import REST_MIB, Course, Guest, set_apart
from lab import core

MOST_MIB = 1024
LOOP, LOOPS = 500_000, 9
READS_BAR, HUGE_BAR = 1.03, 0.98
# What the course is told.
KINDS = {"private": {"keys": "memory-kind = private"}, "file": {"keys": "memory-kind = file"},
         "2M": {"huge": "2M"}}


@dataclass(frozen=True)
class Reading(Guest):
    def arguments(self, memory_mib):
        *words, line = super().arguments(memory_mib)
        return [*words, f"{line} reads={LOOP}"]


def loops(console, after):
    """Microseconds of some loops that begin behind this line."""
    def found():
        took = [int(x.text.partition("us=")[2]) for x in console.lines[after:]
                if x.text.startswith(f"reads {LOOP} us=")]
        return took[1:LOOPS + 1] if len(took) > LOOPS else None
    return core.wait_for(f"{LOOPS} loops of reads", found, 120)


class Moves(Course):
    def reads(self):
        if not self.hosts:
            self.start_daemons()
        return self.measured(self._reads)

    def _reads(self):
        with self._machine() as (name, console):
            before = loops(console, 0)
            with self.settled():
                span = self._move(name, ["--option", "tcp"])
            run = self._result(name, console, span)
            if not run.error:
                after = loops(console, len(console.lines))
                run.extra = {"before_us": before, "after_us": after,
                             "huge": self.hosts[1].machine(name)["huge_pages"]}
                note(f"a loop before {statistics.median(before):.0f} us, after "
                     f"{statistics.median(after):.0f} us")
            return run


def slower(run):
    return (statistics.median(run.extra["after_us"]) /
            statistics.median(run.extra["before_us"]))


def show(bench, case, runs, filled):
    ratio = median_of(runs, slower)
    bench.row(f"{case}: random reads", runs, None, "", what="after / before",
              figure=f"{ratio:.3f}", bar=f"at most {READS_BAR}", good=ratio <= READS_BAR)
    # What is over is the firmware's, and what the guest has besides.
    share = min((r.extra["huge"] / filled for r in runs if not r.error), default=0.0)
    bench.row(f"{case}: in huge pages", runs, None, "", what="after the move at least",
              figure=f"{share:.1%}", bar=f"at least {HUGE_BAR:.0%}", good=share >= HUGE_BAR)


def reads(bench):
    """random reads in the guest after a move, beside before: each kind of memory"""
    args = copy.copy(bench.args)
    args.memory = min(args.memory, MOST_MIB)
    for kind, how in KINDS.items():
        with ExitStack() as stack:
            if "huge" in how:
                try:
                    stack.enter_context(set_apart(args))
                except SkipTest as e:
                    note(f"{kind}: {e}")
                    continue
            course = stack.enter_context(Moves(args, None, guest=Reading(), **how))
            runs = bench.turns(kind, moved=course.reads)["moved"]
        show(bench, kind, runs, (args.memory - REST_MIB) * MIB)


PARTS = {"reads": reads}
