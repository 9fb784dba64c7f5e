# SPDX-License-Identifier: MIT
"""A host is emptied, and filled again: docs/drain.md.  Real QEMUs on three hosts."""
import os
import time
import unittest

from lab import Lab, machine, needs, slow, wait_for
from lab.core import chance
from lab.host import PROGRAMS, ApiError, Host, connect
from lab.network import Network
from lab.qmp import QMP

TIME_LIMIT = 600
NAMES = ("alpha", "beta", "gamma")
MACHINES = 6


class Case(unittest.TestCase):
    count, memory, rate = MACHINES, "64M", None

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, NAMES)
        for first, second in (("alpha", "beta"), ("alpha", "gamma"), ("beta", "gamma")):
            self.network.link(first, second, rate=self.rate)
        self.hosts = connect(*(Host(self.lab, name, self.network[name],
                                    self.network.addresses(name)) for name in NAMES))
        self.alpha, self.beta, self.gamma = self.hosts
        self.names = [f"web{i}" for i in range(self.count)]

    def define(self, host, name, more="", **kwargs):
        host.define(machine.definition(name, *machine.boot_sector_arguments(self.lab),
                                       memory=kwargs.pop("memory", self.memory), **kwargs) + more)

    def start(self, more=None):
        """All daemons, and the machines on alpha; more: lines of each one's definition."""
        for host in self.hosts:
            host.start()
        for name in self.names:
            self.define(self.alpha, name, (more or {}).get(name, ""))
            self.alpha.drover("vm", "start", name)

    def where(self):
        """{name: hosts on which it runs}, also if that is more than one."""
        found = {}
        for host in self.hosts:
            if host.running():
                for one in host.api("GET", "/v1/machines"):
                    if one["pid"] and one["state"] != "incoming":
                        found.setdefault(one["name"], []).append(host.name)
        return found

    def guests_that_run(self):
        """Of every QEMU of this lab, asked itself: (name, whether its guest runs)."""
        found = []
        for host in self.hosts:
            folder = os.path.join(host.run_dir, "machines")
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                path = os.path.join(folder, name, "qmp.sock")
                if not os.path.exists(path):
                    continue
                try:
                    qmp = QMP(path)
                    found += [name] if qmp("query-status")["running"] else []
                    qmp.close()
                except OSError:
                    pass
        return sorted(found)

    def assert_each_runs_once(self, names=None):
        self.assertEqual(self.guests_that_run(), sorted(names or self.names))

    def drained(self):
        return self.alpha.api("GET", "/v1/drain")

    def fates(self):
        return {m["name"]: m["fate"] for m in self.drained()["machines"]}

    def wait_end(self, timeout=120):
        def ended():
            now = self.drained()
            return now["state"] not in ("draining", "returning") and now
        return wait_for("the end of the drain", ended, timeout, 0.1)


@needs(*PROGRAMS)
class There(Case):
    def test_six_machines_leave_for_two_hosts_and_come_back(self):
        self.start()
        done = self.alpha.drover("drain")
        at = self.where()
        self.assertEqual(sorted(at), self.names)
        self.assertEqual({h for hosts in at.values() for h in hosts}, {"beta", "gamma"})
        self.assert_each_runs_once()
        self.assertIn("web0", done.stdout)
        self.assertEqual(self.drained()["state"], "drained")
        self.assertEqual(set(self.fates().values()), {"moved"})

        # It takes and starts nothing, also after a reboot.
        self.alpha.restart()
        self.assertEqual(self.drained()["state"], "drained")
        name, home = "web0", at["web0"][0]
        host = next(h for h in self.hosts if h.name == home)
        for words in (("move", name, "alpha"), ("compare", name, "alpha")):
            refused = host.drover(*words, check=False)
            self.assertEqual(refused.status, 8, refused.stderr)
            self.assertIn("alpha is drained and takes no machines",
                          refused.stderr + refused.stdout)
        self.define(self.alpha, "other")
        refused = self.alpha.drover("vm", "start", "other", check=False)
        self.assertEqual(refused.status, 8)
        self.assertIn("alpha is drained", refused.stderr)

        self.alpha.drover("return")
        self.assertEqual(self.where(), {name: ["alpha"] for name in self.names})
        self.assert_each_runs_once()
        self.assertEqual(self.drained()["state"], "none")
        self.assertFalse(os.path.exists(os.path.join(self.alpha.state, "drain.json")))
        self.alpha.drover("vm", "start", "other")


if __name__ == "__main__":
    unittest.main()
