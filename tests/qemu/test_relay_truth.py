# SPDX-License-Identifier: MIT
"""What relays say of migrations that go wrong, and whose memory they write."""
import unittest

from lab import machine, qemu10, wait_for
from test_relay import MIB, NO_QEMU10, SIZE, RelayCase, stress

TIME_LIMIT = 400


class Truth(RelayCase):
    def check_refused(self, why):
        """Both relays failed, for one reason, and the guest runs on."""
        self.source.qmp.wait_migration("failed", timeout=20)
        for host in (self.alpha, self.beta):
            job = host.wait_job(host.newest_job(kind="relay")["id"], timeout=20)
            self.assertEqual(job["state"], "failed", job)
            self.assertRegex(job["error"], why)
        self.check_runs_on()

    def check_runs_on(self):
        """The guest, at the source."""
        self.assertEqual(self.source.qmp.status(), "running")
        at = len(self.console.lines)
        wait_for("heartbeats at the source", lambda: len(self.console.lines) > at + 3, 20)
        self.assertEqual(self.console.corrupt(), [])

    def test_the_pid_of_another_qemu_is_refused_and_its_memory_untouched(self):
        self.start()
        third = machine.Qemu(self.lab, "third", *stress(), program=self.destination_qemu,
                             memory="128M", machine=self.machine_type,
                             namespace=self.network["beta"])
        wait_for("memory of the third machine", lambda: any(third.memory(SIZE)[16 * MIB:17 * MIB]))
        third.qmp("stop")
        before = third.memory(SIZE)[0:SIZE]
        listen = self.relay(third.pid)
        self.source.qmp("migrate", uri=f"unix:{listen}")
        self.check_refused(f"of process {self.destination.pid}, not of process {third.pid} as "
                           "--pid says")
        self.assertEqual(third.memory(SIZE)[0:SIZE] == before, True, "it was written")


@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class TruthOfQemu10(Truth):
    source_qemu = destination_qemu = qemu10()[0]
    machine_type = "q35"


if __name__ == "__main__":
    unittest.main()
