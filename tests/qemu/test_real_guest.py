# SPDX-License-Identifier: MIT
"""A Linux guest with two processors, a disk and a network card goes on.

Debian's cloud kernel with a busybox initramfs.  The guest counts time, keeps a
pattern on its disk, writes new ones and reads them back, and echoes what comes
over TCP.  Its card is a tap device in a bridge of the host's namespace:

    client ── lan4 ── gbr(alpha) ── lan3 ── gbr(beta)
                        vm0                   vm0
                       guest  ─────────►     guest

The client has no part in the move; the bridges learn the guest's new place from
what the destination's QEMU announces.
"""
import hashlib
import re
import socket
import struct
import threading
import time
import unittest

from lab import Failed, Lab, needs, oracle, qemu10, slow, wait_for
from lab import linux, machine, tap
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 300
MEMORY = 192 << 20
GUEST, CLIENT = "10.99.0.2", "10.99.0.1"
MAC = "52:54:00:99:00:02"
BASE, SLOT = 1 << 20, 64 << 10  # the pattern's end; where new writes go

# What the guest does.  The clocks are read last and without another process:
# what they say is held against when the line arrives.  The base is written by the host; a write N is 64 KiB of
# the line "N" in one of 32 slots, dropped from the cache before it is read.
MAIN = f"""
ip link set lo up; ip link set eth0 up; ip addr add {GUEST}/24 dev eth0
nc -ll -p 7 -e cat &
echo "processors $(grep -c ^processor /proc/cpuinfo)"
n=0
while :; do
    n=$((n + 1)); slot=$((16 + n % 32))
    yes $n | dd of=/dev/vda bs={SLOT} count=1 iflag=fullblock seek=$slot conv=notrunc,fsync \\
        2>/dev/null || echo "write $n failed"
    echo 1 >/proc/sys/vm/drop_caches
    wrote=$(yes $n | dd bs={SLOT} count=1 iflag=fullblock 2>/dev/null | md5sum)
    read=$(dd if=/dev/vda bs={SLOT} count=1 skip=$slot 2>/dev/null | md5sum)
    base=$(dd if=/dev/vda bs={BASE} count=1 2>/dev/null | md5sum)
    [ "$wrote" = "$read" ] && new=good || new=bad
    read -r up rest </proc/uptime
    echo "hb $n t=${{up%.*}}${{up#*.}}0 date=$EPOCHREALTIME new=$new base=${{base%% *}}"
    sleep 0.05
done
"""
BEAT = re.compile(r"^hb (\d+) t=(\d+) date=([\d.]+) new=(\w+) base=(\w+)$")


class Ping(threading.Thread):
    """Asks the guest twenty times a second; when the answers came."""

    def __init__(self, namespace):
        super().__init__(daemon=True)
        self.answers = []
        self.socket = namespace.inside(socket.socket, socket.AF_INET, socket.SOCK_RAW,
                                       socket.IPPROTO_ICMP)
        self.socket.settimeout(0.05)
        self.running = True
        self.start()

    def run(self):
        number = 0
        while self.running:
            number += 1
            head = struct.pack(">BBHHH", 8, 0, 0, 0x4D56, number & 0xFFFF)
            total = sum(struct.unpack(">4H", head))
            total = (total & 0xFFFF) + (total >> 16)
            began = time.monotonic()
            try:
                self.socket.sendto(head[:2] + struct.pack(">H", ~total & 0xFFFF) + head[4:],
                                   (GUEST, 0))
                while True:
                    packet = self.socket.recv(2048)
                    if packet[20] == 0 and packet[24:26] == b"MV":
                        self.answers.append(time.monotonic())
                        break
            except OSError:     # none in time, or the guest is not there yet
                pass
            time.sleep(max(0, began + 0.05 - time.monotonic()))

    def longest_silence(self, since):
        times = [t for t in list(self.answers) if t >= since]
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))

    def close(self):
        self.running = False
        self.join()
        self.socket.close()


