# SPDX-License-Identifier: MIT
"""Hosts that are far from each other, a proxy in between.

The first bar is of a guest that changes a small set of pages faster than the
link carries them: QEMU 10 asks whether it may switch over, 7.2 does not.
"""
import socket
import threading
import time

from common import MIB, median_of
from course import Run
from lab import core, far, machine, proxy, qemu10
from lab.network import Network

SLOWER_BAR, CARRIED_BAR = 1.2, 0.9
NEAR_MS, FAR_MS, CHANNELS = 80, 300, 4
# Changes 8 MiB at twice the link's rate.
BUSY = {"fill": "64M", "rate": "240M", "hot": "8M", "memory": "128M"}
LARGE_MIB = 1400
PORT = 7000


def drover(qemu):
    def run():
        with core.Lab() as lab:
            job, answer = far.Far(lab, NEAR_MS, **BUSY, qemu=qemu).move("60s")
            report = job["report"] or {}
            return Run(report.get("total_ms", 0) / 1000, report.get("downtime_ms", 0), [], report,
                       error="" if job["state"] == "done" else answer.stderr)
    return run


def carried():
    """Drover's rate in the middle of a move, of a second."""
    with core.Lab() as lab:
        hosts = far.Far(lab, FAR_MS, fill=f"{LARGE_MIB}M", rate="1M", hot="1M",
                        memory=f"{LARGE_MIB + 136}M", channels=CHANNELS)
        job, answer, samples = hosts.watched_move("90s")
        if job["state"] != "done":
            return Run(0, 0, [], error=answer.stderr)
        rate = far.steady(samples, job["report"]["bytes"]["wire"])
        return Run(job["report"]["total_ms"] / 1000, 0, [], extra={"rate": rate})


def _send(end, total, counts, which):
    piece = memoryview(bytes(256 * 1024))
    while counts[which] < total:
        counts[which] += end.send(piece)
    end.shutdown(socket.SHUT_WR)


def _receive(end):
    while end.recv(1 << 20):
        pass


def proxy_alone():
    """What as many connections carry that do nothing else."""
    with core.Lab() as lab:
        network = Network(lab, ("alpha", "beta"), links=1, rate="1gbit")
        there = network.addresses("beta")[0]
        proxy.Delay(lab, network["alpha"], ("127.0.0.1", PORT), (there, PORT), ms=FAR_MS // 2)
        listener = network["beta"].socket()
        listener.bind((there, PORT))
        listener.listen(CHANNELS)
        begin = time.monotonic()
        ends, threads, counts = [listener], [], [0] * CHANNELS
        for which in range(CHANNELS):
            near = network["alpha"].socket()
            near.connect(("127.0.0.1", PORT))
            other, _ = listener.accept()
            ends += [near, other]
            threads.append(threading.Thread(target=_receive, args=(other,)))
            threads.append(threading.Thread(
                target=_send, args=(near, LARGE_MIB * MIB / CHANNELS, counts, which)))
        for thread in threads:
            thread.start()
        samples = []
        while sum(counts) < LARGE_MIB * MIB and time.monotonic() < begin + 90:
            samples.append((time.monotonic(), sum(counts)))
            time.sleep(0.2)
        seconds = time.monotonic() - begin
        for thread in threads:
            thread.join()
        for end in ends:
            end.close()
        return Run(seconds, 0, [], extra={"rate": far.steady(samples, LARGE_MIB * MIB)})


def distance(bench):
    """80 ms: with QEMU 10 beside 7.2; 300 ms: what a proxy alone carries"""
    case = f"1 Gbit/s, {NEAR_MS} ms, dirtied at 2 x the link"
    ten, why = qemu10()
    if not ten:
        bench.line(case, "", "", f"no QEMU 10: {why}", "", None)
    else:
        runs = bench.turns(case, ten=drover(ten), seven=drover(machine.QEMU))
        bench.ratio(case, runs["ten"], runs["seven"], "with QEMU 7.2", SLOWER_BAR)
    case = f"1 Gbit/s, {FAR_MS} ms, {CHANNELS} connections"
    runs = bench.turns(case, drover=carried, proxy=proxy_alone)
    share = (median_of(runs["drover"], lambda r: r.extra["rate"])
             / median_of(runs["proxy"], lambda r: r.extra["rate"]))
    bench.row(case, runs["drover"], runs["proxy"], "the proxy alone", what="rate / the proxy's",
              figure=f"{share:.3f}", bar=f"at least {CARRIED_BAR}", good=share >= CARRIED_BAR)


PARTS = {"distance": distance}
