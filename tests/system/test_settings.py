# SPDX-License-Identifier: MIT
"""Settings: from which file each is, `drover host set`, and what a reload takes."""
import os
import signal
import unittest

from lab import Lab, needs, wait_for
from lab.field import FAST, SLOW, Field
from lab.host import ApiError, Host
from lab.network import Network

TIME_LIMIT = 240
PARALLEL = True

# Every key has an example, a good value, in its row of the table.  Those that may stand
# several times, and one that this test's file has already:
GOOD = {
    "peer.beta.tls": ["on"],
    "host.listen": ["10.77.1.1", "fd00::1"],
    "host.networks": ["lan1, 10.9.0.0/16", "fd00::/64"],
    "host.allow-qemu": ["/bin/true", "/bin/false"],
    "host.policy": ["strict"],
    "host.image-directories": ["/pool", "/tank/images"],
    "network.lan.addresses": ["10.77.0.0/16", "fd00::/64"],
    "network.lan.cards": ["lan1", "lan2"],
    "peer.beta.address": ["10.77.1.2", "10.77.2.2"],
}
# What no key takes, and what some do not.
BAD = ["", " ", "a ; b", "a\n[peer evil]", "x\x07", "1 ", " 1", "; 1"]
BAD_OF = {
    "host.name": ["al/pha", "a" * 64, "-a"],
    "host.listen": ["alpha.example.org", "10.0.0.0/24"],
    "host.port": ["0", "65536", "many", "-1", "70 00"],
    "host.networks": ["10.0.0.0/33", ",", "a/b"],
    "host.state-directory": ["var", "../x"],
    "host.run-directory": ["run"],
    "host.socket": ["x.sock"],
    "host.qemu": ["qemu"],
    "host.allow-qemu": ["qemu"],
    "host.policy": ["closed", "Strict"],
    "host.image-directories": ["srv", "/srv, images", "/srv/../etc"],
    "move.downtime-limit": ["0", "999us", "10 apples", "-5s"],
    "move.timeout": ["soon", "5 parsecs"],
    "move.on-timeout": ["stop", "Abort"],
    "move.converge": ["postcopy", "pause, throttle", "none, pause", "fast"],
    "move.compress": ["sometimes"],
    "move.codec": ["gzip", "zstd:99", "zstd:"],
    "move.repeat-cache": ["101%", "5%M", "much"],
    "move.mode": ["rdma", "AUTO"],
    "move.connections-per-rss-card": ["0", "33"],
    "move.connections-per-card": ["0", "33"],
    "move.connections": ["0", "33", "1.5"],
    "move.weight": ["0", "10001"],
    "move.limit": ["5", "500", "fast"],
    "move.total-limit": ["0Mbit", "-1Gbit"],
    "move.outage-limit": ["0", "0s"],
    "move.switchover-outage-limit": ["0", "999us"],
    "network.lan.addresses": ["lan1", "10.0.0.0/33"],
    "network.lan.cards": ["10.77.0.0/16", "a" * 16],
    "network.lan.rank": ["0", "65", "first"],
    "network.lan.limit": ["101%", "0%", "500", "50%M"],
    "network.lan.yield": ["perhaps"],
    "network.lan.guarantee": ["half", "200%"],
    "network.lan.priority": ["16", "1:", "0:1"],
    "network.lan.dscp": ["64", "CS1", "best"],
    "network.lan.congestion": ["Cubic", "a" * 16, "bbr cubic"],
    "peer.beta.address": ["beta", "10.77.1.0/24"],
    "peer.beta.port": ["0", "65536"],
    "peer.beta.tls": ["maybe"],
    "peer.beta.may": ["everything", "none, plan", "plan, none", ","],
}


