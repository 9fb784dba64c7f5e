# SPDX-License-Identifier: MIT
"""A host with Drover: a daemon in a namespace, its command line and its API."""
import http.client
import json
import os
import signal
import socket
import subprocess
from dataclasses import dataclass

from .core import BUILD, Failed, wait_for

PROGRAMS = ("src/cmd/droverd", "src/cmd/drover")
# What the last release does not know.
NEW_KEYS = ("metrics", "policy", "requeue", "max-moves", "max-disk-moves", "arbitration",
            "keep-copy", "keep-copy-size", "keep-copy-time", "congestion")
DROVERD = os.path.join(BUILD, PROGRAMS[0])


@dataclass
class Answer:
    """What a `drover` command came to."""
    status: int
    stdout: str
    stderr: str

    @property
    def json(self):
        """The one JSON value that was printed."""
        return json.loads(self.stdout)

    @property
    def lines(self):
        """One JSON value per line, as `move --json` prints them."""
        return [json.loads(line) for line in self.stdout.splitlines()]


def exit_status(job):
    """What a command that waits for this job ends with."""
    if job["state"] == "failed":
        return {"timed-out": 5, "refused": 8}.get(job["error_kind"], 1)
    return {"done": 0, "cancelled": 3, "in-doubt": 4}[job["state"]]


