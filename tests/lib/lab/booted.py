# SPDX-License-Identifier: MIT
"""A Debian of its own that systemd runs, in namespaces: for what only a real service
manager and a real package manager can show.

    with Booted(lab) as debian:
        debian.run("systemctl", "is-active", "dbus")

Its files are a layer over the folder that tools/fetch-debian makes, and go with it.
"""
import os
import types
import unittest

from .core import MARK, Failed, wait_for
from .network import Namespace
from .release import CACHE

BASE = os.path.join(CACHE, "debian")
CGROUPS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
DEVICES = "null zero full random urandom tty kvm net/tun"
# Run with the folders: that of all Debians, the layer, the root.
BOOT = r"""
set -e
base=$1 layer=$2 root=$3
mount -t tmpfs layer "$layer"
mkdir "$layer/upper" "$layer/work"
mount -t overlay -o "lowerdir=$base,upperdir=$layer/upper,workdir=$layer/work" debian "$root"
mount -t proc proc "$root/proc"
# The kernel is everybody's.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs tmp "$root/tmp"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/net" "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for name in $DEVICES; do
	[ -e "/dev/$name" ] || continue
	cp -a "/dev/$name" "$root/dev/$name"
done
hostname "$NAME"
cd "$root"
mkdir -p old
pivot_root . old
umount -l /old
exec env -i "$MARK" container=drover-lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --unit=multi-user.target --show-status=false --log-level=warning
"""


def base():
    """The folder of all such Debians; skips the test where it has not been made, since
    that takes minutes."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("debootstrap needs root")
    if not os.path.isdir(BASE):
        raise unittest.SkipTest("there is no Debian for it yet: tools/fetch-debian makes one")
    return BASE


class Booted:
    def __init__(self, lab, name="debian"):
        self.lab, self.log = lab, lab.path(f"{name}.log")
        layer, root = lab.path(f"{name}-layer"), lab.path(f"{name}-root")
        for folder in (layer, root):
            os.mkdir(folder)
        self.cgroup = self._make_cgroup(lab.id.rstrip("-"))
        script = f'echo $$ >{self.cgroup}/cgroup.procs && exec "$@"'
        self.process = lab.spawn(
            ["sh", "-c", script, "sh", "unshare", "--mount", "--uts", "--ipc", "--net", "--pid",
             "--cgroup", "--fork", "--kill-child", "--propagation", "private",
             "sh", "-c", BOOT, "sh", base(), layer, root],
            log=self.log, environ={"DEVICES": DEVICES, "NAME": name,
                                   "MARK": f"{MARK}={lab.environ[MARK]}"})
        lab.cleanup(self.close)
        self.init = wait_for("systemd", self._init, 20)
        wait_for("the system", self._is_up, 60, 0.1)

    def _make_cgroup(self, name):
        for folder in CGROUPS:
            if os.path.exists(f"{folder}/cgroup.procs") and os.access(folder, os.W_OK):
                path = f"{folder}/{name}"
                os.makedirs(path, exist_ok=True)
                return path
        raise unittest.SkipTest("there is no cgroup v2 to be had here")

    def _init(self):
        if self.process.poll() is not None:
            raise Failed(f"no system: {self.log_text()[-800:]}")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as f:
            children = f.read().split()
        for pid in children:
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                if f.read().strip() == "systemd":
                    return int(pid)
        return None

    def _is_up(self):
        if self.process.poll() is not None:
            raise Failed(f"the system went down: {self.log_text()[-800:]}")
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in (
            "running", "degraded")

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def path(self, name):
        """One of its files, from out here."""
        return f"/proc/{self.init}/root{name}"

    def network(self):
        """Its network, for a Link to another one; programs in it are those of out here."""
        inside = Namespace.__new__(Namespace)
        inside.lab, inside.name = self.lab, "debian"
        inside.holder = types.SimpleNamespace(pid=self.init)
        return inside

    def argv(self, *words):
        return list(map(str, [
            "nsenter", "--target", self.init, "--mount", "--uts", "--ipc", "--net", "--pid",
            "--cgroup", "--root", "--wd", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND=noninteractive", *words]))

    def run(self, *words, check=True, timeout=60, stdin=None):
        return self.lab.run(self.argv(*words), check=check, timeout=timeout,
                            **({"input": stdin, "stdin": None} if stdin else {}))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()  # and all in it with it
            self.process.wait()
        wait_for("its control groups", self._swept, 10, 0.05)

    def _swept(self):
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return True
