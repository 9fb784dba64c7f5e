# SPDX-License-Identifier: MIT
"""How well a move is foreseen: before it begins, and at a quarter of its time.

Each guest moves there; what `drover move --estimate` says before it, and what its
job says all along, is held against when it really ended.  A first move, which is
not counted, shows what the paths carry.
"""
import threading
import time

from common import good, note
from course import Course, Guest, attempt, mib_per_s, shown

LINK_MBIT = 250
# Shares of the link at which the memory is changed, and of the memory that is.
SHARES = (0, 0.05, 0.2, 0.4, 0.6)
PARTS_OF_MEMORY = (16, 4)
QUARTER, QUARTER_BAR, BEFORE_BAR, OF_TEN = 0.25, 0.15, 0.30, 0.9
LOOK_S = 0.1
MODES = ("tcp", "compression")


class Clock(Course):
    """Keeps what is said before each move and while it goes on, in run.extra."""

    def _move(self, name, words):
        alpha = self.hosts[0]
        self.before = alpha.drover("move", "--estimate", name, "beta", "--json", *words,
                                   timeout=60).json
        self.told, over = [], threading.Event()
        looker = threading.Thread(target=self._look, args=(name, over))
        looker.start()
        try:
            return super()._move(name, words)
        finally:
            over.set()
            looker.join()

    def _look(self, name, over):
        while not over.wait(LOOK_S):
            jobs = [j for j in self.hosts[0].api("GET", "/v1/jobs") if j["machine"] == name]
            if jobs and jobs[-1]["stage"] == "pre-copy":
                self.told.append((time.time(), jobs[-1]["progress"]))

    def _result(self, name, console, span, limit_s=None):
        run = super()._result(name, console, span, limit_s)
        job = self.hosts[0].newest_job(kind="move", machine=name)
        if not run.error:
            run.extra = self._judged(job)
        return run

    def _judged(self, job):
        report, ended = job["report"], job["ended"]
        total = (report["total_ms"] - report["setup_ms"]) / 1000
        quarter = ended - total * (1 - QUARTER)
        then = [(at, p) for at, p in self.told if at <= quarter and p["time_left_ms"] is not None]
        found = {"total": total, "told": len(self.told), "before": self.before}
        if self.before["time_ms"] is not None:
            found["before_off"] = abs(self.before["time_ms"] / 1000 - total) / total
        if then:
            at, progress = then[-1]
            found["quarter_off"] = abs(at + progress["time_left_ms"] / 1000 - ended) / total
            most = progress["time_left_most_ms"]
            found["covered"] = (at + progress["time_left_least_ms"] / 1000 <= ended
                                and (most is None or at + most / 1000 >= ended))
        found["downtime_off"] = abs((self.told[-1][1]["downtime_estimate_ms"] or 0)
                                    - report["downtime_ms"]) if self.told else None
        return found


def guests(args):
    memory_mib = args.memory
    for part in PARTS_OF_MEMORY[:1 if args.quick else None]:
        for share in SHARES[::2] if args.quick else SHARES:
            yield (f"{share:.0%} of the link in 1/{part}",
                   Guest(content="mixed", hot=f"{memory_mib // part}M",
                         rate=mib_per_s(LINK_MBIT, share)))


def share_of(runs, what, most):
    """Of the runs, those of which it is known and at most so much."""
    return sum(r.extra.get(what, float("inf")) <= most for r in runs) / len(runs) if runs else 0


def foreseen(bench):
    """what a move is said to take, before it and at a quarter of it, and what it takes"""
    runs = []
    for case, guest in guests(bench.args):
        with Clock(bench.args, f"{LINK_MBIT}mbit", guest=guest) as course:
            attempt(lambda course=course: course.drover("tcp"))
            for mode in MODES:
                for _ in range(bench.args.runs):
                    run = shown(f"{case}, {mode}",
                                attempt(lambda course=course, mode=mode: course.drover(mode)))
                    note("  " + ", ".join(f"{k} {v:.2f}" for k, v in run.extra.items()
                                          if isinstance(v, float)))
                    runs.append(run)
    done = good(runs)
    for what, off, bar in (("at a quarter", "quarter_off", QUARTER_BAR),
                           ("before the start", "before_off", BEFORE_BAR)):
        share = share_of(done, off, bar)
        bench.row(f"the time that is told {what}", done, None, "", what=f"within {bar:.0%}",
                  figure=f"{share:.0%} of {len(done)}", bar=f"at least {OF_TEN:.0%}",
                  good=len(done) == len(runs) and share >= OF_TEN)
    covered = sum(bool(r.extra.get("covered")) for r in done) / max(len(done), 1)
    bench.row("the range that is told at a quarter", done, None, "", what="has the end in it",
              figure=f"{covered:.0%} of {len(done)}", bar=f"at least {OF_TEN:.0%}",
              good=covered >= OF_TEN)


PARTS = {"foreseen": foreseen}
