# SPDX-License-Identifier: MIT
"""Which of several paths are used, and what is said of each."""
import unittest

from lab import needs, slow, wait_for
from lab.field import Field
from lab.host import PROGRAMS, Host, connect
from test_multichannel import (GUEST, LONG, MULTICHANNEL, RATE, RAW, USED, Case, by_card, sent,
                               wait_sent)

TIME_LIMIT = 300
PARALLEL = True


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Explained(Case):
    """Two cards, one plain and one with RSS, of which one is lost."""

    def debug(self, field, *words):
        return field.here.drover("debug", *words, "--json").json

    def test_each_path_and_the_codec_say_why(self):
        field = Field(self.lab, links=1, rate=RATE, memory="256M", guest={**GUEST, **LONG},
                      limits={"outage-limit": "30s", "connections-per-card": 1})
        field.network.link("alpha", "beta", rate=RATE, queues=4)
        for host in (field.alpha, field.beta):
            host.addresses = field.network.addresses(host.name)
            host.settings["host"]["listen"] = host.addresses
        connect(field.alpha, field.beta)
        field.start()
        move = field.move("--mode", "auto")
        wait_sent(move, field.links, 0.2)
        running, = self.debug(field)["jobs"]
        job = running["job"]["id"]
        paths = by_card(running)
        self.assertRegex(paths["lan1"]["reason"],
                         "same network, 1 connection because lan1 there has no RSS")
        self.assertRegex(paths["lan2"]["reason"],
                         "same network, 4 connections because lan2 there has RSS")
        first, = (p for p in paths.values() if p["order"] == 1)
        self.assertRegex(first["reason"], "; before lan. because ")
        flows = [c["flow"] for p in paths.values() for c in p["channels"] if c["flow"]]
        self.assertEqual(len(flows), 5)
        self.assertTrue(any(f["rate"] > 0 and f["limit"] > 0 for f in flows), flows)
        text = field.here.drover("debug", job).stdout
        self.assertRegex(" ".join(text.split()), "4 connections because lan2 there has RSS")
        self.assertIn("IN FLIGHT", text)
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)

        field.links[0].down()
        wait_for("the new plan in the log", lambda: "the plan is lan1 to lan1 not, "
                 in field.here.log_text(), 10, 0.05)
        report = self.finished(field, move)
        lost, kept = by_card(report)["lan1"], by_card(report)["lan2"]
        self.assertNotEqual(lost["state"], "used")
        self.assertTrue(lost["why"], lost)
        self.assertIsNone(lost["reason"])
        self.assertEqual(kept["state"], "used")
        self.assertRegex(kept["reason"], "RSS")
        self.assertGreater(kept["delivered"], 1e6)
        self.assertTrue(report["press"]["why"])
        self.assertTrue(all(t["ratio"] > 0 and t["frames"] > 0 for t in report["press"]["tried"]))
        # Said once, however often it was planned anew.
        said = [line.split("the plan is ")[1] for line in field.beta.log_text().splitlines() +
                field.alpha.log_text().splitlines() if "the plan is " in line]
        self.assertTrue(all(a != b for a, b in zip(said, said[1:])), said)
        self.assertEqual(self.debug_of_ended(field, job), report["press"]["codec"])

    def debug_of_ended(self, field, job):
        """What it was, from the report."""
        ended = field.alpha.drover("debug", job, "--json").json
        self.assertEqual(ended["job"]["state"], "done")
        return ended["press"]["codec"]


