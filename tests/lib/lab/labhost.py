# SPDX-License-Identifier: MIT
"""Lab hosts: a Debian kernel under QEMU with this machine's own files, for what the
kernel here has not (bonds, RDMA, netem, KVM).

    with Lab() as lab:
        one, two = labhost.boot(lab, hosts=2, packages=["ethtool"], modules=["bonding"])
        one.run("ping", "-c1", "10.78.0.2")
        begun = [host.begin("bash", "/path/to/script") for host in (one, two)]
        print([b.wait().returncode for b in begun])

Its root is ours, read-only over 9p; below it the files of packages that are not
installed here (tools/fetch-lab), above it a tmpfs, so that it may write anywhere and
nothing is changed here.  /mnt is a folder of the lab's that all its hosts share, and
host N works in /mnt/N, which is `host.folder` out here.  Where files are tested that are
not on the root's file system (/dev, /proc), they are the lab host's own.

Card C of host N has the MAC 52:54:00:00:0N:0C, joins the same card of the other host, and
is ethC with the address 10.78.C.N.

By hand, with LAB_HOST=N in each:

    PYTHONPATH=tests/lib python3 -m lab.labhost [--hosts 2] [--kernel 6.12] ... COMMAND...
"""
import argparse
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time

from . import linux, machine
from .core import BUILD, ROOT, Failed, Lab, own_namespaces, qemu10, wait_for
from .qmp import QMP

SWITCH = "DROVER_LAB_HOSTS"
BOOT_S = 90
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# What is needed to reach the root.
FIRST = ("9p", "9pnet_virtio", "overlay", "virtio_pci", "virtio_console", "virtio_net")
NINE = "trans=virtio,version=9p2000.L,msize=262144"
MAIN = """\
mkdir -p /here /tools /over /root
mount -t 9p -o {nine},ro,cache=loose here /here
mount -t 9p -o {nine},ro,cache=loose tools /tools
mount -t tmpfs over /over; mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/tools:/here,upperdir=/over/upper,workdir=/over/work over /root
for d in proc sys dev; do mount --move /$d /root/$d; done
mkdir -p /root/dev/shm /root/dev/pts /root/run /root/var/tmp /root/lib/modules
for d in run dev/shm var/tmp; do mount -t tmpfs tmp /root/$d; done
mount -t devpts -o ptmxmode=0666 pts /root/dev/pts
ln -sf pts/ptmx /root/dev/ptmx; ln -sf /proc/self/fd /root/dev/fd
mkdir -p /root/run/tmp /root/run/lock
mount -o bind /root{modules} /root/lib/modules
mount -t 9p -o {nine},rw,cache=none out /root/mnt
mount -t cgroup2 cgroup /root/sys/fs/cgroup
ip link set lo up; hostname lab{number}
cat >/root/run/begin <<'BEGIN'
export {environ}
cd /mnt/{number}
for m in {wanted}; do modprobe $m || echo "no module $m"; done
[ ! -e /dev/kvm ] || export DROVER_ACCELERATOR=kvm
{cards}
exec python3 -m lab.agent
BEGIN
exec switch_root /root /bin/sh -c '/bin/sh /run/begin; echo "the agent ended: $?"
while :; do wait; done'
"""


class Impossible(Exception):
    """Why there can be no such lab host here."""


def need(kernel="6.1", packages=(), qemu=None, **_):
    """The folders of the kernel and of the packages; Impossible where there are none."""
    if not shutil.which(qemu or machine.QEMU):
        raise Impossible(f"{qemu or machine.QEMU} is not installed")
    found, why = linux.kernel(kernel)
    if found:
        tools, why = (linux.fetched("fetch-lab", "tools", *packages) if packages
                      else linux.fetched("fetch-lab", "tools", "iproute2"))
    if why:
        raise Impossible(why)
    return found, tools


class Begun:
    """A command that runs in a lab host."""

    def __init__(self, host, argv, timeout, check):
        self.host, self.argv, self.timeout, self.check = host, argv, timeout, check
        self.answer, self.ended = None, threading.Event()

    def wait(self):
        """Its end, as subprocess.run gives it."""
        self.ended.wait(self.timeout + 30)
        words = shlex.join(self.argv)
        if not self.answer:
            raise Failed(f"{self.host.name}: {words}: no answer; {self.host.state()}")
        a = self.answer
        if a["status"] is None:
            raise Failed(f"{self.host.name}: {words}: not ended within {self.timeout} s: "
                         f"{(a['stdout'] + a['stderr'])[-800:]}")
        if self.check and a["status"]:
            raise Failed(f"{self.host.name}: {words}: status {a['status']}: "
                         f"{(a['stderr'] or a['stdout']).strip()[-800:]}")
        return subprocess.CompletedProcess(self.argv, a["status"], a["stdout"], a["stderr"])


