# SPDX-License-Identifier: MIT
"""A TCP proxy between two daemons that damages what it carries, on request.

    proxy = Proxy(lab, alpha_ns, ("127.0.0.1", 7000), ("10.77.1.2", 6600))
    proxy.fault("forward", flip, at=1_000_000)      # or drop, cut, stall

"forward" is from who connects to the target, "backward" the other way.  `at`
counts the bytes of one connection in one direction; a fault acts once, on the
first connection that gets there (or on connection number `connection`).

    Delay(lab, alpha_ns, ("127.0.0.1", 6600), ("10.77.1.2", 6600), ms=40)

passes every byte on that much later, each way, and damages none.
"""
import os
import socket
import threading
from dataclasses import dataclass

from .core import BUILD, Failed

DELAY = "tests/lib/delay"


@dataclass
class Fault:
    act: object
    at: int
    connection: int | None
    options: dict
    done: threading.Event


def flip(data, bit=0):
    """One bit of the byte at the place."""
    return bytes([data[0] ^ 1 << bit]) + data[1:]


def drop(data, count=1):
    """Bytes go missing (at most the rest of what came in one read)."""
    return data[count:]


def cut(_data):
    """The connection is closed on both sides."""
    raise ConnectionAbortedError


def stall(data, gate=None):
    """Nothing more passes in this direction until gate is set."""
    gate.wait()
    return data


class Proxy:
    def __init__(self, lab, namespace, listen, target):
        self.namespace, self.target = namespace, target
        self.connections = []       # [{"forward": bytes, "backward": bytes}]
        self._faults = {"forward": [], "backward": []}
        self._lock = threading.Lock()
        self._sockets = []
        self._closed = False
        self._listener = self._socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(listen)
        self._listener.listen(64)
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()
        lab.cleanup(self.close)

    def _socket(self):
        return self.namespace.socket() if self.namespace else socket.socket()

    def fault(self, direction, act, at, connection=None, **options):
        """Plan a fault; .done of what is returned is set once it acted."""
        fault = Fault(act, at, connection, options, threading.Event())
        with self._lock:
            self._faults[direction].append(fault)
        return fault

    def _accept(self):
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = self._socket()
            try:
                far.connect(self.target)
            except OSError:
                near.close()
                far.close()
                continue
            with self._lock:
                number = len(self.connections)
                self.connections.append({"forward": 0, "backward": 0})
                self._sockets += [near, far]
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._carry, args=(near, far, number),
                             daemon=True).start()

    def _carry(self, near, far, number):
        """Both directions to their ends.  Only a closed socket answers what is
        still on its way to it, and lets its sender go."""
        pumps = [threading.Thread(target=self._pump, args=(*ends, number, direction), daemon=True)
                 for ends, direction in (((near, far), "forward"), ((far, near), "backward"))]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        for end in (near, far):
            end.close()

    def _next_fault(self, direction, number, begin, end):
        with self._lock:
            due = [f for f in self._faults[direction] if begin <= f.at < end
                   and f.connection in (None, number) and not f.done.is_set()]
            return min(due, key=lambda f: f.at, default=None)

    def _damage(self, direction, number, begin, data, send):
        """Pass data on, with the faults that are due in it."""
        while True:
            fault = self._next_fault(direction, number, begin, begin + len(data))
            if not fault:
                return send(data)
            head = fault.at - begin
            send(data[:head])
            fault.done.set()
            tail = data[head:]
            result = fault.act(tail, **fault.options)
            # What was damaged counts as passed: go on behind it.
            skip = 1 if len(result) == len(tail) else 0
            send(result[:skip])
            begin, data = fault.at + len(tail) - len(result) + skip, result[skip:]

    def _pump(self, source, target, number, direction):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                begin = self.connections[number][direction]
                self.connections[number][direction] += len(data)
                self._damage(direction, number, begin, data, target.sendall)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def cut_all(self):
        """Every connection is closed; new ones are taken."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for end in sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self._closed = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for planned in self._faults.values():
            for fault in planned:
                if "gate" in fault.options:
                    fault.options["gate"].set()
        with self._lock:
            sockets = self._sockets
        for end in sockets:
            end.close()


class Delay:
    """A long path, in a process of its own that carries several Gbit/s."""

    def __init__(self, lab, namespace, listen, target, *, ms):
        argv = [os.path.join(BUILD, DELAY), *map(str, (*listen, *target, ms))]
        self.process = lab.spawn(argv, namespace=namespace, stdout=-1, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Failed(f"{' '.join(argv)}: ended with {self.process.wait(5)}")
        lab.cleanup(self.close)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
