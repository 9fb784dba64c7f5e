# SPDX-License-Identifier: MIT
"""Runs in a lab host: moves over real bonds, and which members carry them.

Back to back, alpha and beta have bond0 over four pairs of cards, each with a rate of its
own; behind a bridge (balance-tlb, balance-alb: two such bonds back to back lose frames)
beta has four too, or one card that is as fast as four.
"""
import threading
import time
import unittest

from lab import Failed, Lab, machine, needs, wait_for
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

# Slower than an emulated processor on a busy machine: the members are what is narrow.
# What all goes over one member has one that is as fast as four.
MEMBERS, SLOW, RATE, FAST = 4, "1mbit", "4mbit", "16mbit"
CARDS = [f"v{i}" for i in range(MEMBERS)]
ADDRESS = {"alpha": "10.9.0.1", "beta": "10.9.0.2"}
HASHED = "xmit_hash_policy layer3+4"
# Little is dirtied, so what crosses is what the guest has; it checks its memory without
# haste, since it is emulated twice and shares the processors with what is tested.
GUEST = {"content": "random", "fill": "12M", "hot": "1M", "rate": "128K",
         "verify": "2M", "heartbeat": 200}


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Bonds(unittest.TestCase):
    """Each has two hosts and a guest of its own, and makes the bonds that it needs."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta", "switch"))
        self.console = Console(self.lab)
        self.hosts = [Host(self.lab, name, self.network[name], [ADDRESS[name]],
                           settings={"move": {"option": "multichannel"}})
                      for name in ("alpha", "beta")]
        connect(*self.hosts)
        self.here, self.there = self.hosts

    def start(self):
        """The daemons, which listen on addresses that there are, and the guest."""
        for host in self.hosts:
            host.start()
        self.here.define(machine.definition(
            "guest", *machine.stress_arguments(**GUEST), *self.console.arguments(),
            memory="64M"))
        self.here.drover("vm", "start", "guest")
        self.console.wait_line("^drover-stress ready", 60)

    # -- cards
    def ip(self, name, *words):
        self.network[name].run("ip", *" ".join(map(str, words)).split())

    def pair(self, first, card, second, far, rate):
        """A cable with a rate in each direction."""
        self.ip(first, "link add", card, "type veth peer name", far, "netns",
                self.network[second].holder.pid)
        self.shape(first, rate, card)
        self.shape(second, rate, far)

    def shape(self, name, rate, *cards):
        self.network[name].run("sh", "-ec", f"for d in {' '.join(cards)}; do tc qdisc replace "
                               f"dev $d root tbf rate {rate} burst 32768 latency 20ms; done")

    def bond(self, name, options):
        self.ip(name, "link add bond0 type bond mode", options, "miimon 100")
        for card in CARDS:
            self.ip(name, "link set", card, "master bond0")
        self.ip(name, "address add", f"{ADDRESS[name]}/24 dev bond0")
        self.ip(name, "link set bond0 up")

    def back_to_back(self, options, rate=RATE):
        for card in CARDS:
            self.pair("alpha", card, "beta", card, rate)
        for name in ADDRESS:
            self.bond(name, options)
        self.ready("alpha", "beta")
        self.start()

    def behind_a_bridge(self, alpha, beta=None, rate=RATE):
        """beta: its bond's options; without, it has one fast card."""
        self.ip("switch", "link add bridge type bridge forward_delay 0")
        self.ip("switch", "link set bridge up")
        for name, options in (("alpha", alpha), ("beta", beta)):
            for card in CARDS if options else ["fast"]:
                far = f"{name[0]}-{card}"
                self.pair(name, card, "switch", far, rate if options else FAST)
                self.ip("switch", "link set", far, "master bridge up")
            if options:
                self.bond(name, options)
            else:
                self.ip(name, "address add", f"{ADDRESS[name]}/24 dev fast")
                self.ip(name, "link set fast up")
        self.ready(*(n for n, o in (("alpha", alpha), ("beta", beta)) if o))
        self.start()

    def ready(self, *bonded):
        """All members carry, and the hosts reach each other."""
        for name in bonded:
            wait_for(f"the bond of {name}", lambda name=name: self.members_up(name) == MEMBERS, 30)
        wait_for("the other host", self.reached, 30, 0.1)

    def shown(self, name):
        return self.network[name].run("cat", "/proc/net/bonding/bond0")

    def members_up(self, name):
        text = self.shown(name)
        if "802.3ad" in text:
            ports = [line for line in text.splitlines() if "Number of ports" in line]
            return int(ports[0].split(":")[1]) if ports else 0
        return text.count("MII Status: up") - 1

    def reached(self):
        s = self.network["alpha"].socket()
        with s:
            s.settimeout(1)
            try:
                s.connect((ADDRESS["beta"], 1))
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
        return True

    # -- moves
    def sent(self, name, way="tx"):
        """Bytes by member so far, of a bond or of what is in its place."""
        stats = self.network[name].json("ip", "-j", "-s", "link", "show")
        return {s["ifname"]: s["stats64"][way]["bytes"] for s in stats
                if s["ifname"] in [*CARDS, "fast"]}

    def move(self, *options, meanwhile=None):
        """The guest to the other host; (what left here by member, what came there, job)."""
        before = self.sent(self.here.name), self.sent(self.there.name, "rx")
        begin, failures = time.monotonic(), []

        def guarded():
            try:
                meanwhile()
            except Failed as e:
                failures.append(str(e))
        helper = threading.Thread(target=guarded) if meanwhile else None
        if helper:
            helper.start()
        said = self.here.drover("move", "guest", self.there.name, *options, timeout=150)
        if helper:
            helper.join()
        after = self.sent(self.here.name), self.sent(self.there.name, "rx")
        job = self.here.newest_job(kind="move")
        self.here, self.there = self.there, self.here
        self.assertEqual(failures, [])
        self.assertEqual(self.console.corrupt(), [])
        left, came = ({card: b[card] - a[card] for card in b} for a, b in zip(before, after))
        print(f"{self.id().split('.')[-1]}: {time.monotonic() - begin:.1f} s", job["state"], "left", left,
              "came", came)
        for path in job["report"]["paths"]:
            print("   ", path["connections"], path["flows"], "|", path["reason"],
                  [(c["from"], c["bytes"]) for c in path["channels"]])
        return left, came, job, said

    def check_even(self, by_member):
        """What the members carried differs by 20 % at most."""
        self.assertEqual(len(by_member), MEMBERS)
        least, most = min(by_member.values()), max(by_member.values())
        self.assertGreaterEqual(least, 0.8 * most, by_member)

    def check_one(self, by_member):
        """One member carried it; the others have a word of LACP or ARP at most."""
        first, second, *_ = sorted(by_member.values(), reverse=True)
        self.assertLess(second, 0.05 * first, by_member)

    def check_said(self, job, words):
        """The report's path says so of its connections, and a person is told."""
        path, = [p for p in job["report"]["paths"] if p["bytes"]]
        self.assertRegex(path["flows"] or "", words)
        return path

    # -- a member that goes and comes again
    def lose(self, card, seen, even):
        """Pull the cable of a member in the middle, put it in again, and note what has been
        sent once it is one of them again and, where all are used, they are; only then is the
        move as fast as it may be."""
        def meanwhile():
            host, name = self.here, self.here.name
            wait_for("the first bytes", lambda: self.so_far(host) > 1 << 18, 90, 0.05)
            self.ip(self.there.name, "link set", card, "down")
            wait_for("the loss", lambda: self.members_up(name) < MEMBERS, 10)
            seen["lost"] = self.sent(name)
            wait_for("more bytes", lambda: sum(self.sent(name).values()) >
                     sum(seen["lost"].values()) + (1 << 19), 60, 0.05)
            seen["without"] = self.sent(name)
            self.ip(self.there.name, "link set", card, "up")
            wait_for("its return", lambda: self.members_up(name) == MEMBERS, 20)
            seen["back"] = self.sent(name)
            if even:
                wait_for("all members", lambda: min(
                    n - seen["back"][c] for c, n in self.sent(name).items()) > 1 << 15, 30, 0.05)
                seen["back"] = self.sent(name)
            self.shape(name, RATE if even else FAST, *CARDS)
        return meanwhile

    def so_far(self, host):
        return sum(j["progress"]["bytes_sent"] for j in host.api("GET", "/v1/jobs")
                   if j["kind"] == "move" and j["state"] == "running")

    def check_loss(self, options, even):
        """What the members carried without it and since it is back; (lost member, both)."""
        # So slow that most is still to come when it is back.
        self.back_to_back(options, SLOW if even else RATE)
        name, seen = self.here.name, {}
        lost = self.active(name) or CARDS[1]
        before = self.sent(name)
        left, *_ = self.move(meanwhile=self.lose(lost, seen, even))
        end = {card: before[card] + left[card] for card in CARDS}
        without = {c: seen["without"][c] - seen["lost"][c] for c in CARDS if c != lost}
        since = {c: end[c] - seen["back"][c] for c in CARDS}
        print("    without", lost, without, "since it is back", since)
        self.assertGreater(sum(without.values()), 1 << 18)
        self.assertGreater(sum(since.values()), 2 << 20)
        if even:
            self.assertGreater(min(without.values()), 0.5 * max(without.values()), without)
            self.check_even(since)
        return lost, without, since

    def active(self, name):
        text = self.shown(name)
        return text.split("Currently Active Slave: ")[1].split()[0] if "Active Slave" in text else ""

    # -- each mode
    def test_xor_spreads_connections_over_the_members_both_ways(self):
        self.back_to_back(f"balance-xor {HASHED}")
        for _ in ("there", "and back"):
            left, came, job, _ = self.move()
            self.check_even(left)
            self.check_even(came)
            path = self.check_said(job, "^bond0: Connections are spread over the members by")
            self.assertIn("4 connections because bond0 has 4 members", path["reason"])

    def test_lacp_spreads_connections_over_the_members(self):
        self.back_to_back(f"802.3ad {HASHED} lacp_rate fast")
        left, came, *_ = self.move()
        self.check_even(left)
        self.check_even(came)

    def test_lacp_sends_one_connection_over_one_member(self):
        self.back_to_back(f"802.3ad {HASHED} lacp_rate fast", FAST)
        left, came, *_ = self.move("--connections", 1)
        self.check_one(left)
        self.check_one(came)

    def test_lacp_by_addresses_uses_one_member_and_says_so(self):
        self.back_to_back("802.3ad lacp_rate fast", FAST)
        left, _, job, _ = self.move()
        self.check_one(left)
        path = self.check_said(job, "share one member; the policy layer3.4 would spread them")
        self.assertEqual(path["connections"], 1)

    def test_lacp_loses_a_member_and_has_it_again(self):
        self.check_loss(f"802.3ad {HASHED} lacp_rate fast", even=True)

    def test_xor_loses_a_member_and_has_it_again(self):
        self.check_loss(f"balance-xor {HASHED}", even=True)

    def test_active_backup_goes_on_over_another_member(self):
        lost, without, since = self.check_loss("active-backup", even=False)
        self.check_one(without)
        # It does not go back by itself.
        self.check_one(since)
        self.assertLess(since[lost], 0.05 * max(since.values()))

    def test_tlb_spreads_what_it_sends_by_the_formula_and_receives_on_one(self):
        self.behind_a_bridge(f"balance-tlb {HASHED} tlb_dynamic_lb 0")
        for _ in ("there", "and back"):
            sender = self.here.name
            left, came, job, _ = self.move()
            if sender == "alpha":
                self.check_even(left)
                self.check_said(job, "spread over the members; what comes back arrives on one")
            else:
                self.check_one(came)
                self.check_said(job, "bond0 there receives what one peer sends on one member")

    def test_tlb_sends_to_one_peer_over_one_member(self):
        self.check_one_peer("balance-tlb")

    def test_alb_sends_to_one_peer_over_one_member(self):
        self.check_one_peer("balance-alb")

    def check_one_peer(self, mode):
        self.behind_a_bridge(mode, mode, FAST)
        _, came, job, _ = self.move()
        # All left by one member at a time, which their load changes every ten seconds.
        self.check_one(came)
        path = self.check_said(job, "^bond0: Peers are spread over the members, not "
                                    "connections.*bond0 there receives it on one")
        self.assertEqual(path["connections"], 1)
