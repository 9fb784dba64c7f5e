# SPDX-License-Identifier: MIT
"""Relays between two QEMUs that Drover does not manage.

The test starts both QEMUs, tells them by QMP to migrate, and gives Drover the
two sockets only.  The tap in the source's QEMU records the stream; the
destination stays paused and is judged.
"""
import glob
import os
import random
import struct
import unittest

from lab import BUILD, Lab, needs, qemu10, slow, wait_for
from lab import machine, oracle
from lab.console import Console
from lab.core import Failed
from lab.host import PROGRAMS, Host, connect
from lab.huge import huge_pages
from lab.network import Network
from lab.oracle import PAGE, Memory

TIME_LIMIT = 400
PARALLEL = True
MIB = 1 << 20
SIZE = 128 * MIB
NO_QEMU10 = f"no QEMU 10: {qemu10()[1]}"


def stress(rate="20M", hot="16M", touch="page", fill="80M", content="mixed"):
    """The stress guest, as QEMU's arguments."""
    return ["-kernel", machine.STRESS, "-append",
            f"fill={fill} content={content} rate={rate} hot={hot} touch={touch} heartbeat=20"]


class Part:
    """A piece of a Memory, as a block's memory of its own."""

    def __init__(self, memory, start, size):
        self.memory, self.start, self.size = memory, start, size
        self.what = f"{memory.what} from {start:#x}"

    def __len__(self):
        return self.size

    def __getitem__(self, where):
        return self.memory[self.start + where.start:self.start + where.stop]


