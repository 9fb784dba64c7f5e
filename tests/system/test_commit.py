# SPDX-License-Identifier: MIT
"""Whose word counts, and what a journal that cannot be written does.

The table itself is searched by tests/unit/test_decide.c; these are samples of it with
real daemons and QEMUs.
"""
import glob
import os
import shutil
import signal
import subprocess
import time
import unittest

from lab import needs, slow, wait_for
from lab.host import PROGRAMS

import test_crash_points
from test_crash_points import DOUBT_S, HERE, THERE, Case

TIME_LIMIT = 300
PARALLEL = True


class Immutable:
    """A folder in which nothing can be made or removed, also by root."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        subprocess.run(["chattr", "+i", self.folder], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["chattr", "-i", self.folder], check=True)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class TheOperatorsWord(Case):
    limits = {"outage-limit": "300s"}

    def test_run_here_is_refused_once_commit_was_handed_out_and_the_peer_is_heard(self):
        self.to("source:before-commit-sent", "destination:commit-received")
        self.cut(points=["source:before-commit-sent"])
        self.in_doubt(self.source)
        self.field.link.heal()
        self.field.reached("destination:commit-received")
        word = self.source.drover("job", "resolve", self.job, "--run-here", check=False)
        self.assertNotEqual(word.status, 0)
        self.assertEqual(self.runs_on(), [])
        self.field.go_on()
        self.settled(THERE)

    def test_run_here_is_refused_at_a_destination_whose_source_keeps_the_guest(self):
        self.to("source:before-commit")
        self.source.kill9()
        self.destination.wait_job(self.job, "in-doubt", timeout=DOUBT_S)
        self.source.start()
        self.field.go_on()
        self.destination.drover("job", "resolve", self.job, "--run-here", check=False)
        self.settled(HERE)

    def test_a_source_that_died_before_it_decided_leaves_a_doubt_that_says_so(self):
        self.to("source:before-commit")
        began = time.monotonic()
        self.source.kill9()
        self.destination.wait_job(self.job, "in-doubt", timeout=DOUBT_S)
        # 1 s of switchover-outage-limit, and what one question takes.
        self.assertLess(time.monotonic() - began, 8)
        self.in_doubt(self.destination)
        self.source.start()
        self.field.go_on()
        self.settled(HERE)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class TheJournal(Case):
    def test_an_entry_that_cannot_be_removed_holds_its_machine(self):
        self.to("source:pre-copy")
        with Immutable(os.path.join(self.source.state, "journal")):
            self.source.drover("job", "cancel", self.job)
            self.field.go_on()
            self.source.wait_job(self.job, "in-doubt", timeout=DOUBT_S)
            self.assertIn("journal", self.source.job(self.job)["error"])
            self.assertEqual(self.runs_on(), [HERE])
            again = self.source.drover("move", "guest", self.destination.name, check=False)
            self.assertIn(f"machine guest has been in doubt since job {self.job}", again.stderr)
        self.settled(HERE)

    def test_an_entry_that_is_left_over_does_not_touch_the_guest_that_came_back(self):
        self.to("source:left")
        entry, = glob.glob(os.path.join(self.source.state, "journal", "*.json"))
        kept = self.lab.path("kept.json")
        shutil.copy(entry, kept)
        self.field.go_on()
        self.settled(THERE)
        self.field.move_once_more()
        self.assertEqual(self.field.here, self.source)
        self.source.kill9()
        shutil.copy(kept, entry)
        self.source.start()
        wait_for("the end of the entry", lambda: not os.path.exists(entry), DOUBT_S)
        time.sleep(1)
        self.field.heartbeat()
        self.assertEqual([m["state"] for m in self.source.api("GET", "/v1/machines")],
                         ["running"])

    def test_a_machine_that_has_only_the_name_says_nothing(self):
        """The source's disk is lost with its QEMU, and the machine is defined again."""
        self.addCleanup(self.tearDownClass)
        self.to("source:before-commit-sent")
        self.cut()
        self.nobody_runs_it()
        self.source.kill9()
        for qemu in self.field.qemus(self.source):
            os.kill(qemu, signal.SIGKILL)
        for folder in ("journal", "records", "machines"):
            shutil.rmtree(os.path.join(self.source.state, folder), ignore_errors=True)
        self.source.start()
        self.source.define(self.field.definition)
        self.field.link.heal()
        wait_for("the source's answer", lambda: "neither the move nor the guest" in
                 self.destination.job(self.job)["error"], DOUBT_S)
        self.assertEqual(len(self.field.qemus(self.destination)), 1)
        self.resolve(self.destination, "--run-here")
        wait_for("the guest", lambda: self.runs_on() == [THERE], DOUBT_S)

    def test_a_drop_that_a_kill_cut_short_is_finished(self):
        """The daemon dies when its QEMU has ended, and the entry says "dropped"."""
        self.to("source:before-commit-sent", "destination:dropped")
        self.cut(points=["source:before-commit-sent"])
        self.nobody_runs_it()
        word = self.field.lab.spawn(
            self.destination.drover_argv("job", "resolve", self.job, "--give-up"))
        self.field.reached("destination:dropped")
        self.assertEqual(self.field.qemus(self.destination), [])
        self.destination.kill9()
        word.wait(10)
        self.destination.start()
        self.field.link.heal()
        self.settled(HERE)

    @slow
    def test_a_destination_whose_qemu_hangs_does_not_say_that_it_has_nothing(self):
        """Its daemon was killed too, and looks for what its entry is about."""
        self.to("source:before-commit-sent")
        self.cut(points=[])
        qemu, = self.field.qemus(self.destination)
        os.kill(qemu, signal.SIGSTOP)
        self.addCleanup(test_crash_points.CrashPoints.lift, qemu)
        self.destination.kill9()
        self.destination.start()
        self.field.go_on()
        self.in_doubt(self.source)
        self.destination.wait_job(self.job, "in-doubt", timeout=DOUBT_S)
        self.field.link.heal()
        wait_for("an answer", lambda: "waiting" in self.source.job(self.job)["error"], 25)
        word = self.source.drover("job", "resolve", self.job, "--run-here", check=False)
        self.assertEqual(word.status, 8)
        self.assertIn("was heard", word.stderr)
        self.assertEqual(self.runs_on(), [])
        os.kill(qemu, signal.SIGCONT)
        self.settled(THERE)


if __name__ == "__main__":
    unittest.main()
