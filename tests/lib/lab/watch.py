# SPDX-License-Identifier: MIT
"""When did which QEMU of a machine run its guest?

Every QEMU of the machine dials a socket of ours with a monitor of its own, so
this needs nothing of Drover and goes on while its daemons are dead.  QEMU says
STOP after the guest has stopped and RESUME before it goes on, each with a time:
the spans in between hold all that the guest ever did.  Five times a second each
is asked besides, and has to answer what its events had said.

A stop takes a while: QEMU takes on the new state, waits for its processors, and
only then says STOP (do_vm_stop() in system/cpus.c).  A question in between is
answered "not running" first, so such an answer is wrong only when no STOP
follows within STOPPING_S.
"""
import json
import os
import selectors
import socket
import struct
import threading
import time

ASK_S = 0.2
STOPPING_S = 2.0


class Span:
    def __init__(self, pid, begin):
        self.pid, self.begin, self.end = pid, begin, None

    def __repr__(self):
        end = "now" if self.end is None else f"{self.end:.6f}"
        return f"QEMU {self.pid} from {self.begin:.6f} to {end}"

    def meets(self, other):
        """At the same time as the other one, if only for a moment."""
        return ((self.end is None or other.begin < self.end)
                and (other.end is None or self.begin < other.end))


class Watch:
    def __init__(self, lab, path=None):
        self.path = path or lab.path("watch")
        self.spans = []             # in the order of their beginnings
        self.wrong = []             # answers that were not what the events said
        self._sending = threading.Lock()
        self._open = {}             # pid: Span that goes on
        self._rest = {}             # socket: bytes of a line that goes on
        self._pid = {}
        self._stopping = {}         # pid: since when it says so without a STOP
        self._stop, self._wake = socket.socketpair()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._selector = selectors.DefaultSelector()
        for end in (self._listener, self._stop):
            self._selector.register(end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        lab.cleanup(self.close)

    def arguments(self):
        """QEMU's arguments for a monitor that ends here."""
        return ["-chardev", f"socket,id=watch,path={self.path},server=off",
                "-mon", "chardev=watch,mode=control"]

    def running(self):
        """Ids of the QEMUs whose guest runs now."""
        return sorted(self._open)

    def alive(self):
        """Ids of the QEMUs that are connected."""
        return sorted(self._pid.values())

    def conflicts(self, since=0.0):
        """Pairs of spans of two QEMUs that have a moment in common."""
        spans = [s for s in list(self.spans) if s.end is None or s.end > since]
        return [(a, b) for i, a in enumerate(spans) for b in spans[i + 1:]
                if a.pid != b.pid and a.meets(b)]

    def tell(self, pid, command):
        """Give a QEMU a command without arguments: stop, cont.  Its answer is
        not waited for; running() shows what came of it."""
        self._send(next(peer for peer, p in list(self._pid.items()) if p == pid), command)

    def _read(self):
        due = time.monotonic() + ASK_S
        while True:
            for key, _ in self._selector.select(max(0, due - time.monotonic())):
                if key.fileobj is self._stop:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._take(key.fileobj)
            if time.monotonic() >= due:
                due = time.monotonic() + ASK_S
                for peer in list(self._pid):
                    self._send(peer, "query-status")

    def _send(self, peer, command):
        line = json.dumps({"execute": command, "id": command}).encode() + b"\n"
        try:
            with self._sending:
                peer.sendall(line)
        except OSError:
            pass                    # its end is read next

    def _accept(self):
        peer, _ = self._listener.accept()
        self._pid[peer] = struct.unpack("3i", peer.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self._rest[peer] = b""
        self._selector.register(peer, selectors.EVENT_READ)
        self._send(peer, "qmp_capabilities")
        self._send(peer, "query-status")

    def _take(self, peer):
        try:
            data = peer.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(peer)
            peer.close()
            del self._rest[peer]
            self._ended(self._pid.pop(peer), time.time())
            return
        *whole, self._rest[peer] = (self._rest[peer] + data).split(b"\n")
        for line in whole:
            self._message(self._pid[peer], json.loads(line))

    def _message(self, pid, message):
        event = message.get("event")
        if event in ("STOP", "RESUME"):
            stamp = message["timestamp"]
            at = stamp["seconds"] + stamp["microseconds"] / 1e6
            (self._ended if event == "STOP" else self._began)(pid, at)
        elif message.get("id") == "query-status":
            status = message["return"]
            # A guest that ran before we knew of it is never seen to begin.
            if status["running"] and not any(s.pid == pid for s in self.spans):
                self._began(pid, time.time())
            elif status["running"] == (pid in self._open):
                self._stopping.pop(pid, None)
            elif status["running"]:
                self.wrong.append(f"QEMU {pid} says {status['status']} without RESUME")
            elif time.time() - self._stopping.setdefault(pid, time.time()) > STOPPING_S:
                self.wrong.append(f"QEMU {pid} says {status['status']} without STOP")

    def _began(self, pid, at):
        if pid not in self._open:
            self._open[pid] = Span(pid, at)
            self.spans.append(self._open[pid])

    def _ended(self, pid, at):
        self._stopping.pop(pid, None)
        span = self._open.pop(pid, None)
        if span:
            span.end = at

    def close(self):
        self._wake.close()
        self._thread.join(5)
        for end in (self._listener, self._stop, *self._rest):
            end.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
