# SPDX-License-Identifier: MIT
"""Two hosts and one small guest, for what goes wrong in a move.

    field = Field(lab).start()
    field.faults(here="source:switchover")      # daemons stop there until told
    move = field.move("--downtime-limit", "2s")
    field.reached("source:switchover")
    field.there.kill9()
    field.go_on()

`here` is the host that has the guest, `there` the other one.  They are alike,
so a guest that has moved is moved back by the next test.
"""
import os
import re
import subprocess
import time

from . import machine
from .console import Console
from .core import Failed, wait_for
from .host import Host, connect
from .network import Network
from .watch import Watch

# Faster than the guest writes; and slower, so that pre-copy never ends by itself.
FAST, SLOW = "1gbit", "100mbit"
GUEST = {"fill": "40M", "hot": "32M", "rate": "24M"}
# Uncompressed: what a test counts on the wire, and whether pre-copy ends, shall not
# depend on what else the machine's processors do.
LIMITS = {"outage-limit": "3s", "switchover-outage-limit": "1s",
          "connections-per-card": 2, "option": "tcp"}


class Move:
    """A `drover move` that goes on in the background."""

    def __init__(self, host, argv):
        self.host = host
        self.begin = time.monotonic()
        self.process = subprocess.Popen(argv, env=host.lab.environ, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        host.lab.cleanup(self.close)

    def wait(self, timeout=40):
        """(exit status, its errors)"""
        try:
            _, errors = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"drover move has not ended after {timeout} s; "
                         f"jobs: {self.host.api('GET', '/v1/jobs')}") from None
        return self.process.returncode, errors.strip()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Field:
    def __init__(self, lab, *, arguments=(), memory="64M", guest=None, settings=None,
                 qemu=machine.QEMU, there_qemu=None, machine_type="pc", limits=None,
                 links=1, rate=FAST, share=False):
        """rate: of all links, or a list with that of each."""
        self.lab = lab
        self.network = Network(lab, ("alpha", "beta"), links=links, rate=rate)
        self.links = self.network.links
        self.link = self.links[0]
        settings = {"move": {**LIMITS, **(limits or {})}, **(settings or {})}
        self.alpha, self.beta = (
            Host(lab, name, self.network[name], self.network.addresses(name),
                 qemu=program, settings=settings)
            for name, program in (("alpha", qemu), ("beta", there_qemu or qemu)))
        connect(self.alpha, self.beta)
        self.here, self.there = self.alpha, self.beta
        self.console, self.watch = Console(lab), Watch(lab)
        self.definition = machine.definition(
            "guest", *machine.stress_arguments(**{**GUEST, **(guest or {})}),
            *self.console.arguments(), *self.watch.arguments(), *arguments,
            memory=memory, machine=machine_type, share=share)
        self.pid = None
        self._points = {}
        self._turn = 0

    def start(self):
        """Both daemons and the machine; ready when the guest is."""
        self.alpha.start()
        self.beta.start()
        self.here.define(self.definition)
        self.here.drover("vm", "start", "guest")
        self.console.wait_line("^drover-stress ready", 60)
        self.pid = self.here.machine("guest")["pid"]
        return self

    # -- daemons that stop at a point
    def faults(self, here=(), there=(), action="wait"):
        """Restart the daemons so that they stop (or die) at these points."""
        self._turn += 1
        self._points = {}
        for host, points in ((self.here, here), (self.there, there)):
            points = [points] if isinstance(points, str) else points
            for point in points:
                self._points[point] = self.lab.path(f"{point.replace(':', '-')}.{self._turn}")
            fault = ";".join(f"{p}=kill" if action == "kill" else f"{p}=wait:{self._points[p]}"
                             for p in points)
            host.restart(fault=fault or None)

    def reached(self, point, timeout=20):
        wait_for(f"point {point}", lambda: os.path.exists(self._points[point] + ".reached"),
                 timeout, 0.002)

    def go_on(self, *points):
        """From these points; from all if none is named."""
        for point in points or self._points:
            with open(self._points[point], "w", encoding="ascii"):
                pass

    # -- the move
    def move(self, *options):
        return Move(self.here, self.here.drover_argv("move", "guest", self.there.name, *options))

    def moved(self):
        """The guest is the other host's now."""
        self.here, self.there = self.there, self.here
        self.pid = self.here.machine("guest")["pid"]

    def move_once_more(self, timeout=60):
        """A whole move, to see that nothing is in its way."""
        self.link.shape(FAST)
        status, errors = self.move().wait(timeout)
        if status != 0:
            raise Failed(f"the next move: status {status}: {errors}; {self.logs()}")
        self.moved()
        self.heartbeat()

    def heartbeat(self, pid=None, timeout=5.0):
        """Seconds until the guest shows a sign of life in this QEMU."""
        pid = pid or self.pid
        begin, seen = time.monotonic(), len(self.console.lines)

        def beat():
            return next((x for x in self.console.lines[seen:]
                         if x.pid == pid and x.text.startswith("hb ")), None)
        return wait_for(f"a heartbeat from QEMU {pid}", beat, timeout).at - begin

    def qemus(self, host):
        """Ids of the QEMUs that a host has."""
        return [pid for pid, line in self.lab.processes().items()
                if f"{host.run_dir}/" in line and " -name " in line]

    # -- what is left
    def settle(self, timeout=10):
        """Wait until both hosts are as if there had been no move."""
        try:
            wait_for("no remains", lambda: not self.remains(), timeout, 0.05)
        except Failed as e:
            raise Failed(f"{e}: {self.remains()}; {self.logs()}") from None

    def remains(self):
        found = []
        for host in (self.here, self.there):
            shown = host.api("GET", "/v1/machines")
            mine = host is self.here
            found += [f"{host.name}: job {j['id']} is {j['state']}"
                      for j in host.api("GET", "/v1/jobs")
                      if j["state"] in ("running", "in-doubt")]
            found += [f"{host.name}: machine {m['name']} is {m['state']}, held by {m['job']}"
                      for m in shown if not mine or m["state"] not in ("running", "paused") or m["job"]]
            found += [f"{host.name}: file {path}" for path in files(host.dir)
                      if not expected(path, mine)]
            found += [f"{host.name}: QEMU {pid}" for pid in self.qemus(host)
                      if not mine or pid != self.pid]
            found += [f"{host.name}: {line}" for line in connections(host)]
        return found

    def logs(self):
        return "; ".join(f"the log of {h.name} ends: {h.log_text()[-700:]}"
                         for h in (self.here, self.there))

    def both_at_once(self):
        """Proof that two QEMUs ran the guest, or an empty list."""
        found = [f"{a} and {b}" for a, b in self.watch.conflicts()] + self.watch.wrong
        last = {}
        for line in self.console.heartbeats():
            if last.get("pid") != line.pid and line.pid in last.get("before", ()):
                found.append(f"QEMU {line.pid} has heartbeats again: {line.text}")
            last["before"] = last.get("before", set()) | {line.pid}
            last["pid"] = line.pid
        return found


def files(folder):
    return [os.path.relpath(os.path.join(root, name), folder)
            for root, _, names in os.walk(folder) for name in names]


def expected(path, has_guest):
    """Files of a host that has nothing to do with any move."""
    always = (r"log|sock|drover\.conf|definition|state/(lock|calls\.log)|"
              r"state/(records|elsewhere|history)/.*")
    with_guest = r"run/machines/guest/(qmp\.sock|qemu\.log)|state/machines/guest\.(json|machine)"
    return bool(re.fullmatch(f"{always}|{with_guest}" if has_guest else always, path))


def connections(host):
    """Lines of TCP sockets of processes; what the kernel lets run out has none."""
    return [line for line in host.namespace.run("ss", "-Htanp").splitlines()
            if "pid=" in line and not line.startswith("LISTEN")]
