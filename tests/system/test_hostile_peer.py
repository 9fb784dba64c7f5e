# SPDX-License-Identifier: MIT
"""A peer that means harm, or is broken: the daemon lives, and others are served.

The attacker has the name and the addresses of a configured peer, so it gets as
far as anybody can who is not trusted with more.
"""
import itertools
import os
import resource
import socket
import struct
import threading
import time
import unittest

from lab import Lab, Stolen, needs, slow
from lab.core import Failed, status, wait_for
from lab.host import PROGRAMS
from lab.oracle import Memory, PrivateMemory
from lab.pair import Pair
from lab.wire import (ACCEPT, ACK, BYE, DATA, DELTA, FILL, JOIN, LZ4, OPEN, PAGES, PROOF, REFUSE,
                      SAME, STREAM, ZERO, ZSTD, Peer, batch, delta, hello, page_sum)
from lab import machine

TIME_LIMIT = 300
PARALLEL = True
RESIDENT_LIMIT = 96 << 20
PAGE, MEMORY = 4096, 64 << 20
NUMBERS = itertools.count(1)  # of moves


@needs(*PROGRAMS, "guest/drover-stress.elf")
class HostilePeer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        # What one test leaves behind is not held against all that follow.
        cls.pair = Pair(cls.lab, links=1, memory="64M",
                        settings={"move": {"outage-limit": "5s"}},
                        guest=machine.stress_arguments(fill="32M")).start()
        cls.attacker = cls.pair.network["alpha"]
        cls.beta = cls.pair.beta
        cls.target = cls.beta.addresses[0]
        cls.descriptors, cls.threads = cls.count()

    def setUp(self):
        self.taken = Stolen()

    def within(self, began, limit_s, what=None):
        self.assertLess(time.monotonic() - began, limit_s + self.taken.seconds(), what)

    @classmethod
    def status(cls, key):
        return int(status(cls.beta.pid)[key].split()[0])

    @classmethod
    def count(cls):
        return cls.beta.descriptors(), cls.status("Threads")

    def tearDown(self):
        """Every attack ends like this: alive, small, and with nothing left."""
        self.doCleanups()
        self.assertTrue(self.beta.running(), self.beta.log_text()[-800:])
        self.beta.api("GET", "/v1/host", timeout=5)
        try:
            wait_for("descriptors and threads are back",
                     lambda: self.count()[0] <= self.descriptors and
                     self.count()[1] <= self.threads, 12, 0.1)
        except Failed:
            found = os.listdir(f"/proc/{self.beta.pid}/fd")
            self.fail(f"{self.count()}, at first {self.descriptors, self.threads}: " + ", ".join(
                os.readlink(f"/proc/{self.beta.pid}/fd/{n}") for n in found))
        self.assertLess(self.status("VmRSS") * 1024, RESIDENT_LIMIT)
        self.assertEqual(self.beta.api("GET", "/v1/machines"), [])

    def opened(self):
        peer = Peer(self, hello(OPEN))
        self.assertEqual(peer.answer()[0], ACCEPT)
        return peer

    def served(self):
        """Somebody else is answered at once."""
        began = time.monotonic()
        self.assertEqual(Peer(self, hello(OPEN, b"nobody")).answer()[0], REFUSE)
        self.within(began, 2)

    # -- hellos
    def test_garbage_is_hung_up_on(self):
        for data in (bytes(4096), os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n" + b" " * 60,
                     b"DROVER\r\n" + b"\xff" * 600):
            peer = Peer(self, data)
            with self.assertRaises(ConnectionError):
                peer.read(1)
        self.served()

    def test_a_damaged_hello_is_hung_up_on(self):
        good = hello(OPEN)
        for at in range(0, len(good), 5):
            bad = bytearray(good)
            bad[at] ^= 0x10
            peer = Peer(self, bytes(bad))
            if at in (14, 15):  # the text's length: it waits for the rest
                continue
            with self.assertRaises(ConnectionError):
                peer.read(1)

    def test_half_hellos_hold_up_nobody(self):
        waiting = [Peer(self, hello(OPEN)[:n]) for n in range(0, 60)]
        self.served()
        began = time.monotonic()
        for peer in waiting:
            peer.socket.settimeout(10)
            with self.assertRaises(ConnectionError):
                peer.read(1)
        self.within(began, 9)

    def test_strangers_other_versions_and_wrong_secrets_are_told(self):
        for data, words in ((hello(OPEN, b"mallory"), "its log says what is wrong with mallory"),
                            (hello(OPEN, b"../../etc"), "what is wrong with ../../etc"),
                            (hello(OPEN, version=7, lowest=7), "same version"),
                            (hello(JOIN, session=1), "knows nothing of this session"),
                            (hello(ACCEPT), "hello of kind 3")):
            kind, text = Peer(self, data).answer()
            self.assertEqual(kind, REFUSE)
            self.assertIn(words, text)
        peer = self.opened()
        kind, text = Peer(self, hello(JOIN, session=peer.session, secret=bytes(32))).answer()
        self.assertEqual((kind, "knows nothing" in text), (REFUSE, True))
        peer.leave()

    # -- frames
    def ends(self, words, **frame):
        peer = self.opened()
        peer.frame(**frame)
        reason = peer.goodbye()
        self.assertIn(words, reason or "", frame)

    def test_frames_that_break_the_rules_end_the_session_with_a_sentence(self):
        self.ends("no memory for them", kind=PAGES, payload=batch(700, [(0, 1, ZERO)]))
        self.ends("frame 5000 while 1 is missing", kind=STREAM, payload=b"x", seq=5000)
        self.ends("never sent", kind=ACK, payload=struct.pack(">QIIQQ", 99, 0, 0, 0, 0))
        self.ends("ACK of 5 bytes", kind=ACK, payload=b"12345")

    def test_frames_that_cannot_be_end_their_channel(self):
        for frame in ({"kind": PAGES, "length": 0xffffffff}, {"kind": STREAM, "length": 1 << 20},
                      {"kind": STREAM, "stream": 64}, {"kind": 9}, {"kind": STREAM, "seq": 0},
                      {"kind": BYE, "length": 513}):
            peer = self.opened()
            peer.frame(**frame)
            began = time.monotonic()
            for _ in peer.frames():
                self.within(began, 5, frame)

    def test_streams_that_nobody_asked_for_are_bounded(self):
        peer = self.opened()
        data, sent = bytes(128 << 10), 0
        while sent < 512 << 20 and peer.frame(STREAM, data, offset=sent, stream=5):
            sent += len(data)
        # The rest was read and thrown away; RESIDENT_LIMIT is what counts.
        self.assertIn("do not fit", peer.goodbye() or "do not fit")

    # -- messages
    def test_messages_that_are_no_requests_are_answered_and_forgotten(self):
        for text in (b"", b"{", b"[]", b"7", b"\xff\xfe", b"null", b"{}", b'{"type": 7}',
                     b'{"type": "' + b"x" * 100000 + b'"}', b"[" * 100000,
                     b'{"a":' * 20000, b'{"type":"move"}', b'{"type":"move","job":7}',
                     b'{"type":"compare","machine":[]}', b'{"type":"resolve"}',
                     b'{"type":"ask","job":"../../../etc/passwd"}',
                     b'{"type":"relay","name":"..%2f"}',
                     b'{"type":"resolve","job":"' + b"9" * 9000 + b'","decision":"commit"}'):
            peer = self.opened()
            peer.message(text)
            self.assertIsNotNone(peer.reply() or peer.goodbye, text[:40])
            peer.frame(BYE)
        self.served()

    def test_messages_that_nobody_reads_are_bounded(self):
        peer = self.opened()
        peer.message({"type": "ask", "job": "1"})
        text, sent = b" " * (128 << 10), 0
        while sent < 64 << 20 and peer.message(text):
            sent += len(text)

    def asks_to_move(self, definition, job=None, name="evil", **more):
        peer = self.opened()
        peer.stay()
        job = f"{next(NUMBERS):08x}" if job is None else job
        peer.message({"type": "move", "job": job, "paused": True, **more,
                      "machine": {"name": name, "definition": definition, "type": "pc",
                                  "qemu": [7, 2, 0], "memory": 64 << 20, "kvm": False,
                                  "files": [], "devices": [], "blockers": [],
                                  "capabilities": []}})
        return peer

    def test_names_cannot_leave_their_folder(self):
        text = "[machine]\nname = {}\nmemory = 64M\nmachine = pc\n"
        for name in ("../evil", "a/b", ".", "..", "-x", "", "x" * 300, "a\nb"):
            reply = self.asks_to_move(text.format(name), name=name).reply()
            self.assertEqual((reply or {}).get("type"), "failed", name)
            reply = self.asks_to_move(text.format("evil"), job=name).reply()
            self.assertEqual((reply or {}).get("type"), "failed", name)
        self.assertFalse([f for f in os.listdir(self.beta.dir) if "evil" in f])

    def test_a_job_is_named_as_a_whole_and_once(self):
        text = "[machine]\nname = evil\nmemory = 64M\nmachine = pc\n"
        for words in ({"type": "ask"}, {"type": "resolve", "decision": "commit"}):
            peer = self.opened()
            peer.message({**words, "job": "0123456789abcdef0"})
            self.assertIn("at most 16 bytes", peer.reply().get("error", ""))
        self.assertIn("at most 16 bytes",
                      self.asks_to_move(text, job="0123456789abcdef0").reply().get("error", ""))
        # One that was refused before anything was made for it may come once more.
        for _ in range(2):
            reply = self.asks_to_move(text.replace("64M", "8T"), job="0badc0d1").reply()
            self.assertIn("or stop or move something there first", reply.get("error", ""))
        first = self.asks_to_move(text, job="0badc0de")
        self.assertEqual(first.reply()["type"], "prepared")
        again = self.asks_to_move(text, job="0badc0de").reply()
        self.assertIn("has had a job 0badc0de already", again.get("error", ""))
        first.frame(BYE)
        for job, word in (("0badc0de", "abort"), ("0badc0de", ""), ("0badc0de", None)):
            peer = self.opened()
            peer.message({"type": "resolve", "job": job, "decision": word})
            self.assertIn("must be one of commit", peer.reply().get("error", ""))

    def test_a_peer_does_not_choose_the_program(self):
        mark, program = os.path.join(self.beta.dir, "ran"), os.path.join(self.beta.dir, "program")
        with open(program, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\ntouch {mark}\nexec sleep 100\n")
        os.chmod(program, 0o755)
        text = ("[machine]\nname = evil\nmemory = 64M\nmachine = pc\naccelerator = tcg\n"
                f"qemu = {program}\n")
        peer = self.opened()
        peer.message({"type": "compare", "machine": {"name": "evil", "definition": text}})
        findings = peer.reply()["findings"]
        self.assertTrue([f for f in findings if f"set allow-qemu = {program}" in f["text"]],
                        findings)
        moving = self.asks_to_move(text)
        self.assertEqual(moving.reply()["type"], "prepared")
        moving.frame(BYE)
        self.assertFalse(os.path.exists(mark))

    def test_definitions_that_would_run_the_guest_or_a_shell_do_neither(self):
        mark = os.path.join(self.beta.dir, "pwned")
        refused = "is Drover's to set"
        for line, answer in (
                ("-incoming tcp:0:1", refused), ("-incoming exec:true", refused), ("-S", refused),
                ("-daemonize", refused), (f"-name x;touch {mark}", refused),
                ("-machine q35", refused), ("-m 1G", refused),
                ('"unclosed', "a quote is not closed"),
                ("-device no-such-device", "'no-such-device' is not a valid device"),
                (f"-object $(touch {mark})", "QEMU ended at once"),
                (f"-fw_cfg name=opt/a,string='x;touch {mark}'", None),
                (f"-fw_cfg name=opt/a,string='`touch {mark}`'", None)):
            peer = self.asks_to_move("[machine]\nname = evil\nmemory = 64M\nmachine = pc\n"
                                     f"accelerator = tcg\narguments = {line}\n")
            reply = peer.reply()
            self.assertIsNotNone(reply, line)
            self.assertEqual(reply["type"], "failed" if answer else "prepared", (line, reply))
            if answer:
                self.assertIn(answer, reply["error"], line)
            else:  # its QEMU waits, paused, for a stream
                self.assertEqual(self.beta.machine("evil")["state"], "incoming", line)
            peer.frame(BYE)
            peer.socket.close()
            wait_for("the arrival is undone",
                     lambda: not self.beta.api("GET", "/v1/machines"), 20, 0.05)
        self.assertFalse(os.path.exists(mark))

    # -- pages
    def arriving_qemu(self):
        """Nobody names it before the guest is here: the daemon's only child."""
        found = []
        for task in os.listdir(f"/proc/{self.beta.pid}/task"):
            with open(f"/proc/{self.beta.pid}/task/{task}/children", encoding="ascii") as f:
                found += f.read().split()
        self.assertEqual(len(found), 1)
        return int(found[0])

    def arrival(self, **more):
        """A peer for whom a QEMU waits, the number of its RAM, and that memory."""
        peer = self.asks_to_move("[machine]\nname = evil\nmemory = 64M\nmachine = pc\n", **more)
        # A QEMU may start, and memory be copied, for longer than a peer may be
        # silent.
        peer.stay()
        reply = peer.reply() or {}
        self.assertEqual(reply.get("type"), "prepared", reply)
        block = [b["name"] for b in reply["blocks"]].index("pc.ram")
        memory = Memory.of_process(self.arriving_qemu(), MEMORY)
        self.addCleanup(memory.close)
        return peer, block, memory

    def copy_of(self, memory, piece=1 << 20):
        """In pieces: one copy of it all would keep the interpreter, and the peer's
        other thread silent, for longer than a peer may be where memory is slow."""
        copy = bytearray()
        for at in range(0, MEMORY, piece):
            copy += memory[at:at + piece]
        return copy

    def refused_pages(self, words, runs, side=b"", data=b"", **more):
        """One batch that is right, then this one, which ends the session; the
        guest's memory has nothing of it."""
        peer, block, memory = self.arrival()
        before = self.copy_of(memory)
        before[5 * PAGE:6 * PAGE] = b"p" * PAGE
        peer.frame(PAGES, batch(block, [(5, 1, DATA), (9, 1, SAME)],
                                page_sum(bytes(PAGE)), b"p" * PAGE))
        peer.frame(PAGES, batch(block, runs, side, data, **more))
        self.assertIn("frame 3: " + words, peer.goodbye() or "", runs[:9])
        self.assertTrue(self.copy_of(memory) == before, f"{runs[:9]} changed the guest's memory")
        peer.socket.close()
        wait_for("the arrival is undone",
                 lambda: not self.beta.api("GET", "/v1/machines"), 20, 0.05)

    def test_repeats_of_what_is_not_here_end_the_session_and_write_nothing(self):
        differs = "page {} of RAM block pc.ram is not what the source says it is"
        self.refused_pages(differs.format(5), [(5, 1, SAME), (7, 1, DATA)],
                           page_sum(b"q" * PAGE), b"d" * PAGE)
        self.refused_pages(differs.format(5), [(5, 1, DELTA)],
                           delta(b"q" * PAGE, (0, b"q" * 8)))
        self.refused_pages("page 5 of RAM block pc.ram: delta of 20 bytes: wrong record",
                           [(5, 1, DELTA)], delta(b"p" * PAGE, (511, b"q" * 16)))

    def test_pages_with_wrong_lengths_end_the_session_and_write_nothing(self):
        last = MEMORY // PAGE - 1
        for runs, side, data, more, words in (
                ([(7, 2, DATA)], b"", b"\x50hello", {"codec": LZ4}, ""),
                ([(7, 2, DATA)], b"", b"\x1fz\xff\x7f\xff\xff\0\x50zzzzz", {"codec": LZ4}, ""),
                ([(7, 2, DATA)], b"", b"\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff\1\0\0",
                 {"codec": ZSTD}, ""),
                ([(7, 2, DATA)], b"", bytes(PAGE), {}, "batch of 2 pages in 4096 bytes"),
                ([(7, 1, FILL)], bytes(9), b"", {}, "batch whose runs do not have"),
                ([(7, 1, FILL), (8, 1, SAME)], bytes(8), b"", {}, "batch whose runs do not have"),
                ([(7, 1, DELTA)], delta(bytes(PAGE), (0, bytes(8)), length=13), b"", {},
                 "batch whose runs do not have"),
                ([(7, 1, FILL)], bytes(8), b"", {"side_length": 1 << 31}, "batch of 2147483648"),
                ([(7, 1, FILL), (last, 2, FILL)], b"f" * 16, b"", {}, "2 pages at page 16383")):
            self.refused_pages(words, runs, side, data, **more)

    def test_pages_before_the_address_is_proved_end_the_session_and_write_nothing(self):
        for before in ((), (batch(0, [(3, 1, PROOF)], page_sum(bytes(PAGE))),),
                       (batch(0, [(3, 1, PROOF)], page_sum(b"q" * PAGE)),)):
            # As a source that has addresses proved: QEMU has its memory for itself.
            peer, block, memory = self.arrival(can=["prove"])
            self.assertIsInstance(memory, PrivateMemory)
            self.assertEqual(block, 0)
            for payload in before:
                peer.frame(PAGES, payload)
            peer.frame(PAGES, batch(block, [(5, 1, DATA)], b"", b"p" * PAGE))
            self.assertIn("a page of pc.ram before its address is proved",
                          peer.goodbye() or "")
            try:
                self.assertNotIn(b"p" * PAGE, self.copy_of(memory))
            except ProcessLookupError:
                pass    # it has been ended
            peer.socket.close()
            wait_for("the arrival is undone",
                     lambda: not self.beta.api("GET", "/v1/machines"), 20, 0.05)

    def test_a_short_frame_cannot_have_the_daemon_write_for_minutes(self):
        self.refused_pages("batch that stands for 2097152 pages, of at most 4096",
                           [(0, MEMORY // PAGE, ZERO)] * 128)

    # -- many
    def flood(self, first, n=1500):
        """Connections one after the other, left open; how many got through."""
        held = []

        def connect():
            for _ in range(n):
                s = socket.socket()
                s.settimeout(2)
                try:
                    s.connect((self.target, 6600))
                    s.sendall(first)
                    held.append(s)
                except OSError:
                    s.close()
        threads = [threading.Thread(target=self.attacker.inside, args=(connect,))
                   for _ in range(2)]
        for t in threads:
            t.start()
        most = 0
        while any(t.is_alive() for t in threads):
            most = max(most, self.status("Threads"))
            time.sleep(0.05)
        for t in threads:
            t.join()
        print(f"{len(held)} connections, {most} threads, {self.status('VmRSS') >> 10} MiB")
        self.assertLess(most, 400)
        self.beta.api("GET", "/v1/host", timeout=5)
        for s in held:
            s.close()

    def test_thousands_of_silent_connections_are_bounded(self):
        self.flood(b"DROVER")

    @slow
    def test_thousands_of_sessions_are_bounded(self):
        self.flood(hello(OPEN))
        self.assertLess(self.status("VmRSS") * 1024, RESIDENT_LIMIT)

    def processor(self):
        """Seconds that the daemon has used."""
        with open(f"/proc/{self.beta.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def api_answers(self, limit_s=1):
        began = time.monotonic()
        self.beta.api("GET", "/v1/host", timeout=10)
        self.within(began, limit_s)

    def joined(self, first):
        """One more channel of first's session; None: no more are taken."""
        peer = Peer(self, hello(JOIN, session=first.session,
                                secret=first.secret[:16] + bytes(16)))
        peer.session = first.session
        kind, text = peer.answer()
        if kind == ACCEPT:
            peer.session = first.session
            return peer
        self.assertEqual(kind, REFUSE)
        self.assertIn("one host may have no more", text)
        self.assertEqual(peer.session, first.session)
        peer.socket.close()
        return None

    def test_a_port_without_descriptors_rests_and_the_api_answers(self):
        was = resource.prlimit(self.beta.pid, resource.RLIMIT_NOFILE)
        self.assertEqual(was[0], was[1], "the soft limit is the hard one")
        self.addCleanup(resource.prlimit, self.beta.pid, resource.RLIMIT_NOFILE, was)
        few = self.count()[0] + 30, was[1]
        resource.prlimit(self.beta.pid, resource.RLIMIT_NOFILE, few)
        held = [Peer(self, b"DROVER") for _ in range(60)]
        used, began = self.processor(), time.monotonic()
        for _ in range(4):
            self.api_answers()
            time.sleep(0.5)
        share = (self.processor() - used) / (time.monotonic() - began)
        print(f"{self.count()[0]} descriptors of {few[0]}, {share:.1%} of a processor")
        self.assertLess(share, 0.1)
        self.assertEqual(self.beta.log_text().count("connections are put off"), 1)
        for peer in held:
            peer.socket.close()
        resource.prlimit(self.beta.pid, resource.RLIMIT_NOFILE, was)
        self.served()

    def only_for_doubts(self, sessions):
        for number, peer in enumerate(sessions):
            asks = number % 2 == 0
            peer.message({"type": "ask", "job": "1"} if asks else
                         {"type": "holds", "uuid": "x"} if number % 4 == 1 else {"type": "members"})
            reply = peer.reply()
            if asks:
                self.assertEqual(reply["type"], "answer", reply)
            else:
                self.assertIn("too many sessions", reply["error"])
            peer.leave()

    def test_many_channels_of_one_host_are_bounded(self):
        before, threads = self.status("VmRSS"), self.status("Threads")
        sessions = [self.opened() for _ in range(32)]
        kept = [self.opened() for _ in range(4)]
        kind, text = Peer(self, hello(OPEN)).answer()
        self.assertEqual((kind, "one host may have no more" in text), (REFUSE, True), text)
        self.only_for_doubts(kept)
        channels, over = list(sessions), threading.Event()

        def live():
            while not over.wait(0.2):
                for peer in list(channels):
                    peer.frame(ACK, struct.pack(">QIIQQ", 1, 0, 0, 0, 0))
        alive = threading.Thread(target=live)
        alive.start()
        self.addCleanup(alive.join)
        self.addCleanup(over.set)
        for first in sessions:
            for _ in range(31):
                more = self.joined(first)
                if more:
                    channels.append(more)
                    self.api_answers()
        grown = self.status("VmRSS") - before
        used, began = self.processor(), time.monotonic()
        time.sleep(2)
        share = (self.processor() - used) / (time.monotonic() - began)
        print(f"{len(channels)} channels, {self.status('Threads') - threads} threads, "
              f"{grown >> 10} MiB, {share:.1%} of a processor")
        self.assertGreater(self.status("Threads") - threads, 2 * len(channels))
        self.assertLess(grown << 10, 64 << 20)
        self.assertLess(share, 0.05)
        over.set()
        alive.join()
        for first in sessions:
            first.leave()

    def test_zz_a_move_works_after_all_that(self):
        pair = self.pair
        pair.move("--paused")
        verdict = pair.judge()
        self.assertTrue(verdict.good, verdict)
        pair.beta.drover("vm", "stop", "guest", "--now")
        pair.beta.drover("vm", "forget", "guest")
        wait_for("sockets of the move are closed",
                 lambda: self.count()[0] <= self.descriptors + 1, 10, 0.1)


if __name__ == "__main__":
    unittest.main()
