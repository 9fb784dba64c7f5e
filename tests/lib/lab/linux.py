# SPDX-License-Identifier: MIT
"""A real guest: Debian's cloud kernel, or another one, and a busybox initramfs with
an init of the test's own."""
import functools
import lzma
import os
import shutil
import subprocess
import tempfile

from .core import ROOT, Failed

BUSYBOX = "/bin/busybox"


@functools.lru_cache(None)
def fetched(*words):
    """What a tool that fetches something printed last, or None and why it failed."""
    done = subprocess.run([os.path.join(ROOT, "tools", words[0]), *words[1:]], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    if done.returncode == 0:
        return done.stdout.strip().splitlines()[-1], None
    lines = done.stderr.strip().splitlines() or [f"tools/{words[0]} failed without a word"]
    return None, lines[-1]


def kernel(version=None):
    """The folder with the unpacked kernel, or None and why there is none: the cloud
    kernel, or that of this version with all its modules."""
    for program in (BUSYBOX, "/usr/bin/cpio"):
        if not os.path.exists(program):
            return None, f"{program} is not installed"
    return fetched("fetch-lab", "kernel", version) if version else fetched("fetch-kernel")


def modules(folder, names):
    """Files of the modules and of what they need, in the order to load them."""
    root = os.path.join(folder, "root")
    version, = os.listdir(os.path.join(root, "lib", "modules"))
    found = {}
    for name in names:
        done = subprocess.run(["modprobe", "-d", root, "-S", version, "--show-depends", name],
                              capture_output=True, text=True,
                              env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
        if done.returncode:
            raise Failed(f"modprobe {name}: {done.stderr.strip()}")
        found.update((line.split()[1], None) for line in done.stdout.splitlines()
                     if line.startswith("insmod "))
    return list(found)


INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r name; do insmod /modules/$name; done </modules/list
exec sh /main
"""


def with_libraries(*programs):
    """Files that programs need to run, their own and shared libraries, by
    where they have to lie."""
    files = {}
    for program in programs:
        files[program] = program
        done = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
        for word in done.stdout.split():
            if word.startswith("/"):
                files[word] = word
    return files


def copy_module(path, folder):
    """As busybox's insmod takes it, unpacked; its name there."""
    name = os.path.basename(path)
    if not name.endswith(".xz"):
        shutil.copy(path, folder)
        return name
    name = name.removesuffix(".xz")
    with lzma.open(path) as packed, open(os.path.join(folder, name), "wb") as f:
        shutil.copyfileobj(packed, f)
    return name


def initramfs(lab, main, names, extra=None, version=None):
    """An initramfs that loads the modules and runs the script `main`; extra:
    what else is to be in it, as {path in it: path here}."""
    folder, why = kernel(version)
    if not folder:
        raise Failed(why)
    tree = tempfile.mkdtemp(prefix="initramfs-", dir=lab.dir)
    for name in ("bin", "proc", "sys", "dev", "modules"):
        os.makedirs(os.path.join(tree, name))
    shutil.copy(BUSYBOX, os.path.join(tree, "bin", "busybox"))
    files = [copy_module(path, os.path.join(tree, "modules"))
             for path in modules(folder, names)]
    for name, text in (("modules/list", "".join(f"{name}\n" for name in files)),
                       ("init", INIT), ("main", main)):
        with open(os.path.join(tree, name), "w", encoding="utf-8") as f:
            f.write(text)
    os.chmod(os.path.join(tree, "init"), 0o755)
    for path, here in (extra or {}).items():
        there = os.path.join(tree, path.lstrip("/"))
        os.makedirs(os.path.dirname(there), exist_ok=True)
        shutil.copy(here, there)
    image = f"{tree}.cpio"
    lab.run(["sh", "-c", f"cd '{tree}' && find . | cpio -o -H newc >'{image}'"])
    return image


def arguments(image, append="", version=None):
    """QEMU's arguments to boot it, with its console on the first serial line."""
    folder, _ = kernel(version)
    return ["-kernel", os.path.join(folder, "vmlinuz"), "-initrd", image,
            "-append", f"console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off {append}".strip()]
