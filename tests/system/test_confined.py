# SPDX-License-Identifier: MIT
"""A QEMU that is confined, tried from inside.

What a guest that has broken into its QEMU could do is done in two ways: by QEMU
itself, which opens files and sockets when its monitor says so; and by a helper
that has the same user, group, groups, capabilities, bounding set and
no_new_privs as QEMU (compared line by line in /proc/PID/status) and lacks what
QEMU has besides: its filter of system calls, which only takes away.
"""
import contextlib
import json
import os
import struct
import subprocess
import tempfile
import unittest

from lab import Lab, core, machine, needs, wait_for
from lab.core import status
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.qmp import QMP

TIME_LIMIT = 120
PARALLEL = True
FIRST, NUMBERS = 0x70000000, 1 << 27
# Version 1: build machines have the memory there.
MEMORY = "/sys/fs/cgroup/memory/cgroup.procs"
EQUAL = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
NONE = "0000000000000000"


def group_root():
    """Where droverd makes control groups; None where it does not."""
    if os.path.exists("/run/systemd/system"):
        return None
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(os.path.join(path, "cgroup.procs")) and os.access(path, os.W_OK) and \
                os.path.exists(os.path.join(path, "cgroup.subtree_control")):
            return path
    return None


def descriptors(pid):
    """Where they lead; some are closed while one looks."""
    found = {}
    for n in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[n] = os.readlink(f"/proc/{pid}/fd/{n}")
    return found


def as_qemu(pid, script):
    """Run Python as QEMU's user; what it printed, as JSON."""
    its = status(pid)
    head = ("import ctypes, json, os, sys\n"
            "print(json.dumps({l.split(':')[0]: l.split(':')[1].strip()"
            " for l in open('/proc/self/status') if ':' in l}))\n")
    done = subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all",
         f"--reuid={its['Uid'].split()[0]}", f"--regid={its['Gid'].split()[0]}",
         "--groups=" + ",".join(its["Groups"].split()) if its["Groups"] else "--clear-groups",
         "--no-new-privs", "/usr/bin/python3", "-I", "-c", head + script],
        capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise core.Failed(done.stderr)
    own, said = (json.loads(line) for line in done.stdout.splitlines())
    for key in EQUAL:
        if own[key] != its[key]:
            raise core.Failed(f"the helper is not as QEMU: {key} {own[key]}, not {its[key]}")
    return said


@unittest.skipIf(os.geteuid() != 0 or os.environ.get("DROVER_UNSHARED"),
                 "needs root, with all user numbers")
