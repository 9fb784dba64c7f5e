# SPDX-License-Identifier: MIT
"""A new QEMU under a running guest: `drover vm update`, and what ends in the middle of it."""
import glob
import os
import signal
import subprocess
import unittest

from lab import Lab, machine, needs, qemu10, slow, wait_for
from lab.console import Console
from lab.core import chance
from lab.field import Field
from lab.host import PROGRAMS, Host
from lab.network import Network
from lab.qmp import QMP
from lab.watch import Watch

TIME_LIMIT = 240
PARALLEL = True
NEW = qemu10()[0]

# In the order in which an update gets there.
POINTS = ("update:prepare", "update:started", "update:listening", "update:pre-copy",
          "update:switchover", "update:before-commit", "update:committed", "update:running",
          "update:ended", "update:registered")
FIRMWARE = 1 << 20
DECIDED = POINTS.index("update:committed")


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Case(unittest.TestCase):
    guest = {"fill": "24M", "hot": "8M", "rate": "8M"}

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.host = Host(self.lab, "alpha", Network(self.lab, ("alpha",))["alpha"],
                         ["127.0.0.1"])
        self.console, self.watch = Console(self.lab), Watch(self.lab)
        self.host.start()

    def disk(self):
        path = self.lab.path("disk.raw")
        with open(path, "wb") as f:
            f.truncate(16 << 20)
        return ["-drive", f"if=none,id=d0,file={path},format=raw,cache=none",
                "-device", "virtio-blk-pci,drive=d0"]

    def begin(self, *arguments, memory="48M", kind="auto", pages="auto", **kwargs):
        text = machine.definition(
            "web", *machine.stress_arguments(**self.guest), *self.console.arguments(),
            *self.watch.arguments(), *arguments, memory=memory, **kwargs)
        self.host.define(text.replace("\nvcpus", f"\nmemory-kind = {kind}\n"
                                      f"huge-pages = {pages}\nvcpus", 1))
        self.host.drover("vm", "start", "web")
        self.console.wait_line("^drover-stress ready", 60)
        return self.host.machine("web")["pid"]

    def update(self, **kwargs):
        return self.host.drover("vm", "update", "web", **kwargs)

    def beats(self, pid):
        seen = len(self.console.lines)
        wait_for(f"heartbeats from QEMU {pid}", lambda: sum(
            x.pid == pid and x.text.startswith("hb ") for x in self.console.lines[seen:]) > 3, 20)

    def qemus(self):
        return [pid for pid, line in self.lab.processes().items()
                if f"{self.host.run_dir}/" in line and " -name " in line]

    def whole(self, *pids):
        """Runs in the last of them, never in two, and nothing is left of the others."""
        self.beats(pids[-1])
        self.assertEqual(self.watch.conflicts() + self.watch.wrong, [])
        self.assertEqual(self.console.corrupt(), [])
        self.assertEqual(self.qemus(), [pids[-1]])
        shown = self.host.machine("web")
        self.assertEqual((shown["state"], shown["pid"], shown["job"]), ("running", pids[-1], None))
        self.tidy(shown["run_dir"])

    def journal(self):
        return glob.glob(os.path.join(self.host.state, "journal", "*"))

    def tidy(self, *folders):
        self.assertEqual(self.journal(), [])
        self.assertEqual([os.path.join(self.host.run_dir, "machines", x)
                          for x in os.listdir(os.path.join(self.host.run_dir, "machines"))],
                         list(folders))

    def lost(self):
        wait_for("the machine to be lost",
                 lambda: self.host.machine("web")["state"] == "lost", 20)
        self.assertEqual(self.qemus(), [])


