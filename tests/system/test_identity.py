# SPDX-License-Identifier: MIT
"""A machine is its uuid: where it came from, what it may replace, what QEMU is told."""
import os
import unittest

from lab import Lab, machine, needs
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.qmp import QMP

TIME_LIMIT = 120
PARALLEL = True


@needs(*PROGRAMS)
class Case(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta")))
        self.definition = machine.definition("web", *machine.boot_sector_arguments(self.lab),
                                             memory="16M")

    def start(self):
        for host in (self.alpha, self.beta):
            host.start()

    def define(self, host, uuid=None):
        host.define(self.definition + (f"uuid = {uuid}\n" if uuid else ""))
        return host.machine("web")["uuid"]

    def qemus_uuid(self, host):
        """What QEMU says."""
        qmp = QMP(os.path.join(host.run_dir, "machines", "web", "qmp.sock"))
        try:
            return qmp("query-uuid")["UUID"]
        finally:
            qmp.close()


class Moved(Case):
    def setUp(self):
        super().setUp()
        self.start()
        self.uuid = self.define(self.alpha)
        self.alpha.drover("vm", "start", "web")

    def test_an_entry_of_the_same_machine_gives_way(self):
        self.assertEqual(self.qemus_uuid(self.alpha), self.uuid)
        self.define(self.beta, self.uuid)
        self.alpha.drover("move", "web", "beta")
        moved = self.beta.machine("web")
        self.assertEqual((moved["state"], moved["uuid"]), ("running", self.uuid))
        self.assertEqual(self.qemus_uuid(self.beta), self.uuid)
        self.assertEqual(self.alpha.api("GET", "/v1/machines"), [])
        # The registry says so too, also to the next daemon.
        self.beta.restart()
        again = self.beta.machine("web")
        self.assertEqual((again["state"], again["uuid"], again["pid"]),
                         ("running", self.uuid, moved["pid"]))

    def test_the_definition_is_the_same_there(self):
        self.alpha.drover("vm", "stop", "web", "--now")
        self.definition = self.definition.replace("16M", "16M,share=on")
        self.define(self.alpha, self.uuid)
        self.alpha.drover("vm", "start", "web")
        self.alpha.drover("move", "web", "beta")
        self.assertIn("memory = 16M,share=on\n", self.beta.machine("web")["definition"])

    def test_another_machine_of_that_name_stays(self):
        other = self.define(self.beta)
        self.assertNotEqual(other, self.uuid)
        found = self.alpha.drover("compare", "web", "beta", "--json", check=False).json
        self.assertFalse(found["ok"])
        done = self.alpha.drover("move", "web", "beta", check=False)
        self.assertEqual(done.status, 8)
        self.assertIn(f"another one, its uuid is {other}", done.stderr)
        self.assertEqual(self.beta.machine("web")["uuid"], other)
        self.assertEqual(self.beta.machine("web")["state"], "stopped")
        self.assertEqual(self.alpha.machine("web")["state"], "running")

    def test_an_entry_is_as_before_when_the_move_fails(self):
        self.define(self.beta, self.uuid)
        self.beta.restart(fault="destination:started=kill")
        self.alpha.drover("move", "web", "beta", check=False)
        self.beta.process.wait()
        self.beta.start()
        job = self.beta.newest_job(role="destination")
        self.beta.wait_job(job["id"], "failed")
        self.assertEqual(self.beta.machine("web")["state"], "stopped")
        self.alpha.drover("move", "web", "beta")
        self.assertEqual(self.beta.machine("web")["state"], "running")


class LastSeen(Case):
    """A machine that has left, defined again with its uuid where it was."""

    def setUp(self):
        super().setUp()
        self.start()
        self.uuid = self.define(self.alpha)
        self.alpha.drover("vm", "start", "web")
        self.alpha.drover("move", "web", "beta")
        self.define(self.alpha, self.uuid)

    def try_to_start(self, *options):
        return self.alpha.drover("vm", "start", "web", *options, check=False)

    def test_it_is_not_started_while_it_runs_there(self):
        answer = self.try_to_start()
        self.assertEqual(answer.status, 8)
        self.assertIn("machine web runs on host beta", answer.stderr)
        self.assertEqual(self.alpha.machine("web")["state"], "stopped")
        self.beta.drover("vm", "stop", "web", "--now")
        self.assertEqual(self.try_to_start().status, 0)
        # It is here again: nobody has to be asked.
        self.alpha.drover("vm", "stop", "web", "--now")
        self.beta.stop()
        self.assertEqual(self.try_to_start().status, 0)

    def test_two_hosts_that_take_turns_do_not_both_start_it(self):
        self.beta.drover("vm", "stop", "web", "--now")
        self.assertEqual(self.try_to_start().status, 0)
        there = self.beta.drover("vm", "start", "web", check=False)
        self.assertEqual(there.status, 8)
        self.assertIn("machine web runs on host alpha", there.stderr)

    def test_nor_while_that_host_is_not_heard(self):
        self.beta.kill9()
        self.alpha.restart()
        answer = self.try_to_start()
        self.assertEqual(answer.status, 8)
        self.assertIn("machine web was last seen on host beta, which is not heard", answer.stderr)
        self.assertIn("drover vm start web --anyway", answer.stderr)
        self.assertEqual(self.alpha.machine("web")["state"], "stopped")
        self.assertEqual(self.try_to_start("--anyway").status, 0)
        self.assertEqual(self.alpha.machine("web")["state"], "running")

    def test_it_may_run_where_it_came_back_to(self):
        self.alpha.drover("vm", "forget", "web")
        self.beta.drover("move", "web", "alpha")
        self.define(self.beta, self.uuid)
        answer = self.beta.drover("vm", "start", "web", check=False)
        self.assertIn("machine web runs on host alpha", answer.stderr)
        self.alpha.drover("vm", "stop", "web", "--now")
        self.assertEqual(self.try_to_start().status, 0)


class Named(Case):
    def test_a_host_that_calls_itself_otherwise_is_not_taken_for_the_peer(self):
        self.alpha.settings["peer gamma"] = self.alpha.settings.pop("peer beta")
        self.start()
        self.define(self.alpha)
        self.alpha.drover("vm", "start", "web")
        done = self.alpha.drover("move", "web", "gamma", check=False)
        self.assertEqual(done.status, 8)
        self.assertIn("host gamma: calls itself beta: correct the name in [peer gamma] here",
                      done.stderr)
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        self.assertEqual(self.beta.api("GET", "/v1/machines"), [])
        # It has a session whose first message it would wait for, ten seconds.
        self.beta.kill9()


class Adopted(Case):
    def setUp(self):
        super().setUp()
        self.alpha.start()

    def stranger(self, name, *arguments):
        """A QEMU that Drover has not started, its monitor free."""
        qemu = machine.Qemu(self.lab, name, "-name", "web", *arguments, memory="16M")
        qemu.qmp.close()
        return qemu

    def adopt(self, *words):
        return self.alpha.drover("vm", "adopt", *words, check=False)

    def machines(self):
        return {m["name"]: m["pid"] for m in self.alpha.api("GET", "/v1/machines")}

    def test_the_monitor_has_to_be_the_process_own(self):
        one, other = self.stranger("one"), self.stranger("other")
        os.rename(other.monitor, one.monitor)
        answer = self.adopt(one.pid)
        self.assertEqual(answer.status, 8)
        self.assertIn(f"{one.monitor} is that of process {other.pid}, not of process {one.pid}",
                      answer.stderr)
        self.assertEqual(self.machines(), {})

    def test_a_process_is_one_machine(self):
        own = self.stranger("own")
        self.assertEqual(self.adopt(own.pid).status, 0)
        answer = self.adopt(own.pid, "--name", "mail")
        self.assertEqual(answer.status, 8)
        self.assertIn(f"process {own.pid} is machine web already", answer.stderr)
        self.assertEqual(self.machines(), {"web": own.pid})

    def test_another_users_is_taken_on_the_operators_word(self):
        own = self.stranger("own", "-runas", "nobody")
        for words, pattern, status in (
                ((), "runs as user nobody: adopt it with '--user nobody'", 8),
                (("--user", "root"), "runs as user nobody, not root", 8),
                (("--user", "no-such-user"), "there is no user no-such-user", 2)):
            answer = self.adopt(own.pid, *words)
            self.assertEqual(answer.status, status)
            self.assertIn(pattern, answer.stderr)
            self.assertEqual(self.machines(), {})
        self.assertEqual(self.adopt(own.pid, "--user", "nobody").status, 0)
        self.assertEqual(self.machines(), {"web": own.pid})


if __name__ == "__main__":
    unittest.main()
