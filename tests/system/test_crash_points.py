# SPDX-License-Identifier: MIT
"""At each point of the commit: who runs the guest when something dies there?

Either daemon is killed with -9 and started again, or the network is cut, for
some seconds or for good.  The guest runs on exactly one host, or on none and
then `drover job show` says so and names the command that decides; never on two.
That is judged by what each QEMU says of itself all the time (lab.watch), and by
the heartbeats of the guest.

EXPECTED is the table of docs/commit.md, "Where it can be cut in two".
"""
import os
import shutil
import signal
import struct
import time
import unittest
from collections import namedtuple

from lab import Failed, Lab, machine, needs, slow, wait_for
from lab.authority import trust
from lab.booted import CGROUPS
from lab.field import Field
from lab.host import PROGRAMS
from lab.network import can_tap

TIME_LIMIT = 900
PARALLEL = True
AWAY_S = 0.5        # a daemon that was killed comes back after this
CUT_S = 2.5         # longer than both outage limits of the switchover
DOUBT_S = 15

# Who has the guest in the end, without an operator: after the source's, the
# destination's daemon was killed, after a cut that was mended, and one that was
# not.  A message that has just been sent may arrive before the fault, or not.
Row = namedtuple("Row", "kill_source kill_destination cut never")
HERE, THERE, DOUBT = "source", "destination", "in doubt"
EITHER = (HERE, THERE)
EXPECTED = {
    "destination:loaded": Row(HERE, HERE, HERE, HERE),
    "destination:loaded-sent": Row(EITHER, EITHER, EITHER, (THERE, DOUBT)),
    "source:before-commit": Row(HERE, THERE, THERE, DOUBT),
    "source:before-commit-sent": Row(THERE, THERE, THERE, DOUBT),
    "source:commit-sent": Row(THERE, THERE, THERE, (THERE, DOUBT)),
    "destination:commit-received": Row(THERE, THERE, THERE, THERE),
    "destination:running": Row(THERE, THERE, THERE, THERE),
    "destination:running-sent": Row(THERE, THERE, THERE, THERE),
    "destination:registered": Row(THERE, THERE, THERE, THERE),
    "source:running": Row(THERE, THERE, THERE, THERE),
    "source:ended": Row(THERE, THERE, THERE, THERE),
    "source:left": Row(THERE, THERE, THERE, THERE),
}
# Of the table above, what the quick run does.
QUICK = {("destination:loaded", "the_source_is_killed"),
         ("destination:loaded-sent", "the_network_is_cut"),
         ("source:before-commit", "the_network_is_cut_for_good"),
         ("source:before-commit-sent", "the_source_is_killed"),
         ("source:before-commit-sent", "the_destination_is_killed"),
         ("destination:commit-received", "the_destination_is_killed"),
         ("destination:running", "the_network_is_cut"),
         ("source:ended", "the_source_is_killed")}


def group_of(pid):
    """Its control group of version 2, below the root of all."""
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
        return next((line.strip()[3:] for line in f if line.startswith("0::")), "/")


