# SPDX-License-Identifier: MIT
"""What systemd leaves to droverd and its QEMUs: little, and enough."""
import os
import shutil
import stat
import subprocess
import unittest

from lab import BUILD, ROOT, Lab, machine, needs, oracle, unit, web
from lab.core import status, wait_for
from lab.field import Field
from lab.host import PROGRAMS

TIME_LIMIT = 120
PARALLEL = True

EXPOSURE, PAGE_EXPOSURE = 40, 15  # tenths
NEEDED = ("systemd-analyze", "setpriv", "unshare")


def needs_systemd(test):
    missing = [p for p in NEEDED if not shutil.which(p)]
    return unittest.skipIf(missing, f"there is no {' and no '.join(missing)}")(test)


@needs_systemd
class Unit(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.unit = self.made(unit.SOURCE, "@sbindir@/droverd", PROGRAMS[0])

    def made(self, source, word, program):
        """The unit, for the program of this build."""
        path = self.lab.path(os.path.basename(source).removesuffix(".in"))
        with open(source, encoding="utf-8") as f, open(path, "w", encoding="utf-8") as to:
            to.write(f.read().replace(word, os.path.join(BUILD, program)))
        return path

    def analyze(self, *words):
        return subprocess.run(["systemd-analyze", *words, self.unit], capture_output=True,
                              text=True, timeout=60)

    def test_its_exposure_is_small(self):
        found = self.analyze("security", "--offline=true", f"--threshold={EXPOSURE}")
        self.assertRegex(found.stdout, r"Overall exposure level for droverd.service: \d+\.\d")
        self.assertEqual(found.returncode, 0, found.stdout[-4000:] + found.stderr)

    @needs(PROGRAMS[0])
    def test_systemd_understands_every_line(self):
        found = self.analyze("verify", "--man=no")
        self.assertNotIn("droverd.service", found.stderr)

    @needs(web.PROGRAM)
    def test_that_of_the_page_is_nearly_none(self):
        self.unit = self.made(os.path.join(ROOT, "dist", "drover-web.service.in"),
                              "@bindir@/drover-web", web.PROGRAM)
        shutil.copy(os.path.join(ROOT, "dist", "drover-web.socket"), self.lab.dir)
        found = self.analyze("security", "--offline=true", f"--threshold={PAGE_EXPOSURE}")
        self.assertEqual(found.returncode, 0, found.stdout[-4000:] + found.stderr)
        self.assertNotIn("drover-web", self.analyze("verify", "--man=no").stderr)

    def test_each_capability_stands_under_its_reason(self):
        """A comment, or the continued one of the line before."""
        with open(unit.SOURCE, encoding="utf-8") as f:
            lines = f.read().splitlines()
        bounds = [i for i, line in enumerate(lines) if line.startswith("CapabilityBoundingSet=")]
        self.assertGreater(len(bounds), 1)
        for i in bounds:
            self.assertTrue(lines[i - 1].startswith("# "), lines[i])


@needs(*PROGRAMS, "guest/drover-stress.elf")
@needs_systemd
class Lives(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        disk = self.lab.path("disk.img")
        with open(disk, "wb") as f:
            f.truncate(8 << 20)
        self.field = Field(self.lab, arguments=[
            "-drive", f"file={disk},if=none,id=disk,format=raw,cache=none",
            "-device", "virtio-blk-pci,drive=disk"])
        for host in (self.field.alpha, self.field.beta):
            host.wrap = unit.wrap()

    def test_with_what_the_unit_leaves_a_machine_moves_there_and_back(self):
        self.there_and_back()

    def test_so_does_one_whose_qemu_is_a_user_of_its_own(self):
        for host in (self.field.alpha, self.field.beta):
            host.settings["host"]["qemu-user"] = "nobody"
        os.chmod(self.lab.dir, 0o711)
        kernel = shutil.copy(machine.STRESS, self.lab.path("kernel"))  # where anybody may go
        self.field.definition = self.field.definition.replace(machine.STRESS, kernel)
        for entry in os.scandir(self.lab.dir):
            if stat.S_ISSOCK(entry.stat().st_mode):  # of the guest's console, and the watch
                os.chmod(entry.path, 0o666)
        self.there_and_back()
        self.assertNotIn("0", status(self.field.pid)["Uid"].split())
        self.assertEqual(status(self.field.pid)["CapBnd"], bits([]))

    def there_and_back(self):
        field = self.field.start()
        for _ in range(2):
            self.assertEqual(field.move().wait()[0], 0, field.logs())
            field.moved()
            field.heartbeat()
            # Written from outside, all but a few.
            bytes_ = field.there.newest_job(role="source")["report"]["bytes"]
            self.assertLess(bytes_["kept"], bytes_["raw"] / 10, bytes_)
            oracle.private_memory(field.pid)
        for host in (field.alpha, field.beta):
            self.assertEqual(status(host.pid)["CapBnd"], bits(unit.capabilities()))
            self.assertEqual(status(host.pid)["NoNewPrivs"], "1")
            self.assertEqual(status(host.pid)["Seccomp"], "2")
            self.assertNotIn("not permitted", host.log_text())
        self.assertEqual(status(field.pid)["Seccomp"], "2")  # QEMU's, too

    def test_a_qemu_of_another_user_is_taken_and_ended(self):
        self.field.alpha.start()
        folder = self.lab.path("others")
        os.mkdir(folder, 0o700)
        os.chown(folder, 65534, 65534)
        os.chmod(self.lab.dir, 0o711)
        qemu = self.lab.spawn(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", machine.QEMU,
             "-name", "other", "-accel", "tcg", "-nodefaults", "-display", "none",
             "-machine", "pc,memory-backend=pc.ram", "-m", "64M",
             "-object", "memory-backend-memfd,id=pc.ram,size=64M,share=on",
             "-qmp", f"unix:{folder}/qmp,server=on,wait=off"], log=self.lab.path("qemu.log"))
        self.addCleanup(qemu.wait)
        self.addCleanup(qemu.kill)
        wait_for("its monitor", lambda: os.path.exists(f"{folder}/qmp"), 20)
        self.field.alpha.drover("vm", "adopt", qemu.pid, "--user", "nobody")
        self.field.alpha.drover("vm", "pause", "other")
        self.assertEqual(self.field.alpha.machine("other")["state"], "paused")
        self.field.alpha.drover("vm", "stop", "other", "--now")
        self.assertIsNotNone(qemu.wait(20))


def bits(names):
    return f"{sum(1 << unit.number_of(name) for name in names):016x}"


if __name__ == "__main__":
    unittest.main()
