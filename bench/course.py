# SPDX-License-Identifier: MIT
"""The course that is run: two hosts, their cards, and one migration at a time.

Two hosts (network namespaces) joined by veth pairs, shaped or not, and the
stress guest.  Each run has QEMUs of its own with the memory that QEMU takes by
default.  Drover's time is from QEMU's `migrate` to `completed`, as QEMU's
total-time is; its downtime from QEMU's STOP until the destination says that the
guest runs.  QEMU's own are what query-migrate says, with max-bandwidth lifted
and the same downtime limit.  The gap is the guest's longest silence from the
begin of the move until it is heard again after its end.
"""
import mmap
import os
import subprocess
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from common import MIB, note
from lab import core, machine
from lab.authority import trust
from lab.console import Console
from lab.host import Host, connect
from lab.huge import huge_pages
from lab.machine import Qemu
from lab.network import Network, bits
from meter import Meter, Peak
from peers import QemuMode

# Of the guest's memory, what it does not fill.
REST_MIB = 64
DOWNTIME_MS = 300
HEARTBEAT_MS = 20
TIME_LIMIT_S = 900
MAP_HUGETLB = 0x40000            # asm-generic/mman.h
MADV_POPULATE_WRITE = 23        # linux/mman.h; not in Python's mmap
# Of the error of a move whose --timeout is over.
OUT_OF_TIME = "time-out"
ENDS = ("source", "destination")


