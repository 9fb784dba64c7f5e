# SPDX-License-Identifier: MIT
"""Hosts that know each other by certificates of somebody's own CA."""
import itertools
import threading
import unittest

from lab import Lab, machine, needs, slow
from lab.authority import Authority, trust
from lab.core import wait_for
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.pair import Pair

TIME_LIMIT = 120
PARALLEL = True


@needs(*PROGRAMS)
class Trusted(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name),
                 settings={"host": {"trust-directory": self.lab.path(f"{name}-trust")}})
            for name in ("alpha", "beta")), tls="on")
        self.authority = Authority(self.lab.path("ca"))

    def enrol(self, host, name=None, authority=None, **more):
        (authority or self.authority).enrol(self.lab.path(f"{host.name}-trust"),
                                            name or host.name, **more)

    def start(self):
        for host in (self.alpha, self.beta):
            host.start()
        self.alpha.define(machine.definition("web", *machine.boot_sector_arguments(self.lab),
                                             memory="16M"))
        self.alpha.drover("vm", "start", "web")

    def refused(self, *here, there=None):
        answer = self.alpha.drover("move", "web", "beta", check=False)
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        self.assertEqual(self.beta.api("GET", "/v1/machines"), [])
        self.assertNotEqual(answer.status, 0)
        for text in here:
            self.assertIn(text, answer.stderr)
        if there:
            wait_for(f"{there!r} in the log of beta", lambda: there in self.beta.log_text(), 5)

    def test_a_move_is_encrypted_where_nothing_is_said(self):
        for host in (self.alpha, self.beta):
            self.enrol(host)
            del host.settings[f"peer {'beta' if host is self.alpha else 'alpha'}"]["tls"]
        self.start()
        self.alpha.drover("move", "web", "beta")
        self.assertEqual(self.beta.machine("web")["state"], "running")
        channels = [c for p in self.alpha.newest_job(kind="move")["report"]["paths"]
                    for c in p["channels"]]
        self.assertEqual({c["transport"] for c in channels}, {"tls"})
        self.beta.drover("move", "web", "alpha")
        self.assertEqual(self.alpha.machine("web")["state"], "running")

    def test_a_host_without_a_certificate_is_told_how_to_get_one(self):
        self.enrol(self.beta)
        self.start()
        self.refused("host alpha has no certificate: run 'drover trust init' or 'join', or put "
                     "authority.pem, host.pem and host.key into")

    def test_a_certificate_of_another_ca_is_refused(self):
        self.enrol(self.beta)
        self.enrol(self.alpha, authority=Authority(self.lab.path("other")))
        self.start()
        self.refused("the certificate of host beta is not of a CA that this host knows")

    def test_another_hosts_name_is_refused(self):
        self.enrol(self.beta)
        self.enrol(self.alpha, name="gamma")
        self.start()
        self.refused("host gamma, as its certificate says, calls itself alpha")

    def test_plain_text_is_refused_by_who_expects_tls(self):
        for host in (self.alpha, self.beta):
            self.enrol(host)
        self.alpha.settings["peer beta"]["tls"] = "off"
        self.start()
        self.refused("its log says what is wrong with alpha",
                     there="takes nothing in plain text from host alpha")

    def test_tls_is_refused_by_who_expects_plain_text(self):
        for host in (self.alpha, self.beta):
            self.enrol(host)
        self.beta.settings["peer alpha"]["tls"] = "off"
        self.start()
        self.refused("speaks no TLS with host alpha")


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Keys(unittest.TestCase):
    def move(self, memory):
        """Keys change each 64 MiB of a channel, and channels come and go."""
        lab = Lab()
        self.addCleanup(lab.close)
        pair = Pair(lab, memory=f"{memory}M",
                    guest=machine.stress_arguments(fill=f"{memory * 3 // 4}M"))
        trust(lab, (pair.alpha, pair.beta))
        pair.start()
        over = threading.Event()

        def hurt():
            for k in itertools.cycle((0, 1)):
                if over.wait(0.9):
                    return
                pair.network.links[k].flap(0.4)
        thread = threading.Thread(target=hurt)
        thread.start()
        try:
            report = pair.move("--paused", "--mode", "multichannel")["report"]
        finally:
            over.set()
            thread.join()
        verdict = pair.judge()
        self.assertTrue(verdict.good, verdict)
        self.assertEqual(verdict.destination[0].missing, 0)
        channels = [c for p in report["paths"] for c in p["channels"]]
        self.assertEqual({c["transport"] for c in channels}, {"tls"})
        self.assertGreater(report["bytes"]["wire"], memory << 19)
        self.assertIn("is back", pair.alpha.log_text())

    def test_keys_change_in_a_move_whose_channels_are_lost_and_joined(self):
        self.move(768)

    @slow
    def test_keys_change_in_a_move_of_two_gib(self):
        self.move(2048)


if __name__ == "__main__":
    unittest.main()
