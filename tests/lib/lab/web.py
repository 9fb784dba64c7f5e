# SPDX-License-Identifier: MIT
"""drover-web beside a host's daemon, and requests to it in the words that a test chooses."""
import json
import os
import re
import shutil
import socket
from dataclasses import dataclass

from .core import BUILD, ROOT, Failed, wait_for

PROGRAM = "src/web/drover-web"


@dataclass
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Web:
    def __init__(self, lab, daemon_socket, *words, port=False):
        """port: on one of 127.0.0.1 too, with its token."""
        self.lab, self.socket = lab, lab.path("web.sock")
        self.port = free_port() if port else None
        self.log = lab.path("web.log")
        self.process = lab.spawn(
            [os.path.join(BUILD, PROGRAM), "-S", daemon_socket, "-l", self.socket,
             *(["-p", self.port] if port else []), *words], log=self.log)
        lab.cleanup(self.close)
        wait_for("drover-web", self._listens, 10)

    def _listens(self):
        if self.process.poll() is not None:
            raise Failed(f"drover-web ended with {self.process.returncode}: {self.said()}")
        return os.path.exists(self.socket) and (not self.port or "token=" in self.said())

    def said(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    @property
    def address(self):
        return re.search(r"http://\S+", self.said())[0]

    @property
    def token(self):
        return self.address.partition("#token=")[2]

    def connect(self, port=False, timeout=20):
        made = socket.socket(socket.AF_INET if port else socket.AF_UNIX)
        made.settimeout(timeout)
        made.connect(("127.0.0.1", self.port) if port else self.socket)
        return made

    def ask(self, path, verb="GET", port=False, body=b"", **headers):
        """headers: Origin="http://..."; Host=None: without."""
        words = {"Host": f"127.0.0.1:{self.port}" if port else "localhost",
                 "Content-Length": len(body), **headers}
        head = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in words.items()
                       if v is not None)
        with self.connect(port) as made:
            made.sendall(f"{verb} {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode()
                         + body)
            return parse(everything(made))

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        return self.process.returncode


COCKPIT = ("/usr/lib/cockpit/cockpit-ws", "/usr/bin/cockpit-bridge")


def in_cockpit(lab, web):
    """A Cockpit of this user's, without a login, that has the page; its address there."""
    folder = lab.path("data", "cockpit", "drover")
    shutil.copytree(os.path.join(ROOT, "web"), folder)
    shutil.copy(os.path.join(ROOT, "integrations", "cockpit", "manifest.json"), folder)
    for name in ("ask.js", "manifest.json"):
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("/run/drover/web.sock", web.socket))
    port = free_port()
    lab.spawn([COCKPIT[0], "--no-tls", "--address", "127.0.0.1", "--port", port,
               f"--local-session={COCKPIT[1]}"], log=lab.path("cockpit.log"),
              environ={"HOME": lab.dir, "XDG_DATA_HOME": lab.path("data")})

    def listens():
        with socket.socket() as made:
            return made.connect_ex(("127.0.0.1", port)) == 0
    wait_for("Cockpit", listens, 20, 0.1)
    return f"http://127.0.0.1:{port}/cockpit/@localhost/drover/index.html"


def everything(made):
    data = b""
    while piece := made.recv(65536):
        data += piece
    return data


def parse(data):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    if not lines[0].startswith("HTTP/1.1 "):
        raise Failed(f"that is no HTTP: {data[:200]}")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    return Reply(int(lines[0].split()[1]), headers, body)
