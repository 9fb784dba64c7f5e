# SPDX-License-Identifier: MIT
"""Networks that a host's settings allow, and the plan of the paths to a peer."""
import shlex
import unittest

from lab import Lab, needs
from lab.host import ApiError, Host, connect
from lab.network import Network

TIME_LIMIT = 120
PARALLEL = True


@needs("src/cmd/droverd", "src/cmd/drover")
class NetworksTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, links=2, rate=None)
        self.alpha, self.beta = (
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta"))
        connect(self.alpha, self.beta)

    def start(self, networks=None, option=None):
        """Both daemons; the networks are those of beta, the option of alpha."""
        if networks:
            self.beta.settings["host"]["networks"] = networks
        if option:
            self.alpha.settings["move"] = {"option": option}
        self.alpha.start()
        self.beta.start()

    def only_over(self, link):
        self.alpha.peer(self.beta, [self.network.links[link].addresses[1]])

    def plan(self, *words):
        return self.alpha.drover("nic", "plan", "beta", *words, check=False)

    def test_a_session_at_another_address_is_refused_with_the_reason(self):
        self.only_over(1)
        self.start(["lan1", "10.99.0.0/16"])
        answer = self.plan()
        self.assertEqual((answer.status, answer.stdout), (8, ""))
        self.assertIn("takes moves on its networks lan1; 10.99.0.0/16 only, and "
                      "10.77.2.2:6600 of lan2 is on none of them", answer.stderr)

    def test_a_session_at_a_listed_address_or_card_is_taken(self):
        for networks in (["lan1"], ["10.77.1.0/24 fd00::/64"]):
            with self.subTest(networks=networks):
                self.only_over(0)
                self.start(networks)
                self.assertEqual(self.plan().status, 0)
                self.alpha.stop()
                self.beta.stop()

    def test_the_kernel_takes_the_commands_that_keep_a_limit(self):
        self.alpha.settings["network lan"] = {
            "addresses": "10.77.1.0/24", "limit": "500Mbit", "dscp": "cs1"}
        self.alpha.settings["network other"] = {"addresses": "10.77.2.0/24", "limit": "1Gbit"}
        self.start()
        marked, not_marked = self.plan("--json", "--mode", "multichannel").json["tc"]
        self.assertEqual((marked["nic"], marked["network"], marked["why"], marked["state"]),
                         ("lan1", "lan", None, "unset"))
        for command in marked["commands"]:
            self.network["alpha"].run(*shlex.split(command))
        self.assertRegex(self.network["alpha"].run("tc", "class", "show", "dev", "lan1"),
                         r"class htb 6600:2 root .*rate 500Mbit ceil 500Mbit")
        self.assertEqual((not_marked["commands"], not_marked["state"]), ([], None))
        self.assertIn("nothing marks what moves send over lan2", not_marked["why"])
        shown = self.plan("--mode", "multichannel").stdout
        self.assertIn("lan1, of [network lan]: set already", shown)
        self.assertEqual([line for line in shown.splitlines() if line.startswith("tc ")],
                         marked["commands"])
        self.network["alpha"].run("tc", "class", "replace", "dev", "lan1", "parent", "6600:",
                                  "classid", "6600:2", "htb", "rate", "40mbit")
        self.assertEqual(self.plan("--json").json["tc"][0]["state"], "other")

    def test_the_networks_are_shown(self):
        self.start(["lan1 lan2", "10.99.0.0/16"])
        shown = self.beta.api("GET", "/v1/host")
        self.assertEqual(shown["networks"], ["lan1, lan2", "10.99.0.0/16"])
        self.assertEqual(self.alpha.api("GET", "/v1/host")["networks"], [])

    def test_a_plan_has_paths_and_the_option_and_leaves_nothing(self):
        self.start(option="auto")
        plan = self.plan("--json").json
        self.assertEqual((plan["host"], plan["mode"]), ("beta", "auto"))
        self.assertTrue(plan["paths"])
        self.assertEqual(self.plan("--mode", "tcp", "--json").json["mode"], "tcp")
        text = self.plan().stdout
        self.assertRegex(text, r"NIC +ADDRESS +NET  STATE +CONN  SPEED")
        self.assertLessEqual(max(map(len, text.splitlines())), 80, text)
        self.assertEqual(self.alpha.api("GET", "/v1/jobs"), [])

    def states(self, *words):
        """{card here: (state, connections)} of a plan, and its other cards."""
        plan = self.plan("--json", *words).json
        paths = {p["from_nic"]: (p["state"], p["connections"]) for p in plan["paths"]}
        return paths, {(c["side"], c["nic"]): c["why"] for c in plan["cards"]}

    def test_a_plan_uses_one_network_or_all_as_the_option_says(self):
        self.start()
        one, all_of_them = self.states("--mode", "tcp"), self.states("--mode", "multichannel")
        self.assertEqual(sorted(one[0].values()), [("spare", 0), ("used", 1)])
        self.assertEqual(set(all_of_them[0].values()), {("used", 1)})

    def test_networks_go_before_the_order_of_the_addresses_of_the_peer(self):
        self.start()
        self.assertEqual(self.states()[0], {"lan1": ("used", 1), "lan2": ("spare", 0)})
        self.alpha.settings["host"]["networks"] = ["lan2", "10.77.1.0/24"]
        self.alpha.restart()
        self.assertEqual(self.states()[0], {"lan2": ("used", 1), "lan1": ("spare", 0)})

    def test_a_plan_leaves_out_what_the_peer_does_not_allow(self):
        self.only_over(1)
        self.start(["lan2"])
        paths, others = self.states()
        self.assertEqual(paths, {"lan2": ("used", 1)})
        self.assertIn("no network", others["there", "lan1"])

    def test_a_plan_says_which_path_does_not_work_and_why(self):
        self.start(["lan1", "lan2"])
        self.network.links[0].blackhole()
        paths, _ = self.states()
        self.assertEqual(paths, {"lan2": ("used", 1), "lan1": ("failed", 0)})
        self.assertRegex(self.plan().stdout, r"(?s)Not used +lan1 10\.77\.1\.1 to .*timed out")

    def test_a_plan_that_cannot_be_made_says_why(self):
        self.alpha.start()
        for words, status, says in (
                (("beta",), 1, r"connect 10\.77\.\d\.2:6600: Connection refused"),
                (("gamma",), 6, "alpha knows no host called gamma"),
                (("beta", "--mode", "fast"), 2, "'fast' is not a mode")):
            with self.subTest(words=words):
                answer = self.alpha.drover("nic", "plan", *words, check=False)
                self.assertEqual((answer.status, answer.stdout), (status, ""))
                self.assertRegex(answer.stderr, says)

    def test_a_move_with_wrong_networks_is_refused(self):
        self.alpha.start()
        for more, says in (({"networks": ["10.0.0.0/33"]}, "10.0.0.0/33"),
                           ({"networks": []}, "names no network"),
                           ({"connections": 33}, "connections must be from 1 to 32"),
                           ({"channels": 2}, "there is no field 'channels' here")):
            with self.subTest(more=more):
                with self.assertRaises(ApiError) as caught:
                    self.alpha.api("POST", "/v1/machines/web1/move", {"host": "beta", **more})
                self.assertEqual(caught.exception.status, 400)
                self.assertIn(says, caught.exception.text)


if __name__ == "__main__":
    unittest.main()
