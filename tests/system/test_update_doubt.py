# SPDX-License-Identifier: MIT
"""Updates of which nobody knows how they ended, and those for which there is no room."""
import os
import signal
import unittest

from lab import slow, wait_for

from test_memory import Group
from test_update import Case, Kill

TIME_LIMIT = 240
PARALLEL = True


class Doubt(Kill):
    """The new QEMU hangs when it is told to run the guest."""

    def hang(self):
        """(the old QEMU, the new one, the job)"""
        first = self.begin()
        go = self.stop_at("update:committed")
        second, = (pid for pid in self.qemus() if pid != first)
        os.kill(second, signal.SIGSTOP)
        with open(go, "w", encoding="ascii"):
            pass
        job = self.host.newest_job(kind="update")["id"]
        said = self.host.wait_job(job, "in-doubt", timeout=40)
        self.assertIn("the new QEMU of web was told to run it", said["error"])
        self.assertIn(f"drover job resolve {job} --run-here", said["advice"])
        self.assertEqual(self.host.machine("web")["state"], "in-doubt")
        self.command.wait(60)
        return first, second, job

    def test_it_answers_in_the_end(self):
        first, second, job = self.hang()
        os.kill(second, signal.SIGCONT)
        self.host.wait_job(job, "done", timeout=40)
        self.whole(first, second)

    @slow
    def test_the_operator_keeps_the_old_one(self):
        first, second, job = self.hang()
        self.host.drover("job", "resolve", job, "--run-here")
        wait_for("the end of the new QEMU", lambda: self.qemus() == [first], 10)
        self.assertNotIn(second, self.qemus())
        self.whole(first)

    @slow
    def test_the_operator_gives_the_old_one_up(self):
        first, second, job = self.hang()
        self.host.drover("job", "resolve", job, "--give-up")
        self.assertEqual(self.qemus(), [second])
        os.kill(second, signal.SIGCONT)
        self.host.drover("vm", "start", "web", check=False)
        wait_for("the guest", lambda: self.watch.running() == [second], 20)
        self.whole(first, second)


class Room(Case):
    LIMIT = 260 << 20

    def setUp(self):
        # Goes last, when its processes have ended.
        self.group = Group(f"drover-test-{os.getpid()}-{id(self):x}", self.LIMIT)
        self.addCleanup(self.group.close)
        super().setUp()

    def test_a_copy_for_which_there_is_no_room_is_refused(self):
        self.guest = {**self.guest, "fill": "100M"}
        self.host.stop()
        self.host.wrap = self.group.wrap
        self.host.start()
        first = self.begin(memory="128M")
        done = self.update(check=False)
        self.assertEqual(done.status, 8, done.stderr)
        self.assertRegex(done.stderr, r"machine web is copied into a second QEMU here: the machine "
                                      r"needs \S+ MiB of memory and alpha has \S+ .iB")
        self.whole(first)


if __name__ == "__main__":
    unittest.main()