class Update(Case):
    def test_there_and_there_again_with_a_disk(self):
        first = self.begin(*self.disk())
        self.update()
        shown = self.host.machine("web")
        second = shown["pid"]
        self.assertNotEqual(second, first)
        self.assertTrue(shown["run_dir"].endswith("/web+"))
        self.whole(first, second)
        report = self.host.newest_job(kind="update")["report"]
        self.assertGreater(report["bytes"]["raw"], 16 << 20)
        self.assertLess(report["downtime_ms"], 1000)
        self.host.restart()
        self.assertEqual(self.host.machine("web")["pid"], second)
        self.update()
        shown = self.host.machine("web")
        self.assertTrue(shown["run_dir"].endswith("/web"))
        self.whole(first, second, shown["pid"])
        self.host.drover("vm", "stop", "web", "--now")
        self.assertEqual(self.qemus(), [])

    def test_a_guest_that_is_paused_stays_so(self):
        first = self.begin()
        self.host.drover("vm", "pause", "web")
        self.update()
        shown = self.host.machine("web")
        self.assertEqual(shown["state"], "paused")
        self.assertNotEqual(shown["pid"], first)
        self.host.drover("vm", "resume", "web")
        self.whole(first, shown["pid"])

    def test_only_what_is_older_is_shown_and_updated_by_all(self):
        # QEMU looks for its modules and firmware from its program on.
        root, real = self.lab.path("usr"), os.path.realpath(machine.QEMU)
        os.makedirs(os.path.join(root, "bin"))
        for folder in ("lib", "share"):
            os.symlink(f"/usr/{folder}", os.path.join(root, folder))
        program = os.path.join(root, "bin", "qemu-system-x86_64")
        self.copy(real, program)
        first = self.begin(qemu=program)
        self.assertFalse(self.host.machine("web")["outdated"])
        self.assertIn("as installed", self.host.drover("vm", "list").stdout)
        self.assertIn("web has the QEMU that is installed",
                      self.host.drover("vm", "update", "--all").stdout)
        self.assertEqual(self.host.machine("web")["pid"], first)
        # As a package's upgrade does it.
        self.copy(real, program + ".new")
        os.rename(program + ".new", program)
        self.assertTrue(self.host.machine("web")["outdated"])
        self.assertIn("an older one", self.host.drover("vm", "list").stdout)
        self.host.drover("vm", "update", "--all")
        shown = self.host.machine("web")
        self.assertFalse(shown["outdated"])
        self.whole(first, shown["pid"])

    @staticmethod
    def copy(path, to):
        with open(path, "rb") as f, open(to, "wb") as t:
            t.write(f.read())
        os.chmod(to, 0o755)

    @unittest.skipIf(NEW is None, f"no QEMU 10: {qemu10()[1]}")
    def test_from_7_2_to_10_0(self):
        program = self.lab.path("qemu")
        self.script(program, machine.QEMU)
        first = self.begin(*self.disk(), qemu=program)
        self.script(program, NEW)
        # Which program stands behind a script is not known.
        self.assertIsNone(self.host.machine("web")["outdated"])
        self.assertIn("web is left out", self.host.drover("vm", "update", "--all").stdout)
        self.update()
        second = self.host.machine("web")["pid"]
        self.whole(first, second)
        self.assertIn("qemu10", os.readlink(f"/proc/{second}/exe"))

    @staticmethod
    def script(path, program, first=""):
        """first: more arguments for one that is started with its guest."""
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write("#!/bin/sh\n"
                    f'case "$*" in *-incoming*);; *-name*) set -- "$@" {first};; esac\n'
                    f'exec {program} "$@"\n')
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)


