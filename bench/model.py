# SPDX-License-Identifier: MIT
"""A model of a page's way, for links and hosts that this machine does not have.

A page passes stages; each has a cost, in processor time, and threads that may
work beside each other: one in a move, one for each connection, or as many as
there are processors.  Costs are measured here, in the same run, by the programs
of bench/micro and with a QEMU whose stream nobody uses.  docs/performance.md,
"Beyond this machine", has the formulas; symbols in here are its symbols.
"""
import json
import math
import os
import socket
import statistics
import threading
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass

import plot
from common import median, processors
from course import Course, Guest, REST_MIB
from lab.console import Console
from lab.core import BUILD, Lab
from lab.machine import Qemu
from meter import processor_s

PAGE = 4096
PAGES_PER_MIB = 256
GUEST = Guest(content="random")     # every page that it fills travels whole
LINKS = (10, 25, 100, 400)          # Gbit/s
# Of what a card of 1500 byte packets sends, TCP's payload: all headers, the
# preamble and the gap between two packets.
PAYLOAD = 1448 / 1538
CONNECTIONS = 32                    # in one move, at most
# A move of so little shows what every move costs; pages come on top of it.
SMALL_MIB = REST_MIB + 32
TIMES = 3                           # of QEMU's own cost, of which the least counts
PROGRAMS = ("split", "batch", "codec", "place", "outbox", "memory")
QEMU, SPLITTER, WORKERS = "QEMU's migration thread", "splitter", "workers"
WRITERS, READERS = "writers", "readers"
LINK = "link"


# -- what a page costs, ns
def micro(lab, program, *words):
    """{"stage: row": what was measured} of a program of bench/micro."""
    shown = lab.run([os.path.join(BUILD, "bench", "micro", program), "--json", *words]).stdout
    rows = [json.loads(line) for line in shown.splitlines()]
    return {f"{r['stage']}: {r['row']}": r.get("ns", r.get("ratio")) for r in rows}


def drain(listener):
    """Reads what a connection brings; nobody wants it."""
    buffer = bytearray(512 << 10)
    with listener.accept()[0] as end:
        while end.recv_into(buffer):
            pass


def migrated_s(lab, machine, path):
    """Processor seconds that QEMU's own side of a migration takes, least of some.
    The guest stands still."""
    took = []
    for number in range(TIMES):
        where = f"{path}.{number}"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(where)
            listener.listen()
            reader = threading.Thread(target=drain, args=(listener,), daemon=True)
            reader.start()
            machine.qmp("stop")
            before = processor_s(machine.pid)
            machine.qmp("migrate", uri=f"unix:{where}")
            machine.qmp.wait_migration("completed")
            took.append(processor_s(machine.pid) - before)
            reader.join()
            machine.qmp("cont")
    return min(took)


def qemu_ns(args):
    """Of a page that is sent, by two guests that differ in how many those are."""
    took = []
    with Lab() as lab:
        for memory in (args.memory, SMALL_MIB):
            console = Console(lab, lab.path(f"console{memory}"))
            machine = Qemu(lab, f"m{memory}", *GUEST.arguments(memory), *console.arguments(),
                           program=args.qemu, memory=f"{memory}M", machine="pc")
            console.wait_line("^drover-stress ready", 120)
            machine.qmp("migrate-set-parameters", max_bandwidth=1 << 40)
            took.append(migrated_s(lab, machine, lab.path(f"stream{memory}")))
            machine.kill()
            console.close()
    return (took[0] - took[1]) * 1e9 / more_pages(args)


def more_pages(args):
    """That a guest has filled and the small one has not."""
    return (args.memory - SMALL_MIB) * PAGES_PER_MIB


def measure(args):
    """All costs, and what the memory lets through."""
    costs = {QEMU: qemu_ns(args)}
    with Course(args, None) as course:
        for program in PROGRAMS:
            costs.update(micro(course.lab, program))
        costs.update(micro(course.lab, "wire", *(f"/proc/{course.network[host].holder.pid}/ns/net"
                                                 for host in ("alpha", "beta")),
                           course.links[0].addresses[1]))
    return costs


# -- the model
@dataclass(frozen=True)
class Cost:
    name: str
    value: float        # ns a page; of a ratio, that


@dataclass(frozen=True)
class Way:
    """How pages travel.  codec: as bench/micro/codec names it, None for raw."""
    name: str
    codec: str = None

    def ratio(self, costs):
        return costs[f"codec: {self.codec}, ratio"] if self.codec else 1.0


WAYS = (Way("raw"), Way("lz4", "lz4"), Way("zstd 1", "zstd 1"))


@dataclass(frozen=True)
class Stage:
    name: str
    host: str
    most: int           # n: threads of one move; 0: as many as there are processors
    ns: float           # c: processor time, for a page of the guest's
    moved: float        # m: bytes that are read and written, for one

    def cap(self):
        """Pages a second of one move."""
        return self.most / self.ns * 1e9 if self.most else math.inf

    def processors(self, pages):
        """That so many pages a second take."""
        return pages * self.ns / 1e9


