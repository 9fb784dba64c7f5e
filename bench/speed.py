#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Drover beside QEMU's own `tcp` migration: time and downtime, in pairs.

An idle stress guest whose memory is mixed data, one card, not shaped unless
asked for.  Each pair measures QEMU's own migration, then `drover move`; what is
measured is said in bench/course.py.

Prints every pair, the medians and the ratios.  It judges nothing: exit status 0
when everything was measured.
"""
import argparse
import os
import platform
import sys

from common import MIB, failures, median, note, ratios
from course import Course, ENDS, Guest, in_turns
from lab.core import own_namespaces


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--memory", type=int, default=2048, help="MiB")
    parser.add_argument("--link", default=None, help="shape the card: 1gbit (default: not)")
    parser.add_argument("--content", default="mixed")
    parser.add_argument("--option", default="tcp", help="of Drover")
    parser.add_argument("--qemu", default="/usr/bin/qemu-system-x86_64")
    return parser.parse_args()


def measure(args):
    with Course(args, args.link, guest=Guest(content=args.content)) as course:
        return in_turns(args.pairs, qemu=course.qemu, drover=lambda: course.drover(args.option))


def show(runs, args):
    qemu, drover = runs["qemu"], runs["drover"]
    of_pairs = sorted(ratios(drover, qemu))
    q_down, d_down = (median(r, "downtime") for r in (qemu, drover))
    peaks = [max(r.peak_mib[f"droverd {end}"] for r in drover) for end in ENDS]
    pages = args.memory * MIB // 4096
    print(f"\nmedian of {len(of_pairs)} pairs, {args.memory} MiB {args.content}, "
          f"link {args.link or 'unshaped'}, kernel {platform.release()}, "
          f"{os.cpu_count()} processors\n"
          f"time      QEMU {median(qemu):.2f} s   Drover {median(drover):.2f} s   "
          f"ratio {median(drover) / median(qemu):.3f} "
          f"(pairs {of_pairs[0]:.3f} to {of_pairs[-1]:.3f})\n"
          f"downtime  QEMU {q_down:.0f} ms   Drover {d_down:.0f} ms   "
          f"difference {d_down - q_down:+.0f} ms\n"
          f"memory    droverd grew by {peaks[0]:.0f} MiB at the source, {peaks[1]:.0f} MiB at the "
          f"destination (64 MiB + 8 bytes a page = {64 + 8 * pages / MIB:.0f} MiB)")


def main():
    args = options()
    own_namespaces()
    runs = measure(args)
    failed = failures(*runs.values())
    if failed:
        note(f"{len(failed)} failed: {failed[0]}")
        return 1
    show(runs, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
