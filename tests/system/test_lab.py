# SPDX-License-Identifier: MIT
"""The lab itself: does it shape, break, damage and clean up as it says?"""
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

from lab import Lab, core, wait_for
from lab.network import Network
from lab.proxy import Proxy, cut, drop, flip, stall

TIME_LIMIT = 120


def serve(listener, received):
    """Take one connection, collect what it sends."""
    def run():
        peer, _ = listener.accept()
        with peer:
            try:
                while data := peer.recv(65536):
                    received.append((time.monotonic(), data))
            except OSError:
                pass
        received.append((time.monotonic(), None))
    threading.Thread(target=run, daemon=True).start()


def joined(received):
    return b"".join(data for _, data in received if data)


class NetworkTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def connected(self, network, link=0):
        """A TCP connection from alpha to beta; (socket, what beta received)."""
        return self.connected_to(network, "beta", network.links[link].addresses[1])

    def connected_to(self, network, host, address):
        listener = network[host].socket()
        listener.bind((address, 5000))
        listener.listen()
        received = []
        serve(listener, received)
        near = network["alpha"].socket()
        near.settimeout(10)
        near.connect((address, 5000))
        self.addCleanup(listener.close)
        self.addCleanup(near.close)
        return near, received

    def test_a_link_has_its_rate(self):
        network = Network(self.lab, links=2, rate="200mbit")
        for link in (0, 1):
            near, received = self.connected(network, link)
            begin = time.monotonic()
            near.sendall(bytes(20_000_000))
            near.shutdown(socket.SHUT_WR)
            wait_for("the end", lambda: received and received[-1][1] is None)
            rate = 8 * 20_000_000 / (received[-1][0] - begin)
            self.assertLess(rate, 220e6)
            # Not much less either; how close it comes is the machine's business.
            self.assertGreater(rate, 50e6)
            self.assertGreater(network.links[link].counters(0)["tx_bytes"], 20_000_000)

    def test_the_rate_can_be_changed_while_bytes_flow(self):
        network = Network(self.lab, links=1, rate="1gbit")
        near, received = self.connected(network)
        network.links[0].shape("40mbit")
        begin = time.monotonic()
        near.sendall(bytes(5_000_000))
        near.shutdown(socket.SHUT_WR)
        wait_for("the end", lambda: received and received[-1][1] is None)
        self.assertGreater(received[-1][0] - begin, 0.7)

    def test_a_link_that_is_down_carries_nothing_until_it_is_up(self):
        network = Network(self.lab, links=1)
        near, received = self.connected(network)
        network.links[0].down()
        near.sendall(b"late")
        time.sleep(0.3)
        self.assertEqual(joined(received), b"")
        network.links[0].up()
        wait_for("bytes after the link is up", lambda: joined(received) == b"late", 20)

    def test_a_black_hole_swallows_one_direction_with_the_link_up(self):
        network = Network(self.lab, links=1)
        near, received = self.connected(network)
        near.sendall(b"1")
        wait_for("a byte", lambda: joined(received) == b"1")
        network.links[0].blackhole(0)
        near.sendall(b"2")
        time.sleep(0.3)
        self.assertEqual(joined(received), b"1")
        state = network["beta"].json("ip", "-j", "link", "show", "dev", "lan1")[0]
        self.assertEqual(state["operstate"], "UP")
        network.links[0].heal(0)
        wait_for("bytes after the hole is gone", lambda: joined(received) == b"12", 20)

    def test_a_reset_ends_the_connections_of_one_link_only(self):
        network = Network(self.lab, links=2)
        first, _ = self.connected(network, 0)
        second, received = self.connected(network, 1)
        network.links[0].reset()
        with self.assertRaises(ConnectionResetError):
            first.recv(1)
        second.sendall(b"alive")
        wait_for("bytes on the other link", lambda: joined(received) == b"alive")

    def test_a_flap_is_down_for_its_time_and_up_when_it_returns(self):
        network = Network(self.lab, links=1)
        near, received = self.connected(network)
        begin = time.monotonic()
        at = network.links[0].flap(0.5)
        self.assertGreaterEqual(at - begin, 0.5)
        near.sendall(b"up")
        wait_for("bytes after the flap", lambda: joined(received) == b"up", 20)

    def test_the_shaper_counts_whole_frames(self):
        network = Network(self.lab, rate=["200mbit", "100mbit"])
        link = network.links[1]
        self.assertEqual([x.rate for x in network.links], ["200mbit", "100mbit"])
        near, received = self.connected(network, 1)
        before = link.wire_bytes()
        near.sendall(bytes(5_000_000))
        near.shutdown(socket.SHUT_WR)
        wait_for("the end", lambda: received and received[-1][1] is None)
        wire = link.wire_bytes() - before
        # 1448 bytes of each frame of 1514 are ours.
        self.assertAlmostEqual(wire / 5_000_000, 1514 / 1448, delta=0.01)
        self.assertGreaterEqual(wire, link.counters(0)["tx_bytes"] - 1000)

    def test_a_link_can_be_added_and_have_the_address_of_another_host(self):
        network = Network(self.lab, links=1)
        network.host("gamma")
        network.link("alpha", "gamma", addresses=("10.77.2.1", "10.77.2.2"))
        network.link("gamma", "beta", addresses=("10.77.3.1", "10.77.2.2"))
        near, received = self.connected_to(network, "gamma", "10.77.2.2")
        near.sendall(b"wrong host")
        wait_for("bytes at gamma", lambda: joined(received) == b"wrong host")
        self.assertEqual(network.addresses("beta"), ["10.77.1.2", "10.77.2.2"])

    def test_hosts_do_not_hear_of_each_others_links(self):
        network = Network(self.lab, links=2)
        names = [x["ifname"] for x in network["alpha"].json("ip", "-j", "link")]
        self.assertEqual(sorted(names), ["lan1", "lan2", "lo"])
        self.assertEqual(network.addresses("beta"), ["10.77.1.2", "10.77.2.2"])


class ProxyTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        host = Network(self.lab, ("host",))["host"]
        self.listener = host.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.addCleanup(self.listener.close)
        self.received = []
        self.proxy = Proxy(self.lab, host, ("127.0.0.1", 0), self.listener.getsockname())
        serve(self.listener, self.received)
        self.near = host.socket()
        self.near.connect(self.proxy.address)
        self.addCleanup(self.near.close)

    def send(self, *parts):
        for part in parts:
            self.near.sendall(part)
        self.near.shutdown(socket.SHUT_WR)
        wait_for("the end", lambda: self.received and self.received[-1][1] is None)
        return joined(self.received)

    def test_passes_everything_without_a_fault(self):
        data = os.urandom(300_000)
        self.assertEqual(self.send(data), data)

    def test_flips_one_bit_at_the_place(self):
        fault = self.proxy.fault("forward", flip, at=150_000, bit=3)
        got = self.send(bytes(300_000))
        self.assertTrue(fault.done.is_set())
        self.assertEqual(got, bytes(150_000) + b"\x08" + bytes(149_999))

    def test_two_faults_act_in_their_order(self):
        self.proxy.fault("forward", flip, at=200, bit=0)
        self.proxy.fault("forward", flip, at=100, bit=1)
        got = self.send(bytes(300))
        self.assertEqual(got, bytes(100) + b"\2" + bytes(99) + b"\1" + bytes(99))

    def test_drops_bytes(self):
        self.proxy.fault("forward", drop, at=10, count=5)
        self.assertEqual(self.send(bytes(range(200))),
                         bytes(range(10)) + bytes(range(15, 200)))

    def test_cuts_the_connection(self):
        self.proxy.fault("forward", cut, at=100)
        self.near.sendall(bytes(300))
        wait_for("the end", lambda: self.received and self.received[-1][1] is None)
        self.assertEqual(joined(self.received), bytes(100))

    def test_stalls_until_it_is_let_go(self):
        gate = threading.Event()
        fault = self.proxy.fault("forward", stall, at=100, gate=gate)
        self.near.sendall(bytes(300))
        self.assertTrue(fault.done.wait(5))
        time.sleep(0.2)
        self.assertEqual(len(joined(self.received)), 100)
        gate.set()
        self.assertEqual(len(self.send()), 300)


class CleanUpTest(unittest.TestCase):
    CHILD = ("import sys; sys.path.insert(0, sys.argv[1])\n"
             "from lab import Lab\nfrom lab.network import Network\n"
             "lab = Lab(); Network(lab)\n"
             "lab.spawn(['sh', '-c', 'setsid sleep 600 & setsid sleep 600 & wait'])\n"
             "print(lab.id, lab.dir, flush=True)\n"
             "import time; time.sleep(600)\n")

    def ended_by(self, number):
        child = subprocess.Popen([sys.executable, "-c", self.CHILD,
                                  os.path.join(core.ROOT, "tests", "lib")],
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        mark, folder = child.stdout.readline().split()
        wait_for("the daemons", lambda: len(core.marked(mark)) >= 5)
        child.send_signal(number)
        child.wait(20)
        return mark, folder

    def test_a_test_that_is_interrupted_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                mark, folder = self.ended_by(number)
                self.assertEqual(core.marked(mark), [])
                self.assertFalse(os.path.exists(folder))

    def test_a_test_that_was_killed_can_be_swept(self):
        mark, folder = self.ended_by(signal.SIGKILL)
        self.assertGreaterEqual(len(core.marked(mark)), 4)
        core.kill_all(mark)
        core.sweep_files(mark)
        self.assertEqual(core.marked(mark), [])
        self.assertFalse(os.path.exists(folder))


if __name__ == "__main__":
    unittest.main()