def stages(costs, way):
    """A page's way through both hosts; what is pressed counts 1/r from there on."""
    r = way.ratio(costs)
    batch = ("batch: history: not known, on a free link" if way.codec
             else "batch: pages of data")
    split = sum(costs[name] for name in (
        "wire: QEMU's socket, read", "split: pages of data, diverted", batch,
        "outbox: two frames at a time"))
    send = costs["wire: a channel: the sum before"] + costs["wire: a channel: sent"]
    receive = costs["wire: a channel: received"] + costs["wire: a channel: the sum after"]
    place = costs["place: data, to new memory: the stage"]
    way_there = [Stage(QEMU, "source", 1, costs[QEMU], 3 * PAGE),
                 Stage(SPLITTER, "source", 1, split, 2 * PAGE)]
    if not way.codec:
        return way_there + [
            Stage(WRITERS, "source", CONNECTIONS, send, 4 * PAGE),
            Stage(READERS, "destination", CONNECTIONS, receive + place, 6 * PAGE)]
    press = costs[f"codec: {way.codec}, pressed"] + costs["codec: probe: is it dense"]
    expand = costs[f"codec: {way.codec}, expanded"]
    return way_there + [
        Stage(WORKERS, "source", 0, press, PAGE * (1 + 1 / r)),
        Stage(WRITERS, "source", CONNECTIONS, send / r, 4 * PAGE / r),
        Stage(READERS, "destination", CONNECTIONS, receive / r + expand + place,
              PAGE * (5 / r + 3))]


@dataclass(frozen=True)
class Limit:
    """What one move gets out of a link."""
    link: str
    way: str
    by: str             # what limits
    share: float        # of the link
    pages: float        # x: a second
    channels: int
    cores: dict         # by host, of this move
    full_cores: dict    # by host, where the link is full
    full_threads: dict  # by stage, the same
    full_memory: float  # bytes a second that the busier host's memory moves, the same
    moves: int          # beside each other, until the link is full


def fill(gbit, payload, ratio):
    """Pages of the guest's in a second, that fill a link."""
    return gbit * 1e9 / 8 * payload / PAGE * ratio


def on_host(way_there, value):
    return {host: sum(value(s) for s in way_there if s.host == host)
            for host in ("source", "destination")}


def limit(costs, way, name, gbit, payload=PAYLOAD):
    """What one move gets out of a link, and what it takes to fill it."""
    way_there = stages(costs, way)
    full = fill(gbit, payload, way.ratio(costs))
    caps = {LINK: full, **{s.name: s.cap() for s in way_there}}
    by = min(caps, key=caps.get)
    x = caps[by]
    alone = min(s.cap() for s in way_there)
    return Limit(name, way.name, by, x / full, x,
                 max(math.ceil(s.processors(x)) for s in way_there if s.name in (WRITERS, READERS)),
                 on_host(way_there, lambda s: s.processors(x)),
                 on_host(way_there, lambda s: s.processors(full)),
                 {s.name: s.processors(full) for s in way_there},
                 max(on_host(way_there, lambda s: s.moved * full).values()),
                 math.ceil(full / alone))


def veth_gbit(costs):
    """One connection, by what either end of it takes, without sums."""
    slower = max(costs["wire: a channel: sent"], costs["wire: a channel: received"])
    return PAGE * 8 / slower


# -- rows
def show_stage(bench, way, stage):
    threads = (f"at most {stage.most} thread{'s' * (stage.most > 1)}, "
               f"{stage.cap() * PAGE * 8 / 1e9:.1f} Gbit/s of pages" if stage.most
               else "as many threads as there are processors")
    bench.line(f"{way.name}: {stage.name}", "", stage.host,
               f"{stage.ns:.0f} ns a page, {threads}; {stage.moved / PAGE:.1f} pages read or "
               "written", "", None)


def show_memory(bench, costs):
    rates = [2 * PAGE / costs[f"memory: copied by {who}"]
             for who in ("one thread", "one on each processor")]
    bench.line("memory, beyond all caches", "", "",
               f"{rates[0]:.1f} GB/s read and written by one thread that copies, {rates[1]:.1f} "
               f"by {processors()}", "", None)


def plus(hosts):
    """Processors of the source and of the destination."""
    return " + ".join(f"{number:.1f}" for number in hosts.values())


def show_limit(bench, one, gbit):
    bench.line(f"{one.link}, {one.way}", "", f"limited by {one.by}",
               f"one move: {one.share * gbit:.1f} Gbit/s, {one.pages * PAGE / 1e9:.1f} GB/s of "
               f"the guest, connections: {one.channels}, processors: {plus(one.cores)}; "
               f"full: moves: {one.moves}, processors: {plus(one.full_cores)}, "
               f"at most {one.full_memory / 1e9:.0f} GB/s read and written in memory", "", None)