class Case(unittest.TestCase):
    lab = field = None
    limits = None

    @classmethod
    def tearDownClass(cls):
        if cls.lab:
            cls.lab.close()
        cls.lab = cls.field = None

    def setUp(self):
        cls = type(self)
        if not cls.field:
            cls.tearDownClass()
            cls.lab = Lab()
            cls.field = cls.make(cls.lab).start()

    @classmethod
    def make(cls, lab):
        return Field(lab, limits=cls.limits)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            type(self).tearDownClass()

    # -- what happens
    def to(self, point, *more):
        """A move that stands at the point, and will at the others."""
        self.field.faults(here=[p for p in (point, *more) if p.startswith("source")],
                          there=[p for p in (point, *more) if p.startswith("destination")])
        self.source, self.destination = self.field.here, self.field.there
        self.source_pid = self.field.pid
        self.move = self.field.move()
        self.field.reached(point)
        self.job = self.source.newest_job(role="source")["id"]

    def kill(self, host):
        host.kill9()
        self.field.go_on()
        time.sleep(AWAY_S)
        host.start()

    def cut(self, heal_after=None, points=()):
        self.field.link.blackhole()
        self.addCleanup(self.field.link.heal)
        self.field.go_on(*points)
        if heal_after:
            time.sleep(heal_after)
            self.field.link.heal()

    # -- what must hold
    def runs_on(self):
        """The hosts whose QEMU runs the guest, of what the QEMUs say."""
        qemus = {pid: name for name, host in ((HERE, self.source), (THERE, self.destination))
                 for pid in self.field.qemus(host)}
        return [qemus.get(pid, pid) for pid in self.field.watch.running()]

    def states(self):
        """Of this move's jobs; none of a daemon that forgot a move that ended."""
        found = {}
        for side, host in ((HERE, self.source), (THERE, self.destination)):
            jobs = [j["state"] for j in host.api("GET", "/v1/jobs") if j["id"] == self.job]
            found[side] = jobs[0] if jobs else "gone"
        return found

    def wait_ended(self):
        """Until neither side works on it any more; who runs the guest then."""
        def ended():
            return not {"running", "in-doubt"} & set(self.states().values())
        try:
            wait_for("the end of the move", ended, 25, 0.05)
            wait_for("the guest", self.runs_on, 5, 0.02)
        except Failed as e:
            raise Failed(f"{e}: {self.states()}, {self.runs_on()}; {self.field.logs()}") from None
        return self.runs_on()

    def settled(self, expected):
        """It ends by itself: the guest runs there, and nothing else is left."""
        field = self.field
        where, = self.wait_ended()
        self.assertIn(where, expected if isinstance(expected, tuple) else (expected,))
        status, errors = self.move.wait()
        # 4: it said that it was in doubt, and did not wait for the end of that;
        # 5: the other host did not answer in time.
        self.assertIn(status, (0, 1, 4, 5), errors)
        if where == THERE:
            field.moved()
        else:
            self.assertIn(status, (1, 4, 5), errors)
        field.settle(20)
        field.heartbeat()
        self.assertEqual(field.both_at_once(), [])

    def in_doubt(self, host):
        """The job's id, once the host says what the operator has to decide."""
        job = host.wait_job(self.job, "in-doubt", timeout=DOUBT_S)
        self.assertNotIn("\n", job["error"])
        shown = host.drover("job", "show", job["id"], check=False).stdout
        self.assertIn("in-doubt", shown.replace("in doubt", "in-doubt"))
        for word in ("--run-here", "--give-up"):
            self.assertIn(f"drover job resolve {job['id']} {word}", " ".join(shown.split()))
        return job["id"]

    def resolve(self, host, word):
        job = host.drover("job", "resolve", self.in_doubt(host), word, "--json", check=False)
        self.assertIn(job.status, (0, 8), job.stderr)

    def decide(self, keep):
        """The operator's word on both hosts, the one that gives up first."""
        if keep:
            self.resolve(self.destination, "--give-up")
            self.resolve(self.source, "--run-here")
        else:
            self.resolve(self.source, "--give-up")
            self.resolve(self.destination, "--run-here")
        self.settled(HERE if keep else THERE)

    def nobody_runs_it(self):
        """In doubt on both hosts, for as long as they cannot reach each other."""
        self.in_doubt(self.source)
        self.in_doubt(self.destination)
        self.assertEqual(self.runs_on(), [])
        self.assertEqual(self.field.both_at_once(), [])

    def outcome(self):
        """Of a cut for good: who runs the guest, or that nobody may."""
        def known():
            return (self.runs_on() or
                    (set(self.states().values()) == {"in-doubt"} and [DOUBT]))
        where, = wait_for("an outcome", known, DOUBT_S, 0.05)
        return where