class ApiError(Failed):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("drover", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Host:
    """Hosts of one test; connect(alpha, beta) makes them peers."""

    # words in front of the daemon's command line, say `unshare --mount`
    wrap = ()
    # where the programs were built; the command may be of another version
    build = command_build = BUILD

    def __init__(self, lab, name, namespace, addresses, *, port=6600, qemu=None,
                 settings=None):
        self.lab, self.name, self.namespace = lab, name, namespace
        self.addresses, self.port = list(addresses), port
        self.dir = lab.path(name)
        self.state = os.path.join(self.dir, "state")
        self.run_dir = os.path.join(self.dir, "run")
        self.socket = os.path.join(self.dir, "sock")
        self.config = os.path.join(self.dir, "drover.conf")
        self.log = os.path.join(self.dir, "log")
        self.process = None
        self.knows_all = False
        self.settings = {"host": {"name": name, "listen": self.addresses,
                                  "port": port, "state-directory": self.state,
                                  "run-directory": self.run_dir, "socket": self.socket,
                                  # Guests' images and sockets are in the lab's own folders.
                                  "policy": "open",
                                  **({"qemu": qemu} if qemu else {})},
                         # A move that a test's fault undid is over.
                         "move": {"requeue": "off"}}
        for section, values in (settings or {}).items():
            self.settings.setdefault(section, {}).update(values)
        for folder in (self.state, self.run_dir):
            os.makedirs(folder, mode=0o700)
        lab.cleanup(self.close)

    def peer(self, other, addresses=None, port=None, **values):
        """Name another Host (or a proxy's address for it) in our settings."""
        self.settings[f"peer {other.name}"] = {
            "address": list(addresses or other.addresses),
            "port": port or other.port, "tls": "off", **values}

    def write_settings(self):
        """A list stands for a key that is written once for each value."""
        with open(self.config, "w", encoding="utf-8") as f:
            for section, values in self.settings.items():
                f.write(f"[{section}]\n")
                for key, value in values.items():
                    if key in NEW_KEYS and self.build != BUILD and not self.knows_all:
                        continue  # a release of before would not start
                    for one in value if isinstance(value, list) else [value]:
                        f.write(f"{key} = {one}\n")
                f.write("\n")

    # -- the daemon
    def start(self, timeout=20, fault=None):
        """fault: what DROVER_FAULT shall be (src/base/fault.h)."""
        self.write_settings()
        self.process = self.lab.spawn([*self.wrap, os.path.join(self.build, PROGRAMS[0]), "-c",
                                       self.config],
                                      namespace=self.namespace, log=self.log,
                                      environ={"DROVER_FAULT": fault} if fault else None)
        try:
            wait_for(f"droverd {self.name}", self._answers, timeout, 0.02)
        except Failed as e:
            raise Failed(f"{e}; its log ends: {self.log_text()[-800:]}") from None
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise Failed(f"droverd {self.name} ended with {self.process.returncode}")
        try:
            return self.api("GET", "/v1/host")
        except (OSError, http.client.HTTPException):
            return None

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout=30):
        """SIGTERM; its exit status."""
        if self.running():
            self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"droverd {self.name}: not ended within {timeout} s "
                         "of SIGTERM") from None

    def kill9(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def small_folder(self, folder, size):
        """From its next start on the daemon, and its QEMUs, have a tmpfs there."""
        self.wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                     f'mount -t tmpfs -o size={size},mode=0700 small "$0" && exec "$@"', folder]

    def fill(self, folder):
        """Take all that is left of a small folder; the file that does."""
        name = f"/proc/{self.pid}/root{folder}/filler"
        with open(name, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass
        return name

    def restart(self, fault=None):
        if self.running():
            self.stop()
        return self.start(fault=fault)

    def of(self, build, recent=False):
        """From its next start on, and the next command on, the programs of this build;
        recent: not of the last release, but of a commit that knows the newest keys."""
        self.build = self.command_build = build
        self.knows_all = recent
        return self

    def log_text(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def descriptors(self):
        """How many the daemon has open, to find leaks across a move."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # -- asking it
    def drover_argv(self, *words):
        if self.command_build != BUILD and words[:2] == ("vm", "stop"):
            words = [w for w in words if w != "--now"]  # one of before cuts the power
        return [os.path.join(self.command_build, PROGRAMS[1]), "-S", self.socket, *map(str, words)]

    def drover(self, *words, check=True, timeout=300, stdin=None):
        """Run a command to its end; .json and .lines parse its output."""
        done = subprocess.run(self.drover_argv(*words), input=stdin, capture_output=True,
                              text=True, timeout=timeout, env=self.lab.environ)
        if check and done.returncode != 0:
            raise Failed(f"drover {' '.join(map(str, words))}: status {done.returncode}: "
                         f"{done.stderr.strip()}")
        return Answer(done.returncode, done.stdout, done.stderr)

    def api(self, method, path, body=None, timeout=60):
        """The parsed answer; ApiError for any status that is not 2xx."""
        connection = _UnixConnection(self.socket, timeout)
        try:
            data = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
            connection.request(method, path, data)
            answer = connection.getresponse()
            text = answer.read().decode()
            value = json.loads(text) if text.strip() else None
            if not 200 <= answer.status < 300:
                raise ApiError(answer.status, (value or {}).get("error", text))
            return value
        finally:
            connection.close()

    def define(self, text, **kwargs):
        path = os.path.join(self.dir, "definition")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return self.drover("vm", "define", path, **kwargs)

    def machine(self, name):
        return self.api("GET", f"/v1/machines/{name}")

    def job(self, number):
        return self.api("GET", f"/v1/jobs/{number}")

    def newest_job(self, **wanted):
        """The job that was started last, of those with the wanted values."""
        jobs = [j for j in self.api("GET", "/v1/jobs")
                if all(j[k] == v for k, v in wanted.items())]
        if not jobs:
            raise Failed(f"{self.name} has no such job")
        return max(jobs, key=lambda j: j["started"])

    def wait_job(self, number, *states, timeout=180):
        """The job once it is in one of the states (default: any that ends it)."""
        states = states or ("done", "failed", "cancelled", "in-doubt")
        return wait_for(f"job {number} {' or '.join(states)}",
                        lambda: (job := self.job(number))["state"] in states and job,
                        timeout, 0.05)

    # -- afterwards
    def leaks(self):
        """What a stopped daemon, whose machines were stopped, left behind."""
        found = []
        for root, _, names in os.walk(self.run_dir):
            found += [f"file {os.path.join(root, name)}" for name in names]
        if os.path.exists(self.socket):
            found.append(f"socket {self.socket}")
        found += [f"TCP socket {line}" for line in self.namespace.sockets()]
        found += [f"process {pid}: {line}" for pid, line in self.lab.processes().items()
                  if self.dir in line]
        return found

    def close(self):
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def connect(*hosts, **values):
    """Make all of them peers of each other, over all their addresses."""
    for host in hosts:
        for other in hosts:
            if other is not host:
                host.peer(other, **values)
    return hosts
