# SPDX-License-Identifier: MIT
"""QEMUs that Drover did not start, with every kind of memory, adopted and moved.

The destination of a move always has memory that Drover can map; what the source
has must not matter.  Neither must the way in which its monitor was given.
"""
import json
import os
import unittest

from lab import Lab, needs, oracle, qemu10, slow, wait_for
from lab import machine, tap
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.huge import huge_pages
from lab.network import Network
from lab.qmp import QMP

TIME_LIMIT = 400
PARALLEL = True
MIB = 1 << 20
SIZE = 128 * MIB
NO_QEMU10 = f"no QEMU 10: {qemu10()[1]}"
STRESS = "fill=80M rate=20M hot=16M heartbeat=20"


def backend(kind, rest=""):
    return ["-object", f"{kind},id=ram0,size={SIZE}{rest}", "-machine", "memory-backend=ram0"]


class Monitors:
    """Ways to give QEMU a monitor, as arguments for a path."""

    @staticmethod
    def qmp(path):
        return ["-qmp", f"unix:{path},server=on,wait=off"]

    @staticmethod
    def old_words(path):
        return ["-qmp", f"unix:{path},server,nowait"]

    @staticmethod
    def mon(path):
        return ["-chardev", f"socket,id=m0,path={path},server=on,wait=off",
                "-mon", "chardev=m0,mode=control"]

    @staticmethod
    def chardev(path):
        return ["-qmp", "chardev:m0",
                "-chardev", f"socket,id=m0,path={path},server=on,wait=off"]

    @staticmethod
    def second(path):
        """For people first, for programs second."""
        return ["-chardev", f"socket,id=hmp,path={path}.hmp,server=on,wait=off",
                "-mon", "chardev=hmp", *Monitors.mon(path)]


