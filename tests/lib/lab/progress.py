# SPDX-License-Identifier: MIT
"""What a move says of its progress while it runs, and where it stood still.

    with Progress(host) as progress:
        ...
    progress.longest_stall()
"""
import threading
import time
from dataclasses import dataclass

from .core import Failed

PERIOD_S = 0.05
STAGES = ("pre-copy", "switchover")


@dataclass
class Sample:
    at: float       # time.monotonic()
    stage: str
    progress: dict


class Progress:
    """Asks a host for its newest move, twenty times a second."""

    def __init__(self, host):
        self.host = host
        self.samples = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(5)

    def _ask(self):
        while not self._stop.wait(PERIOD_S):
            try:
                job = self.host.newest_job(kind="move", role="source", state="running")
            except (OSError, Failed):
                continue
            self.samples.append(Sample(time.monotonic(), job["stage"], job["progress"]))

    def stalls(self):
        """(seconds, when it ended) of each time without more bytes sent, from the
        first pages to the end of the switchover."""
        moving = [s for s in self.samples if s.stage in STAGES and s.progress["bytes_sent"]]
        found, since = [], None
        for sample in moving:
            if since is None or sample.progress["bytes_sent"] > since.progress["bytes_sent"]:
                since = sample
            found.append((sample.at - since.at, sample.at))
        return found

    def longest_stall(self):
        return max((seconds for seconds, _ in self.stalls()), default=0.0)