@needs(*PROGRAMS, "guest/drover-stress.elf")
class CrashPoints(Case):
    def never_back(self, point):
        expected = EXPECTED[point].never
        self.to(point)
        self.cut()
        where = self.outcome()
        self.assertIn(where, expected if isinstance(expected, tuple) else (expected,))
        if where == DOUBT:
            self.nobody_runs_it()
            self.decide(keep=True)
            return
        # Who does not run it gives it up, if it does not know that by itself.
        other, side = ((self.destination, THERE) if where == HERE else (self.source, HERE))
        wait_for("a word", lambda: self.states()[side] != "running", DOUBT_S, 0.05)
        if self.states()[side] == "in-doubt":
            self.resolve(other, "--give-up")
        self.settled(where)

    @slow
    def test_operator_gives_the_guest_to_the_destination(self):
        self.to("source:before-commit-sent")
        self.cut()
        self.nobody_runs_it()
        self.decide(keep=False)

    def test_doubt_ends_by_itself_once_the_paths_are_back(self):
        self.to("source:before-commit-sent")
        self.cut()
        self.nobody_runs_it()
        self.field.link.heal()
        self.settled(THERE)

    def test_the_source_is_killed_between_its_qemu_and_its_registry(self):
        """It has heard that the guest runs, and waits for its being registered."""
        self.to("destination:registered")
        wait_for("the end of the source's QEMU",
                 lambda: not self.field.qemus(self.source), 10, 0.02)
        time.sleep(0.2)
        self.kill(self.source)
        self.settled(THERE)

    @slow
    def test_a_guest_that_was_given_up_is_not_dropped_by_who_has_it(self):
        """The source has no job of it any more when it is asked, but a record."""
        self.to("source:before-commit-sent")
        self.cut()
        self.nobody_runs_it()
        self.resolve(self.source, "--give-up")
        self.source.kill9()
        self.source.start()
        self.field.link.heal()
        self.settled(THERE)

    @slow
    def test_a_guest_that_was_kept_is_not_given_away_by_a_restart(self):
        """The source is killed when its guest runs again, and before it forgets the move."""
        self.to("source:before-commit-sent", "source:undone")
        self.cut(points=["source:before-commit-sent"])
        self.nobody_runs_it()
        self.source.drover("job", "resolve", self.job, "--run-here", check=False, timeout=30)
        self.field.reached("source:undone")
        wait_for("the guest", self.runs_on, 5)
        self.source.kill9()
        self.source.start()
        self.field.link.heal()
        self.settled(HERE)

    def test_what_has_ended_there_meanwhile_is_no_doubt(self):
        """The guest had come, and its host lost power."""
        self.addCleanup(self.tearDownClass)
        self.to("destination:registered")
        qemu, = self.field.qemus(self.destination)
        self.cut()
        self.destination.kill9()
        os.kill(qemu, signal.SIGKILL)
        self.destination.start()
        self.field.link.heal()
        for host in (self.source, self.destination):
            wait_for("an end", lambda host=host: self.states()[
                HERE if host is self.source else THERE] not in ("running", "in-doubt"), 25, 0.05)
        self.assertEqual(self.source.api("GET", "/v1/machines"), [])
        shown, = self.destination.api("GET", "/v1/machines")
        self.assertEqual((shown["name"], shown["state"]), ("guest", "stopped"))

    @slow
    def test_a_destination_that_forgot_the_move_knows_its_machine(self):
        self.to("destination:running")
        self.cut()
        self.in_doubt(self.source)
        wait_for("the destination's end of it", lambda: self.states()[THERE] == "done", 25, 0.05)
        self.destination.kill9()
        self.destination.start()
        self.field.link.heal()
        self.settled(THERE)

    def test_what_is_decided_is_not_cancelled(self):
        self.to("destination:commit-received")
        self.source.drover("job", "cancel", self.job)
        time.sleep(1)
        self.assertEqual(self.states()[HERE], "running")
        self.field.go_on()
        self.settled(THERE)

    @slow
    def test_a_qemu_that_is_slow_to_continue_its_guest_is_waited_for(self):
        """As one whose disks are; longer than a monitor is waited for."""
        self.to("destination:commit-received")
        qemu, = self.field.qemus(self.destination)
        os.kill(qemu, signal.SIGSTOP)
        self.addCleanup(self.lift, qemu)
        self.field.go_on()
        self.destination.wait_job(self.job, "in-doubt", timeout=20)
        os.kill(qemu, signal.SIGCONT)
        self.settled(THERE)

    @staticmethod
    def lift(pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def lose_destination(self, point):
        """The host is gone with all that ran on it, and comes back."""
        self.to(point)
        qemu, = self.field.qemus(self.destination)
        self.destination.kill9()
        os.kill(qemu, signal.SIGKILL)
        self.field.go_on()
        self.destination.start()
        self.destination.wait_job(self.job, "failed")
        self.assertEqual(self.runs_on(), [])

    def test_a_guest_that_may_have_run_there_is_not_taken_back_by_itself(self):
        self.lose_destination("destination:running")
        self.resolve(self.source, "--run-here")
        self.assertEqual(self.wait_ended(), [HERE])
        self.assertEqual(self.field.watch.conflicts(), [])
        # Its heartbeats came from there as well: of no use for other tests.
        self.tearDownClass()

    def test_a_guest_that_was_about_to_run_there_is_not_taken_back_by_itself(self):
        self.lose_destination("destination:commit-received")
        self.resolve(self.source, "--run-here")
        self.settled(HERE)

    def test_doubt_outlives_both_daemons(self):
        self.to("source:before-commit-sent")
        self.cut()
        self.nobody_runs_it()
        for host in (self.source, self.destination):
            host.kill9()
            host.start()
        self.nobody_runs_it()
        self.field.link.heal()
        self.settled(THERE)

    @slow
    def test_doubt_lives_on_without_the_peer_in_the_configuration(self):
        self.to("source:before-commit-sent")
        self.cut()
        self.nobody_runs_it()
        both = (self.source, self.destination), (self.destination, self.source)
        for host, other in both:
            del host.settings[f"peer {other.name}"]
            host.kill9()
            host.start()
            self.in_doubt(host)
            self.assertIn(f"host {other.name} has no address: [peer {other.name}]",
                          host.job(self.job)["error"])
        self.nobody_runs_it()
        for host, other in both:
            host.peer(other)
            host.kill9()
            host.start()
        self.field.link.heal()
        self.settled(THERE)


@needs(*PROGRAMS, "guest/drover-stress.elf")
class LongOutageLimit(Case):
    limits = {"outage-limit": "300s"}

    def test_a_move_that_the_source_took_back_is_dropped_soon(self):
        """All paths were gone when the destination had everything."""
        self.to("destination:loaded")
        self.cut()
        wait_for("the source's end of it", lambda: self.states()[HERE] == "failed", 20, 0.05)
        self.field.link.heal()
        self.settled(HERE)


@unittest.skipIf(os.geteuid() != 0 or os.environ.get("DROVER_UNSHARED"),
                 "needs root, with all user numbers")
@needs(*PROGRAMS, "guest/drover-stress.elf")
class Confined(Case):
    """QEMU is nobody and has a disk and a card; the hosts know each other by certificates."""

    @classmethod
    def make(cls, lab):
        os.chmod(lab.dir, 0o711)
        cls.disk = lab.path("disk.raw")
        with open(cls.disk, "wb") as f:
            f.truncate(1 << 20)
        os.chmod(cls.disk, 0o600)
        field = Field(lab, settings={"host": {"qemu-user": "daemon"}}, arguments=[
            "-drive", f"if=none,id=d,format=raw,file={cls.disk}",
            "-device", "virtio-blk-pci,drive=d"])
        trust(lab, (field.alpha, field.beta))
        for path in (field.console.path, field.watch.path):
            os.chmod(path, 0o666)
        for host in (field.alpha, field.beta):
            host.namespace.bridge("br0")
        # The tree may lie where only its owner comes to.
        guest = shutil.copy(machine.STRESS, lab.dir)
        field.definition = field.definition.replace(machine.STRESS, guest)
        cls.cards = int(can_tap())
        field.definition += "nic lan = bridge=br0\n" * cls.cards
        return field

    def settled(self, expected):
        """And what QEMU was given is that of the one that is left."""
        super().settled(expected)
        number = os.stat(f"/proc/{self.field.pid}").st_uid
        self.assertNotEqual(number, 0)
        raw = os.getxattr(self.disk, "system.posix_acl_access")
        entries = [struct.unpack_from("<HHI", raw, at) for at in range(4, len(raw), 8)]
        self.assertEqual([who for kind, _, who in entries if kind == 2], [number])
        self.assertEqual([len(h.namespace.taps()) for h in (self.field.here, self.field.there)],
                         [self.cards, 0])
        self.assertEqual([g for g in self.groups - {group_of(self.field.pid)}
                          if any(os.path.exists(root + g) for root in CGROUPS)], [])

    def killed(self, point, side):
        self.to(point)
        self.groups = {group_of(pid) for host in (self.source, self.destination)
                       for pid in self.field.qemus(host)}
        self.kill(self.source if side == "source" else self.destination)
        self.settled(getattr(EXPECTED[point], f"kill_{side}"))

    def test_the_source_is_killed_before_the_commit(self):
        self.killed("source:before-commit", "source")

    def test_the_destination_is_killed_after_the_commit(self):
        self.killed("destination:commit-received", "destination")

    @slow
    def test_the_source_is_killed_after_the_commit(self):
        self.killed("source:commit-sent", "source")

    @slow
    def test_the_destination_is_killed_before_the_commit(self):
        self.killed("destination:loaded", "destination")


def add_tests():
    def kill(point, side):
        def test(self):
            self.to(point)
            self.kill(self.source if side == "source" else self.destination)
            self.settled(getattr(EXPECTED[point], f"kill_{side}"))
        return test

    def cut(point):
        def test(self):
            self.to(point)
            self.cut(CUT_S)
            self.settled(EXPECTED[point].cut)
        return test

    def never(point):
        return lambda self: self.never_back(point)

    for point in EXPECTED:
        name = point.replace(":", "_").replace("-", "_")
        here, there = "the_source_is_killed", "the_destination_is_killed"
        for what, test in ((here, kill(point, "source")), (there, kill(point, "destination")),
                           ("the_network_is_cut", cut(point)),
                           ("the_network_is_cut_for_good", never(point))):
            test = test if (point, what) in QUICK else slow(test)
            setattr(CrashPoints, f"test_at_{name}_{what}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