class HandedOver(Case):
    """Memory that is a file: the second QEMU has the same one."""

    @staticmethod
    def memory_file(pid):
        """(device, inode) of the file that is mapped; it has no name."""
        with open(f"/proc/{pid}/maps", encoding="ascii") as f:
            return next((words[3], words[4]) for words in map(str.split, f)
                        if len(words) > 5 and words[5].startswith("/") and "/#" in words[5])

    def hand_over(self, first):
        was = self.memory_file(first)
        self.update()
        second = self.host.machine("web")["pid"]
        self.whole(first, second)
        self.assertEqual(self.memory_file(second), was)
        report = self.host.newest_job(kind="update")["report"]
        print({x: report[x] for x in ("total_ms", "downtime_ms", "bytes")})
        # The firmware's blocks are QEMU's own.
        self.assertLess(report["bytes"]["raw"] + report["bytes"]["zero"], FIRMWARE)
        return second

    def test_there_and_there_again(self):
        first = self.begin(*self.disk(), kind="file")
        second = self.hand_over(first)
        self.host.restart()
        self.watch.spans[:] = [s for s in self.watch.spans if s.end is None]
        self.hand_over(second)

    @unittest.skipIf(NEW is None, f"no QEMU 10: {qemu10()[1]}")
    def test_from_7_2_to_10_0(self):
        program = self.lab.path("qemu")
        Update.script(program, machine.QEMU)
        first = self.begin(*self.disk(), kind="file", qemu=program)
        Update.script(program, NEW)
        self.hand_over(first)

    @staticmethod
    def huge(pid, kind):
        """KiB of this process in huge pages."""
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(kind))

    def test_its_pages_are_huge(self):
        self.assertGreaterEqual(self.huge(self.begin(kind="file"), "ShmemPmdMapped"), 24 << 10)
        self.assertGreaterEqual(self.host.machine("web")["huge_pages"], 24 << 20)

    def test_pages_are_small_where_that_is_wanted(self):
        pid = self.begin(pages="off")
        self.assertEqual(self.huge(pid, "AnonHugePages"), 0)
        self.assertEqual(self.host.machine("web")["huge_pages"], 0)
        self.update()
        self.assertEqual(self.huge(self.host.machine("web")["pid"], "AnonHugePages"), 0)

    def test_a_refusal_says_how_many_pages_are_missing(self):
        self.host.define(machine.definition("web", memory="64G").replace(
            "\nvcpus", "\nhuge-pages = 2M\nvcpus", 1))
        done = self.host.drover("vm", "start", "web", check=False)
        self.assertNotEqual(done.status, 0)
        self.assertRegex(done.stderr, r"needs 32768 huge pages of 2(\.0)? MiB and \d+ are free: "
                                      r"\d+ are missing")

    def test_nothing_is_left_of_it(self):
        """In the tmpfs of the unit, or one of droverd's own; whoever is killed."""
        folder = os.path.join(self.host.run_dir, "memory")
        self.host.stop()
        os.mkdir(folder)
        self.host.wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                          "mount -t tmpfs -o huge=within_size,mode=0700,size=100% drover \"$0\""
                          " && exec \"$@\"", folder]
        self.host.start()

        # Only the two of them have it mounted.
        mounted = os.open(f"/proc/{self.host.pid}/root{folder}", os.O_RDONLY)
        self.addCleanup(os.close, mounted)

        def used():
            found = os.statvfs(mounted)
            return found.f_blocks - found.f_bfree
        first = self.begin(kind="file")
        self.assertGreater(used(), 24 << 8)
        os.kill(first, signal.SIGKILL)
        self.lost()
        wait_for("its pages to go", lambda: used() == 0, 10)
        seen = len(self.console.lines)
        self.host.drover("vm", "start", "web")
        self.console.wait_line("^drover-stress ready", 60, after=seen)
        first = self.host.machine("web")["pid"]
        self.host.kill9()
        self.assertGreater(used(), 24 << 8)
        os.kill(first, signal.SIGKILL)
        wait_for("its pages to go", lambda: used() == 0, 10)
        self.assertEqual(os.listdir(mounted), [])


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Moved(unittest.TestCase):
    def test_memory_that_is_a_file_is_one_at_the_destination(self):
        lab = Lab()
        self.addCleanup(lab.close)
        field = Field(lab)
        field.definition = field.definition.replace("\nvcpus", "\nmemory-kind = file\nvcpus", 1)
        field.start()
        for _ in range(2):
            field.move_once_more()
            self.assertTrue(HandedOver.memory_file(field.pid))
            self.assertGreaterEqual(HandedOver.huge(field.pid, "ShmemPmdMapped"), 40 << 10)
        self.assertEqual(field.both_at_once() + field.console.corrupt(), [])
        field.here.drover("vm", "update", "guest")
        self.assertNotEqual(field.here.machine("guest")["pid"], field.pid)