@needs("src/cmd/droverd", "src/cmd/drover")
class Case(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, links=2, rate=None)
        self.host = Host(self.lab, "alpha", network["alpha"], network.addresses("alpha"))
        self.host.settings["peer beta"] = {"address": "10.77.1.2", "tls": "off"}
        self.host.settings["network lan"] = {"addresses": "10.77.0.0/16"}
        self.host.settings["move"] = {"timeout": "1min"}
        self.folder = self.host.config.replace(".conf", ".d")
        self.own = os.path.join(self.folder, "90-set.conf")

    def write(self, name, text):
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def all(self):
        return {s["setting"]: s for s in self.host.api("GET", "/v1/host/settings")}

    def value(self, setting):
        one = self.all()[setting]
        return one["values"], one["file"], one["line"]

    def reload(self, logs):
        """SIGHUP, and what the log then has."""
        before = len(self.host.log_text())
        os.kill(self.host.pid, signal.SIGHUP)
        wait_for(f"the log: {logs}", lambda: logs in self.host.log_text()[before:], 10, 0.02)
        return self.host.log_text()[before:]

    def files(self):
        found = {}
        for name in [self.host.config] + [os.path.join(self.folder, n) for n in
                                          (os.listdir(self.folder)
                                           if os.path.isdir(self.folder) else ())]:
            with open(name, "rb") as f:
                found[name] = f.read()
        return found

    def refused(self, *words):
        """Its one line; everything is as it was."""
        before, files = self.all(), self.files()
        done = self.host.drover("host", "set", *words, check=False)
        self.assertNotEqual(done.status, 0, words)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertEqual(self.all(), before)
        self.assertEqual(self.files(), files)
        return done.stderr


class EveryKey(Case):
    def test_good_values_are_taken_and_bad_ones_change_nothing(self):
        self.host.start()
        before = self.all()
        self.assertLessEqual(set(GOOD) | set(BAD_OF), set(before))
        for setting, was in before.items():
            with self.subTest(setting=setting):
                self.assertTrue(was["example"], "a key needs an example in its row")
                self.assertTrue(was["help"], "a key needs help in its row")
                bad = BAD + BAD_OF.get(setting, [])
                self.assertIn(setting, self.refused("--", setting, bad[-1]))
                files = self.files()
                for value in bad:
                    with self.assertRaises(ApiError) as refused:
                        self.host.api("POST", "/v1/host/settings",
                                      {"setting": setting, "values": [value]})
                    self.assertEqual(refused.exception.status, 400, value)
                    self.assertEqual(self.all(), before)
                self.assertEqual(self.files(), files)
                if len(GOOD.get(setting, [0])) == 1:
                    self.assertIn("takes one value",
                                  self.refused("--", setting, *[was["example"]] * 2))
                self.one_key(setting, GOOD.get(setting, [was["example"]]), before)
        with open(self.own, encoding="utf-8") as f:
            self.assertEqual(f.read().count("\n"), 1)  # the comment

    def one_key(self, setting, good, before):
        self.assertNotEqual(before[setting]["values"], good)
        self.host.drover("host", "set", setting, *good)
        now = self.all()
        one = now.pop(setting)
        self.assertEqual(one["values"], good)
        self.assertEqual(one["file"], self.own)
        with open(self.own, encoding="utf-8") as f:
            line = f.read().splitlines()[one["line"] - 1]
        self.assertEqual(line, f"{one['key']} = {good[0]}")
        self.assertEqual(one["pending"], one["restart"])
        self.assertEqual(now, {s: v for s, v in before.items() if s != setting})
        self.host.drover("host", "unset", setting)
        self.assertEqual(self.all(), before)

    def test_a_name_that_is_none_is_refused_with_the_one_that_was_meant(self):
        self.host.start()
        for name, hint in (("move.timeuot", "did you mean 'timeout'?"),
                           ("mvoe.timeout", "did you mean 'move'?"),
                           ("timeout", "SECTION.KEY"), ("peer.address", "peer.NAME.KEY"),
                           ("move.a.timeout", "move.KEY"), ("peer.a/b.port", "not a name"),
                           ("peer." + "a" * 64 + ".port", "too long"), ("move.", "no key"), ("move.mode.x", "move.KEY")):
            with self.subTest(name=name):
                self.assertIn(hint, self.refused(name, "1"))

    def test_a_restart_takes_what_waits_for_it(self):
        self.host.start()
        done = self.host.drover("host", "set", "host.port", "7000")
        self.assertIn("restart", done.stdout)
        shown = {line.split()[0]: line.split()[1:] for line in
                 self.host.drover("host", "show", "--settings").stdout.splitlines()}
        self.assertEqual(shown["SETTING"], ["VALUE", "FROM", "CHANGES"])
        self.assertEqual(shown["host.port"],
                         ["7000", f"{self.own}:4", "wait", "for", "a", "restart"])
        self.assertEqual(shown["move.timeout"][2:], ["at", "once"])
        self.assertRegex(shown["move.timeout"][1], f"{self.host.config}:[0-9]+")
        self.assertEqual(shown["move.compress"], ["idle", "default", "at", "once"])
        self.assertEqual(shown["host.name"][2:], ["at", "a", "restart"])
        self.assertEqual(self.host.api("GET", "/v1/host")["port"], 6600)
        self.host.restart()
        self.assertEqual(self.host.api("GET", "/v1/host")["port"], 7000)
        self.assertFalse(self.all()["host.port"]["pending"])


