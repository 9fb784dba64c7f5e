# SPDX-License-Identifier: MIT
"""Moves over several cards, beside the ideal and beside QEMU over MPTCP.

S is the ideal: the bytes that the cards of the source put on the wire, divided
by the sum of their rates.  The token bucket counts whole Ethernet frames, in its
rate as in its counter, so S is what the cards allow.  The guest is idle, its
memory random.
"""
import time

from common import MIB, median, median_of
from course import Course, Guest, beside, qemu
from peers import QemuMode

# Paths are tried at most 5 s apart while there is none.
AGAIN_S = 6
# What was sent and not acknowledged when the light went out, at most: what the
# sender, its sockets and the cards may hold.
ON_ITS_WAY_MIB = 16
OUTAGE_S, QUICK_OUTAGE_S = 60, 10
# MPTCP's mark is a ratio of speeds, the table's are of times.
FASTER = 1.15


def over_all(course, during=None):
    return lambda: course.drover("multichannel", during=during)


def against_ideal(bench, case, runs, bar):
    ratio = median_of(runs, lambda r: r.seconds / r.ideal)
    bench.row(case, runs, None, "", what=f"S {median(runs, 'ideal'):.2f} s, time / S",
              figure=f"{ratio:.3f}", bar=f"at most {bar}", good=ratio <= bar)


# -- the parts
def equal(bench):
    """1, 2 and 4 cards of 500 Mbit/s, against the ideal"""
    for cards in (1, 2, 4):
        case = f"{cards} x 500 Mbit/s"
        with Course(bench.args, *["500mbit"] * cards) as course:
            runs = bench.turns(case, drover=over_all(course))["drover"]
        against_ideal(bench, case, runs, 1.08)


def unequal(bench):
    """a fast card and a slow one"""
    with Course(bench.args, "1000mbit", "100mbit") as both, \
            Course(bench.args, "1000mbit") as alone:
        runs = bench.turns("1000 + 100 Mbit/s", both=over_all(both), alone=over_all(alone))
    against_ideal(bench, "1000 + 100 Mbit/s", runs["both"], 1.12)
    bench.ratio("the same", runs["both"], runs["alone"], "1000 alone", 1)


def mptcp(bench):
    """two cards, beside QEMU over MPTCP"""
    for rates, bar, words in ((("500mbit", "500mbit"), 1.0, "2 x 500"),
                              (("400mbit", "100mbit"), 1 / FASTER, "400 + 100")):
        # What is queued in a card for longer costs Drover and does MPTCP good:
        # with 10 ms it took up to three times the ideal, from one run to the next.
        with Course(bench.args, *rates, latency="50ms") as course:
            course.use_mptcp()
            runs = bench.turns(f"{words} Mbit/s", qemu=qemu(course, QemuMode(mptcp=True)),
                               drover=over_all(course))
        bench.ratio(f"{words} Mbit/s", runs["drover"], runs["qemu"], "QEMU tcp, MPTCP", bar)


def wait_30_percent(course):
    """What was on the wire before the move."""
    first = sum(course.wire())
    while sum(course.wire()) - first < 0.3 * course.args.memory * MIB:
        time.sleep(0.02)
    return first


class Loss:
    """The first card is lost once 30 % are on the wire."""

    def __init__(self, act, back_at_once):
        self.act, self.back_at_once = act, back_at_once
        self.wire = None

    def strike(self, course):
        first = wait_30_percent(course)
        self.act(course.links[0])
        self.wire = sum(course.wire()) - first

    def run(self, course):
        """The ideal: all cards until then, the others from then on."""
        run = over_all(course, beside(lambda: self.strike(course)))()
        before = self.wire / course.sum_of_rates()
        left = sum(course.rates if self.back_at_once else course.rates[1:]) / 8
        run.ideal = before + (sum(run.wire) - self.wire) / left
        for mend in ("up", "heal"):
            getattr(course.links[0], mend)()
        time.sleep(1)
        return run


def lost(bench):
    """one card of two is lost at 30 %"""
    ways = {"link down": (lambda link: link.down(), False),
            "black hole": (lambda link: link.blackhole(), False),
            "RST": (lambda link: link.reset(), True)}
    with Course(bench.args, "500mbit", "500mbit") as course:
        runs = bench.turns("2 x 500 Mbit/s", **{name: lambda way=way: Loss(*way).run(course)
                                                for name, way in ways.items()})
    for name, all_runs in runs.items():
        over = median_of(all_runs, lambda r: r.seconds - r.ideal)
        bench.row(f"2 x 500 Mbit/s, one lost at 30 %: {name}", all_runs, None, "",
                  what=f"S {median(all_runs, 'ideal'):.2f} s, over it by", figure=f"{over:.2f} s",
                  bar="at most 2 s", good=over <= 2)


def outage(bench):
    """all cards are out in the middle of pre-copy"""
    out_s = QUICK_OUTAGE_S if bench.args.quick else OUTAGE_S

    def dark():
        wait_30_percent(course)
        for link in course.links:
            link.down()
        time.sleep(out_s)
        for link in course.links:
            link.up()

    with Course(bench.args, "500mbit", "500mbit") as course:
        runs = bench.turns("outage", times=1, drover=over_all(course, beside(dark)))["drover"]
    over = median_of(runs, lambda r: r.seconds - r.ideal - out_s)
    bench.row(f"2 x 500 Mbit/s, none for {out_s} s", runs, None, "",
              what=f"S {median(runs, 'ideal') + out_s:.2f} s, over it by", figure=f"{over:.2f} s",
              bar=f"at most {AGAIN_S} s", good=over <= AGAIN_S)
    resent = median_of(runs, lambda r: r.report["bytes"]["resent"] / MIB)
    bench.row("the same", runs, None, "", what="sent again", figure=f"{resent:.1f} MiB",
              bar=f"at most {ON_ITS_WAY_MIB} MiB", good=resent <= ON_ITS_WAY_MIB)
    beat = median_of(runs, lambda r: r.gap)
    bench.row("the same", runs, None, "", what="longest silence of the guest",
              figure=f"{beat:.0f} ms", bar="at most 1000 ms", good=beat <= 1000)


def downtime(bench):
    """downtime with a slow card beside two fast ones, and without it"""
    guest = Guest(rate="20M")
    with Course(bench.args, "1000mbit", "1000mbit", guest=guest) as without, \
            Course(bench.args, "1000mbit", "1000mbit", "50mbit", guest=guest) as slow:
        runs = bench.turns("downtime", without=over_all(without), slow=over_all(slow))
    bench.more_downtime("2 x 1000 and one of 50 Mbit/s", runs["slow"], runs["without"],
                        "without", 20)


PARTS = {f.__name__: f for f in (equal, unequal, mptcp, lost, outage, downtime)}
