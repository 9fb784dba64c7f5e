# SPDX-License-Identifier: MIT
"""Many machines leave a host: drained, one after the other, and by QEMU's own means.

Three hosts at a switch, with two cards each.  The same machines leave the first
one for the two others, in runs with QEMUs and daemons of their own; the time is
from the command until the last one has arrived, the downtime the longest that a
report, or query-migrate, tells of.  QEMU's own migrations go over the one
address that they are given, as ever; which machine goes where is the same.
"""
import statistics
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass

import plot
from common import MIB, good, note
from course import DOWNTIME_MS, REST_MIB, Guest, Run, attempt
from lab import core, machine
from lab.console import Console
from lab.host import Host, connect
from lab.machine import Qemu
from lab.network import Network

MACHINES, AT_ONCE, QEMUS = 12, 4, 2
MEMORY_MIB, LINK_MBIT, CARDS, SHARE = 256, 250, 2, 0.05
NAMES = ("alpha", "beta", "gamma")
PORT = 7000
READY_S, TIME_LIMIT_S = 180, 600
# Time against the others', and the worst downtime against a single move's.
ALONE_BAR, QEMU_BAR, DOWNTIME_BAR, DOWNTIME_MORE_MS = 0.8, 0.6, 1.5, 50
HEARTBEAT_MS = 50


@dataclass(frozen=True)
class Size:
    """Of the set of machines."""
    machines: int = MACHINES
    memory_mib: int = MEMORY_MIB

    def names(self):
        return [f"web{i}" for i in range(self.machines)]

    def arguments(self):
        # Each changes this share of what the cards carry.
        rate = int(LINK_MBIT * CARDS * 1e6 / 8 * SHARE) >> 10
        guest = Guest(rate=f"{rate}K", hot="16M")
        words = guest.arguments(self.memory_mib)
        return [w.replace("heartbeat=20", f"heartbeat={HEARTBEAT_MS}") for w in words]


