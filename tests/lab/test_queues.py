# SPDX-License-Identifier: MIT
"""Moves to a card with several receive queues: each connection has one of its own.

alpha is out here; beta is a lab host, whose cards are on taps of alpha's namespace.
"""
import re
import threading
import unittest

from lab import Lab, core, labhost, machine, within
from lab.host import PROGRAMS, Host, connect
from lab.network import Namespace
from lab.resident import Resident

TIME_LIMIT = 300
QUEUES = 4
# Hardly running: beta emulates it in an emulated processor.
GUEST = {"content": "random", "fill": "16M", "hot": "1M", "rate": "1M"}


def packets(before, after):
    return {q: after[q] - before[q] for q in after}


@within.labhosts
@core.needs(*PROGRAMS, "guest/drover-stress.elf")
class Queues(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        qemu, why = core.qemu10()
        if not qemu:
            raise unittest.SkipTest(f"igb is in QEMU 10: {why}")
        here = Namespace(cls.lab, "alpha")
        try:
            labhost.need(packages=["ethtool"], qemu=qemu)
            taps = [labhost.tap_card(cls.lab, here, 0, "virtio-net-pci,mq=on,rss=on,hash=on,"
                                     f"vectors={2 * QUEUES + 2}", QUEUES),
                    labhost.tap_card(cls.lab, here, 1, "igb", 1)]
        except labhost.Impossible as e:
            raise unittest.SkipTest(str(e)) from None
        except core.Failed as e:
            raise unittest.SkipTest(f"no tap device with several queues: {e}") from None
        settings = {"move": {"option": "multichannel"}}
        cls.alpha = Host(cls.lab, "alpha", here, ["10.78.0.9", "10.78.1.9"], settings=settings)
        cls.beta = Resident(cls.lab, "beta", ["10.78.0.1", "10.78.1.1"], settings=settings)
        connect(cls.alpha, cls.beta)
        cls.beta.write_settings()
        cls.inside, = labhost.boot(cls.lab, taps=taps, namespace=here, vcpus=QUEUES, qemu=qemu,
                                   machine_type="q35", packages=["ethtool"],
                                   modules=["virtio_net", "igb"])
        cls.beta.live_in(cls.inside).start()
        cls.alpha.start()
        cls.number = 0

    def came_in(self, card):
        """Packets by receive queue, as the card counts them."""
        text = self.inside.run("ethtool", "-S", card).stdout
        return {int(q): int(n) for q, n in re.findall(r"rx_queue_(\d+)_packets: (\d+)", text)}

    def move(self, card, *options, size="16M"):
        """A machine to beta, where it stays paused; (packets by queue of its last quarter or
        more, the path that carried it)."""
        cls = type(self)
        cls.number += 1
        name = f"guest{self.number}"
        self.alpha.define(machine.definition(
            name, *machine.stress_arguments(**{**GUEST, "fill": size}), memory="64M"))
        self.alpha.drover("vm", "start", name)
        samples, over = [self.came_in(card)], threading.Event()

        def sample():
            while not over.wait(0.5):
                samples.append(self.came_in(card))
        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            self.alpha.drover("move", name, "beta", "--paused", "--network",
                              f"10.78.{card[-1]}.0/24", *options, timeout=150)
        finally:
            over.set()
            sampler.join()
        samples.append(self.came_in(card))
        path = max(self.alpha.newest_job(kind="move")["report"]["paths"],
                   key=lambda p: p["bytes"])
        self.beta.drover("vm", "stop", name, "--now")
        all_of = packets(samples[0], samples[-1])
        since = next(s for s in reversed(samples)
                     if sum(packets(s, samples[-1]).values()) >= sum(all_of.values()) / 4)
        by_queue = packets(since, samples[-1])
        print(self.id().split(".")[-1], by_queue, "of", all_of, path["reason"],
              [(c["from"], c["bytes"], c["why_ended"]) for c in path["channels"]])
        return by_queue, path

    def check_each(self, by_queue):
        """All of them were used: with one less, another would have had two."""
        self.assertEqual(len(by_queue), QUEUES)
        self.assertGreater(min(by_queue.values()), 0.05 * sum(by_queue.values()), by_queue)

    def test_virtio_by_ports_that_were_computed(self):
        # Only then the table that is shown is the one in the device.
        self.inside.run("ethtool", "-L", "eth0", "combined", QUEUES)
        self.inside.run("ethtool", "-X", "eth0", "equal", QUEUES)
        by_queue, path = self.move("eth0")
        self.assertEqual(path["connections"], QUEUES)
        self.check_each(by_queue)
        by_queue, path = self.move("eth0", "--connections", 1)
        self.assertGreater(max(by_queue.values()), 0.95 * sum(by_queue.values()), by_queue)

    def test_igb_by_measuring_and_other_ports(self):
        self.inside.run("ethtool", "-X", "eth1", "equal", QUEUES)
        queues = self.inside.run("ethtool", "-x", "eth1").stdout
        self.assertIn("RSS hash key:\nOperation not supported", queues)
        # As slow as it takes to find four ports by chance meanwhile.
        self.alpha.namespace.run("tc", "qdisc", "replace", "dev", "tap1", "root", "tbf", "rate",
                                 "16mbit", "burst", "65536", "latency", "20ms")
        by_queue, path = self.move("eth1", size="32M")
        self.assertEqual(path["connections"], QUEUES)
        self.check_each(by_queue)


if __name__ == "__main__":
    unittest.main()