class LabHost:
    def __init__(self, lab, number, *, kernel="6.1", packages=(), modules=(), cards=(),
                 memory="1G", vcpus=2, qemu=None, machine_type="pc", arguments=(), append="",
                 kvm=False, mtu=1500, bare=False, namespace=None):
        """cards: QEMU's words for them.  kvm: guests in it have KVM.  bare: its cards are
        left without names, addresses and state.  namespace: where its QEMU runs, which has
        the taps of its cards."""
        self.lab, self.number, self.name = lab, number, f"lab host {number}"
        folder, tools = need(kernel, packages, qemu)
        shared = lab.path("out")
        self.folder = os.path.join(shared, str(number))
        os.makedirs(self.folder, exist_ok=True)
        self.console = lab.path(f"labhost{number}.console")
        self._requests, self._count, self._sending = {}, 0, threading.Lock()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(lab.path(f"agent{number}"))
        listener.listen(1)
        wanted = [*modules, *(["kvm_amd"] if kvm else [])]
        main = MAIN.format(
            nine=NINE, number=number, wanted=" ".join(wanted),
            modules=os.path.join(folder, "root", "lib", "modules"),
            environ=shlex.join(f"{k}={v}" for k, v in self._environ().items()),
            cards="" if bare else "".join(name_card(number, card, mtu)
                                          for card in range(len(cards))))
        image = linux.initramfs(lab, main, FIRST, version=kernel)
        argv = [qemu or machine.QEMU, "-accel", "tcg,thread=multi", "-machine", machine_type,
                "-cpu", "max", "-smp", str(vcpus), "-m", memory, "-nodefaults", "-display",
                "none", "-no-reboot", "-serial", f"file:{self.console}",
                "-qmp", f"unix:{lab.path(f'labhost{number}.qmp')},server=on,wait=off",
                *linux.arguments(image, append, kernel),
                "-chardev", f"socket,id=agent,path={lab.path(f'agent{number}')}",
                "-device", "virtio-serial-pci",
                "-device", "virtserialport,chardev=agent,name=agent",
                *share("here", "/", ",readonly=on,multidevs=remap"),
                *share("tools", os.path.join(tools, "root"), ",readonly=on"),
                *share("out", shared, ",multidevs=remap"),
                *(word for card in cards for word in card), *arguments]
        self.process = lab.spawn(argv, namespace=namespace,
                                 log=lab.path(f"labhost{number}.log"))
        lab.cleanup(self.close)
        self._port = self._accepted(listener)
        self.qmp = QMP(lab.path(f"labhost{number}.qmp"))
        self._up = self._expect("up")
        threading.Thread(target=self._read, daemon=True).start()

    def _environ(self):
        return {"PATH": PATH, "HOME": "/root", "TMPDIR": "/run/tmp", "LAB_HOST": self.number,
                "PYTHONPATH": os.path.join(ROOT, "tests", "lib"), "DROVER_BUILD": BUILD,
                "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
                **{k: v for k, v in os.environ.items()
                   if k in ("DROVER_QUICK", "DROVER_SEED", "DROVER_QEMU10")}}

    def _accepted(self, listener):
        listener.settimeout(0.2)
        with listener:
            def came():
                if self.process.poll() is not None:
                    raise Failed(f"{self.name}: {self.state()}")
                try:
                    return listener.accept()[0]
                except TimeoutError:
                    return None
            port = wait_for(f"QEMU of {self.name}", came, 20)
        port.settimeout(None)
        return port

    def _expect(self, key):
        self._requests[key] = Begun(self, (), 0, False)
        return self._requests[key]

    def wait_up(self, timeout=BOOT_S):
        """Until it takes commands; gives the version of its kernel."""
        end = time.monotonic() + timeout
        while not self._up.ended.wait(0.2):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(f"{self.name} is not up after {timeout} s: {self.state()}")
        if not self._up.answer:
            raise Failed(f"{self.name} is not up: {self.state()}")
        return self._up.answer["kernel"]

    def _read(self):
        with self._port.makefile("rb") as lines:
            try:
                for line in lines:
                    answer = json.loads(line)
                    begun = self._requests.pop(answer["id"])
                    begun.answer = answer
                    begun.ended.set()
            except (OSError, ValueError):
                pass  # it was ended in the middle of a line
        for begun in list(self._requests.values()):
            begun.ended.set()

    def state(self):
        """Why it does not answer, as far as can be told."""
        end = self.process.poll()
        text = "it runs" if end is None else f"its QEMU ended with {end}"
        for path in (self.lab.path(f"labhost{self.number}.log"), self.console):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    text += f"; {os.path.basename(path)} ends: {f.read()[-600:].strip()!r}"
        return text

    # -- what runs in it
    def begin(self, *argv, timeout=60, check=True, environ=None, stdin=None):
        """Start a command there; .wait() for its end."""
        argv = list(map(str, argv))
        begun = Begun(self, argv, timeout, check)
        with self._sending:
            self._count += 1
            self._requests[self._count] = begun
            request = {"id": self._count, "argv": argv, "stdin": stdin, "timeout": timeout,
                       "environ": {k: str(v) for k, v in (environ or {}).items()}}
            try:
                self._port.sendall(json.dumps(request).encode() + b"\n")
            except OSError:
                begun.ended.set()
        return begun

    def run(self, *argv, **kwargs):
        """A command there, to its end."""
        return self.begin(*argv, **kwargs).wait()

    def set_link(self, card, up):
        """The cable of a card is out or in, as its driver is told."""
        self.qmp("set_link", name=f"card{card}", up=up)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.qmp.close()
        self._port.close()


