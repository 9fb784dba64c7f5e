#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The stress guest itself: does it boot, and keep time and rate?

What is in its pages is test_guest_memory.py's.

QEMU names the QEMU to test with (qemu-system-x86_64), QEMU10 a second one of
version 10.0; what is missing is skipped. DROVER_STRESS names the guest.
"""

import os
import re
import socket
import statistics
import struct
import time
import unittest

import stress
from lab import Stolen, slow
from stress import PAGE, GuestCase

ALONE = True
MIB = 1 << 20


class Behaviour:
    """Mixed into a class for each QEMU."""

    def check_health(self, guest, rate):
        """Rate, heartbeat and clock over two seconds of the guest's life."""
        taken = Stolen()
        beats = guest.wait_beats(25, 15)[3:25]
        first, last = beats[0], beats[-1]
        guest_s = (last.ms - first.ms) / 1000
        host_s = last.when - first.when
        self.assertAlmostEqual(guest_s, host_s, delta=0.05 + 0.02 * host_s + taken.seconds(),
                               msg='guest clock against host clock')
        self.assertLessEqual(last.number - first.number,
                             1.2 * len(beats) + 10 * taken.seconds(),
                             'heartbeats left out')
        self.assertLess(statistics.median(b.ms - 100 * b.number for b in beats),
                        10 + 100 * taken.share(),
                        'heartbeats are late')
        got = (last.dirtied - first.dirtied) * PAGE / guest_s
        self.assertAlmostEqual(got, rate, delta=(0.15 + taken.share()) * rate,
                               msg='dirty rate')
        self.assertGreater(last.verified, first.verified)
        self.assertEqual(last.corrupt, 0)
        self.assertEqual(guest.corrupt_lines(), [])

    def check_machine(self, machine, memory, fill):
        guest = self.guest(f'fill={fill} rate=20M', machine=machine, memory=memory)
        ready = guest.wait_ready(10)
        self.assertEqual(ready['content'], 'mixed')
        self.assertEqual(int(ready['rate']), 20 * MIB)
        self.check_health(guest, 20 * MIB)

    @slow
    def test_pc_64m(self):
        self.check_machine('pc', '64M', '40M')

    def test_pc_512m(self):
        self.check_machine('pc', '512M', '400M')

    @slow
    def test_pc_4g(self):
        self.check_machine('pc', '4G', '1G')

    def test_q35_64m(self):
        self.check_machine('q35', '64M', '40M')

    @slow
    def test_q35_512m(self):
        self.check_machine('q35', '512M', '400M')

    @slow
    def test_q35_4g_fills_above_the_hole_below_4g(self):
        # q35 puts all above 2 GiB behind the hole.
        self.check_machine('q35', '4G', '2200M')

    def test_microvm(self):
        self.check_machine('microvm', '128M', '100M')

    def test_slow_and_fast_rates_are_kept(self):
        for rate in (1, 100):
            with self.subTest(rate=rate):
                guest = self.guest(f'fill=200M hot=30M rate={rate}M', memory='256M')
                guest.wait_ready()
                self.check_health(guest, rate * MIB)
                guest.process.kill()

    def test_touching_few_bytes_keeps_pages_whole(self):
        guest = self.guest('fill=32M hot=4M touch=few rate=40M verify=200M', memory='128M')
        guest.wait_ready()
        self.check_health(guest, 40 * MIB)
        guest.wait_beat('several rounds', lambda b: b.generation >= 10, 10)
        self.assertEqual(guest.corrupt_lines(), [])

    def test_loops_of_reads_leave_the_rest_on_time(self):
        guest = self.guest('fill=100M hot=30M rate=4M reads=50000', memory='128M')
        guest.wait_ready()
        self.check_health(guest, 4 * MIB)
        took = [int(t) for t in re.findall(r'^reads 50000 us=(\d+)$', guest.text(), re.M)]
        self.assertGreater(len(took), 3)
        self.assertGreater(min(took), 0)
        guest = self.guest('fill=16M heartbeat=20', memory='64M')
        guest.wait_beats(10, 10)
        self.assertNotIn('reads', guest.text())

    def test_pages_are_those_of_a_file(self):
        pages = 1000
        with open(self.ram_file('file'), 'wb') as f:
            f.write(b''.join(struct.pack('<Q', n) * (PAGE // 8) for n in range(pages)))
        guest = self.guest('fill=90M content=file hot=4M rate=20M verify=200M', memory='128M',
                           ram_file=self.ram_file(), args=('-initrd', self.ram_file('file')))
        ready = guest.wait_ready()
        self.check_health(guest, 20 * MIB)
        self.assertEqual(int(ready['pages']) * PAGE, 90 * MIB)
        with open(self.ram_file(), 'rb') as f:
            # Behind the hot set, and where the file begins again.
            for page in (1024, 1999, 2000, 2001, 22000):
                f.seek(int(ready['base'], 16) + page * PAGE)
                head = struct.unpack('<QQ', f.read(16))
                self.assertEqual(head, (page, 0))
                f.seek(16, os.SEEK_CUR)
                self.assertEqual(f.read(8), struct.pack('<Q', page % pages))

    def test_heartbeat_period_is_a_parameter(self):
        guest = self.guest('fill=16M heartbeat=20', memory='64M')
        guest.wait_ready()
        taken = Stolen()
        beats = guest.wait_beats(60, 10)
        span = beats[-1].ms - beats[9].ms
        self.assertAlmostEqual(span / (len(beats) - 10), 20, delta=2 + 20 * taken.share())

    def test_idle_guest_leaves_the_processor_alone(self):
        guest = self.guest('rate=0 verify=0', memory='64M')
        guest.wait_beats(3, 10)
        before = guest.cpu_seconds()
        guest.wait_beats(33, 10)
        share = (guest.cpu_seconds() - before) / 3
        self.assertLess(share, 0.1, 'share of a core')

    @slow
    def test_reader_that_stops_reading_does_not_stop_the_guest(self):
        path = self.lab.path('serial')
        guest = self.guest('fill=16M hot=1M rate=10M heartbeat=1', memory='64M',
                           serial=f'unix:{path},server=on,wait=on')
        with socket.socket(socket.AF_UNIX) as serial:
            until = time.monotonic() + 10
            while serial.connect_ex(path) and time.monotonic() < until:
                time.sleep(0.02)
            # 1000 lines a second, many times what the socket holds.
            time.sleep(8)
            text = self.read_for(serial, 1.0)
        beats = [stress.Beat(line, 0) for line in text.splitlines() if stress.BEAT.match(line)]
        gap, resumed = max(((b.number - a.number, b) for a, b in zip(beats, beats[1:])),
                           key=lambda found: found[0])
        self.assertGreater(gap, 500, 'the socket never filled, nothing was tested')
        got = resumed.dirtied * PAGE / resumed.ms * 1000
        self.assertAlmostEqual(got, 10 * MIB, delta=1.5 * MIB, msg='dirty rate')
        self.assertEqual(guest.process.poll(), None)

    @staticmethod
    def read_for(connection, seconds):
        until = time.monotonic() + seconds
        connection.settimeout(0.2)
        data = b''
        while time.monotonic() < until:
            try:
                data += connection.recv(65536)
            except TimeoutError:
                pass
        return data.decode()


class DefaultQemu(Behaviour, GuestCase):
    which = 'default'


@slow
class Qemu10(Behaviour, GuestCase):
    which = '10.0'


if __name__ == '__main__':
    unittest.main(verbosity=2)
