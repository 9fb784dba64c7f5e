# SPDX-License-Identifier: MIT
"""Moves over TLS beside moves in plain text: what it costs that hosts prove who
they are and nobody else reads along.

Each has a network of its own, of the same kind; they move in turns.
"""
import statistics

from common import MIB
from course import Course, drover, set_apart
from lab.crowd import Crowd
from release import processor_s

TIME_BAR = 1.03
# Processor seconds of both daemons for each GiB sent, above plain: AES-128-GCM at
# 3.6 GB/s takes 0.6 of them at both ends together.
COST_BAR = 0.75
CROWD, PORT = 2000, 6600
CROWD_BAR = 1.05


def s_per_gib(run):
    return processor_s(run) * 1024 * MIB / sum(run.wire)


def beside_plain(bench, case, mode, rates, huge=None):
    with Course(bench.args, *rates, trusted=True, huge=huge) as secure, \
            Course(bench.args, *rates, huge=huge) as plain:
        return bench.turns(case, plain=drover(plain, mode), tls=drover(secure, mode))


def tls(bench):
    """TLS and plain text in turns: 1 x 1 Gbit/s, and 4 cards that are not shaped"""
    case = "1 x 1 Gbit/s, tcp"
    runs = beside_plain(bench, case, "tcp", ["1gbit"])
    bench.ratio(case, runs["tls"], runs["plain"], "plain text", TIME_BAR)
    case = "4 cards, unshaped"
    with set_apart(bench.args):
        runs = beside_plain(bench, case, "multichannel", [None] * 4, huge="2M")
    pairs = [s_per_gib(t) - s_per_gib(p) for t, p in zip(runs["tls"], runs["plain"])
             if not t.error and not p.error]
    cost = statistics.median(pairs) if pairs else float("inf")
    bench.row(f"{case}: daemons", runs["tls"], runs["plain"], "plain text",
              what="processor seconds for each GiB, above", figure=f"{cost:.2f}",
              bar=f"at most {COST_BAR}", good=cost <= COST_BAR)


def crowd(bench):
    """2,000 connections that are silent or slow, and without them: 1 Gbit/s, unshaped"""
    for case, rate in (("1 x 1 Gbit/s", "1gbit"), ("unshaped", None)):
        case = f"{case}, {CROWD} that say nothing or a byte a second"
        # What the host has to find first is not what a crowd costs.
        with set_apart(bench.args), \
                Course(bench.args, rate, trusted=True, huge="2M") as course:
            def besieged(course=course):
                link = course.links[0]
                return course.drover("tcp", during=Crowd(
                    link.ends[0], (link.addresses[1], PORT), CROWD, turn_s=1, silent=2))
            runs = bench.turns(case, alone=drover(course, "tcp"), crowd=besieged)
        bench.ratio(case, runs["crowd"], runs["alone"], "without them", CROWD_BAR)


PARTS = {"tls": tls, "crowd": crowd}