class Places(Case):
    def test_of_three_places_the_last_file_counts(self):
        first = self.write("10-first.conf", "[move]\n\ntimeout = 2min\n")
        last = self.write("95-last.conf", "[move]\ntimeout = 3min\n")
        self.write("99-no.conf.old", "[move]\ntimeout = 4min\n")
        self.write(".98-hidden.conf", "[move]\ntimeout = 5min\n")
        self.host.start()
        self.assertEqual(self.value("move.timeout"), (["3min"], last, 2))
        done = self.host.drover("host", "set", "move.timeout", "9min")
        self.assertIn("95-last.conf is read later", done.stdout)
        self.assertEqual(self.value("move.timeout"), (["3min"], last, 2))
        os.remove(last)
        self.reload("the settings were read again")
        self.assertEqual(self.value("move.timeout"), (["9min"], self.own, 4))
        self.host.drover("host", "unset", "move.timeout")
        self.assertEqual(self.value("move.timeout"), (["2min"], first, 3))
        os.remove(first)
        log = self.reload("the settings were read again")
        self.assertIn("move.timeout is 1min", log)
        values, file, _ = self.value("move.timeout")
        self.assertEqual((values, file), (["1min"], self.host.config))
        self.assertEqual(self.value("move.on-timeout"), (["abort"], None, None))

    def test_a_list_of_a_later_file_stands_for_the_whole_list(self):
        self.host.settings["host"]["networks"] = ["lan1", "lan2"]
        self.write("10-a.conf", "[host]\nnetworks = 10.9.0.0/16\n           lan9\n")
        self.host.start()
        self.assertEqual(self.value("host.networks")[0], ["10.9.0.0/16", "lan9"])

    def test_a_peer_may_stand_in_several_files(self):
        self.write("10-a.conf", "[peer beta]\nport = 7001\n[peer gamma]\naddress = 10.0.0.3\n")
        self.write("20-b.conf", "[peer gamma]\ntls = off\n")
        self.host.start()
        peers = {p["name"]: p for p in self.host.api("GET", "/v1/host")["peers"]}
        self.assertEqual(peers["beta"], {"name": "beta", "addresses": ["10.77.1.2"],
                                         "port": 7001, "tls": False})
        self.assertEqual(peers["gamma"], {"name": "gamma", "addresses": ["10.0.0.3"],
                                          "port": 6600, "tls": False})

    def test_networks_by_name_and_by_line_are_one_list(self):
        self.host.settings["host"]["networks"] = ["lan1", "10.3.0.0/16"]
        self.host.settings["network fast"] = {"addresses": "10.2.0.0/16", "cards": "lan2"}
        self.host.settings["network slow"] = {"addresses": "10.4.0.0/16", "rank": 9}
        del self.host.settings["network lan"]
        self.host.start()
        self.assertEqual(self.host.api("GET", "/v1/host")["networks"],
                         ["lan1, 10.2.0.0/16, lan2", "10.3.0.0/16", "10.4.0.0/16"])