@dataclass
class Run:
    """One migration: seconds, milliseconds, bytes on the wire by card."""
    seconds: float
    downtime: float
    wire: list
    report: dict = field(default_factory=dict)
    ideal: float = 0.0
    error: str = ""
    corrupt: int = 0            # bad pages that the guest told of
    gap: float = 0.0            # ms, the guest's longest silence
    processor_s: dict = field(default_factory=dict)     # by kind of process
    peak_mib: dict = field(default_factory=dict)        # more than before, of droverd
    extra: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Guest:
    """The stress guest's parameters, see guest/README.md."""
    content: str = "random"
    rate: str = "0"
    hot: str = "16M"
    touch: str = "page"
    file: str = ""              # for the content "file"
    rest_mib: int = REST_MIB

    def arguments(self, memory_mib):
        fill, words = memory_mib - self.rest_mib, []
        if self.file:
            fill -= -(-os.path.getsize(self.file) // MIB)
            words = ["-initrd", self.file]
        return ["-kernel", machine.STRESS, *words, "-append",
                f"fill={fill}M content={self.content} rate={self.rate} "
                f"hot={self.hot} touch={self.touch} verify=0 heartbeat={HEARTBEAT_MS}"]


MIXED = Guest(content="mixed")


def scaled_mbit(args):
    """A rate at which a move lasts as long with any size of memory: `tcp` takes
    25 s for mixed data, 6 in a quick run."""
    return args.memory // (1 if args.quick else 4)


def scaled_link(args):
    return f"{scaled_mbit(args)}mbit"


def mib_per_s(link_mbit, share):
    """A guest's dirty rate, as a share of a link's."""
    return f"{int(link_mbit * 1e6 / 8 * share) >> 20}M"


def drover(course, option, *words, **how):
    """For in_turns()."""
    return lambda: course.drover(option, *words, **how)


def qemu(course, mode=QemuMode(), **how):
    return lambda: course.qemu(mode, **how)


@contextmanager
def beside(function):
    """Runs in a thread meanwhile, and is joined."""
    thread = threading.Thread(target=function)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def memory_at_hand(memory_mib):
    """As much memory as the destination will take has been touched and is free.

    A virtual machine's own host may take blocks of pages that are free, and give
    them back at their first touch, which costs as much again as the touch itself.
    One page in each 2 MiB stays in use meanwhile: no block is free as a whole.  That
    does not help who takes huge pages: as many of these are touched and given back
    right before."""
    with mmap.mmap(-1, memory_mib * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        memory.madvise(MADV_POPULATE_WRITE)
        for at in range(0, memory_mib * MIB, 2 * MIB):
            memory.madvise(mmap.MADV_DONTNEED, at + mmap.PAGESIZE, 2 * MIB - mmap.PAGESIZE)
        with mmap.mmap(-1, memory_mib * MIB,
                       flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as huge:
            huge.madvise(mmap.MADV_HUGEPAGE)
            huge.madvise(MADV_POPULATE_WRITE)
        yield


@contextmanager
def set_apart(args):
    """Huge pages for one guest on both hosts, touched once, as long as the context
    lasts: what memory_at_hand() tells of is in no figure then."""
    size = 2 * args.memory * MIB
    with huge_pages(size):
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS |
                       MAP_HUGETLB) as memory:
            memory.madvise(MADV_POPULATE_WRITE)
        yield


class Course:
    """Two hosts with a card for each rate; None is one that is not shaped."""

    def __init__(self, args, *rates, latency="10ms", guest=Guest(), build=None,
                 recent=False, trusted=False, huge=None, keys=""):
        """build: of another Drover, a folder like build/; recent: as of Host.of().
        trusted: over TLS.  huge: the size of the guests' pages, from set_apart().
        keys: more lines of a machine's definition."""
        self.args, self.guest, self.trusted = args, guest, trusted
        self.build, self.recent, self.keys = build, recent, keys
        # What a guest has begun may end before it is moved.
        self.settle_s = 0.3 if args.quick else 1
        self.rates = [bits(r) for r in rates if r]
        self.fast = None in rates and not huge
        self.huge = huge
        self.lab = core.Lab()
        self.network = Network(self.lab, ("alpha", "beta"), rate=rates)
        self.links = self.network.links
        for link, rate in zip(self.links, rates):
            if rate:
                link.shape(rate, latency=latency)
        self.hosts = []
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.close()

    def wire(self):
        return [link.wire_bytes(0) if link.rate else link.counters(0)["tx_bytes"]
                for link in self.links]

    def sum_of_rates(self):
        """Bytes per second."""
        return sum(self.rates) / 8

    def measured(self, migrate):
        """Count what the cards send meanwhile."""
        before = self.wire()
        run = migrate()
        run.wire = [b - a for a, b in zip(before, self.wire())]
        if not run.ideal and len(self.rates) == len(self.links):
            run.ideal = sum(run.wire) / self.sum_of_rates()
        return run

    def settled(self):
        """What the guest has begun has ended; where no card is slower than that,
        memory is there.  A context for the migration."""
        time.sleep(self.settle_s)
        return memory_at_hand(self.args.memory) if self.fast else nullcontext()

    def console(self):
        """That of the next machine."""
        self.number += 1
        return Console(self.lab, self.lab.path(f"console{self.number}"))

    # -- Drover
    def start_daemons(self):
        self.hosts = [Host(self.lab, name, self.network[name], self.network.addresses(name),
                           qemu=self.args.qemu,
                           settings={"move": {"switchover-outage-limit": "5s"}})
                      for name in ("alpha", "beta")]
        connect(*self.hosts)
        if self.trusted:
            trust(self.lab, self.hosts)
        for host in self.hosts:
            if self.build:
                host.of(self.build, self.recent)
            host.start()

    def drover(self, option, *words, during=None, limit_s=None):
        """`drover move`; during: a context around it.  A move that fails, or has
        not come to its end in limit_s, is a run with an error."""
        if not self.hosts:
            self.start_daemons()
        if limit_s:
            words += ("--timeout", f"{limit_s}s", "--on-timeout", "abort")
        return self.measured(lambda: self._drover(["--option", option, *words],
                                                  during or nullcontext(), limit_s))

    @contextmanager
    def _machine(self):
        """One of its own at alpha whose guest is ready: its name and its console."""
        alpha, beta = self.hosts
        console = self.console()
        name = f"guest{self.number}"
        alpha.define(machine.definition(
            name, *self.guest.arguments(self.args.memory), *console.arguments(),
            memory=f"{self.args.memory}M", machine="pc", huge=self.huge) + f"{self.keys}\n")
        alpha.drover("vm", "start", name)
        console.wait_line("^drover-stress ready", 120)
        try:
            yield name, console
        finally:
            for host in (alpha, beta):
                host.drover("vm", "stop", name, "--now", check=False)
                host.drover("vm", "forget", name, check=False)
            console.close()

    def _drover(self, words, during, limit_s):
        with self._machine() as (name, console):
            peaks = {f"droverd {end}": Peak(host.pid) for end, host in zip(ENDS, self.hosts)}
            with self.settled(), during, Meter(self._who(console)) as meter:
                span = self._move(name, words)
            run = self._result(name, console, span, limit_s)
            run.processor_s = meter.seconds()
            run.peak_mib = {who: peak.mib() for who, peak in peaks.items()}
            return run

    def _who(self, console):
        """The source's QEMU is the first that comes to the console."""
        return {"QEMU source": lambda: console.pids[:1],
                "QEMU destination": lambda: console.pids[1:],
                **{f"droverd {end}": lambda host=host: [host.pid]
                   for end, host in zip(ENDS, self.hosts)}}

    def _move(self, name, words):
        """When `drover move` began and when it had ended, whatever came of it."""
        begin = time.monotonic()
        self.hosts[0].drover("move", name, "beta", "--json", "--downtime-limit",
                             f"{DOWNTIME_MS}ms", *words, timeout=TIME_LIMIT_S, check=False)
        return begin, time.monotonic()

    def _result(self, name, console, span, limit_s=None):
        job = self.hosts[0].newest_job(kind="move", machine=name)
        report = job["report"] or {}
        run = Run(span[1] - span[0], 0.0, [], report)
        if job["state"] == "done":
            run.seconds, run.downtime = report["transfer_ms"] / 1000, report["downtime_ms"]
        else:
            run.error = job["error"] or f"the move is {job['state']}"
            if limit_s and OUT_OF_TIME in run.error:
                run.error = late(limit_s)
        return heard(run, console, *span)

    # -- QEMU
    def use_mptcp(self):
        """The far host tells its other addresses, the near one joins them."""
        for host in ("alpha", "beta"):
            self.network[host].run("ip", "mptcp", "limits", "set", "subflows", "8",
                                   "add_addr_accepted", "8")
        for link in self.links[1:]:
            self.network["beta"].run("ip", "mptcp", "endpoint", "add", link.addresses[1],
                                     "dev", link.names[1], "signal")

    def qemu(self, mode=QemuMode(), during=None, limit_s=TIME_LIMIT_S):
        """One of its own migrations; what is not at its end in limit_s is cancelled."""
        return self.measured(lambda: self._qemu(mode, during or nullcontext(), limit_s))

    def _qemu(self, mode, during, limit_s):
        console = self.console()
        ends = []
        try:
            program = mode.program(self.args.qemu)
            with mode.way(self.network, self.number) as way:
                for host in ("alpha", "beta"):
                    ends.append(Qemu(
                        self.lab, f"{host[0]}{self.number}",
                        *self.guest.arguments(self.args.memory), *console.arguments(),
                        namespace=self.network[host], incoming=host == "beta", program=program,
                        memory=f"{self.args.memory}M", machine="pc",
                        shared=mode.shared_memory))
                console.wait_line("^drover-stress ready", 120)
                return self._qemu_migrate(ends, mode, way, during, console, limit_s)
        finally:
            for one in ends:
                one.kill()
            console.close()

    def _qemu_migrate(self, ends, mode, way, during, console, limit_s):
        source, destination = ends
        for end in ends:
            mode.set_up(end, self.args.memory)
        destination.qmp("migrate-incoming", uri=way.incoming)
        # It was started with -S: the guest shall run as soon as it is there.
        destination.qmp("cont")
        source.qmp("migrate-set-parameters", max_bandwidth=1 << 40, downtime_limit=DOWNTIME_MS)
        who = {f"QEMU {end}": lambda one=one: [one.pid] for end, one in zip(ENDS, ends)}
        with self.settled(), during, Meter({**who, "tunnel": way.pids}) as meter:
            begin = time.monotonic()
            source.qmp("migrate", uri=way.outgoing)
            run = self._qemu_result(source, limit_s)
            end = time.monotonic()
        # QEMU's own figure may be 0, with multifd over MPTCP.
        run.seconds = run.seconds or end - begin
        run.processor_s = meter.seconds()
        return heard(run, console, begin, end)

    @staticmethod
    def _qemu_result(source, limit_s):
        try:
            source.qmp.wait_migration("completed", timeout=limit_s)
        except core.Failed:
            if source.qmp.migration() != "active":
                raise
            source.qmp("migrate_cancel")
            return Run(limit_s, 0.0, [], error=late(limit_s))
        info = source.qmp("query-migrate")
        return Run(info["total-time"] / 1000, info["downtime"], [])


def late(limit_s):
    return f"did not converge in {limit_s} s"


def heard(run, console, begin, end):
    """What the guest said; a move after which it does not speak has failed."""
    run.corrupt = len(console.corrupt())
    if run.error:
        return run
    core.wait_for("the guest's heartbeat after the move",
                  lambda: any(x.at > end for x in console.heartbeats()[-1:]), 10)
    again = next(x.at for x in console.heartbeats() if x.at > end)
    # From a beat before the move: its begin may be where the guest falls silent.
    since = begin - 10 * HEARTBEAT_MS / 1000
    run.gap = 1000 * console.longest_gap(since=since, until=again).seconds
    return run


def shown(label, run):
    if run.error:
        note(f"{label}: after {run.seconds:.2f} s: {run.error}")
        return run
    resent = run.report.get("bytes", {}).get("resent", 0)
    note(f"{label}: {run.seconds:.2f} s"
         + (f", S {run.ideal:.2f} s" if run.ideal else "")
         + f", down {run.downtime:.0f} ms, silent {run.gap:.0f} ms, "
         f"wire {'/'.join(f'{w / MIB:.0f}' for w in run.wire)} MiB"
         + (f", sent again {resent / MIB:.1f} MiB" if run.report else "")
         + (f", the guest found {run.corrupt} bad pages" if run.corrupt else ""))
    return run


def attempt(measure):
    """What goes wrong is a result as well."""
    try:
        return measure()
    except (core.Failed, subprocess.TimeoutExpired) as e:
        return Run(0.0, 0.0, [], error=str(e))


def in_turns(turns, **kinds):
    """Each kind once in each turn, there and back; the runs of each."""
    found = {name: [] for name in kinds}
    order = list(kinds)
    for _ in range(turns):
        for name in order:
            found[name].append(shown(name, attempt(kinds[name])))
        order.reverse()
    return found
