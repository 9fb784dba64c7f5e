# SPDX-License-Identifier: MIT
"""What it costs to be looked at: /metrics, and the thread that measures.

A host with a hundred machines, of which eight move away at once, slowly.  The
guests of the others do nothing, so that what is measured is not what they do.
"""
import http.client
import os
import statistics
import time

from common import note
from lab import core, machine
from lab.core import Lab
from lab.host import Host, _UnixConnection, connect
from lab.network import Network

MACHINES, MOVES, SCRAPES, SPAN_S = 100, 8, 100, 20
QUICK_MACHINES, QUICK_SPAN_S = 20, 5
SCRAPE_BAR_MS, SAMPLER_BAR = 10.0, 0.01
# The least that there is: the moves are still there when the last figure has been taken.
LIMIT = "1Mbit"


def sampler_ns(pid):
    """Processor time of the daemon's sampler so far."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as f:
            if f.read().strip() != "sampler":
                continue
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0])
    raise core.Failed("the daemon has no sampler")


def scrape_ms(host):
    """One, on a connection of its own as Prometheus makes them after a while; its text."""
    begin = time.monotonic()
    connection = _UnixConnection(host.socket, 20)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise http.client.HTTPException(text)
        return 1000 * (time.monotonic() - begin), text
    finally:
        connection.close()


def machines(lab, host, number):
    for i in range(number):
        guest, memory = machine.boot_sector_arguments(lab), "16M"
        if i < MOVES:   # with what takes minutes
            guest, memory = machine.stress_arguments(fill="32M", content="random", rate="64K",
                                                     hot="1M"), "64M"
        host.define(machine.definition(f"web{i}", *guest, memory=memory, machine="pc"))
        host.drover("vm", "start", f"web{i}")


def measured(args, number, span_s):
    """(each scrape's milliseconds, the last text, the sampler's share of a processor)"""
    with Lab() as lab:
        network = Network(lab, ("alpha", "beta"), links=2)
        alpha, beta = connect(*(Host(lab, name, network[name], network.addresses(name),
                                     qemu=args.qemu, settings={"move": {"max-moves": MOVES}})
                                for name in ("alpha", "beta")))
        for host in (alpha, beta):
            host.start()
        machines(lab, alpha, number)
        for i in range(MOVES):
            alpha.drover("move", f"web{i}", "beta", "--background", "--limit", LIMIT)
        core.wait_for("all of them copy", lambda: sum(
            j["stage"] == "pre-copy" for j in alpha.api("GET", "/v1/jobs")) == MOVES, 120, 0.5)
        begin, before = time.monotonic(), sampler_ns(alpha.pid)
        took = []
        for _ in range(SCRAPES):
            took.append(scrape_ms(alpha)[0])
            time.sleep(span_s / SCRAPES)
        share = (sampler_ns(alpha.pid) - before) / 1e9 / (time.monotonic() - begin)
        text = scrape_ms(alpha)[1]
        there = text.count("drover_move_remaining_bytes{")
        if there != MOVES:
            raise core.Failed(f"{there} of {MOVES} moves were still there at the end")
        return took, text, share


def scrape(bench):
    """/metrics with 100 machines and 8 moves: its time, its size, and the sampler's cost"""
    quick = bench.args.quick
    number = QUICK_MACHINES if quick else MACHINES
    took, text, share = measured(bench.args, number, QUICK_SPAN_S if quick else SPAN_S)
    case = f"{number} machines, {MOVES} moves"
    worst = sorted(took)[int(len(took) * 0.99) - 1]
    note(f"{case}: {len(text)} bytes, {statistics.median(took):.2f} ms, worst {max(took):.2f} ms; "
         f"sampler {share:.2%} of a processor")
    bench.line(f"{case}: /metrics", f"{statistics.median(took):.1f} ms", "",
               f"99 of 100 within {worst:.1f} ms, {len(text) / 1024:.0f} KiB",
               f"at most {SCRAPE_BAR_MS:.0f} ms", worst <= SCRAPE_BAR_MS)
    bench.line(f"{case}: the sampler", "", "", f"{share:.2%} of a processor",
               f"at most {SAMPLER_BAR:.0%}", share <= SAMPLER_BAR)


PARTS = {"scrape": scrape}
