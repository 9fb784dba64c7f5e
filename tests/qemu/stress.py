# SPDX-License-Identifier: MIT
"""One QEMU with the stress guest in it, for the tests.

A thread reads the serial line and notes when each line came; everything else
runs in the test's own thread. Nothing here decides whether a test passes.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest

from lab.core import Lab, ROOT

ELF = os.environ.get('DROVER_STRESS', os.path.join(ROOT, 'build/guest/drover-stress.elf'))
PAGE = 4096

QEMUS = {
    'default': os.environ.get('QEMU', 'qemu-system-x86_64'),
    '10.0': os.environ.get('QEMU10', ''),
}


def qemu_path(name):
    """The program, or None and why it is missing."""
    program = QEMUS[name]
    if not program:
        return None, 'QEMU10 does not name a QEMU 10.0'
    found = shutil.which(program)
    return found, None if found else f'{program} is not installed'


class Beat:
    """A heartbeat line: guest milliseconds, counters, and when it came."""

    def __init__(self, text, when):
        words = text.split()
        self.when = when
        self.number = int(words[1])
        fields = dict(w.split('=', 1) for w in words[2:])
        self.ms = int(fields['t'])
        self.verified = int(fields['verified'])
        self.dirtied = int(fields['dirtied'])
        self.generation = int(fields['gen'])
        self.corrupt = int(fields['corrupt'])


BEAT = re.compile(r'hb \d+ t=\d+ verified=\d+ dirtied=\d+ gen=\d+ corrupt=\d+$')


class Guest:
    """Starts QEMU; use as a context manager."""

    def __init__(self, qemu, append='', machine='pc', memory='512M', ram_file=None,
                 args=(), serial='stdio'):
        self.lab = Lab()
        self.lines = []
        self.news = threading.Condition()
        self.ended = False
        self.monitor = None
        self.qmp_path = self.lab.path('qmp')
        ram = []
        if ram_file:
            ram = ['-object', f'memory-backend-file,id=pc.ram,size={memory},share=on,'
                   f'mem-path={ram_file}']
            machine += ',memory-backend=pc.ram'
        self.started = time.monotonic()
        self.process = self.lab.spawn(
            [qemu, '-accel', 'tcg', '-no-user-config', '-nodefaults', '-display', 'none',
             '-smp', '1', '-m', memory, *ram, '-machine', machine, '-serial', serial,
             '-qmp', f'unix:{self.qmp_path},server=on,wait=off',
             '-kernel', ELF, '-append', append, *args],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        if self.monitor:
            self.monitor.close()
        self.lab.close()

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append((time.monotonic(), line.decode(errors='replace').rstrip()))
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def text(self):
        with self.news:
            return '\n'.join(line for _, line in self.lines)

    def wait_for(self, what, condition, timeout):
        """Waits until condition() gives something, looking at each new line."""
        until = time.monotonic() + timeout
        with self.news:
            while True:
                result = condition()
                if result:
                    return result
                left = until - time.monotonic()
                if left <= 0 or self.ended:
                    tail = '\n'.join(line for _, line in self.lines[-15:])
                    raise AssertionError(f'{what}: not within {timeout} s; last lines:\n{tail}')
                self.news.wait(left)

    def wait_line(self, pattern, timeout):
        """The match of the first line that has the pattern."""
        regex = re.compile(pattern)

        def find():
            return next((m for m in (regex.search(line) for _, line in self.lines) if m), None)
        return self.wait_for(f'line "{pattern}"', find, timeout)

    def wait_ready(self, timeout=10):
        """The fields of the ready line."""
        match = self.wait_line(r'^drover-stress ready (.*)$', timeout)
        return dict(word.split('=', 1) for word in match.group(1).split())

    def beats(self):
        with self.news:
            return [Beat(line, when) for when, line in self.lines if BEAT.match(line)]

    def wait_beat(self, what, condition, timeout):
        """The first heartbeat for which condition(beat) holds."""
        return self.wait_for(what, lambda: next(filter(condition, self.beats()), None), timeout)

    def wait_beats(self, count, timeout):
        self.wait_for(f'{count} heartbeats', lambda: len(self.beats()) >= count, timeout)
        return self.beats()

    def corrupt_lines(self):
        with self.news:
            return [line for _, line in self.lines if line.startswith('CORRUPT')]

    def corrupt_pages(self):
        return {int(line.split()[2]) for line in self.corrupt_lines() if ' page ' in line}

    def cpu_seconds(self):
        with open(f'/proc/{self.process.pid}/stat', encoding='ascii') as stat:
            fields = stat.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def qmp(self, command, **arguments):
        if not self.monitor:
            self._qmp_connect()
        return self._qmp_ask(command, arguments)

    def _qmp_connect(self):
        until = time.monotonic() + 10
        with socket.socket(socket.AF_UNIX) as s:
            while s.connect_ex(self.qmp_path):
                if time.monotonic() > until or self.process.poll() is not None:
                    raise AssertionError(f'no QMP from QEMU:\n{self.text()}')
                time.sleep(0.02)
            self.monitor = s.makefile('rw')
        json.loads(self.monitor.readline())
        self._qmp_ask('qmp_capabilities', {})

    def _qmp_ask(self, command, arguments):
        self.monitor.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.monitor.flush()
        while True:
            answer = json.loads(self.monitor.readline())
            if 'error' in answer:
                raise AssertionError(f'{command}: {answer["error"]["desc"]}')
            if 'return' in answer:
                return answer['return']


class GuestCase(unittest.TestCase):
    """Against one QEMU; the subclasses say which."""
    which = None

    @classmethod
    def setUpClass(cls):
        cls.qemu, missing = qemu_path(cls.which)
        if missing:
            raise unittest.SkipTest(missing)
        if not os.path.exists(ELF):
            raise unittest.SkipTest(f'{ELF} is not built')

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def guest(self, *args, **options):
        guest = Guest(self.qemu, *args, **options)
        self.addCleanup(guest.__exit__)
        return guest

    def ram_file(self, name='ram'):
        return self.lab.path(name)
