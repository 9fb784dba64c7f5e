# SPDX-License-Identifier: MIT
"""Two hosts that are far from each other: a proxy delays every byte on the way."""
import threading
import time

from . import machine, proxy
from .console import Console
from .host import Host, connect
from .network import Network

MBIT = 1000 * 1000 / 8  # bytes a second
# Through the proxy and not around it, over the cards.
MOVE = ("--network", "127.0.0.0/8", "--mode", "tcp")


def steady(samples, total):
    """Bytes a second of the (seconds, bytes) behind the first third, which is left
    to the start, and before the last tenth."""
    middle = [(at, sent) for at, sent in samples if total / 3 < sent < total * 0.9]
    (begin, first), (end, last) = middle[0], middle[-1]
    return (last - first) / (end - begin)


class Far:
    """Two hosts, a link of so many Mbit/s and ms of round trip, and a guest at alpha."""

    def __init__(self, lab, ms, *, fill, rate, hot, memory, qemu=machine.QEMU, channels=1,
                 link=1000):
        network = Network(lab, ("alpha", "beta"), links=1, rate=f"{link}mbit")
        self.console = Console(lab)
        self.alpha, self.beta = (
            Host(lab, name, network[name], network.addresses(name), qemu=qemu,
                 settings={"move": {"connections-per-card": channels}})
            for name in ("alpha", "beta"))
        connect(self.alpha, self.beta)
        for host, other in ((self.alpha, self.beta), (self.beta, self.alpha)):
            proxy.Delay(lab, host.namespace, ("127.0.0.1", host.port),
                        (other.addresses[0], other.port), ms=ms // 2)
            host.peer(other, ["127.0.0.1", *other.addresses])
            host.start()
        guest = machine.stress_arguments(fill=fill, rate=rate, hot=hot)
        self.alpha.define(machine.definition("guest", *guest, *self.console.arguments(),
                                             memory=memory))
        self.alpha.drover("vm", "start", "guest")
        self.console.wait_line("^drover-stress ready|^hb ", 60)

    def move(self, timeout):
        """The job and what the command said; shows the seconds."""
        begin = time.monotonic()
        answer = self.alpha.drover("move", "guest", "beta", *MOVE, "--timeout", timeout,
                                   "--json", check=False)
        job = self.alpha.newest_job()
        print(job["state"], f"{time.monotonic() - begin:.2f} s", answer.stderr.strip(),
              {k: (job.get("report") or {}).get(k)
               for k in ("total_ms", "downtime_ms", "setup_ms", "rounds")})
        return job, answer

    def watched_move(self, timeout):
        """The same, and (seconds, bytes sent) five times a second."""
        samples, over = [], threading.Event()

        def watch():
            while not over.wait(0.2):
                for job in self.alpha.api("GET", "/v1/jobs"):
                    samples.append((time.monotonic(), job["progress"]["bytes_sent"]))

        watcher = threading.Thread(target=watch)
        watcher.start()
        job, answer = self.move(timeout)
        over.set()
        watcher.join()
        return job, answer, samples
