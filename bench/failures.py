# SPDX-License-Identifier: MIT
"""What each card carries while cards fail under a move.

The counters are those that /proc/PID/net/dev shows of the network of process
PID: one file for all cards of a host, read ten times a second, and no process is
started for it.  They have the headers of a segmented packet only once, which is
a few percent less than the card carries; a card is compared with itself.
"""
import threading
import time
from bisect import bisect
from contextlib import contextmanager
from dataclasses import dataclass

import plot
from common import MIB
from course import Course, Guest, beside, mib_per_s
from multichannel import AGAIN_S

PERIOD_S = 0.1
# A card carries what it did once it does so on average over this time: one
# reading may be as much too high as the next is too low.
HOLD_S = 0.5
SHARE = 0.9
# A lost card may cost a move that much in all, see multichannel.lost().
LOST_S = 2
# Of the memory: what is on the wire when a move has got going, and when it fails.
GOING, STRUCK = 0.05, 0.3
# Of what the cards carry together.
DIRTIED = 0.1


class Traffic:
    """with Traffic(course) as traffic: what the cards of the source send in here."""

    def __init__(self, course):
        self.path = f"/proc/{course.network['alpha'].holder.pid}/net/dev"
        self.names = [link.names[0] for link in course.links]
        self.over = threading.Event()
        self.times, self.sent = [], []      # when, and bytes of each card until then
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._read()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self._thread.join()

    def _watch(self):
        while not self.over.wait(PERIOD_S):
            self._read()

    def _read(self):
        with open(self.path, encoding="ascii") as f:
            cards = dict(line.strip().split(":", 1) for line in f if ":" in line)
        # After eight fields of what came in: the bytes that went out.
        sent = [int(cards[name].split()[8]) for name in self.names]
        self.sent.append(sent)
        self.times.append(time.monotonic())

    def wait(self, sent_bytes):
        """Whether so much was sent, by all of them, before it was over."""
        while sum(self.sent[-1]) - sum(self.sent[0]) < sent_bytes:
            if self.over.wait(PERIOD_S / 4):
                return False
        return True

    def total(self, card, when):
        """Bytes until then, on a straight line between two readings."""
        after = min(max(bisect(self.times, when), 1), len(self.times) - 1)
        (begin, first), (end, last) = ((self.times[i], self.sent[i][card])
                                       for i in (after - 1, after))
        return first + (last - first) * (when - begin) / (end - begin)

    def rate(self, card, begin, end):
        """Bytes per second."""
        return (self.total(card, end) - self.total(card, begin)) / (end - begin)

    def again(self, card, since, rate):
        """Seconds from then on until the card carries so much; None for never."""
        for when in [since, *self.times[bisect(self.times, since):]]:
            if when + HOLD_S > self.times[-1]:
                break
            if self.rate(card, when, when + HOLD_S) >= SHARE * rate:
                return when - since
        return None

    def curves(self):
        """Of each card (seconds since the first reading, Mbit/s)."""
        spans = list(zip(self.times, self.times[1:]))
        return [[(round(end - self.times[0], 3), round(self.rate(card, begin, end) * 8 / 1e6, 1))
                 for begin, end in spans] for card in range(len(self.names))]


def slowest(seconds):
    """None, which is never, when one of them is."""
    return None if None in seconds else max(seconds)


@dataclass(frozen=True)
class Failure:
    """The first cards are out for so long, None: until the move has ended."""
    cards: int
    out_s: float | None = None

    def strike(self, course, traffic, moments):
        """moments: when the move had got going, when they went out and came back."""
        memory = course.args.memory * MIB
        if not traffic.wait(GOING * memory):
            return
        moments["going"] = time.monotonic()
        if not traffic.wait(STRUCK * memory):
            return
        moments["out"] = time.monotonic()
        for link in course.links[:self.cards]:
            link.down()
        if not traffic.over.wait(self.out_s):
            for link in course.links[:self.cards]:
                link.up()
            moments["back"] = time.monotonic()

    @contextmanager
    def beside(self, course, traffic, moments):
        with traffic, beside(lambda: self.strike(course, traffic, moments)):
            try:
                yield
            finally:
                traffic.over.set()

    def run(self, course):
        traffic, moments = Traffic(course), {}
        try:
            run = course.drover("multichannel", during=self.beside(course, traffic, moments))
        finally:
            # So that the next one finds all of them.
            for link in course.links:
                link.up()
            time.sleep(1)
        if "out" in moments:
            run.extra = self.found(traffic, moments)
        else:
            run.error = run.error or "the move was over before a card was lost"
        return run

    def found(self, traffic, moments):
        """Curves, when cards were out, and how soon all was as before: at the cards
        that were not lost, and at those that came back."""
        out, back = moments["out"], moments.get("back")
        before = [traffic.rate(card, moments["going"], out)
                  for card in range(len(traffic.names))]
        others = [traffic.again(card, out, rate) for card, rate in enumerate(before)
                  if card >= self.cards]
        again = [traffic.again(card, back, rate) if back else None
                 for card, rate in enumerate(before) if card < self.cards]
        return {"curves": traffic.curves(),
                "out": [t - traffic.times[0] for t in (out, back or traffic.times[-1])],
                "others_s": slowest(others) if others else None, "again_s": slowest(again)}


# -- the parts
def timeline(bench):
    """what each card carries while one is lost, comes back, and all are out"""
    quick = bench.args.quick
    # So that a move lasts equally long with any size of memory, 16 or 8 s.
    mbit = bench.args.memory // (2 if quick else 4)
    kinds = {"lost": ("one is lost", Failure(1)),
             "flap": ("one is lost and comes back", Failure(1, 2 if quick else 4)),
             "outage": ("both are lost and come back", Failure(2, 6 if quick else 10))}
    guest = Guest(rate=mib_per_s(2 * mbit, DIRTIED))
    with Course(bench.args, *[f"{mbit}mbit"] * 2, guest=guest) as course:
        runs = bench.turns("timeline", **{name: lambda one=one: one.run(course)
                                          for name, (_, one) in kinds.items()})
    for name, words, key, bar_s in (
            ("lost", "the other one carries again what it did", "others_s", LOST_S),
            ("flap", "the other one carries again what it did", "others_s", LOST_S),
            ("flap", "the one that came back does", "again_s", None),
            ("outage", "both carry again what they did", "again_s", AGAIN_S)):
        bench.within(f"2 x {mbit} Mbit/s, {name}: {words}", runs[name],
                     [r.extra[key] for r in runs[name] if not r.error], bar_s)
    for name, (words, _) in kinds.items():
        # The first that came to its end, or else the first.
        drawn = next((r for r in sorted(runs[name], key=lambda r: bool(r.error)) if r.extra), None)
        if drawn:
            bench.draw(f"timeline-{name}", plot.timeline, f"2 x {mbit} Mbit/s, {words}",
                       {f"card {n + 1}": curve for n, curve in enumerate(drawn.extra["curves"])},
                       drawn.extra["out"])


PARTS = {"timeline": timeline}