@needs(*PROGRAMS, "guest/drover-stress.elf")
class OneNetwork(Case):
    """Option `tcp`: the first network of the list that there is, alone."""
    LIST = ["10.77.2.0/24", "10.77.1.0/24"]

    def setUp(self):
        super().setUp()
        self.to = self.field(host={"networks": self.LIST}, limits={"option": "tcp"},
                             rate="200mbit")
        self.second, self.first = self.to.links  # the list's order, not the cards'

    def test_only_the_first_network_is_used(self):
        before = sent(self.to.links)
        report = self.finished(self.to, self.to.move())
        second, first = (b - a for a, b in zip(before, sent(self.to.links)))
        self.assertGreater(first, RAW)
        self.assertLess(second, USED)
        self.assertEqual(report["mode_got"], "tcp")
        paths = by_card(report)
        self.assertEqual((paths["lan2"]["state"], paths["lan2"]["network"]), ("used", 0))
        self.assertEqual(paths["lan1"]["state"], "spare")
        self.assertTrue(paths["lan1"]["why"])

    def test_the_next_network_is_used_when_the_first_is_down_at_the_start(self):
        self.first.down()
        before = sent(self.to.links)
        report = self.finished(self.to, self.to.move())
        second, _ = (b - a for a, b in zip(before, sent(self.to.links)))
        self.assertGreater(second, RAW)
        self.assertEqual(by_card(report)["lan1"]["state"], "used")

    def carries_on(self, act):
        before = sent(self.to.links)
        move = self.to.move()
        wait_sent(move, [self.first], 0.3)
        act(self.first)
        report = self.finished(self.to, move)
        second, _ = (b - a for a, b in zip(before, sent(self.to.links)))
        self.assertGreater(second, RAW // 3)
        paths = by_card(report)
        self.assertEqual(paths["lan1"]["state"], "used")
        self.assertGreaterEqual(paths["lan2"]["drops"], 1)

    @slow
    def test_the_next_network_carries_on_when_the_first_goes_down(self):
        self.carries_on(lambda link: link.down())

    def test_the_next_network_carries_on_when_the_first_is_a_black_hole(self):
        self.carries_on(lambda link: link.blackhole())

    def test_a_move_is_refused_that_comes_over_another_network(self):
        """The destination takes moves on its networks only."""
        there = self.to.there
        there.settings["host"]["networks"] = ["10.99.0.0/16"]
        there.restart()
        status, errors = self.to.move().wait()
        self.assertEqual(status, 8)
        self.assertRegex(errors, r"10\.77\.\d\.2")
        self.to.settle()
        self.to.heartbeat()


@needs(*PROGRAMS, "guest/drover-stress.elf")
class BadPath(Case):
    """Paths that look well from one side only."""

    def unused(self, report, name):
        path = by_card(report)[name]
        self.assertNotEqual(path["state"], "used", path)
        self.assertTrue(path["why"], path)
        return path["why"]

    @slow
    def test_a_half_open_path_is_not_used(self):
        field = self.field(3, rate="200mbit")
        field.links[1].blackhole(0)
        field.links[2].blackhole(1)
        before = sent(field.links)
        report = self.finished(field, field.move(*MULTICHANNEL))
        for name, a, b in list(zip(("lan1", "lan2", "lan3"), before, sent(field.links)))[1:]:
            self.assertLess(b - a, USED)
            print(f"half-open {name}: {self.unused(report, name)}")

    def to_gamma(self, daemon):
        """alpha's second card leads to gamma, which has the address that beta
        has on its own second card."""
        field = self.field(1, rate="200mbit")
        gamma = field.network.host("gamma")
        wrong = field.network.link("alpha", "gamma", rate=RATE,
                                   addresses=("10.77.2.1", "10.77.2.2"))
        field.network.link("gamma", "beta", rate=RATE, addresses=("10.77.3.1", "10.77.2.2"))
        host = Host(self.lab, "gamma", gamma, ["10.77.2.2"])
        connect(host, field.alpha)
        if daemon:
            host.start()
        # Whoever has an address now may listen on it.
        for one in (field.alpha, field.beta):
            one.settings["host"]["listen"] = "0.0.0.0"
            one.restart()
        before = wrong.counters(0)["tx_bytes"]
        report = self.finished(field, field.move(*MULTICHANNEL))
        self.assertLess(wrong.counters(0)["tx_bytes"] - before, USED)
        print(f"{self.id().split('.')[-1]}: {self.unused(report, 'lan2')}")
        if daemon:
            self.assertEqual(host.api("GET", "/v1/jobs"), [])

    def test_a_path_to_another_hosts_daemon_is_not_used(self):
        self.to_gamma(daemon=True)

    @slow
    def test_a_path_to_a_host_without_a_daemon_is_not_used(self):
        self.to_gamma(daemon=False)


if __name__ == "__main__":
    unittest.main()
