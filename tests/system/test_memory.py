# SPDX-License-Identifier: MIT
"""The memory that a move needs at the host which the machine leaves."""
import os
import subprocess
import time
import unittest

from lab import Lab, machine, needs
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 120
PARALLEL = True
GROWTH = 1.03


def resident(pid):
    """KiB; 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return next((int(line.split()[1]) for line in f if line.startswith("VmRSS:")), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Case(unittest.TestCase):
    settings = {"move": {"option": "tcp"}}

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = (
            Host(self.lab, name, network[name], network.addresses(name), settings=self.settings)
            for name in ("alpha", "beta"))
        connect(self.alpha, self.beta)

    def start(self, name="idle", **kwargs):
        """A guest on alpha that has filled a part of its memory; its process."""
        console = Console(self.lab)
        self.alpha.define(machine.definition(
            name, *machine.stress_arguments(fill="256M", rate="0"), *console.arguments(),
            **kwargs))
        self.alpha.drover("vm", "start", name)
        console.wait_line("^drover-stress ready", 60)
        return self.alpha.machine(name)["pid"]


class Source(Case):
    def test_a_machine_started_here_does_not_grow_while_it_moves(self):
        self.alpha.start()
        self.beta.start()
        pid = self.start(memory="2G")
        before = most = resident(pid)
        move = subprocess.Popen(self.alpha.drover_argv("move", "idle", "beta"),
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env=self.lab.environ)
        while move.poll() is None:
            most = max(most, resident(pid))
        self.assertEqual(move.wait(), 0, move.stderr.read())
        move.stderr.close()
        print(f"resident before the move {before} KiB, at most {most} KiB in it")
        self.assertLess(most, before * GROWTH)


class Group:
    """A memory cgroup of the test's own, of either version, in the one that this runs in."""

    def __init__(self, name, limit):
        with open("/proc/self/cgroup", encoding="ascii") as f:
            groups = dict(line.rstrip("\n").split(":", 2)[1:] for line in f)
        first = "memory" in groups
        self.path = os.path.join("/sys/fs/cgroup", "memory" if first else "",
                                 groups["memory" if first else ""].lstrip("/"),
                                 name)
        self.failures = "memory.failcnt" if first else None
        try:
            os.mkdir(self.path)
            with open(os.path.join(self.path, "memory.limit_in_bytes" if first else "memory.max"),
                      "w", encoding="ascii") as f:
                f.write(str(limit))
        except OSError as e:
            raise unittest.SkipTest(f"no memory cgroup can be made: {e}") from None

    @property
    def wrap(self):
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', os.path.join(self.path, "cgroup.procs")]

    def close(self):
        """Its processes have been killed, and may take a moment to be gone."""
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.05)


class Room(Case):
    """A host with little memory, from which three guests that have never used theirs move."""
    LIMIT = 900 << 20

    def setUp(self):
        # Goes last, when its processes have ended.
        self.group = Group(f"drover-test-{os.getpid()}-{id(self):x}", self.LIMIT)
        self.addCleanup(self.group.close)
        super().setUp()

    def test_three_that_do_not_fit_together_are_refused_and_none_is_killed(self):
        self.alpha.wrap = self.group.wrap
        self.alpha.start()
        self.beta.start()
        names = ("one", "two", "three")
        pids = {name: self.idle(name) for name in names}
        moves = {name: subprocess.Popen(self.alpha.drover_argv("move", name, "beta"),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, env=self.lab.environ) for name in names}
        errors = {name: (move.wait(), move.stderr.read()) for name, move in moves.items()}
        for move in moves.values():
            move.stderr.close()
        refused = [name for name, (status, _) in errors.items() if status]
        self.assertEqual(len(refused), 2, errors)
        for name in refused:
            self.assertRegex(errors[name][1],
                             rf"machine {name} needs \S+ MiB of memory here while it moves, and "
                             r"alpha has \S+ .iB, \S+ .iB of it for moves that go on")
            self.assertEqual(self.alpha.machine(name)["state"], "running")
            self.assertEqual(self.alpha.machine(name)["pid"], pids[name])
        # One after the other they fit.
        for name in refused:
            self.alpha.drover("move", name, "beta")
        self.assertEqual({m["name"]: m["state"] for m in self.beta.api("GET", "/v1/machines")},
                         dict.fromkeys(names, "running"))

    def idle(self, name):
        self.alpha.define(machine.definition(
            name, *machine.boot_sector_arguments(self.lab), memory="512M", share=True))
        self.alpha.drover("vm", "start", name)
        return self.alpha.machine(name)["pid"]

    def test_what_comes_is_counted_with_what_is_coming(self):
        self.beta.wrap = self.group.wrap
        self.beta.start()
        self.alpha.start()
        self.alpha.define(machine.definition(
            "large", *machine.boot_sector_arguments(self.lab), memory="1100M"))
        self.alpha.drover("vm", "start", "large")
        found = self.alpha.drover("compare", "large", "beta", "--json", check=False).json
        self.assertFalse(found["ok"])
        done = self.alpha.drover("move", "large", "beta", check=False)
        self.assertEqual(done.status, 8)
        self.assertRegex(done.stderr, r"needs \S+ .iB of memory and beta has \S+ .iB, \S+ .* of it")


if __name__ == "__main__":
    unittest.main()
