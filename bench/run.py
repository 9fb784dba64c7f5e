#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Drover beside what else there is, on this machine, in one run.

    make bench [QUICK=1]
    bench/run.py [--quick] [--runs N] [--memory MIB] [--only PART...]

The stress guest on the course of bench/course.py.  What is compared is measured
in turns; a ratio is taken pair by pair, and the median of them is held against
the bar.  A run that failed is shown, and its row does not hold.  Leaves all runs
in build/bench/results.json, the table in results.md and the plots beside them.
The exit status is 1 when a bar was missed.
"""
import argparse
import os
import sys

import clock
import compression
import distance
import failures
import many
import memory
import model
import multichannel
import pause
import release
import scaling
import scrape
import side
import tls
import update
from lab.core import Lab, own_namespaces
from results import Bench

GROUPS = {"multichannel": multichannel.PARTS, "compression": compression.PARTS,
          "side": side.PARTS, "scaling": scaling.PARTS, "failures": failures.PARTS,
          "model": model.PARTS, "distance": distance.PARTS, "release": release.PARTS,
          "tls": tls.PARTS, "update": update.PARTS, "pause": pause.PARTS,
          "memory": memory.PARTS, "clock": clock.PARTS, "many": many.PARTS,
          "scrape": scrape.PARTS}
PARTS = {name: part for parts in GROUPS.values() for name, part in parts.items()}


def options():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", 1)[0], formatter_class=argparse.RawTextHelpFormatter,
        epilog="\n".join(f"{group}:\n" + "\n".join(f"  {name:14}{part.__doc__}"
                                                  for name, part in parts.items())
                         for group, parts in GROUPS.items()))
    parser.add_argument("--quick", action="store_true", help="one run of each, with less memory")
    parser.add_argument("--runs", type=int, help="of each case (default: 5; quick: 1)")
    parser.add_argument("--memory", type=int, help="MiB (default: 2048; quick: 256)")
    parser.add_argument("--only", nargs="+", choices=[*GROUPS, *PARTS], metavar="PART",
                        default=list(GROUPS), help="parts, or groups of them")
    parser.add_argument("--qemu", default="/usr/bin/qemu-system-x86_64")
    parser.add_argument("--one-group", action="store_true",
                        help="all processes in one session, so one scheduling group")
    args = parser.parse_args()
    args.runs = args.runs or (1 if args.quick else 5)
    args.memory = args.memory or (256 if args.quick else 2048)
    return args


def main():
    args = options()
    own_namespaces()
    Lab.sessions = not args.one_group
    bench = Bench(args)
    wanted = [part for name in args.only for part in GROUPS.get(name, [name])]
    for name, part in PARTS.items():
        if name in wanted:
            bench.run(name, part)
    print(f"\n{bench.missed} bars were missed; "
          f"table: {os.path.relpath(bench.markdown())}, plots and all runs beside it")
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
