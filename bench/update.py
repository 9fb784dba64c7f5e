# SPDX-License-Identifier: MIT
"""A new QEMU under a running guest: `drover vm update`, each kind of memory, 7.2 to
7.2 and to 10.0.

A guest with a disk, filled but for the rest, which writes 20 MiB/s.
"""
import os
from contextlib import contextmanager

from common import MIB, median_of
from course import REST_MIB, Guest, Run, memory_at_hand
from lab import core, machine
from lab.console import Console
from lab.core import Lab
from lab.host import Host
from lab.network import Network

MEMORY_MIB = 4096
FILE_S, FILE_DOWNTIME_MS = 1.0, 30
PRIVATE_S_PER_GIB = 1.5


class Updated:
    """A machine whose program is exchanged under it, and back."""

    def __init__(self, lab, memory_mib, kind):
        self.filled = memory_mib - REST_MIB
        self.program = lab.path("qemu")
        self.host = Host(lab, "alpha", Network(lab, ("alpha",))["alpha"], ["127.0.0.1"]).start()
        self.console = Console(lab)
        disk = lab.path("disk.raw")
        with open(disk, "wb") as f:
            f.truncate(64 * MIB)
        self.now(machine.QEMU)
        text = machine.definition(
            "web", *Guest(rate="20M", hot="64M").arguments(memory_mib),
            *self.console.arguments(), "-drive", f"if=none,id=d0,file={disk},format=raw",
            "-device", "virtio-blk-pci,drive=d0", memory=f"{memory_mib}M", qemu=self.program,
            machine="pc-i440fx-7.2")
        self.host.define(text.replace("\nvcpus", f"\nmemory-kind = {kind}\nvcpus", 1))

    def now(self, qemu):
        """This is the QEMU that is installed."""
        with open(self.program + ".new", "w", encoding="ascii") as f:
            f.write(f'#!/bin/sh\nexec {qemu} "$@"\n')
        os.chmod(self.program + ".new", 0o755)
        os.rename(self.program + ".new", self.program)

    def run(self, qemu):
        """From a fresh QEMU 7.2 into this one."""
        self.now(machine.QEMU)
        seen = len(self.console.lines)
        self.host.drover("vm", "start", "web")
        self.console.wait_line("^drover-stress ready", 300, after=seen)
        self.now(qemu)
        with memory_at_hand(self.filled):
            done = self.host.drover("vm", "update", "web", check=False)
        job = self.host.newest_job(kind="update")
        report = job["report"] or {}
        if job["state"] == "done":
            seen = len(self.console.lines)
            self.console.wait_line("^hb ", 30, after=seen)
        corrupt = len(self.console.corrupt())
        self.host.drover("vm", "stop", "web", "--now")
        return Run(seconds=(report.get("total_ms") or 0) / 1000,
                   downtime=report.get("downtime_ms") or 0, wire=[], report=report,
                   error=done.stderr.strip() if done.status else "", corrupt=corrupt)


@contextmanager
def updated(bench, kind):
    memory = bench.args.memory if bench.args.quick else MEMORY_MIB
    with Lab() as lab:
        yield Updated(lab, memory, kind)


def copied(run):
    return run.report.get("bytes", {}).get("raw", 0) + run.report.get("bytes", {}).get("zero", 0)


def update(bench):
    """An update of QEMU in place, 4 GiB guest, memory handed over and copied"""
    targets = {"7.2 to 7.2": machine.QEMU, "7.2 to 10.0": core.qemu10()[0]}
    for kind in ("file", "private"):
        for name, qemu in targets.items():
            if qemu is None:
                continue
            with updated(bench, kind) as one:
                case = f"update, {kind}, {name}"
                runs = bench.turns(case, here=lambda one=one, qemu=qemu: one.run(qemu))["here"]
                bar = FILE_S if kind == "file" else PRIVATE_S_PER_GIB * one.filled / 1024
            seconds = median_of(runs, lambda r: r.seconds)
            downtime = median_of(runs, lambda r: r.downtime)
            bench.row(case, runs, None, "", what="in all", figure=f"{seconds:.2f} s",
                      bar=f"at most {bar:.2f} s", good=seconds <= bar)
            if kind == "file":
                most = max(map(copied, runs))
                bench.row(f"{case}: copied", runs, None, "", what="bytes of RAM blocks",
                          figure=str(most), bar="the firmware's, below 1 MiB",
                          good=most < MIB)
            bench.row(f"{case}: downtime", runs, None, "", what="ms",
                      figure=f"{downtime:.0f}",
                      bar=f"at most {FILE_DOWNTIME_MS} ms" if kind == "file" else "",
                      good=downtime <= FILE_DOWNTIME_MS if kind == "file" else None)


PARTS = {"update": update}
