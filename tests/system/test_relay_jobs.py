# SPDX-License-Identifier: MIT
"""Relays as jobs: how they wait, their sockets, and how they are cancelled.

No QEMU takes part: nobody migrates, and a relay that has both its sides waits.
"""
import os
import socket
import unittest

from lab import Lab, needs, wait_for
from lab.host import PROGRAMS, ApiError, Host, connect
from lab.network import Network

TIME_LIMIT = 180


@needs(*PROGRAMS)
class RelayJobs(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, rate=None)
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta")))
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


if __name__ == "__main__":
    unittest.main()