class Refused(Case):
    """The guest goes on where it is."""

    def test_a_qemu_that_does_not_start(self):
        program = self.lab.path("qemu")
        Update.script(program, machine.QEMU)
        first = self.begin(qemu=program)
        Update.script(program, "/bin/false")
        done = self.update(check=False)
        self.assertEqual(done.status, 8)
        self.assertIn("cannot start a QEMU", done.stderr)
        self.whole(first)

    def test_a_port_that_only_one_of_them_can_have(self):
        first = self.begin("-gdb", "tcp:127.0.0.1:16613")
        done = self.update(check=False)
        self.assertNotEqual(done.status, 0)
        self.assertIn("Address already in use", done.stderr)
        self.whole(first)

    def test_what_one_would_take_from_the_other(self):
        path = self.lab.path("port")
        first = self.begin("-chardev", f"socket,id=p,path={path},server=on,wait=off",
                           "-device", "isa-serial,chardev=p")
        done = self.update(check=False)
        self.assertEqual(done.status, 8)
        self.assertIn(f"QEMU listen at {path}", done.stderr)
        self.assertTrue(os.path.exists(path))
        self.whole(first)

    def test_memory_that_is_a_file_of_the_definitions_own(self):
        path = f"/dev/shm/drover-test-{os.getpid()}"
        self.addCleanup(os.unlink, path)
        first = self.begin("-object", f"memory-backend-file,id=m,size=48M,mem-path={path},share=on",
                           "-numa", "node,memdev=m")
        done = self.update(check=False)
        self.assertEqual(done.status, 8)
        self.assertIn(f"is the file {path}", done.stderr)
        self.whole(first)

    def test_a_disk_that_is_not_the_one_of_the_definition(self):
        first = self.begin(*self.disk(), "-qmp", "unix:${dir}/own.sock,server=on,wait=off")
        q = QMP(os.path.join(self.host.machine("web")["run_dir"], "own.sock"))
        self.addCleanup(q.close)
        overlay = self.lab.path("overlay.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
                        self.lab.path("disk.raw"), overlay], check=True)
        os.chmod(overlay, 0o666)
        q("blockdev-snapshot-sync", device="d0", snapshot_file=overlay, format="qcow2",
          mode="existing")
        done = self.update(check=False)
        self.assertEqual(done.status, 8)
        self.assertIn(f"its guest writes to {overlay}, which its definition does not name",
                      " ".join(done.stderr.split()))
        self.whole(first)

    def test_a_state_that_is_refused(self):
        """The second QEMU lacks a device that the first one has."""
        program = self.lab.path("qemu")
        Update.script(program, machine.QEMU, "-device virtio-rng-pci")
        # What it writes into its own folder goes with it.
        first = self.begin("-chardev", "file,id=l,path=${dir}/log", "-serial", "chardev:l",
                           qemu=program)
        done = self.update(check=False)
        self.assertNotEqual(done.status, 0)
        self.assertIn("the new QEMU ended with status 1: ", done.stderr)
        self.assertIn("virtio-rng", done.stderr)
        self.whole(first)

    def test_a_start_of_one_that_was_forgotten(self):
        """Its QEMU runs on in the folder of a second one."""
        self.begin()
        self.update()
        pid = self.host.machine("web")["pid"]
        self.host.drover("vm", "forget", "web", "--leave-running")
        self.host.drover("vm", "define", os.path.join(self.host.dir, "definition"))
        again = self.host.drover("vm", "start", "web", check=False)
        self.assertEqual(again.status, 8)
        self.assertRegex(again.stderr, rf"a QEMU runs in [^ ]*/web\+ already, process {pid}: ")
        self.host.restart()
        shown = self.host.machine("web")
        self.assertEqual((shown["pid"], shown["state"]), (pid, "running"))
        self.whole(pid)

    def test_one_that_does_not_run_or_has_too_little_memory_beside_it(self):
        self.host.define(machine.definition("web", memory="16M"))
        done = self.update(check=False)
        self.assertEqual(done.status, 8)
        self.assertIn("does not run", done.stderr)


class Kill(Case):
    """kill -9 at a point of it; the guest runs once, or is dead with its QEMU."""
    command = None

    def stop_at(self, point):
        """The update stands there; the file that lets it go on."""
        go = self.lab.path("go")
        self.host.restart(fault=f"{point}=wait:{go}")
        self.command = self.lab.spawn(self.host.drover_argv("vm", "update", "web"))
        wait_for(f"point {point}", lambda: os.path.exists(go + ".reached"), 30, 0.002)
        return go

    def kill(self, victims, first):
        """Those of them that were there."""
        killed = set()
        if "droverd" in victims:
            self.host.kill9()
            killed.add("droverd")
        for pid in self.qemus():
            which = "old" if pid == first else "new"
            if which in victims:
                os.kill(pid, signal.SIGKILL)
                killed.add(which)
        return killed

    @staticmethod
    def expected(point, killed):
        """Where the guest may be in the end."""
        at = POINTS.index(point)
        if "droverd" in killed:
            has = "new" if at >= DECIDED else "old"
            return ("lost",) if has in killed else (has,)
        if "new" in killed:
            return ("lost",) if at > DECIDED else ("old",)
        if "old" not in killed or at >= POINTS.index("update:before-commit"):
            return ("new",)
        # The stream goes on while droverd stands still.
        return ("new", "lost") if at >= POINTS.index("update:pre-copy") else ("lost",)

    def found(self, first):
        qemus = self.qemus()
        if not qemus:
            self.lost()
            return "lost"
        self.whole(first, *(pid for pid in qemus if pid != first))
        return "old" if qemus == [first] else "new"

    def case(self, point, *victims, kind="auto"):
        first = self.begin(kind=kind)
        go = self.stop_at(point)
        killed = self.kill(victims, first)
        with open(go, "w", encoding="ascii"):
            pass
        if "droverd" in killed:
            self.host.start()
        self.command.wait(60)
        wait_for("the end of the job", lambda: not self.journal()
                 and not self.host.machine("web")["job"], 40)
        self.assertIn(self.found(first), self.expected(point, killed))


