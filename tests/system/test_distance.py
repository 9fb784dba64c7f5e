# SPDX-License-Identifier: MIT
"""Hosts that are far from each other: a proxy delays every byte on the way."""
import threading
import time
import unittest

from lab import Lab, Stolen, needs, qemu10, slow
from lab import machine, proxy
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 300
MIB = 1 << 20
LINK = 1000 * 1000 * 1000 / 8  # bytes a second
# Through the proxy and not around it, over the cards.
MOVE = ("--network", "127.0.0.0/8", "--option", "tcp")


class Far:
    """Two hosts at 1 Gbit/s and a round trip of so many ms, with a guest at alpha."""

    def __init__(self, lab, ms, *, fill, rate, hot, memory, qemu=machine.QEMU, channels=1):
        network = Network(lab, ("alpha", "beta"), links=1, rate="1gbit")
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
        """The seconds, by the clock and by the report, and the job."""
        begin = time.monotonic()
        answer = self.alpha.drover("move", "guest", "beta", *MOVE, "--timeout", timeout,
                                   "--json", check=False)
        job = self.alpha.newest_job()
        print(job["state"], f"{time.monotonic() - begin:.2f} s", answer.stderr.strip(),
              {k: (job.get("report") or {}).get(k)
               for k in ("total_ms", "downtime_ms", "setup_ms", "rounds")})
        return job, answer


@needs(*PROGRAMS, "guest/drover-stress.elf", proxy.DELAY)
class Distance(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def busy(self, qemu):
        """A guest that changes 8 MiB at twice the link's rate, 80 ms away."""
        return Far(self.lab, 80, fill="64M", rate="240M", hot="8M", memory="128M", qemu=qemu)

    @unittest.skipUnless(qemu10()[0], f"no QEMU 10: {qemu10()[1]}")
    def test_a_guest_that_is_faster_than_a_long_link_is_let_go(self):
        """QEMU 10 asks whether it may switch over."""
        taken = Stolen()
        job, answer = self.busy(qemu10()[0]).move("12s")
        self.assertEqual(job["state"], "done", answer.stderr)
        self.assertLess(job["report"]["total_ms"], 1000 * (8 + taken.seconds()))

    @slow
    def test_what_a_long_link_holds_may_be_on_its_way(self):
        """300 ms: 37 MB of 1 Gbit/s.  The first third is left to the start of the move."""
        far = Far(self.lab, 300, fill="1400M", rate="1M", hot="1M", memory="1536M", channels=4)
        seen, over = [], threading.Event()

        def watch():
            while not over.wait(0.2):
                for job in far.alpha.api("GET", "/v1/jobs"):
                    seen.append((time.monotonic(), job["progress"]["bytes_sent"]))

        watcher = threading.Thread(target=watch)
        watcher.start()
        job, answer = far.move("90s")
        over.set()
        watcher.join()
        self.assertEqual(job["state"], "done", answer.stderr)
        total = job["report"]["bytes"]["wire"]
        steady = [(at, sent) for at, sent in seen if total / 3 < sent < total * 0.9]
        (begin, first), (end, last) = steady[0], steady[-1]
        rate = (last - first) / (end - begin)
        print(f"{total / MIB:.0f} MiB, {rate / LINK:.3f} of the link")
        # What TCP leaves of the link is 95 % of it.
        self.assertGreater(rate, 0.9 * 0.95 * LINK)
        self.assertEqual(far.console.corrupt(), [])


if __name__ == "__main__":
    unittest.main()