@needs(*PROGRAMS, "guest/drover-stress.elf", "tests/lib/libtap.so")
class SourceCase(unittest.TestCase):
    qemu = machine.QEMU
    loses_pages = True      # TCG of 7.2 does, see docs/testing.md
    rate = None

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, rate=self.rate)
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, network[name], network.addresses(name), qemu=self.qemu)
            for name in ("alpha", "beta")))
        for host in (self.alpha, self.beta):
            host.start()
        self.namespace = network["alpha"]
        self.console = Console(self.lab)
        self.path = self.lab.path("monitor")

    def start(self, *arguments, monitor=Monitors.qmp, name="guest", stress=STRESS):
        argv = [self.qemu, "-name", name, "-accel", "tcg", "-nodefaults", "-display", "none",
                "-M", "q35", "-m", "128M", "-smp", "1", "-kernel", machine.STRESS,
                "-append", stress, *self.console.arguments(), *monitor(self.path), *arguments]
        self.tape = os.path.join(self.lab.fast, "tape")
        self.source = self.lab.spawn(argv, namespace=self.namespace, log=self.lab.path("qemu.log"),
                                     environ=tap.environ("migrate.sock", self.tape))
        try:
            self.console.wait_line("^hb ", 30)
        except Exception:
            with open(self.lab.path("qemu.log"), encoding="utf-8") as f:
                print(f.read())
            raise

    def move(self, source=None, blocks=("pc.ram",), words=()):
        """Adopt it, move it, compare; then it goes on at beta.  words: for the move."""
        self.alpha.drover("vm", "adopt", self.source.pid)
        shown = self.alpha.machine("guest")
        self.assertEqual((shown["state"], shown["adopted"], shown["memory"]),
                         ("running", True, SIZE))
        self.alpha.drover("move", "guest", "beta", "--paused", *words)
        job = self.alpha.newest_job(kind="move")
        self.assertEqual(job["state"], "done", self.alpha.log_text())
        wait_for("the end of the source's QEMU", lambda: self.source.poll() is not None)
        self.pid = self.beta.machine("guest")["pid"]
        memory = oracle.Memory.of_process(self.pid, SIZE // len(blocks))
        verdict = oracle.judge(f"{self.tape}.0", {blocks[0]: memory},
                               {blocks[0]: source} if source else None)
        print(verdict)
        self.assertTrue(verdict.good, verdict)
        self.assertEqual(verdict.destination[0].missing, 0)
        report = job["report"]["bytes"]
        self.assertGreater(report["raw"] + report["zero"], SIZE // 2, job["report"])
        self.goes_on(verdict.lost_by_qemu if source else self.loses_pages)
        return verdict

    def goes_on(self, may_be_lost):
        at = len(self.console.lines)
        self.beta.drover("vm", "start", "guest")
        wait_for("heartbeats after the move", lambda: sum(
            x.pid == self.pid for x in self.console.lines[at:] if x.text.startswith("hb ")) > 15,
            30)
        if may_be_lost:
            print(f"the guest says, which under TCG is no verdict: {self.console.corrupt()}")
        else:
            self.assertEqual(self.console.corrupt(), [])

    def memory(self):
        return oracle.Memory.of_process(self.source.pid, SIZE)


class Sources(SourceCase):
    # -- kinds of memory
    def test_plain(self):
        self.start()
        self.move()

    def test_private_ram_backend(self):
        self.start(*backend("memory-backend-ram"))
        self.move(blocks=["ram0"])

    def test_shared_ram_backend(self):
        self.start(*backend("memory-backend-ram", ",share=on"))
        self.move(blocks=["ram0"])

    def test_shared_memfd_backend(self):
        self.start(*backend("memory-backend-memfd", ",share=on"))
        self.move(self.memory(), ["ram0"])

    def test_private_memfd_backend(self):
        self.start(*backend("memory-backend-memfd", ",share=off"))
        self.move(blocks=["ram0"])

    def test_shared_file_backend(self):
        path = os.path.join(self.lab.fast, "ram")
        self.start(*backend("memory-backend-file", f",share=on,mem-path={path}"))
        self.move(self.memory(), ["ram0"])

    def test_private_file_backend(self):
        path = os.path.join(self.lab.fast, "ram")
        self.start(*backend("memory-backend-file", f",share=off,mem-path={path}"))
        self.move(blocks=["ram0"])

    def test_mem_path(self):
        self.start("-mem-path", "/dev/shm")
        self.move()

    def test_mem_path_with_huge_pages(self):
        with huge_pages(2 * SIZE):
            folder = self.lab.path("huge")
            os.mkdir(folder)
            done = self.lab.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", folder],
                                check=False)
            if done.returncode:
                self.skipTest(f"no hugetlbfs here: {done.stderr.strip()}")
            self.lab.cleanup(self.lab.run, ["umount", "-l", folder])
            self.start("-mem-path", folder, "-mem-prealloc")
            self.move()
            self.beta.drover("vm", "stop", "guest", "--now")

    def test_memfd_with_huge_pages(self):
        with huge_pages(2 * SIZE):
            self.start(*backend("memory-backend-memfd", ",share=on,hugetlb=on,hugetlbsize=2M"))
            self.move(self.memory(), ["ram0"])
            self.beta.drover("vm", "stop", "guest", "--now")

    def test_backend_in_json(self):
        self.start("-object", json.dumps({"qom-type": "memory-backend-memfd", "id": "ram0",
                                          "size": SIZE, "share": True}),
                   "-machine", "memory-backend=ram0")
        self.move(self.memory(), ["ram0"])

    def test_backends_of_numa_nodes(self):
        words = []
        for i, size in enumerate((SIZE // 2, SIZE // 4, SIZE // 4)):
            words += ["-object", f"memory-backend-memfd,id=node{i},size={size},share=on",
                      "-numa", f"node,memdev=node{i}"]
        self.start(*words)
        # The first is the only one of its size.
        self.move(oracle.Memory.of_process(self.source.pid, SIZE // 2), ["node0", "the others"])

    # -- what else a QEMU may have been started with
    def test_monitor_in_old_words(self):
        self.start(monitor=Monitors.old_words)
        self.move()

    def test_monitor_of_a_chardev(self):
        self.start(monitor=Monitors.mon)
        self.move()

    def test_monitor_that_names_a_chardev_of_later(self):
        self.start(monitor=Monitors.chardev)
        self.move()

    def test_monitor_for_programs_after_one_for_people(self):
        self.start(monitor=Monitors.second)
        self.move()


@slow
@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class SourcesOfQemu10(Sources):
    qemu = qemu10()[0]
    loses_pages = False


class Capabilities(SourceCase):
    """What somebody else has switched on before Drover came."""

    rate = "400mbit"

    def start(self, *arguments, **kwargs):
        own = self.lab.path("own")
        super().start(*arguments, "-qmp", f"unix:{own},server=on,wait=off", **kwargs)
        self.monitor = QMP(own)
        self.lab.cleanup(self.monitor.close)

    def test_xbzrle(self):
        self.start(*backend("memory-backend-memfd"),
                   stress="fill=80M rate=30M hot=24M touch=few heartbeat=20 content=text")
        self.monitor.capabilities(xbzrle=True)
        # QEMU's cache helps from a page's third version on: not in two rounds.
        verdict = self.move(self.memory(), ["ram0"], ["--downtime-limit", "20ms"])
        self.assertGreater(verdict.counts.xbzrle, 0)

    def test_dirty_bitmaps(self):
        self.start(*backend("memory-backend-memfd"),
                   "-blockdev", "null-co,node-name=disk0,size=67108864,read-zeroes=on")
        self.monitor("block-dirty-bitmap-add", node="disk0", name="backup")
        self.monitor.hmp('qemu-io disk0 "write 1M 200k"')
        self.monitor.capabilities(dirty_bitmaps=True)
        before = self.bitmaps(self.monitor)
        self.assertEqual([b["name"] for b in before], ["backup"])
        self.move(self.memory(), ["ram0"])
        there = QMP(os.path.join(self.beta.machine("guest")["run_dir"], "qmp.sock"))
        self.lab.cleanup(there.close)
        self.assertEqual(self.bitmaps(there), before)

    def bitmaps(self, qmp):
        node, = (n for n in qmp("query-named-block-nodes") if n["node-name"] == "disk0")
        return [{k: b[k] for k in ("name", "count", "recording")} for b in node["dirty-bitmaps"]]

    def test_post_copy_is_switched_off(self):
        self.start(*backend("memory-backend-memfd"))
        self.monitor.capabilities(postcopy_ram=True)
        self.move(self.memory(), ["ram0"])



if __name__ == "__main__":
    unittest.main()
