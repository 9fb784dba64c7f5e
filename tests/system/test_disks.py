# SPDX-License-Identifier: MIT
"""Whether a disk is the same one at the destination: proved, refuted, or cannot be told.

Each host has mounts of its own, so one path can be two files.
"""
import os
import shutil
import unittest

from lab import Lab, machine, needs
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

from test_commit import Immutable

TIME_LIMIT = 180
PARALLEL = True
SIZE = 8 << 20
SHARED, EQUAL, OTHER = "is the disk that the guest has: shared", "the same content", "another disk"
UNKNOWN, TRUSTED = "cannot be told", "says the definition"
FLASH = "is of the same size, and only read at a start"
BIOS = "/usr/share/seabios/bios-256k.bin"   # comes with QEMU


@needs(*PROGRAMS)
class Case(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, network[name], network.addresses(name))
            for name in ("alpha", "beta")))
        # The path of both hosts, and two folders that may stand behind it.
        self.folder, self.here, self.there = (self.folder_of(name)
                                              for name in ("images", "here", "there"))
        self.disk = os.path.join(self.folder, "web.raw")
        with open(os.path.join(self.here, "web.raw"), "wb") as f:
            f.write(os.urandom(SIZE))

    def folder_of(self, name):
        path = self.lab.path(name)
        os.mkdir(path)
        return path

    def copy(self):
        shutil.copy(os.path.join(self.here, "web.raw"), self.there)

    def start(self, *options, mount_there=None, key=""):
        """The guest on alpha, whose images are in `here`; beta mounts what it is told."""
        drive = ",".join(("if=none", "id=d", "format=raw", f"file={self.disk}", *options))
        self.start_with("-drive", drive, "-device", "virtio-blk-pci,drive=d", key=key,
                        mount_there=mount_there)

    def start_with(self, *arguments, mount_there=None, key="", machine_type="pc"):
        mounts = {self.alpha: f"mount --bind {self.here} {self.folder}",
                  self.beta: mount_there or f"mount --bind {self.there} {self.folder}"}
        for host, mount in mounts.items():
            host.wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                         f'{mount} && exec "$@"', "sh"]
            host.start()
        self.definition = machine.definition(
            "web", *machine.boot_sector_arguments(self.lab), *arguments,
            memory="16M", machine=machine_type)
        self.alpha.define(self.definition + key)
        self.alpha.drover("vm", "start", "web")

    def finding(self, words):
        """compare's; the verdict."""
        done = self.alpha.drover("compare", "web", "beta", "--json", check=False).json
        found = [f for f in done["findings"] if words in f["text"]]
        self.assertEqual(len(found), 1, done["findings"])
        self.assertEqual(found[0]["severity"] == "ok", done["ok"], done["findings"])
        return done["ok"]

    def passes(self, words):
        self.assertTrue(self.finding(f"{self.disk} on beta {words}"))
        self.alpha.drover("move", "web", "beta")
        self.assertEqual(self.beta.machine("web")["state"], "running")
        self.assertEqual([f for f in os.listdir(self.here) if f.startswith(".")], [])

    def refused(self, words):
        self.assertFalse(self.finding(words))
        moved = self.alpha.drover("move", "web", "beta", check=False)
        self.assertEqual(moved.status, 8)
        self.assertIn(words, moved.stderr)
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        self.assertEqual(self.beta.api("GET", "/v1/machines"), [])
        self.assertEqual([f for f in os.listdir(self.here) if f.startswith(".")], [])


