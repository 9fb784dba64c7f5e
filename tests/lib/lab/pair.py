# SPDX-License-Identifier: MIT
"""Two hosts, one machine, and the oracle between them: the usual test of a move.

    pair = Pair(lab)
    pair.start()
    job = pair.move("--paused")
    verdict = pair.judge()
"""
from . import machine, oracle, tap
from .console import Console
from .core import Failed
from .host import Host, connect
from .network import Network


class Pair:
    """alpha has the machine `guest`; both record what a QEMU sends."""

    def __init__(self, lab, *, links=2, rate="1gbit", memory="512M", guest=None,
                 source_qemu=machine.QEMU, destination_qemu=None, settings=None, machine_type="pc",
                 vcpus=1, name="guest"):
        self.lab, self.name = lab, name
        self.network = Network(lab, ("alpha", "beta"), links=links, rate=rate)
        self.tap = tap.Tap(lab, source_qemu, shares=True)
        self.alpha = Host(lab, "alpha", self.network["alpha"], self.network.addresses("alpha"),
                          qemu=self.tap.program, settings=settings)
        self.beta = Host(lab, "beta", self.network["beta"], self.network.addresses("beta"),
                         qemu=destination_qemu or source_qemu, settings=settings)
        connect(self.alpha, self.beta)
        self.console = Console(lab)
        self.definition = machine.definition(
            name, *(guest or machine.stress_arguments(fill="384M")), *self.console.arguments(),
            memory=memory, machine=machine_type, vcpus=vcpus)
        self.bytes = None
        self.said = None  # what the last `drover move` printed
        self.source_pid = self.source_memory = None

    def start(self):
        """Both daemons and the machine; ready when the guest is."""
        self.alpha.start()
        self.beta.start()
        self.alpha.define(self.definition)
        self.alpha.drover("vm", "start", self.name)
        self.console.wait_line("^drover-stress ready|^hb ", 60)
        shown = self.alpha.machine(self.name)
        self.source_pid, self.bytes = shown["pid"], shown["memory"]
        # Held open, so that it can be read after the source's QEMU has gone.
        self.source_memory = oracle.Memory.of_process(self.source_pid, self.bytes)
        return self

    def move(self, *options, check=True, timeout=180):
        """`drover move`; the job as alpha knows it in the end."""
        answer = self.alpha.drover("move", self.name, "beta", *options, check=False,
                                   timeout=timeout)
        self.said = answer.stdout
        job = self.alpha.newest_job(kind="move")
        if check and (answer.status or job["state"] != "done"):
            raise Failed(f"move: status {answer.status}, job {job['state']}: "
                         f"{answer.stderr.strip()}; the log of alpha ends: "
                         f"{self.alpha.log_text()[-600:]}; of beta: {self.beta.log_text()[-600:]}")
        return job

    def judge(self):
        """What beta's paused machine has, against what alpha's QEMU sent."""
        shown = self.beta.machine(self.name)
        if shown["state"] != "paused":
            raise Failed(f"{self.name} is {shown['state']} on beta: only a paused machine "
                         "can be judged")
        destination = oracle.Memory.of_process(shown["pid"], self.bytes)
        return oracle.judge(self.tap.stream(self.source_pid), {"pc.ram": destination},
                            {"pc.ram": self.source_memory})

    def finish(self):
        """Stop everything in order; what was left behind, as a list."""
        for host in (self.alpha, self.beta):
            if host.running():
                for shown in host.api("GET", "/v1/machines"):
                    if shown["pid"] and shown["state"] not in ("stopped", "moved"):
                        host.drover("vm", "stop", shown["name"], "--now")
                host.stop()
        return self.alpha.leaks() + self.beta.leaks()