@needs(*PROGRAMS)
class Confined(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        # QEMU's user comes through the folders above its own.
        os.chmod(self.lab.dir, 0o711)
        network = Network(self.lab, ("alpha", "beta"))
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, network[name], network.addresses(name),
                 settings={"host": {"qemu-user": "daemon", "image-directories": self.lab.dir}})
            for name in ("alpha", "beta")))
        self.alpha.start()
        self.beta.start()

    def disk(self, name):
        """Root's, and nobody else's."""
        path = self.lab.path(f"{name}.raw")
        with open(path, "wb") as f:
            f.write(machine.BOOT_SECTOR.ljust(1 << 20, b"\0"))
        os.chmod(path, 0o600)
        return path

    def define(self, name, *arguments, check=True):
        """A guest in a boot sector on a disk of its own, its line in ${dir}."""
        return self.alpha.define(machine.definition(
            name, "-drive", f"if=ide,format=raw,file={self.disk(name)}",
            "-serial", "file:${dir}/serial", "-chardev",
            "socket,id=own,path=${dir}/own.sock,server=on,wait=off", "-mon",
            "chardev=own,mode=control", *arguments, memory="16M", share=True), check=check)

    def start(self, name):
        self.define(name)
        self.alpha.drover("vm", "start", name)
        return self.alpha.machine(name)["pid"]

    def monitor(self, host, name):
        q = QMP(os.path.join(self.folder(host, name), "own.sock"))
        self.addCleanup(q.close)
        return q

    @staticmethod
    def folder(host, name):
        return os.path.join(host.run_dir, "machines", name)

    def beats(self, host, name):
        """The guest goes on."""
        path = os.path.join(self.folder(host, name), "serial")
        size = os.path.getsize(path)
        wait_for("a heartbeat", lambda: os.path.getsize(path) > size, 20)

    # -- what it is

    def test_it_is_nobody(self):
        pid = self.start("web")
        now = status(pid)
        number = int(now["Uid"].split()[0])
        self.assertTrue(FIRST <= number < FIRST + NUMBERS, number)
        self.assertEqual(now["Uid"].split(), [str(number)] * 4)
        self.assertEqual(now["Gid"].split(), [str(number)] * 4)
        self.assertEqual(now["Groups"].split(), [str(g) for g in os.getgrouplist("daemon", 1)])
        for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(now[key], NONE, key)
        self.assertEqual((now["NoNewPrivs"], now["Seccomp"]), ("1", "2"))
        self.assertEqual(os.stat(self.folder(self.alpha, "web")).st_uid, number)
        self.assertEqual(os.stat(self.folder(self.alpha, "web")).st_mode & 0o777, 0o700)

    def test_it_has_no_descriptor_of_the_daemons(self):
        pid = self.start("web")
        own = os.path.join(self.alpha.dir, "")
        ours = set(descriptors(self.alpha.pid).values())
        for n, target in descriptors(pid).items():
            if n == "0":
                self.assertEqual(target, "/dev/null")
            elif target.startswith("/"):
                self.assertNotIn(target, ours - {"/dev/null"}, n)
                self.assertTrue(not target.startswith(own) or
                                target.startswith(self.folder(self.alpha, "web")), target)
            else:
                # Of a socket, a pipe: none that the daemon has as well.
                self.assertTrue(target.startswith("anon_inode:") or target not in ours, target)

    # -- what it cannot do

    def test_qemu_itself_opens_nothing_of_others(self):
        pid, other = self.start("web"), self.start("db")
        q = self.monitor(self.alpha, "web")
        key = os.path.join(self.alpha.dir, "host.key")
        with open(key, "w", encoding="ascii") as f:
            f.write("secret\n" * 100)
        os.chmod(key, 0o600)
        memory = next(n for n in os.listdir(f"/proc/{other}/fd")
                      if "memfd" in os.readlink(f"/proc/{other}/fd/{n}"))

        def opens(path):
            try:
                q("blockdev-add", **{"node-name": "x", "driver": "file", "read-only": True,
                                     "filename": path, "locking": "off"})
            except Exception as e:  # what the monitor says
                return str(e)
            q("blockdev-del", **{"node-name": "x"})
            return None
        with open(os.path.join(self.folder(self.alpha, "web"), "mine"), "wb") as f:
            f.write(bytes(4096))
            os.fchmod(f.fileno(), 0o644)
        self.assertIsNone(opens(f.name))
        for path in ("/etc/shadow", key, self.lab.path("db.raw"), f"/proc/{other}/mem",
                     f"/proc/{other}/fd/{memory}", f"/proc/{self.alpha.pid}/environ",
                     self.alpha.socket, os.path.join(self.folder(self.alpha, "db"), "qemu.log")):
            self.assertIn("Permission denied", opens(path) or "it was opened", path)

        def connects(path):
            try:
                q("chardev-add", id="c", backend={"type": "socket", "data": {
                    "addr": {"type": "unix", "data": {"path": path}}, "server": False}})
            except Exception as e:
                return str(e)
            q("chardev-remove", id="c")
            return None
        for path in (self.alpha.socket, os.path.join(self.folder(self.alpha, "db"), "qmp.sock")):
            self.assertIn("Permission denied", connects(path) or "it was connected", path)
        self.assertTrue(status(pid)["State"])

    def test_its_user_reaches_nothing_of_others(self):
        pid, other = self.start("web"), self.start("db")
        said = as_qemu(pid, f"""
libc = ctypes.CDLL(None, use_errno=True)
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
def read_memory(pid):
    text = (ctypes.c_char * 4096)()
    here = iovec(ctypes.addressof(text), 4096)
    maps = open("/proc/%d/maps" % pid).read() if pid == os.getpid() else "1000-"
    there = iovec(int(maps.split("-")[0], 16), 4096)
    ctypes.set_errno(0)
    libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return ctypes.get_errno()
def attach(pid):
    ctypes.set_errno(0)
    libc.ptrace(16, pid, 0, 0)
    return ctypes.get_errno()
def kill(pid):
    try:
        os.kill(pid, 0)
    except OSError as e:
        return e.errno
    return 0
def enter(path):
    try:
        os.listdir(path)
    except OSError as e:
        return e.errno
    return 0
print(json.dumps({{"own": read_memory(os.getpid()), "memory": read_memory({other}),
    "daemon": read_memory({self.alpha.pid}), "attach": attach({other}), "kill": kill({other}),
    "kill_own": kill({pid}), "folder": enter({self.folder(self.alpha, "db")!r}),
    "own_folder": enter({self.folder(self.alpha, "web")!r}), "fds": enter("/proc/{other}/fd")}}))
""")
        EPERM, EACCES = 1, 13
        self.assertEqual(said, {"own": 0, "memory": EPERM, "daemon": EPERM, "attach": EPERM,
                                "kill": EPERM, "kill_own": 0, "folder": EACCES, "own_folder": 0,
                                "fds": EACCES})

    def test_what_it_puts_into_its_folder_is_not_followed(self):
        """Links in the place of the monitor and of the log."""
        self.start("web")
        self.start("db")
        folder = self.folder(self.alpha, "web")
        victim = os.path.join(self.alpha.dir, "victim")
        with open(victim, "w", encoding="ascii") as f:
            f.write("precious\n")
        monitor = os.path.join(folder, "qmp.sock")
        os.rename(monitor, monitor + ".own")
        os.symlink(os.path.join(self.folder(self.alpha, "db"), "qmp.sock"), monitor)
        done = self.alpha.drover("vm", "pause", "web", check=False)
        self.assertEqual(done.status, 1)
        self.assertIn("Too many levels of symbolic links", done.stderr)
        self.assertEqual(self.alpha.machine("db")["state"], "running")
        os.unlink(monitor)
        os.rename(monitor + ".own", monitor)
        self.alpha.drover("vm", "stop", "web", "--now")
        os.makedirs(folder, exist_ok=True)
        os.symlink(victim, os.path.join(folder, "qemu.log"))
        done = self.alpha.drover("vm", "start", "web", check=False)
        self.assertEqual(done.status, 1)
        self.assertIn("qemu.log", done.stderr)
        with open(victim, encoding="ascii") as f:
            self.assertEqual(f.read(), "precious\n")

    def test_droverd_looks_at_no_file_on_its_word(self):
        """A disk of root's that QEMU says it has: it was handed a descriptor here."""
        self.start("web")
        other = self.lab.path("other", "x.raw")
        os.mkdir(os.path.dirname(other))
        with open(other, "wb") as f:
            f.write(bytes(4096))
        q = self.monitor(self.alpha, "web")
        os.chmod(other, 0o644)
        q("blockdev-add", **{"node-name": "x", "driver": "file", "read-only": True,
                             "filename": other})
        os.chmod(other, 0o600)
        done = self.alpha.drover("compare", "web", "beta", "--json", check=False).json
        said = [f for f in done["findings"] if other in f["text"]]
        self.assertTrue(said and all(f["severity"] == "error" for f in said), done["findings"])
        own = [f for f in done["findings"] if self.lab.path("web.raw") in f["text"]]
        self.assertEqual([f["severity"] for f in own], ["ok"], done["findings"])

    def test_droverd_looks_at_no_file_that_a_header_names(self):
        """It writes the header of its image, and changes where its path leads."""
        top, secret = self.lab.path("top.qcow2"), self.disk("secret")
        self.lab.run(["qemu-img", "create", "-q", "-f", "qcow2", top, "1M"])
        os.chmod(top, 0o600)
        self.start_with("-drive", f"if=none,id=top,file={top}")
        mine = os.path.join(self.folder(self.alpha, "web"), "mine")
        with open(mine, "wb") as f:
            f.write(bytes(1 << 20))
            os.fchmod(f.fileno(), 0o644)
        self.monitor(self.alpha, "web")("blockdev-add", **{
            "node-name": "x", "driver": "file", "read-only": True, "filename": mine})
        os.unlink(mine)
        os.symlink(secret, mine)
        with open(top, "r+b") as f:
            f.seek(8)
            f.write(struct.pack(">QI", 0x8000, len(secret)))
            f.seek(0x8000)
            f.write(secret.encode())
        done = self.alpha.drover("compare", "web", "beta", "--json", check=False).json
        said = [f["severity"] for f in done["findings"] if mine in f["text"]]
        self.assertEqual(said, ["error"], done["findings"])

    def test_droverd_looks_at_nothing_for_an_adopted_qemu(self):
        """It says it has a file of its own; its path leads to one of root's by now."""
        folder, secret = self.lab.path("others"), self.disk("secret")
        os.mkdir(folder, 0o700)
        own = os.path.join(folder, "own.raw")
        with open(own, "wb") as f:
            f.write(bytes(1 << 20))
        for path in (folder, own):
            os.chown(path, 65534, 65534)
        qemu = self.lab.spawn(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", machine.QEMU,
             "-name", "other", "-accel", "tcg", "-nodefaults", "-display", "none",
             "-machine", "pc,memory-backend=pc.ram", "-m", "16M",
             "-object", "memory-backend-memfd,id=pc.ram,size=16M,share=on",
             "-drive", f"if=ide,format=raw,file={own}",
             "-qmp", f"unix:{folder}/qmp,server=on,wait=off"], log=self.lab.path("qemu.log"))
        self.addCleanup(qemu.wait)
        self.addCleanup(qemu.kill)
        wait_for("its monitor", lambda: os.path.exists(f"{folder}/qmp"), 20)
        self.alpha.drover("vm", "adopt", qemu.pid, "--user", "nobody")

        def findings():
            done = self.alpha.drover("compare", "other", "beta", "--json", check=False).json
            return [f["severity"] for f in done["findings"] if own in f["text"]]
        self.assertEqual(findings(), ["ok"])
        os.rename(own, own + ".before")
        os.symlink(secret, own)
        self.assertEqual(findings(), ["error"])
        os.unlink(own)
        os.link(own + ".before", own)
        self.assertEqual(findings(), ["ok"])

    # -- what it can

    def test_a_machine_with_a_disk_moves_both_ways(self):
        pid = self.start("web")
        number = status(pid)["Uid"]
        self.beats(self.alpha, "web")
        self.alpha.drover("move", "web", "beta")
        self.beats(self.beta, "web")
        there = status(self.beta.machine("web")["pid"])
        self.assertEqual((there["Uid"], there["CapEff"], there["Seccomp"]), (number, NONE, "2"))
        self.beta.restart()
        self.assertEqual(self.beta.machine("web")["state"], "running")
        self.beta.drover("move", "web", "alpha")
        self.beats(self.alpha, "web")
        self.assertEqual(status(self.alpha.machine("web")["pid"])["Uid"], number)
        self.alpha.drover("vm", "stop", "web", "--now")
        # What QEMU made there by the definition's own words is the user's.
        self.assertEqual(set(os.listdir(self.folder(self.beta, "web"))), {"serial"})

    def test_a_daemon_that_does_not_know_it_finds_it(self):
        pid = self.start("web")
        self.alpha.kill9()
        os.unlink(os.path.join(self.alpha.state, "machines", "web.json"))
        self.alpha.start()
        self.assertEqual(self.alpha.machine("web")["pid"], pid)

    # -- its images

    def acl(self, path):
        """Entries of machines, and the mode."""
        try:
            raw = os.getxattr(path, "system.posix_acl_access")
        except OSError:
            raw = b""
        entries = [struct.unpack_from("<HHI", raw, at) for at in range(4, len(raw), 8)]
        return ({number: rights for kind, rights, number in entries if kind == 2},
                os.stat(path).st_mode & 0o777)

    def test_an_image_is_its_while_it_runs(self):
        base, top, two, iso, oem = (self.lab.path(n) for n in (
            "base.raw", "top.qcow2", "two.qcow2", "cd.iso", "oem"))
        for path in (base, iso, oem):
            with open(path, "wb") as f:
                f.write(bytes(1 << 20) if path != oem else b"text")
        for path in (top, two):
            self.lab.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", path])
        for path in (base, top, two, iso, oem):
            os.chmod(path, 0o640)
        number = int(status(self.start_with(
            "-drive", f"if=none,id=top,file={top}", "-drive",
            f"if=none,id=iso,readonly=on,format=raw,file={iso}", "-smbios", f"type=11,path={oem}",
            "-blockdev", f"driver=file,node-name=low,filename={two}",
            "-blockdev", "driver=qcow2,node-name=high,file=low", "-blockdev",
            json.dumps({"driver": "raw", "node-name": "r", "file":
                        {"driver": "file", "filename": self.disk("second")}})))["Uid"].split()[0])
        for path, rights in ((self.lab.path("web.raw"), 6), (top, 6), (two, 6), (base, 4), (iso, 4),
                             (oem, 4), (self.lab.path("second.raw"), 6)):
            self.assertEqual(self.acl(path)[0], {number: rights}, path)
        self.alpha.drover("vm", "stop", "web", "--now")
        for path, mode in ((self.lab.path("web.raw"), 0o600), (top, 0o640), (two, 0o640),
                           (base, 0o640), (iso, 0o640), (oem, 0o640)):
            self.assertEqual(self.acl(path), ({}, mode), path)

    def start_with(self, *arguments):
        self.define("web", *arguments)
        self.alpha.drover("vm", "start", "web")
        return self.alpha.machine("web")["pid"]

    def test_an_image_is_not_its_after_its_qemu_died(self):
        pid = self.start("web")
        self.assertEqual(len(self.acl(self.lab.path("web.raw"))[0]), 1)
        os.kill(pid, 9)
        wait_for("an image without owner",
                 lambda: self.acl(self.lab.path("web.raw")) == ({}, 0o600), 20)

    def test_what_cannot_be_granted_is_named(self):
        self.start("db")
        closed = self.lab.path("closed")
        os.mkdir(closed, 0o700)
        inner = os.path.join(closed, "x.raw")
        with open(inner, "wb") as f:
            f.write(bytes(1 << 20))
        for path, words in ((inner, f"may not pass {closed}: 'chmod o+x {closed}'"),
                            (self.lab.path("db.raw"), "is another machine's, that of user")):
            with self.subTest(path=path):
                self.define("x", "-drive", f"if=none,id=d,format=raw,file={path}")
                done = self.alpha.drover("vm", "start", "x", check=False)
                self.assertEqual(done.status, 8)
                self.assertIn(f"{path}", done.stderr)
                self.assertIn(words, done.stderr)
                self.assertEqual(self.acl(self.lab.path("x.raw")), ({}, 0o600))

    def test_an_arrival_that_fails_keeps_nothing(self):
        """The source's QEMU is root's here, so that the entry is the destination's."""
        self.alpha.settings["host"]["qemu-user"] = "root"
        self.alpha.restart()
        disk = self.lab.path("web.raw")
        self.start("web")
        for end in ("daemon", "qemu"):
            with self.subTest(end=end):
                point = self.lab.path(f"started.{end}")
                self.beta.restart(fault=f"destination:started=wait:{point}")
                move = self.lab.spawn(self.alpha.drover_argv("move", "web", "beta"),
                                      log=self.lab.path(f"move.{end}"))
                wait_for("a QEMU that waits", lambda: os.path.exists(point + ".reached"), 20)
                self.assertEqual(len(self.acl(disk)[0]), 1)
                if end == "daemon":
                    self.beta.kill9()
                    self.beta.start()
                    job = self.alpha.drover("job", "list", "--json").json[0]["id"]
                    self.alpha.drover("job", "cancel", job, check=False)
                else:
                    os.kill(int(self.qemu_in(self.beta, "web")), 9)
                    with open(point, "w", encoding="ascii"):
                        pass
                wait_for("an image without owner", lambda: self.acl(disk) == ({}, 0o600), 20)
                self.assertNotEqual(move.wait(60), 0)
                self.assertEqual(os.listdir(os.path.join(self.beta.state, "granted")), [])
        self.beats(self.alpha, "web")

    def qemu_in(self, host, name):
        """The process whose monitor is in that folder."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
                    if os.path.join(self.folder(host, name), "qmp.sock") in f.read():
                        return pid
            except OSError:
                pass
        raise core.Failed(f"no QEMU of {name} on {host.name}")

    def test_the_image_of_a_stopped_machine_is_its_own(self):
        """A peer's machine names it; and an image whose header QEMU wrote does."""
        self.beta.define(machine.definition(
            "db", "-drive", f"if=ide,format=raw,file={self.disk('db')}", memory="16M", share=True))
        self.start_with("-drive", f"if=none,id=d,format=raw,file={self.lab.path('db.raw')}")
        words = f"{self.lab.path('db.raw')} is an image of machine db here"
        done = self.alpha.drover("compare", "web", "beta", "--json", check=False).json
        self.assertIn(words, " ".join(f["text"] for f in done["findings"]))
        done = self.alpha.drover("move", "web", "beta", check=False)
        self.assertEqual(done.status, 8)
        self.assertIn(words, done.stderr)
        top = self.lab.path("top.qcow2")
        for below, words in ((self.lab.path("db.raw"), "is an image of machine db here"),
                             ("/etc/hostname", "lies outside of the folders for images")):
            with self.subTest(below=below):
                before = self.acl(below)
                self.lab.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", "raw",
                              top])
                self.beta.define(machine.definition("x", "-drive", f"if=ide,file={top}",
                                                    memory="16M", share=True))
                done = self.beta.drover("vm", "start", "x", check=False)
                self.assertEqual(done.status, 8)
                self.assertIn(words, done.stderr)
                self.assertEqual(self.acl(below), before)

    # -- its control group

    @unittest.skipUnless(group_root(), "no control groups of version 2, or they are systemd's")
    def test_it_has_a_control_group_of_its_own(self):
        pid = self.start("web")
        with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
            own = next(line for line in f if line.startswith("0::")).strip()[3:]
        self.assertRegex(own, r"/drover/web-[0-9a-f]{8}$")
        with open(f"/proc/{self.alpha.pid}/cgroup", encoding="ascii") as f:
            self.assertNotIn("/drover/", f.read())
        folder = group_root() + own[own.index("/drover/"):]
        # As if QEMU had started it.
        other = self.lab.spawn(["sleep", "60"], log=self.lab.path("sleep.log"))
        with open(os.path.join(folder, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(other.pid))
        self.alpha.drover("vm", "stop", "web", "--now")
        self.assertEqual(other.wait(10), -9)
        self.assertFalse(os.path.exists(folder))

    @unittest.skipUnless(os.access(MEMORY, os.W_OK), "no control groups that bound memory")
    def test_without_memory_one_guest_ends(self):
        """As on a host that is full: the daemon and both QEMUs share what there is."""
        pids = {name: self.start(name) for name in ("web", "db")}
        group = tempfile.mkdtemp(prefix="drover-", dir=os.path.dirname(MEMORY))
        self.addCleanup(os.rmdir, group)
        self.addCleanup(self.alpha.stop)
        self.addCleanup(self.alpha.drover, "vm", "stop", "db", "--now")
        with open(os.path.join(group, "memory.limit_in_bytes"), "w", encoding="ascii") as f:
            f.write(str(256 << 20))
        for pid in (self.alpha.pid, *pids.values()):
            with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write(str(pid))
        q = self.monitor(self.alpha, "web")
        with self.assertRaises(Exception):
            q("object-add", **{"qom-type": "memory-backend-ram", "id": "much", "size": 512 << 20,
                               "prealloc": True})
        wait_for("one guest less", lambda: self.alpha.machine("web")["state"] == "lost", 20)
        self.assertIn("was killed by signal 9", self.alpha.drover("vm", "show", "web").stdout)
        self.assertEqual(self.acl(self.lab.path("web.raw")), ({}, 0o600))
        self.assertEqual(self.alpha.machine("db")["pid"], pids["db"])
        self.beats(self.alpha, "db")

    # -- what is refused

    def test_what_cannot_be_has_a_sentence(self):
        for arguments, words in ((("-netdev", "tap,id=n"), "write 'nic "),
                                 (("-sandbox", "off"), "leave it out"),
                                 (("-runas", "root"), "leave it out")):
            with self.subTest(arguments=arguments):
                done = self.define("x", *arguments, check=False)
                self.assertEqual(done.status, 2)
                self.assertIn(words, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1)
        self.alpha.settings["host"]["qemu-user"] = "no-such-user"
        self.alpha.restart()
        self.define("y")
        done = self.alpha.drover("vm", "start", "y", check=False)
        self.assertEqual(done.status, 8)
        self.assertIn("there is no user no-such-user", done.stderr)


if __name__ == "__main__":
    unittest.main()