@needs(*PROGRAMS, "tests/lib/libtap.so")
@unittest.skipIf(qemu10()[0] is None, f"no QEMU 10, and 7.2 with two processors loses "
                                      f"pages by itself: {qemu10()[1]}")
@unittest.skipIf(linux.kernel()[0] is None, f"no Linux guest: {linux.kernel()[1]}")
class RealGuest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta", "client"))
        for _ in range(2):
            self.network.link("alpha", "beta", rate="1gbit")
        self.taps, hosts = [], []
        for name in ("alpha", "beta"):
            self.taps.append(tap.Tap(self.lab, qemu10()[0], shares=True))
            hosts.append(Host(self.lab, name, self.network[name], self.network.addresses(name),
                              qemu=self.taps[-1].program))
        self.alpha, self.beta = connect(*hosts)
        self.guest_network()
        self.console = Console(self.lab)
        for host in hosts:
            host.start()

    def guest_network(self):
        between = self.network.link("alpha", "beta", rate=None)
        client = self.network.link("client", "alpha", rate=None)
        ports = {"alpha": [between.names[0], client.names[1]], "beta": [between.names[1]]}
        for name, links in ports.items():
            run = self.network[name].run
            try:
                run("ip", "link", "add", "gbr", "type", "bridge")
                run("ip", "tuntap", "add", "dev", "vm0", "mode", "tap")
            except Exception as e:
                self.skipTest(f"no bridge or tap device here: {e}")
            for link in (*links, "vm0"):
                run("ip", "address", "flush", "dev", link)
                run("ip", "link", "set", link, "master", "gbr")
                run("ip", "link", "set", link, "up")
            run("ip", "link", "set", "gbr", "up")
        self.network["client"].run("ip", "address", "add", f"{CLIENT}/24", "dev",
                                   client.names[0])

    def boot(self):
        self.disk = self.lab.path("disk.raw")
        base = bytes(range(256)) * (BASE // 256)
        with open(self.disk, "wb") as f:
            f.write(base)
            f.truncate(16 << 20)
        self.base = hashlib.md5(base).hexdigest()
        image = linux.initramfs(self.lab, MAIN, ["virtio_pci", "virtio_blk", "virtio_net"])
        self.alpha.define(machine.definition(
            "guest", *linux.arguments(image), *self.console.arguments(),
            "-netdev", "tap,id=n0,ifname=vm0,script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=n0,mac={MAC}",
            "-drive", f"if=none,id=d0,file={self.disk},format=raw,cache=none",
            "-device", "virtio-blk-pci,drive=d0", "-no-reboot",
            memory="192M", vcpus=2, machine="q35", share=True))
        self.alpha.drover("vm", "start", "guest")
        # One will do, where the emulator got too little time to bring up the other.
        # Nothing of ours has touched the guest yet.
        try:
            print(self.console.wait_line("^processors [12]$", 90).text)
        except Failed as e:
            self.skipTest(f"the guest does not boot in this emulator: {e}")
        self.console.wait_line("^hb 5 ", 30)
        self.ping = Ping(self.network["client"])
        self.lab.cleanup(self.ping.close)
        wait_for("answers to pings", lambda: len(self.ping.answers) > 5)
        self.echo = self.network["client"].socket()
        self.lab.cleanup(self.echo.close)
        self.echo.settimeout(10)
        self.echo.connect((GUEST, 7))
        self.talk(b"before\n")

    def talk(self, data):
        """The connection that was made before the first move still works."""
        self.echo.sendall(data)
        got = b""
        while len(got) < len(data):
            part = self.echo.recv(100)
            self.assertTrue(part, "the guest closed the connection")
            got += part
        self.assertEqual(got, data)

    def beats(self, since=0, pid=None):
        return [(line, BEAT.match(line.text)) for line in self.console.lines[since:]
                if BEAT.match(line.text) and pid in (None, line.pid)]

    def wait_beats(self, pid, n, since):
        wait_for(f"{n} heartbeats at the destination",
                 lambda: len(self.beats(since, pid)) >= n, 40)

    def check_disk(self, since):
        """Old and new patterns are right, in the guest's eyes and in the file."""
        for line, beat in self.beats(since):
            self.assertEqual((beat[4], beat[5]), ("good", self.base), line.text)
        self.assertEqual([x.text for x in self.console.lines if "failed" in x.text], [])
        newest = int(self.beats()[-1][1][1])
        with open(self.disk, "rb") as f:
            # It may have begun the next one; the one before last is whole.
            f.seek((16 + (newest - 1) % 32) * SLOT)
            self.assertEqual(f.read(SLOT), (b"%d\n" % (newest - 1) * SLOT)[:SLOT])

    def check_clock(self, since, downtime):
        """Between two lines the guest's clocks went on like ours, but for the
        downtime at most, and no number is missing."""
        beats = self.beats(since)
        for (a, first), (b, second) in zip(beats, beats[1:]):
            self.assertEqual(int(second[1]), int(first[1]) + 1)
            here = b.at - a.at
            up = (int(second[2]) - int(first[2])) / 1000
            date = float(second[3]) - float(first[3])
            for name, there in (("uptime", up), ("date", date)):
                self.assertGreaterEqual(there, 0, f"{name} went back: {b.text}")
                self.assertLess(abs(there - here), downtime + 1,
                                f"{name} jumped by {there:.2f} s in {here:.2f} s: {b.text}")

    def move(self, source, destination):
        """A live move and all that must be true of the guest afterwards."""
        since, began = len(self.console.lines), time.monotonic()
        source.drover("move", "guest", destination.name)
        job = source.newest_job(kind="move")
        self.assertEqual(job["state"], "done", source.log_text())
        downtime = job["report"]["downtime_ms"] / 1000
        ended = time.monotonic()
        pid = destination.machine("guest")["pid"]
        self.wait_beats(pid, 5, since)
        wait_for("answers to pings after the move",
                 lambda: sum(t > ended for t in self.ping.answers) > 10, 20)
        silence = self.ping.longest_silence(began)
        print(f"{source.name} to {destination.name}: {job['report']['total_ms']} ms, downtime "
              f"{downtime:.3f} s, network silent for {silence:.3f} s")
        self.assertLess(silence, downtime + 3)
        self.talk(b"after the move to " + destination.name.encode() + b"\n")
        self.check_clock(since, downtime)
        self.check_disk(since)

    def test_clock_disk_and_network_go_on_there_and_back(self):
        self.boot()
        self.move(self.alpha, self.beta)
        self.move(self.beta, self.alpha)

    @slow
    def test_memory_is_what_was_sent_and_the_guest_goes_on_after_a_pause(self):
        self.boot()
        shown = self.alpha.machine("guest")
        before = oracle.Memory.of_process(shown["pid"], MEMORY)
        self.alpha.drover("move", "guest", "beta", "--paused")
        pid = self.beta.machine("guest")["pid"]
        verdict = oracle.judge(self.taps[0].stream(shown["pid"]),
                               {"pc.ram": oracle.Memory.of_process(pid, MEMORY)},
                               {"pc.ram": before})
        print(verdict)
        self.assertTrue(verdict.good, verdict)
        self.assertEqual(verdict.destination[0].missing, 0)
        since, paused = len(self.console.lines), time.monotonic()
        time.sleep(1)
        self.assertEqual(self.beats(since), [], "the guest runs, and nobody started it")
        self.beta.drover("vm", "start", "guest")
        self.wait_beats(pid, 5, since)
        wait_for("answers to pings", lambda: sum(t > paused for t in self.ping.answers) > 10, 20)
        self.talk(b"after the pause\n")
        self.check_disk(since)


if __name__ == "__main__":
    unittest.main()
