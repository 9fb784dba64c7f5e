# SPDX-License-Identifier: MIT
"""What fails before the commit leaves the guest where it was, and nothing else.

Seven things that go wrong, each while the move is set up, in pre-copy, and while
the guest is stopped for the switchover.  Afterwards, every time: the guest shows
a sign of life at the source within two seconds, the job says in one line what
happened, `drover move` ends with the status of that failure, nothing is left on
either host, and the next move succeeds.
"""
import json
import os
import signal
import time
import unittest

from lab import Failed, Lab, Stolen, needs, qemu10, slow, wait_for
from lab import machine
from lab.field import SLOW, Field
from lab.host import PROGRAMS, exit_status

TIME_LIMIT = 400
PARALLEL = True
AGAIN_S = 2.0
MOMENTS = ("set_up", "pre_copy", "switchover")


class Case(unittest.TestCase):
    """One field for all tests of a class, until one fails."""
    field = lab = None

    @classmethod
    def make(cls):
        return Field(cls.lab).start()

    @classmethod
    def tearDownClass(cls):
        if cls.lab:
            cls.lab.close()
        cls.field = cls.lab = None

    def setUp(self):
        self.taken = Stolen()
        cls = type(self)
        if not cls.field:
            cls.tearDownClass()
            cls.lab = Lab()
            cls.field = cls.make()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            type(self).tearDownClass()

    # -- the moments
    def go_to(self, moment):
        """A move that stands at the moment; inject, then field.go_on()."""
        return getattr(self, f"to_{moment}")()

    def to_set_up(self):
        """The destination has started its QEMU and has not answered yet."""
        self.field.faults(there="destination:started")
        move = self.field.move()
        self.field.reached("destination:started")
        return move

    def to_pre_copy(self):
        """Pages travel, slower than the guest writes."""
        self.field.faults()
        self.field.link.shape(SLOW)
        move = self.field.move("--downtime-limit", "1ms")
        wait_for("pre-copy", lambda: self.job()["progress"]["bytes_sent"] > 1 << 20, 20, 0.05)
        return move

    def to_switchover(self):
        """The guest has been stopped, with seconds of pages left to send."""
        self.field.faults(here="source:switchover")
        self.field.link.shape(SLOW)
        # An eighth of it is what QEMU goes by.
        move = self.field.move("--downtime-limit", "80s")
        self.field.reached("source:switchover")
        return move

    def job(self):
        try:
            return self.field.here.newest_job(role="source")
        except Failed:
            return {"progress": {"bytes_sent": 0}}

    # -- what must hold
    def check(self, move, moment, injected, states=("failed",), again=True):
        field = self.field
        status, errors = move.wait()
        self.guest_goes_on(moment, injected)
        for host in (field.here, field.there):
            if not host.running():
                host.start()
        job = self.job()
        self.assertIn(job["state"], states)
        self.assertEqual(status, exit_status(job), errors)
        self.assertTrue(job["error"])
        self.assertNotIn("\n", job["error"])
        # All that it says, besides that it waited for a daemon that was away.
        told = [x for x in errors.splitlines() if "droverd is away" not in x]
        if job["state"] == "failed":
            self.assertEqual(told, [f"drover: move guest: {job['error']}"])
        print(f"{self.id().split('.')[-1]}: {job['error']}")
        field.settle()
        self.assertEqual(field.both_at_once(), [])
        if again:
            field.move_once_more()
            field.settle()
            self.assertEqual(field.both_at_once(), [])
        return job

    def guest_goes_on(self, moment, injected):
        """Within two seconds from when it happened."""
        field = self.field

        def first():
            return next((x for x in field.console.heartbeats()
                         if x.pid == field.pid and x.at > injected), None)
        self.assertLess(wait_for("a heartbeat", first, 10).at - injected,
                        AGAIN_S + self.taken.seconds(), moment)
        self.assertEqual(field.watch.running(), [field.pid])
        field.heartbeat(timeout=2)


