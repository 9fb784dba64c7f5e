# SPDX-License-Identifier: MIT
"""Memory that a QEMU has for itself, written from outside by a move that comes."""
import os
import shlex
import subprocess
import unittest

from test_memory import GROWTH, Group, resident

from lab import Lab, core, machine, needs, oracle, wait_for
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.huge import huge_pages
from lab.network import Network

TIME_LIMIT = 150
PARALLEL = True
MIB = 1 << 20
# A page for each proof, and the few that are not the guest's RAM.
STAYS = 20 * MIB


def memory_of(pid, size):
    """What smaps says of the mapping of this length that the guest has most in: KiB."""
    found = [{"Rss": 0, "Shared_Hugetlb": 0}]
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            key, *words = line.split()
            if not key.endswith(":"):
                start, end = (int(x, 16) for x in key.split("-"))
                found.append({"length": end - start})
            elif words[-1] == "kB":
                found[-1][key[:-1]] = int(words[0])
    return max((x for x in found if x.get("length") == size),
               key=lambda x: x["Rss"] + x["Shared_Hugetlb"])


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Case(unittest.TestCase):
    size = 512 * MIB

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, network[name], network.addresses(name),
                 settings={"move": {"option": "tcp"}})
            for name in ("alpha", "beta")))
        self.console = Console(self.lab)

    def start(self, fill, size=None, keys="", **guest):
        if size:
            self.size = size
        for host in (self.alpha, self.beta):
            host.start()
        self.alpha.define(machine.definition(
            "web", *machine.stress_arguments(fill=fill, **guest), *self.console.arguments(),
            memory=f"{self.size // MIB}M") + f"{keys}\n")
        self.alpha.drover("vm", "start", "web")
        self.console.wait_line("^drover-stress ready", 60)

    def move(self, source, destination):
        """There; its pages were placed, all but a few; the process that has it now."""
        source.drover("move", "web", destination.name)
        report = source.newest_job(role="source")["report"]
        self.assertLess(report["bytes"]["kept"], STAYS)
        pid = destination.machine("web")["pid"]
        seen = len(self.console.lines)
        wait_for("the guest after its move", lambda: any(
            line.pid == pid for line in self.console.lines[seen:]), 20)
        self.assertEqual(self.console.corrupt(), [])
        return pid


class Private(Case):
    def test_all_pages_are_huge_after_a_move(self):
        self.start("960M", size=1024 * MIB, rate="0")
        has = memory_of(self.move(self.alpha, self.beta), self.size)
        print(f"after the move {has}")
        self.assertGreaterEqual(has["Rss"], 960 * 1024)
        self.assertGreaterEqual(has["AnonHugePages"], 0.98 * has["Rss"])

    def seen_by_the_guest(self, pid, *keys):
        """smaps, once the guest has looked at all of its pages: QEMU maps them then."""
        def mapped():
            has = memory_of(pid, self.size)
            return has if sum(has[key] for key in keys) >= 192 * 1024 else None
        has = wait_for("all pages to be mapped", mapped, 60)
        print(f"after the move {has}")
        return has

    def test_those_of_a_file_are_too(self):
        self.start("192M", size=256 * MIB, keys="memory-kind = file", rate="0")
        has = self.seen_by_the_guest(self.move(self.alpha, self.beta), "Rss")
        self.assertGreaterEqual(has["ShmemPmdMapped"], 0.98 * has["Rss"])

    def test_those_that_are_set_aside_are_used(self):
        with huge_pages(2 * 256 * MIB):
            self.start("192M", size=256 * MIB, keys="huge-pages = 2M", rate="0")
            has = self.seen_by_the_guest(self.move(self.alpha, self.beta), "Shared_Hugetlb",
                                         "Private_Hugetlb")
            self.assertEqual((has["KernelPageSize"], has["Rss"]), (2048, 0))
            self.lab.close()

    def test_what_was_never_used_stays_so_three_times(self):
        self.start("128M", rate="2M", hot="4M")
        source, destination = self.alpha, self.beta
        for _ in range(3):
            pid = source.machine("web")["pid"]
            before = most = resident(pid)
            move = subprocess.Popen(source.drover_argv("move", "web", destination.name),
                                    stdout=subprocess.DEVNULL, env=self.lab.environ)
            while move.poll() is None:
                most = max(most, resident(pid))
            self.assertEqual(move.returncode, 0)
            after = resident(destination.machine("web")["pid"])
            print(f"resident: {before} KiB, at most {most} while it moved, {after} there")
            self.assertLess(most, before * GROWTH)
            self.assertLess(after, before * 1.10)
            source, destination = destination, source

    def test_a_second_mapping_of_that_length_is_not_taken_for_it(self):
        twin = ["-object", f"memory-backend-ram,id=twin,size={self.size}"]
        real = machine.definition

        def with_twin(name, *arguments, **kwargs):
            return real(name, *arguments, *twin, **kwargs)
        machine.definition = with_twin
        try:
            self.start("64M")
        finally:
            machine.definition = real
        self.move(self.alpha, self.beta)

    def test_where_nobody_may_write_into_a_process_it_is_a_file(self):
        self.beta.wrap = ("setpriv", "--bounding-set=-sys_ptrace",)
        self.start("64M")
        self.move(self.alpha, self.beta)
        pid = self.beta.machine("web")["pid"]
        self.assertTrue(oracle.memory_file(pid, self.size))
        self.assertIn("its memory is a shared file here: droverd lacks CAP_SYS_PTRACE",
                      self.beta.log_text())


