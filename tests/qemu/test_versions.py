# SPDX-License-Identifier: MIT
"""Moves between versions of QEMU, of pc and q35, with and without virtio.

Both hosts record what their QEMUs send.  Each move leaves the machine paused;
the oracle compares the destination with the stream and with the source, and
the guest goes on and checks its memory itself.
"""
import unittest

from lab import Lab, needs, oracle, qemu10, slow, wait_for
from lab import machine, tap
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 400
PARALLEL = True
OLD, NEW = machine.QEMU, qemu10()[0]
NO_QEMU10 = f"no QEMU 10: {qemu10()[1]}"
MEMORY = 128 << 20
GUEST = ["-kernel", machine.STRESS, "-append", "fill=80M rate=20M hot=16M heartbeat=20"]


@needs(*PROGRAMS, "guest/drover-stress.elf", "tests/lib/libtap.so")
class Versions(unittest.TestCase):
    """7.2 on both hosts."""

    here = there = OLD
    machines = ("pc", "q35")

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, rate=None)
        self.taps, self.hosts = [], []
        for name, qemu in (("alpha", self.here), ("beta", self.there)):
            self.taps.append(tap.Tap(self.lab, qemu, shares=True))
            self.hosts.append(Host(self.lab, name, network[name], network.addresses(name),
                                   qemu=self.taps[-1].program))
            # TCG of 7.2 does, see docs/testing.md.
            self.hosts[-1].loses_pages = qemu == OLD
        for host in connect(*self.hosts):
            host.start()
        self.console = Console(self.lab)
        self.lost = 0

    def virtio(self):
        """Arguments for one of each; the disk is a raw file that both share."""
        disk = self.lab.path("disk.raw")
        with open(disk, "wb") as f:
            f.truncate(16 << 20)
        return ["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0",
                "-drive", f"if=none,id=d0,file={disk},format=raw,cache=none",
                "-device", "virtio-blk-pci,drive=d0",
                "-device", "virtio-balloon-pci", "-device", "virtio-rng-pci"]

    def start(self, kind, devices):
        self.hosts[0].define(machine.definition(
            "guest", *GUEST, *self.console.arguments(), *devices, memory="128M", machine=kind))
        self.hosts[0].drover("vm", "start", "guest")
        self.console.wait_line("^hb ", 60)

    def move(self, source, destination, *options):
        """One move; the machine is paused at the destination and judged."""
        pid = self.hosts[source].machine("guest")["pid"]
        try:
            before = {"pc.ram": oracle.Memory(oracle.memory_file(pid, MEMORY))}
        except FileNotFoundError:
            before = None   # it came here, and its memory goes with its QEMU
        host = self.hosts[source]
        host.drover("move", "guest", self.hosts[destination].name, "--paused", *options)
        job = host.newest_job(kind="move")
        self.assertEqual(job["state"], "done", host.log_text())
        shown = self.hosts[destination].machine("guest")
        self.assertEqual(shown["state"], "paused")
        after = oracle.Memory.of_process(shown["pid"], MEMORY)
        verdict = oracle.judge(self.taps[source].stream(pid), {"pc.ram": after},
                               before)
        print(f"{host.name} to {self.hosts[destination].name}:", verdict)
        self.assertTrue(verdict.good, verdict)
        self.assertEqual(verdict.destination[0].missing, 0)
        self.assertGreater(job["report"]["bytes"]["raw"], 40 << 20)
        self.lost += verdict.lost_by_qemu if before else self.hosts[source].loses_pages

    def goes_on(self, host):
        """The guest runs here and its memory is whole."""
        at = len(self.console.lines)
        self.hosts[host].drover("vm", "start", "guest")
        pid = self.hosts[host].machine("guest")["pid"]
        wait_for("heartbeats after the move", lambda: sum(
            x.pid == pid for x in self.console.lines[at:] if x.text.startswith("hb ")) > 15, 30)
        if self.lost:
            print(f"QEMU lost {self.lost} pages by itself, or may have: what the guest says is no verdict")
        else:
            self.assertEqual(self.console.corrupt(), [])

    def there_and_back(self, kind, devices):
        self.start(kind, devices)
        self.move(0, 1)
        self.goes_on(1)
        self.move(1, 0)
        self.goes_on(0)

    def test_there(self):
        for kind in self.machines:
            with self.subTest(kind):
                self.start(kind, ())
                self.move(0, 1)
                self.goes_on(1)
                self.forget()

    def test_there_and_back_with_virtio_devices(self):
        for kind in self.machines:
            with self.subTest(kind):
                self.there_and_back(kind, self.virtio())
                self.forget()

    def forget(self):
        """As if the machine had never been; the next one has its name."""
        for host in self.hosts:
            for shown in host.api("GET", "/v1/machines"):
                if shown["pid"] and shown["state"] not in ("stopped", "moved"):
                    host.drover("vm", "stop", shown["name"], "--now")
                host.drover("vm", "forget", shown["name"])
        self.console.lines.clear()
        self.lost = 0


@unittest.skipIf(NEW is None, NO_QEMU10)
class FromOldToNew(Versions):
    """7.2 to 10.0, and with the devices back again."""
    there = NEW
    machines = ("pc-i440fx-7.2", "pc-q35-7.2")


@slow
@unittest.skipIf(NEW is None, NO_QEMU10)
class FromNewToOld(Versions):
    here = NEW
    machines = ("pc-i440fx-7.2", "pc-q35-7.2")


@slow
@unittest.skipIf(NEW is None, NO_QEMU10)
class New(Versions):
    """10.0 on both hosts, with its own newest machine types."""
    here = there = NEW


if __name__ == "__main__":
    unittest.main()
