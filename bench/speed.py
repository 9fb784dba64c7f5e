#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Drover beside QEMU's own `tcp` migration: time and downtime, in pairs.

Two hosts (network namespaces, one unshaped veth pair), an idle stress guest
whose memory is mixed data, a destination with a shared memfd for both.  Each
pair measures QEMU's own migration, then `drover move`, with QEMUs of their own.
QEMU: max-bandwidth lifted, downtime limit 300 ms, total-time and downtime as
query-migrate tells them.  Drover: from QEMU's `migrate` to `completed` (what
QEMU's total-time is), and the downtime from QEMU's STOP event until the
destination says that the guest runs.

Prints every pair, the medians and the ratios.  It judges nothing: exit status 0
when everything was measured.
"""
import argparse
import os
import platform
import statistics
import sys
import time

from common import ROOT, begin

MIB = 1 << 20


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--memory", type=int, default=2048, help="MiB")
    parser.add_argument("--link", default=None, help="shape the card: 1gbit (default: not)")
    parser.add_argument("--content", default="mixed")
    parser.add_argument("--qemu", default="/usr/bin/qemu-system-x86_64")
    return parser.parse_args()


def guest_arguments(args):
    from lab import machine
    return ["-kernel", machine.STRESS, "-append",
            f"fill={args.memory - 64}M content={args.content} rate=0 verify=0"]


def start_daemons(lab, network, args):
    from lab.host import Host, connect
    hosts = [Host(lab, name, network[name], network.addresses(name), qemu=args.qemu)
             for name in ("alpha", "beta")]
    for host in connect(*hosts):
        host.start()
    return hosts


def plain_qemu(lab, network, args, number):
    """QEMU's own migration: seconds and milliseconds of downtime."""
    from lab.console import Console
    from lab.machine import Qemu
    console = Console(lab)
    common = dict(program=args.qemu, memory=f"{args.memory}M", machine="pc")
    port = 7000 + number
    address = network.addresses("beta")[0]
    source = Qemu(lab, f"a{number}", *guest_arguments(args), *console.arguments(),
                  namespace=network["alpha"], **common)
    destination = Qemu(lab, f"b{number}", *guest_arguments(args), *console.arguments(),
                       namespace=network["beta"], incoming=True, **common)
    console.wait_line("^drover-stress ready", 120)
    destination.qmp("migrate-incoming", uri=f"tcp:{address}:{port}")
    source.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40, "downtime-limit": 300})
    time.sleep(1)
    source.qmp("migrate", uri=f"tcp:{address}:{port}")
    source.qmp.wait_migration("completed", timeout=300)
    info = source.qmp("query-migrate")
    for one in (source, destination):
        one.kill()
    console.close()
    return info["total-time"] / 1000, info["downtime"]


def peak_kib(host):
    with open(f"/proc/{host.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def drover(lab, hosts, args, number):
    """`drover move`: seconds, milliseconds of downtime, the whole report."""
    from lab import machine
    from lab.console import Console
    alpha = hosts[0]
    console = Console(lab)
    name = f"guest{number}"
    alpha.define(machine.definition(name, *guest_arguments(args), *console.arguments(),
                                    memory=f"{args.memory}M", machine="pc"))
    alpha.drover("vm", "start", name)
    console.wait_line("^drover-stress ready", 120)
    time.sleep(1)
    alpha.drover("move", name, "beta", "--json", "--option", "tcp", timeout=300)
    report = alpha.newest_job()["report"]
    hosts[1].drover("vm", "stop", name)
    console.close()
    return report["transfer_ms"] / 1000, report["downtime_ms"], report


def measure(lab, args):
    from lab.network import Network
    network = Network(lab, ("alpha", "beta"), links=1, rate=args.link)
    hosts = start_daemons(lab, network, args)
    before = [peak_kib(h) for h in hosts]
    rows = []
    for number in range(args.pairs):
        q_time, q_down = plain_qemu(lab, network, args, number)
        d_time, d_down, report = drover(lab, hosts, args, number)
        rows.append((q_time, d_time, q_down, d_down))
        print(f"pair {number + 1}: QEMU {q_time:6.2f} s, down {q_down:4d} ms;  "
              f"Drover {d_time:6.2f} s, down {d_down:4d} ms;  ratio {d_time / q_time:.3f};  "
              f"in all {report['total_ms'] / 1000:.2f} s, switchover {report['switchover']}", flush=True)
    peaks = [(peak_kib(h) - b) / 1024 for h, b in zip(hosts, before)]
    return rows, peaks


def show(rows, peaks, args):
    q_time, d_time, q_down, d_down = (statistics.median(c) for c in zip(*rows))
    ratios = sorted(d / q for q, d, _, _ in rows)
    pages = args.memory * MIB // 4096
    print(f"\nmedian of {len(rows)} pairs, {args.memory} MiB {args.content}, "
          f"link {args.link or 'unshaped'}, kernel {platform.release()}, "
          f"{os.cpu_count()} processors\n"
          f"time      QEMU {q_time:.2f} s   Drover {d_time:.2f} s   "
          f"ratio {d_time / q_time:.3f} (pairs {ratios[0]:.3f} to {ratios[-1]:.3f})\n"
          f"downtime  QEMU {q_down:.0f} ms   Drover {d_down:.0f} ms   "
          f"difference {d_down - q_down:+.0f} ms\n"
          f"memory    droverd grew by {peaks[0]:.0f} MiB at the source, {peaks[1]:.0f} MiB at the "
          f"destination (64 MiB + 8 bytes a page = {64 + 8 * pages / MIB:.0f} MiB)")


def main():
    args = options()
    begin(args.build)
    with core.Lab() as lab:
        show(*measure(lab, args), args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
