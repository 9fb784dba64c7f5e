# SPDX-License-Identifier: MIT
"""What every benchmark begins with, and how it counts and shows.

The build that is measured is build/, or what DROVER_BUILD names, as in the
tests; their `lab` can be imported after this.
"""
import argparse
import os
import platform
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
MIB = 1 << 20

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from lab.core import stolen  # noqa: E402


def options(doc, parts, runs, more):
    """Of a benchmark of so many runs of each case, which has parts; `more` are
    its own, by name."""
    parser = argparse.ArgumentParser(description=doc.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=0, help=f"of each case ({runs}; quick: 1)")
    parser.add_argument("--memory", type=int, default=0, help="MiB (2048; quick: 512)")
    parser.add_argument("--quick", action="store_true", help="smaller and fewer")
    parser.add_argument("--only", nargs="*", default=list(parts), choices=list(parts),
                        metavar="PART")
    parser.add_argument("--qemu", default="/usr/bin/qemu-system-x86_64")
    for name, how in more.items():
        parser.add_argument(name, **how)
    args = parser.parse_args()
    args.runs = args.runs or (1 if args.quick else runs)
    args.memory = args.memory or (512 if args.quick else 2048)
    return args


def note(text):
    print(f"    {text}", file=sys.stderr, flush=True)


def conditions(args):
    """What the figures of this run hang on."""
    return {"memory_mib": args.memory, "runs": args.runs, "kernel": platform.release(),
            "processors": os.cpu_count(), "qemu": args.qemu, "autogroup": autogroup()}


def autogroup():
    """Whether the kernel gives each session a fair share of the processors, so
    that the idle class means less than a process of the same session only."""
    try:
        with open("/proc/sys/kernel/sched_autogroup_enabled", encoding="ascii") as f:
            return f.read().strip() == "1"
    except FileNotFoundError:
        return False


class Table:
    """Figures beside their bars; each line is shown at once."""

    def __init__(self, beside):
        self.head = (f"| case | time | {beside} | figure | bar | holds |\n"
                     "|---|---|---|---|---|---|")
        self.rows = []
        self.missed = 0
        self.stolen = stolen()
        self.load = os.getloadavg()[0]

    def row(self, case, time_s, beside, what, figure, bar, good):
        """good: None where nothing was asked for."""
        self.missed += good is False
        holds = {True: "yes", False: "**no**", None: ""}[good]
        line = f"| {case} | {time_s} | {beside} | {what} {figure} | {bar} | {holds} |"
        self.rows.append(line)
        print(line, flush=True)

    def show(self, args, about):
        print(f"\n{args.memory} MiB {about}, medians of {args.runs}, kernel "
              f"{platform.release()}, {os.cpu_count()} processors, {args.qemu}\n"
              f"{stolen() - self.stolen:.0f} processor seconds were taken away by whoever runs "
              f"this machine; its load was {self.load:.1f} at the beginning\n\n{self.head}")
        print("\n".join(self.rows))


def median(runs, attribute="seconds"):
    """Of those that came to their end."""
    return statistics.median([getattr(r, attribute) for r in runs if not r.error] or [0.0])


def failures(*kinds):
    return [r.error for runs in kinds for r in runs if r.error]


def ratios(runs, others):
    """Pair by pair, of the pairs that came to their end."""
    return [r.seconds / o.seconds for r, o in zip(runs, others) if not r.error and not o.error]
