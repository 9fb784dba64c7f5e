#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The stress guest itself: what is in its pages, and does it notice damage?

QEMU and QEMU10 as in test_guest.py.  Nothing in here keeps a rate.
"""

import os
import statistics
import struct
import sys
import time
import unittest
import zlib

from lab import slow
from stress import PAGE, GuestCase

PARALLEL = True
MIB = 1 << 20
RUN = 32
WORD_MASK = (1 << 64) - 1
KINDS = ('zero', 'text', 'text', 'random')


def kind_of(page):
    return KINDS[page // RUN % 4]


class Contents:
    """Mixed into a class for each QEMU."""

    def test_default_fills_all_but_16m(self):
        ready = self.guest('content=zero', memory='512M').wait_ready()
        self.assertGreater(int(ready['pages']) * PAGE, (512 - 19) * MIB)

    def test_64g_machine_has_all_its_memory_mapped(self):
        guest = self.guest('content=zero verify=8G', machine='q35,memory-backend=pc.ram',
                           memory='64G', args=('-object', 'memory-backend-ram,id=pc.ram,'
                                               'size=64G,reserve=off'))
        ready = guest.wait_ready(10)
        self.assertGreater(int(ready['pages']) * PAGE, 65500 * MIB)
        # Far enough that the check is above 4 GiB by now.
        guest.wait_beat('3 GiB checked', lambda b: b.verified * PAGE > 3 << 30, 30)
        self.assertEqual(guest.corrupt_lines(), [])

    def test_content_of_a_file_needs_one(self):
        guest = self.guest('content=file', memory='64M')
        self.assertIn('-initrd', guest.wait_line(r'^drover-stress: .*', 10).group(0))

    def test_the_file_is_no_memory_to_fill(self):
        with open(self.ram_file('file'), 'wb') as f:
            f.write(bytes(40 * MIB))
        guest = self.guest('content=file', memory='128M',
                           args=('-initrd', self.ram_file('file')))
        self.assertLess(int(guest.wait_ready()['pages']) * PAGE, (128 - 40 - 16) * MIB)

    def test_wrong_parameter_is_named(self):
        for wrong in ('bogus=1', 'rate=fast', 'heartbeat=0', 'touch=all', 'fill=1G'):
            with self.subTest(wrong=wrong):
                guest = self.guest(f'seed=3 {wrong}', memory='64M')
                line = guest.wait_line(r'^drover-stress: .*', 10).group(0)
                self.assertIn(wrong.split('=', maxsplit=1)[0], line)

    def test_reset_starts_over(self):
        guest = self.guest('fill=32M rate=10M hot=1M', memory='64M')
        guest.wait_beat('some dirtied', lambda b: b.generation > 2, 15)
        guest.qmp('system_reset')
        guest.wait_for('second ready line',
                       lambda: sum('ready' in line for _, line in guest.lines) == 2, 10)
        count = len(guest.beats())
        guest.wait_beats(count + 15, 10)
        self.assertEqual(guest.corrupt_lines(), [])

    # What is in the pages, seen from outside.

    def read_filled(self, append, memory='128M'):
        """The guest's filled memory as bytes, and the ready line's fields."""
        ram = self.ram_file()
        guest = self.guest(append, memory=memory, ram_file=ram)
        ready = guest.wait_ready()
        guest.wait_beats(10, 10)
        guest.qmp('stop')
        with open(ram, 'rb') as file:
            file.seek(int(ready['base'], 16))
            return file.read(int(ready['pages']) * PAGE), ready

    def check_page(self, number, page):
        """Head and checksum, computed once more in another language."""
        words = struct.unpack('<512Q', page)
        plain = running = 0
        for word in words[4:]:
            plain = (plain + word) & WORD_MASK
            running = (running + plain) & WORD_MASK
        self.assertEqual(words[0], number)
        self.assertEqual(words[2:4], (plain, running))

    def test_content_is_what_it_says(self):
        # Dirtied several times over, so this is new content as well as old.
        data, ready = self.read_filled('fill=16M rate=40M seed=7')
        sizes = {'text': [], 'random': []}
        zero = 0
        for number in range(int(ready['pages'])):
            page = data[number * PAGE:(number + 1) * PAGE]
            kind = kind_of(number)
            if kind == 'zero':
                self.assertEqual(page.count(0), PAGE, f'page {number} is to be zero')
                zero += 1
                continue
            sizes[kind].append(len(zlib.compress(page, 1)))
            if number % 16 == 0:
                self.check_page(number, page)
        self.assertEqual(zero, int(ready['zero']))
        text, rnd = (PAGE / statistics.mean(sizes[k]) for k in ('text', 'random'))
        self.assertTrue(2 <= text <= 4, f'text compresses {text:.2f}:1')
        self.assertLess(rnd, 1.02)

    def test_text_does_not_repeat_across_pages(self):
        # Codecs see many pages at once; they should not find one page in another.
        data, _ = self.read_filled('fill=4M content=text')
        ratio = len(data) / len(zlib.compress(data, 6))
        self.assertTrue(2 <= ratio <= 4, f'text compresses {ratio:.2f}:1')

    def test_zero_pages_are_never_touched(self):
        if not os.path.isdir('/dev/shm'):
            self.skipTest('no /dev/shm')
        ram = os.path.join(self.lab.fast, 'ram')
        guest = self.guest('content=zero verify=0', memory='512M', ram_file=ram)
        guest.wait_beats(3, 10)
        allocated = os.stat(ram).st_blocks * 512
        self.assertLess(allocated, 80 * MIB)

    # Damage.

    def patch(self, ram, at, data):
        with open(ram, 'r+b') as file:
            file.seek(at)
            file.write(data)

    def damaged(self, number, change):
        """A guest with `change` XORed into byte 1000 of a page."""
        ram = self.ram_file()
        guest = self.guest('fill=16M seed=5', memory='64M', ram_file=ram)
        base = int(guest.wait_ready()['base'], 16)
        at = base + number * PAGE + 1000
        with open(ram, 'rb') as file:
            file.seek(at)
            old = file.read(1)[0]
        self.patch(ram, at, bytes([old ^ change]))
        return guest

    def check_flip_is_noticed(self, number):
        guest = self.damaged(number, 0x10)
        line = guest.wait_line(r'^CORRUPT.*', 5).group(0)
        self.assertIn(f'CORRUPT page {number} (expected', line)
        guest.wait_beat('corrupt in the heartbeat', lambda b: b.corrupt == 1, 5)
        # Passes of a quarter of a second each: told once, not in every pass.
        count = len(guest.beats())
        guest.wait_beats(count + 10, 10)
        self.assertEqual(len(guest.corrupt_lines()), 1)

    def test_flipped_bit_in_a_zero_page_is_noticed(self):
        self.check_flip_is_noticed(5)

    def test_flipped_bit_in_a_text_page_is_noticed(self):
        self.check_flip_is_noticed(40)

    def test_flipped_bit_in_a_random_page_is_noticed(self):
        self.check_flip_is_noticed(100)

    def test_whole_but_old_page_is_noticed(self):
        ram = self.ram_file()
        guest = self.guest('fill=16M hot=1M rate=4M', memory='64M', ram_file=ram)
        at = int(guest.wait_ready()['base'], 16) + 40 * PAGE
        guest.qmp('stop')
        with open(ram, 'rb') as file:
            file.seek(at)
            old = file.read(PAGE)
        generation = struct.unpack('<4Q', old[:32])[1]
        guest.qmp('cont')
        guest.wait_beat('two rounds more', lambda b: b.generation > generation + 2, 10)
        guest.qmp('stop')
        self.patch(ram, at, old)
        guest.qmp('cont')
        line = guest.wait_line(r'^CORRUPT page 40 .*', 5).group(0)
        self.assertIn(f'has page 40 gen {generation}, checksum right', line)
        # New content makes the page good again.
        count = len(guest.beats())
        guest.wait_beats(count + 15, 10)
        self.assertEqual(len(guest.corrupt_lines()), 1)

    def test_many_damaged_pages_are_counted_and_twenty_told(self):
        ram = self.ram_file()
        guest = self.guest('fill=16M content=random', memory='64M', ram_file=ram)
        base = int(guest.wait_ready()['base'], 16)
        for number in range(200, 250):
            self.patch(ram, base + number * PAGE, bytes(PAGE))
        guest.wait_beat('50 corrupt pages', lambda b: b.corrupt == 50, 5)
        self.assertEqual(len(guest.corrupt_lines()), 20)

    # QEMU's own migration.

    @staticmethod
    def differing_pages(one, other):
        with open(one, 'rb') as a, open(other, 'rb') as b:
            page = 0
            while True:
                left, right = a.read(MIB), b.read(MIB)
                if not left:
                    return
                if left != right:
                    for i in range(0, MIB, PAGE):
                        if left[i:i + PAGE] != right[i:i + PAGE]:
                            yield page + i // PAGE
                page += MIB // PAGE

    @staticmethod
    def migrate(source, destination, path):
        capabilities = [{'capability': 'return-path', 'state': True}]
        for guest in (source, destination):
            guest.qmp('migrate-set-capabilities', capabilities=capabilities)
        source.qmp('migrate-set-parameters', **{'max-bandwidth': 200 * MIB,
                                                'downtime-limit': 300})
        destination.qmp('migrate-incoming', uri=f'unix:{path}')
        source.qmp('migrate', uri=f'unix:{path}')
        until = time.monotonic() + 30
        while True:
            info = source.qmp('query-migrate')
            if info['status'] == 'completed':
                return info
            if info['status'] == 'failed' or time.monotonic() > until:
                raise AssertionError(f'migration: {info}')
            time.sleep(0.05)

    def test_migration_carries_guest_and_checks(self):
        # Emulated stores race with QEMU's dirty log, so QEMU itself loses a
        # page now and then. Both memories are compared while both guests stand
        # still: the guest must report the lost pages, and no others.
        append = 'fill=128M hot=32M rate=20M verify=300M'
        ram = self.ram_file('source'), self.ram_file('destination')
        source = self.guest(append, memory='256M', ram_file=ram[0])
        destination = self.guest(append, memory='256M', ram_file=ram[1],
                                 args=('-S', '-incoming', 'defer'))
        base = int(source.wait_ready()['base'], 16)
        source.wait_beats(5, 10)
        info = self.migrate(source, destination, self.lab.path('m'))
        pages = 128 * MIB // PAGE
        lost = {p - base // PAGE for p in self.differing_pages(*ram)}
        lost_filled = {p for p in lost if 0 <= p < pages}
        print(f'# {self.which}: {info["ram"]["dirty-sync-count"]} rounds, '
              f'downtime {info["downtime"]} ms, pages lost by QEMU: {len(lost)}',
              file=sys.stderr)
        if any(MIB <= p * PAGE + base < base for p in lost):
            self.skipTest("QEMU lost pages of the guest's own image, it cannot go on")
        destination.qmp('cont')
        last = source.beats()[-1]
        first = destination.wait_beats(1, 10)[0]
        self.assertTrue(1 <= first.number - last.number <= 3,
                        f'heartbeat {last.number} at the source, then {first.number}')
        self.assertGreaterEqual(first.dirtied, last.dirtied)
        # Every page once by the check alone, dirtying aside.
        destination.wait_beat('all pages checked', lambda b: b.verified - first.verified >
                              pages + b.dirtied - first.dirtied, 20)
        self.assertEqual(source.corrupt_lines(), [])
        self.assertLessEqual(destination.corrupt_pages(), lost_filled)
        if len(lost_filled) <= 20:
            self.assertEqual(destination.corrupt_pages(), lost_filled)


class DefaultQemu(Contents, GuestCase):
    which = 'default'


@slow
class Qemu10(Contents, GuestCase):
    which = '10.0'


if __name__ == '__main__':
    unittest.main(verbosity=2)
