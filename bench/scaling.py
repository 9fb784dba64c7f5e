# SPDX-License-Identifier: MIT
"""How a move's time grows: with memory, cards, moves at once and connections.

The guests are idle.  Where a part has a size of its own, its rows say so.
"""
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import copy

import plot
from common import good, median, median_of, point
from course import MIXED, REST_MIB, Course, Guest, Run, drover, qemu, set_apart
from lab.core import qemu10
from peers import QemuMode

GIB_MIB = 1024
UNSHAPED_MIB = 4096
MULTIFD_CHANNELS = 2
# Of the better of a QEMU's own ways.
UNSHAPED_BAR, UNSHAPED_10_BAR = 0.7, 1.0
SIZES_MIB, QUICK_SIZES_MIB = (1024, 2048, 4096, 8192), (256, 512, 1024, 2048)
# Of the memory, what the guest does not fill: a share, so that what travels grows
# as the memory does.
REST_SHARE = 16
# What two hosts need besides the guest, which both hold while it moves.
SPARE_MIB = 1024
CARDS = MOVES = (1, 2, 4)
CONNECTIONS = (1, 2, 4, 8)


def sized(args, memory_mib):
    own = copy(args)
    own.memory = memory_mib
    return own


def at(numbers):
    """gnuplot's words for an axis that has been measured there only."""
    return f"set xtics ({', '.join(map(str, numbers))})", "set yrange [0:*]"


# -- the parts
def unshaped(bench):
    """4 GiB over a card that is not shaped, beside tcp and multifd of QEMU and QEMU 10"""
    args = bench.args if bench.args.quick else sized(bench.args,
                                                     max(bench.args.memory, UNSHAPED_MIB))
    program, why_not = qemu10()
    versions = {"QEMU": UNSHAPED_BAR, **({"QEMU 10": UNSHAPED_10_BAR} if program else {})}
    theirs = {version: (f"{version} tcp", f"{version} multifd {MULTIFD_CHANNELS}")
              for version in versions}
    with Course(args, None, guest=MIXED) as course:
        runs = bench.turns("unshaped", **{
            name: qemu(course, QemuMode(channels, qemu10=version != "QEMU"))
            for version, names in theirs.items()
            for name, channels in zip(names, (0, MULTIFD_CHANNELS))},
            tcp=drover(course, "tcp"), compression=drover(course, "compression"))
    case = f"{args.memory} MiB, mixed, unshaped"
    for version, bar in versions.items():
        better = min(theirs[version], key=lambda name: median_of(runs[name], lambda r: r.seconds))
        bench.ratio(f"{case}, compression", runs["compression"], runs[better], better, bar)
        bench.ratio(f"{case}, tcp", runs["tcp"], runs[better], better, None)
    if not program:
        bench.line(case, "", "", f"no QEMU 10: {why_not}", "", None)
    for name in runs:
        bench.row(f"{case}, {name}: downtime", runs[name], None, "", what="median",
                  figure=f"{median(runs[name], 'downtime'):.0f} ms", bar="", good=None)


def processor_s(runs, process, filled_gib):
    """Seconds per GiB of all processes whose names begin so."""
    return median_of(runs, lambda r: sum(
        s for name, s in r.processor_s.items() if name.startswith(process)) / filled_gib)


def cost(bench):
    """processor seconds per GiB of random data, sent as it is, unshaped"""
    filled_gib = (bench.args.memory - REST_MIB) / GIB_MIB
    with set_apart(bench.args), \
            Course(bench.args, None, guest=Guest(content="random"), huge="2M") as course:
        runs = bench.turns("cost", qemu=qemu(course), drover=drover(course, "tcp"))
    for words, name, process, bar_s in (("both droverd", "drover", "droverd", 0.95),
                                        ("both QEMUs of the same moves", "drover", "QEMU", None),
                                        ("both QEMUs of QEMU tcp", "qemu", "QEMU", None)):
        each = processor_s(runs[name], process, filled_gib)
        bench.row(f"{filled_gib:.2f} GiB filled, random, unshaped: {words}", runs[name], None, "",
                  what="processor time per GiB", figure=f"{each:.2f} s",
                  bar="" if bar_s is None else f"at most {bar_s:.3g} s",
                  good=None if bar_s is None else each <= bar_s)


def available_mib():
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable")) // 1024


def that_fit(bench, sizes_mib):
    """Those for which there is memory, and a row for each of the others."""
    free_mib, fit = available_mib(), []
    for size in sizes_mib:
        need_mib = 2 * size + SPARE_MIB
        if need_mib <= free_mib:
            fit.append(size)
        else:
            bench.line(f"{size} MiB", "", "", f"left out: both hosts need {need_mib} MiB, "
                       f"{free_mib} MiB are free", "", None)
    return fit