class Steered(Kill):
    def test_it_ends_as_a_move_does_and_leaves_nothing_to_the_next_migration(self):
        first = self.begin("-qmp", "unix:${dir}/own.sock,server=on,wait=off")
        q = QMP(os.path.join(self.host.machine("web")["run_dir"], "own.sock"))
        self.addCleanup(q.close)

        def converges():
            return next(x["state"] for x in q("query-migrate-capabilities")
                        if x["capability"] == "auto-converge")
        go = self.stop_at("update:listening")
        # An eighth of the 300 that are the default.
        self.assertEqual(q("query-migrate-parameters")["downtime-limit"], 37)
        self.assertTrue(converges())
        self.host.kill9()
        with open(go, "w", encoding="ascii"):
            pass
        self.host.start()
        self.command.wait(60)
        wait_for("the end of the job", lambda: not self.journal()
                 and not self.host.machine("web")["job"], 40)
        self.assertFalse(converges())
        self.whole(first)


class Killed(Kill):
    def test_droverd_when_both_are_complete(self):
        self.case("update:before-commit", "droverd")

    def test_droverd_once_it_is_decided(self):
        self.case("update:committed", "droverd")

    def test_droverd_and_the_old_qemu_once_it_is_decided(self):
        self.case("update:committed", "droverd", "old")

    def test_droverd_and_the_new_qemu_which_may_have_run(self):
        self.case("update:committed", "droverd", "new")

    def test_the_new_qemu_before_it_is_told_to_run(self):
        self.case("update:committed", "new")

    def test_droverd_once_it_is_decided_and_memory_is_handed_over(self):
        self.case("update:committed", "droverd", kind="file")

    def test_the_new_qemu_before_it_is_told_to_run_and_memory_is_handed_over(self):
        self.case("update:committed", "new", kind="file")

    @slow
    def test_droverd_when_the_new_one_is_in_the_registry(self):
        self.case("update:registered", "droverd")


class Hung(Kill):
    """SIGSTOP is a QEMU that does not answer."""

    def stop_new_at(self, point, kind="auto"):
        first = self.begin(kind=kind)
        go = self.stop_at(point)
        new = next(pid for pid in self.qemus() if pid != first)
        os.kill(new, signal.SIGSTOP)
        with open(go, "w", encoding="ascii"):
            pass
        return first, new

    def in_doubt(self):
        job = self.host.newest_job(kind="update")["id"]
        self.host.wait_job(job, "in-doubt", timeout=30)
        return job

    def test_while_it_loads(self):
        self.host.settings.setdefault("move", {})["outage-limit"] = "3s"
        # What travels then is so little that the guest is stopped at once.
        first, _ = self.stop_new_at("update:listening", kind="file")
        self.command.wait(60)
        job = self.host.newest_job(kind="update")
        self.assertEqual(job["state"], "failed")
        self.assertIn("longer than the outage limit", job["error"])
        self.whole(first)

    @slow
    def test_that_was_never_told_is_killed_before_the_machine_is_given_up(self):
        first, new = self.stop_new_at("update:committed")
        job = self.in_doubt()
        os.kill(new, signal.SIGKILL)
        self.host.drover("job", "resolve", job, "--give-up", check=False)
        self.command.wait(60)
        self.whole(first)

    @slow
    def test_that_is_given_up_waits_for_a_resume(self):
        first, new = self.stop_new_at("update:committed")
        self.host.drover("job", "resolve", self.in_doubt(), "--give-up")
        self.command.wait(60)
        shown = self.host.machine("web")
        self.assertEqual((shown["state"], shown["pid"]), ("paused", new))
        os.kill(new, signal.SIGCONT)
        self.host.drover("vm", "resume", "web")
        self.whole(first, new)


class ByChance(Kill):
    """For `make soak`."""

    def test_at_a_moment_that_is_chosen(self):
        choose = chance()
        point = choose.choice(POINTS)
        victims = choose.choice((("droverd",), ("old",), ("new",), ("droverd", "old"),
                                 ("droverd", "new")))
        kind = choose.choice(("private", "file"))
        print(f"{' and '.join(victims)} at {point}, {kind}")
        self.case(point, *victims, kind=kind)


if __name__ == "__main__":
    unittest.main()
