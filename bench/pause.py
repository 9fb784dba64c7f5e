# SPDX-License-Identifier: MIT
"""How long the guest stands still, and what is done about one that is too fast.

The commit that moves are held against is of before the downtime limit was chosen
(docs/convergence.md): its programs are built once, as those of the last release.
"""
import copy
from dataclasses import dataclass

from common import good, median, median_of
from course import Course, Guest, drover, mib_per_s, qemu
from lab import release
from peers import QemuMode

BEFORE = "3a74d695993121af0d460c96ba54c7ef8b63b349"
LINK_MBIT = 1000
HOT = "64M"
# Share of the link that the guest changes, and of the downtime of before that is left.
SHARES = ((0.05, 1.0), (0.2, 0.55), (0.5, 0.3))
TIME_BAR = 1.05
IDLE_MIB, IDLE_MORE_MS, PARTS_MS = 1024, 15, 5
TOO_FAST = 1.5
FIXED = (50, 80, 99)
FIXED_BAR = 1.3
TIME_OUT_S = 10


@dataclass(frozen=True)
class Unix(QemuMode):
    """From one QEMU's unix socket to the other's: nothing between them."""

    def way(self, network, number):
        way = super().way(network, number)
        way.incoming = way.outgoing = f"unix:{network.lab.path(f'direct{number}')}"
        return way


@dataclass(frozen=True)
class Throttled(QemuMode):
    """QEMU's auto-converge with one step."""
    throttle: int = 50

    def set_up(self, end, memory_mib):
        super().set_up(end, memory_mib)
        end.qmp.capabilities(auto_converge=True)
        end.qmp("migrate-set-parameters", throttle_trigger_threshold=1,
                cpu_throttle_initial=self.throttle, cpu_throttle_increment=1,
                max_cpu_throttle=self.throttle)


def busy(share):
    return Guest(rate=mib_per_s(LINK_MBIT, share), hot=HOT)


def pauses(bench):
    """downtime at dirty rates of 5, 20 and 50 % of the link, before and now"""
    build = release.built(BEFORE)
    for share, bar in SHARES:
        case = f"dirtying {share:.0%} of 1 Gbit/s"
        with Course(bench.args, f"{LINK_MBIT}mbit", guest=busy(share)) as new, \
                Course(bench.args, f"{LINK_MBIT}mbit", guest=busy(share), build=build,
                       recent=True) as old:
            runs = bench.turns(case, before=drover(old, "compression"),
                               now=drover(new, "compression"))
        now, before = runs["now"], runs["before"]
        downs = median(now, "downtime"), median(before, "downtime")
        ratio = downs[0] / downs[1] if downs[1] else float("inf")
        bench.row(f"{case}: downtime", now, before, "before", what="downtime /",
                  figure=f"{ratio:.2f} ({downs[0]:.0f} of {downs[1]:.0f} ms)",
                  bar=f"at most {bar}", good=bool(good(now)) and ratio <= bar)
        bench.ratio(f"{case}: time", now, before, "before", TIME_BAR)


def parts_off(run):
    """What the parts of a pause are off its length."""
    return abs(sum(run.report["pause"].values()) - run.report["downtime_ms"])


def idle(bench):
    """an idle guest's downtime, beside QEMU's unix socket to unix socket"""
    args = copy.copy(bench.args)
    args.memory = min(args.memory, IDLE_MIB)
    with Course(args, None, guest=Guest()) as course:
        runs = bench.turns("idle", drover=drover(course, "compression"),
                           qemu=qemu(course, Unix()))
    bench.more_downtime("idle guest, unshaped", runs["drover"], runs["qemu"],
                        "QEMU unix to unix", IDLE_MORE_MS)
    off = max([parts_off(r) for r in good(runs["drover"])] or [float("inf")])
    bench.row("idle guest: the parts of the pause", runs["drover"], None, "", what="are off by",
              figure=f"{off:.0f} ms: " + ", ".join(
                  f"{part[:-3]} {median_of(runs['drover'], lambda r, p=part: r.report['pause'][p]):.0f}"
                  for part in (good(runs["drover"]) or [None])[0].report["pause"]),
              bar=f"at most {PARTS_MS} ms", good=off <= PARTS_MS)


def toofast(bench):
    """a guest that changes 150 % of the link: throttle, beside fixed ones, and pause"""
    with Course(bench.args, f"{LINK_MBIT}mbit", guest=busy(TOO_FAST)) as course:
        runs = bench.turns(
            "150 %", throttle=drover(course, "tcp", "--converge", "throttle"),
            pause=drover(course, "tcp", "--converge", "pause", "--timeout", f"{TIME_OUT_S}s"),
            **{f"fixed {most}": qemu(course, Throttled(throttle=most), limit_s=120)
               for most in FIXED})
    best = min((f"fixed {most}" for most in FIXED if good(runs[f"fixed {most}"])),
               key=lambda name: median(runs[name]), default=f"fixed {FIXED[0]}")
    bench.ratio("150 %, throttle", runs["throttle"], runs[best], best, FIXED_BAR)
    needed = median_of(runs["throttle"], lambda r: r.report["throttle"])
    bench.row("150 %, throttle: needed", runs["throttle"], None, "", what="throttle",
              figure=f"{needed:.0f} %, down {median(runs['throttle'], 'downtime'):.0f} ms",
              bar="in the report", good=1 < needed < 100)
    left = median_of(runs["pause"], lambda r: r.seconds - TIME_OUT_S - r.downtime / 1000)
    bench.row("150 %, pause", runs["pause"], None, "", what="after time-out and rest",
              figure=f"{left:.2f} s", bar="at most 0.5 s", good=left <= 0.5)


PARTS = {f.__name__: f for f in (pauses, idle, toofast)}