# It, and whatever it starts, has no transparent huge pages: PR_SET_THP_DISABLE.
WITHOUT = ("python3", "-c", "import ctypes, os, sys; ctypes.CDLL(None).prctl(41, 1, 0, 0, 0); "
           "os.execvp(sys.argv[1], sys.argv[1:])")
# Only droverd reads that here: QEMU's pages are the kernel's matter.
SWITCHED_OFF = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
                'mount --bind "$0" /sys/kernel/mm/transparent_hugepage/enabled && exec "$@"')


class AsAtTheSource(Case):
    """huge-pages = auto."""

    def huge(self, host):
        shown = host.machine("web")
        return memory_of(shown["pid"], self.size)["AnonHugePages"], shown["why_small"]

    def test_small_pages_stay_small(self):
        self.alpha.settings["host"]["qemu"] = wrapper = self.lab.path("qemu-without")
        with open(wrapper, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\nexec {shlex.join(WITHOUT)} {machine.QEMU} \"$@\"\n")
        os.chmod(wrapper, 0o755)
        self.start("64M", size=128 * MIB)
        why = "its QEMU was started so that it has none"
        self.assertEqual(self.huge(self.alpha), (0, why))
        self.move(self.alpha, self.beta)
        self.assertEqual(self.huge(self.beta), (0, why))
        self.assertIn(why, self.beta.drover("vm", "show", "web").stdout)

    def test_a_host_that_has_none_says_so_and_the_next_one_has_them_again(self):
        self.beta.wrap = WITHOUT
        self.start("64M", size=128 * MIB)
        self.assertGreaterEqual(self.huge(self.alpha)[0], 64 * 1024)
        self.move(self.alpha, self.beta)
        has, why = self.huge(self.beta)
        self.assertEqual(has, 0)
        self.assertIn("droverd was started so", why)
        self.move(self.beta, self.alpha)
        has, why = self.huge(self.alpha)
        self.assertGreaterEqual(has, 64 * 1024)
        self.assertIsNone(why)

    def test_compare_says_that_they_are_switched_off_there(self):
        off = self.lab.path("enabled")
        with open(off, "w", encoding="ascii") as f:
            f.write("always madvise [never]\n")
        self.beta.wrap = (*SWITCHED_OFF, off)
        self.start("64M", size=128 * MIB)
        done = self.alpha.drover("compare", "web", "beta", "--json").json
        self.assertTrue(done["ok"])
        self.assertEqual([(x["severity"], "in huge pages and would not be on beta" in x["text"])
                          for x in done["findings"]], [("warning", True)])


class Charged(Case):
    """beta's QEMUs are in a memory cgroup of their own."""

    def group(self, limit):
        group = Group(f"drover-test-{os.getpid()}-{id(self):x}", limit)
        self.addCleanup(group.close)
        self.addCleanup(self.lab.close)
        self.beta.settings["host"]["qemu"] = wrapper = self.lab.path("qemu-in-group")
        with open(wrapper, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\necho $$ > {group.path}/cgroup.procs\n"
                    f'exec {machine.QEMU} "$@"\n')
        os.chmod(wrapper, 0o755)
        self.beta.write_settings()
        return group

    def test_pages_are_charged_to_the_group_of_their_qemu(self):
        group = self.group(2 << 30)
        self.start("192M")
        before = resident(self.beta.pid)
        self.move(self.alpha, self.beta)
        name = "memory.usage_in_bytes" if group.failures else "memory.current"
        with open(os.path.join(group.path, name), encoding="ascii") as f:
            used = int(f.read())
        print(f"charged {used // MIB} MiB; droverd had {before} KiB, has {resident(self.beta.pid)}")
        self.assertGreater(used, 192 * MIB)

    def test_a_group_at_its_limit_ends_the_move_and_nothing_else(self):
        self.group(160 * MIB)
        self.start("256M")
        pid = self.beta.pid
        done = self.alpha.drover("move", "web", "beta", check=False)
        self.assertEqual(done.status, 1, done.stdout)
        print(done.stderr.strip())
        self.assertRegex(done.stderr, "beta: .*(its QEMU ended|may be at its limit)")
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        self.assertEqual(self.beta.pid, pid)
        self.assertEqual(self.beta.api("GET", "/v1/machines"), [])


class Killed(Case):
    def test_a_qemu_that_is_killed_while_pages_come_ends_the_move_in_words(self):
        self.start("384M", rate="40M", hot="64M")
        daemon = self.beta.pid
        for part in sorted(core.chance().uniform(0, 0.9) for _ in range(3)):
            job = self.alpha.drover("move", "web", "beta", "--background", "--json").json["id"]
            qemu = wait_for("its QEMU", lambda: [
                pid for pid, line in self.lab.processes().items()
                if f"{self.beta.run_dir}/" in line and " -incoming " in line], 20)[0]
            goal = int(part * self.size * 0.7)
            wait_for("its pages", lambda: self.alpha.job(job)["state"] != "running" or
                     self.alpha.job(job)["progress"]["bytes_sent"] >= goal, 30)
            os.kill(qemu, 9)
            ended = self.alpha.wait_job(job, timeout=30)
            print(f"at {part:.0%}: {ended['state']}: {ended['error']}")
            self.assertEqual(ended["state"], "failed")
            self.assertIn("beta: its QEMU ended", ended["error"])
            self.assertEqual(self.alpha.machine("web")["state"], "running")
            self.assertEqual(self.beta.pid, daemon)
            wait_for("nothing of it at beta", lambda: not self.beta.api("GET", "/v1/machines"), 10)
        self.move(self.alpha, self.beta)


if __name__ == "__main__":
    unittest.main()
