# SPDX-License-Identifier: MIT
"""Hosts that get to know each other by `drover trust`."""
import json
import os
import subprocess
import time
import unittest

from lab import Lab, machine, needs
from lab.core import wait_for
from lab.field import Move
from lab.host import DROVERD, PROGRAMS, Host
from lab.network import Network, can_tap

TIME_LIMIT = 240
PARALLEL = True
BAR = 30  # seconds for four commands
EXTENSIONS = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"


@needs(*PROGRAMS)
class Case(unittest.TestCase):
    """Hosts that nobody has told anything but their names."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = (self.host(name, name) for name in ("alpha", "beta"))

    def host(self, name, namespace, port=6600):
        return Host(self.lab, name, self.network[namespace], self.network.addresses(namespace),
                    port=port, settings={"host": {"trust-directory": self.lab.path(f"{name}-trust")}})

    def beside_beta(self, name, port=6601):
        """One more host, started."""
        return self.host(name, "beta", port).start()

    def start(self):
        for host in (self.alpha, self.beta):
            host.start()

    def trust(self, host, name):
        return self.lab.path(f"{host.name}-trust", name)

    def token(self, host=None, *words):
        return (host or self.alpha).drover("trust", "invite", "--json", *words).json["token"]

    def join(self, host, token=None, check=True, to=None):
        to = to or self.alpha
        return host.drover("trust", "join", to.addresses[0], token or self.token(to),
                           *(["--port", to.port] if to.port != 6600 else []), check=check)

    def paired(self):
        self.start()
        self.alpha.drover("trust", "init")
        self.join(self.beta)

    def guest(self, host, *arguments, memory="16M", more=""):
        host.define(machine.definition("web", *arguments, memory=memory) + more)
        host.drover("vm", "start", "web")

    def wait_log(self, host, text, timeout=10):
        wait_for(f"{text!r} in the log of {host.name}", lambda: text in host.log_text(), timeout)

    def knows(self, host, name):
        return name in [p["name"] for p in host.api("GET", "/v1/host")["peers"]]

    def wait_known(self, *names):
        for host in names:
            for other in names:
                if host is not other:
                    wait_for(f"{host.name} knows {other.name}",
                             lambda h=host, o=other: self.knows(h, o.name), 15)


class Joining(Case):
    def test_four_commands_and_no_file_edited(self):
        disk, nics = self.lab.path("web.raw"), {"br0"} if can_tap() else set()
        subprocess.run(["truncate", "-s", "8M", disk], check=True)
        for host in (self.alpha, self.beta):
            host.namespace.bridge("br0")
        self.start()
        self.guest(self.alpha, *machine.boot_sector_arguments(self.lab),
                   "-drive", f"if=none,id=d,format=raw,file={disk}",
                   "-device", "virtio-blk-pci,drive=d",
                   more="".join(f"nic lan = bridge={name}\n" for name in nics))
        begin = time.monotonic()
        self.alpha.drover("trust", "init")
        said = self.alpha.drover("trust", "invite").stdout.split("\n")
        self.assertEqual(said[4].strip(), f"drover trust join {self.alpha.addresses[0]} {said[0]}")
        self.beta.drover(*said[4].split()[1:])
        self.alpha.drover("move", "web", "beta")
        self.assertLess(time.monotonic() - begin, BAR)
        self.assertEqual(self.beta.machine("web")["state"], "running")
        self.assertEqual((set(self.alpha.namespace.taps()), set(self.beta.namespace.taps())),
                         (set(), nics))
        report = self.alpha.newest_job(kind="move")["report"]
        self.assertEqual({c["transport"] for p in report["paths"] for c in p["channels"]}, {"tls"})
        self.beta.drover("move", "web", "alpha")
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        for host, names in ((self.alpha, ("host.key", "authority.key", "authority.json")),
                            (self.beta, ("host.key", "members.json"))):
            for name in names:
                self.assertEqual(os.stat(self.trust(host, name)).st_mode & 0o777, 0o600, name)
        self.assertFalse(os.path.exists(self.trust(self.beta, "authority.key")))

    def test_both_know_each_other_also_after_a_restart(self):
        self.paired()
        for host in (self.alpha, self.beta):
            host.restart()
        listed = self.beta.drover("trust", "list", "--json").json
        self.assertEqual([(m["name"], m["has_authority_key"], m["addresses"]) for m in listed],
                         [("alpha", True, self.alpha.addresses), ("beta", False, self.beta.addresses)])
        self.assertTrue(self.knows(self.alpha, "beta") and self.knows(self.beta, "alpha"))
        shown = [host.drover("trust", "show", "--json").json for host in (self.alpha, self.beta)]
        self.assertEqual([s["authority_sha256"] for s in shown], [shown[0]["authority_sha256"]] * 2)
        self.assertEqual([s["has_authority_key"] for s in shown], [True, False])
        self.assertIn("drover-ca-alpha", self.beta.drover("trust", "show").stdout)
        self.beta.drover("nic", "plan", "alpha")

    def test_a_section_of_before_is_encrypted_from_then_on(self):
        """Where its host is invited by its name: a token for any host is none for it."""
        self.alpha.peer(self.beta)
        self.beta.peer(self.alpha)
        self.start()
        self.alpha.drover("trust", "init")
        answer = self.join(self.beta, check=False)
        self.assertEqual(answer.status, 8)
        self.assertIn("host alpha has a [peer beta] already: if that host is to join, run 'drover "
                      "trust invite --for beta' there", answer.stderr)
        for host in (self.alpha, self.beta):
            self.assertEqual([p["tls"] for p in host.api("GET", "/v1/host")["peers"]], [False])
        self.join(self.beta, self.token(self.alpha, "--for", "beta"))
        for host in (self.alpha, self.beta):
            self.assertEqual([p["tls"] for p in host.api("GET", "/v1/host")["peers"]], [True])

    def test_a_host_joins_once(self):
        self.paired()
        for command in (("init",), ("join", self.alpha.addresses[0], self.token())):
            answer = self.beta.drover("trust", *command, check=False)
            self.assertEqual(answer.status, 8)
            self.assertIn("host beta has a certificate already", answer.stderr)
        answer = self.beta.drover("trust", "invite", check=False)
        self.assertEqual(answer.status, 6)
        self.assertIn("the CA's key is not on host beta: host alpha has it", answer.stderr)


class Refused(Case):
    def setUp(self):
        super().setUp()
        self.paired()
        self.gamma = self.beside_beta("gamma")

    def refused(self, token, *texts, status=8, log=True):
        """By the command, in both logs, and nobody has joined."""
        answer = self.join(self.gamma, token, check=False)
        self.assertEqual(answer.status, status, answer.stderr)
        for text in texts:
            self.assertIn(text, answer.stderr)
        if log:
            self.wait_log(self.alpha, texts[-1])
        if status == 8:
            self.wait_log(self.gamma, f"trust: joining {self.alpha.addresses[0]}: ")
        self.assertFalse(self.gamma.drover("trust", "show", "--json").json["joined"])
        self.assertEqual(len(self.alpha.drover("trust", "list", "--json").json), 2)

    def notes(self, change):
        """What alpha has noted of its invitations, changed while nobody looks."""
        path = self.trust(self.alpha, "authority.json")
        with open(path, encoding="utf-8") as f:
            notes = json.load(f)
        change(notes)
        with open(path, "w", encoding="utf-8") as f:
            json.dump(notes, f)

    def test_a_token_that_was_used_also_after_a_restart(self):
        token = self.token()
        delta = self.beside_beta("delta", 6602)
        self.join(delta, token)
        delta.stop()
        self.alpha.restart()
        answer = self.join(self.gamma, token, check=False)
        self.assertEqual(answer.status, 8)
        self.assertIn("host alpha says: the token of host gamma was used by host delta at",
                      answer.stderr)
        self.wait_log(self.alpha, "the token of host gamma was used by host delta at")

    def test_a_token_that_has_expired(self):
        token = self.token()

        def expire(notes):
            for one in notes["invitations"]:
                one["until"] -= 16 * 60
        self.notes(expire)
        self.refused(token, "host alpha says: ", "the token of host gamma expired at")

    def test_a_token_that_is_none(self):
        self.refused("drover1-nonsense", "this is not a whole token", status=2, log=False)

    def test_a_token_of_another_ca(self):
        token = self.token()
        other = token[:-1] + ("A" if token[-1] != "A" else "B")
        self.refused(other, "is host alpha, and not the host that the token is of", log=False)
        self.wait_log(self.alpha, "does not accept this host's certificate")

    def test_wrong_secrets_close_all_invitations(self):
        token = self.token()
        wrong = token[:8] + ("A" if token[8] != "A" else "B") + token[9:]
        self.refused(wrong, "the token of host gamma is not one of this host's")
        for _ in range(15):
            self.join(self.gamma, wrong, check=False)
        self.wait_log(self.alpha, "all invitations are closed, make a new one")
        self.refused(token, "host alpha has no invitation open: run 'drover trust invite' there",
                     log=False)
        self.wait_log(self.alpha, "has shown no certificate")
        self.join(self.gamma)
        self.wait_known(self.alpha, self.beta, self.gamma)

    def test_nobody_has_invited(self):
        token = self.token()
        self.notes(lambda notes: notes.update(invitations=[]))
        self.refused(token, "host alpha has no invitation open: run 'drover trust invite' there",
                     log=False)

    def test_the_name_of_another_host(self):
        self.gamma.stop()
        self.gamma.settings["host"]["name"] = "beta"
        self.gamma.start()
        self.refused(self.token(), "there is a host beta already")

    def test_a_token_for_another_host(self):
        self.refused(self.token(self.alpha, "--for", "delta"),
                     "the token of host gamma is for host delta: ask for another one")
        answer = self.alpha.drover("trust", "invite", "--for", "../x", check=False)
        self.assertEqual(answer.status, 2, answer)

    def test_nobody_is_there(self):
        answer = self.gamma.drover("trust", "join", self.alpha.addresses[0], self.token(),
                                   "--port", 6699, check=False)
        self.assertEqual(answer.status, 1)
        self.assertIn("refused", answer.stderr)


class Members(Case):
    def setUp(self):
        super().setUp()
        self.paired()

    def issue(self, host, days, serial=500):
        """A certificate of the same CA that ends sooner, by openssl."""
        made, asked, extensions = (self.lab.path(x) for x in ("made.pem", "asked", "extensions"))
        with open(extensions, "w", encoding="utf-8") as f:
            f.write(EXTENSIONS)
        for words in (["req", "-new", "-key", self.trust(host, "host.key"), "-subj",
                       f"/CN={host.name}", "-out", asked],
                      ["x509", "-req", "-in", asked, "-CA", self.trust(self.alpha, "authority.pem"),
                       "-CAkey", self.trust(self.alpha, "authority.key"), "-days", str(days),
                       "-set_serial", str(serial), "-extfile", extensions, "-out", made]):
            subprocess.run(["openssl", *words], check=True, capture_output=True)
        os.replace(made, self.trust(host, "host.pem"))

    def days(self, host):
        until = host.drover("trust", "show", "--json").json["until"]
        return (until - time.time()) / 86400

    def test_a_third_host_is_known_to_all(self):
        gamma = self.beside_beta("gamma")
        self.join(gamma)
        self.wait_known(self.alpha, self.beta, gamma)
        gamma.drover("nic", "plan", "alpha")
        with open(os.path.join(self.beta.dir, "drover.d", "peer-gamma.conf"), encoding="utf-8") as f:
            self.assertIn(f"[peer gamma]\naddress = {gamma.addresses[0]}\n", f.read())

    def test_a_section_for_another_host_of_that_name_is_named(self):
        """The CA's host knows none, this one does: the name is the CA's to give."""
        gamma = self.beside_beta("gamma")
        self.beta.stop()
        self.beta.peer(gamma, tls="on")
        self.beta.start()
        self.join(gamma)
        self.wait_log(self.beta, "trust: host gamma is one of this CA now, and has the [peer gamma] "
                      "that was here already: see what that allows", 15)

    def test_who_was_away_hears_of_it_later(self):
        self.beta.stop()
        gamma = self.beside_beta("gamma")
        self.join(gamma)
        self.beta.start()
        self.wait_known(self.alpha, self.beta, gamma)

    def test_a_host_that_was_removed_is_refused(self):
        self.guest(self.alpha, *machine.stress_arguments(fill="60M", hot="8M", rate="1M"),
                   memory="96M")
        for link in self.network.links:
            link.shape("20mbit")
        move = Move(self.alpha, self.alpha.drover_argv("move", "web", "beta", "--mode", "tcp"))
        wait_for("pages travel", lambda: any(j["progress"]["bytes_sent"] > 2**18
                                             for j in self.alpha.api("GET", "/v1/jobs")), 20)
        self.alpha.drover("trust", "remove", "beta")
        status, errors = move.wait(15)
        self.assertNotEqual(status, 0)
        self.assertIn("host beta was removed at ", errors)
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        self.assertFalse(self.knows(self.alpha, "beta"))
        answer = self.beta.drover("nic", "plan", "alpha", check=False)
        self.assertIn("host beta was removed at ", answer.stderr)
        self.wait_log(self.alpha, "host beta was removed at ")
        # It may come back, by another key.
        self.beta.stop()
        os.rename(self.trust(self.beta, "host.pem"), self.trust(self.beta, "before.pem"))
        self.beta.start()
        self.join(self.beta)
        self.alpha.drover("nic", "plan", "beta")

    def test_only_the_cas_host_removes_and_not_itself(self):
        for host, name, text in ((self.beta, "alpha", "host alpha has it"),
                                 (self.alpha, "alpha", "cannot remove itself")):
            answer = host.drover("trust", "remove", name, check=False)
            self.assertIn(answer.status, (6, 8))
            self.assertIn(text, answer.stderr)
        self.assertEqual(self.alpha.drover("trust", "remove", "nobody", check=False).status, 6)

    def test_a_removed_host_is_not_dialled_in_plain_text(self):
        """By a section that was written before it was a member."""
        self.alpha.drover("trust", "remove", "beta")
        self.alpha.stop()
        self.alpha.peer(self.beta)
        self.alpha.start()
        answer = self.alpha.drover("nic", "plan", "beta", check=False)
        self.assertEqual(answer.status, 8)
        self.assertIn("host beta was removed at ", answer.stderr)
        self.assertEqual(self.beta.log_text().count("plain text"), 0)
        listed = self.alpha.drover("trust", "list", "--json").json
        self.assertTrue([m["removed"] and m["peer"] for m in listed if m["name"] == "beta"][0])
        checked = subprocess.run([DROVERD, "--check", "-c", self.alpha.config],
                                 capture_output=True, text=True, check=False)
        self.assertNotEqual(checked.returncode, 0)
        self.assertRegex(checked.stdout + checked.stderr,
                         r"drover\.conf:\d+: peer beta: host beta was removed at .*, or remove its "
                         "section")

    def lose_list(self, host):
        host.stop()
        os.unlink(self.trust(host, "members.json"))
        host.start()

    def wait_listed(self, host):
        wait_for(f"a list on {host.name}", lambda: len(
            host.drover("trust", "list", "--json").json) == 2, 15)

    def test_a_list_that_was_lost_is_asked_for(self):
        self.lose_list(self.beta)
        self.wait_listed(self.beta)
        # Nor does the CA's host give out a name without.
        self.beta.stop()
        self.lose_list(self.alpha)
        self.wait_log(self.alpha, "trust: this host has no list of the CA's hosts, and no peer", 20)
        answer = self.alpha.drover("trust", "invite", check=False)
        self.assertEqual(answer.status, 8)
        self.assertIn("host alpha has the CA's key, and lost the list of its hosts", answer.stderr)
        self.assertTrue(self.alpha.drover("trust", "show", "--json").json["has_authority_key"])
        # Any member has it.
        self.beta.start()
        self.wait_listed(self.alpha)
        self.token()

    def test_a_peer_asks_for_so_many_certificates_and_no_more(self):
        answers = [self.beta.drover("trust", "renew", check=False) for _ in range(11)]
        self.assertEqual([a.status for a in answers], [0] * 10 + [8], answers[-1])
        self.assertIn("host beta asks for 'renew' too often: it may again in ", answers[-1].stderr)
        self.beta.drover("nic", "plan", "alpha")

    def test_who_imports_the_ca_hears_of_removals_from_the_others(self):
        key = self.lab.path("key")
        self.alpha.drover("trust", "export", key, "--keep")
        gamma, delta = self.beside_beta("gamma"), self.beside_beta("delta", 6602)
        for host in (gamma, delta):
            self.join(host)
        self.wait_known(self.beta, gamma, delta)
        self.beta.stop()
        self.alpha.drover("trust", "remove", "delta")
        wait_for("gamma knows that", lambda: not self.knows(gamma, "delta"), 15)
        version = gamma.drover("trust", "show", "--json").json["list_version"]
        self.alpha.kill9()
        # gamma, too, is away until the new list has been signed.
        gamma.stop()
        self.beta.start()
        shown = self.beta.drover("trust", "import", key, "--json").json
        self.assertGreater(shown["list_version"], version)
        self.assertTrue(self.knows(self.beta, "delta"))
        gamma.start()
        wait_for("beta knows that", lambda: not self.knows(self.beta, "delta"), 20)
        answer = delta.drover("nic", "plan", "beta", check=False)
        self.assertIn("host delta was removed at ", answer.stderr)
        self.assertFalse(self.knows(gamma, "delta"))

    def test_a_certificate_is_renewed_by_itself_a_month_before_its_end(self):
        self.issue(self.beta, 29)
        self.beta.restart()
        self.wait_log(self.beta, "trust: this host has a new certificate, until ")
        self.assertGreater(self.days(self.beta), 700)
        self.beta.drover("nic", "plan", "alpha")

    def test_the_cas_own_certificate_is_renewed_without_a_restart(self):
        self.issue(self.alpha, 3)
        self.assertLess(self.days(self.alpha), 4)
        self.alpha.drover("trust", "renew")
        self.assertGreater(self.days(self.alpha), 700)
        self.beta.drover("nic", "plan", "alpha")

    def test_a_cas_host_that_is_silent_is_missed_two_months_ahead(self):
        self.alpha.stop()
        self.issue(self.beta, 59)
        self.beta.restart()
        self.wait_log(self.beta, "host alpha, which has the CA's key, is not heard: ", 20)
        self.assertLess(self.days(self.beta), 60)

    def test_the_ca_moves(self):
        key = self.lab.path("key")
        self.alpha.drover("trust", "export", key)
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        self.assertFalse(os.path.exists(self.trust(self.alpha, "authority.key")))
        self.beta.drover("trust", "import", key)
        wait_for("alpha knows who has the key", lambda: self.alpha.drover(
            "trust", "show", "--json").json["authority_host"] == "beta", 10)
        gamma = self.beside_beta("gamma")
        self.join(gamma, to=self.beta)
        self.wait_known(self.alpha, self.beta, gamma)
        self.assertEqual(self.alpha.drover("trust", "renew", "--json").json["has_authority_key"],
                         False)
        answer = self.alpha.drover("trust", "invite", check=False)
        self.assertIn("host beta has it", answer.stderr)


if __name__ == "__main__":
    unittest.main()
