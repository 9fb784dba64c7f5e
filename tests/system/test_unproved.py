# SPDX-License-Identifier: MIT
"""Connections that prove nothing, or something else than they say.

Who comes here speaks from the address of a peer.  Each is refused before a byte
of a session, with one sentence in the log, while a session of a real peer goes on.
"""
import contextlib
import ssl
import time
import unittest

from lab import Lab, needs
from lab import machine
from lab.authority import FUTURE, PAST, Authority
from lab.core import status, wait_for
from lab.crowd import Crowd
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.wire import ACCEPT, JOIN, OPEN, REFUSE, Peer, hello

TIME_LIMIT = 120
PARALLEL = True
LORIS = 2000
# Of stacks and of malloc's arenas that stay.
RESIDENT_LIMIT = 24 << 20


class Secure(Peer):
    """One connection over TLS, with the certificate in a folder."""

    def __init__(self, suite, folder, first=None, version=ssl.TLSVersion.TLSv1_3):
        super().__init__(suite)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        if folder:
            context.load_cert_chain(f"{folder}/host.pem", f"{folder}/host.key")
        self.socket = context.wrap_socket(self.socket)
        suite.addCleanup(self.socket.close)
        if first:
            self.send(first)


@needs(*PROGRAMS)
class Unproved(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"))
        self.attacker = self.network["alpha"]
        self.target = self.network.addresses("beta")[0]
        self.authority = Authority(self.lab.path("ca"))
        self.hosts = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name),
                 settings={"host": {"trust-directory": self.enrol(name)}})
            for name in ("alpha", "beta")))
        self.alpha, self.beta = self.hosts
        for host in self.hosts:
            del host.settings[f"peer {'beta' if host is self.alpha else 'alpha'}"]["tls"]
        self.beta.settings["peer gamma"] = {"address": "10.200.1.1"}
        for host in self.hosts:
            host.start()

    def enrol(self, name, *, folder=None, authority=None, **when):
        return (authority or self.authority).enrol(self.lab.path(f"{folder or name}-trust"), name,
                                                   **when)

    @contextlib.contextmanager
    def one_sentence(self, pattern):
        """Of beta's log, about who came; and nothing else about it."""
        before = len(self.beta.log_text())
        yield
        said = []

        def heard():
            said[:] = [line for line in self.beta.log_text()[before:].splitlines()
                       if "peer connection" in line]
            return said
        wait_for("a sentence about the connection", heard, 8)
        time.sleep(0.1)
        self.assertEqual(len(heard()), 1, said)
        self.assertRegex(said[0], pattern)

    def nothing(self, folder, **more):
        """What is sent is not answered: the connection ends."""
        with contextlib.suppress(OSError, ssl.SSLError):
            peer = Secure(self, folder, hello(OPEN), **more)
            self.assertEqual(peer.socket.recv(1), b"")

    def refused(self, peer):
        kind, text = peer.answer()
        self.assertEqual(kind, REFUSE, text)
        return text

    def test_who_has_no_certificate_of_the_ca_that_is_valid_now(self):
        other = Authority(self.lab.path("other"))
        for folder, pattern in (
                (None, r"10\.\S+ has shown no certificate"),
                (self.enrol("alpha", folder="unknown", authority=other),
                 "certificate of host alpha is not of a CA that this host knows"),
                (self.enrol("alpha", folder="past", when=PAST),
                 "certificate of host alpha expired at 2021-01-01 00:00 UTC: renew it"),
                (self.enrol("alpha", folder="future", when=FUTURE),
                 "certificate of host alpha is not valid before 2090-01-01 00:00 UTC: compare")):
            with self.subTest(folder=folder), self.one_sentence(pattern):
                self.nothing(folder)

    def test_who_speaks_another_language(self):
        for first, pattern in (
                (hello(OPEN), "takes nothing in plain text from host alpha"),
                (b"GET / HTTP/1.1\r\nHost: beta\r\n\r\n" + bytes(100), "10\\.\\S+"),
                (b"\x16" + bytes(range(200)), "10\\.\\S+.*TLS"),
                (b"\x16\x03\x01\xff\xff" + b"\1" * 70000, "10\\.\\S+.*TLS")):
            with self.subTest(first=first[:5]), self.one_sentence(pattern):
                peer = Peer(self, first)
                with contextlib.suppress(OSError):
                    while peer.socket.recv(4096):
                        pass
        with self.one_sentence("does not speak TLS 1.3"):
            self.nothing(self.lab.path("alpha-trust"), version=ssl.TLSVersion.TLSv1_2)

    def test_who_is_not_who_he_says(self):
        gamma, delta = self.enrol("gamma"), self.enrol("delta")
        with self.one_sentence("host gamma, as its certificate says, calls itself alpha"):
            self.refused(Secure(self, gamma, hello(OPEN)))
        with self.one_sentence("delta"):
            self.refused(Secure(self, delta, hello(OPEN, b"delta")))
        # The right secret of a session, by a peer who did not open it.
        alpha = Secure(self, self.lab.path("alpha-trust"), hello(OPEN))
        self.assertEqual(alpha.answer()[0], ACCEPT)
        alpha.stay()
        for text in (b"alpha", b"gamma", b""):
            with self.one_sentence("gamma|this session"):
                self.refused(Secure(self, gamma, hello(
                    JOIN, text, session=alpha.session, secret=alpha.secret)))
        joined = Secure(self, self.lab.path("alpha-trust"), hello(
            JOIN, b"alpha", session=alpha.session, secret=alpha.secret[:16] + bytes(16)))
        self.assertEqual(joined.answer()[0], ACCEPT)
        # Recorded bytes of a connection are no bytes of another one.
        with self.one_sentence("10\\.\\S+.*TLS"):
            self.replayed()

    def replayed(self):
        """A whole connection as it was sent, once more."""
        sent = []
        inner, outer = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(*(f"{self.lab.path('alpha-trust')}/host.{x}"
                                  for x in ("pem", "key")))
        tls = context.wrap_bio(inner, outer)
        peer = Peer(self)

        def step(function, *words):
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    result = function(*words)
                    sent.append(outer.read())
                    peer.send(sent[-1])
                    return result
                sent.append(outer.read())
                peer.send(sent[-1])
                inner.write(peer.socket.recv(65536))
        step(tls.do_handshake)
        step(tls.write, hello(OPEN))
        self.assertEqual(step(tls.read, 8), b"DROVER\r\n")
        again = Peer(self, b"".join(sent))
        with contextlib.suppress(OSError):
            while again.socket.recv(4096):
                pass

    def there_and_back(self):
        self.alpha.drover("move", "web", "beta")
        self.beta.drover("move", "web", "alpha")

    def resident(self):
        return int(status(self.beta.pid)["VmRSS"].split()[0]) << 10

    def test_a_crowd_that_says_a_byte_at_a_time_keeps_no_peer_out(self):
        self.alpha.define(machine.definition("web", *machine.boot_sector_arguments(self.lab),
                                             memory="64M"))
        self.alpha.drover("vm", "start", "web")
        self.there_and_back()
        before, files = self.resident(), self.beta.descriptors()
        with Crowd(self.attacker, (self.target, 6600), LORIS, others=20):
            self.there_and_back()
        wait_for("the connections to be over", lambda: self.beta.descriptors() <= files, 20)
        self.assertLess(self.resident() - before, RESIDENT_LIMIT)
        self.assertEqual(self.beta.log_text().count("more connections come than are greeted"), 1)


if __name__ == "__main__":
    unittest.main()
