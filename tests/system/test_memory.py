# SPDX-License-Identifier: MIT
"""The memory that a move needs at the host which the machine leaves."""
import subprocess
import unittest

from lab import Lab, machine, needs
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 120
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


if __name__ == "__main__":
    unittest.main()
