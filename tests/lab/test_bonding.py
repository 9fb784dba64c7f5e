# SPDX-License-Identifier: MIT
"""Bonds, in a kernel that has them: what this machine's kernel lacks."""
import os
import shutil
import subprocess
import unittest

from lab import Lab, core, linux, machine

TIME_LIMIT = 240

MAIN = """\
export PATH=/sbin:/usr/sbin:/bin CMOCKA_MESSAGE_OUTPUT=TAP
ip link set lo up
/test_bonding
echo "ended $?"
poweroff -f
"""


class BondingTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        folder, why = linux.kernel()
        if not folder:
            self.skipTest(why)
        if not shutil.which(machine.QEMU):
            self.skipTest(f"{machine.QEMU} is not installed")

    def run_inside(self, program):
        """A program of the unit tests under the lab's kernel; its output."""
        ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
        files = linux.with_libraries(program, ip, "/bin/sh")
        del files[program], files[ip]
        # busybox's shell would run its own ip, which knows less of bonds.
        files.update({"/test_bonding": program, "/sbin/ip": ip, "/bin/sh": "/bin/sh"})
        image = linux.initramfs(self.lab, MAIN, ["bonding", "veth"], files)
        return self.lab.run(
            [machine.QEMU, "-accel", "tcg", "-smp", "1", "-m", "256M", "-nographic",
             "-nodefaults", "-serial", "stdio", "-no-reboot", *linux.arguments(image)],
            timeout=180).stdout

    def test_the_kernel_does_as_told(self):
        program = os.path.join(core.BUILD, "tests", "unit", "test_bonding")
        try:
            text = self.run_inside(program)
        except subprocess.TimeoutExpired as e:
            self.fail(f"the guest did not end: {e.stdout[-2000:]}")
        text = text.replace("\r", "")
        self.assertRegex(text, r"(?m)^ended 0$", text)
        self.assertNotRegex(text, r"# (SKIP|skip)|not ok")
        self.assertGreaterEqual(text.count("\nok "), 5, text)


if __name__ == "__main__":
    unittest.main()
