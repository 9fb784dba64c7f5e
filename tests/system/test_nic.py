# SPDX-License-Identifier: MIT
"""What `drover nic` says of cards that come, change and go."""
import unittest

from lab import Lab, needs, wait_for
from lab.host import ApiError, Host
from lab.network import Network

TIME_LIMIT = 120
PARALLEL = True


@needs("src/cmd/droverd", "src/cmd/drover")
class NicTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, links=2, rate=None)
        self.host = Host(self.lab, "alpha", self.network["alpha"],
                         self.network.addresses("alpha")).start()

    def ip(self, *words):
        self.network["alpha"].run("ip", *words)

    def listed(self):
        nics = self.host.drover("nic", "list", "--json").json
        return {nic["name"]: nic for nic in nics}

    def wait(self, name, **wanted):
        """Until the card is listed so; the kernel tells of carriers once a second."""
        def found():
            nic = self.listed().get(name, {})
            return all(nic.get(key) == value for key, value in wanted.items())
        wait_for(f"{name}: {wanted}", found, 3, 0.05)

    def test_cards_and_why_they_are_not_used(self):
        self.ip("link", "add", "docker0", "type", "bridge")
        self.ip("address", "add", "172.17.0.1/16", "dev", "docker0")
        self.network.links[1].down(1)
        self.wait("lan2", reason="lan2 has no carrier: the cable or the other end is not there")
        nics = self.listed()
        self.assertEqual(list(nics), ["lo", "lan1", "lan2", "docker0"])
        first = nics["lan1"]
        self.assertTrue(first["usable"])
        self.assertIsNone(first["reason"])
        self.assertEqual(first["addresses"], ["10.77.1.1/24"])
        self.assertEqual((first["kind"], first["driver"], first["mtu"]),
                         ("veth", "veth", 1500))
        self.assertEqual(first["speed_mbit"], 10000)
        self.assertEqual(
            {name: nic["reason"] for name, nic in nics.items() if not nic["usable"]},
            {"lo": "lo never leaves this host",
             "lan2": "lan2 has no carrier: the cable or the other end is not there",
             "docker0": "docker0 is a bridge for its host's own guests and containers"})

    def test_what_changes_is_seen(self):
        self.assertTrue(self.listed()["lan2"]["usable"])
        self.network.links[1].down(0)
        self.wait("lan2", reason="lan2 is down")
        self.network.links[1].up(0)
        self.ip("address", "flush", "dev", "lan2")
        self.wait("lan2", reason="lan2 has no address")
        self.ip("link", "delete", "lan2")
        self.wait("lan2", kind=None)

    def test_relations_between_cards(self):
        self.ip("link", "add", "over1", "link", "lan1", "type", "macvlan")
        self.ip("link", "add", "br0", "type", "bridge")
        self.ip("link", "set", "lan2", "master", "br0")
        self.wait("lan2", master="br0")
        nics = self.listed()
        self.assertEqual((nics["over1"]["lower"], nics["over1"]["wire"]), ("lan1", "lan1"))
        self.assertEqual(nics["lan2"]["master"], "br0")
        self.assertEqual(nics["br0"]["members"], ["lan2"])
        self.assertEqual(nics["lan2"]["reason"], "lan2 is a port of the bridge br0")

    def test_tables_fit_a_terminal(self):
        self.ip("link", "add", "longestnameever", "type", "bridge")
        for last in range(4):
            self.ip("address", "add", f"fd00:1111:2222:3333:4444:5555:6666:{7000 + last}/64",
                    "dev", "longestnameever", "nodad")
        wait_for("the addresses", lambda: len(self.listed()["longestnameever"]["addresses"]) == 4,
                 3, 0.05)
        for words in (("nic", "list"), ("nic", "show", "longestnameever"),
                      ("nic", "show", "lan1")):
            text = self.host.drover(*words).stdout
            self.assertLessEqual(max(map(len, text.splitlines())), 80, text)
            self.assertTrue(words[-1] == "lan1" or "fd00:1111:2222:3333:4444:5555:6666:7003"
                            in text, text)
        text = self.host.drover("nic", "list").stdout
        self.assertRegex(text, r"(?m)^lan1 +veth +10G  yes  10\.77\.1\.1$")
        self.assertRegex(text, r"(?m)^lo never leaves this host$")

    def test_one_card_in_full(self):
        shown = self.host.drover("nic", "show", "lan1", "--json").json
        self.assertEqual(shown["hash"], {"toeplitz": False, "key": None, "table": None})
        self.assertIn("tso", shown["features"])
        self.assertEqual((shown["vfs"], shown["vfs_most"]), (None, None))
        self.assertGreaterEqual(shown["queues_most"], 1)
        self.assertEqual((shown["rx_ring"], shown["rx_ring_most"]), (None, None))
        self.assertGreaterEqual(shown["rx_queues"], 1)
        text = self.host.drover("nic", "show", "lan1").stdout
        self.assertRegex(text, r"(?m)^Usable +yes$")
        self.assertRegex(text, r"(?m)^Receive hash +not told by the driver$")

    def test_the_matrix_and_what_of_it_is_true_here(self):
        self.ip("link", "add", "longestnameever", "numrxqueues", "2", "numtxqueues", "2",
                "type", "veth", "peer", "name", "far1")
        self.ip("address", "add", "10.88.0.1/24", "dev", "longestnameever")
        self.ip("link", "set", "far1", "up")
        self.ip("link", "set", "longestnameever", "up")
        self.wait("longestnameever", usable=True)
        matrix = self.host.drover("nic", "matrix", "--json").json
        self.assertEqual(matrix, self.host.api("GET", "/v1/nic-matrix"))
        pairs = {(entry["feature"], entry["other"]): entry for entry in matrix}
        both = pairs["rss", "vmq"]
        self.assertEqual((both["windows"]["relation"], both["linux"]["relation"], both["cards"]),
                         ("excludes", "combines", []))
        self.assertIsNone(pairs["gro-hw", "lro"]["windows"])
        # A veth cuts large sends, and makes checksums.
        self.assertIn({"card": "longestnameever", "holds": "met"},
                      pairs["lso", "tx-checksum"]["cards"])
        self.assertIn({"card": "lan1", "holds": "met"}, pairs["lso", "tx-checksum"]["cards"])
        text = self.host.drover("nic", "matrix").stdout
        self.assertRegex(text, r"(?m)^lso +tx-checksum +needs +needs +lan1 met$")
        self.assertRegex(text, r"(?m)^ +longestnameever met$")
        for words in ((), ("rss",), ("sr-iov",), ("connections",)):
            lines = self.host.drover("nic", "matrix", *words).stdout.splitlines()
            self.assertLessEqual(max(map(len, lines)), 80, lines)

    def test_one_feature_of_the_matrix_and_one_that_is_not_there(self):
        text = self.host.drover("nic", "matrix", "vmq").stdout
        self.assertRegex(text, r"(?m)^rss, vmq\n  Windows  excludes\. A card bound")
        self.assertNotIn("gro-hw", text)
        answer = self.host.drover("nic", "matrix", "warp", check=False)
        self.assertEqual((answer.status, answer.stdout), (2, ""))
        self.assertIn("there is no feature 'warp' in the matrix", answer.stderr)

    def test_a_card_of_which_nothing_can_be_said_gets_no_advice(self):
        for purpose in ("migration", "machines", "storage", "mixed"):
            advice = self.host.drover("nic", "advise", "--for", purpose, "--json").json
            self.assertEqual((advice["for"], advice["findings"], advice["unknown"]),
                             (purpose, [], []))
            # That it looked for a second, and said for how long.
            self.assertGreaterEqual(advice["seconds"], 1)
        self.assertEqual(self.host.api("GET", "/v1/nic-advice")["for"], "mixed")
        self.assertEqual(self.host.drover("nic", "advise").stdout,
                         "There is nothing to advise on the cards of this host.\n")
        answer = self.host.drover("nic", "advise", "--for", "speed", check=False)
        self.assertEqual((answer.status, answer.stdout), (2, ""))
        self.assertIn("advice is for migration, machines, storage or mixed, not for 'speed'",
                      answer.stderr)

    def test_a_card_that_is_not_there_is_named(self):
        answer = self.host.drover("nic", "show", "eth77", check=False)
        self.assertEqual((answer.status, answer.stdout), (6, ""))
        self.assertEqual(answer.stderr,
                         "drover: nic show eth77: there is no network card eth77\n")
        with self.assertRaises(ApiError) as caught:
            self.host.api("GET", "/v1/nics/eth77")
        self.assertEqual(caught.exception.status, 404)

    def test_asking_leaves_nothing_open(self):
        self.listed()
        before = self.host.descriptors()
        for _ in range(20):
            self.host.api("GET", "/v1/nics")
        # The last connection may still be on its way out.
        wait_for("the connections to be gone", lambda: self.host.descriptors() <= before)


if __name__ == "__main__":
    unittest.main()
