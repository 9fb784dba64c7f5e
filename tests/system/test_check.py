# SPDX-License-Identifier: MIT
"""droverd --check: what is wrong with a configuration is said, and nothing else happens."""
import os
import shutil
import subprocess
import unittest

from lab import Lab, needs
from lab.authority import Authority
from lab.host import DROVERD, PROGRAMS, Answer, Host
from lab.network import Network

TIME_LIMIT = 120
PARALLEL = True

GOOD, UNKNOWN, MISSING, WRONG = 0, 2, 6, 8


@needs(*PROGRAMS)
class Case(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"), links=1)
        self.host, self.other = (
            Host(self.lab, name, self.network[name], self.network.addresses(name), settings={
                "host": {"trust-directory": self.lab.path(f"{name}-trust"), "group": "users",
                         "read-group": "games", "qemu-user": "nobody"}})
            for name in ("alpha", "beta"))

    def check(self, *wrap):
        self.host.write_settings()
        done = self.lab.run([*wrap, DROVERD, "-c", self.host.config, "--check"],
                            namespace=self.host.namespace, check=False)
        return Answer(done.returncode, done.stdout, done.stderr)

    def says(self, status, *lines, wrap=()):
        """Exactly these, each a part of one, and this status."""
        found = self.check(*wrap)
        said = found.stdout.splitlines()
        if status == GOOD:
            self.assertEqual(said.pop(), f"{self.host.config}: the configuration is good")
        self.assertEqual((found.status, found.stderr), (status, ""), found.stdout)
        for line in lines:
            self.assertEqual(len([s for s in said if line in s]), 1, (line, said))
        self.assertEqual(len(said), len(lines), said)


class Keys(Case):
    def test_a_good_one(self):
        before = sorted(os.listdir(self.lab.dir))
        self.says(GOOD)
        self.assertEqual(sorted(os.listdir(self.lab.dir)), before)
        self.assertEqual(os.listdir(self.host.state), [])

    def test_keys_and_sections_that_are_not_known(self):
        self.host.settings["host"]["prot"] = 7000
        self.host.settings["queue"] = {"length": 3}
        self.says(UNKNOWN, "[host] has no key 'prot'; did you mean 'port'?",
                  "there is no section [queue]")

    def test_a_file_in_the_folder_beside_it(self):
        folder = self.host.config.replace(".conf", ".d")
        os.mkdir(folder)
        path = os.path.join(folder, "10-more.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write("[move]\nspeed = 9\n")
        self.says(UNKNOWN, f"unknown: {path}:2:1: [move] has no key 'speed'")

    def test_a_value_that_makes_no_sense(self):
        self.host.settings["host"]["port"] = "many"
        found = self.check()
        self.assertEqual(found.status, UNKNOWN)
        self.assertRegex(found.stderr, rf"\Adroverd: {self.host.config}:\d+:\d+: .*\n\Z")

    def test_a_name_of_before(self):
        self.host.settings["move"] = {"option": "auto"}
        self.says(GOOD, "the key 'option' of [move] is called 'mode' now")

    def test_a_file_that_is_not_there(self):
        done = subprocess.run([DROVERD, "-c", "/nonexistent/drover.conf", "--check"],
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, MISSING)
        self.assertIn("/nonexistent/drover.conf: No such file", done.stderr)


class Here(Case):
    def test_addresses_that_no_card_has(self):
        self.host.settings["host"]["listen"] = [*self.host.addresses, "192.0.2.9", "fd00::9"]
        self.says(WRONG, "listen = 192.0.2.9: no card of this host has that address",
                  "listen = fd00::9: no card of this host has that address")
        self.host.settings["host"]["listen"] = ["0.0.0.0", "::"]
        self.says(GOOD)

    def test_networks_that_no_card_is_on(self):
        self.host.settings["host"]["networks"] = "10.77.0.0/16, eth77"
        self.says(GOOD, "note: networks: this host has no card eth77")
        self.host.settings["host"]["networks"] = "10.99.0.0/16"
        self.says(WRONG, "with an address in 10.99.0.0/16", "a card on none of them")

    def test_folders_that_cannot_be_written(self):
        self.says(WRONG, f"droverd cannot write into the folder {self.host.state}: Read-only",
                  wrap=("unshare", "--mount", "--propagation", "private", "sh", "-c",
                        'mount -t tmpfs -o ro none "$0" && exec "$@"', self.host.state))
        self.host.settings["host"]["run-directory"] = self.lab.path("no", "such")
        self.says(WRONG, f"cannot write into the folder {self.lab.path('no')}: No such file")

    def test_programs_and_groups_that_are_not_there(self):
        self.host.settings["host"].update({"qemu": "/opt/none/qemu", "allow-qemu": "/opt/none/q",
                                           "group": "no-such-group"})
        self.says(WRONG, " qemu = /opt/none/qemu: No such file", "allow-qemu = /opt/none/q: No",
                  "group = no-such-group: there is no such group")


    def test_qemus_that_run_as_root_or_as_nobody_there_is(self):
        for user in ("root", None):
            self.host.settings["host"]["qemu-user"] = user
            if not user:
                del self.host.settings["host"]["qemu-user"]
            self.says(GOOD, "QEMUs run as root: a guest that breaks out of one is root here")
        self.host.settings["host"]["qemu-user"] = "no-such-user"
        self.says(WRONG, "qemu-user = no-such-user: there is no such user")


class Certificates(Case):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.lab.path("ca"), days=90)
        self.folder = self.enrol(self.host)

    def enrol(self, host, name=None, authority=None, days=60):
        folder = self.lab.path(f"{host.name}-trust")
        return (authority or self.authority).enrol(folder, name or host.name, days=days)

    def sign(self, begin, end):
        """A certificate of other dates."""
        self.authority.enrol(self.folder, self.host.name,
                             when=("-startdate", begin, "-enddate", end))

    def test_a_good_one(self):
        self.says(GOOD)

    def test_one_that_ends_soon(self):
        self.enrol(self.host, days=7)
        self.says(GOOD, "host.pem ends soon, on 20")

    def test_one_that_has_ended_and_one_that_has_not_begun(self):
        self.sign("20200101000000Z", "20210203000000Z")
        self.says(WRONG, "host.pem has ended on 2021-02-03")
        self.sign("20900101000000Z", "20910101000000Z")
        self.says(WRONG, "host.pem is valid from 2090-01-01 on only")

    def test_one_of_another_host(self):
        self.enrol(self.host, name="gamma")
        self.says(WRONG, "host.pem is of host gamma, and this host is called alpha")

    def test_a_key_that_does_not_fit_and_one_that_others_may_read(self):
        os.chmod(os.path.join(self.folder, "host.key"), 0o640)
        self.says(WRONG, "host.key is this host's secret, and others may read it")
        self.enrol(self.other)
        shutil.copy(self.lab.path("beta-trust", "host.key"), self.folder)
        self.says(WRONG, f"{self.folder}: ")

    def test_none_where_peers_are_to_prove_themselves(self):
        shutil.rmtree(self.folder)
        self.says(GOOD)
        self.host.peer(self.other, tls="on")
        self.says(WRONG, "host alpha has no certificate")

    def test_a_peer_that_is_another_host(self):
        self.enrol(self.other)
        self.other.start()
        self.host.peer(self.other, tls="on")
        self.says(GOOD)
        self.host.settings["peer gamma"] = self.host.settings.pop("peer beta")
        self.says(WRONG, f"peer gamma: at {self.other.addresses[0]} is host beta")

    def test_a_peer_of_another_ca(self):
        self.enrol(self.other, authority=Authority(self.lab.path("others"), days=90))
        self.other.start()
        self.host.peer(self.other, tls="on")
        self.says(WRONG, "peer beta: 10.77.1.2:6600: the certificate of host beta is not of a CA that this host")

    def test_a_peer_that_cannot_be_asked_is_no_mistake(self):
        self.host.peer(self.other, tls="on")
        self.says(GOOD, "peer beta: its certificate was not looked at: ")
        self.host.peer(self.other)
        self.says(GOOD, "peer beta: tls = off")


if __name__ == "__main__":
    unittest.main()
