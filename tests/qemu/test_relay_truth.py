# SPDX-License-Identifier: MIT
"""What relays say of migrations that go wrong, and whose memory they write."""
import os
import signal
import socket
import subprocess
import time
import unittest

from lab import Failed, machine, qemu10, release, slow, wait_for
from test_relay import MIB, NO_QEMU10, SIZE, RelayCase, stress

TIME_LIMIT = 500
PARALLEL = True


def certificates(lab):
    """Two authorities, and a key and a certificate of each for both ends."""
    for name in ("one", "two"):
        os.makedirs(lab.path(name))
        subprocess.run(f"""
            openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca-cert.pem \\
                -subj /CN={name} -days 9
            for end in client server; do
                openssl req -newkey rsa:2048 -nodes -keyout $end-key.pem -out request.pem \\
                    -subj /CN=beta -addext subjectAltName=DNS:beta
                openssl x509 -req -in request.pem -CA ca-cert.pem -CAkey ca-key.pem \\
                    -CAcreateserial -out $end-cert.pem -days 9 -copy_extensions copy
            done""", shell=True, cwd=lab.path(name), check=True, capture_output=True)


def credentials(lab, end, other=False):
    return ["-object", f"tls-creds-x509,id=tls0,dir={lab.path('two' if other else 'one')},"
            f"endpoint={end},verify-peer=on"]


class Truth(RelayCase):
    def begin(self, bandwidth=8 * MIB, passes=0, **capabilities):
        """A migration that has begun and takes its time."""
        self.begun = {"events": True, **capabilities}
        for end in (self.source, self.destination):
            end.qmp.capabilities(**self.begun)
        self.source.qmp("migrate-set-parameters", max_bandwidth=bandwidth, downtime_limit=1)
        self.source.qmp("migrate", uri=f"unix:{self.relay()}")
        try:
            wait_for("a part of the first pass", self.has_sent, 30)
        except Failed as e:
            raise Failed(f"{e}; {self.source.qmp('query-migrate')}; alpha: "
                         f"{self.alpha.log_text()[-900:]}; beta: "
                         f"{self.beta.log_text()[-900:]}") from None

    def has_sent(self):
        now = self.source.qmp("query-migrate")
        if now.get("status") in ("failed", "cancelled", "completed"):
            raise Failed(f"the migration has {now['status']}")
        return now.get("ram", {}).get("transferred", 0) > 3 * MIB

    def check_refused(self, why):
        """Both relays failed, for one reason, and the guest runs on."""
        self.source.qmp.wait_migration("failed", timeout=20)
        self.check_failed(why)
        self.check_runs_on()

    def check_failed(self, why):
        for host in (self.alpha, self.beta):
            job = host.wait_job(host.newest_job(kind="relay")["id"], timeout=20)
            self.assertEqual(job["state"], "failed", job)
            self.assertRegex(job["error"], why)

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

    # -- a destination that refuses
    def refuse(self, stopped):
        """Without a return path, which would tell the source."""
        uuid = "5cdb7f62-7cbe-4d5b-ae5e-6c21c3c0b81"
        self.start(source=["-uuid", uuid + "1"], destination=["-uuid", uuid + "2"])
        for end in (self.source, self.destination):
            end.qmp.capabilities(events=True, validate_uuid=True)
        self.source.qmp("migrate-set-parameters", max_bandwidth=0, downtime_limit=2000)
        listen = self.relay()
        if stopped:
            os.kill(self.destination.pid, signal.SIGSTOP)
        self.source.qmp("migrate", uri=f"unix:{listen}")
        if stopped:
            time.sleep(stopped)
            os.kill(self.destination.pid, signal.SIGCONT)
        self.check_refused("the destination's QEMU (ended|closed its connection) before")
        self.end()

    def test_a_destination_that_refuses_pushes_the_source_back(self):
        for _ in range(3):
            self.refuse(0)

    def test_a_destination_that_stands_and_refuses_pushes_the_source_back(self):
        self.refuse(3)

    def test_a_source_whose_destination_stands_can_give_up(self):
        self.start()
        listen = self.relay()
        os.kill(self.destination.pid, signal.SIGSTOP)
        self.source.qmp("migrate", uri=f"unix:{listen}")
        time.sleep(1)
        self.source.qmp("migrate_cancel")
        self.source.qmp.wait_migration("cancelled", "failed")
        self.check_failed("gave its migration up")
        self.check_runs_on()
        self.destination.process.kill()

    # -- a migration that comes to no end
    def test_a_migration_that_is_cancelled_at_the_source_has_failed(self):
        for path in (True, False):
            with self.subTest(return_path=path):
                self.start()
                self.begin(return_path=path)
                self.source.qmp("migrate_cancel")
                self.source.qmp.wait_migration("cancelled", "failed")
                self.check_failed("gave its migration up|closed its connection before the end")
                self.check_runs_on()
                self.end()

    def test_a_source_that_is_killed_has_failed(self):
        for path in (True, False):
            with self.subTest(return_path=path):
                self.start()
                self.begin(return_path=path)
                self.source.kill()
                self.check_failed("the source's QEMU (ended|closed its connection) before")
                self.end()

    def test_a_destination_that_is_killed_has_failed(self):
        for path in (True, False):
            with self.subTest(return_path=path):
                self.start()
                self.begin(return_path=path)
                self.destination.kill()
                self.check_refused("the destination's QEMU ended before it had loaded the guest")
                self.end()

    def test_a_handshake_that_fails_has_failed(self):
        certificates(self.lab)
        for bad in ("source", "destination"):
            with self.subTest(bad=bad):
                self.start(source=credentials(self.lab, "client", other=bad == "source"),
                           destination=credentials(self.lab, "server", other=bad == "destination"))
                for end in (self.source, self.destination):
                    end.qmp("migrate-set-parameters", tls_creds="tls0", tls_hostname="beta")
                self.source.qmp("migrate", uri=f"unix:{self.relay()}")
                self.check_refused("QEMU (gave its migration up|closed its connection before)")
                self.end()

    def test_what_is_encrypted_ends_well(self):
        certificates(self.lab)
        for path in (True, False):
            with self.subTest(return_path=path):
                self.start(source=credentials(self.lab, "client"),
                           destination=credentials(self.lab, "server"))
                for end in (self.source, self.destination):
                    end.qmp("migrate-set-parameters", tls_creds="tls0", tls_hostname="beta")
                self.migrate(**{"return-path": path})
                self.end()

    # -- many connections
    def test_as_many_channels_as_qemu_has_are_carried(self):
        for channels in (64, 255):
            with self.subTest(channels=channels):
                self.start()
                self.migrate(multifd=True, parameters={"multifd_channels": channels})
                self.assertEqual(len(self.tapes()), channels + 1)
                self.check_goes_on(self.check_channels())
                self.end()

    def test_more_connections_than_a_relay_has_are_refused_by_name(self):
        self.start()
        listen = self.relay()
        made = []
        for _ in range(261):
            made.append(socket.socket(socket.AF_UNIX))
            self.addCleanup(made[-1].close)
            made[-1].connect(listen)
        self.check_failed("more than the 260 connections .* fewer multifd-channels")

    # -- nobody waits for ever
    def check_let_go(self, why, within=5):
        """The destination's relay has failed by itself, and its QEMU does not wait."""
        job = self.beta.wait_job(self.beta.newest_job(kind="relay")["id"], timeout=within)
        self.assertEqual(job["state"], "failed", job)
        self.assertRegex(job["error"], why)
        self.destination.process.wait(10)

    def test_a_source_that_was_cancelled_in_an_outage_is_not_waited_for(self):
        self.start()
        self.begin()
        job = self.alpha.newest_job(kind="relay")["id"]
        for link in self.network.links:
            link.blackhole()
        wait_for("the outage", lambda: self.beta.newest_job(kind="relay")["progress"]["outage"])
        self.alpha.drover("job", "cancel", job)
        self.assertEqual(self.alpha.wait_job(job, timeout=20)["state"], "cancelled")
        for link in self.network.links:
            link.heal()
        self.check_let_go("does not carry relay r1 any more", 15)
        self.check_runs_on()

    def test_a_source_whose_daemon_was_killed_is_not_waited_for(self):
        for restart in (False, True):
            with self.subTest(restart=restart):
                self.start()
                self.begin()
                self.alpha.kill9()
                if restart:
                    self.alpha.start()
                # It may be asked before it is there again.
                self.check_let_go("host alpha has no droverd any more" + (
                    "|does not carry relay r1 any more" if restart else ""))
                self.check_runs_on()
                self.end()
                if not restart:
                    self.alpha.start()

    def test_a_destination_that_is_gone_before_the_source_came_is_not_waited_for(self):
        self.start()
        self.relay()
        time.sleep(1)
        self.destination.kill()
        self.check_failed("the QEMU at .* is gone, and the source's never came")

    def end(self):
        """Makes room for another two QEMUs."""
        for qemu in (self.source, self.destination):
            qemu.kill()


