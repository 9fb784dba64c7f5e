# SPDX-License-Identifier: MIT
"""Side by side: what a user would pick instead, in the same run.  There are no
bars here: a row tells what a mode takes, or why it did not come to its end.
"""
import statistics
import time

import plot
from common import MIB, failures, good, median, note, point, processors, ratios, spread
from course import ENDS, MIXED, Course, Guest, drover, mib_per_s, qemu, scaled_link
from lab.network import bits
from load import Flow, Spinners
from peers import QemuMode, Socat, Ssh, path_of

BASE = "QEMU tcp"
RATES = (20, 40, 60, 80, 100, 120)
QUICK_RATES = (20, 80, 120)
# Of what the first round of `tcp` takes: as bench/compression.py's hot set.
PATIENCE = 3
# How long the neighbours run before they are counted.
SETTLE_S = 0.5


def dirtying_guest(memory, link_mbit, share):
    return Guest(content="mixed", hot=f"{memory // 4}M", rate=mib_per_s(link_mbit, share))


# -- rows
def ranged(values, form):
    """The median, and beside it the least and the greatest where there are more."""
    low, middle, high = (format(f(values), form) for f in (min, statistics.median, max))
    return middle if len(values) < 2 else f"{middle} ({low} to {high})"


def told(bench, case, runs, base, *texts):
    """base: (name, runs) of what the time is compared with; texts: functions of
    the runs that came to their end."""
    name, others = base
    done, failed = good(runs), failures(runs)
    words = [word for text in texts if done and (word := text(done))]
    found = ratios(runs, others) if others is not runs else []
    if found:
        words.insert(0, f"time / beside {ranged(found, '.3f')}")
    if failed:
        words.append(f"{len(failed)} of {len(runs)} failed: {failed[0]}")
    beside = f"{name} {spread(others)}" if found else ""
    # A program's own words may be in there.
    figure = " ".join("; ".join(words).replace("|", "/").split())
    bench.line(case, spread(runs) if done else "", beside, figure, "", None)


def downtime(runs):
    return f"down {median(runs, 'downtime'):.0f} ms, silent {median(runs, 'gap'):.0f} ms"


def wire(runs):
    cards = zip(*(r.wire for r in runs))
    return f"wire {' + '.join(f'{statistics.median(card) / MIB:.0f}' for card in cards)} MiB"


def pairs(runs, what, kind, scale=1.0, digits=2):
    """Source's + destination's; nothing when none of these took part."""
    values = []
    for end in ENDS:
        seen = [getattr(r, what).get(f"{kind} {end}") for r in runs]
        seen = [s for s in seen if s is not None]
        if seen:
            values.append(f"{statistics.median(seen) * scale:.{digits}f}")
    return " + ".join(values)


def processor(memory_mib):
    """A function of runs: processor seconds for a GiB of the guest's memory."""
    def text(runs):
        scale = 1024 / memory_mib
        words = [f"{kind} {pairs(runs, 'processor_s', kind, scale)}"
                 for kind in ("QEMU", "droverd") if pairs(runs, "processor_s", kind)]
        tunnel = statistics.median(r.processor_s.get("tunnel", 0) for r in runs) * scale
        if tunnel:
            words.append(f"tunnel {tunnel:.2f}")
        return f"processor s/GiB: {', '.join(words)}"
    return text


def peak(runs):
    values = pairs(runs, "peak_mib", "droverd", digits=0)
    return values and f"droverd grew by {values} MiB"


def all_told(bench, runs, base):
    for name, mode_runs in runs.items():
        told(bench, name, mode_runs, (base, runs[base]), downtime, wire,
             processor(bench.args.memory), peak)


# -- the parts
def one_card(course, quick):
    """The ways over one card, by name."""
    channels = processors()
    ways = {BASE: qemu(course),
            f"QEMU multifd {channels} zstd": qemu(course, QemuMode(channels, "zstd")),
            "QEMU tcp through ssh": qemu(course, QemuMode(tunnel=Ssh))}
    if not path_of("sshd"):
        print("QEMU tcp through ssh is left out: openssh-server is not installed")
        del ways["QEMU tcp through ssh"]
    if not quick:
        ways |= {f"QEMU multifd {n}": qemu(course, QemuMode(n)) for n in (2, 4, 8)}
        ways |= {
            "QEMU tcp XBZRLE": qemu(course, QemuMode(xbzrle=True)),
            "QEMU tcp auto-converge": qemu(course, QemuMode(auto_converge=True)),
            "QEMU tcp through socat": qemu(course, QemuMode(tunnel=Socat)),
            "QEMU 10 tcp": qemu(course, QemuMode(qemu10=True)),
            f"QEMU 10 multifd {channels}": qemu(course, QemuMode(channels, qemu10=True)),
            f"QEMU 10 multifd {channels} zstd":
                qemu(course, QemuMode(channels, "zstd", qemu10=True))}
    return ways | {"Drover tcp": drover(course, "tcp"),
                   "Drover compression": drover(course, "compression")}


def two_cards(course, quick):
    """The ways over two cards, by name; the first is what the others are beside."""
    channels = processors()
    ways = {f"{BASE}, MPTCP": qemu(course, QemuMode(mptcp=True))}
    if not quick:
        ways |= {
            f"QEMU multifd {channels} zstd, MPTCP":
                qemu(course, QemuMode(channels, "zstd", mptcp=True)),
            "QEMU 10 tcp, MPTCP": qemu(course, QemuMode(mptcp=True, qemu10=True)),
            f"QEMU 10 multifd {channels} zstd, MPTCP":
                qemu(course, QemuMode(channels, "zstd", mptcp=True, qemu10=True)),
            "Drover multichannel": drover(course, "multichannel")}
    return ways | {"Drover auto": drover(course, "auto")}


