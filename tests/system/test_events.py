# SPDX-License-Identifier: MIT
"""What happens on a host, as a stream for those who watch."""
import json
import socket
import threading
import unittest

from lab import Lab, needs, wait_for
from lab import machine
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 200
READERS = 32


class Reader:
    """One of the stream; reads in a thread of its own unless it is a lazy one."""

    def __init__(self, host, lazy=False):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(host.socket)
        self.socket.sendall(b"GET /v1/events HTTP/1.1\r\nHost: d\r\n\r\n")
        self.status, self.events, self.ended = None, [], False
        if not lazy:
            self.thread = threading.Thread(target=self._read, daemon=True)
            self.thread.start()

    def _read(self):
        stream = self.socket.makefile("rb")
        self.status = int(stream.readline().split()[1])
        while stream.readline() not in (b"\r\n", b""):
            pass
        # In chunks: a length, the bytes, an empty line.
        text = b""
        while self.status == 200 and (size := stream.readline().strip()):
            if not (length := int(size, 16)):
                break
            text += stream.read(length)
            stream.readline()
            *lines, text = text.split(b"\n")
            self.events += [json.loads(line) for line in lines]
        stream.read()
        self.ended = True

    def close(self):
        self.socket.close()

    def of(self, kind, **more):
        return [e for e in list(self.events) if e["event"] == kind
                and all(e.get(k) == v for k, v in more.items())]


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Events(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"), links=2, rate="200mbit")
        self.alpha, self.beta = (
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta"))
        for host in connect(self.alpha, self.beta):
            host.start()

    def reader(self, host=None, **how):
        reader = Reader(host or self.alpha, **how)
        self.addCleanup(reader.close)
        return reader

    def listening(self, host=None):
        reader = self.reader(host)
        wait_for("a first line", lambda: reader.of("alive"), 5)
        return reader

    def start_guest(self):
        console = Console(self.lab)
        self.addCleanup(console.close)
        self.alpha.define(machine.definition(
            "web", *machine.stress_arguments(fill="48M", rate="1M", hot="4M"),
            *console.arguments(), memory="128M"))
        self.alpha.drover("vm", "start", "web")
        console.wait_line("^drover-stress ready", 60)

    def test_machines_and_a_move_on_both_hosts(self):
        here, there = self.listening(), self.listening(self.beta)
        self.start_guest()
        wait_for("it runs", lambda: here.of("machine", name="web", state="running"), 5)
        self.alpha.drover("move", "web", "beta", timeout=60)
        wait_for("it has gone", lambda: here.of("machine", name="web", state="gone"), 5)
        wait_for("it has come", lambda: there.of("machine", name="web", state="running"), 5)
        job = self.alpha.newest_job()["id"]
        for reader, role, peer in ((here, "source", "beta"), (there, "destination", "alpha")):
            wait_for("the end", lambda reader=reader: reader.of("job", state="done"), 5)
            seen = reader.of("job", job=job)
            self.assertEqual({(e["name"], e["role"], e["peer"]) for e in seen},
                             {("web", role, peer)})
            stages = [e["stage"] for e in seen]
            self.assertLess(stages.index("pre-copy"), stages.index("done"))
            numbers = [e["number"] for e in reader.events]
            self.assertEqual(numbers, sorted(numbers))
        self.assertTrue(here.of("job", stage="switchover"))

    def test_a_card_is_lost_and_back(self):
        reader = self.listening()
        link = self.network.links[1]
        name = link.names[0]
        self.network["alpha"].run("ip", "link", "set", name, "down")
        wait_for("it is lost", lambda: reader.of("card", name=name, state="lost"), 5)
        self.network["alpha"].run("ip", "link", "set", name, "up")
        wait_for("it is back", lambda: reader.of("card", name=name, state="back"), 10)
        self.assertEqual(reader.of("card", name=self.network.links[0].names[0]), [])

    def test_readers_are_bounded_and_a_lazy_one_holds_nobody_up(self):
        """64 come, one of which never reads: those beyond are refused, the API answers,
        and a move goes through."""
        lazy = self.reader(lazy=True)
        readers = [self.reader() for _ in range(63)]
        wait_for("an answer for each", lambda: all(r.status == 200 or r.ended for r in readers), 20)
        served = [r for r in readers if r.status == 200]
        self.assertIn(len(served), (READERS - 1, READERS))
        self.assertEqual({r.status for r in readers}, {200, 503})
        self.start_guest()
        for _ in range(20):
            self.alpha.api("POST", "/v1/machines/web/pause")
            self.alpha.api("POST", "/v1/machines/web/resume")
        self.alpha.drover("move", "web", "beta", timeout=60)
        for reader in served:
            wait_for("the end", lambda reader=reader: reader.of("job", state="done"), 10)
            self.assertEqual(reader.of("missed"), [])
            self.assertEqual(len(reader.of("machine", state="paused")), 20)
        lazy.close()
        for reader in served:
            reader.close()
        wait_for("room for another", lambda: self.again(), 40)

    def again(self):
        reader = self.reader()
        wait_for("an answer", lambda: reader.status, 5)
        return reader.status == 200

    def test_the_stream_ends_with_the_service(self):
        reader = self.listening()
        self.alpha.stop()
        wait_for("its end", lambda: reader.ended, 5)


if __name__ == "__main__":
    unittest.main()
