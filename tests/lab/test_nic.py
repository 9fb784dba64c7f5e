# SPDX-License-Identifier: MIT
"""Bonds and receive queues, in a kernel and on a card that have them: unit
tests that are skipped on most machines run in a guest here."""
import os
import shutil
import socket
import subprocess
import threading
import unittest

from lab import Lab, core, linux, machine
from lab.network import Namespace

TIME_LIMIT = 300
PARALLEL = True

BONDING = """\
export PATH=/sbin:/bin CMOCKA_MESSAGE_OUTPUT=TAP
ip link set lo up
/test_bonding
echo "ended $?"
poweroff -f
"""
RSS = """\
export PATH=/sbin:/bin CMOCKA_MESSAGE_OUTPUT=TAP
ip link set lo up
ip link set eth0 up
ip addr add 10.7.9.2/24 dev eth0
DROVER_TEST_RSS=eth0,10.7.9.2,6600,10.7.9.1,41000 /test_rss
echo "ended $?"
poweroff -f
"""
QUEUES = 4


class NicTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        folder, why = linux.kernel()
        if not folder:
            self.skipTest(why)
        if not shutil.which(machine.QEMU):
            self.skipTest(f"{machine.QEMU} is not installed")

    def run_inside(self, name, main, modules, *qemu, **where):
        """A program of the unit tests under the lab's kernel: none of its
        tests may fail or be skipped.  Gives how many there were."""
        program = os.path.join(core.BUILD, "tests", "unit", name)
        ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
        files = linux.with_libraries(program, ip, "/bin/sh")
        del files[program], files[ip]
        # busybox's shell would run its own ip, which knows less of bonds.
        files.update({f"/{name}": program, "/sbin/ip": ip, "/bin/sh": "/bin/sh"})
        image = linux.initramfs(self.lab, main, modules, files)
        try:
            text = self.lab.run(
                [machine.QEMU, "-accel", "tcg", "-m", "256M", "-nographic", "-nodefaults",
                 "-serial", "stdio", "-no-reboot", *linux.arguments(image), *qemu],
                timeout=140, **where).stdout.replace("\r", "")
        except subprocess.TimeoutExpired as e:
            self.fail(f"the guest did not end: {(e.stdout or b'')[-2000:]}")
        self.assertRegex(text, r"(?m)^ended 0$", text)
        self.assertNotRegex(text, r"# (SKIP|skip)|not ok")
        return text.count("\nok ")

    def test_flows_take_the_member_of_a_bond_that_was_told(self):
        self.assertGreaterEqual(
            self.run_inside("test_bonding", BONDING, ["bonding", "veth"]), 5)

    def test_flows_come_by_the_receive_queue_that_was_told(self):
        network = Namespace(self.lab, "outside")
        try:
            network.run("ip", "tuntap", "add", "dev", "t0", "mode", "tap", "multi_queue")
        except core.Failed as e:
            self.skipTest(f"no tap device with several queues: {e}")
        network.run("ip", "address", "add", "10.7.9.1/24", "dev", "t0")
        network.run("ip", "link", "set", "t0", "up")
        ended = threading.Event()
        sender = threading.Thread(target=network.inside, args=(send_until, ended))
        sender.start()
        self.addCleanup(sender.join)
        self.addCleanup(ended.set)
        self.assertEqual(self.run_inside(
            "test_rss", RSS, ["virtio_pci", "virtio_net"], "-smp", str(QUEUES),
            "-netdev", f"tap,id=n0,ifname=t0,script=no,downscript=no,vhost=off,queues={QUEUES}",
            "-device", "virtio-net-pci,netdev=n0,romfile=,mq=on,rss=on,hash=on,"
            f"vectors={2 * QUEUES + 2}",
            namespace=network), 1)


def send_until(ended):
    """Datagrams from many ports, as long as somebody wants them."""
    sockets = []
    for port in range(41000, 41050):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("10.7.9.1", port))
        sockets.append(s)
    while not ended.wait(0.1):
        for s in sockets:
            try:
                s.sendto(b"x", ("10.7.9.2", 6600))
            except OSError:
                pass  # nobody is there yet
    for s in sockets:
        s.close()


if __name__ == "__main__":
    unittest.main()
