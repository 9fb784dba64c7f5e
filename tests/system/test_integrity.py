# SPDX-License-Identifier: MIT
"""Bits that flip and bytes that get lost between the daemons.

A proxy does it at places from the first byte of the hello to the device state
at the end, in both directions.  Either the move succeeds, because what was
damaged was sent again, and the destination's memory is the source's, byte by
byte; or it fails in one line, and the guest goes on at the source.  In between the guest
checks its own memory.

The guest is stopped while it moves: so its memory can be compared, and the
stream is of one length, so that places near its end can be met.
"""
import unittest

from lab import Lab, needs, wait_for
from lab import proxy
from lab.field import Field
from lab.host import PROGRAMS
from lab.oracle import Memory
from lab.proxy import Proxy

TIME_LIMIT = 300
PARALLEL = True

# A number counts from the beginning, a negative one from the end, a fraction is
# that part of the whole.  The hello has 69 bytes, a frame's head 40, a frame of
# pages up to 264 KiB; the last 200 KiB are what QEMU says after the last page.
FORWARD = {"magic": 3, "version": 9, "host_name": 58, "hello_sum": 67, "first_head": 72,
           "first_payload": 130, "first_pages": 20_000, "quarter": 0.25, "middle": 0.5,
           "three_quarters": 0.75, "last_pages": 0.97, "before_the_end": -150_000,
           "device_state": -30_000, "end_of_the_stream": -4_000}
BACKWARD = {"magic": 3, "hello_secret": 30, "hello_sum": 67, "first_head": 75, "prepared": 140,
            "acknowledgements": 0.25, "more_acknowledgements": 0.5}
# What the two say to each other after the last page: damaged in the next frame
# after a daemon came to this point, in its head or behind it.
LATE = {"loaded": ("backward", "destination:loaded"),
        "commit": ("forward", "source:before-commit-sent"),
        "running": ("backward", "destination:running")}


# Through the proxy and not around it, over the cards.
MOVE = ("--paused", "--network", "127.0.0.0/8")


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Integrity(unittest.TestCase):
    lab = field = None

    @classmethod
    def tearDownClass(cls):
        if cls.lab:
            cls.lab.close()
        cls.lab = cls.field = None

    def setUp(self):
        if not type(self).field:
            self.tearDownClass()
            self.make()

    @classmethod
    def make(cls):
        cls.lab = Lab()
        # With a second channel the places would be other ones each time.
        field = Field(cls.lab, share=True, limits={"connections-per-card": 1},
                      guest={"rate": "1M", "hot": "4M"})
        cls.proxies, cls.length = {}, {}
        for host, other in ((field.alpha, field.beta), (field.beta, field.alpha)):
            cls.proxies[host.name] = Proxy(cls.lab, host.namespace, ("127.0.0.1", host.port),
                                           (other.addresses[0], other.port))
            # Dialled first; the other one is where the peer comes from.
            host.peer(other, ["127.0.0.1", *other.addresses])
        cls.field = field.start()
        cls.learn()

    @classmethod
    def learn(cls):
        """How many bytes an undisturbed move takes, each way."""
        cls.stop_guest()
        status, errors = cls.field.move(*MOVE).wait()
        assert status == 0, errors
        for way in ("forward", "backward"):
            cls.length[way] = cls.proxies[cls.field.here.name].connections[-1][way]
        cls.field.moved()
        cls.let_guest_go()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            type(self).tearDownClass()

    @classmethod
    def stop_guest(cls):
        cls.field.watch.tell(cls.field.pid, "stop")
        wait_for("the guest to stop", lambda: not cls.field.watch.running(), 5)

    @classmethod
    def let_guest_go(cls):
        cls.field.watch.tell(cls.field.pid, "cont")
        cls.field.heartbeat()

    def place(self, where, way):
        if isinstance(where, float):
            return int(self.length[way] * where)
        return where if where >= 0 else self.length[way] + where

    def damage(self, act, way, where, **options):
        source = self.before()
        fault = self.proxies[self.field.here.name].fault(way, act, self.place(where, way),
                                                         **options)
        self.after(self.field.move(*MOVE), fault, source)

    def damage_late(self, act, way, point, **options):
        field, way_through = self.field, self.proxies[self.field.here.name]
        field.faults(**{"here" if point.startswith("source") else "there": point})
        source = self.before()
        move = field.move(*MOVE)
        field.reached(point)
        number = len(way_through.connections) - 1
        ahead = options.pop("ahead")
        fault = way_through.fault(way, act, way_through.connections[-1][way] + ahead, number,
                                  **options)
        field.go_on()
        self.after(move, fault, source)

    def before(self):
        """The guest is stopped; its memory, held open."""
        source = Memory.of_process(self.field.pid)
        self.addCleanup(source.close)
        self.stop_guest()
        return source

    def after(self, move, fault, source):
        field = self.field
        status, errors = move.wait()
        self.assertTrue(fault.done.is_set(), "the move was over before that byte")
        job = field.here.newest_job(role="source")
        if status == 0:
            self.succeeded(job, source)
        else:
            self.failed(job, errors)
        self.assertEqual(field.console.corrupt(), [])
        self.assertEqual(field.both_at_once(), [])

    def succeeded(self, job, source):
        field = self.field
        self.assertEqual(job["state"], "done")
        field.moved()
        destination = Memory.of_process(field.pid)
        self.addCleanup(destination.close)
        self.assertEqual(len(source), len(destination))
        self.assertTrue(source[:] == destination[:], "the destination has other memory")
        field.there.wait_job(job["id"])
        print(f"{self.id().split('.')[-1]}: done, {job['report']['bytes']['resent']} bytes "
              "sent again")
        self.let_guest_go()
        field.settle()

    def failed(self, job, errors):
        field = self.field
        self.assertEqual(job["state"], "failed")
        self.assertNotIn("\n", job["error"])
        self.assertIn(job["error"], errors)
        print(f"{self.id().split('.')[-1]}: {job['error']}")
        self.let_guest_go()
        field.settle()


def add_tests():
    def test(act, way, where, **options):
        return lambda self: self.damage(act, way, where, **options)

    def late(act, way, point, **options):
        return lambda self: self.damage_late(act, way, point, **options)

    for way, places in (("forward", FORWARD), ("backward", BACKWARD)):
        for i, (name, where) in enumerate(places.items()):
            setattr(Integrity, f"test_bit_flipped_{way}_in_{name}",
                    test(proxy.flip, way, where, bit=i % 8))
            if i % 2 == 0:
                setattr(Integrity, f"test_bytes_lost_{way}_in_{name}",
                        test(proxy.drop, way, where, count=1 + 7 * i))
    for name, (way, point) in LATE.items():
        setattr(Integrity, f"test_bit_flipped_in_the_head_of_{name}", late(
            proxy.flip, way, point, ahead=20))
        setattr(Integrity, f"test_bit_flipped_behind_the_head_of_{name}", late(
            proxy.flip, way, point, ahead=45, bit=6))
        setattr(Integrity, f"test_bytes_lost_from_{name}", late(
            proxy.drop, way, point, ahead=5, count=9))


add_tests()

if __name__ == "__main__":
    unittest.main()