def injected(field, act):
    """Do it; the moment it was done."""
    at = time.monotonic()
    act()
    field.go_on()
    return at


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Failures(Case):
    # A whole second move after one fault at each moment, and after each fault once.
    again = {"qemu_killed_at_set_up", "destination_killed_at_pre_copy",
             "source_killed_at_switchover", "network_cut_at_switchover",
             "cancelled_at_switchover"}

    def qemu_killed(self, moment):
        """The destination's QEMU is killed."""
        move = self.go_to(moment)
        pid, = self.field.qemus(self.field.there)
        return move, injected(self.field, lambda: os.kill(pid, signal.SIGKILL)), ("failed",)

    def destination_killed(self, moment):
        """The destination's droverd is killed with -9."""
        move = self.go_to(moment)
        return move, injected(self.field, self.field.there.kill9), ("failed",)

    def source_killed(self, moment):
        """The source's droverd is killed with -9, and started again a second later."""
        move = self.go_to(moment)
        at = injected(self.field, self.field.here.kill9)
        time.sleep(1)
        self.field.here.start()
        return move, at, ("failed",)

    def network_cut(self, moment):
        """What is sent is lost, silently, and for good."""
        move = self.go_to(moment)
        return move, injected(self.field, self.field.link.blackhole), ("failed",)

    def cancelled(self, moment):
        """`drover job cancel`."""
        move = self.go_to(moment)
        job = self.job()["id"]
        return move, injected(self.field, lambda: self.field.here.drover(
            "job", "cancel", job)), ("cancelled",)

    def walk(self, fault, moment):
        name = f"{fault}_at_{moment}"
        self.addCleanup(self.mend)
        move, at, states = getattr(self, fault)(moment)
        again = name in self.again
        if fault != "network_cut":
            self.check(move, moment, at, states, again)
            return
        # Both hosts clean up while they cannot reach each other.
        self.check(move, moment, at, states, again=False)
        self.field.link.heal()
        if again:
            self.field.move_once_more()
            self.field.settle()

    def mend(self):
        if self.field:
            self.field.link.heal()
            self.field.link.shape("1gbit")


def add_walks():
    def walk(fault, moment):
        def test(self):
            self.walk(fault, moment)
        test.__doc__ = f"{getattr(Failures, fault).__doc__} At: {moment}."
        return test

    for fault in ("qemu_killed", "destination_killed", "source_killed", "network_cut",
                  "cancelled"):
        for moment in MOMENTS:
            test = walk(fault, moment)
            setattr(Failures, f"test_{fault}_at_{moment}",
                    slow(test) if moment == "set_up" else test)


add_walks()


@needs(*PROGRAMS, "guest/drover-stress.elf")
class MemoryFull(Case):
    """The guest's memory is a file in a folder, on the destination a tmpfs that
    is too small: the only kind of full that does not hurt the build machine."""
    size = "128M"

    @classmethod
    def make(cls):
        folder = cls.lab.path("ram")
        os.mkdir(folder)
        field = Field(cls.lab, arguments=[
            "-object", f"memory-backend-file,id=ram0,size=64M,share=on,mem-path={folder}",
            "-numa", "node,memdev=ram0"])
        field.beta.small_folder(folder, cls.size)
        cls.folder = folder
        return field.start()

    def walk(self, moment, limit):
        self.field.link.shape(SLOW)
        self.field.faults(here="source:switchover" if moment == "switchover" else ())
        full = self.field.beta.fill(self.folder) if moment == "pre_copy" else None
        move = self.field.move("--downtime-limit", limit)
        if moment == "switchover":
            self.field.reached("source:switchover")
            full = self.field.beta.fill(self.folder)
        at = time.monotonic()
        self.field.go_on()
        job = self.check(move, moment, at, again=False)
        self.assertIn("No space left on device", job["error"])
        os.unlink(full)
        self.field.faults()
        self.field.move_once_more()
        self.field.settle()
        # back to where there is room
        self.field.move_once_more()

    def test_memory_full_at_pre_copy(self):
        self.walk("pre_copy", "1ms")

    def test_memory_full_at_switchover(self):
        self.walk("switchover", "80s")