def memory(bench):
    """1, 2, 4 and 8 GiB over a card that is not shaped"""
    wanted = QUICK_SIZES_MIB if bench.args.quick else SIZES_MIB
    sizes = that_fit(bench, wanted)
    with ExitStack() as stack:
        kinds = {}
        for size in sizes:
            guest = Guest(content="mixed", rest_mib=size // REST_SHARE)
            course = stack.enter_context(Course(sized(bench.args, size), None, guest=guest))
            kinds[f"compression, {size} MiB"] = drover(course, "compression")
            kinds[f"QEMU tcp, {size} MiB"] = qemu(course)
        runs = bench.turns("memory", **kinds)
    series = {"Drover compression": [], "QEMU tcp": []}
    for name, mode in zip(series, ("compression", "QEMU tcp")):
        for size in sizes:
            ours, first = (runs[f"{mode}, {one} MiB"] for one in (size, sizes[0]))
            found = point(size / GIB_MIB, [r.seconds for r in good(ours)])
            series[name] += [found] if found else []
            bar = 8.4 if mode == "compression" and size == 8 * sizes[0] else None
            if size != sizes[0]:
                bench.ratio(f"{size} MiB, mixed, unshaped, {mode}", ours, first,
                            f"{sizes[0]} MiB", bar)
    bench.draw("time-over-memory", plot.lines, "Mixed data, unshaped", "memory, GiB",
               "total time, s", series, *at([size / GIB_MIB for size in sizes]))


def cards(bench):
    """throughput with 1, 2 and 4 cards of 500 Mbit/s, beside QEMU over MPTCP"""
    args = sized(bench.args, bench.args.memory // 2) if bench.args.quick else bench.args
    series = {}
    for number in CARDS:
        case = f"{args.memory} MiB, mixed, {number} x 500 Mbit/s"
        # As in bench/multichannel.py: less queueing is bad for MPTCP.
        with Course(args, *["500mbit"] * number, latency="50ms", guest=MIXED) as course:
            course.use_mptcp()
            runs = bench.turns(case, **{
                "tcp": drover(course, "tcp"), "multichannel": drover(course, "multichannel"),
                "auto": drover(course, "auto"),
                "QEMU tcp, MPTCP": qemu(course, QemuMode(mptcp=True))})
        for name, all_runs in runs.items():
            speeds = [args.memory / r.seconds for r in good(all_runs)]
            found = point(number, speeds)
            series.setdefault(name, []).extend([found] if found else [])
            bench.row(f"{case}, {name}", all_runs, None, "", what="memory moved",
                      figure=f"{statistics.median(speeds or [0]):.0f} MiB/s", bar="", good=None)
    bench.draw("throughput-over-cards", plot.lines, f"{args.memory} MiB of mixed data",
               "cards of 500 Mbit/s", "memory moved, MiB/s", series, *at(CARDS),
               "set key top left")


class Crowd(Course):
    """A course for several moves at the same time."""

    def together(self, option, number):
        """As many moves at once; the time until the last of them has ended."""
        if not self.hosts:
            self.start_daemons()
        return self.measured(lambda: self._together(option, number))

    def _together(self, option, number):
        with ExitStack() as stack:
            machines = [stack.enter_context(self._machine()) for _ in range(number)]
            time.sleep(1)
            with ThreadPoolExecutor(number) as pool:
                begin = time.monotonic()
                spans = list(pool.map(lambda m: self._move(m[0], ["--option", option]), machines))
                seconds = time.monotonic() - begin
            runs = [self._result(*m, span) for m, span in zip(machines, spans)]
        return Run(seconds, max(r.downtime for r in runs), [],
                   error="; ".join(r.error for r in runs if r.error),
                   corrupt=sum(r.corrupt for r in runs), gap=max(r.gap for r in runs),
                   extra={"each_s": [r.seconds for r in runs]})


def moves(bench):
    """1, 2 and 4 moves at the same time over 2 x 1 Gbit/s, auto"""
    memory_gib = bench.args.memory / GIB_MIB
    with Crowd(bench.args, "1gbit", "1gbit", guest=MIXED) as course:
        found = bench.turns("moves", **{f"{n} at once": lambda n=n: course.together("auto", n)
                                        for n in MOVES})
    points, alone = [], found[f"{MOVES[0]} at once"]
    for number, runs in zip(MOVES, found.values()):
        for run in runs:
            run.extra["s_per_gib"] = run.seconds / (number * memory_gib)
        each = [r.extra["s_per_gib"] for r in good(runs)]
        points += [point(number, each)] if each else []
        against = [r.extra["s_per_gib"] / one.extra["s_per_gib"] for r, one in zip(runs, alone)
                   if not r.error and not one.error]
        bench.row(f"2 x 1 Gbit/s, mixed, auto, {number} at once", runs,
                  None if runs is alone else alone, "1 at once",
                  what="per GiB until the last has ended",
                  figure=f"{statistics.median(each or [0]):.2f} s, "
                  f"{statistics.median(against or [0]):.3f} x 1 at once", bar="", good=None)
    bench.draw("time-over-moves", plot.lines,
               f"Machines of {bench.args.memory} MiB, mixed data, 2 x 1 Gbit/s, auto",
               "moves at the same time", "until the last has ended, s per GiB", {"Drover": points},
               *at(MOVES))


class ManyConnections(Course):
    """A course whose cards take as many connections as a move may make."""

    def start_daemons(self):
        super().start_daemons()
        for host in self.hosts:
            most = max(CONNECTIONS)
            host.settings["move"] |= {"connections-per-card": most,
                                      "connections-per-rss-card": most}
            host.restart()


def channels(bench):
    """1, 2, 4 and 8 connections over one card, of 1 Gbit/s and unshaped"""
    series = {}
    for words, link in (("1 Gbit/s", "1gbit"), ("unshaped", None)):
        with ManyConnections(bench.args, link, guest=MIXED) as course:
            runs = bench.turns(f"connections, {words}", **{
                f"--connections {n}": drover(course, "tcp", "--connections", str(n))
                for n in CONNECTIONS})
        first = runs[f"--connections {CONNECTIONS[0]}"]
        for number, all_runs in zip(CONNECTIONS, runs.values()):
            found = point(number, [r.seconds for r in good(all_runs)])
            series.setdefault(words, []).extend([found] if found else [])
            if all_runs is not first:
                bench.ratio(f"{words}, mixed, tcp, {number} connections", all_runs, first,
                            "1 connection", None)
    bench.draw("time-over-channels", plot.lines, f"{bench.args.memory} MiB of mixed data, tcp",
               "connections", "total time, s", series, *at(CONNECTIONS))


PARTS = {f.__name__: f for f in (unshaped, cost, memory, cards, moves, channels)}
