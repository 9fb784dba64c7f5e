# SPDX-License-Identifier: MIT
"""Guests: plain QEMU processes, the stress guest, definitions for Drover."""
import os
import shlex

from . import tap
from .core import BUILD, Failed, wait_for
from .oracle import Memory
from .qmp import QMP

QEMU = "/usr/bin/qemu-system-x86_64"
STRESS = os.path.join(BUILD, "guest", "drover-stress.elf")
# A lab host may have KVM.
ACCELERATOR = os.environ.get("DROVER_ACCELERATOR", "tcg")

# A guest in one boot sector, for when nothing else has been built.  200 times it
# adds one to a word in every page from 64 KiB to 576 KiB, then it prints a
# heartbeat with the next number, and so on.  Changing CR0.WP flushes QEMU's TLB:
# without that TCG 7.2 takes the pages for clean after a bitmap sync.
# (AT&T syntax, 16 bits)
#
# start: cli; xor %ax,%ax; mov %ax,%ds; mov %ax,%ss; mov $0x7c00,%sp; cld
# again: mov $200,%bp
# round: mov %cr0,%eax; xorl $0x10000,%eax; mov %eax,%cr0; mov $0x1000,%bx
# page:  mov %bx,%es; incw %es:0; add $0x100,%bx; cmp $0x9000,%bx; jb page
#        dec %bp; jnz round
#        mov $(0x7c00+text),%si
# line:  lodsb; test %al,%al; jz next; mov $0x3f8,%dx; out %al,%dx; jmp line
# next:  mov $(0x7c00+text+8),%di
# digit: incb (%di); cmpb $0x3a,(%di); jne again
#        movb $0x30,(%di); dec %di; jmp digit
# text:  .ascii "hb 100000 t=0\n\0"
BOOT_SECTOR = bytes.fromhex(
    "fa31c08ed88ed0bc007cfcbdc8000f20c06635000001000f22c0bb00108ec326ff06000081c3"
    "000181fb009072ef4d75ddbe4f7cac84c07406baf803eeebf5bf577cfe05803d3a75c2c60530"
    "4febf368622031303030303020743d300a").ljust(510, b"\0") + b"\x55\xaa"


def boot_sector_arguments(lab):
    """QEMU's arguments for the guest in a boot sector."""
    path = lab.path("boot.img")
    with open(path, "wb") as f:
        f.write(BOOT_SECTOR.ljust(1440 * 1024, b"\0"))
    # A floppy may be read-only, so that both ends can have it open.
    return ["-drive", f"if=none,id=floppy,format=raw,readonly=on,file={path}",
            "-device", "isa-fdc,id=fdc", "-device", "floppy,drive=floppy,bus=fdc.0",
            "-boot", "a"]


def stress_arguments(fill="256M", content="mixed", rate="20M", hot="32M", heartbeat=20, seed=1,
                     touch="page", button=None, verify="64M"):
    """QEMU's arguments for the stress guest; the console is yours to add."""
    return ["-kernel", STRESS, "-append",
            f"fill={fill} content={content} rate={rate} hot={hot} "
            f"heartbeat={heartbeat} seed={seed} touch={touch} verify={verify}"
            + (f" button={button}" if button else "")]


def definition(name, *arguments, memory="512M", vcpus=1, machine="pc", qemu=None,
               share=False, huge=None):
    """The text of a machine's definition, for `drover vm define`.

    share: memory that can be held open, and so be read when its QEMU is gone.
    huge: its huge pages, "2M"."""
    memory += ",share=on" if share else ""
    lines = ["[machine]", f"name = {name}", f"memory = {memory}", f"vcpus = {vcpus}",
             f"machine = {machine}", f"accelerator = {ACCELERATOR}"]
    if qemu:
        lines.append(f"qemu = {qemu}")
    if huge:
        lines.append(f"huge-pages = {huge}")
    words = ["-nodefaults", "-display", "none", *arguments]
    lines.append("arguments = " + shlex.join(words))
    return "\n".join(lines) + "\n"


class Qemu:
    """A QEMU that this test starts itself, without Drover."""

    def __init__(self, lab, name, *arguments, program=QEMU, memory="256M", vcpus=1,
                 machine="q35", shared=True, incoming=False, paused=False, tapped=None,
                 namespace=None):
        self.lab, self.name = lab, name
        self._killed = False
        self.monitor = lab.path(f"{name}.qmp")
        self.log = lab.path(f"{name}.log")
        backend = f"memory-backend-memfd,id=pc.ram,size={memory},share=on"
        argv = [program, "-accel", ACCELERATOR, "-nodefaults", "-display", "none",
                "-m", memory, "-smp", str(vcpus),
                "-machine", machine + (",memory-backend=pc.ram" if shared else ""),
                *(["-object", backend] if shared else []),
                "-qmp", f"unix:{self.monitor},server=on,wait=off",
                *(["-S"] if incoming or paused else []),
                *(["-incoming", "defer"] if incoming else []),
                *arguments]
        self.tap_file = None
        environ = {}
        if tapped:
            self.tap_file = os.path.join(lab.fast, f"{name}.tap")
            environ = tap.environ(tapped, self.tap_file)
        self.process = lab.spawn(argv, namespace=namespace, log=self.log, environ=environ)
        try:
            self.qmp = wait_for(f"monitor of {name}", self._monitor, 20)
        except Failed as e:
            raise Failed(f"{e}: {self.errors()}") from None
        lab.cleanup(self.kill)

    @property
    def pid(self):
        return self.process.pid

    def _monitor(self):
        if self.process.poll() is not None:
            raise Failed(f"QEMU {self.name}: ended with {self.process.returncode}")
        return QMP(self.monitor) if os.path.exists(self.monitor) else None

    def errors(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read().strip()[-500:]

    def stream(self):
        return f"{self.tap_file}.0"

    def memory(self, size=None):
        return Memory.of_process(self.pid, size)

    def kill(self):
        self.qmp.close()
        if self._killed:
            return
        if self.process.poll() is None:
            self._killed = True
            self.process.kill()
        elif self.process.returncode:
            print(f"QEMU {self.name} ended with {self.process.returncode}: {self.errors()}")
        self.process.wait()


def migrate(source, destination, path, *, downtime=300, bandwidth=0, capabilities=None,
            passes=0, timeout=120):
    """QEMU's own migration over a unix socket; both are paused afterwards.

    passes: do not let it end before the dirty pages were collected so often; it
    does if there are none once.
    """
    for end in (source, destination):
        end.qmp.capabilities(events=True, return_path=True, **(capabilities or {}))
    source.qmp("migrate-set-parameters", max_bandwidth=bandwidth,
               downtime_limit=1 if passes else downtime)
    destination.qmp("migrate-incoming", uri=f"unix:{path}")
    source.qmp("migrate", uri=f"unix:{path}")

    def enough():
        now = source.qmp("query-migrate")
        return (now["status"] not in ("setup", "active")
                or now.get("ram", {}).get("dirty-sync-count", 0) > passes)
    if passes:
        wait_for(f"{passes} passes", enough, timeout)
        source.qmp("migrate-set-parameters", downtime_limit=downtime)
    source.qmp.wait_migration("completed", timeout=timeout)
    destination.qmp.wait_migration("completed", timeout=timeout)
    return source.qmp("query-migrate")
