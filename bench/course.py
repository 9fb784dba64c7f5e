# SPDX-License-Identifier: MIT
"""The course that is run: two hosts, their cards, and one migration at a time.

Two hosts (network namespaces) joined by veth pairs, shaped or not, and the
stress guest.  Each run has QEMUs of its own, whose memory is a shared memfd at
both ends.  Drover's time is from QEMU's `migrate` to `completed`, as QEMU's
total-time is; its downtime from QEMU's STOP until the destination says that the
guest runs.  QEMU's own are what query-migrate says, with max-bandwidth lifted
and the same downtime limit.
"""
import os
import subprocess
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from common import MIB, note
from lab import core, machine
from lab.console import Console
from lab.host import Host, connect
from lab.machine import Qemu
from lab.network import Network, bits

PORT = 7000
# Of the guest's memory, what it does not fill.
REST_MIB = 64
DOWNTIME_MS = 300
TIME_LIMIT_S = 900


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
                f"hot={self.hot} touch={self.touch} verify=0 heartbeat=20"]


@dataclass(frozen=True)
class QemuMode:
    """A way of QEMU's own to migrate; channels: of multifd, 0 for none."""
    channels: int = 0
    compression: str = "none"
    mptcp: bool = False

    def set_up(self, end):
        if self.channels:
            end.qmp.capabilities(multifd=True)
            end.qmp("migrate-set-parameters", multifd_channels=self.channels,
                    multifd_compression=self.compression, multifd_zstd_level=1)


@contextmanager
def beside(function):
    """Runs in a thread meanwhile, and is joined."""
    thread = threading.Thread(target=function)
    thread.start()
    try:
        yield
    finally:
        thread.join()


class Course:
    """Two hosts with a card for each rate; None is one that is not shaped."""

    def __init__(self, args, *rates, latency="10ms", guest=Guest()):
        self.args, self.guest = args, guest
        self.rates = [bits(r) for r in rates if r]
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
        for host in connect(*self.hosts):
            host.start()

    def drover(self, option, *words, during=None):
        """`drover move`; during: a context around it.  A move that fails is a
        run with an error."""
        if not self.hosts:
            self.start_daemons()
        return self.measured(lambda: self._drover(["--option", option, *words],
                                                  during or nullcontext()))

    @contextmanager
    def _machine(self):
        """One of its own at alpha whose guest is ready: its name and its console."""
        alpha, beta = self.hosts
        console = self.console()
        name = f"guest{self.number}"
        alpha.define(machine.definition(
            name, *self.guest.arguments(self.args.memory), *console.arguments(),
            memory=f"{self.args.memory}M", machine="pc"))
        alpha.drover("vm", "start", name)
        console.wait_line("^drover-stress ready", 120)
        try:
            yield name, console
        finally:
            for host in (alpha, beta):
                host.drover("vm", "stop", name, check=False)
                host.drover("vm", "forget", name, check=False)
            console.close()

    def _move(self, name, words):
        """Seconds until `drover move` has ended, whatever came of it."""
        begin = time.monotonic()
        self.hosts[0].drover("move", name, "beta", "--json", "--downtime-limit",
                             f"{DOWNTIME_MS}ms", *words, timeout=TIME_LIMIT_S, check=False)
        return time.monotonic() - begin

    def _drover(self, words, during):
        with self._machine() as (name, console):
            time.sleep(1)
            with during:
                wall = self._move(name, words)
            return self._result(name, console, wall)

    def _result(self, name, console, wall):
        job = self.hosts[0].newest_job(kind="move", machine=name)
        report = job["report"] or {}
        gap = console.longest_gap(since=time.monotonic() - wall)
        run = Run(wall, 0.0, [], {**report, "longest_gap": gap.seconds if gap else 0.0},
                  corrupt=len(console.corrupt()))
        if job["state"] != "done":
            run.error = job["error"] or f"the move is {job['state']}"
            return run
        run.seconds, run.downtime = report["transfer_ms"] / 1000, report["downtime_ms"]
        return run

    # -- QEMU
    def use_mptcp(self):
        """The far host tells its other addresses, the near one joins them."""
        for host in ("alpha", "beta"):
            self.network[host].run("ip", "mptcp", "limits", "set", "subflows", "8",
                                   "add_addr_accepted", "8")
        for link in self.links[1:]:
            self.network["beta"].run("ip", "mptcp", "endpoint", "add", link.addresses[1],
                                     "dev", link.names[1], "signal")

    def qemu(self, mode=QemuMode()):
        return self.measured(lambda: self._qemu(mode))

    def _qemu(self, mode):
        console = self.console()
        ends = []
        try:
            for host in ("alpha", "beta"):
                ends.append(Qemu(self.lab, f"{host[0]}{self.number}",
                                 *self.guest.arguments(self.args.memory), *console.arguments(),
                                 namespace=self.network[host], incoming=host == "beta",
                                 program=self.args.qemu, memory=f"{self.args.memory}M",
                                 machine="pc"))
            console.wait_line("^drover-stress ready", 120)
            info = self._qemu_migrate(*ends, mode)
        finally:
            for one in ends:
                one.kill()
            console.close()
        return Run(info["total-time"] / 1000, info["downtime"], [],
                   corrupt=len(console.corrupt()))

    def _qemu_migrate(self, source, destination, mode):
        tail = f"{PORT + self.number}{',mptcp=on' if mode.mptcp else ''}"
        for end in (source, destination):
            mode.set_up(end)
        # Of every address: MPTCP joins the connection over the others.
        destination.qmp("migrate-incoming", uri=f"tcp:0.0.0.0:{tail}")
        source.qmp("migrate-set-parameters", max_bandwidth=1 << 40, downtime_limit=DOWNTIME_MS)
        time.sleep(1)
        source.qmp("migrate", uri=f"tcp:{self.links[0].addresses[1]}:{tail}")
        source.qmp.wait_migration("completed", timeout=TIME_LIMIT_S)
        return source.qmp("query-migrate")


def shown(label, run):
    if run.error:
        note(f"{label}: after {run.seconds:.2f} s: {run.error}")
        return run
    resent = run.report.get("bytes", {}).get("resent", 0)
    note(f"{label}: {run.seconds:.2f} s"
         + (f", S {run.ideal:.2f} s" if run.ideal else "")
         + f", down {run.downtime:.0f} ms, "
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
