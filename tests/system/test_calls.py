# SPDX-License-Identifier: MIT
"""Who may call what of the control API, and what is known afterwards of who did."""
import grp
import os
import shutil
import socket
import struct
import subprocess
import unittest

from lab import Lab, needs
from lab.host import PROGRAMS, Answer, ApiError, Host
from lab.network import Network

TIME_LIMIT = 120
PARALLEL = True

NOBODY = 65534
# Groups that every Debian has, in place of drover and drover-read.
ACTS, LOOKS = "users", "games"


@needs(*PROGRAMS)
class Case(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, links=1, rate=None)
        self.host = Host(self.lab, "alpha", network["alpha"], network.addresses("alpha"))
        self.host.settings["host"].update({"group": ACTS, "read-group": LOOKS})
        self.looks = self.host.socket + "-read"
        # Others have to reach the sockets, and the program.
        for folder in (self.lab.dir, self.host.dir):
            os.chmod(folder, 0o755)
        self.program = self.lab.path("drover")
        shutil.copy(os.path.join(self.host.build, PROGRAMS[1]), self.program)

    def drover(self, *words, group=None, uid=NOBODY):
        """As another user, who is a member of this group."""
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        groups = [grp.getgrnam(group).gr_gid] if group else []
        done = subprocess.run([self.program, "-S", self.host.socket, *words],
                              capture_output=True, text=True, timeout=60, env=self.lab.environ,
                              user=uid, group=NOBODY, extra_groups=groups)
        return Answer(done.returncode, done.stdout, done.stderr)

    def calls(self):
        return self.host.api("GET", "/v1/log/calls")


class Who(Case):
    def test_a_member_acts_a_reader_looks_and_others_do_neither(self):
        self.host.start()
        self.assertEqual(self.drover("vm", "list", group=LOOKS).status, 0)
        self.assertEqual(self.drover("log", group=LOOKS).status, 0)
        refused = self.drover("host", "set", "move.timeout", "7s", group=LOOKS)
        self.assertEqual(refused.status, 8, refused.stderr)
        self.assertIn("user 65534 may only look here, and 'host set' changes something",
                      refused.stderr)
        for words in (("vm", "list"), ("host", "set", "move.timeout", "7s")):
            stranger = self.drover(*words)
            self.assertEqual(stranger.status, 7, stranger.stderr)
            self.assertIn("those of drover-read may look", stranger.stderr)
        self.assertEqual(self.calls(), [])  # what was refused pushes nothing out of it
        self.assertIn("(uid 65534, process", self.host.log_text())  # and is known

        self.assertEqual(self.drover("host", "set", "move.timeout", "7s", group=ACTS).status, 0)
        self.assertEqual([c["uid"] for c in self.calls()], [NOBODY])

    def test_the_reading_socket_changes_nothing_for_root_either(self):
        self.host.start()
        self.host.socket, socket_path = self.looks, self.host.socket
        with self.assertRaises(ApiError) as refused:
            self.host.api("PUT", "/v1/log", {"level": "debug"})
        self.assertEqual(refused.exception.status, 403)
        self.assertEqual(self.host.api("GET", "/v1/log"), {"level": "info"})
        self.host.socket = socket_path
        self.host.stop()
        self.assertFalse(os.path.exists(self.looks))

    def test_whose_connection_it_is_counts_and_not_who_can_reach_the_file(self):
        self.host.start()
        os.chmod(self.looks, 0o666)
        os.chmod(self.host.socket, 0o666)
        stranger = self.drover("vm", "list")
        self.assertEqual(stranger.status, 8, stranger.stderr)
        self.assertIn("user 65534 may not use this service", self.host.log_text())

    def test_without_a_group_nobody_has_a_socket_for_looking(self):
        self.host.settings["host"]["read-group"] = "no-such-group"
        self.host.start()
        self.assertFalse(os.path.exists(self.looks))
        self.assertEqual(self.drover("vm", "list", group=LOOKS).status, 7)


class Noted(Case):
    def test_drover_log_says_who_did_what_and_what_came_of_it(self):
        self.host.start()
        self.host.define("[machine]\nname = web1\nmemory = 64M\n")
        self.host.drover("host", "set", "move.timeout", "7s")
        self.host.drover("vm", "stop", "web9", "--now", check=False)
        self.host.drover("vm", "list")

        define, change, stop = self.calls()
        self.assertEqual((define["action"], define["name"], define["status"]),
                         ("vm define", "web1", 200))
        self.assertEqual(change["details"], 'setting=move.timeout values=["7s"]')
        self.assertEqual((stop["status"], stop["name"]), (404, "web9"))
        self.assertIn("web9", stop["error"])
        for call in (define, change, stop):
            self.assertEqual((call["uid"], call["process"]), (os.geteuid(), "drover"))

        shown = self.host.drover("log").stdout.splitlines()
        self.assertEqual(shown[0].split(), ["TIME", "USER", "PROCESS", "WHAT", "RESULT"])
        self.assertRegex(shown[1], r"^\d{4}-\d\d-\d\d [\d:]{8}  \S+.*  \d+ drover +"
                                   r"vm define web1 file=/\S+/definition +done$")
        self.assertIn("vm stop --now web9", shown[3])
        self.assertEqual(len(shown), 4)
        self.assertEqual(self.host.drover("log", "--last", "1").stdout.splitlines()[1].split(),
                         shown[3].split())
        self.assertEqual(self.host.drover("log", "--last", "0", check=False).status, 2)
        self.assertEqual(self.host.drover("log", "--json").json, [define, change, stop])
        self.assertRegex(self.host.log_text(), r"\(uid 0.*, process \d+ drover\): "
                                               r"vm define web1 file=/\S+: done")

    def test_it_is_known_after_a_kill_too(self):
        self.host.start()
        self.host.drover("log", "level", "debug")
        self.host.kill9()
        self.host.start()
        self.assertEqual([(c["action"], c["details"]) for c in self.calls()],
                         [("log level", "level=debug")])

    def test_the_journal_has_it_in_fields(self):
        path = self.lab.path("journal")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(path)
            journal.settimeout(10)
            # As systemd does it: standard error is the journal's.
            self.host.wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                              "mount -t tmpfs run /run && mkdir -p /run/systemd/journal && "
                              'ln -s "$0" /run/systemd/journal/socket && '
                              "export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/$$/fd/2) && "
                              'exec "$@"', path]
            self.host.start()
            self.host.drover("host", "set", "move.timeout", "7s")
            fields = native(journal.recv(16384))
        self.assertEqual(fields["DROVER_ACTION"], "host set")
        self.assertEqual(fields["DROVER_DETAILS"], 'setting=move.timeout values=["7s"]')
        self.assertEqual(fields["DROVER_STATUS"], "200")
        self.assertEqual(fields["DROVER_UID"], str(os.geteuid()))
        self.assertEqual(fields["DROVER_PROCESS"], "drover")
        self.assertEqual(len(fields["MESSAGE_ID"]), 32)
        self.assertIn(f"process {fields['OBJECT_PID']} drover): host set", fields["MESSAGE"])
        self.assertNotIn("host set", self.host.log_text())  # once


def native(datagram):
    """The fields of the journal's own protocol."""
    fields = {}
    while datagram:
        name, datagram = datagram.split(b"\n", 1)
        size, = struct.unpack("<Q", datagram[:8])
        fields[name.decode()] = datagram[8:8 + size].decode()
        assert datagram[8 + size:9 + size] == b"\n"
        datagram = datagram[9 + size:]
    return fields


if __name__ == "__main__":
    unittest.main()
