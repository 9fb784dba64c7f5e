# SPDX-License-Identifier: MIT
"""What was measured: one table with a bar beside each figure, one file of all runs.

Rows are shown as soon as they are known.  build/bench/results.json keeps each
part with all of its runs and what they hung on, also those of earlier runs of
other parts; results.md beside it is the table of all of them.
"""
import json
import os
import platform
import statistics
import subprocess
import time
from dataclasses import asdict

from common import autogroup, failures, median, note, processors, ratios, spread
from course import in_turns
from lab.core import BUILD, stolen

FOLDER = os.path.join(BUILD, "bench")
HEAD = "| case | time | beside | figure | bar | holds |\n|---|---|---|---|---|---|"
HOLDS = {True: "yes", False: "**no**", None: ""}


def version(program):
    """The first line of what it says of itself."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["?"])[0]


def conditions(args):
    """What the figures hang on."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f
                      if line.startswith("model name")), platform.machine())
    return {"memory_mib": args.memory, "runs": args.runs, "quick": args.quick,
            "kernel": platform.release(), "processor": model, "processors": processors(),
            "qemu": version(args.qemu), "accelerator": "tcg",
            "one_group": args.one_group or not autogroup()}


class Bench:
    """What a part has at hand."""

    def __init__(self, args):
        self.args = args
        self.conditions = conditions(args)
        self.missed = 0
        self.rows, self.cases, self.drawings = [], {}, []
        os.makedirs(FOLDER, exist_ok=True)
        self.path = self.base("results") + ".json"
        self.parts = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as f:
                self.parts = json.load(f)

    @staticmethod
    def base(name):
        """A path in the folder of results, without its suffix."""
        return os.path.join(FOLDER, name)

    # -- a part's figures
    def turns(self, case, *, times=None, **kinds):
        """All kinds in turns, as in_turns(); they are kept under this name."""
        runs = in_turns(times or self.args.runs, **kinds)
        self.cases[case] = runs
        return runs

    def row(self, case, runs, others, name, *, what, figure, bar, good):
        """others: what the runs are compared with, named so.  good: None where
        nothing was asked for."""
        failed = failures(runs, others or [])
        if failed:
            figure += f" ({len(failed)} of {len(runs) + len(others or [])} failed)"
            good = False if bar else None
        self.line(case, spread(runs), f"{name} {spread(others)}" if others else "",
                  f"{what} {figure}", bar, good)

    def line(self, case, time_s, beside, figure, bar, good):
        self.missed += good is False
        row = f"| {case} | {time_s} | {beside} | {figure} | {bar} | {HOLDS[good]} |"
        self.rows.append(row)
        print(row, flush=True)

    def ratio(self, case, runs, others, name, bar, strictly=False):
        """Time against the others', pair by pair."""
        found = ratios(runs, others)
        if not found:
            self.row(case, runs, others, name, what=f"time / {name}", figure="none", bar=bar,
                     good=False)
            return
        middle = statistics.median(found)
        self.row(case, runs, others, name, what=f"time / {name}",
                 figure=f"{middle:.3f} ({min(found):.3f} to {max(found):.3f})",
                 bar=f"{'below' if strictly else 'at most'} {bar:.3g}" if bar else "",
                 good=None if bar is None else middle < bar if strictly else middle <= bar)

    def more_downtime(self, case, runs, others, name, bar_ms):
        """The medians' difference."""
        theirs = median(others, "downtime")
        more = median(runs, "downtime") - theirs
        self.row(f"{case}: downtime", runs, others, name, what="more by",
                 figure=f"{more:.0f} ms ({theirs:.0f} ms {name})", bar=f"at most {bar_ms} ms",
                 good=more <= bar_ms)

    def within(self, case, runs, late, bar_s=None):
        """late: seconds of the runs that came to their end, None for never."""
        if not late or None in late:
            figure, good = f"never in {late.count(None)} of {len(late)}", False
        else:
            middle = statistics.median(late)
            figure = f"{middle:.2f} s ({min(late):.2f} to {max(late):.2f})"
            good = bar_s is not None and middle <= bar_s
        self.row(case, runs, None, "", what="within", figure=figure,
                 bar="" if bar_s is None else f"at most {bar_s:.3g} s",
                 good=None if bar_s is None else good)

    def draw(self, name, function, *figures):
        """A plot of plot.py under this name."""
        why_not = function(self.base(name), *figures)
        if why_not:
            note(f"no plot {name}: {why_not}")
        else:
            self.drawings.append(name)

    # -- all parts
    def run(self, name, part):
        """A part that goes wrong is a row, and the others are still measured."""
        self.rows, self.cases, self.drawings = [], {}, []
        taken, load, began = stolen(), os.getloadavg()[0], time.monotonic()
        print(f"\n{name}: {part.__doc__}\n{HEAD}", flush=True)
        try:
            part(self)
        except Exception as e:
            self.line(name, "", "", f"went wrong: {type(e).__name__}: {e}".replace("\n", " "),
                      "to come to its end", False)
        self.parts[name] = {
            "about": part.__doc__, **self.conditions,
            "ended": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "took_s": round(time.monotonic() - began, 1),
            "stolen_s": round(stolen() - taken, 1), "load_before": load,
            "rows": self.rows, "plots": self.drawings,
            "cases": {case: {kind: [asdict(r) for r in runs] for kind, runs in kinds.items()}
                      for case, kinds in self.cases.items()}}
        with open(self.path, "w", encoding="utf-8") as f:
            json.dump(self.parts, f, indent=1)

    def markdown(self):
        """Every part that results.json holds; it says what each hangs on."""
        text = ["# What was measured", ""]
        for name, part in self.parts.items():
            text += [f"## {name}: {part['about']}", "", HEAD, *part["rows"], "",
                     f"{part['memory_mib']} MiB unless a row says otherwise, {part['runs']} of "
                     f"each, {part['processors']} x {part['processor']}, kernel "
                     f"{part['kernel']}, {part['qemu']}, {part['accelerator']}; "
                     f"ended {part['ended']} after {part['took_s']:.0f} s, of which "
                     f"{part['stolen_s']:.0f} processor seconds were taken away by whoever runs "
                     f"this machine; its load before was {part['load_before']:.1f}", ""]
            text += [f"![{plot}]({plot}.svg)\n" for plot in part["plots"]]
        path = self.base("results") + ".md"
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(text))
        return path
