# SPDX-License-Identifier: MIT
"""What a machine that comes from a peer may name: docs/policy.md, with real daemons.

The lines are said by a test in the place of alpha, since no `drover` would say
them; the QEMU of beta is a script that notes that it was started.
"""
import itertools
import os
import unittest

from lab import Lab, machine, needs, wait_for
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.wire import ACCEPT, BYE, OPEN, Peer, hello

TIME_LIMIT = 120
PARALLEL = True
HEAD = "[machine]\nname = evil\nmemory = 16M\nmachine = pc\naccelerator = tcg\n"
NUMBERS = itertools.count(1)  # of moves

# A word that the sentence has, and the line.  OUT is a folder that is nobody's
# image directory, IMG is one.
LINES = (
    ("-drive file=/etc/shadow", "-drive file=/etc/shadow,format=raw,if=virtio"),
    ("write the path without '..'", "-drive file=IMG/../../etc/shadow,format=raw"),
    ("it leads to /etc/shadow", "-drive file=IMG/link,format=raw"),
    ("it leads to /etc, which", "-drive file=IMG/folder,format=raw"),
    ("-hda OUT/disk", "-hda OUT/disk"),
    ("backing.file.filename=/etc/shadow", "-drive driver=qcow2,file.filename=IMG/disk,"
                                          "backing.file.filename=/etc/shadow,if=none"),
    ("(on /etc/shadow)", "-drive file=IMG/on-shadow,format=qcow2"),
    ("filename=/etc/shadow", "-blockdev driver=file,node-name=a,filename=/etc/shadow"),
    ("it is no path of a file", "-cdrom fat:/etc"),
    ("-blockdev nbd", "-blockdev driver=nbd,node-name=a,server.type=unix,"
                             "server.path=OUT/nbd"),
    ("-kernel /boot/x", "-kernel /boot/x"),
    ("-initrd OUT/a,/etc/shadow", "-kernel IMG/disk -initrd OUT/a,/etc/shadow"),
    ("-fw_cfg file=/etc/shadow", "-fw_cfg name=opt/a,file=/etc/shadow"),
    ("-smbios file=/etc/shadow", "-smbios file=/etc/shadow"),
    ("-acpitable file=/etc/shadow", "-acpitable file=/etc/shadow"),
    ("-device loader", "-device loader,file=/etc/shadow,addr=0x1000"),
    ("romfile=/etc/shadow", "-device virtio-net-pci,romfile=/etc/shadow"),
    ("romfile=/etc/shadow", "-global virtio-net-pci.romfile=/etc/shadow"),
    ("memory-backend-file", "-object memory-backend-file,id=m,mem-path=OUT/memory,size=16M"),
    ("-object file=/etc/shadow", "-object secret,id=s,file=/etc/shadow"),
    ("-object filename=/etc/shadow", "-object rng-random,id=r,filename=/etc/shadow"),
    ("-netdev tap", "-netdev tap,id=n,script=OUT/up,downscript=OUT/down"),
    ("-nic tap", "-nic tap,ifname=t0,script=OUT/up"),
    ("-nic bridge", "-nic bridge,br=br0,helper=OUT/helper"),
    ("smb=/", "-nic user,restrict=on,smb=/"),
    ("guestfwd=", "-netdev user,id=n,restrict=on,guestfwd=tcp:10.0.2.9:1-cmd:OUT/up"),
    ("hostfwd=", "-nic user,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22"),
    ("-plugin", "-plugin OUT/plugin.so"),
    ("-runas", "-runas nobody"),
    ("-sandbox", "-sandbox off"),
    ("-gdb", "-gdb unix:OUT/gdb,server,nowait"),
    ("second monitor", "-qmp unix:OUT/qmp,server,nowait"),
    ("second monitor", "-monitor tcp:127.0.0.1:4444,server,nowait"),
    ("-mon chardev=c", "-chardev socket,id=c,path=${dir}/c,server=on,wait=off -mon chardev=c"),
    ("-chardev path=OUT/out", "-chardev file,id=c,path=OUT/out"),
    ("-serial file:OUT/out", "-serial file:OUT/out"),
    ("-chardev logfile=OUT/out", "-chardev null,id=c,logfile=OUT/out"),
    ("-D OUT/out", "-D OUT/out -d cpu"),
    ("-trace", "-trace enable=qmp_*,file=OUT/out"),
    ("-dump-vmstate", "-dump-vmstate OUT/out"),
    ("filter-dump", "-object filter-dump,id=f,netdev=n,file=OUT/out"),
    ("rrfile=OUT/out", "-icount shift=1,rr=record,rrfile=OUT/out"),
    ("-audiodev wav", "-audiodev wav,id=a,path=OUT/out"),
    ("-vnc", "-vnc 0.0.0.0:1"),
    ("vfio-pci", "-device vfio-pci,host=00:01.0"),
    ("-fsdev", "-fsdev local,id=f,path=/,security_model=none"),
    ("-readconfig", "-readconfig OUT/config"),
    ("-add-fd", "-add-fd fd=3,set=1"),
)
# The same in keys of their own.
KEYS = (
    ("not among the QEMUs that this host may start", "qemu = OUT/up"),
    ("dumpdtb", "machine = pc,dumpdtb=OUT/out"),
    ("directory /etc", "directory = /etc"),
    ("add a section [bridge br0] to drover.conf", "nic web = bridge=br0"),
)


