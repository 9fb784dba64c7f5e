# SPDX-License-Identifier: MIT
"""Hosts' networks: namespaces joined by veth pairs with a rate of their own.

A namespace is held by a process that sleeps in it, and entered with nsenter(1)
through /proc; it needs no name in /run/netns, so the same works for root and in
a user namespace (unshare -Urnm), and it goes when its holder goes.

Pair K joins two namespaces: 10.77.K.1 on the first, 10.77.K.2 on the second.
Shaping is a token bucket on the sending side of both ends.
"""
import ctypes
import ipaddress
import json
import os
import socket
import subprocess
import threading
import time

from .core import Failed, _libc, wait_for

CLONE_NEWNET = 0x40000000
WRONG_MAC = "02:00:00:00:de:ad"


def can_tap():
    """Whether a tap can be made here."""
    return subprocess.run(["unshare", "--net", "ip", "tuntap", "add", "probe", "mode", "tap"],
                          capture_output=True, check=False).returncode == 0


class Namespace:
    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.holder = lab.spawn(["unshare", "--net", "sleep", "infinity"])
        ours = os.readlink("/proc/self/ns/net")
        wait_for(f"namespace {name}", lambda: self._inode() not in (None, ours), 5)
        lab.cleanup(self.close)
        self.run("ip", "link", "set", "lo", "up")

    def _inode(self):
        if self.holder.poll() is not None:
            raise Failed(f"namespace {self.name}: unshare --net failed "
                         "(neither root nor in a user namespace?)")
        try:
            # sleep is only there once unshare has done its work
            with open(f"/proc/{self.holder.pid}/comm") as f:
                if f.read().strip() != "sleep":
                    return None
            return os.readlink(f"/proc/{self.holder.pid}/ns/net")
        except OSError:
            return None

    def enter(self):
        """The words to put in front of a command to run it in here."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]

    def run(self, *argv, **kwargs):
        return self.lab.run(argv, namespace=self, **kwargs).stdout

    def json(self, *argv):
        return json.loads(self.run(*argv) or "[]")

    def inside(self, function, *args):
        """Call a function (that makes sockets) with this network."""
        result = []

        def call():
            try:
                with open(f"/proc/{self.holder.pid}/ns/net") as f:
                    if _libc.setns(f.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                result.append((function(*args), None))
            except Exception as e:
                result.append((None, e))

        # Only this thread changes over, and it ends here.
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        value, error = result[0]
        if error:
            raise error
        return value

    def bridge(self, name, mtu=1500):
        self.run("ip", "link", "add", name, "mtu", str(mtu), "type", "bridge")
        self.run("ip", "link", "set", name, "up")

    def taps(self):
        """{bridge: a port of it that is a tap of Drover's}"""
        links = self.json("ip", "-j", "-d", "link", "show")
        return {link["master"]: link for link in links if link["ifname"].startswith("drover")}

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        return self.inside(socket.socket, family, kind)

    def sockets(self):
        """Lines of TCP sockets here, listening ones too, without TIME-WAIT."""
        lines = self.run("ss", "-Htan").splitlines()
        return [line for line in lines if not line.startswith("TIME-WAIT")]

    def close(self):
        if self.holder.poll() is None:
            self.holder.kill()
        self.holder.wait()


class Link:
    """One veth pair; ends 0 and 1."""

    def __init__(self, lab, number, first, second, *, rate, mtu, addresses=None, queues=1):
        self.lab, self.number, self.rate = lab, number, rate
        self.ends = (first, second)
        self.names = (f"lan{number}", f"lan{number}")
        self.addresses = tuple(addresses or (f"10.77.{number}.1", f"10.77.{number}.2"))
        # Made inside the first namespace: no name of ours outside of the lab.
        many = ("numrxqueues", queues, "numtxqueues", queues) if queues > 1 else ()
        first.run("ip", "link", "add", self.names[0], "mtu", mtu, *many, "type", "veth",
                  "peer", "name", self.names[1], "mtu", mtu, *many, "netns",
                  second.holder.pid)
        for end in (0, 1):
            self._ip(end, "address", "add", f"{self.addresses[end]}/24",
                     "dev", self.names[end])
            self._ip(end, "link", "set", self.names[end], "up")
            if rate:
                self.shape(rate, end)

    def _ip(self, end, *words):
        return self.ends[end].run("ip", *map(str, words))

    def shape(self, rate, *ends, latency="10ms"):
        """Limit what leaves each end; rate as tc(8) writes it: 1gbit, 40mbit."""
        for end in ends or (0, 1):
            burst = max(64 * 1024, bits(rate) // 8 // 500)
            self.ends[end].run("tc", "qdisc", "replace", "dev", self.names[end], "root",
                               "tbf", "rate", rate, "burst", str(burst), "latency", latency)
        self.rate = rate

    def down(self, end=0):
        """The cable is out: both ends get an event."""
        self._ip(end, "link", "set", self.names[end], "down")

    def up(self, end=0):
        self._ip(end, "link", "set", self.names[end], "up")

    def blackhole(self, *ends):
        """What these ends send (default: both) is lost, and nobody is told."""
        for end in ends or (0, 1):
            self._ip(end, "neighbor", "replace", self.addresses[1 - end], "lladdr", WRONG_MAC,
                     "nud", "permanent", "dev", self.names[end])

    def heal(self, *ends):
        for end in ends or (0, 1):
            # A permanent entry is only ever replaced, so put the right one.
            right = self.ends[1 - end].json("ip", "-j", "link", "show", "dev",
                                            self.names[1 - end])[0]["address"]
            self._ip(end, "neighbor", "replace", self.addresses[1 - end], "lladdr", right,
                     "nud", "reachable", "dev", self.names[end])

    def flap(self, seconds, end=0):
        """Out and in again; the moment it was in."""
        self.down(end)
        time.sleep(seconds)
        self.up(end)
        return time.monotonic()

    def reset(self, end=1):
        """End every TCP connection of that end's address: the other end of
        each gets a RST, its own process an error."""
        # It complains about sockets of other kinds, which cannot be ended so.
        self.ends[end].run("ss", "-Kt", "src", self.addresses[end])

    def wire_bytes(self, end=0):
        """What the shaper let out so far, in bytes of whole Ethernet frames: a
        card's own count has the headers of a segmented packet only once."""
        shown = self.ends[end].json("tc", "-s", "-j", "qdisc", "show", "dev", self.names[end])
        return next(q["bytes"] for q in shown if q["kind"] == "tbf")

    def counters(self, end=0):
        """{"rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "tx_dropped"}"""
        stats = self.ends[end].json("ip", "-j", "-s", "link", "show", "dev",
                                    self.names[end])[0]["stats64"]
        return {f"{way}_{what}": stats[way][what] for way in ("rx", "tx")
                for what in ("bytes", "packets", "dropped")}


def bits(rate):
    """Bits per second of a rate as tc(8) writes it."""
    digits = rate.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = rate[len(digits):].lower()
    factor = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
    return int(float(digits) * factor[unit])


class Network:
    """Namespaces by name, and the pairs between them."""

    def __init__(self, lab, names=("alpha", "beta"), links=2, rate="1gbit", mtu=1500):
        """Two hosts get links at once, all of one rate or, from a list, each of its own."""
        self.lab = lab
        self.namespaces = {name: Namespace(lab, name) for name in names}
        self.links = []
        if len(names) == 2:
            rates = rate if isinstance(rate, (list, tuple)) else [rate] * links
            for one in rates:
                self.link(*names, rate=one, mtu=mtu)

    def __getitem__(self, name):
        return self.namespaces[name]

    def host(self, name):
        """One more namespace, with no link yet."""
        self.namespaces[name] = Namespace(self.lab, name)
        return self.namespaces[name]

    def link(self, first, second, rate="1gbit", mtu=1500, addresses=None, queues=1):
        """One more pair, also while something runs over the others.  With
        addresses, a test can give a host one that somebody else has as well.
        With several queues the cards have RSS."""
        link = Link(self.lab, len(self.links) + 1, self[first], self[second], rate=rate, mtu=mtu,
                    addresses=addresses, queues=queues)
        self.links.append(link)
        return link

    def addresses(self, name):
        """The addresses of a namespace, first pair first."""
        found = []
        for link in self.links:
            for end in (0, 1):
                if link.ends[end] is self[name]:
                    found.append(link.addresses[end])
        return sorted(found, key=ipaddress.ip_address)
