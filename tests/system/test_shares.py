# SPDX-License-Identifier: MIT
"""Several moves, and others' traffic, on one card: who has how much of it.

What counts is what the cards themselves count, in windows of some seconds."""
import socket
import threading
import time
import unittest

from lab import Failed, Lab, needs, slow, wait_for
from lab import machine
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 300
ALONE = True
MBIT = 125000  # bytes a second
CARD = 100
WINDOW_S = 2.0
SETTLE_S = 1.2  # from a change to what is asserted of it
FREE = 0.75  # of a card: half of it is what a move that gives way has


class Case(unittest.TestCase):
    """Two hosts, one card each, and guests of 200 MiB."""
    settings = {}
    guests = ("one",)

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network, self.link, self.end = self.wire()
        self.alpha, self.beta = (
            Host(self.lab, name, self.network[name], self.network.addresses(name),
                 settings={"move": {"mode": "tcp"}, **self.settings})
            for name in ("alpha", "beta"))
        for host in connect(self.alpha, self.beta):
            host.start()
        for name in self.guests:
            self.alpha.define(machine.definition(
                name, *machine.stress_arguments(fill="180M", rate="256K", hot="2M"),
                memory="200M"))
            self.alpha.drover("vm", "start", name)
        for name in self.guests:
            pid = self.alpha.machine(name)["pid"]
            wait_for("a filled guest", lambda pid=pid: resident(pid) > 160 << 20, 60)

    def wire(self):
        """The network, the link that is full, and its end that sends."""
        network = Network(self.lab, ("alpha", "beta"), links=1, rate=f"{CARD}mbit")
        return network, network.links[0], 0

    def move(self, name, *words):
        return self.alpha.drover("move", name, "beta", "--background", "--json",
                                 *words).json["id"]

    def sent(self, jobs):
        """Bytes on the wire of each, so far."""
        return [self.alpha.api("GET", f"/v1/jobs/{job}")["progress"]["bytes_sent"]
                for job in jobs]

    def rates(self, *jobs):
        """Of the card, and of each job, in Mbit/s, over a window."""
        begin, card, before = time.monotonic(), self.link.wire_bytes(0), self.sent(jobs)
        time.sleep(WINDOW_S)
        after, sent, took = self.sent(jobs), self.link.wire_bytes(0), time.monotonic() - begin
        return ((sent - card) / took / MBIT,
                [(b - a) / took / MBIT for a, b in zip(before, after)])


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Limit(Case):
    @slow
    def test_a_limit_holds_from_the_begin_and_can_be_changed(self):
        job = self.move("one", "--limit", "20Mbit")
        wait_for("pages", lambda: self.sent([job])[0] > 1 << 20)
        self.assertEqual(self.alpha.api("GET", f"/v1/jobs/{job}")["limit"], 20 * MBIT)
        card, _ = self.rates(job)
        # Of the card's count a 20th is headers.
        self.assertTrue(20 * 0.85 < card < 20 * 1.1, card)
        for limit in (50, 10):
            self.alpha.drover("job", "set", job, "--limit", f"{limit}Mbit")
            time.sleep(SETTLE_S)
            card, _ = self.rates(job)
            self.assertTrue(limit * 0.85 < card < limit * 1.1, (limit, card))
        self.alpha.drover("job", "set", job, "--limit", "0")
        time.sleep(SETTLE_S)
        card, _ = self.rates(job)
        self.assertGreater(card, CARD * FREE)
        self.alpha.drover("job", "watch", job, timeout=60)
        self.assertEqual(self.beta.machine("one")["state"], "running")

    @slow
    def test_a_limit_is_in_the_downtime_that_is_planned(self):
        """What QEMU is told of its bandwidth is what the limit leaves: the pause is no
        longer than what was allowed and the rest of the devices take."""
        self.alpha.drover("move", "one", "beta", "--limit", "80Mbit", "--downtime-limit",
                          "200ms", timeout=90)
        report = self.alpha.newest_job()["report"]
        self.assertLess(report["downtime_ms"], 600)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Weights(Case):
    guests = ("one", "two")

    @slow
    def test_two_moves_have_their_parts_by_weight_also_when_changed(self):
        jobs = self.move("one"), self.move("two", "--weight", "300")
        for job in jobs:
            wait_for("pages", lambda job=job: self.sent([job])[0] > 4 << 20)
        time.sleep(SETTLE_S)
        card, (one, two) = self.rates(*jobs)
        self.assertGreater(card, CARD * 0.9)
        self.assertTrue(2.4 < two / one < 3.6, (one, two))
        self.alpha.drover("job", "set", jobs[0], "--weight", "300")
        time.sleep(SETTLE_S)
        card, (one, two) = self.rates(*jobs)
        self.assertGreater(card, CARD * 0.9)
        self.assertTrue(0.8 < two / one < 1.25, (one, two))


class Flow:
    """Somebody else's TCP connection, as fast as it can: from one end to the other."""

    def __init__(self, case, here, there, address):
        listener = there.socket()
        listener.bind((address, 0))
        listener.listen()
        self.sender = here.socket()
        self.sender.connect(listener.getsockname())
        self.receiver, _ = listener.accept()
        listener.close()
        self.received, self.ended = 0, False
        self.threads = [threading.Thread(target=run, daemon=True)
                        for run in (self.send, self.receive)]
        for thread in self.threads:
            thread.start()
        case.addCleanup(self.close)

    def send(self):
        block = bytes(1 << 16)
        try:
            while not self.ended:
                self.sender.sendall(block)
        except OSError:
            pass

    def receive(self):
        while True:
            try:
                got = len(self.receiver.recv(1 << 18))
            except OSError:
                return
            if not got:
                return
            self.received += got

    def rate(self, seconds=WINDOW_S):
        """In Mbit/s, of what arrives."""
        before, begin = self.received, time.monotonic()
        time.sleep(seconds)
        return (self.received - before) / (time.monotonic() - begin) / MBIT

    def close(self):
        self.ended = True
        for one in (self.sender, self.receiver):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        for thread in self.threads:
            thread.join()


