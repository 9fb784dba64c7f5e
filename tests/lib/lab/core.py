# SPDX-License-Identifier: MIT
"""One test's processes, files and names, and how they end.

Everything that a Lab starts carries DROVER_LAB=<id of the lab> in its
environment; children inherit it, daemons too.  So whatever a test or a crashed
daemon left behind is found in /proc and ended by its process id, and nothing
that somebody else runs is ever touched.  The id begins with the prefix that
tests/run gives each suite, so that a suite that was killed can be swept.
"""
import atexit
import ctypes
import functools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BUILD = os.path.realpath(os.environ.get("DROVER_BUILD", os.path.join(ROOT, "build")))
MARK = "DROVER_LAB"
# Migration streams are recorded where writing costs a copy and no disk.
FAST = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()

_labs = []
_count = 0
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A command or a daemon did not do what the test needs to go on."""


def wait_for(what, test, timeout=10.0, poll=0.01):
    """The first true result of test(), asked again until the time is over."""
    end = time.monotonic() + timeout
    while True:
        result = test()
        if result:
            return result
        if time.monotonic() >= end:
            raise Failed(f"{what}: not within {timeout:g} s")
        time.sleep(poll)


def stolen():
    """Seconds, over all processors, that this machine's own host took away."""
    with open("/proc/stat", encoding="ascii") as f:
        return int(f.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


class Stolen:
    """What the machine's own host took away since this was made: nothing here
    can keep time with what it did not get.  A limit is wider by seconds()."""

    def __init__(self):
        self.begin, self.at_begin = time.monotonic(), stolen()

    def seconds(self):
        return stolen() - self.at_begin

    def share(self):
        """Of one processor; 0 where nothing is taken away."""
        return self.seconds() / (time.monotonic() - self.begin)


def marked(prefix):
    """Ids of the processes that carry a mark beginning with prefix."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as f:
                environ = f.read()
        except OSError:
            continue
        mark = re.search(rb"(?:^|\0)" + MARK.encode() + rb"=([^\0]*)", environ)
        if mark and mark.group(1).decode(errors="replace").startswith(prefix):
            found.append(int(name))
    return found


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "?"


def status(pid):
    """What the kernel says of a process: {"Threads": "3", "VmRSS": "5120 kB", ...}"""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return {key: value.strip() for key, value in (line.split(":", 1) for line in f)}


def kill_all(prefix, but=()):
    """End every process with the mark, by its id, and wait until it is gone."""
    but = set(but)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        pids = [p for p in marked(prefix) if p not in but]
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
        time.sleep(0.02)


def sweep_files(prefix):
    for folder in (tempfile.gettempdir(), FAST):
        for name in os.listdir(folder):
            if name.startswith(prefix):
                path = os.path.join(folder, name)
                if os.path.isdir(path):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    os.unlink(path)


def slow(test):
    """Leave a test out of `tests/run --quick`."""
    return unittest.skipIf(os.environ.get("DROVER_QUICK"), "slow, left out of the quick run")(test)


def chance():
    """What a test chooses at random, the same again with the same DROVER_SEED."""
    return random.Random(int(os.environ.get("DROVER_SEED", "1")))


def needs(*programs):
    """Skip, with the reason, when a program of the build is not there."""
    for path in programs:
        full = path if os.path.isabs(path) else os.path.join(BUILD, path)
        if not os.path.exists(full):
            return unittest.skip(f"{os.path.relpath(full, ROOT)} has not been built")
    return lambda test: test


@functools.lru_cache(None)
def qemu10():
    """The path of a QEMU 10, or None and the reason why there is none."""
    if os.environ.get("DROVER_QEMU10"):
        return os.environ["DROVER_QEMU10"], None
    done = subprocess.run([os.path.join(ROOT, "tools", "fetch-qemu10")], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    if done.returncode == 0:
        return done.stdout.strip().splitlines()[-1], None
    lines = done.stderr.strip().splitlines() or ["it failed without a word"]
    return None, lines[-1]


class Lab:
    """with Lab() as lab: ...   or   lab = Lab(); self.addCleanup(lab.close)"""

    # Each process in a session, and so perhaps a scheduling group, of its own.
    sessions = True

    def __init__(self):
        global _count
        base = os.environ.get(MARK) or f"drv{os.getpid()}-"
        self.id = f"{base}{_count}-"  # no id is the beginning of another
        _count += 1
        self.dir = tempfile.mkdtemp(prefix=self.id)
        self.fast = tempfile.mkdtemp(prefix=self.id, dir=FAST)
        self.environ = {**os.environ, MARK: self.id}
        self._cleanups = []
        self._closed = False
        _labs.append(self)
        _install_handlers()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def cleanup(self, function, *args):
        self._cleanups.append((function, args))

    def spawn(self, argv, *, namespace=None, log=None, environ=None, **kwargs):
        """Start a process of this lab; in a Namespace when one is given."""
        argv = [*(namespace.enter() if namespace else ()), *map(str, argv)]
        output = subprocess.DEVNULL
        if log:
            output = open(log, "ab")
        try:
            kwargs.setdefault("stdin", subprocess.DEVNULL)
            kwargs.setdefault("stdout", output)
            kwargs.setdefault("stderr", subprocess.STDOUT if log else None)
            return subprocess.Popen(argv, env={**self.environ, **(environ or {})},
                                    start_new_session=self.sessions, **kwargs)
        finally:
            if log:
                output.close()

    def run(self, argv, *, namespace=None, timeout=60, check=True, **kwargs):
        """Run a command to its end; its output as text in the result."""
        argv = [*(namespace.enter() if namespace else ()), *map(str, argv)]
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True,
                              timeout=timeout, **kwargs)
        if check and done.returncode != 0:
            raise Failed(f"{' '.join(argv)}: status {done.returncode}: "
                         f"{(done.stderr or done.stdout).strip()}")
        return done

    def processes(self):
        """What runs now with this lab's mark: {pid: command line}."""
        return {pid: command_line(pid) for pid in marked(self.id)
                if not command_line(pid).startswith("sleep infinity")}

    def close(self):
        if self._closed:
            return
        self._closed = True
        while self._cleanups:
            function, args = self._cleanups.pop()
            try:
                function(*args)
            except Exception as e:  # the rest must be cleaned up all the same
                print(f"{self.id}: clean-up: {e}", flush=True)
        kill_all(self.id)
        keep = os.environ.get("DROVER_KEEP")
        shutil.rmtree(self.fast, ignore_errors=True)
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        if self in _labs:
            _labs.remove(self)


def close_all():
    for lab in list(reversed(_labs)):
        lab.close()


def own_namespaces():
    """Namespaces need root.  Without it, run this program again in a user
    namespace, where it has it; and give a fresh network its loopback."""
    if os.geteuid() != 0 and not os.environ.get("DROVER_UNSHARED"):
        unshare = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
        if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            os.environ["DROVER_UNSHARED"] = "1"
            os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])
    with open("/proc/self/uid_map", encoding="ascii") as f:
        ours = f.read().split() != ["0", "0", "4294967295"]
    if ours:
        subprocess.run(["ip", "link", "set", "lo", "up"], stderr=subprocess.DEVNULL)


_handlers = False


def _install_handlers():
    """SIGINT and SIGTERM end the test through its clean-ups.  Any other exception
    unittest takes for a test that failed, and goes on with the next one."""
    global _handlers
    if _handlers or threading.current_thread() is not threading.main_thread():
        return
    _handlers = True
    atexit.register(close_all)

    def stop(number, _frame):
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
