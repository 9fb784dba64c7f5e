# SPDX-License-Identifier: MIT
"""Compression with idle cycles, beside Drover's own `tcp` and QEMU's modes."""
import os
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from copy import copy

import pages
import plot
from common import MIB, median, note, point, processors
from course import (DOWNTIME_MS, MIXED, Course, Guest, beside, drover, mib_per_s, qemu, scaled_link,
                    scaled_mbit)
from lab.progress import STAGES, Progress
from load import Spinners
from peers import QemuMode

LINKS = {"100 Mbit/s": "100mbit", "1 Gbit/s": "1gbit", "2.5 Gbit/s": "2500mbit",
         "unshaped": None}
QUICK_LINKS = {"250 Mbit/s": "250mbit", "1 Gbit/s": "1gbit", "unshaped": None}
# A share is taken over so many seconds of a move at least.
SHARE_S = 0.25
# How soon the share of compressed pages has to follow the host's load.
FOLLOW_S = 1.0
HALF_MIB = 2048
# More than that much downtime is more than one run differs from the next.
DOWNTIME_SPREAD_MS = 20
# Codecs make half of mixed data: this is more than they alone can follow.
HOT_FACTOR = 3
# What `tcp` needs for the first round of `hot` alone is a third of it.
HOT_TIMEOUT_S, QUICK_HOT_TIMEOUT_S = 75, 36


# -- the parts
def rates(bench):
    """tcp against compression over one card of 100 Mbit/s to unshaped"""
    for words, link in LINKS.items():
        with Course(bench.args, link, guest=MIXED) as course:
            runs = bench.turns(words, tcp=drover(course, "tcp"),
                               compression=drover(course, "compression"))
        bench.ratio(f"{words}, mixed", runs["compression"], runs["tcp"], "tcp", 1.03)


def one(bench):
    """compression against QEMU's tcp and multifd with zstd, 1 x 1 Gbit/s"""
    with Course(bench.args, "1gbit", guest=MIXED) as course:
        runs = bench.turns("1 x 1 Gbit/s", qemu=qemu(course),
                           zstd=qemu(course, QemuMode(processors(), "zstd")),
                           compression=drover(course, "compression"))
    ours = runs["compression"]
    bench.ratio("1 x 1 Gbit/s, mixed", ours, runs["qemu"], "QEMU tcp", 0.55)
    bench.ratio("the same", ours, runs["zstd"], "QEMU multifd zstd 1", 0.75)


