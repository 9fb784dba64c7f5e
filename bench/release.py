# SPDX-License-Identifier: MIT
"""This build beside the last release: what a user who upgrades gains or loses.

Each has a network of its own, of the same kind; they move in turns.
"""
import os
import statistics
import tempfile

import pages
from common import MIB, note
from course import MIXED, Course, Guest, drover
from lab import release

# Time and processor time may differ from one build to the next by so much.
TIME_BAR, PROCESSOR_BAR = 1.05, 1.03


def processor_s(run):
    """Of both daemons."""
    return sum(s for who, s in run.processor_s.items() if who.startswith("droverd"))


def held(bench, case, option, rates, guest):
    old_build = release.built()
    with Course(bench.args, *rates, guest=guest) as new, \
            Course(bench.args, *rates, guest=guest, build=old_build) as old:
        runs = bench.turns(case, release=drover(old, option), now=drover(new, option))
    bench.ratio(case, runs["now"], runs["release"], "the last release", TIME_BAR)
    pairs = [processor_s(n) / processor_s(o) for n, o in zip(runs["now"], runs["release"])
             if not n.error and not o.error]
    middle = statistics.median(pairs) if pairs else float("inf")
    bench.row(f"{case}: daemons", runs["now"], runs["release"], "the last release",
              what="processor time /", figure=f"{middle:.3f}", bar=f"at most {PROCESSOR_BAR}",
              good=middle <= PROCESSOR_BAR)


def before(bench):
    """the last release and this build in turns: one, two, real, unshaped, cost"""
    held(bench, "1 x 1 Gbit/s, mixed", "compression", ["1gbit"], MIXED)
    held(bench, "2 x 1 Gbit/s, mixed, auto", "auto", ["1gbit", "1gbit"], MIXED)
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as folder:
        path = os.path.join(folder, "pages")
        programs, text = pages.write(path, bench.args.memory * MIB // 4)
        note(f"{programs // MIB} MiB of programs, {text // MIB} MiB of text")
        held(bench, "1 x 1 Gbit/s, programs and text", "compression", ["1gbit"],
             Guest(content="file", file=path))
    held(bench, "unshaped, mixed", "compression", [None], MIXED)
    held(bench, "unshaped, random", "tcp", [None], Guest(content="random"))


PARTS = {"before": before}
