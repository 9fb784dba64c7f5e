# SPDX-License-Identifier: MIT
"""Runs in a lab host: moves over links that are long, lose packets, swap them, or are uneven.

Beside each move iperf3 sends as much with as many connections over the same link, and the
ratio of both rates is printed: that is a measure within one run, and no bar.
"""
import json
import unittest

from lab import Lab, machine, needs
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

CONNECTIONS, MIB = 4, 1 << 20
FILL = 4
RATE = "rate 40mbit"
GUEST = {"content": "random", "fill": f"{FILL}M", "hot": "1M", "rate": "1M",
         "verify": "2M", "heartbeat": 200}


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Links(unittest.TestCase):
    """One guest that goes there and back; what netem does is done by both ends."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.network = Network(cls.lab, links=1, rate=None)
        cls.console = Console(cls.lab)
        cls.hosts = [Host(cls.lab, name, cls.network[name], cls.network.addresses(name),
                          settings={"move": {"option": "tcp",
                                             "connections-per-rss-card": CONNECTIONS,
                                             "connections-per-card": CONNECTIONS}}).start()
                     for name in ("alpha", "beta")]
        for host in connect(*cls.hosts):
            # A packet of netem is one of the wire, not sixty.
            cls.network[host.name].run("ethtool", "-K", "lan1", "tso", "off", "gso", "off",
                                       "gro", "off")
            host.restart()
        cls.here, cls.there = cls.hosts
        cls.here.define(machine.definition(
            "guest", *machine.stress_arguments(**GUEST), *cls.console.arguments(), memory="32M"))
        cls.here.drover("vm", "start", "guest")
        cls.console.wait_line("^drover-stress ready", 60)

    def netem(self, *words):
        for name in ("alpha", "beta"):
            self.network[name].run("tc", "qdisc", "replace", "dev", "lan1", "root", "netem",
                                   *" ".join((*words, RATE, "limit 4000")).split())

    def iperf(self):
        """Bytes a second of as much as the guest has."""
        listen = self.there.addresses[0]
        server = self.lab.spawn(["iperf3", "-s", "-1", "-B", listen],
                                namespace=self.network[self.there.name])
        done = self.network[self.here.name].run(
            "sh", "-c", f"until ss -H -tn state listening | grep -q .; do :; done; sleep 0.3;"
            f"iperf3 -J -c {listen} -P {CONNECTIONS} -n {FILL * MIB}", timeout=60)
        server.wait(20)
        return json.loads(done)["end"]["sum_received"]["bits_per_second"] / 8

    def check(self, *words):
        """A move over such a link; its rate in that of iperf3."""
        cls = type(self)
        self.netem(*words)
        beside = self.iperf()
        seen = len(self.console.lines)
        self.here.drover("move", "guest", self.there.name, timeout=120)
        report = self.here.newest_job(kind="move")["report"]
        cls.here, cls.there = cls.there, cls.here
        self.console.wait_line("^hb ", 20, after=max(seen, len(self.console.lines) - 1))
        self.assertEqual(self.console.corrupt(), [])
        path, = [p for p in report["paths"] if p["bytes"]]
        self.assertEqual(path["connections"], CONNECTIONS)
        self.assertGreater(path["bytes"], FILL * MIB)
        rate = path["bytes"] / (report["total_ms"] - report["setup_ms"]) * 1000
        print(f"{' '.join(words)}: {report['total_ms']} ms, set-up {report['setup_ms']}, paused "
              f"{report['downtime_ms']}, {path['retransmissions']} retransmissions, "
              f"{rate / 1e6:.2f} MB/s; iperf3 {beside / 1e6:.2f} MB/s: ratio {rate / beside:.2f}")

    def test_1_ms(self):
        self.check("delay 0.5ms")

    def test_20_ms(self):
        self.check("delay 10ms")

    def test_100_ms(self):
        self.check("delay 50ms")

    def test_a_thousandth_is_lost(self):
        self.check("delay 5ms", "loss 0.1%")

    def test_a_hundredth_is_lost(self):
        self.check("delay 5ms", "loss 1%")

    def test_a_hundredth_is_lost_on_a_long_way(self):
        self.check("delay 50ms", "loss 1%")

    def test_packets_overtake_each_other(self):
        self.check("delay 10ms", "reorder 75% 50%")

    def test_the_delay_is_uneven(self):
        self.check("delay 10ms 5ms 25%")