def real(bench):
    """the same, and tcp, with pages of real programs and documents"""
    # A quarter of the memory is a file of such pages, the rest are copies.
    with tempfile.TemporaryDirectory(prefix="drover-bench-") as folder:
        path = os.path.join(folder, "pages")
        programs, text = pages.write(path, bench.args.memory * MIB // 4)
        note(f"{programs // MIB} MiB of programs, {text // MIB} MiB of text")
        with Course(bench.args, "1gbit", guest=Guest(content="file", file=path)) as course:
            runs = bench.turns("1 x 1 Gbit/s, real", qemu=qemu(course),
                               zstd=qemu(course, QemuMode(processors(), "zstd")),
                               tcp=drover(course, "tcp"),
                               compression=drover(course, "compression"))
    ours = runs["compression"]
    bench.ratio("1 x 1 Gbit/s, programs and text", ours, runs["tcp"], "tcp", 1.03)
    bench.ratio("the same", ours, runs["qemu"], "QEMU tcp", 0.55)
    bench.ratio("the same", ours, runs["zstd"], "QEMU multifd zstd 1", 0.75)


def two(bench):
    """auto against QEMU's over MPTCP, 2 x 1 Gbit/s"""
    # As in bench/multichannel.py: less queueing is bad for MPTCP.
    with Course(bench.args, "1gbit", "1gbit", latency="50ms", guest=MIXED) as course:
        course.use_mptcp()
        runs = bench.turns("2 x 1 Gbit/s", qemu=qemu(course, QemuMode(mptcp=True)),
                           zstd=qemu(course, QemuMode(processors(), "zstd", mptcp=True)),
                           auto=drover(course, "auto"))
    bench.ratio("2 x 1 Gbit/s, mixed, auto", runs["auto"], runs["qemu"], "QEMU tcp, MPTCP", 0.55)
    bench.ratio("the same", runs["auto"], runs["zstd"], "QEMU multifd zstd 1, MPTCP", 1,
                strictly=True)


def worker_share(run):
    """Of one processor, what the workers took during the move."""
    return (run.report.get("press") or {}).get("processor_ms", 0) / 1000 / run.seconds


def dense(bench):
    """memory that does not get smaller"""
    with Course(bench.args, "1gbit", guest=Guest(content="random")) as course:
        runs = bench.turns("random", tcp=drover(course, "tcp"),
                           compression=drover(course, "compression"))
    ours = runs["compression"]
    bench.ratio("1 Gbit/s, random", ours, runs["tcp"], "tcp", 1.02)
    used = statistics.median([worker_share(r) for r in ours if not r.error] or [1.0])
    bench.row("the same: workers", ours, None, "", what="of a processor",
              figure=f"{used:.1%}", bar="at most 10 %", good=used <= 0.1)


def spun(course, option, number):
    """A move beside spinners; what these got done."""
    spinners = Spinners(course.lab, number)
    run = course.drover(option, during=spinners)
    run.extra["turns_per_s"] = spinners.rate()
    return run


def busy(bench):
    """every processor is used by somebody else"""
    number = processors()
    with Course(bench.args, "1gbit", guest=MIXED) as course:
        runs = bench.turns("busy", tcp=lambda: spun(course, "tcp", number),
                           compression=lambda: spun(course, "compression", number))
    case = f"1 Gbit/s, mixed, {number} processes spin"
    bench.ratio(case, runs["compression"], runs["tcp"], "tcp", 1.05)
    losses = [1 - c.extra["turns_per_s"] / t.extra["turns_per_s"]
              for c, t in zip(runs["compression"], runs["tcp"]) if not c.error and not t.error]
    loss = statistics.median(losses or [1])
    bench.row("the same: what the processes lose", runs["compression"], runs["tcp"], "tcp",
              what="throughput lost", figure=f"{loss:.1%} ({min(losses or [1]):.1%} to "
              f"{max(losses or [1]):.1%})", bar="at most 2 %", good=loss <= 0.02)


def pressed(counters):
    """Bytes of pages that left compressed, and of all that left; None where the
    counters are missing."""
    if not counters:
        return None
    return counters["before"], sum(counters[k] for k in ("before", "dense", "raw_link_free"))


def shares(samples):
    """(when, share of the pages since the last one that left compressed)."""
    found, last = [], None
    for s in samples:
        counts = pressed(s.progress.get("press"))
        if s.stage not in STAGES or counts is None:
            continue
        if last is None:
            last = (s.at, *counts)
        elif s.at - last[0] >= SHARE_S and counts[1] > last[2]:
            found.append((s.at, (counts[0] - last[1]) / (counts[1] - last[2])))
            last = (s.at, *counts)
    return found


class Third:
    """Spinners from a third of a move to two thirds of it."""

    def __init__(self, course, spinners):
        self.course, self.spinners = course, spinners
        self.progress = None
        self.over = False

    @contextmanager
    def context(self):
        with ExitStack() as stack:
            stack.callback(self.spinners.close)
            self.progress = stack.enter_context(Progress(self.course.hosts[0]))
            stack.enter_context(beside(self.watch))
            try:
                yield
            finally:
                self.over = True

    def watch(self):
        if self.wait_percent(33):
            self.spinners.go()
            self.wait_percent(67)
            self.spinners.pause()

    def wait_percent(self, percent):
        while not self.over:
            if self.progress.samples and self.progress.samples[-1].progress["percent"] >= percent:
                return True
            time.sleep(0.02)
        return False


def level(found, begin, end):
    inside = [share for at, share in found if begin < at <= end]
    return statistics.median(inside) if inside else None


def followed(found, busy_span):
    """Levels before, during and after, and the seconds until the share was half
    the way to the next one, both ways; or None.  A share that is not halved
    while the host is busy does not follow it: seconds are None then."""
    begin, end = busy_span
    levels = (level(found, 0, begin), level(found, begin + FOLLOW_S, end),
              level(found, end + FOLLOW_S, float("inf")))
    if None in levels:
        return None
    down, up = (levels[0] + levels[1]) / 2, (levels[1] + levels[2]) / 2
    if levels[1] > min(levels[0], levels[2]) / 2:
        return {"levels": levels, "fell_s": None, "rose_s": None}
    # The share of a time belongs to what ended then: the first one may have
    # begun before the change.
    fell = next((at - begin for at, s in found if at > begin and s <= down), None)
    rose = next((at - end for at, s in found if at > end and s >= up), None)
    return {"levels": levels, "fell_s": fell, "rose_s": rose}


def over_thirds(course):
    third = Third(course, Spinners(course.lab, processors()))
    run = course.drover("compression", during=third.context())
    found = shares(third.progress.samples)
    spans = third.spinners.spans
    if run.error or not found or not spans:
        run.error = run.error or ("no counters of the press in the job's progress" if not found
                                  else "the move was over before a third of it was seen")
        return run
    begin = found[0][0]
    run.extra["busy"] = [s - begin for s in spans[0][:2]]
    run.extra["shares"] = [(at - begin, share) for at, share in found]
    run.extra["followed"] = followed(run.extra["shares"], run.extra["busy"])
    return run


def half(bench):
    """the same from a third of the move to two thirds"""
    # Less memory would mean a link that needs no more than the little that the
    # workers get on a busy host as well.
    args = copy(bench.args)
    args.memory, args.quick = max(args.memory, HALF_MIB), False
    with Course(args, scaled_link(args), guest=MIXED) as course:
        course.start_daemons()
        runs = bench.turns("half", compression=lambda: over_thirds(course))["compression"]
    good = [r for r in runs if not r.error and r.extra["followed"]]
    for way, words in (("fell_s", "falls"), ("rose_s", "rises")):
        bench.within(f"busy in the middle: the share {words}", runs,
                     [r.extra["followed"][way] for r in good], FOLLOW_S)
    for r in good:
        before, during, after = r.extra["followed"]["levels"]
        note(f"compressed: {before:.0%} before, {during:.0%} during, {after:.0%} after")
    drawn = [r for r in runs if "shares" in r.extra]
    if drawn:
        bench.draw("share-over-time", plot.over_time,
                   f"Pages compressed, with {processors()} processes that spin",
                   [[(at - r.extra["busy"][0], share) for at, share in r.extra["shares"]]
                    for r in drawn],
                   statistics.median(end - begin
                                     for begin, end in (r.extra["busy"] for r in drawn)))


def hot(bench):
    """a hot set that is dirtied in few bytes per page, faster than the link"""
    memory, quick = bench.args.memory, bench.args.quick
    # The bounded cache holds 5 % of the guest; in the downtime's limit the link
    # carries at most half of this.
    mbit = memory // (2 if quick else 4)
    guest = Guest(content="mixed", touch="few", hot=f"{memory * 4 // 100}M",
                  rate=mib_per_s(mbit, HOT_FACTOR))
    timeout_s = QUICK_HOT_TIMEOUT_S if quick else HOT_TIMEOUT_S
    words = ("--timeout", f"{timeout_s}s", "--on-timeout", "abort")
    with Course(bench.args, f"{mbit}mbit", guest=guest) as course:
        runs = bench.turns("hot", tcp=drover(course, "tcp", *words),
                           compression=drover(course, "compression", *words))
    ours, tcp = runs["compression"], runs["tcp"]
    ends = [sum(not r.error for r in one) for one in (ours, tcp)]
    case = f"hot set of {guest.hot}, few bytes per page, dirtied at {HOT_FACTOR} times the link"
    bench.row(case, ours, None, "", what="ends:",
              figure=f"{ends[0]} of {len(ours)}; with tcp {ends[1]} of {len(tcp)} within "
              f"{timeout_s} s", bar="all; with tcp none",
              good=ends == [len(ours), 0])
    longest = max((r.downtime for r in ours if not r.error), default=float("inf"))
    bench.row("the same: downtime", ours, None, "", what="at most", figure=f"{longest:.0f} ms",
              bar=f"at most {DOWNTIME_MS} ms", good=longest <= DOWNTIME_MS)


def dirty(bench):
    """a dirty rate of 80 % of the link"""
    memory = bench.args.memory
    guest = Guest(content="mixed", hot=f"{memory // 4}M",
                  rate=mib_per_s(scaled_mbit(bench.args), 0.8))
    with Course(bench.args, scaled_link(bench.args), guest=guest) as course:
        runs = bench.turns("dirty", tcp=drover(course, "tcp"),
                           compression=drover(course, "compression"))
    ours, tcp = runs["compression"], runs["tcp"]
    case = "mixed, dirtied at 80 % of the link"
    bench.more_downtime(case, ours, tcp, "tcp", DOWNTIME_SPREAD_MS)
    rounds = [statistics.median([r.report["rounds"] for r in one if not r.error] or [0])
              for one in (ours, tcp)]
    bench.row(f"{case}: rounds", ours, tcp, "tcp", what="rounds",
              figure=f"{rounds[0]:g}", bar=f"at most {rounds[1]:g}, as tcp",
              good=rounds[0] <= rounds[1])


def modes(bench):
    """time against link rate of all modes"""
    # Two cards of each rate, of which auto uses both.
    series = {}
    links = QUICK_LINKS if bench.args.quick else LINKS
    for place, (words, link) in enumerate(links.items()):
        with Course(bench.args, link, link, guest=MIXED) as course:
            ways = {"Drover tcp": drover(course, "tcp"),
                    "Drover compression": drover(course, "compression"),
                    "Drover auto, both cards": drover(course, "auto"), "QEMU tcp": qemu(course),
                    "QEMU multifd zstd": qemu(course, QemuMode(processors(), "zstd"))}
            if not bench.args.quick:
                ways["QEMU multifd"] = qemu(course, QemuMode(processors()))
            runs = bench.turns(f"2 cards, {words}", **ways)
        for name, all_runs in runs.items():
            found = point(place, [r.seconds for r in all_runs if not r.error])
            if found:
                series.setdefault(name, []).append(found)
        bench.ratio(f"2 x {words}, mixed, auto", runs["Drover auto, both cards"], runs["QEMU tcp"],
                    "QEMU tcp, one card", None)
    bench.draw("time-over-rate", plot.over_rates, f"{bench.args.memory} MiB of mixed data",
               list(links), series)


def load(bench):
    """pages compressed against processes that spin"""
    # From an idle host to one with twice as much to do as it can.
    numbers = range(2 * processors() + 1)
    with Course(bench.args, "1gbit", guest=MIXED) as course:
        runs = bench.turns("load", **{f"{n} spin": lambda n=n: spun(course, "compression", n)
                                      for n in numbers})
    rows = []
    for n, all_runs in zip(numbers, runs.values()):
        counts = [pressed(r.report["press"]) for r in all_runs if not r.error]
        if counts:
            share = statistics.median(b / a for b, a in counts)
            rows.append((n, share, median(all_runs)))
            bench.row(f"1 Gbit/s, mixed, {n} processes spin", all_runs, None, "",
                      what="compressed", figure=f"{share:.0%}", bar="", good=None)
    bench.draw("share-over-load", plot.over_load,
               f"{bench.args.memory} MiB of mixed data, 1 Gbit/s, {processors()} processors",
               rows)


PARTS = {f.__name__: f for f in (rates, one, real, two, dense, busy, half, hot, dirty, modes,
                                 load)}