def draw(bench, costs):
    """Processors against link rate; upright: where one raw move ends."""
    rates = [10, 25, 50, 100, 200, 400]
    series = {}
    for way in WAYS:
        for rate in rates:
            found = limit(costs, way, "", rate).full_cores
            for host, cores in found.items():
                series.setdefault(f"{way.name}, {host}", []).append((rate, *[cores] * 3))
    alone = min(s.cap() for s in stages(costs, WAYS[0])) * PAGE * 8 / PAYLOAD / 1e9
    bench.draw("model-cores-over-rate", plot.lines, "Processors that fill a link",
               "link, Gbit/s", "processors", series, "set logscale xy", "set key left top",
               "set xrange [8:500]", f"set xtics ({', '.join(map(str, rates))})",
               f"set arrow from {alone:.1f}, graph 0 to {alone:.1f}, graph 1 nohead dashtype 2",
               f"set label 'one raw move' at {alone:.1f}, graph 0.03 offset 1")


# -- held against moves of this machine
@contextmanager
def pinned(number):
    """What is started meanwhile runs on so many processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def page_ns(costs, cores, connections):
    """Of a raw page where both hosts share so many processors; and by what."""
    way_there = stages(costs, WAYS[0])
    all_ns = sum(s.ns for s in way_there) / cores
    slowest = max(way_there, key=lambda s: s.ns / min(s.most, connections))
    if all_ns > slowest.ns / min(slowest.most, connections):
        return all_ns, "all processors"
    return slowest.ns / min(slowest.most, connections), slowest.name


def by_process(costs):
    """ns of a raw page, as Run.processor_s names who spends them."""
    found = {"QEMU destination": 0.0}
    for stage in stages(costs, WAYS[0]):
        process = "QEMU source" if stage.name == QEMU else f"droverd {stage.host}"
        found[process] = found.get(process, 0.0) + stage.ns
    return found


def used_s(runs, process):
    return statistics.median([r.processor_s[process] for r in runs if not r.error] or [0.0])


def error(predicted, was):
    return f"{predicted / was - 1:+.0%}" if was else "none"


def show_check(bench, costs, case, least, runs):
    """case: (processors, connections); least: the runs of the small guest, on top
    of which the pages come that the other one has more."""
    ns, by = page_ns(costs, *case)
    more = more_pages(bench.args) / 1e9
    words = "model held against a move, processors: {}, connections: {}".format(*case)
    time_s = median(least) + more * ns
    bench.row(f"{words}; limited by {by}", runs, least, "small guest",
              what=f"predicted {time_s:.2f} s, error", figure=error(time_s, median(runs)),
              bar="", good=None)
    pairs = {process: (used_s(least, process) + more * each, used_s(runs, process))
             for process, each in by_process(costs).items()}
    bench.row(f"{words}; processor time", runs, least, "small guest",
              what="predicted / measured: " + ", ".join(
                  f"{process} {a:.2f} / {b:.2f} s" for process, (a, b) in pairs.items()) +
              "; error of all", figure=error(*map(sum, zip(*pairs.values()))), bar="",
              good=None)


def check(bench, costs):
    """Moves on 1 and 2 processors, over 1 and 2 connections."""
    small = copy(bench.args)
    small.memory = SMALL_MIB
    kinds, cases = {}, {}
    with ExitStack() as stack:
        for cores in (1, 2)[:processors()]:
            with pinned(cores):
                courses = [stack.enter_context(Course(args, None, guest=GUEST))
                           for args in (small, bench.args)]
                for course in courses:
                    course.start_daemons()
            least = f"small, processors: {cores}"
            kinds[least] = lambda course=courses[0]: course.drover("tcp", "--connections", "1")
            for n in (1, 2):
                name = f"connections: {n}, processors: {cores}"
                kinds[name] = lambda course=courses[1], n=n: course.drover(
                    "tcp", "--connections", n)
                cases[cores, n] = (least, name)
        runs = bench.turns("check", **kinds)
    for case, (least, name) in cases.items():
        show_check(bench, costs, case, runs[least], runs[name])


def model(bench):
    """which stage limits a move at 10 to 400 Gbit/s, and what it takes to fill them"""
    costs = measure(bench.args)
    shown = set()
    for way in WAYS:
        for stage in stages(costs, way):
            if stage not in shown:
                show_stage(bench, way, stage)
            shown.add(stage)
    show_memory(bench, costs)
    veth = veth_gbit(costs)
    links = [(f"{gbit} Gbit/s", gbit, PAYLOAD) for gbit in LINKS]
    links.append((f"veth of this machine, {veth:.1f} Gbit/s", veth, 1.0))
    limits = []
    for name, gbit, payload in links:
        for way in WAYS:
            limits.append(limit(costs, way, name, gbit, payload))
            show_limit(bench, limits[-1], gbit)
    bench.cases["model"] = {"costs": [Cost(*one) for one in costs.items()],
                            **{way.name: stages(costs, way) for way in WAYS}, "links": limits}
    draw(bench, costs)
    check(bench, costs)


PARTS = {"model": model}