class Disks(Case):
    def test_the_same_folder_by_two_bind_mounts_is_shared(self):
        self.start(mount_there=f"mount --bind {self.here} {self.folder}")
        self.passes(SHARED)

    def test_a_folder_that_takes_no_file_is_shared_by_its_lock(self):
        self.start(mount_there=f"mount --bind {self.here} {self.folder}")
        with Immutable(self.here):
            self.assertTrue(self.finding(f"{self.disk} on beta {SHARED}"))

    def test_a_copy_on_the_own_file_system_is_another(self):
        self.copy()
        self.start()
        self.refused(OTHER)

    def test_a_file_that_is_mounted_over_it_is_another(self):
        self.copy()
        self.start(mount_there=f"mount --bind {self.here} {self.folder} && "
                               f"mount --bind {self.there}/web.raw {self.disk}")
        self.refused(UNKNOWN)

    def test_a_link_that_leads_elsewhere_is_another(self):
        self.copy()
        links = self.folder_of("links")
        os.symlink(os.path.join(self.there, "web.raw"), os.path.join(links, "web.raw"))
        self.start(mount_there=f"mount --bind {links} {self.folder}")
        self.refused(OTHER)

    def test_a_disk_that_is_not_there_is_missing(self):
        self.start()
        self.refused("is not there")

    def test_writes_that_would_vanish_are_refused(self):
        self.start("snapshot=on", mount_there=f"mount --bind {self.here} {self.folder}")
        self.refused("snapshot=on")

    def test_what_is_only_read_may_be_a_copy(self):
        self.copy()
        self.start("readonly=on")
        self.passes("is only read, and has " + EQUAL)

    def test_what_is_only_read_and_differs_is_another(self):
        self.copy()
        with open(os.path.join(self.there, "web.raw"), "r+b") as f:
            f.seek(SIZE // 2)
            f.write(b"another")
        self.start("readonly=on")
        self.refused(OTHER)

    def test_what_is_read_here_and_written_there_is_not_only_read(self):
        """The same image as two drives; QEMU names the last one first."""
        self.copy()
        drive = f"if=none,format=raw,file.filename={self.disk},file.locking=off"
        self.start_with("-drive", f"{drive},id=d", "-device", "virtio-blk-pci,drive=d",
                        "-drive", f"{drive},id=e,readonly=on",
                        "-device", "virtio-blk-pci,drive=e")
        self.refused(OTHER)

    def test_flash_memory_by_the_names_of_nodes_may_be_of_another_version(self):
        """As libvirt writes it: machine, format, storage."""
        for folder in (self.here, self.there):
            shutil.copy(BIOS, os.path.join(folder, "web.raw"))
        with open(os.path.join(self.there, "web.raw"), "r+b") as f:
            f.write(b"another")
        self.start_with("-blockdev", "driver=file,node-name=flash0-storage,read-only=on,"
                        f"filename={self.disk}",
                        "-blockdev", "driver=raw,node-name=flash0-format,read-only=on,"
                        "file=flash0-storage",
                        machine_type="q35,pflash0=flash0-format")
        self.passes(FLASH)

    def test_flash_memory_of_another_size_does_not_fit(self):
        shutil.copy(BIOS, os.path.join(self.here, "web.raw"))
        shutil.copy(BIOS, os.path.join(self.there, "web.raw"))
        os.truncate(os.path.join(self.there, "web.raw"), os.path.getsize(BIOS) // 2)
        self.start_with("-drive", f"if=pflash,format=raw,readonly=on,file={self.disk}")
        self.refused(OTHER)


class Listed(Case):
    def test_what_qemu_has_is_listed_with_chains_and_snapshots(self):
        top, base = (os.path.join(self.folder, name) for name in ("top.qcow2", "base.raw"))
        shutil.copy(os.path.join(self.here, "web.raw"), os.path.join(self.here, "base.raw"))
        def image(*words):
            self.lab.run(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                          f'mount --bind {self.here} {self.folder} && exec "$@"', "sh",
                          "qemu-img", *words])
        image("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top)
        image("snapshot", "-c", "one", top)
        self.start_with("-drive", f"if=none,id=d,format=raw,readonly=on,file={self.disk}",
                        "-device", "virtio-blk-pci,drive=d,id=second",
                        key=f"disk root = path={top},format=qcow2,storage=local\n")
        root, second = sorted((disk for disk in self.listed() if disk["name"] != "floppy"),
                              key=lambda disk: disk["name"])
        self.assertEqual((root["name"], root["path"], root["format"], root["storage"]),
                         ("root", top, "qcow2", "local"))
        self.assertEqual((root["size"], root["read_only"], root["snapshots"], root["chain"]),
                         (SIZE, False, 1, [base]))
        self.assertLess(root["allocated"], SIZE)
        self.assertEqual((second["name"], second["path"], second["storage"],
                          second["read_only"], second["chain"]),
                         ("second", self.disk, None, True, []))
        text = self.alpha.drover("disk", "list", "web").stdout
        self.assertIn(f"root stands on {base}\n", text)
        self.assertIn("root has snapshots inside: 1\n", text)
        # The definition travels with its disks, to where they are shared.
        self.alpha.drover("vm", "stop", "web", "--now")
        self.assertEqual([(disk["name"], disk["size"], disk["storage"])
                          for disk in self.listed()], [("root", None, "local")])

    def test_a_machine_with_disks_in_its_definition_moves_where_they_are_shared(self):
        self.start_with(key=f"disk root = path={self.disk},format=raw\n",
                        mount_there=f"mount --bind {self.here} {self.folder}")
        self.passes(SHARED)
        self.assertIn(f"disk root = path={self.disk},format=raw,bus=virtio\n",
                      self.beta.machine("web")["definition"])
        self.assertEqual([disk["name"] for disk in self.listed(self.beta)
                          if disk["name"] != "floppy"], ["root"])

    def test_a_machine_that_is_not_there_has_no_list(self):
        self.start()
        done = self.alpha.drover("disk", "list", "web9", check=False)
        self.assertEqual(done.status, 6)

    def listed(self, host=None):
        return (host or self.alpha).drover("disk", "list", "web", "--json").json


class CannotBeTold(Case):
    """A folder in which no file can be made, and no lock that is seen."""

    def setUp(self):
        super().setUp()
        self.copy()

    def test_it_is_refused(self):
        self.start()
        with Immutable(self.here):
            self.refused(UNKNOWN)

    def test_it_passes_where_the_definition_says_so(self):
        """Which can be said of a machine that runs."""
        self.start()
        self.alpha.define(self.definition + f"shared = {self.disk}\n")
        with Immutable(self.here):
            self.passes("is shared, " + TRUSTED)

    def test_of_a_machine_that_runs_nothing_else_can_be_said(self):
        self.start()
        path = self.lab.path("other.machine")
        with open(path, "w", encoding="ascii") as f:
            f.write(self.definition.replace("16M", "32M") + f"shared = {self.disk}\n")
        done = self.alpha.drover("vm", "define", path, check=False)
        self.assertEqual(done.status, 8)
        self.assertIn("runs, so only what its definition says is shared can change", done.stderr)
        self.assertNotIn("shared =", self.alpha.machine("web")["definition"])

    def test_the_definition_does_not_make_another_disk_the_same(self):
        self.start(key=f"shared = {self.disk}\n")
        self.refused(OTHER)


if __name__ == "__main__":
    unittest.main()