class Reload(Case):
    def test_a_bad_file_changes_nothing_and_is_logged(self):
        self.host.start()
        before = self.all()
        bad = self.write("10-bad.conf", "[move]\ntimeout = 2min\ndowntime-limit = 0\n")
        log = self.reload(f"{bad}:3:18: ")
        self.assertIn("the settings stay as they were", log)
        self.assertEqual(self.all(), before)
        self.assertEqual(self.refused("move.timeout", "2min").count(f"{bad}:3:18: "), 1)
        os.remove(self.host.config)
        os.remove(bad)
        self.reload(self.host.config)
        self.assertEqual(self.all(), before)

    def test_a_whole_that_is_not_good_is_not_set(self):
        self.host.start()
        self.assertIn("[peer gamma] has no address", self.refused("peer.gamma.port", "7000"))
        self.host.drover("host", "set", "peer.gamma.address", "10.0.0.3")
        self.host.drover("host", "set", "peer.gamma.port", "7000")
        done = self.host.drover("host", "unset", "peer.gamma.address", check=False)
        self.assertIn("[peer gamma] has no address", done.stderr)

    def test_a_peer_is_known_at_once_and_gone_at_once(self):
        self.host.start()
        with self.assertRaisesRegex(ApiError, "knows no host called gamma"):
            self.host.api("GET", "/v1/nics/plan/gamma")
        self.host.drover("host", "set", "peer.gamma.address", "10.77.1.3")
        with self.assertRaisesRegex(ApiError, r"10\.77\.1\.3"):
            self.host.api("GET", "/v1/nics/plan/gamma")
        self.host.drover("host", "unset", "peer.gamma.address")
        with self.assertRaisesRegex(ApiError, "knows no host called gamma"):
            self.host.api("GET", "/v1/nics/plan/gamma")

    def test_what_is_not_known_is_told_again(self):
        self.host.start()
        path = self.write("10-new.conf", "[queue]\nlength = 3\n[move]\nspeed = 3\n")
        log = self.reload("the settings were read again")
        self.assertIn(f"left out: {path}:1:1: there is no section [queue]", log)
        self.assertIn(f"left out: {path}:4:1: [move] has no key 'speed'", log)

    def test_what_stands_in_the_file_besides_stays(self):
        path = self.write("90-set.conf", "# by hand\n[queue]\nlength = 3\n")
        self.host.start()
        self.host.drover("host", "set", "move.timeout", "2min")
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), "# by hand\n[queue]\nlength = 3\n\n[move]\ntimeout = 2min\n")

    def test_a_name_of_before_is_read_and_written_anew(self):
        path = self.write("90-set.conf", "[move]\noption = tcp\n")
        self.host.start()
        self.assertIn(f"{path}:2: the key 'option' of [move] is called 'mode' now",
                      self.host.log_text())
        self.assertEqual(self.value("move.mode"), (["tcp"], path, 2))
        self.host.drover("host", "set", "move.option", "auto")
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), "[move]\nmode = auto\n")

    def test_a_folder_that_cannot_be_written_is_named(self):
        with open(self.folder, "w", encoding="utf-8"):
            pass
        self.host.write_settings()
        os.remove(self.folder)
        self.host.start()
        with open(self.folder, "w", encoding="utf-8"):
            pass
        done = self.host.drover("host", "set", "move.timeout", "2min", check=False)
        self.assertNotEqual(done.status, 0)
        self.assertIn(self.folder, done.stderr)
        self.assertEqual(self.value("move.timeout")[0], ["1min"])


@needs("src/cmd/droverd", "guest/drover-stress.elf")
class Jobs(unittest.TestCase):
    def test_a_move_keeps_the_peer_that_it_began_with(self):
        lab = Lab()
        self.addCleanup(lab.close)
        field = Field(lab, rate=SLOW, limits={"outage-limit": "30s"}).start()
        alpha, beta = field.alpha, field.beta
        move = field.move("--downtime-limit", "2s")
        wait_for("the move", lambda: any(j["stage"] == "pre-copy"
                                         for j in alpha.api("GET", "/v1/jobs")), 20, 0.02)
        peer = alpha.settings.pop("peer beta")
        alpha.write_settings()
        os.kill(alpha.pid, signal.SIGHUP)
        wait_for("the log", lambda: "[peer beta] is gone" in alpha.log_text(), 10, 0.02)
        with self.assertRaisesRegex(ApiError, "knows no host called beta"):
            alpha.api("GET", "/v1/nics/plan/beta")
        # Its lost path is dialled again, at the addresses of the peer that it had.
        field.link.down(0)
        field.link.up(0)
        field.link.shape(FAST)
        status, errors = move.wait()
        self.assertEqual(status, 0, f"{errors}; {field.logs()}")
        field.moved()
        field.heartbeat()
        self.assertEqual(beta.machine("guest")["state"], "running")
        alpha.settings["peer beta"] = peer
        alpha.write_settings()
        os.kill(alpha.pid, signal.SIGHUP)
        wait_for("the peer", lambda: any(p["name"] == "beta" for p in
                                         alpha.api("GET", "/v1/host")["peers"]), 10, 0.02)
        field.move_once_more()


if __name__ == "__main__":
    unittest.main()
