# SPDX-License-Identifier: MIT
"""What a machine leaves behind makes its way back short, and is never believed."""
import os
import unittest

from lab import Failed, Lab, machine, needs, oracle, slow, wait_for
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 240
PARALLEL = True
MIB = 1 << 20
PAGE = 4096
SIZE = 192 * MIB
# What is left of the bytes of the first trip.
SHARE = 0.25


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Case(unittest.TestCase):
    kind = "memory"

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, network[name], network.addresses(name),
                 settings={"move": {"keep-copy": self.kind, "mode": "tcp"}})
            for name in ("alpha", "beta")))
        self.console = Console(self.lab)

    def start(self, rate="1M", hot="2M"):
        for host in (self.alpha, self.beta):
            host.start()
        self.alpha.define(machine.definition(
            "web", *machine.stress_arguments(fill="128M", content="random", rate=rate, hot=hot),
            *self.console.arguments(), memory=f"{SIZE // MIB}M"))
        self.alpha.drover("vm", "start", "web")
        self.console.wait_line("^drover-stress ready", 60)

    def move(self, source, destination):
        source.drover("move", "web", destination.name)
        return source.newest_job(role="source")["report"]

    def runs_at(self, host):
        pid = host.machine("web")["pid"]
        seen = len(self.console.lines)
        try:
            wait_for("the guest after its move", lambda: any(
                line.pid == pid for line in self.console.lines[seen:]), 30)
        except Failed as e:
            raise Failed(f"{e}: {host.machine('web')}, QEMUs {self.console.pids}, "
                         f"of which came {self.console.tail()}") from None

    def copies(self, host):
        return host.drover("copy", "list", "--json").json

    def copy_file(self, host):
        folder = os.path.join(host.state, "copies")
        names = os.listdir(folder)
        self.assertEqual(len(names), 1, names)
        return os.path.join(folder, names[0])

    def back_and_compare(self):
        """The guest stands still: what it has is the same there, byte by byte."""
        self.beta.drover("vm", "pause", "web")
        before = oracle.Memory.of_process(self.beta.machine("web")["pid"], SIZE)
        self.addCleanup(before.close)
        report = self.move(self.beta, self.alpha)
        after = oracle.Memory.of_process(self.alpha.machine("web")["pid"], SIZE)
        self.addCleanup(after.close)
        wrong = [at // PAGE for at in range(0, SIZE, PAGE)
                 if before[at:at + PAGE] != after[at:at + PAGE]]
        self.assertEqual(wrong, [])
        return report

    def short(self, first, back):
        print(f"{self.kind}: {first['bytes']['wire']} bytes there, "
              f"{back['bytes']['wire']} back; {back['reasons']}")
        self.assertLess(back["bytes"]["wire"], SHARE * first["bytes"]["wire"])
        self.assertTrue(any("kept them" in why for why in back["reasons"]), back["reasons"])

    def there(self):
        first = self.move(self.alpha, self.beta)
        self.runs_at(self.beta)
        return first


@slow
class Memory(Case):
    def test_the_way_back_is_short_while_the_guest_runs(self):
        self.start()
        first = self.there()
        kept, = self.copies(self.alpha)
        self.assertEqual((kept["machine"], kept["host"], kept["kept"]),
                         ("web", "beta", self.kind))
        self.assertGreater(kept["bytes"], 100 * MIB)
        self.assertEqual(self.alpha.drover("host", "show", "--json").json["kept"],
                         {"count": 1, "memory": 0, "disk": 0, self.kind: kept["bytes"]})
        self.assertRegex(self.alpha.drover("host", "show").stdout, r"(?m)^Copies kept:? +1$")
        back = self.move(self.beta, self.alpha)
        self.runs_at(self.alpha)
        self.short(first, back)
        # It runs here: nothing is left of it, and what it left there is new.
        self.assertEqual(self.copies(self.alpha), [])
        self.assertEqual(len(self.copies(self.beta)), 1)

    def test_what_comes_back_is_right(self):
        self.start()
        first = self.there()
        self.short(first, self.back_and_compare())

    def test_a_copy_is_removed_on_request(self):
        self.start()
        self.there()
        self.alpha.drover("copy", "remove", "web")
        self.assertEqual(self.copies(self.alpha), [])
        self.assertEqual(self.alpha.drover("copy", "remove", "web", check=False).status, 6)
        self.back_and_compare()


@slow
class Disk(Memory):
    kind = "disk"

    def test_it_outlives_the_daemon_and_its_memory(self):
        self.start()
        first = self.there()
        path = self.copy_file(self.alpha)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700)
        self.alpha.kill9()
        with open(path + ".new", "wb") as f:
            f.write(b"half of one")
        self.alpha.start()
        self.assertEqual(self.copy_file(self.alpha), path)
        self.short(first, self.back_and_compare())
        self.assertEqual(os.listdir(os.path.dirname(path)), [])

    def test_pages_that_somebody_changed_are_sent(self):
        self.start()
        first = self.there()
        path = self.copy_file(self.alpha)
        # In the middle of all that is data, 64 pages.
        with open(path, "r+b") as f:
            at = f.seek(os.path.getsize(path) // 2, os.SEEK_SET)
            at = os.lseek(f.fileno(), at, os.SEEK_DATA) // PAGE * PAGE
            f.seek(at)
            f.write(b"\x5a" * 64 * PAGE)
        self.short(first, self.back_and_compare())
        self.assertIn("are not what was written", self.alpha.log_text())

    def test_one_that_is_damaged_is_removed(self):
        self.start()
        self.there()
        path = self.copy_file(self.alpha)
        self.alpha.stop()
        with open(path, "r+b") as f:
            f.seek(64)
            f.write(b"\x5a")
        self.alpha.start()
        self.assertEqual(self.copies(self.alpha), [])
        self.assertIn("a copy is removed, it cannot be used", self.alpha.log_text())
        self.back_and_compare()


if __name__ == "__main__":
    unittest.main()