def share(tag, path, more):
    return ["-fsdev", f"local,id={tag},path={path},security_model=none{more}",
            "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def mac(number, card):
    return f"52:54:00:00:{number:02x}:{card:02x}"


def name_card(number, card, mtu):
    """Shell: the card with this MAC is called ethC, is up and has its address."""
    return (f"for d in /sys/class/net/*; do [ $(cat $d/address) != {mac(number, card)} ] ||"
            f" n=${{d##*/}}; done\n"
            f"[ $n = eth{card} ] || ip link set $n name eth{card}\n"
            f"ip link set eth{card} mtu {mtu} up\n"
            f"ip address add 10.78.{card}.{number}/24 dev eth{card}\n")


def wires(lab, number, cards, card):
    """Cards of one of two hosts, joined with those of the other by unix sockets."""
    return [("-netdev", f"stream,id=net{c},server={'on' if number == 1 else 'off'},"
                        f"addr.type=unix,addr.path={lab.path(f'wire{c}')}",
             "-device", f"{card},netdev=net{c},id=card{c},mac={mac(number, c)},romfile=")
            for c in range(cards)]


def tap_card(lab, namespace, card, model, queues):
    """The words of a card of lab host 1 on a tap with so many queues, which is up in a
    namespace as tapC, 10.78.C.9."""
    tap = f"tap{card}"
    namespace.run("ip", "tuntap", "add", "dev", tap, "mode", "tap",
                  *(["multi_queue"] if queues > 1 else []))
    namespace.run("ip", "address", "add", f"10.78.{card}.9/24", "dev", tap)
    namespace.run("ip", "link", "set", tap, "up")
    many = f",queues={queues}" if queues > 1 else ""
    return ("-netdev", f"tap,id=net{card},ifname={tap},script=no,downscript=no,vhost=off{many}",
            "-device", f"{model},netdev=net{card},id=card{card},mac={mac(1, card)},romfile=")


def boot(lab, hosts=1, cards=1, card="virtio-net-pci,speed=10000,duplex=full", vcpus=None,
         taps=(), **options):
    """A list of lab hosts that are up; two have so many cards that join them, one those on
    taps (tap_card())."""
    need(**options)
    booted = []
    for number in range(1, hosts + 1):
        words = wires(lab, number, cards, card) if hosts == 2 else taps
        booted.append(LabHost(lab, number, vcpus=vcpus or (2 if hosts == 1 else 1),
                              cards=words, **options))
        if hosts == 2 and number == 1:
            wait_for("the wires", lambda: all(os.path.exists(lab.path(f"wire{c}"))
                                              for c in range(cards)), 10)
    for host in booted:
        host.wait_up()
    return booted


def main():
    parser = argparse.ArgumentParser(description="Run a command in one or two lab hosts; the "
                                     "status is that of the first which failed.")
    parser.add_argument("--hosts", type=int, choices=(1, 2), default=1)
    parser.add_argument("--kernel", default="6.1")
    parser.add_argument("--cards", type=int, default=1, help="that join two hosts")
    parser.add_argument("--card", default="virtio-net-pci,speed=10000,duplex=full")
    parser.add_argument("--package", action="append", default=[], dest="packages")
    parser.add_argument("--module", action="append", default=[], dest="modules")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--kvm", action="store_true", help="guests have KVM")
    parser.add_argument("--qemu10", action="store_true", help="the lab hosts' own QEMU is a 10")
    parser.add_argument("--out", help="a folder that gets what they left in /mnt")
    parser.add_argument("--timeout", type=int, default=600)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = vars(parser.parse_args())
    command, out, timeout = args.pop("command"), args.pop("out"), args.pop("timeout")
    if not command:
        parser.error("no command")
    own_namespaces()
    if args.pop("qemu10"):
        args["qemu"], why = qemu10()
        if why:
            print(f"labhost: {why}", file=sys.stderr)
            return 77
    try:
        with Lab() as lab:
            begin = time.monotonic()
            booted = boot(lab, **args)
            print(f"up after {time.monotonic() - begin:.1f} s", file=sys.stderr)
            ends = [b.wait() for b in [h.begin(*command, timeout=timeout, check=False)
                                       for h in booted]]
            for number, end in enumerate(ends, 1):
                for line in (end.stdout + end.stderr).splitlines():
                    print(f"{number}| {line}" if len(ends) > 1 else line)
            if out:
                shutil.copytree(lab.path("out"), out, dirs_exist_ok=True)
            return next((e.returncode for e in ends if e.returncode), 0)
    except Impossible as e:
        print(f"labhost: {e}", file=sys.stderr)
        return 77


if __name__ == "__main__":
    sys.exit(main())
