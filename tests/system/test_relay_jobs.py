# SPDX-License-Identifier: MIT
"""Relays as jobs: how they wait, their sockets, and how they are cancelled.

No QEMU takes part: nobody migrates, and a relay that has both its sides waits.
"""
import os
import pwd
import socket
import struct
import threading
import time
import unittest

from lab import Lab, needs, wait_for
from lab.host import PROGRAMS, ApiError, Host, connect
from lab.network import Network
from test_hostile_peer import ACCEPT, hello

TIME_LIMIT = 180
PARALLEL = True
SILENT_PORT = 6998


@needs(*PROGRAMS)
class RelayJobs(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, rate=None)
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta")))
        self.alpha.settings["peer silent"] = {
            "address": self.beta.addresses[0], "port": SILENT_PORT, "tls": "off"}
        for host in (self.alpha, self.beta):
            host.start()

    def accept(self, name):
        """The id of beta's job."""
        return self.beta.api("POST", "/v1/relays", {
            "role": "accept", "name": name, "qemu": self.lab.path("incoming.sock")})["id"]

    def connect(self, name, listen, host="beta"):
        """The id of alpha's job."""
        return self.alpha.api("POST", "/v1/relays", {
            "role": "connect", "name": name, "host": host, "listen": listen})["id"]

    def cancel(self, host, job):
        host.api("POST", f"/v1/jobs/{job}/cancel")

    def wait_carries(self, host, job):
        wait_for(f"relay of {host.name}", lambda: host.job(job)["stage"] == "relay")

    def relay(self, name, listen):
        """The ids of both jobs, once they carry what would come."""
        there = self.accept(name)
        here = self.connect(name, listen)
        self.wait_carries(self.beta, there)
        self.wait_carries(self.alpha, here)
        return here, there

    def test_a_cancel_ends_no_other_relay_of_its_name(self):
        here, served = self.relay("r1", self.lab.path("first.sock"))
        waits = self.accept("r1")
        self.cancel(self.beta, served)
        self.assertEqual(self.beta.wait_job(served, timeout=20)["state"], "cancelled")
        self.assertEqual(self.alpha.wait_job(here, timeout=20)["state"], "failed")
        job = self.beta.job(waits)
        self.assertEqual((job["state"], job["stage"]), ("running", "wait for the source"))
        self.connect("r1", self.lab.path("second.sock"))
        self.wait_carries(self.beta, waits)

    # -- the socket
    def test_a_socket_that_a_killed_daemon_left_is_replaced(self):
        listen = self.lab.path("migrate.sock")
        self.relay("r1", listen)
        self.alpha.kill9()
        self.alpha.start()
        self.relay("r2", listen)
        with socket.socket(socket.AF_UNIX) as qemu:
            qemu.connect(listen)

    def bound(self, path, kind=socket.SOCK_STREAM):
        made = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(made.close)
        made.bind(path)
        return made

    def refused(self, path):
        def which():
            found = os.lstat(path)
            return found.st_ino, found.st_mode
        before = which()
        with self.assertRaisesRegex(ApiError, f"{path} exists already"):
            self.connect("r1", path)
        self.assertEqual(which(), before)

    def test_a_socket_at_which_somebody_listens_stays(self):
        path = self.lab.path("listening")
        listener = self.bound(path)
        listener.listen()
        listener.settimeout(0)
        self.refused(path)
        # A relay would take a mere question for its QEMU, and end with it.
        with self.assertRaises(BlockingIOError):
            listener.accept()

    def test_a_socket_that_somebody_holds_stays(self):
        for name, kind in (("stream", socket.SOCK_STREAM), ("datagram", socket.SOCK_DGRAM)):
            self.bound(self.lab.path(name), kind)
            self.refused(self.lab.path(name))

    def test_what_is_no_socket_stays(self):
        with open(self.lab.path("file"), "w", encoding="ascii"):
            pass
        os.mkdir(self.lab.path("folder"))
        self.bound(self.lab.path("left")).close()
        os.symlink(self.lab.path("left"), self.lab.path("link"))
        for name in ("file", "folder", "link"):
            self.refused(self.lab.path(name))

    def test_a_socket_that_another_made_since_stays(self):
        listen = self.lab.path("migrate.sock")
        here, _ = self.relay("r1", listen)
        os.unlink(listen)
        self.bound(listen)
        self.cancel(self.alpha, here)
        self.alpha.wait_job(here, timeout=20)
        self.assertTrue(os.path.exists(listen), "somebody else's socket was removed")

    def test_the_socket_is_the_users_that_qemu_runs_as(self):
        listen = self.lab.path("migrate.sock")
        self.accept("r1")
        self.alpha.drover("relay", "connect", "r1", "beta", "--listen", listen, "--socket-user",
                          "nobody", "--socket-mode", "0660", "--background")
        found = wait_for("the socket", lambda: os.path.exists(listen) and os.stat(listen))
        self.assertEqual((found.st_uid, oct(found.st_mode & 0o777)),
                         (pwd.getpwnam("nobody").pw_uid, "0o660"))
        other = self.lab.path("other.sock")
        self.relay("r2", other)
        self.assertEqual(oct(os.stat(other).st_mode & 0o777), "0o600")
        for wrong in ({"socket_mode": "0999"}, {"listen": "tcp:127.0.0.1:6999",
                                                "socket_user": "nobody"}):
            with self.assertRaisesRegex(ApiError, "octal digits|no owner"):
                self.alpha.api("POST", "/v1/relays", {
                    "role": "connect", "name": "r3", "host": "beta",
                    "listen": self.lab.path("r3.sock"), **wrong})

    def test_only_this_host_reaches_a_tcp_port(self):
        for wrong in ("tcp:0.0.0.0:6999", "tcp:10.0.0.1:6999", "tcp:127.0.0.1:0", "tcp:x"):
            with self.assertRaisesRegex(ApiError, "a relay meets QEMU on its own host"):
                self.connect("r1", wrong)

    def test_nobody_can_tell_the_process_at_a_tcp_port(self):
        with self.assertRaisesRegex(ApiError, "nobody can tell whose socket tcp:127.0.0.1:6999"):
            self.beta.api("POST", "/v1/relays", {
                "role": "accept", "name": "r1", "qemu": "tcp:127.0.0.1:6999",
                "pid": self.beta.process.pid})

    # -- a QEMU that is gone
    def test_a_qemu_that_is_gone_before_the_source_came_is_not_waited_for(self):
        qemu = self.bound(self.lab.path("incoming.sock"))
        qemu.listen()
        job = self.accept("r1")
        time.sleep(0.6)
        self.assertEqual(self.beta.job(job)["state"], "running")
        qemu.close()
        job = self.beta.wait_job(job, timeout=5)
        self.assertEqual(job["state"], "failed")
        self.assertRegex(job["error"], "the QEMU at .*incoming.sock is gone")

    def test_a_relay_may_come_before_its_qemu(self):
        job = self.accept("r1")
        time.sleep(0.6)
        self.assertEqual(self.beta.job(job)["state"], "running")

    # -- a destination that does not get ready
    def serve_silence(self):
        """A host that says hello to whoever comes, and then only listens.  The event
        says that it was told something."""
        asked = threading.Event()
        listener = self.network["beta"].socket()
        self.addCleanup(listener.close)
        listener.bind((self.beta.addresses[0], SILENT_PORT))
        listener.listen()

        def greet(peer):
            with peer:
                head = peer.recv(56, socket.MSG_WAITALL)
                peer.recv(struct.unpack(">H", head[18:20])[0] + 8, socket.MSG_WAITALL)
                peer.sendall(hello(ACCEPT, b"silent", session=7, secret=b"s" * 32))
                while peer.recv(65536):
                    asked.set()

        def serve():
            try:
                while True:
                    peer, _ = listener.accept()
                    threading.Thread(target=greet, args=(peer,), daemon=True).start()
            except OSError:
                pass
        threading.Thread(target=serve, daemon=True).start()
        return asked

    def test_a_relay_that_awaits_its_destination_can_be_cancelled(self):
        asked = self.serve_silence()
        listen = self.lab.path("migrate.sock")
        job = self.connect("r1", listen, host="silent")
        self.assertTrue(asked.wait(10))
        began = time.monotonic()
        self.cancel(self.alpha, job)
        self.assertEqual(self.alpha.wait_job(job, timeout=40)["state"], "cancelled")
        self.assertLess(time.monotonic() - began, 8)
        self.assertFalse(os.path.exists(listen))


if __name__ == "__main__":
    unittest.main()