@needs(*PROGRAMS, "guest/drover-stress.elf")
class NotEnoughMemory(Case):
    """A machine as large as the host, some of which is in use."""

    @classmethod
    def make(cls):
        with open("/proc/meminfo", encoding="ascii") as f:
            total = int(f.readline().split()[1])
        return Field(cls.lab, memory=f"{total // 1024 - 64}M").start()

    def test_memory_full_at_set_up(self):
        at = time.monotonic()
        job = self.check(self.field.move(), "set_up", at, again=False)
        self.assertRegex(job["error"], r"needs .* of memory and beta has ")


WRAPPER = """#!/bin/bash
# The destination's QEMU: as the file `mode` says, other than the source's.
mode=$(cat {mode})
case " $* " in *" -incoming "*) ;; *) mode=same ;; esac
case $mode in
moved) set -- "${{@/addr=0x6/addr=0x7}}" ;;
refused) set -- "$@" -device isa-serial,chardev=nowhere ;;
esac
exec {qemu} "$@"
"""


class Refusal(Case):
    # A slot with the device's ROM, a RAM block of its own, or without one.
    device = "e1000,addr=0x6"

    @classmethod
    def make(cls):
        wrapper, cls.mode = cls.lab.path("qemu"), cls.lab.path("mode")
        cls.set_mode("same")
        with open(wrapper, "w", encoding="ascii") as f:
            f.write(WRAPPER.format(mode=cls.mode, qemu=machine.QEMU))
        os.chmod(wrapper, 0o755)
        return Field(cls.lab, arguments=["-device", cls.device], there_qemu=wrapper).start()

    @classmethod
    def set_mode(cls, mode):
        with open(cls.mode, "w", encoding="ascii") as f:
            f.write(mode)

    def refuse(self, mode, pattern, moment):
        self.set_mode(mode)
        move = self.field.move("--downtime-limit", "2s")
        move.wait()
        job = self.check(move, moment, time.monotonic(), again=False)
        self.assertRegex(job["error"], pattern)
        self.set_mode("same")
        self.field.move_once_more()
        self.field.settle()
        self.assertEqual(self.field.both_at_once(), [])
        self.field.move_once_more()


@needs(*PROGRAMS, "guest/drover-stress.elf")
class RefusedDevice(Refusal):
    def test_device_refused_at_set_up(self):
        """The destination's QEMU does not start with it."""
        self.refuse("refused", "chardev.*nowhere", "set_up")

    def test_device_refused_at_pre_copy(self):
        """The device's ROM is a RAM block, which is asked for at the beginning."""
        self.refuse("moved", "e1000", "pre_copy")


@needs(*PROGRAMS, "guest/drover-stress.elf")
class RefusedDeviceState(Refusal):
    device = "e1000,addr=0x6,romfile="

    def test_device_refused_at_switchover(self):
        """Without a ROM only its state, which comes last, finds no device."""
        self.refuse("moved", "e1000", "switchover")


@unittest.skipIf(qemu10()[0] is None, f"no QEMU 10: {qemu10()[1]}")
@needs(*PROGRAMS, "guest/drover-stress.elf")
class UnknownDevice(Case):
    """QEMU 10 knows a device that 7.2 does not: found by comparing."""

    @classmethod
    def make(cls):
        return Field(cls.lab, qemu=qemu10()[0], there_qemu=machine.QEMU,
                     machine_type="pc-q35-7.2", arguments=["-device", "igb"]).start()

    def test_device_unknown_at_set_up(self):
        at = time.monotonic()
        job = self.check(self.field.move(), "set_up", at, again=False)
        self.assertIn("QEMU on beta has no device igb", job["error"])
        found = self.field.here.drover("compare", "guest", "beta", "--json", check=False)
        self.assertEqual(found.status, 8)
        self.assertFalse(json.loads(found.stdout)["ok"])


if __name__ == "__main__":
    unittest.main()