def multifd_pages(stream, block):
    """Of the channels beside a recorded stream: {page: what may stand there at
    the end}.  Between two syncs a page is sent once; QEMU 7.2 now and then
    sends it twice, and either is right."""
    pages = {}
    for path in glob.glob(stream.rsplit(".", 1)[0] + ".*"):
        with open(path, "rb") as f:
            data = f.read()
        if data[:4] != b"\x11\x22\x33\x44":
            continue
        epoch, at = 0, 64
        while at < len(data):
            flags, _, normal, _ = struct.unpack_from(">4I", data, at + 8)
            zero, = struct.unpack_from(">I", data, at + 32)
            name = data[at + 64:at + 320].rstrip(b"\0").decode()
            offsets = struct.unpack_from(f">{normal + zero}Q", data, at + 320)
            at += 1344
            for i, offset in enumerate(offsets):
                content = data[at + i * PAGE:at + (i + 1) * PAGE] if i < normal else bytes(PAGE)
                last = pages.get(offset // PAGE, (-1, None))[0]
                if name == block and epoch > last:
                    pages[offset // PAGE] = (epoch, [content])
                elif name == block and epoch == last:
                    pages[offset // PAGE][1].append(content)
            at += normal * PAGE
            epoch += flags & 1
    return {page: versions for page, (_, versions) in pages.items()}


def listens(path):
    """The last release gives the socket its name before it listens; from then on the
    socket has another name first, which is the one in this table."""
    with open("/proc/net/unix", encoding="ascii", errors="replace") as f:
        rows = [row.split() for row in f]
    accepts = 1 << 16  # __SO_ACCEPTCON of linux/net.h
    return os.path.exists(path) and all(
        int(row[3], 16) & accepts for row in rows[1:] if row[-1] == path)


@needs(*PROGRAMS, "guest/drover-stress.elf", "tests/lib/libtap.so")
class RelayCase(unittest.TestCase):
    """Two hosts, a QEMU on each, and a relay between them."""

    source_qemu = destination_qemu = machine.QEMU
    machine_type = "pc-i440fx-7.2"
    settings = None
    builds = {}     # of a host's programs

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, rate=None)
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name),
                 settings=self.settings)
            for name in ("alpha", "beta")))
        for host in (self.alpha, self.beta):
            host.of(self.builds.get(host.name, BUILD)).start()
        self.console = Console(self.lab)

    def start(self, guest=None, source=(), destination=(), both=(), shared=(True, True),
              memory="128M", machine_type=None):
        """Both QEMUs; the guest runs at the source."""
        common = [*(guest or stress()), *self.console.arguments(), *both]
        kind = machine_type or self.machine_type
        self.source = machine.Qemu(
            self.lab, "source", *common, *source, program=self.source_qemu, memory=memory,
            machine=kind, shared=shared[0], tapped="migrate.sock",
            namespace=self.network["alpha"])
        self.console.wait_line("^hb ", 30)
        self.destination = machine.Qemu(
            self.lab, "destination", *common, *destination, program=self.destination_qemu,
            memory=memory, machine=kind, shared=shared[1], incoming=True,
            namespace=self.network["beta"])

    def relay(self, pid=None, incoming=None):
        """drover relay on both hosts; the path that QEMU migrates to.

        pid: what --pid says.  incoming: where the destination's QEMU listens."""
        listen = self.lab.path("migrate.sock")
        incoming = incoming or f"unix:{self.lab.path('incoming.sock')}"
        self.beta.drover("relay", "accept", "r1", "--qemu", incoming.removeprefix("unix:"),
                         "--background",
                         *(["--pid", pid] if pid else []))
        self.alpha.drover("relay", "connect", "r1", "beta", "--listen", listen, "--background")
        wait_for("the relay's socket", lambda: listens(listen))
        # It need not be there before the relay is.
        self.destination.qmp("migrate-incoming", uri=incoming)
        return listen

    def migrate(self, *, incoming=None, pid=None, passes=3, bandwidth=200 * MIB, source_capabilities=None,
                destination_capabilities=None, parameters=None, during=None, **capabilities):
        """All of it; the job of alpha's relay, which must be done."""
        both = {"events": True, "return-path": True, **capabilities}
        self.source.qmp.capabilities(**both, **(source_capabilities or {}))
        self.destination.qmp.capabilities(**both, **(destination_capabilities or {}))
        for end in (self.source, self.destination):
            if parameters:
                end.qmp("migrate-set-parameters", **parameters)
        self.source.qmp("migrate-set-parameters", max_bandwidth=bandwidth, downtime_limit=1)
        listen = self.relay(pid, incoming)
        self.source.qmp("migrate", uri=f"unix:{listen}")
        self.pass_by(passes)
        if during:
            during()
        self.source.qmp("migrate-set-parameters", downtime_limit=2000, max_bandwidth=0)
        self.wait_completed()
        for host in (self.alpha, self.beta):
            job = host.wait_job(host.newest_job(kind="relay")["id"], timeout=20)
            self.assertEqual((job["state"], job["error"]), ("done", None), host.log_text())
        self.assertFalse(os.path.exists(listen), "the relay's socket is left")
        self.job = self.alpha.newest_job(kind="relay")
        return self.job["report"]

    def pass_by(self, passes):
        def enough():
            now = self.source.qmp("query-migrate")
            return (now["status"] not in ("setup", "active", "wait-unplug")
                    or now.get("ram", {}).get("dirty-sync-count", 0) > passes)
        wait_for(f"{passes} passes", enough, 60)

    def wait_completed(self):
        try:
            self.source.qmp.wait_migration("completed", timeout=60)
            self.destination.qmp.wait_migration("completed", timeout=60)
        except Failed as e:
            raise Failed(f"{e}; destination: {self.destination.errors()}; alpha: "
                         f"{self.alpha.log_text()[-500:]}; beta: "
                         f"{self.beta.log_text()[-500:]}") from None

    # -- verdicts
    def tapes(self):
        """What QEMU sent, a file for each of its connections."""
        return glob.glob(self.source.stream().rsplit(".", 1)[0] + ".*")

    def check(self, destination=None, source=None):
        """The destination has the last version of each page, and each page."""
        verdict = oracle.judge(
            self.source.stream(), destination or {"pc.ram": self.destination.memory(SIZE)},
            source or {"pc.ram": self.source.memory(SIZE)})
        print(verdict)
        self.assertTrue(verdict.good, verdict)
        self.assertEqual([c.missing for c in verdict.destination],
                         [0] * len(verdict.destination), verdict)
        return verdict

    def check_channels(self):
        """The destination has each page as multifd's channels, or the main
        connection, sent it last; how many QEMU never sent so."""
        sent = multifd_pages(self.source.stream(), "pc.ram")
        zeros = oracle.Stream(self.source.stream()).blocks["pc.ram"].pages
        there = self.destination.memory(SIZE)
        self.assertGreater(len(sent), 60 * MIB // PAGE)
        for page in range(SIZE // PAGE):
            allowed = sent.get(page, [])
            if zeros[page] == oracle.IS_ZERO:
                allowed = [*allowed, bytes(PAGE)]
            if there[page * PAGE:(page + 1) * PAGE] not in allowed:
                self.fail(f"page {page:#x}: not what was sent" if allowed
                          else f"page {page:#x} was never sent")
        lost = len(self.differing())
        print(f"multifd: {len(sent)} pages as sent, {lost} lost by QEMU")
        return lost

    def by_monitor(self, qemu, size, start=0):
        """Guest-physical memory as QEMU itself reads it."""
        path = os.path.join(self.lab.fast, f"{qemu.name}-{start:x}")
        qemu.qmp("pmemsave", val=start, size=size, filename=path)
        return Memory(path, f"memory of the {qemu.name}")

    def differing(self, size=SIZE):
        """Pages in which the two paused QEMUs differ."""
        here, there = self.source.memory(size), self.destination.memory(size)
        return [at // PAGE for at in range(0, size, PAGE)
                if here[at:at + PAGE] != there[at:at + PAGE]]

    def diverted(self, report):
        return report["bytes"]["raw"] + report["bytes"]["zero"]

    def bitmaps(self, qemu):
        found, = (node.get("dirty-bitmaps", []) for node in qemu.qmp("query-named-block-nodes")
                  if node["node-name"] == "disk0")
        return [{k: b[k] for k in ("name", "count", "granularity", "recording")} for b in found]

    def fill_memfds(self, pid, size):
        """Random content in every shared memory of this size."""
        done = set()
        for path in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                status = os.stat(path)
            except FileNotFoundError:
                continue
            if status.st_size == size and status.st_ino not in done:
                done.add(status.st_ino)
                with open(path, "r+b", buffering=0) as f:
                    f.write(random.Random(status.st_ino).randbytes(size // 2))
        self.assertEqual(len(done), 2)

    def check_goes_on(self, lost=0):
        """The guest runs at the destination; it may only miss what QEMU lost, and
        one that does may not come far."""
        before = len(self.console.lines)
        self.destination.qmp("cont")
        try:
            wait_for("heartbeats at the destination", lambda: sum(
                x.pid == self.destination.pid for x in self.console.heartbeats()) > 15, 20)
        except Failed as e:
            if lost:
                print(f"{e}: QEMU lost {lost} of the guest's pages")
                return
            raise Failed(f"{e}, though QEMU lost nothing; "
                         f"the console ends: {self.console.tail()}") from None
        if not lost:
            self.assertEqual(self.console.corrupt(), [])
        self.assertGreater(len(self.console.lines), before)


class Relay(RelayCase):
    def test_the_destination_has_each_page_as_it_was_sent_last(self):
        self.start()
        report = self.migrate()
        verdict = self.check()
        self.assertGreater(self.diverted(report), SIZE)
        self.assertEqual(report["reasons"], [])
        self.check_goes_on(verdict.lost_by_qemu)

    def test_over_a_tcp_port_every_page_stays_in_the_stream(self):
        self.start()
        report = self.migrate(incoming="tcp:127.0.0.1:6999")
        self.check()
        self.assertEqual(self.diverted(report), 0)
        self.assertGreater(report["bytes"]["stream"], 60 * MIB)
        shown = self.alpha.drover("job", "show", self.job["id"]).stdout
        self.assertIn("QEMU's stream, with the memory in it", shown)
        self.assertNotRegex(shown, "device state|round|set-up")

    def test_a_destination_that_shares_nothing_is_written_from_outside(self):
        self.start(shared=(True, False))
        report = self.migrate()
        self.check({"pc.ram": self.by_monitor(self.destination, SIZE)})
        self.assertGreater(self.diverted(report), 0.9 * SIZE)
        self.assertEqual(report["reasons"], [])

    def test_without_an_answer_of_qemu_no_address_is_proved(self):
        self.start(shared=(True, False))
        report = self.migrate(**{"return-path": False})
        self.check({"pc.ram": self.by_monitor(self.destination, SIZE)})
        self.assertEqual(self.diverted(report), 0)
        self.assertEqual(report["reasons"], [
            "pages went through QEMU: pc.ram: no page came that could prove its address while "
            "QEMU could answer: it needs the capability return-path"])

    def test_a_source_that_shares_nothing(self):
        self.start(shared=(False, True))
        report = self.migrate()
        self.check(source={"pc.ram": self.by_monitor(self.source, SIZE)})
        self.assertGreater(self.diverted(report), SIZE)

    def test_without_a_return_path(self):
        self.start()
        self.migrate(**{"return-path": False})
        self.check()

    def test_a_destination_with_huge_pages(self):
        with huge_pages(SIZE):
            self.start(shared=(True, False), destination=[
                "-object", "memory-backend-memfd,id=pc.ram,size=128M,share=on,hugetlb=on,"
                "hugetlbsize=2M", "-machine", "memory-backend=pc.ram"])
            report = self.migrate()
            self.check()
            self.assertGreater(self.diverted(report), SIZE)
            self.destination.kill()

    def test_xbzrle_deltas_stay_in_the_stream_and_land_after_their_page(self):
        self.start(guest=stress(touch="few", rate="40M", hot="32M", content="text"))
        report = self.migrate(xbzrle=True, passes=6, bandwidth=60 * MIB)
        verdict = self.check()
        self.assertGreater(verdict.counts.xbzrle, 100)
        self.assertGreater(self.diverted(report), SIZE // 2)
        self.check_goes_on(verdict.lost_by_qemu)


    def test_two_backends_of_one_size(self):
        half = SIZE // 2
        self.start(shared=(False, False), both=[
            word for node in ("m0", "m1") for word in (
                "-object", f"memory-backend-memfd,id={node},size={half},share=on",
                "-numa", f"node,memdev={node}")])
        report = self.migrate()
        here, there = (self.by_monitor(end, SIZE) for end in (self.source, self.destination))
        self.check({"m0": Part(there, 0, half), "m1": Part(there, half, half)},
                   {"m0": Part(here, 0, half), "m1": Part(here, half, half)})
        self.assertGreater(self.diverted(report), SIZE)

    def test_memory_in_dimms(self):
        size = 32 * MIB
        self.start(both=["-m", "128M,slots=4,maxmem=1G"] + [
            word for dimm in ("d0", "d1") for word in (
                "-object", f"memory-backend-memfd,id={dimm},size={size},share=on",
                "-device", f"pc-dimm,id=dimm{dimm},memdev={dimm}")])
        self.fill_memfds(self.source.pid, size)
        report = self.migrate()
        at = {device["data"]["memdev"].rsplit("/", 1)[1]: device["data"]["addr"]
              for device in self.destination.qmp("query-memory-devices")}
        ends = [{"pc.ram": end.memory(SIZE),
                 **{dimm: self.by_monitor(end, size, start) for dimm, start in at.items()}}
                for end in (self.source, self.destination)]
        self.assertNotEqual(ends[0]["d0"][0:PAGE], ends[0]["d1"][0:PAGE])
        self.check(ends[1], ends[0])
        self.assertGreater(self.diverted(report), SIZE + 2 * size)

    def test_dirty_bitmaps_arrive(self):
        self.start(both=["-blockdev", "null-co,node-name=disk0,size=67108864,read-zeroes=on"])
        self.source.qmp("block-dirty-bitmap-add", node="disk0", name="backup")
        for start in ("1M", "7M", "40M"):
            self.source.qmp.hmp(f'qemu-io disk0 "write {start} 200k"')
        before = self.bitmaps(self.source)
        self.assertEqual([(b["name"], b["count"] >= 600 << 10) for b in before],
                         [("backup", True)])
        report = self.migrate(**{"dirty-bitmaps": True})
        self.check()
        self.assertEqual(self.bitmaps(self.destination), before)
        self.assertGreater(self.diverted(report), SIZE)

    def test_with_post_copy_advised_nothing_is_diverted(self):
        self.start()
        report = self.migrate(**{"postcopy-ram": True})
        self.check()
        self.assertEqual(self.diverted(report), 0)
        self.assertRegex(" ".join(report["reasons"]), "post-?copy")
        shown = self.alpha.drover("job", "show", self.job["id"]).stdout
        self.assertRegex(shown, "post-?copy")

    def switch_midway(self):
        """To post-copy when half of the first pass has gone, and is dirty again."""
        wait_for("half of the first pass", lambda: self.source.qmp(
            "query-migrate")["ram"]["transferred"] > 30 * MIB, 30)
        self.source.qmp("migrate-start-postcopy")

    def test_post_copy_completes(self):
        self.start(guest=stress(rate="80M", hot="64M"))
        report = self.migrate(bandwidth=20 * MIB, passes=0, during=self.switch_midway,
                              **{"postcopy-ram": True})
        self.assertIn("postcopy-active", [e["data"].get("status") for e in
                                          self.source.qmp.events if e["event"] == "MIGRATION"])
        self.assertEqual(self.diverted(report), 0)
        lost = len(self.differing())
        print(f"post-copy: {lost} pages differ from the source's")
        self.assertEqual(lost, 0)
        self.check_goes_on()

    def test_post_copy_with_a_channel_for_urgent_pages_completes(self):
        self.start(guest=stress(rate="80M", hot="64M"))
        report = self.migrate(bandwidth=20 * MIB, passes=0, during=self.switch_midway,
                              **{"postcopy-ram": True, "postcopy-preempt": True})
        self.assertEqual(self.diverted(report), 0)
        self.assertEqual(len(self.tapes()), 2)
        self.assertEqual(self.differing(), [])
        self.check_goes_on()

    def test_a_guest_runs_on_pages_that_it_asks_for(self):
        self.start(guest=stress(rate="20M", hot="64M"))

        def switch():
            self.destination.qmp("cont")    # as soon as it can
            self.source.qmp("migrate-start-postcopy")
            wait_for("a heartbeat at the destination", lambda: any(
                x.pid == self.destination.pid for x in self.console.heartbeats()), 30)
            self.assertEqual(self.source.qmp.migration(), "postcopy-active")
            self.source.qmp("migrate-set-parameters", max_postcopy_bandwidth=0)
        # So slow that the guest needs pages before they come by themselves.
        self.source.qmp("migrate-set-parameters", max_postcopy_bandwidth=4 * MIB)
        self.migrate(bandwidth=10 * MIB, passes=0, during=switch, **{"postcopy-ram": True})
        self.assertGreater(self.source.qmp("query-migrate")["ram"]["postcopy-requests"], 0)
        self.assertEqual(self.destination.qmp.status(), "running")
        at = len(self.console.lines)
        wait_for("heartbeats after the end", lambda: len(self.console.lines) > at + 15, 20)
        self.assertEqual(self.console.corrupt(), [])

    def test_multifd_is_carried(self):
        self.start()
        report = self.migrate(multifd=True, parameters={"multifd_channels": 2})
        self.assertEqual(self.diverted(report), 0)
        self.assertEqual(len(self.tapes()), 3)
        self.check_channels()


@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class CompressedRelay(RelayCase):
    # Channels wait for the workers: this machine may have no idle time.
    settings = {"move": {"option": "compression", "repeat-cache": "32M", "compress": "always"}}

    def test_pages_travel_as_what_has_changed_in_them(self):
        self.network.links[0].shape("200mbit")
        self.start(stress(touch="few"))
        report = self.migrate(passes=6)
        print(report["pages"])
        self.assertGreater(report["pages"]["delta"], 100)
        self.assertGreater(report["press"]["before"], 0)
        self.check_goes_on(self.check().lost_by_qemu)


@slow
class RelayOfQemu10(Relay):
    source_qemu = destination_qemu = qemu10()[0]
    machine_type = "q35"


@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class RelayFromOldToNew(RelayCase):
    """What depends on the versions at both ends."""

    destination_qemu = qemu10()[0]
    test_xbzrle = Relay.test_xbzrle_deltas_stay_in_the_stream_and_land_after_their_page
    test_dirty_bitmaps_arrive = Relay.test_dirty_bitmaps_arrive
    test_with_post_copy_advised = Relay.test_with_post_copy_advised_nothing_is_diverted
    test_multifd_is_carried = Relay.test_multifd_is_carried


@unittest.skipIf(qemu10()[0] is None, NO_QEMU10)
class RelayFromNewToOld(RelayFromOldToNew):
    source_qemu, destination_qemu = qemu10()[0], machine.QEMU


if __name__ == "__main__":
    unittest.main()