@needs(*PROGRAMS)
class Policy(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"), links=1)
        self.images, self.out = self.lab.path("images"), self.lab.path("out")
        self.started = self.lab.path("started")
        for folder in (self.images, self.out):
            os.mkdir(folder)
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name),
                 settings={"host": {"policy": "strict", "image-directories": self.images}})
            for name in ("alpha", "beta")))

    def image(self, name, data=machine.BOOT_SECTOR):
        path = os.path.join(self.images, name)
        with open(path, "wb") as f:
            f.write(data.ljust(1440 * 1024, b"\0"))
        return path


class FromAPeer(Policy):
    def setUp(self):
        super().setUp()
        self.attacker, self.target = self.network["alpha"], self.beta.addresses[0]
        self.image("disk")
        self.image("on-shadow", b"QFI\xfb\0\0\0\2" + (24).to_bytes(8, "big") +
                   (11).to_bytes(4, "big") + bytes(4) + b"/etc/shadow")
        os.symlink("/etc/shadow", os.path.join(self.images, "link"))
        os.symlink("/etc", os.path.join(self.images, "folder"))
        self.program = self.lab.path("qemu")
        self.script(self.program, f'exec {machine.QEMU} "$@"')
        self.script(os.path.join(self.out, "up"), "exec sleep 100")
        self.beta.settings["host"]["qemu"] = self.program
        self.beta.start()

    def script(self, path, command):
        with open(path, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\necho \"$@\" >> {self.started}\n{command}\n")
        os.chmod(path, 0o755)

    def asked(self, request, definition, **more):
        """The answer; `compare` or `move`."""
        peer = Peer(self, hello(OPEN))
        self.assertEqual(peer.answer()[0], ACCEPT)
        peer.stay()
        described = {"name": "evil", "definition": definition, "type": "pc", "qemu": [7, 2, 0],
                     "memory": 16 << 20, "kvm": False, "files": [], "devices": [],
                     "blockers": [], "capabilities": [], **more}
        peer.message({"type": request, "machine": described,
                      **({"job": f"{next(NUMBERS):08x}"} if request == "move" else {})})
        reply = peer.reply()
        peer.frame(BYE)
        peer.socket.close()
        return reply

    def errors(self, definition, **more):
        reply = self.asked("compare", definition, **more)
        self.assertEqual(reply["type"], "findings", reply)
        return [f["text"] for f in reply["findings"] if f["severity"] == "error"]

    def undone(self):
        wait_for("the arrival is undone",
                 lambda: not self.beta.api("GET", "/v1/machines"), 20, 0.01)

    def of(self, text):
        return text.replace("OUT", self.out).replace("IMG", self.images)

    def files(self):
        """All that there are but the daemon's log, the records of its moves and their history."""
        kept = [os.path.join(self.beta.state, name) for name in ("records", "history")]
        return {os.path.join(root, name) for root, _, names in os.walk(self.lab.dir)
                for name in names if root not in kept}

    def test_lines_that_reach_the_host_are_refused_by_compare_and_by_the_move(self):
        before = self.files()
        texts = [(word, f"{HEAD}arguments = -nodefaults {line}\n") for word, line in LINES]
        texts += [(word, f"{HEAD if 'machine' not in line else HEAD.replace('machine = pc', '')}"
                         f"{line}\narguments = -nodefaults\n") for word, line in KEYS]
        for word, text in texts:
            with self.subTest(text=text):
                word, text = self.of(word), self.of(text)
                found = self.errors(text)
                self.assertTrue([f for f in found if word in f and f.startswith("beta refuses ")],
                                (word, found))
                reply = self.asked("move", text)
                self.assertEqual((reply["type"], reply.get("kind")), ("failed", "refused"), reply)
                self.assertIn(found[0], reply["error"])
                self.undone()
        self.assertGreater(len(texts), 40)
        self.assertFalse(os.path.exists(self.started))
        self.assertEqual(self.files(), before)

    def test_what_stands_beside_the_definition_is_judged_too(self):
        text = f"{HEAD}arguments = -nodefaults\n"
        for path in ("/etc/shadow", "/etc/no-such-file"):
            for more in ({"files": [{"path": path, "size": 1}]},
                         {"disks": [{"path": path, "size": 1, "inode": 1, "lock": 1 << 41}]}):
                found = self.errors(text, **more)
                self.assertEqual(len(found), 1, found)
                self.assertIn(f"beta refuses the file {path}: it lies outside", found[0])
        for name in ("multifd", "x-colo"):
            self.assertIn(f"beta refuses the capability {name}",
                          self.errors(text, capabilities=["dirty-bitmaps", name])[0])
        found = self.errors(text, files=[{"path": self.images + "/no", "size": 1}])
        self.assertIn("is not on beta", found[0])

    def test_what_touches_nothing_is_taken(self):
        text = self.of(f"{HEAD}arguments = -nodefaults -drive file=IMG/disk,format=raw,if=none,"
                       "id=d,readonly=on -serial file:${dir}/serial\n")
        self.assertEqual(self.errors(text), [])
        self.assertEqual(self.asked("move", text)["type"], "prepared")
        self.assertTrue(os.path.exists(self.started))
        self.undone()

    @unittest.skipIf(os.geteuid() != 0 or os.environ.get("DROVER_UNSHARED"),
                     "needs root, with all user numbers")
    def test_what_a_confined_qemu_has_open_is_its_own(self):
        self.beta.settings["host"].update({"qemu-user": "daemon", "qemu": machine.QEMU})
        os.chmod(self.lab.dir, 0o711)
        self.beta.restart()
        text = self.of(f"{HEAD}uuid = 123e4567-e89b-42d3-a456-426614174000\n"
                       "arguments = -nodefaults -drive file=IMG/disk,format=raw,if=none,"
                       "id=d,readonly=on -serial file:${dir}/serial\n")
        self.assertEqual(self.asked("move", text)["type"], "prepared")
        self.undone()

    def test_a_link_that_is_changed_after_the_look_ends_qemu_again(self):
        secret, link = os.path.join(self.out, "secret"), os.path.join(self.images, "moved")
        with open(secret, "wb") as f:
            f.write(bytes(1 << 20))
        os.symlink(os.path.join(self.images, "disk"), link)
        self.script(self.program, f'ln -sfn {secret} {link}; exec {machine.QEMU} "$@"')
        text = self.of(f"{HEAD}arguments = -nodefaults -drive file=IMG/moved,format=raw,"
                       "if=none,id=d,readonly=on\n")
        reply = self.asked("move", text)
        self.assertEqual(reply["type"], "failed", reply)
        self.assertIn(f"beta ends QEMU again: QEMU has opened {secret}, which lies outside",
                      reply["error"])
        self.undone()
        self.assertFalse([line for line in self.lab.processes().values() if "-name evil" in line])

    def test_open_takes_what_strict_does_not(self):
        text = self.of(f"{HEAD}arguments = -nodefaults -drive file=OUT/disk,format=raw\n")
        self.assertIn("lies outside", self.errors(text)[0])
        self.beta.drover("host", "set", "host.image-directories", self.images, self.out)
        self.assertEqual(self.errors(text), [])
        self.beta.drover("host", "unset", "host.image-directories")
        self.assertIn("lies outside", self.errors(text)[0])
        self.beta.drover("host", "set", "host.policy", "open")
        self.assertEqual(self.errors(text), [])