class TruthWithOlder(RelayCase):
    """One of the hosts has the last release."""

    def setUp(self):
        self.old = release.built()  # skips the test where it cannot be had

    def between(self, **builds):
        self.builds = builds
        super().setUp()
        self.start()

    def test_from_an_older_source_every_page_stays_in_the_stream(self):
        self.between(alpha=self.old)
        report = self.migrate()
        self.check()
        self.assertEqual(self.diverted(report), 0)

    def test_an_older_destination_has_each_page(self):
        self.between(beta=self.old)
        # It looks for the memory as soon as the source has come.
        report = self.migrate(pid=self.destination.pid)
        self.check()
        self.assertGreater(self.diverted(report), SIZE)

    def test_more_connections_than_an_older_destination_has_are_refused_by_name(self):
        self.between(beta=self.old)
        for end in (self.source, self.destination):
            end.qmp.capabilities(multifd=True)
            end.qmp("migrate-set-parameters", multifd_channels=64)
        self.source.qmp("migrate", uri=f"unix:{self.relay()}")
        self.source.qmp.wait_migration("failed", timeout=20)
        job = self.alpha.wait_job(self.alpha.newest_job(kind="relay")["id"], timeout=20)
        self.assertRegex(job["error"], "more than the 64 connections that a relay to host beta")


@slow
@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class TruthOfQemu10(Truth):
    source_qemu = destination_qemu = qemu10()[0]
    machine_type = "q35"


if __name__ == "__main__":
    unittest.main()
