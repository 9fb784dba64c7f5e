# SPDX-License-Identifier: MIT
"""Relays as jobs: how they wait, and how they are cancelled.

No QEMU takes part: nobody migrates, and a relay that has both its sides waits.
"""
import unittest

from lab import Lab, needs, wait_for
from lab.host import PROGRAMS, Host, connect
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


if __name__ == "__main__":
    unittest.main()
