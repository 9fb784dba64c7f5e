# SPDX-License-Identifier: MIT
"""A host's registry and its QEMUs: one that runs is known, and known as running.

A daemon is killed with -9 in the middle of what it does to a machine, or has no
room on its disk to write it down.
"""
import os
import unittest

from lab import Lab, machine, needs, wait_for
from lab.host import PROGRAMS, Host
from lab.network import Network
from lab.qmp import QMP

TIME_LIMIT = 120
PARALLEL = True

# A QEMU that takes its time until its monitor is there.
SLOW = """#!/bin/bash
while [ ! -e {go} ]; do sleep 0.05; done
exec {qemu} "$@"
"""


@needs(*PROGRAMS)
class Case(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.host = Host(self.lab, "alpha", Network(self.lab, ("alpha",))["alpha"],
                         ["127.0.0.1"])

    def machines(self):
        """{name: (state, pid)}"""
        return {m["name"]: (m["state"], m["pid"]) for m in self.host.api("GET", "/v1/machines")}

    def qemus(self):
        """Ids of the QEMUs that the host has started."""
        return [pid for pid, line in self.lab.processes().items()
                if f"{self.host.run_dir}/" in line and " -name " in line]

    def stranger(self, **kwargs):
        """A QEMU that Drover has not started, its monitor free."""
        qemu = machine.Qemu(self.lab, "own", "-name", "web", memory="16M", **kwargs)
        qemu.qmp.close()
        return qemu

    def status(self, qemu):
        """What a stranger says of itself."""
        qmp = QMP(qemu.monitor)
        try:
            return qmp.status()
        finally:
            qmp.close()

    def monitor(self):
        """Of the machine that the host has started."""
        qmp = QMP(os.path.join(self.host.run_dir, "machines", "web", "qmp.sock"))
        self.addCleanup(qmp.close)
        return qmp


class Forgotten(Case):
    """A machine that runs, forgotten and defined once more."""

    def test_it_is_not_started_twice_and_taken_up_again(self):
        definition = machine.definition("web", memory="16M")
        self.host.start()
        self.host.define(definition)
        self.host.drover("vm", "start", "web")
        pid, = self.qemus()
        self.host.drover("vm", "forget", "web", "--leave-running")
        self.host.define(definition)
        again = self.host.drover("vm", "start", "web", check=False)
        self.assertEqual(again.status, 8)
        self.assertRegex(again.stderr, rf"a QEMU runs in [^ ]*/web already, process {pid}: ")
        self.assertEqual(self.qemus(), [pid])
        self.host.restart()
        self.assertEqual(self.machines(), {"web": ("running", pid)})
        self.assertEqual(self.monitor().status(), "running")


class Killed(Case):
    """The daemon, in the middle; then it is started again."""

    def test_while_it_starts_a_qemu(self):
        program, go = self.lab.path("qemu"), self.lab.path("go")
        with open(program, "w", encoding="ascii") as f:
            f.write(SLOW.format(go=go, qemu=machine.QEMU))
        os.chmod(program, 0o755)
        self.host.start()
        self.host.define(machine.definition("web", memory="16M", qemu=program))
        start = self.lab.spawn(self.host.drover_argv("vm", "start", "web"))
        # Each time that it sleeps the script is two processes for a moment.
        pid, = wait_for("a QEMU", lambda: [q for q in [self.qemus()] if len(q) == 1])[0]
        self.host.kill9()
        start.wait(10)

        self.host.start()
        self.assertEqual(self.machines(), {"web": ("running", pid)})
        with open(go, "w", encoding="ascii"):
            pass
        self.assertEqual(self.monitor().status(), "running")
        self.assertEqual(self.host.drover("vm", "start", "web").stdout, "web runs already.\n")
        self.assertEqual(self.qemus(), [pid])
        # By now it is in the registry.
        self.host.restart()
        self.assertEqual(self.machines(), {"web": ("running", pid)})
        self.assertEqual(self.host.log_text().count("taken up"), 1)
        self.host.drover("vm", "stop", "web", "--now")
        self.assertEqual(self.qemus(), [])

    def die(self, point, *words):
        """At this point of that command; then it is started again."""
        self.host.restart(fault=f"{point}=kill")
        self.assertNotEqual(self.host.drover(*words, check=False).status, 0)
        self.host.process.wait(10)
        self.host.start()

    def test_while_it_adopts_a_qemu(self):
        qemu = self.stranger()
        self.die("store:half-saved", "vm", "adopt", qemu.pid)
        self.assertEqual(self.machines(), {})
        self.host.drover("vm", "adopt", qemu.pid)
        self.assertEqual(self.machines(), {"web": ("running", qemu.pid)})

    def test_while_it_forgets_a_qemu(self):
        qemu = self.stranger()
        self.host.start()
        self.host.drover("vm", "adopt", qemu.pid)
        self.die("store:half-removed", "vm", "forget", "web", "--leave-running")
        self.assertEqual(self.machines(), {})
        self.assertEqual(self.status(qemu), "running")


class Full(Case):
    """The disk with the registry, a small tmpfs that only the daemon has."""

    def setUp(self):
        super().setUp()
        self.host.small_folder(self.host.state, "64k")
        self.host.start()

    def refused(self, pattern, *words):
        answer = self.host.drover(*words, check=False)
        self.assertEqual(answer.status, 1, answer.stderr)
        self.assertRegex(answer.stderr, rf"\A[^\n]*{pattern}: machine web: write "
                                        r"[^\n]*: No space left on device\n\Z")
        print(answer.stderr.strip())

    def test_a_qemu_that_was_just_started_is_ended(self):
        self.host.define(machine.definition("web", memory="16M"))
        full = self.host.fill(self.host.state)
        self.refused("QEMU was ended, its start cannot be noted", "vm", "start", "web")
        self.assertEqual(self.qemus(), [])
        self.assertEqual(self.machines(), {"web": ("stopped", None)})
        self.assertEqual(os.listdir(os.path.join(self.host.run_dir, "machines")), [])
        os.unlink(full)
        self.host.drover("vm", "start", "web")
        self.assertEqual(self.machines(), {"web": ("running", self.qemus()[0])})
        self.assertEqual(self.monitor().status(), "running")

    def test_an_adopted_qemu_is_given_back(self):
        qemu = self.stranger()
        before = self.host.descriptors()
        full = self.host.fill(self.host.state)
        self.refused(f"process {qemu.pid} runs on and was not adopted", "vm", "adopt", qemu.pid)
        self.assertEqual(self.machines(), {})
        self.assertEqual(os.listdir(os.path.join(self.host.run_dir, "machines")), [])
        wait_for("no descriptor left behind", lambda: self.host.descriptors() == before)
        self.assertEqual(self.status(qemu), "running")
        os.unlink(full)
        self.host.drover("vm", "adopt", qemu.pid)
        self.assertEqual(self.machines(), {"web": ("running", qemu.pid)})

    def test_an_adopted_qemu_is_not_updated_and_runs_on(self):
        qemu = self.stranger()
        self.host.drover("vm", "adopt", qemu.pid)
        folders = os.listdir(os.path.join(self.host.run_dir, "machines"))
        answer = self.host.drover("vm", "update", "web", check=False)
        self.assertEqual(answer.status, 8, answer.stderr)
        self.assertRegex(answer.stderr, f"machine web was adopted: process {qemu.pid} is its "
                                        "owner's, .*'drover move web HOST'")
        self.assertEqual(self.machines(), {"web": ("running", qemu.pid)})
        self.assertEqual(self.status(qemu), "running")
        self.assertEqual(os.listdir(os.path.join(self.host.run_dir, "machines")), folders)

    def test_a_guest_that_was_continued_runs(self):
        qemu = self.stranger(paused=True)
        self.host.drover("vm", "adopt", qemu.pid)
        self.assertEqual(self.machines(), {"web": ("paused", qemu.pid)})
        self.host.fill(self.host.state)
        self.refused("the guest runs, which cannot be noted", "vm", "start", "web")
        self.assertEqual(self.machines(), {"web": ("running", qemu.pid)})
        self.assertEqual(self.status(qemu), "running")


if __name__ == "__main__":
    unittest.main()
