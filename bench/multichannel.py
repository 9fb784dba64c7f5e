#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Moves over several cards, beside the ideal and beside QEMU over MPTCP.

    bench/multichannel.py [--quick] [--runs N] [--only PART...] [--qemu PATH]

Two hosts (network namespaces) joined by shaped veth pairs, an idle stress guest
with random memory.  S is the ideal: the bytes that the cards of the source put
on the wire, divided by the sum of their rates.  The token bucket counts whole
Ethernet frames, in its rate as in its counter, so S is what the cards allow.
Drover's time is from QEMU's `migrate` to `completed`, as QEMU's total-time is.

Parts: equal, unequal, mptcp, lost, outage, downtime.  What is compared is
measured in turns, and compared by medians.  Prints a table in Markdown with the
bar beside each figure; the exit status is 1 when a bar was missed.
"""
import argparse
import os
import platform
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field

from common import ROOT, begin

MIB = 1 << 20
PORT = 7000
# Of the guest's memory, what it does not fill.
REST_MIB = 64
# Paths are tried at most 5 s apart while there is none.
AGAIN_S = 6
# What was sent and not acknowledged when the light went out, at most: what the
# sender, its sockets and the cards may hold.
ON_ITS_WAY_MIB = 16


@dataclass
class Run:
    """One migration: seconds, milliseconds, bytes on the wire by card."""
    seconds: float
    downtime: float
    wire: list
    report: dict = field(default_factory=dict)
    ideal: float = 0.0


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--runs", type=int, default=0, help="of each case (3; quick: 1)")
    parser.add_argument("--memory", type=int, default=0, help="MiB (2048; quick: 512)")
    parser.add_argument("--outage", type=int, default=0, help="seconds (60; quick: 10)")
    parser.add_argument("--quick", action="store_true", help="smaller and fewer")
    parser.add_argument("--only", nargs="*", default=list(PARTS), choices=list(PARTS),
                        metavar="PART")
    parser.add_argument("--qemu", default="/usr/bin/qemu-system-x86_64")
    args = parser.parse_args()
    args.runs = args.runs or (1 if args.quick else 3)
    args.memory = args.memory or (512 if args.quick else 2048)
    args.outage = args.outage or (10 if args.quick else 60)
    return args


def guest_arguments(args, rate="0"):
    from lab import machine
    return ["-kernel", machine.STRESS, "-append",
            f"fill={args.memory - REST_MIB}M content=random rate={rate} hot=16M verify=0 "
            "heartbeat=20"]


class Course:
    """Two hosts with cards of the given rates; each run has QEMUs of its own."""

    def __init__(self, args, *rates, latency="10ms"):
        from lab import core
        from lab.network import Network, bits
        self.args, self.rates = args, [bits(r) for r in rates]
        self.lab = core.Lab()
        self.network = Network(self.lab, ("alpha", "beta"), rate=rates)
        self.links = self.network.links
        for link, rate in zip(self.links, rates):
            link.shape(rate, latency=latency)
        self.hosts = []
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.close()

    def wire(self):
        return [link.wire_bytes(0) for link in self.links]

    def sum_of_rates(self):
        """Bytes per second."""
        return sum(self.rates) / 8

    def ideal(self, run):
        return sum(run.wire) / self.sum_of_rates()

    def measured(self, migrate):
        """Count what the cards send meanwhile."""
        before = self.wire()
        run = migrate()
        run.wire = [b - a for a, b in zip(before, self.wire())]
        run.ideal = run.ideal or self.ideal(run)
        return run

    # -- Drover
    def start_daemons(self):
        from lab.host import Host, connect
        self.hosts = [Host(self.lab, name, self.network[name], self.network.addresses(name),
                           qemu=self.args.qemu,
                           settings={"move": {"switchover-outage-limit": "5s"}})
                      for name in ("alpha", "beta")]
        for host in connect(*self.hosts):
            host.start()

    def drover(self, *words, trouble=None, rate="0"):
        """`drover move`; trouble(course) runs beside it and is joined."""
        return self.measured(lambda: self._drover(words or ("--option", "multichannel"),
                                                  trouble, rate))

    def _drover(self, words, trouble, rate):
        from lab import machine
        from lab.console import Console
        if not self.hosts:
            self.start_daemons()
        self.number += 1
        alpha, beta = self.hosts
        console = Console(self.lab, self.lab.path(f"console{self.number}"))
        name = f"guest{self.number}"
        alpha.define(machine.definition(
            name, *guest_arguments(self.args, rate), *console.arguments(),
            memory=f"{self.args.memory}M", machine="pc"))
        alpha.drover("vm", "start", name)
        console.wait_line("^drover-stress ready", 120)
        time.sleep(1)
        beside = None
        if trouble:
            beside = threading.Thread(target=trouble, args=(self,))
            beside.start()
        alpha.drover("move", name, "beta", "--json", *words, timeout=600)
        if beside:
            beside.join()
        job = alpha.newest_job(kind="move")
        gap = console.longest_gap(since=time.monotonic() - 600)
        report = {**job["report"], "longest_gap": gap.seconds if gap else 0.0}
        beta.drover("vm", "stop", name)
        beta.drover("vm", "forget", name, check=False)
        alpha.drover("vm", "forget", name, check=False)
        console.close()
        return Run(report["transfer_ms"] / 1000, report["downtime_ms"], [], report)

    # -- QEMU
    def use_mptcp(self):
        """The far host tells its other addresses, the near one joins them."""
        for host in ("alpha", "beta"):
            self.network[host].run("ip", "mptcp", "limits", "set", "subflows", "8",
                                   "add_addr_accepted", "8")
        for link in self.links[1:]:
            self.network["beta"].run("ip", "mptcp", "endpoint", "add", link.addresses[1],
                                     "dev", link.names[1], "signal")

    def qemu(self, extra=""):
        return self.measured(lambda: self._qemu(extra))

    def _qemu(self, extra):
        from lab.console import Console
        from lab.machine import Qemu
        self.number += 1
        console = Console(self.lab, self.lab.path(f"console{self.number}"))
        common = dict(program=self.args.qemu, memory=f"{self.args.memory}M", machine="pc")
        port = f"{PORT + self.number}{extra}"
        ends = [Qemu(self.lab, f"{host[0]}{self.number}", *guest_arguments(self.args),
                     *console.arguments(), namespace=self.network[host],
                     incoming=host == "beta", **common) for host in ("alpha", "beta")]
        source, destination = ends
        console.wait_line("^drover-stress ready", 120)
        # Of every address: MPTCP joins the connection over the others.
        destination.qmp("migrate-incoming", uri=f"tcp:0.0.0.0:{port}")
        source.qmp("migrate-set-parameters", max_bandwidth=1 << 40, downtime_limit=300)
        time.sleep(1)
        source.qmp("migrate", uri=f"tcp:{self.links[0].addresses[1]}:{port}")
        source.qmp.wait_migration("completed", timeout=600)
        info = source.qmp("query-migrate")
        for one in ends:
            one.kill()
        console.close()
        return Run(info["total-time"] / 1000, info["downtime"], [])


class Table:
    def __init__(self):
        self.rows = []
        self.missed = 0
        self.stolen = stolen()

    def row(self, case, time_s, ideal_s, what, figure, bar, good):
        """One line, shown at once."""
        self.missed += not good
        line = (f"| {case} | {time_s} | {ideal_s} | {what} {figure} | {bar} | "
                f"{'yes' if good else '**no**'} |")
        self.rows.append(line)
        print(line, flush=True)

    def show(self, args):
        print(f"\n{args.memory} MiB random, medians of {args.runs}, kernel {platform.release()}, "
              f"{os.cpu_count()} processors, {args.qemu}\n"
              f"{stolen() - self.stolen:.0f} processor seconds were taken away by whoever runs "
              "this machine\n\n"
              "| case | time | ideal | figure | bar | holds |\n|---|---|---|---|---|---|")
        print("\n".join(self.rows))


def stolen():
    """Seconds, over all processors, that this machine's own host took away."""
    with open("/proc/stat", encoding="ascii") as f:
        return int(f.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def note(text):
    print(f"    {text}", file=sys.stderr, flush=True)


def shown(label, run):
    resent = run.report.get("bytes", {}).get("resent", 0)
    note(f"{label}: {run.seconds:.2f} s, S {run.ideal:.2f} s, down {run.downtime:.0f} ms, "
         f"wire {'/'.join(f'{w / MIB:.0f}' for w in run.wire)} MiB"
         + (f", sent again {resent / MIB:.1f} MiB" if run.report else ""))
    return run


def median(runs, attribute="seconds"):
    return statistics.median(getattr(r, attribute) for r in runs)


def in_turns(args, **kinds):
    """Each kind once in each turn; the runs of each."""
    runs = {name: [] for name in kinds}
    for _ in range(args.runs):
        for name, measure in kinds.items():
            runs[name].append(shown(name, measure()))
    return runs


def against_ideal(table, case, runs, bar):
    ratio = statistics.median(r.seconds / r.ideal for r in runs)
    table.row(case, f"{median(runs):.2f} s", f"{median(runs, 'ideal'):.2f} s", "time / S",
              f"{ratio:.3f}", f"at most {bar}", ratio <= bar)


# -- the parts
def equal(args, table):
    for cards in (1, 2, 4):
        with Course(args, *["500mbit"] * cards) as course:
            runs = in_turns(args, drover=course.drover)["drover"]
        against_ideal(table, f"{cards} x 500 Mbit/s", runs, 1.08)


def unequal(args, table):
    with Course(args, "1000mbit", "100mbit") as both, Course(args, "1000mbit") as alone:
        runs = in_turns(args, both=both.drover, alone=alone.drover)
    against_ideal(table, "1000 + 100 Mbit/s", runs["both"], 1.12)
    ratio = median(runs["both"]) / median(runs["alone"])
    table.row("1000 + 100 against 1000 alone", f"{median(runs['both']):.2f} s",
              f"{median(runs['alone']):.2f} s alone", "time / alone", f"{ratio:.3f}",
              "at most 1", ratio <= 1)


def mptcp(args, table):
    for rates, bar, words in ((("500mbit", "500mbit"), 1.0, "2 x 500"),
                              (("400mbit", "100mbit"), 1 / 1.15, "400 + 100")):
        # What is queued in a card for longer costs Drover and does MPTCP good:
        # with 10 ms it took up to three times the ideal, from one run to the next.
        with Course(args, *rates, latency="50ms") as course:
            course.use_mptcp()
            runs = in_turns(args, qemu=lambda: course.qemu(",mptcp=on"), drover=course.drover)
        ratio = median(runs["drover"]) / median(runs["qemu"])
        table.row(f"{words} Mbit/s against QEMU over MPTCP", f"{median(runs['drover']):.2f} s",
                  f"{median(runs['qemu']):.2f} s MPTCP", "time / MPTCP", f"{ratio:.3f}",
                  f"at most {bar:.2f}", ratio <= bar)


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

    def __call__(self, course):
        first = wait_30_percent(course)
        self.act(course.links[0])
        self.wire = sum(course.wire()) - first

    def run(self, course):
        """The ideal: all cards until then, the others from then on."""
        run = course.drover(trouble=self)
        before = self.wire / course.sum_of_rates()
        left = sum(course.rates if self.back_at_once else course.rates[1:]) / 8
        run.ideal = before + (sum(run.wire) - self.wire) / left
        for mend in ("up", "heal"):
            getattr(course.links[0], mend)()
        time.sleep(1)
        return run


def lost(args, table):
    ways = {"link down": (lambda link: link.down(), False),
            "black hole": (lambda link: link.blackhole(), False),
            "RST": (lambda link: link.reset(), True)}
    with Course(args, "500mbit", "500mbit") as course:
        runs = in_turns(args, **{name: lambda way=way: Loss(*way).run(course)
                                 for name, way in ways.items()})
    for name, all_runs in runs.items():
        over = statistics.median(r.seconds - r.ideal for r in all_runs)
        table.row(f"2 x 500 Mbit/s, one lost at 30 %: {name}", f"{median(all_runs):.2f} s",
                  f"{median(all_runs, 'ideal'):.2f} s", "over the ideal by", f"{over:.2f} s",
                  "at most 2 s", over <= 2)


def outage(args, table):
    """All cards are out for a minute, in the middle of pre-copy."""
    def dark(course):
        wait_30_percent(course)
        for link in course.links:
            link.down()
        time.sleep(args.outage)
        for link in course.links:
            link.up()

    with Course(args, "500mbit", "500mbit") as course:
        run = shown("outage", course.drover(trouble=dark))
    over = run.seconds - run.ideal - args.outage
    resent = run.report["bytes"]["resent"] / MIB
    beat = run.report["longest_gap"] * 1000
    table.row(f"2 x 500 Mbit/s, none for {args.outage} s", f"{run.seconds:.2f} s",
              f"{run.ideal + args.outage:.2f} s", "over the ideal by", f"{over:.2f} s",
              f"at most {AGAIN_S} s", over <= AGAIN_S)
    table.row("the same: sent again", "", "", "", f"{resent:.1f} MiB",
              f"at most {ON_ITS_WAY_MIB} MiB", resent <= ON_ITS_WAY_MIB)
    table.row("the same: longest silence of the guest", "", "", "", f"{beat:.0f} ms",
              "at most 1000 ms", beat <= 1000)


def downtime(args, table):
    with Course(args, "1000mbit", "1000mbit") as without, \
            Course(args, "1000mbit", "1000mbit", "50mbit") as slow:
        runs = in_turns(args, without=lambda: without.drover(rate="20M"),
                        slow=lambda: slow.drover(rate="20M"))
    more = median(runs["slow"], "downtime") - median(runs["without"], "downtime")
    table.row("downtime, 2 x 1000 and one of 50 Mbit/s", f"{median(runs['slow'], 'downtime'):.0f} ms",
              f"{median(runs['without'], 'downtime'):.0f} ms without", "more by",
              f"{more:.0f} ms", "at most 20 ms", more <= 20)


PARTS = {f.__name__: f for f in (equal, unequal, mptcp, lost, outage, downtime)}


def main():
    args = options()
    begin(args.build)
    table = Table()
    for name, part in PARTS.items():
        if name in args.only:
            part(args, table)
    table.show(args)
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
