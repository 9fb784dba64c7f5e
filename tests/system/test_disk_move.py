# SPDX-License-Identifier: MIT
"""Machines whose disks are their host's own move with them: drover move --disks."""
import os
import subprocess
import time
import unittest

from lab import Lab, machine, needs
from lab.core import qemu10, slow, wait_for
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.qmp import QMP

TIME_LIMIT = 240
PARALLEL = True
SIZE = 48 << 20
DATA = 12 << 20


@needs(*PROGRAMS)
class DiskMove(unittest.TestCase):
    """Each host has a folder of its own behind the one path."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta")))
        self.images = self.lab.path("images")
        self.folders = {host: self.lab.path(f"of-{host.name}") for host in (self.alpha, self.beta)}
        for folder in (self.images, *self.folders.values()):
            os.mkdir(folder)
        for host, folder in self.folders.items():
            host.wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                         f'mount --bind {folder} {self.images} && exec "$@"', "sh"]
            host.start()
        self.disk = os.path.join(self.images, "web.raw")
        with open(self.at(self.alpha), "wb") as f:
            f.write(os.urandom(DATA))
            f.truncate(SIZE)

    def at(self, host, name="web.raw"):
        return os.path.join(self.folders[host], name)

    def allocated(self, host):
        """Sectors, of a file that may not have been made yet."""
        try:
            return os.stat(self.at(host)).st_blocks
        except FileNotFoundError:
            return 0

    def begin(self, disk=None, guest=None, memory="16M"):
        """guest: QEMU's arguments for another one, which has a monitor of this
        test's besides, since a move has Drover's for itself."""
        more = ["-qmp", f"unix:{self.images}/m.sock,server=on,wait=off"] if guest else []
        text = machine.definition(
            "web", *(guest or machine.boot_sector_arguments(self.lab)), *more, memory=memory)
        self.alpha.define(text + (disk or f"disk root = path={self.disk},format=raw\n"))
        self.alpha.drover("vm", "start", "web")

    def move(self, *options, check=True):
        return self.alpha.drover("move", "web", "beta", "--disks", *options, check=check)

    def old(self, host):
        """What a machine that has left there keeps, as the path on this test's side."""
        disks = host.drover("disk", "old", "web", "--json").json
        self.assertEqual([disk["was"] for disk in disks], [self.disk])
        return self.at(host, os.path.basename(disks[0]["path"]))

    def compared(self, source=None, there="web.raw"):
        """What @source, alpha, has left, with what the machine has now."""
        source = source or self.alpha
        host = self.beta if source is self.alpha else self.alpha
        return subprocess.run(["qemu-img", "compare", "-U", "-f", "raw", "-F", "raw",
                               self.old(source), self.at(host, there)], text=True,
                              capture_output=True, check=False).stdout.strip()

    def guest_writes(self, host, *commands, monitor=None):
        """As its disk's driver would, through the device."""
        qmp = QMP(monitor or os.path.join(host.machine("web")["run_dir"], "qmp.sock"))
        try:
            for command in commands:
                qmp.hmp("qemu-io -d /machine/peripheral/disk-root/virtio-backend "
                        f'"{command}"')
        finally:
            qmp.close()

    def test_disk_and_memory_arrive_together(self):
        self.begin()
        self.guest_writes(self.alpha, "write -P 9 20M 1M", "write -P 7 4095 2")
        self.move()
        self.assertEqual(self.compared(), "Images are identical.")
        self.assertEqual(self.beta.machine("web")["state"], "running")
        self.assertEqual(self.alpha.api("GET", "/v1/machines"), [])
        # Thin as it was, and the guest writes into it.
        here, there = (os.stat(path).st_blocks
                       for path in (self.old(self.alpha), self.at(self.beta)))
        self.assertLessEqual(there, here * 1.02)
        self.guest_writes(self.beta, "write -P 3 30M 64k")
        self.assertNotEqual(self.compared(), "Images are identical.")
        self.assertEqual([name for name in os.listdir(self.folders[self.beta])], ["web.raw"])

    @slow
    def test_to_and_between_newer_qemus(self):
        newer, why = qemu10()
        if not newer:
            self.skipTest(why)
        self.beta.stop()
        self.beta.settings["host"]["qemu"] = newer
        self.beta.start()
        self.begin()
        self.guest_writes(self.alpha, "write -P 9 20M 1M")
        self.move()
        self.assertEqual(self.compared(), "Images are identical.")
        # And back, between two of them.
        self.alpha.stop()
        self.alpha.settings["host"]["qemu"] = newer
        self.alpha.start()
        self.guest_writes(self.beta, "write -P 4 40M 64k")
        self.beta.drover("move", "web", "alpha", "--disks")
        self.assertEqual(self.compared(self.beta), "Images are identical.")
        self.assertEqual(self.alpha.machine("web")["state"], "running")

    def test_old_disks_are_named_listed_overwritten_by_their_own_and_removed(self):
        self.begin()
        self.guest_writes(self.alpha, "write -P 9 20M 1M")
        self.assertEqual(self.alpha.drover("disk", "old", "--json").json, [])
        self.move()
        first = self.alpha.drover("disk", "old", "--json").json[0]
        self.assertEqual((first["machine"], first["host"], first["state"], first["size"]),
                         ("web", "beta", "kept", SIZE))
        self.assertEqual(first["path"], f"{self.disk}.old-{first['uuid']}")
        self.assertEqual(os.listdir(self.folders[self.alpha]), [os.path.basename(first["path"])])
        # There and back and there again: one old disk on each host, the last one.
        self.guest_writes(self.beta, "write -P 4 30M 64k")
        self.beta.drover("move", "web", "alpha", "--disks")
        self.assertEqual(self.compared(self.beta), "Images are identical.")
        self.guest_writes(self.alpha, "write -P 5 31M 64k")
        self.move()
        self.assertEqual(self.compared(), "Images are identical.")
        self.assertEqual(len(os.listdir(self.folders[self.alpha])), 1)
        # What somebody wrote into is his.
        with open(self.old(self.alpha), "r+b") as f:
            f.write(b"somebody's")
        removed = self.alpha.drover("disk", "old", "web", "--remove", "--json").json
        self.assertEqual([disk["state"] for disk in removed], ["changed"])
        os.unlink(self.old(self.alpha))
        self.assertEqual(self.alpha.drover("disk", "old", "web", "--json").json[0]["state"], "gone")
        removed = self.beta.drover("disk", "old", "web", "--remove", "--json").json
        self.assertEqual([disk["state"] for disk in removed], ["removed"])
        self.assertEqual(os.listdir(self.folders[self.beta]), ["web.raw"])
        refused = self.beta.drover("disk", "old", "web", "--remove", check=False)
        self.assertIn("keeps no old disks of a machine web", refused.stderr)
        self.assertNotEqual(refused.status, 0)

    def test_a_disk_goes_to_another_path(self):
        self.begin()
        other = os.path.join(self.images, "other.raw")
        for wrong, says in ((f"data={other}", "does not go with the machine"),
                            ("root=other.raw", "a path that starts with '/'")):
            self.assertIn(says, self.move("--disk", wrong, check=False).stderr)
        refused = self.alpha.drover("move", "web", "beta", "--disk", f"root={other}", check=False)
        self.assertIn("add disks", refused.stderr)
        self.guest_writes(self.alpha, "write -P 9 20M 1M")
        self.move("--disk", f"root={other}")
        self.assertEqual(os.listdir(self.folders[self.beta]), ["other.raw"])
        self.assertEqual(self.compared(there="other.raw"), "Images are identical.")
        # A start from the definition, too, is one from there.
        self.beta.drover("vm", "stop", "web", "--now")
        self.beta.drover("vm", "start", "web")
        paths = {disk["name"]: disk["path"]
                 for disk in self.beta.drover("disk", "list", "web", "--json").json}
        self.assertEqual(paths["root"], other)
        self.guest_writes(self.beta, "write -P 3 30M 64k")
        self.assertNotEqual(self.compared(there="other.raw"), "Images are identical.")
        # And back to the path of before.
        self.beta.drover("move", "web", "alpha", "--disks", "--disk", f"root={self.disk}")
        self.assertEqual(sorted(os.listdir(self.folders[self.alpha])),
                         ["web.raw", os.path.basename(self.old(self.alpha))])

    def test_a_disk_goes_into_a_pool_of_the_other_host(self):
        pool = os.path.join(self.images, "fast")
        os.mkdir(self.at(self.beta, "fast"))
        self.beta.stop()
        self.beta.settings["pool fast"] = {"path": pool}
        self.beta.start()
        self.begin()
        self.guest_writes(self.alpha, "write -P 9 20M 1M")
        refused = self.move("--disk", "root=slow:", check=False)
        self.assertIn("beta has no pool 'slow': its pools are fast", refused.stderr)
        self.move("--disk", "root=fast:")
        self.assertEqual(os.listdir(self.at(self.beta, "fast")), ["web.raw"])
        self.assertEqual(self.compared(there="fast/web.raw"), "Images are identical.")

    def test_a_pool_has_a_name_and_a_limit_for_what_comes(self):
        self.beta.stop()
        self.beta.settings["pool small"] = {"path": self.images, "limit": "8M"}
        self.beta.start()
        pool = self.beta.api("GET", "/v1/pools")[0]
        self.assertEqual((pool["name"], pool["path"], pool["limit"]),
                         ("small", self.images, 8 << 20))
        self.assertIn("small", self.beta.drover("pool", "list").stdout)
        self.begin()
        moved = self.move(check=False)
        self.assertIn("the pool small on beta may have 8388608 bytes", moved.stderr)
        self.assertEqual(os.listdir(self.folders[self.beta]), [])
        self.assertEqual(self.alpha.machine("web")["state"], "running")

    def test_a_source_that_dies_before_it_has_named_the_disk_does_so_at_its_next_start(self):
        self.alpha.kill9()
        self.alpha.restart(fault="source:ended=kill")
        self.begin()
        self.move(check=False)
        self.assertTrue(os.path.exists(self.at(self.alpha)))
        self.alpha.restart()
        wait_for("the old name", lambda: not os.path.exists(self.at(self.alpha)), 60)
        wait_for("the machine to be beta's",
                 lambda: self.alpha.api("GET", "/v1/machines") == [], 60)
        self.assertEqual(self.compared(), "Images are identical.")

    def test_a_move_that_fails_leaves_nothing_and_can_be_tried_again(self):
        self.begin()
        with open(self.at(self.beta), "wb") as f:
            f.write(b"somebody's")
        moved = self.move(check=False)
        self.assertIn("what is there is not overwritten", moved.stderr)
        self.assertIn(self.disk, moved.stderr)
        with open(self.at(self.beta), "rb") as f:
            self.assertEqual(f.read(), b"somebody's")
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        os.unlink(self.at(self.beta))
        self.move()
        self.assertEqual(self.compared(), "Images are identical.")

    def test_what_cannot_be_copied_is_refused_with_a_sentence(self):
        path = os.path.join(self.images, "web.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.at(self.alpha, "web.qcow2"),
                        "8M"], check=True)
        self.begin(f"disk root = path={path},format=qcow2\n")
        moved = self.move(check=False)
        self.assertIn("only raw disks are copied so far", moved.stderr)
        self.assertEqual(os.listdir(self.folders[self.beta]), [])
        self.assertEqual(self.alpha.machine("web")["state"], "running")

    def test_a_source_that_was_killed_leaves_nothing_in_the_way_of_the_next_move(self):
        self.alpha.kill9()
        self.alpha.restart(fault="source:prepare=wait")
        self.begin()
        moved = self.alpha.drover("move", "web", "beta", "--disks", "--background", "--json").json
        wait_for("the memory's turn",
                 lambda: self.alpha.job(moved["id"])["stage"] == "prepare", 60)
        self.alpha.kill9()
        self.alpha.restart()
        wait_for("the guest at alpha", lambda: self.alpha.machine("web")["state"] == "running", 20)
        self.guest_writes(self.alpha, "write -P 5 10M 64k")
        # Which beta has to find out of the move; of the copy it need not.
        wait_for("beta's side of the job to end",
                 lambda: self.beta.job(moved["id"])["state"] != "running", 60)
        self.move()
        self.assertEqual(self.compared(), "Images are identical.")

    def test_a_destination_that_dies_costs_the_guest_nothing(self):
        self.begin()
        self.beta.kill9()
        self.beta.restart(fault="destination:prepare=wait")
        moved = self.alpha.drover("move", "web", "beta", "--disks", "--background", "--json").json
        wait_for("the copy at beta", lambda: os.path.exists(self.at(self.beta)), 30)
        wait_for("the memory's turn",
                 lambda: self.alpha.job(moved["id"])["stage"] == "prepare", 60)
        self.beta.kill9()
        job = self.alpha.wait_job(moved["id"], "failed", timeout=120)
        self.assertIsNotNone(job["error"])
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        self.guest_writes(self.alpha, "write -P 5 10M 64k")

    def test_a_half_copy_of_a_destination_that_was_killed_is_made_anew(self):
        self.begin()
        for link in self.network.links:
            link.shape("8mbit")
        moved = self.alpha.drover("move", "web", "beta", "--disks", "--background", "--json").json
        wait_for("the copy at beta", lambda: self.allocated(self.beta) > 0, 60)
        self.beta.kill9()
        job = self.alpha.wait_job(moved["id"], "failed", timeout=120)
        self.assertEqual(job["stage"], "disks")
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        for link in self.network.links:
            link.shape("1gbit")
        self.beta.restart()
        # What bears nobody's mark stays, although it has that path.
        mark = os.getxattr(self.at(self.beta), "user.drover.copy")
        os.setxattr(self.at(self.beta), "user.drover.copy", b"gamma/web")
        self.assertIn("what is there is not overwritten", self.move(check=False).stderr)
        os.setxattr(self.at(self.beta), "user.drover.copy", mark)
        self.guest_writes(self.alpha, "write -P 5 10M 64k")
        self.move()
        self.assertIn("a half copy of before, and made anew", self.beta.log_text())
        self.assertEqual(self.compared(), "Images are identical.")
        self.assertEqual(os.listxattr(self.at(self.beta)), [])

    def cut(self, stage, data, rate, copied, **guest):
        """Without a path, in a move's @stage, the guest writes on, and the move ends."""
        with open(self.at(self.alpha), "wb") as f:
            f.write(os.urandom(data))
            f.truncate(SIZE)
        self.begin(**guest)
        for link in self.network.links:
            link.shape(rate)
        moved = self.alpha.drover("move", "web", "beta", "--disks", "--background", "--json").json
        wait_for(stage, lambda: self.alpha.job(moved["id"])["stage"] == stage
                 and self.allocated(self.beta) * 512 >= copied, 90)
        for link in self.network.links:
            link.blackhole()
        stalls = []
        for megabyte in range(30, 40):
            begun = time.monotonic()
            self.guest_writes(self.alpha, f"write -P {megabyte} {megabyte}M 1M",
                              monitor=self.at(self.alpha, "m.sock"))
            stalls.append(time.monotonic() - begun)
        # Of 1.5 s; the rest is what the monitor may take on a busy machine.
        self.assertLess(max(stalls), 2.5, stalls)
        job = self.alpha.job(moved["id"])
        self.assertEqual(job["state"], "running", job["error"])
        self.assertIn("the guest writes on without the copy", self.alpha.log_text())
        for link in self.network.links:
            link.heal()
            link.shape("100mbit")
        self.alpha.wait_job(moved["id"], "done", timeout=120)
        self.assertEqual(self.beta.machine("web")["state"], "running")
        self.assertEqual(self.compared(), "Images are identical.")

    def test_without_a_path_the_guest_writes_on_and_the_copy_goes_on(self):
        before = self.sent()
        self.cut("disks", 40 << 20, "50mbit", 26 << 20,
                 guest=machine.boot_sector_arguments(self.lab))
        # What was in flight is at most 16 MiB: what had arrived travels once.
        self.assertLess(self.sent() - before, (40 + 16) * 1.06 * (1 << 20))

    def sent(self):
        """Bytes of frames that left alpha's cards."""
        return sum(link.counters()["tx_bytes"] for link in self.network.links)

    def test_the_memory_waits_for_disks_that_were_without_a_path(self):
        # It changes its memory all the time, so that pre-copy takes a while.
        self.cut("pre-copy", 2 << 20, "4mbit", 1 << 20, memory="64M",
                 guest=machine.stress_arguments(fill="24M", rate="2M", hot="8M"))
        log = self.alpha.log_text()
        self.assertLess(log.index("the memory waits: the disks are not in step"),
                        log.rindex("the memory goes on"))


if __name__ == "__main__":
    unittest.main()
