# SPDX-License-Identifier: MIT
"""What else there is: QEMU's own ways to migrate, and the tunnels that tools put around them.

A mode says which QEMU runs, how it is set up and over which way its stream goes.
A program that is missing is an error of that run, which the table shows.
"""
import os
import pwd
import shutil
from dataclasses import dataclass

from common import MIB
from lab import core
from meter import tree

PORT = 7000
# Of the guest's memory, as Drover's history.
CACHE_SHARE = 0.05


def path_of(program):
    """DROVER_SSHD and the like name one that is not installed; None without one."""
    return os.environ.get(f"DROVER_{program.upper()}") or shutil.which(
        program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")


def found(program, package):
    path = path_of(program)
    if not path:
        raise core.Failed(f"{program} is missing: apt-get install {package}")
    return path


class Direct:
    """From QEMU to QEMU, over the first card."""

    def __init__(self, network, number, mptcp):
        tail = f"{PORT + number}{',mptcp=on' if mptcp else ''}"
        # Of every address: MPTCP joins the connection over the others.
        self.incoming = f"tcp:0.0.0.0:{tail}"
        self.outgoing = f"tcp:{network.links[0].addresses[1]}:{tail}"

    @staticmethod
    def pids():
        return []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Tunnel:
    """Each QEMU has a unix socket on its host; two programs join them over the
    first card.  The far one listens there, the near one connects."""

    def __init__(self, network, number):
        self.lab, self.network = network.lab, network
        self.address, self.port = network.links[0].addresses[1], PORT + number
        self.near, self.far = (self.lab.path(f"{end}{number}") for end in ("near", "far"))
        self.outgoing, self.incoming = f"unix:{self.near}", f"unix:{self.far}"
        self.log = self.lab.path(f"tunnel{number}.log")
        self.processes = []

    def __enter__(self):
        try:
            for host, argv, ready in (("beta", self.far_argv(), self._listens),
                                      ("alpha", self.near_argv(),
                                       lambda: os.path.exists(self.near))):
                self.processes.append(self.lab.spawn(argv, namespace=self.network[host],
                                                     log=self.log))
                core.wait_for(f"tunnel at {host}", lambda: self._lives() and ready(), 20)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _lives(self):
        for one in self.processes:
            if one.poll() is not None:
                with open(self.log, encoding="utf-8", errors="replace") as f:
                    raise core.Failed(f"the tunnel ended with {one.returncode}: "
                                      f"{f.read().strip()[-300:]}")
        return True

    def _listens(self):
        return any(f"{self.address}:{self.port} " in line
                   for line in self.network["beta"].sockets())

    def pids(self):
        return [pid for one in self.processes for pid in tree(one.pid)]

    def __exit__(self, *_):
        for one in self.processes:
            one.kill()
            one.wait()


class Socat(Tunnel):
    """As it is without options: one thread at each end, 8 KiB at a time."""

    def far_argv(self):
        return [found("socat", "socat"), f"TCP-LISTEN:{self.port},bind={self.address},reuseaddr",
                f"UNIX-CONNECT:{self.far}"]

    def near_argv(self):
        return [found("socat", "socat"), f"UNIX-LISTEN:{self.near}",
                f"TCP:{self.address}:{self.port}"]


# Without PAM and StrictModes it needs nothing of the host's own set-up.
SSHD_CONFIG = """\
ListenAddress {address}:{port}
HostKey {host_key}
AuthorizedKeysFile {user_key}.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""
# sshd wants an empty folder there, which exists only where it runs as a service.
OWN_RUN = ["unshare", "--mount", "sh", "-c",
           'mount -t tmpfs -o mode=0755 run /run && mkdir -m 0755 /run/sshd && exec "$@"', "sh"]


class Ssh(Tunnel):
    """An sshd of the lab's own, with keys of its own; cipher and the rest are defaults."""

    def key(self, name):
        path = self.lab.path(f"{name}{self.port}")
        self.lab.run([found("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "",
                      "-f", path])
        return path

    def far_argv(self):
        sshd = found("sshd", "openssh-server (which starts a service), or name one that is "
                     "only unpacked in DROVER_SSHD")
        config = self.lab.path(f"sshd{self.port}.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(SSHD_CONFIG.format(address=self.address, port=self.port,
                                       host_key=self.key("host"), user_key=self.key("user")))
        return [*OWN_RUN, sshd, "-D", "-e", "-f", config]

    def near_argv(self):
        options = ("BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none",
                   "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
                   "ExitOnForwardFailure=yes")
        return [found("ssh", "openssh-client"), "-F", "none", "-N",
                "-i", self.lab.path(f"user{self.port}"), "-p", self.port,
                *(word for option in options for word in ("-o", option)),
                "-L", f"{self.near}:{self.far}",
                f"{pwd.getpwuid(os.getuid()).pw_name}@{self.address}"]


def cache_bytes(memory_mib):
    """QEMU wants a power of two: the next one."""
    return 1 << (int(memory_mib * MIB * CACHE_SHARE) - 1).bit_length()


@dataclass(frozen=True)
class QemuMode:
    """A way of QEMU's own to migrate; channels: of multifd, 0 for none."""
    channels: int = 0
    compression: str = "none"
    mptcp: bool = False
    xbzrle: bool = False
    auto_converge: bool = False
    shared_memory: bool = False     # a memfd at both ends instead of QEMU's default
    qemu10: bool = False
    tunnel: type = None         # of class Tunnel

    def program(self, usual):
        if not self.qemu10:
            return usual
        program, why_not = core.qemu10()
        if not program:
            raise core.Failed(f"QEMU 10 is missing: {why_not}")
        return program

    def way(self, network, number):
        """To be entered; its `incoming` and `outgoing` are for QEMU."""
        if self.tunnel:
            return self.tunnel(network, number)
        return Direct(network, number, self.mptcp)

    def set_up(self, end, memory_mib):
        if self.channels:
            end.qmp.capabilities(multifd=True)
            end.qmp("migrate-set-parameters", multifd_channels=self.channels,
                    multifd_compression=self.compression, multifd_zstd_level=1)
        if self.xbzrle:
            end.qmp.capabilities(xbzrle=True)
            end.qmp("migrate-set-parameters", xbzrle_cache_size=cache_bytes(memory_mib))
        if self.auto_converge:
            end.qmp.capabilities(auto_converge=True)