def peers(bench):
    """every mode, 1 x 1 and 2 x 1 Gbit/s, the guest dirties 10 % of a link"""
    guest = dirtying_guest(bench.args.memory, 1000, 0.1)
    with Course(bench.args, "1gbit", guest=guest) as course:
        runs = bench.turns("1 x 1 Gbit/s", **one_card(course, bench.args.quick))
    all_told(bench, runs, BASE)
    # As in bench/multichannel.py: less queueing is bad for MPTCP.
    with Course(bench.args, "1gbit", "1gbit", latency="50ms", guest=guest) as course:
        course.use_mptcp()
        runs = bench.turns("2 x 1 Gbit/s", **two_cards(course, bench.args.quick))
    all_told(bench, {f"2 cards: {name}": r for name, r in runs.items()},
             f"2 cards: {BASE}, MPTCP")


def backend(bench):
    """QEMU's own default memory beside a shared memfd"""
    for words, link in (("1 Gbit/s", "1gbit"), ("unshaped", None)):
        with Course(bench.args, link, guest=MIXED) as course:
            runs = bench.turns(words, **{
                f"{words}: QEMU tcp, shared memfd": qemu(course, QemuMode(shared_memory=True)),
                f"{words}: QEMU tcp, its own default": qemu(course),
                f"{words}: Drover compression": drover(course, "compression")})
        all_told(bench, runs, f"{words}: QEMU tcp, shared memfd")


def dirtying_ways(course, quick, limit_s):
    ways = {BASE: qemu(course, limit_s=limit_s)}
    if not quick:
        ways |= {
            "QEMU tcp XBZRLE": qemu(course, QemuMode(xbzrle=True), limit_s=limit_s),
            "QEMU tcp auto-converge": qemu(course, QemuMode(auto_converge=True), limit_s=limit_s),
            "Drover tcp": drover(course, "tcp", limit_s=limit_s)}
    return ways | {"Drover compression": drover(course, "compression", limit_s=limit_s)}


def dirtying(bench):
    """downtime and time at dirty rates of 20 to 120 % of the link"""
    memory, quick = bench.args.memory, bench.args.quick
    link = f"{memory * 3 // 2}mbit" if quick else scaled_link(bench.args)
    # Three quarters of mixed data travel.
    first_s = memory * 0.75 * MIB * 8 / bits(link)
    limit_s = round(first_s * PATIENCE)
    series = {}
    for percent in QUICK_RATES if quick else RATES:
        guest = dirtying_guest(memory, bits(link) / 1e6, percent / 100)
        with Course(bench.args, link, guest=guest) as course:
            runs = bench.turns(f"{percent} %", **dirtying_ways(course, quick, limit_s))
        for name, mode_runs in runs.items():
            told(bench, f"{percent} % of {link}: {name}", mode_runs, (BASE, runs[BASE]), downtime)
            found = point(percent, [r.downtime for r in good(mode_runs)])
            if found:
                series.setdefault(name, []).append(found)
    bench.draw("downtime-over-dirty-rate", plot.lines,
               f"{memory} MiB of mixed data, a quarter of it dirtied, {link}",
               "dirtied, % of the link", "downtime, ms", series,
               "set xrange [0:130]", "set yrange [0:*]")


class Neighbours:
    """Others on the host and on the card, during a move and for as long after it."""

    def __init__(self, course):
        self.loads = {"a process": Spinners(course.lab, processors()),
                      "a flow": Flow(course.links[0])}
        self.began = None

    def __enter__(self):
        self._each("go")
        time.sleep(SETTLE_S)
        self._each("next")
        self.began = time.monotonic()

    def __exit__(self, *failed):
        took = time.monotonic() - self.began
        self._each("next")
        if not any(failed):
            time.sleep(took)
        self._each("pause")
        self._each("close")

    def _each(self, what):
        for one in self.loads.values():
            getattr(one, what)()

    def lost(self):
        """By kind, the share of what they do without a move."""
        found = {}
        for name, one in self.loads.items():
            _, during, after = one.rates()
            found[name] = 1 - during / after
        return found


def among_neighbours(course, move):
    """move(during): a run."""
    neighbours = Neighbours(course)
    run = move(neighbours)
    run.extra["lost"] = neighbours.lost()
    run.ideal = 0.0                 # the flow's bytes are on the wire as well
    note(", ".join(f"{name} loses {lost:.1%}" for name, lost in run.extra["lost"].items()))
    return run


def losses(runs):
    return ", ".join(f"{name} loses {ranged([r.extra['lost'][name] for r in runs], '.1%')}"
                     for name in runs[0].extra["lost"])


def neighbour(bench):
    """what a process on every processor and a flow over the same card lose"""
    with Course(bench.args, "1gbit", guest=MIXED) as course:
        zstd = QemuMode(processors(), "zstd")
        moves = {BASE: lambda during: course.qemu(during=during),
                 "Drover compression":
                     lambda during: course.drover("compression", during=during)}
        if not bench.args.quick:
            moves |= {f"QEMU multifd {zstd.channels} zstd":
                          lambda during: course.qemu(zstd, during=during),
                      "Drover tcp": lambda during: course.drover("tcp", during=during)}
        runs = bench.turns("neighbour", **{
            name: lambda move=move: among_neighbours(course, move)
            for name, move in moves.items()})
    for name, mode_runs in runs.items():
        told(bench, name, mode_runs, (BASE, runs[BASE]), losses, downtime)


PARTS = {f.__name__: f for f in (peers, backend, dirtying, neighbour)}
