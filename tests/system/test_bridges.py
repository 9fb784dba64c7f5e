# SPDX-License-Identifier: MIT
"""Cards of machines on bridges of their hosts: real bridges, in the hosts' namespaces."""
import os
import socket
import unittest

from lab import Lab, machine, needs, wait_for
from lab.field import Move
from lab.host import PROGRAMS, Host, connect
from lab.network import Network, can_tap
from lab.qmp import QMP

TIME_LIMIT = 120
PARALLEL = True
RARP = 0x8035
MAC = "52:54:00:aa:bb:cc"


@unittest.skipUnless(can_tap(), "no tap can be made here (/dev/net/tun, CAP_NET_ADMIN)")
@needs(*PROGRAMS)
class Bridges(unittest.TestCase):
    confined = True

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        os.chmod(self.lab.dir, 0o711)
        network = Network(self.lab, ("alpha", "beta"))
        user = {"qemu-user": "daemon" if os.geteuid() == 0 and
                not os.environ.get("DROVER_UNSHARED") else "root"}
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, network[name], network.addresses(name),
                 settings={"host": user})
            for name in ("alpha", "beta")))
        self.confined = user["qemu-user"] != "root"
        self.alpha.namespace.bridge("br0", 1400)
        self.alpha.namespace.bridge("br1")
        self.beta.namespace.bridge("vmbr1")
        self.beta.namespace.bridge("br1")
        self.alpha.settings["bridge lan"] = {"device": "br0"}
        self.beta.settings["bridge lan"] = {"device": "vmbr1"}
        self.alpha.start()
        self.beta.start()

    def define(self, *lines, host=None, check=True, arguments=()):
        text = machine.definition("web", *machine.boot_sector_arguments(self.lab), "-chardev",
                                  "socket,id=own,path=${dir}/own.sock,server=on,wait=off", "-mon",
                                  "chardev=own,mode=control", *arguments, memory="16M")
        path = self.lab.path("web.machine")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "\n".join(lines) + "\n")
        return (host or self.alpha).drover("vm", "define", path, check=check)

    def start(self, *lines):
        self.define(*lines)
        self.alpha.drover("vm", "start", "web")

    @staticmethod
    def taps(host):
        return host.namespace.taps()

    def cards(self, host):
        """What QEMU says of its cards."""
        q = QMP(os.path.join(host.run_dir, "machines", "web", "own.sock"))
        try:
            return q("human-monitor-command", **{"command-line": "info network"})
        finally:
            q.close()

    def listen(self, host, bridge):
        """What cards of guests say of themselves on a bridge."""
        def make():
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(RARP))
            s.bind((bridge, RARP))
            s.settimeout(10)
            return s
        s = host.namespace.inside(make)
        self.addCleanup(s.close)
        return s

    @staticmethod
    def sender(frame):
        return frame[6:12].hex(":")

    # -- a machine has its cards

    def test_a_tap_is_there_while_the_machine_runs(self):
        self.start("nic lan = bridge=lan", f"nic back = bridge=br1,mac={MAC},model=e1000")
        taps = self.taps(self.alpha)
        self.assertEqual(set(taps), {"br0", "br1"})
        self.assertEqual(taps["br0"]["mtu"], 1400)
        self.assertEqual(taps["br0"]["ifalias"], "drover: web, nic lan")
        self.assertEqual(taps["br1"]["address"], "fe" + MAC[2:])
        self.assertIn("UP", taps["br1"]["flags"])
        self.assertEqual(taps["br1"]["inet6_addr_gen_mode"], "none")
        self.assertIn(f"model=e1000,macaddr={MAC}", self.cards(self.alpha))
        ours = [os.readlink(f"/proc/{self.alpha.pid}/fd/{n}")
                for n in os.listdir(f"/proc/{self.alpha.pid}/fd")]
        self.assertNotIn("/dev/net/tun", ours)
        self.alpha.drover("vm", "stop", "web", "--now")
        wait_for("no tap after the stop", lambda: not self.taps(self.alpha), 5)
        self.alpha.drover("vm", "start", "web")
        self.assertEqual(self.taps(self.alpha)["br0"]["address"], taps["br0"]["address"])
        os.kill(self.alpha.machine("web")["pid"], 9)
        wait_for("no tap after the crash", lambda: not self.taps(self.alpha), 5)

    def test_the_address_is_fixed_by_the_definition(self):
        self.define("nic lan = bridge=lan")
        shown = self.alpha.machine("web")["definition"]
        self.assertRegex(shown, r"nic lan = bridge=lan,mac=52:54(:[0-9a-f]{2}){4},"
                                r"model=virtio-net-pci\n")
        self.alpha.drover("vm", "start", "web")
        mac = shown.split("mac=")[1][:17]
        self.assertIn(f"macaddr={mac}", self.cards(self.alpha))

    # -- moves

    def test_cards_move_and_are_announced_once_the_guest_runs(self):
        self.start("nic lan = bridge=lan", f"nic back = bridge=br1,mac={MAC}")
        before = self.taps(self.alpha)
        ear = self.listen(self.beta, "br1")
        self.alpha.drover("move", "web", "beta", "--paused")
        ear.settimeout(0)
        with self.assertRaises(BlockingIOError):
            ear.recv(2048)
        wait_for("no tap at the source", lambda: not self.taps(self.alpha), 5)
        after = self.taps(self.beta)
        self.assertEqual(set(after), {"vmbr1", "br1"})
        self.assertEqual(after["vmbr1"]["address"], before["br0"]["address"])
        self.assertIn(f"macaddr={MAC}", self.cards(self.beta))
        ear.settimeout(10)
        self.beta.drover("vm", "resume", "web")
        self.assertEqual(self.sender(ear.recv(2048)), MAC)
        # And back, running.
        ear = self.listen(self.alpha, "br1")
        self.beta.drover("move", "web", "alpha")
        self.assertEqual(self.sender(ear.recv(2048)), MAC)
        self.assertEqual(self.taps(self.beta), {})
        self.assertEqual(set(self.taps(self.alpha)), {"br0", "br1"})

    def test_nothing_is_left_of_a_move_that_failed(self):
        point = self.lab.path("started")
        self.beta.restart(fault=f"destination:started=wait:{point}")
        self.start("nic lan = bridge=lan")
        move = Move(self.alpha, self.alpha.drover_argv("move", "web", "beta"))
        wait_for("a QEMU at the destination", lambda: os.path.exists(point + ".reached"), 20)
        self.assertEqual(set(self.taps(self.beta)), {"vmbr1"})
        self.alpha.drover("job", "cancel", self.alpha.newest_job(kind="move")["id"])
        with open(point, "w", encoding="ascii"):
            pass
        self.assertEqual(move.wait()[0], 3)
        wait_for("no tap at the destination", lambda: not self.taps(self.beta), 10)
        self.assertEqual(set(self.taps(self.alpha)), {"br0"})
        self.assertEqual(self.alpha.machine("web")["state"], "running")

    # -- what is wrong

    def test_a_bridge_that_is_not_there_is_named(self):
        self.define("nic lan = bridge=br7")
        done = self.alpha.drover("vm", "start", "web", check=False)
        self.assertEqual(done.status, 1)
        self.assertIn("nic lan: br7 is no bridge of this host", done.stderr)
        self.assertEqual(self.taps(self.alpha), {})
        self.alpha.namespace.bridge("br7")
        self.alpha.drover("vm", "start", "web")
        done = self.alpha.drover("compare", "web", "beta", check=False)
        self.assertIn("nic lan on beta: br7 is no bridge of this host", done.stdout + done.stderr)
        done = self.alpha.drover("move", "web", "beta", check=False)
        self.assertEqual(done.status, 8)
        self.assertIn("br7", done.stderr)

    def test_what_a_nic_cannot_be(self):
        for line, words in (
                ("nic = bridge=br0", "write nic NAME = bridge=br0"),
                ("nic lan = mac=52:54:00:00:00:01", "stands on no bridge"),
                ("nic lan = bridge=br0,mac=53:54:00:00:00:01", "its first number has to be even"),
                ("nic lan = bridge=br0,mac=5:54:00:00:00:01", "is no address of a card"),
                ("nic lan = bridge=br0,script=/x", "a nic has bridge=, mac= and model="),
                ("nic lan = bridge=br0\nnic lan = bridge=br0", "nic lan is there twice"),
                ("nic a/b = bridge=br0", "is no name of a nic")):
            with self.subTest(line=line):
                done = self.define(line, check=False)
                self.assertEqual(done.status, 2)
                self.assertIn(words, done.stderr)

    def test_cards_among_the_arguments(self):
        if not self.confined:
            self.skipTest("needs root, with all user numbers")
        self.define(arguments=("-nic", f"bridge,br=br1,mac={MAC},model=virtio"))
        shown = self.alpha.machine("web")["definition"]
        self.assertIn(f"nic net0 = bridge=br1,mac={MAC},model=virtio-net-pci\n", shown)
        self.assertNotIn("-nic", shown)
        self.alpha.drover("vm", "start", "web")
        self.assertEqual(set(self.taps(self.alpha)), {"br1"})
        self.alpha.drover("vm", "stop", "web", "--now")
        for arguments, words in (
                (("-netdev", "bridge,id=n,br=br1", "-device", f"e1000,netdev=n,mac={MAC}"),
                 f"write 'nic net0 = bridge=br1,mac={MAC},model=e1000' in place of it and of its "
                 "-device"),
                (("-nic", "tap,ifname=t0,script=no"), "write 'nic net0 = bridge=BRIDGE,")):
            with self.subTest(arguments=arguments):
                done = self.define(arguments=arguments, check=False)
                self.assertEqual(done.status, 2)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