class OwnWords(Policy):
    """alpha's administrator defined the machine, with a drive that beta would not
    take from a peer and alpha would not take back from one."""

    def setUp(self):
        super().setUp()
        self.disk = os.path.join(self.out, "boot.img")
        os.symlink(self.image("boot.img"), self.disk)
        self.beta.settings["host"]["policy"] = "open"
        for host in (self.alpha, self.beta):
            host.start()

    def define(self, host, *more):
        host.define(machine.definition(
            "web", "-drive", f"if=none,id=floppy,format=raw,readonly=on,file={self.disk}",
            "-device", "isa-fdc,id=fdc", "-device", "floppy,drive=floppy,bus=fdc.0",
            "-boot", "a", *more, memory="16M"))

    def test_a_machine_that_comes_back_as_it_was_defined_is_not_judged(self):
        self.define(self.alpha)
        self.alpha.drover("vm", "start", "web")
        self.alpha.drover("move", "web", "beta")
        # The note outlives the daemon, and the machine's type has got its full name.
        self.alpha.restart()
        self.beta.drover("move", "web", "alpha")
        self.alpha.restart()
        # It is the administrator's still, and so is the next return.
        self.alpha.drover("move", "web", "beta")
        self.assertEqual(self.beta.drover("compare", "web", "alpha").status, 0)
        self.beta.drover("vm", "stop", "web", "--now")
        text = self.beta.machine("web")["definition"]
        with open(self.beta.socket + ".machine", "w", encoding="utf-8") as f:
            f.write(text + "arguments = -device pvpanic\n")
        self.beta.drover("vm", "define", f.name)
        self.beta.drover("vm", "start", "web", "--anyway")
        answer = self.beta.drover("move", "web", "alpha", check=False)
        self.assertEqual(answer.status, 8, answer)
        self.assertIn(f"alpha refuses -drive file={self.disk}: it lies outside", answer.stderr)
        self.assertEqual(self.beta.machine("web")["state"], "running")

    def test_what_a_peer_brought_becomes_ones_own_by_a_definition(self):
        self.beta.settings["host"]["policy"] = "strict"
        self.beta.restart()
        self.define(self.alpha)
        self.alpha.drover("vm", "start", "web")
        answer = self.alpha.drover("compare", "web", "beta", check=False)
        self.assertEqual(answer.status, 8, answer)
        self.assertIn(f"beta refuses -drive file={self.disk}: it lies outside",
                      " ".join(answer.stdout.split()))
        self.beta.define(self.alpha.machine("web")["definition"])
        self.assertEqual(self.alpha.drover("compare", "web", "beta").status, 0)
        self.alpha.drover("move", "web", "beta")
        self.assertEqual(self.beta.machine("web")["state"], "running")


if __name__ == "__main__":
    unittest.main()