def giving_way(guarantee):
    return {"network lan": {"addresses": "10.77.0.0/16", "yield": "yes",
                            "guarantee": guarantee, "dscp": "cs1", "priority": "2"}}


class Yield(Case):
    def setUp(self):
        super().setUp()
        self.job = self.move("one")
        wait_for("pages", lambda: self.sent([self.job])[0] > 4 << 20)
        time.sleep(SETTLE_S)

    def carried(self, seconds=1.0):
        """By the card, in Mbit/s: all of it ours, without a flow."""
        begin, before = time.monotonic(), self.link.wire_bytes(self.end)
        time.sleep(seconds)
        return (self.link.wire_bytes(self.end) - before) / (time.monotonic() - begin) / MBIT


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Guarantee(Yield):
    settings = giving_way("50%")

    @slow
    def test_others_have_the_rest_within_a_second_and_leave_it(self):
        self.assertGreater(self.carried(), CARD * FREE)
        flow = Flow(self, *self.link.ends, self.link.addresses[1])
        time.sleep(SETTLE_S)
        theirs, card = flow.rate(), self.carried()
        # A paced connection loses a little to one that is not.
        self.assertTrue(0.43 * CARD < theirs < 0.66 * CARD, theirs)
        self.assertGreater(card, 0.95 * CARD)
        flow.close()
        time.sleep(SETTLE_S)
        self.assertGreater(self.carried(), CARD * FREE)

    @slow
    def test_packets_are_marked(self):
        for end in self.link.ends:
            shown = end.run("ss", "-Htn", "--tos", "sport = :6600 or dport = :6600")
            self.assertIn("tos:0x20", shown)
            self.assertIn("class_id:0x2", shown)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class NoGuarantee(Yield):
    settings = giving_way("0")

    @slow
    def test_others_have_it_as_if_there_was_no_move(self):
        flow = Flow(self, *self.link.ends, self.link.addresses[1])
        time.sleep(SETTLE_S)
        # What an idle card gives is 0.957 of it: the rest is headers.
        self.assertGreater(flow.rate(), 0.957 * CARD * 0.95)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class AtTheOtherEnd(Yield):
    """Behind a switch, the card of the destination is the one that is full."""
    settings = giving_way("50%")

    def wire(self):
        network = Network(self.lab, ("alpha", "beta", "gamma", "switch"))
        network["switch"].bridge("br0")
        for i, name in enumerate(("alpha", "gamma", "beta"), 1):
            link = network.link(name, "switch", rate=None,
                                addresses=(f"10.77.9.{i}", f"10.77.9.{i + 10}"))
            network["switch"].run("ip", "address", "flush", "dev", link.names[1])
            network["switch"].run("ip", "link", "set", link.names[1], "master", "br0")
        network.links[0].shape("300mbit", 0)
        link.shape(f"{CARD}mbit", 1)  # towards beta
        return network, link, 1

    @slow
    def test_the_destination_tells_of_others_on_its_card(self):
        self.assertGreater(self.carried(), CARD * FREE)
        flow = Flow(self, self.network["gamma"], self.network["beta"], self.link.addresses[0])
        time.sleep(SETTLE_S)
        theirs = flow.rate()
        # How much the other connection leaves in the switch's short queue is not ours
        # to say: only that it has its half.
        self.assertGreater(theirs, 0.43 * CARD)
        flow.close()
        time.sleep(SETTLE_S)
        self.assertGreater(self.carried(), CARD * FREE)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Congestion(unittest.TestCase):
    """What a connection between near hosts has, with BBR as the hosts' own where there is
    that, by what is set and by what is not."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        # So slow that a move takes longer than until the shares are first looked at.
        network = Network(self.lab, ("alpha", "beta"), links=1, rate="800mbit")
        self.own = "bbr"
        for name in ("alpha", "beta"):
            try:
                network[name].run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=bbr")
            except Failed:
                self.own = network[name].run("sysctl", "-n",
                                             "net.ipv4.tcp_congestion_control").strip()
        self.hosts = [
            Host(self.lab, name, network[name], network.addresses(name),
                 settings={"network lan": {"addresses": "10.77.0.0/16"}})
            for name in ("alpha", "beta")]
        for host in connect(*self.hosts):
            host.start()
        self.hosts[0].define(machine.definition(
            "one", *machine.stress_arguments(fill="60M", rate="256K", hot="1M"),
            memory="96M"))
        self.hosts[0].drover("vm", "start", "one")
        pid = self.hosts[0].machine("one")["pid"]
        wait_for("a filled guest", lambda: resident(pid) > 90 << 20, 60)

    def moved(self, wish):
        """To the other host: what its connections had at the end."""
        source, other = self.hosts
        source.drover("host", "set", "network.lan.congestion", wish)
        source.drover("move", "one", other.name)
        self.hosts.reverse()
        paths = source.newest_job()["report"]["paths"]
        return {c["congestion"] for path in paths for c in path["channels"]}

    @slow
    def test_it_is_as_the_network_says(self):
        near = {"cubic", "reno"} if self.own == "bbr" else {self.own}
        self.assertLessEqual(self.moved("auto"), near)
        self.assertEqual(self.moved("host"), {self.own})
        self.assertEqual(self.moved("reno"), {"reno"})
        source = self.hosts[0]
        self.assertLessEqual(self.moved("no-such"), near)
        self.assertEqual(source.log_text().count("congestion control no-such"), 1)


if __name__ == "__main__":
    unittest.main()
