# SPDX-License-Identifier: MIT
"""QEMU's monitor protocol, as much as the tests use."""
import json
import socket
import time

from .core import Failed, wait_for


class QMP:
    def __init__(self, path, timeout=20):
        self.path = path
        self.timeout = timeout
        self.events = []
        self._buffer = b""
        self._socket = wait_for(f"monitor {path}", self._connect, timeout)
        self._socket.settimeout(timeout)
        self._message()
        self("qmp_capabilities")

    def _connect(self):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(self.path)
        except OSError:
            s.close()
            return None
        return s

    def _message(self):
        while b"\n" not in self._buffer:
            try:
                data = self._socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                raise Failed(f"monitor {self.path}: QEMU is gone")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def __call__(self, command, **arguments):
        """Run a command; names with underscores stand for dashes."""
        message = {"execute": command}
        if arguments:
            message["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except ConnectionError:
            raise Failed(f"monitor {self.path}: QEMU is gone") from None
        while True:
            answer = self._message()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise Failed(f"{command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def hmp(self, line):
        return self("human-monitor-command", command_line=line)

    def capabilities(self, **which):
        self("migrate-set-capabilities", capabilities=[
            {"capability": k.replace("_", "-"), "state": v} for k, v in which.items()])

    def status(self):
        return self("query-status")["status"]

    def migration(self):
        return self("query-migrate").get("status", "none")

    def wait_migration(self, *wanted, timeout=120):
        end = time.monotonic() + timeout
        while True:
            now = self.migration()
            if now in wanted:
                return now
            if now in ("failed", "cancelled", "completed"):
                reason = self("query-migrate").get("error-desc", "")
                raise Failed(f"migration {now} {reason}")
            if time.monotonic() > end:
                raise Failed(f"migration still {now} after {timeout} s")
            time.sleep(0.02)

    def close(self):
        self._socket.close()
