# SPDX-License-Identifier: MIT
"""The lab hosts themselves: one with KVM, two with cards between them."""
import os
import unittest

from lab import Lab, labhost, within

TIME_LIMIT = 480

within.labhost_file(globals(), "hosts.py", kvm=True)


@within.labhosts
class Two(unittest.TestCase):
    """They are booted once, for all tests."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        try:
            cls.hosts = labhost.boot(cls.lab, hosts=2, cards=2, packages=["ethtool"],
                                     modules=["sch_netem"])
        except labhost.Impossible as e:
            raise unittest.SkipTest(str(e)) from None

    def test_what_runs_in_each_gives_its_status_its_output_and_its_files(self):
        begun = [host.begin("sh", "-c", 'echo "$LAB_HOST" | tee number; exit "$((LAB_HOST + 2))"',
                            check=False) for host in self.hosts]
        for number, (one, host) in enumerate(zip(begun, self.hosts), 1):
            ended = one.wait()
            self.assertEqual((ended.returncode, ended.stdout), (number + 2, f"{number}\n"))
            with open(os.path.join(host.folder, "number"), encoding="ascii") as f:
                self.assertEqual(f.read(), f"{number}\n")

    def test_they_write_where_they_like_and_nothing_is_changed_out_here(self):
        path = f"/var/lib/{self.lab.id}wrote"
        self.hosts[0].run("sh", "-c", f"echo yes >{path}; grep yes {path}; ls {__file__}")
        self.assertFalse(os.path.exists(path))
        ended = self.hosts[0].run("touch", f"/here{path}", check=False)
        self.assertNotEqual(ended.returncode, 0)

    def test_what_does_not_end_in_its_time_is_ended(self):
        with self.assertRaisesRegex(Exception, "not ended within 1 s"):
            self.hosts[0].run("sleep", "1000", timeout=1)
        left = self.hosts[0].run("pgrep", "-f", "^sleep 1000", check=False)
        self.assertEqual((left.returncode, left.stdout), (1, ""))

    def test_their_cards_reach_each_other_and_a_cable_can_be_pulled(self):
        one, two = self.hosts
        hello = 'import socket; s = socket.create_connection(("10.78.1.2", 22000), 10); ' \
                'print(s.recv(100).decode())'
        answer = 'import socket; s = socket.create_server(("10.78.1.2", 22000)); ' \
                 's.settimeout(20); open("ready", "w"); s.accept()[0].sendall(b"from two")'
        serving = two.begin("python3", "-c", answer)
        one.run("sh", "-c", "until [ -e ../2/ready ]; do sleep 0.1; done")
        self.assertEqual(one.run("python3", "-c", hello).stdout, "from two\n")
        serving.wait()
        self.assertIn("10000Mb/s", one.run("ethtool", "eth1").stdout)
        one.set_link(1, up=False)
        seen = "until [ $(cat /sys/class/net/eth1/carrier) = {} ]; do sleep 0.1; done"
        one.run("sh", "-c", seen.format(0))
        one.set_link(1, up=True)
        one.run("sh", "-c", seen.format(1))


if __name__ == "__main__":
    unittest.main()
