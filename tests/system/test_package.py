# SPDX-License-Identifier: MIT
"""The Debian package, in a Debian of its own that systemd runs: installed, used, upgraded."""
import glob
import json
import os
import shutil
import socket
import subprocess
import unittest

from lab import ROOT, Lab, machine, slow
from lab.booted import Booted, base
from lab.core import Failed, wait_for
from lab.field import Move
from lab.host import Host
from lab.network import Link, Namespace, can_tap

TIME_LIMIT = 600  # the package is made once
# Slower than the guest writes: pre-copy does not end by itself.
FAST, SLOW = "1gbit", "50mbit"

BOOT = ("-drive", "if=none,id=floppy,format=raw,readonly=on,file=/srv/boot.img",
        "-device", "isa-fdc,id=fdc", "-device", "floppy,drive=floppy,bus=fdc.0", "-boot", "a")
GUEST = ("-kernel", f"/srv/{os.path.basename(machine.STRESS)}", "-append",
         "fill=40M hot=32M rate=24M heartbeat=20 seed=1")
MOVE = ("drover", "move", "--mode", "tcp", "db")  # uncompressed
NEEDED = ("dpkg-buildpackage", "lintian", "dh_installsystemd")


def package():
    """The package of this tree; made where there is none that is newer than it."""
    missing = [p for p in NEEDED if not shutil.which(p)]
    if missing:
        raise unittest.SkipTest(f"there is no {' and no '.join(missing)}")
    done = subprocess.run([os.path.join(ROOT, "tools", "deb"), "--if-older"], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        raise AssertionError(f"tools/deb: {(done.stdout + done.stderr)[-3000:]}")
    found, = glob.glob(os.path.join(ROOT, "build-deb", "drover_*.deb"))
    return found


@slow
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        base()
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.deb = package()
        cls.debian = Booted(cls.lab)
        shutil.copy(cls.deb, cls.debian.path("/tmp/drover.deb"))
        cls.debian.run("dpkg", "-i", "/tmp/drover.deb")
        if os.path.exists("/dev/kvm"):  # as udev does it, which is not there
            cls.debian.run("chgrp", "kvm", "/dev/kvm")
            cls.debian.run("chmod", "660", "/dev/kvm")
        with open(cls.debian.path("/srv/boot.img"), "wb") as f:
            f.write(machine.BOOT_SECTOR.ljust(1440 * 1024, b"\0"))

    def show(self, unit, key):
        return self.debian.run("systemctl", "show", "-P", key, unit).stdout.strip()

    def test_1_it_brings_its_users_groups_and_folders(self):
        for database, name in (("group", "drover"), ("group", "drover-read"),
                               ("passwd", "drover-qemu")):
            self.debian.run("getent", database, name)
        self.assertIn("kvm", self.debian.run("id", "-nG", "drover-qemu").stdout.split())
        for folder in ("/etc/drover/drover.d", "/var/lib/drover/images"):
            self.assertTrue(os.path.isdir(self.debian.path(folder)), folder)
        self.assertIn("configuration is good", self.debian.run("droverd", "--check").stdout)

    def test_2_the_service_runs_as_its_unit_says(self):
        wait_for("droverd", lambda: self.show("droverd", "ActiveState") == "active", 20, 0.1)
        self.assertEqual(self.debian.run("systemctl", "is-enabled", "droverd").stdout.strip(),
                         "enabled")
        pid = self.show("droverd", "MainPID")
        with open(self.debian.path(f"/proc/{pid}/status"), encoding="ascii") as f:
            self.assertIn("Seccomp:\t2", f.read())
        for name, group in (("drover.sock", "drover"), ("drover-read.sock", "drover-read")):
            self.assertEqual(self.debian.run("stat", "-c", "%a %G", f"/run/drover/{name}")
                             .stdout.split(), ["660", group])

    def test_2_the_page_is_there_for_who_may_look_once_its_socket_is_enabled(self):
        wait_for("droverd", lambda: self.show("droverd", "ActiveState") == "active", 20, 0.1)
        self.debian.run("systemctl", "enable", "--now", "drover-web.socket")
        self.assertEqual(self.debian.run("stat", "-c", "%a %G", "/run/drover/web.sock")
                         .stdout.split(), ["660", "drover-read"])
        for path in ("/", "/v1/host"):
            with socket.socket(socket.AF_UNIX) as made:
                made.settimeout(20)
                made.connect(self.debian.path("/run/drover/web.sock"))
                made.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                             "Connection: close\r\n\r\n".encode())
                said = made.makefile("rb").read()
            self.assertTrue(said.startswith(b"HTTP/1.1 200 "), said[:500])
        self.assertNotEqual(self.debian.run("ps", "-o", "user=", "-C", "drover-web")
                            .stdout.strip(), "root")

    def test_2_memory_that_is_a_file_has_a_tmpfs_with_huge_pages(self):
        mounts = self.debian.run("cat", "/proc/mounts").stdout
        self.assertRegex(mounts, r"(?m)^drover /run/drover/memory tmpfs .*\bhuge=within_size\b")

    def test_2_its_processes_open_the_devices_of_its_list_and_no_others(self):
        # By numbers: these nodes need not be there.
        for name, minor in (("kvm", 232), ("fuse", 229)):
            self.debian.run("mknod", f"/srv/{name}", "c", "10", minor)
        group = "/sys/fs/cgroup" + self.show("droverd", "ControlGroup")
        opened = self.debian.run("sh", "-c", f"echo $$ >{group}/cgroup.procs; "
                                 "for n in kvm fuse; do (: </srv/$n) && echo $n; done",
                                 check=False)
        self.assertNotIn("fuse", opened.stdout)
        self.assertIn("/srv/fuse: Operation not permitted", opened.stderr)
        self.assertNotIn("/srv/kvm: Operation not permitted", opened.stderr)

    def test_3_a_guest_outlives_restarts_and_upgrades(self):
        definition = machine.definition("web", *BOOT, memory="16M")
        if os.path.exists("/dev/kvm"):  # which the unit's list of devices has to allow
            definition = definition.replace("accelerator = tcg", "accelerator = kvm")
        self.debian.run("drover", "vm", "define", "-", stdin=definition)
        self.debian.run("drover", "vm", "start", "web")
        qemu, daemon = self.qemu(), self.show("droverd", "MainPID")
        user = self.debian.run("ps", "-o", "uid=", "-p", qemu).stdout.strip()
        self.assertNotEqual(user, "0")
        group = self.debian.run("cat", f"/proc/{qemu}/cgroup").stdout
        self.assertRegex(group, r"machine\.slice/.*\.scope")
        for words in (("systemctl", "restart", "droverd"),
                      ("dpkg", "-i", "/tmp/drover.deb")):
            self.debian.run(*words)
            self.assertEqual(self.qemu(), qemu)
            self.assertNotEqual(self.show("droverd", "MainPID"), daemon)
            daemon = self.show("droverd", "MainPID")
        journal = self.debian.run("journalctl", "-o", "cat", "-u", "droverd",
                                  "DROVER_ACTION=vm start", "DROVER_NAME=web").stdout
        self.assertIn("vm start web: done", journal)
        self.assertIn("vm start web", self.debian.run("drover", "log").stdout)

    def qemu(self, name="web"):
        """The id of the machine's process, which runs."""
        shown = self.debian.run("drover", "vm", "show", name).stdout
        self.assertIn("running", shown)
        return self.debian.run("pgrep", "-f", f"name {name}").stdout.strip()

    # -- an upgrade in the middle of a move

    def pair(self):
        """A host out here, with its own /srv; made known by `drover trust`, over a link."""
        namespace, inside = Namespace(self.lab, "peer"), self.debian.network()
        self.link = Link(self.lab, 1, namespace, inside, rate=FAST, mtu=1500)
        folder = self.lab.path("srv")
        os.mkdir(folder)
        for one in (folder, self.debian.path("/srv")):
            shutil.copy(machine.STRESS, one)
        self.peer = Host(self.lab, "peer", namespace, [self.link.addresses[0]],
                         settings={"host": {"trust-directory": self.lab.path("trust")}})
        self.peer.wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                          f'mount --bind {folder} /srv && exec "$@"', "sh"]
        self.peer.start()
        for one in (namespace, inside):
            one.bridge("br0")
        self.debian.run("drover", "trust", "init")
        said = json.loads(self.debian.run("drover", "trust", "invite", "--json").stdout)
        self.peer.drover("trust", "join", self.link.addresses[1], said["token"])

    def jobs(self):
        return json.loads(self.debian.run("drover", "job", "list", "--json").stdout)

    def machines(self):
        return {m["name"]: m["state"] for m in
                json.loads(self.debian.run("drover", "vm", "list", "--json").stdout)}

    def upgrade_in(self, argv, jobs):
        """In the middle of that move; its exit status and what it said."""
        self.link.shape(SLOW)
        before = {j["id"] for j in jobs()}
        move = Move(self.peer, argv)

        def travels():
            if move.process.poll() is not None:
                raise Failed(f"the move has ended: {move.wait()}")
            return any(j["progress"]["bytes_sent"] > 2**17 for j in jobs() if j["id"] not in before)
        wait_for("pages travel", travels, 30)
        self.debian.run("dpkg", "-i", "/tmp/drover.deb")
        self.link.shape(FAST)
        return move.wait()

    def stop_at(self, point):
        """droverd waits there from now on."""
        folder = self.debian.path("/run/systemd/system/droverd.service.d")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "fault.conf"), "w", encoding="ascii") as f:
            f.write(f"[Service]\nEnvironment=DROVER_FAULT={point}=wait:/run/drover/point\n")
        self.debian.run("systemctl", "daemon-reload")
        self.debian.run("systemctl", "restart", "droverd")

    def upgrade_at(self, point, argv):
        """It is told to end while it waits at that point of the move; what the move came to."""
        here = self.debian.path("/run/drover/point")
        for old in (here, here + ".reached"):
            if os.path.exists(old):
                os.unlink(old)
        self.stop_at(point)
        move = Move(self.peer, argv)
        wait_for(point, lambda: os.path.exists(here + ".reached"), 30)
        upgrade = self.lab.spawn(self.debian.argv("dpkg", "-i", "/tmp/drover.deb"))
        wait_for("its end", lambda: self.show("droverd", "ActiveState") == "deactivating", 30)
        with open(here, "wb"):
            pass
        self.assertEqual(upgrade.wait(60), 0)
        return move.wait()

    def nothing_is_left(self, here, there):
        """Of a move: who has the machine, and nobody else anything of it."""
        def left():
            found = [f"{j['id']} is {j['state']}" for j in self.jobs() + self.peer.api("GET", "/v1/jobs")
                     if j["state"] in ("running", "in-doubt")]
            found += [f"here: {self.machines()}"] if self.machines() != {"web": "running", **here} else []
            shown = {m["name"]: m["state"] for m in self.peer.api("GET", "/v1/machines")}
            found += [f"there: {shown}"] if shown != there else []
            pids = self.debian.run("pgrep", "-f", "name db", check=False).stdout.split()
            found += [f"here: QEMUs {pids}"] if len(pids) != len(here) else []
            pids = [p for p, line in self.lab.processes().items()
                    if f"{self.peer.run_dir}/" in line and " -name " in line]
            found += [f"there: QEMUs {pids}"] if len(pids) != len(there) else []
            taps = len(self.debian.network().taps()), len(self.peer.namespace.taps())
            wanted = (len(here), len(there)) if can_tap() else (0, 0)
            found += [f"taps {taps}"] if taps != wanted else []
            files = self.debian.run("find", "/var/lib/drover/moves", "-type", "f", check=False)
            return found + files.stdout.split()
        wait_for(f"nothing but {here}, {there}: {left()}", lambda: not left(), 20, 0.1)

    def test_3_upgrades_in_the_middle_of_a_move_undo_it_in_words(self):
        self.pair()
        nic = "nic lan = bridge=br0\n" if can_tap() else ""
        self.debian.run("drover", "vm", "define", "-",
                        stdin=machine.definition("db", *GUEST, memory="64M") + nic)
        self.debian.run("drover", "vm", "start", "db")
        name = json.loads(self.debian.run("drover", "host", "show", "--json").stdout)["name"]
        # At the source.
        status, said = self.upgrade_in(self.debian.argv(*MOVE, "peer"), self.jobs)
        self.assertEqual(status, 0, said)
        self.assertRegex(said, "droverd was started again, which undid job [0-9a-f]+: the move is "
                               "queued again as job [0-9a-f]+")
        self.nothing_is_left({}, {"db": "running"})
        # At the destination.
        qemu = self.peer.machine("db")["pid"]
        status, said = self.upgrade_in(self.peer.drover_argv(*MOVE[1:], name),
                                       lambda: self.peer.api("GET", "/v1/jobs"))
        self.assertEqual(status, 1)
        self.assertRegex(said, rf"move db: .*\b{name}: ")
        self.nothing_is_left({}, {"db": "running"})
        self.assertEqual(self.peer.machine("db")["pid"], qemu)
        self.peer.drover("move", "db", name)
        self.nothing_is_left({"db": "running"}, {})
        # What was committed is finished, on either side.
        said = self.upgrade_at("source:before-commit-sent", self.debian.argv(*MOVE, "peer"))
        self.assertIn(said[0], (0, 1))
        self.assertEqual("look for it on peer" in said[1], said[0] == 1, said)
        self.nothing_is_left({}, {"db": "running"})
        said = self.upgrade_at("destination:commit-received",
                               self.peer.drover_argv(*MOVE[1:], name))
        self.assertEqual(said[0], 0, said)
        self.nothing_is_left({"db": "running"}, {})
        self.debian.run("drover", "vm", "stop", "db", "--now")
        self.debian.run("drover", "vm", "forget", "db")

    def test_4_without_the_package_its_guest_runs_on(self):
        qemu = self.qemu()
        self.debian.run("dpkg", "-r", "drover")
        self.assertEqual(self.debian.run("pgrep", "-f", "name web").stdout.strip(), qemu)
        self.debian.run("dpkg", "-i", "/tmp/drover.deb")
        self.assertEqual(self.qemu(), qemu)

    def test_5_a_purge_leaves_images_and_nothing_else(self):
        self.debian.run("drover", "vm", "stop", "web", "--now")
        self.debian.run("touch", "/var/lib/drover/images/web.img")
        self.debian.run("dpkg", "-P", "drover")
        left = self.debian.run("find", "/etc/drover", "/var/lib/drover", "-type", "f", check=False)
        self.assertEqual(left.stdout.split(), ["/var/lib/drover/images/web.img"])


if __name__ == "__main__":
    unittest.main()