class Hosts:
    """Three, whose cards meet at a switch."""

    def __init__(self, args, size):
        self.args, self.size = args, size
        self.lab = core.Lab()
        self.stack = ExitStack()
        self.stack.callback(self.lab.close)
        self.network = Network(self.lab, (*NAMES, "switch"))
        switch = self.network["switch"]
        self.cards = []
        for card in range(CARDS):
            bridge = f"br{card}"
            switch.bridge(bridge)
            for i, name in enumerate(NAMES, 1):
                link = self.network.link(
                    name, "switch", rate=f"{LINK_MBIT}mbit",
                    addresses=(f"10.77.{100 + card}.{i}", f"10.77.{100 + card}.{100 + i}"))
                switch.run("ip", "address", "flush", "dev", link.names[1])
                switch.run("ip", "link", "set", link.names[1], "master", bridge)
                if name == NAMES[0]:
                    self.cards.append(link)
        self.consoles = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def addresses(self, name):
        return [link.addresses[0] for link in self.network.links
                if link.ends[0] is self.network[name]]

    def console(self, name):
        self.consoles[name] = Console(self.lab, self.lab.path(f"{name}.console"))
        return self.consoles[name].arguments()

    def wait_ready(self):
        for console in self.consoles.values():
            console.wait_line("^drover-stress ready", READY_S)

    def wire(self):
        return [link.wire_bytes(0) for link in self.cards]

    def timed(self, migrate):
        """migrate() gives the reports of all machines; the run of all of it."""
        self.wait_ready()
        time.sleep(1)
        before, begin = self.wire(), time.monotonic()
        told = migrate()
        end = time.monotonic()
        run = Run(end - begin, max(told.values()), [b - a for a, b in zip(before, self.wire())])
        run.ideal = sum(run.wire) / (LINK_MBIT * 1e6 / 8 * CARDS)
        run.extra = {"downtimes": told}
        for name, console in self.consoles.items():
            core.wait_for(f"a heartbeat of {name} after its move", lambda c=console: any(
                x.at > end for x in c.heartbeats()[-1:]), 30)
            run.corrupt += len(console.corrupt())
            gap = console.longest_gap(since=begin - 10 * HEARTBEAT_MS / 1000)
            run.gap = max(run.gap, 1000 * gap.seconds)
        return run

    # -- Drover
    def start(self, **settings):
        """The daemons, and all machines at the first one."""
        self.hosts = connect(*(Host(self.lab, name, self.network[name], self.addresses(name),
                                    qemu=self.args.qemu, settings={"move": {
                                        "mode": "auto", "max-moves": AT_ONCE,
                                        "downtime-limit": f"{DOWNTIME_MS}ms", **settings}})
                               for name in NAMES))
        for host in self.hosts:
            host.start()
        alpha = self.hosts[0]
        for name in self.size.names():
            alpha.define(machine.definition(
                name, *self.size.arguments(), *self.console(name),
                memory=f"{self.size.memory_mib}M", machine="pc"))
            alpha.drover("vm", "start", name)

    def reports(self):
        """{machine: its downtime}; the jobs are kept for the table of times."""
        self.jobs = [j for j in self.hosts[0].api("GET", "/v1/jobs") if j["kind"] == "move"]
        done = {j["machine"]: j["report"]["downtime_ms"] for j in self.jobs if j["state"] == "done"}
        left = [f"{j['machine']}: {j['error']}" for j in self.jobs if j["state"] != "done"]
        if len(done) < self.size.machines:
            raise core.Failed(f"{len(done)} of {self.size.machines} arrived; {'; '.join(left)}")
        return done

    def drain(self):
        done = self.hosts[0].drover("drain", timeout=TIME_LIMIT_S, check=False)
        if done.status != 0:
            note(done.stderr.strip())
        return self.reports()

    def one_by_one(self):
        for i, name in enumerate(self.size.names()):
            self.hosts[0].drover("move", name, NAMES[1 + i % 2], timeout=TIME_LIMIT_S)
        return self.reports()

    # -- QEMU
    def start_qemus(self):
        self.pairs = {}
        for i, name in enumerate(self.size.names()):
            words, ends = (*self.size.arguments(), *self.console(name)), []
            for host in (NAMES[0], NAMES[1 + i % 2]):
                ends.append(Qemu(self.lab, f"{name}{host[0]}", *words, program=self.args.qemu,
                                 namespace=self.network[host], incoming=host != NAMES[0],
                                 memory=f"{self.size.memory_mib}M", machine="pc", shared=False))
            uri = f"tcp:{self.addresses(NAMES[1 + i % 2])[0]}:{PORT + i}"
            ends[1].qmp("migrate-incoming", uri=uri)
            ends[1].qmp("cont")     # the guest runs as soon as it is there
            ends[0].qmp("migrate-set-parameters", max_bandwidth=1 << 40,
                        downtime_limit=DOWNTIME_MS)
            self.pairs[name] = (ends[0], uri)

    def by_qemu(self, at_once):
        waiting, told, lock, errors = list(self.pairs), {}, threading.Lock(), []

        def work():
            while True:
                with lock:
                    if not waiting:
                        return
                    name = waiting.pop(0)
                source, uri = self.pairs[name]
                try:
                    source.qmp("migrate", uri=uri)
                    source.qmp.wait_migration("completed", timeout=TIME_LIMIT_S)
                    told[name] = source.qmp("query-migrate")["downtime"]
                except core.Failed as e:
                    errors.append(f"{name}: {e}")
        threads = [threading.Thread(target=work) for _ in range(at_once)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        if errors:
            raise core.Failed("; ".join(errors))
        return told


def drained(args, size, **settings):
    with Hosts(args, size) as hosts:
        hosts.start(**settings)
        run = hosts.timed(hosts.drain)
        run.extra["spans"] = spans(hosts.jobs)
        return run


def one_by_one(args, size):
    with Hosts(args, size) as hosts:
        hosts.start()
        run = hosts.timed(hosts.one_by_one)
        run.extra["spans"] = spans(hosts.jobs)
        return run


def by_qemu(args, size, at_once):
    with Hosts(args, size) as hosts:
        hosts.start_qemus()
        return hosts.timed(lambda: hosts.by_qemu(at_once))


def spans(jobs):
    """Of each move: when it left the queue, its set-up, its transfer, seconds from the
    first one's."""
    found = []
    for j in jobs:
        r = j["report"]
        begun = j["ended"] - r["total_ms"] / 1000
        found.append((begun, r["setup_ms"] / 1000, r["transfer_ms"] / 1000, j["ended"]))
    first = min(f[0] for f in found)
    return sorted((round(a - first, 2), round(s, 2), round(t, 2), round(b - first, 2))
                  for a, s, t, b in found)


def shown(label, run):
    if run.error:
        note(f"{label}: {run.error}")
        return run
    note(f"{label}: {run.seconds:.1f} s, S {run.ideal:.1f} s, worst downtime "
         f"{run.downtime:.0f} ms, of {len(run.extra['downtimes'])} at the median "
         f"{statistics.median(run.extra['downtimes'].values()):.0f}, silent {run.gap:.0f} ms, "
         f"wire {'/'.join(f'{w / MIB:.0f}' for w in run.wire)} MiB"
         + (f", {run.corrupt} bad pages" if run.corrupt else ""))
    for span in run.extra.get("spans", ()):
        note("  from {:6.2f} s: set-up {:5.2f} s, transfer {:6.2f} s, until {:6.2f} s"
             .format(*span))
    return run


def ways(args, size):
    """Each way by its name in the table; the first is what is held against the others."""
    return {"drain": lambda: drained(args, size),
            "one by one": lambda: one_by_one(args, size),
            f"QEMU, {QEMUS} at once": lambda: by_qemu(args, size, QEMUS),
            f"QEMU, {size.machines} at once": lambda: by_qemu(args, size, size.machines),
            "drain, arbitration off": lambda: drained(args, size, arbitration="off")}


def worst_downtime(bench, case, runs, alone):
    """Against a move's that has the cards for itself."""
    single = statistics.median([ms for r in good(alone) for ms in r.extra["downtimes"].values()]
                               or [0.0])
    bar = max(DOWNTIME_BAR * single, single + DOWNTIME_MORE_MS)
    worst = statistics.median([r.downtime for r in good(runs)] or [float("inf")])
    bench.row(f"{case}: worst downtime", runs, alone, "one by one", what="",
              figure=f"{worst:.0f} ms ({single:.0f} ms for a move alone)",
              bar=f"at most {bar:.0f} ms", good=single > 0 and worst <= bar)


def drain(bench):
    """a host is emptied into two others, over two cards: time and the worst downtime"""
    size = Size()
    case = (f"{size.machines} machines of {size.memory_mib} MiB, {size.memory_mib - REST_MIB} "
            f"of them random, each dirtying {SHARE:.0%} of {CARDS} x {LINK_MBIT} Mbit/s")
    found = {name: [] for name in ways(bench.args, size)}
    for _ in range(1 if bench.args.quick else min(bench.args.runs, 3)):
        for name, way in ways(bench.args, size).items():
            found[name].append(shown(name, attempt(way)))
    bench.cases[case] = found
    runs, alone, two, twelve, off = found.values()
    bench.ratio(case, runs, alone, "one by one", ALONE_BAR)
    bench.ratio(case, runs, two, f"QEMU, {QEMUS} at once", QEMU_BAR)
    bench.ratio(case, runs, twelve, f"QEMU, {size.machines} at once", None)
    bench.ratio(case, runs, off, "drain, arbitration off", None)
    worst_downtime(bench, case, runs, alone)
    for name, beside in list(found.items())[2:]:
        bench.row(f"{name}: worst downtime", beside, None, "", what="",
                  figure=f"{max((r.downtime for r in good(beside)), default=0):.0f} ms", bar="",
                  good=None)
    bench.draw("many", plot.bars, f"{size.machines} machines leave a host",
               [(name, statistics.median([r.seconds for r in good(each)] or [0.0]),
                 statistics.median([r.downtime for r in good(each)] or [0.0]))
                for name, each in found.items()])


PARTS = {"many": drain}
