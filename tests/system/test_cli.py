#!/usr/bin/python3
# SPDX-License-Identifier: MIT

"""What drover prints and how it ends, seen from outside.

The real program talks to a small HTTP server on a unix socket that gives
prepared answers in the shapes of docs/api.md.  So this says nothing about the
service; it is about output, exit status, Ctrl-C, pipes and terminals.

    PYTHONPATH=tests/lib DROVER_BUILD=build python3 tests/system/test_cli.py
"""

import copy
import fcntl
import http.server
import json
import os
import pty
import select
import shutil
import signal
import socketserver
import struct
import subprocess
import termios
import threading
import time
import unittest

from lab.core import BUILD, Lab

PARALLEL = True
DROVER = os.path.join(BUILD, "src/cmd/drover")

GIB = 1 << 30
MIB = 1 << 20

HOST = {
    "name": "alpha", "version": "0.1.0", "wire": {"version": 1, "lowest": 1},
    "listen": ["10.0.0.1", "fd00::1"], "port": 6600,
    "networks": ["10.0.0.0/24, eth1"], "machines": 2, "jobs": 1,
    "memory": {"total": 64 * GIB, "available": 20 * GIB}, "cpus": 16,
    "qemu": "/usr/bin/qemu-system-x86_64",
    "peers": [{"name": "beta", "addresses": ["10.0.0.2", "10.1.0.2"],
               "port": 6600, "tls": True}],
}
WEB1 = {
    "name": "web1", "state": "running", "pid": 4711, "memory": 4 * GIB,
    "vcpus": 4, "machine": "pc-q35-7.2",
    "qemu": "/usr/bin/qemu-system-x86_64", "job": "3f9a12cd",
    "adopted": False, "run_dir": "/run/drover/machines/web1",
}
DB = dict(WEB1, name="a-database-with-a-long-name", state="stopped", pid=None,
          memory=512 * MIB, job=None)
RUNNING = {
    "id": "3f9a12cd", "kind": "move", "role": "source", "machine": "web1",
    "peer": "beta", "state": "running", "stage": "pre-copy",
    "started": 1700000000, "ended": None, "error": None, "advice": None,
    "progress": {
        "percent": 47, "bytes_sent": 2254857830, "ram_total": 4 * GIB,
        "rate": 118 * MIB, "round": 3, "dirty_rate": 20 * MIB,
        "remaining": 2 * GIB, "time_left_ms": 130000,
        "time_left_least_ms": 118000, "time_left_most_ms": 151000,
        "sure": "fair", "ends": "converges",
        "downtime_estimate_ms": 210, "channels": 2, "outage": False,
        "pages": {"zero": 262144, "filled": 1024, "unchanged": 8192,
                  "delta": 65536, "delta_bytes": 4718592, "data": 318464}},
    "report": None,
}


def path(state, asked, got, **more):
    return {"from_nic": "eth0", "from": "10.0.0.1", "to_nic": "eth1",
            "to": "10.0.0.2", "network": 0, "speed_mbit": 1000,
            "state": state, "connections_asked": asked, "connections": got,
            "bytes": 0, "received": 0, "rate": 0, "retransmissions": 0,
            "drops": 0, "why": None, "flows": None, "channels": [], **more}


LONG = {"from_nic": "enp129s0f0", "to_nic": "enp129s0f1",
        "from": "fd00:aaaa:bbbb:cccc:dddd:eeee:ffff:1",
        "to": "fd00:aaaa:bbbb:cccc:dddd:eeee:ffff:2"}
PATHS = [
    path("used", 4, 4, bytes=700 * MIB, received=4 * MIB, rate=60 * MIB,
         retransmissions=3,
         flows="Connections are spread over the members by their ports.",
         channels=[{"channel": 0, "transport": "tcp",
                    "from": "10.0.0.1:40112", "to": "10.0.0.2:6600",
                    "bytes": 700 * MIB, "received": 4 * MIB,
                    "rate": 60 * MIB, "retransmissions": 3,
                    "connected_ms": 36000, "why_ended": None}]),
    path("failed", 1, 0, bytes=500 * MIB, rate=58 * MIB, drops=1,
         speed_mbit=25000, network=1,
         why="write: Connection timed out after the cable was pulled out of "
             "the card", **LONG),
    path("spare", 0, 0, network=1, speed_mbit=None, to="10.0.0.3",
         why="eth0 is used by a better path already"),
    path("given", 1, 1, from_nic=None, to_nic=None, network=None,
         speed_mbit=None, bytes=MIB, rate=MIB)]
CARDS = [
    {"side": "here", "nic": "docker0",
     "why": "docker0 is a bridge for this host's own guests and containers"},
    {"side": "there", "nic": "eth7", "why": "no route leads to it"}]
PLAN = {"host": "beta", "mode": "auto", "option": "auto", "paths": PATHS, "cards": CARDS}
REPORT = {
    "total_ms": 36400, "downtime_ms": 84, "setup_ms": 210, "rounds": 4,
    "bytes": {"zero": 2 * GIB, "raw": 3 * GIB, "stream": 4 * MIB,
              "wire": 1200 * MIB, "resent": 0, "duplicates": 0},
    "pages": {"zero": 524288, "filled": 2048, "unchanged": 16384,
              "delta": 131072, "delta_bytes": 9 * MIB, "data": 636928},
    "rate": 118 * MIB, "mode_asked": "auto", "mode_got": "compression",
    "press": {"codec": "zstd", "level": 2, "why": "it lets the most through",
              "tried": [], "processor_ms": 41250, "before": 2 * GIB,
              "after": 700 * MIB, "dense": 256 * MIB,
              "raw_link_free": 768 * MIB},
    "paths": PATHS, "cards": CARDS,
    "reasons": ["Only one network was used because the peer's version 0.1.0 "
                "does not offer any other that this host knows."],
}
DONE = dict(RUNNING, state="done", stage="done", ended=1700000036,
            progress=dict(RUNNING["progress"], percent=100, time_left_ms=0),
            report=REPORT)
FAILED = dict(RUNNING, state="failed", ended=1700000036,
              error="channel 1 of 2: connect 10.0.0.2:6600: Connection "
                    "refused",
              advice="The guest goes on running here.")
CANCELLED = dict(RUNNING, state="cancelled", ended=1700000036)
IN_DOUBT = dict(RUNNING, state="in-doubt", stage="commit",
                error="beta was lost while web1 was handed over",
                advice="See where web1 runs, then use 'drover job resolve "
                       "3f9a12cd'.")


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        api = self.server.api
        with api.lock:
            api.asked.append((self.command, self.path, body))
            reply = api.answers.get((self.command, self.path))
            if isinstance(reply, list):
                reply = reply.pop(0) if len(reply) > 1 else reply[0]
            if callable(reply):
                reply = reply(api)
        status, value = reply or (404, {"error": "there is nothing here"})
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")  # so that close() is final
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *args):
        pass

    def address_string(self):
        return "unix"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Api:
    """Prepared answers: (verb, path) to (status, value), to a function that
    gives one, or to a list, of which the last stays."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.answers = {}
        self.asked = []
        self.open()

    def open(self):
        self.server = Server(self.path, Answers)
        self.server.api = self
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def move(self, *states):
        self.answers[("POST", "/v1/machines/web1/move")] = (202, states[0])
        self.answers[("GET", "/v1/jobs/3f9a12cd")] = [
            (200, s) for s in states]
        self.answers[("POST", "/v1/jobs/3f9a12cd/cancel")] = self.cancel

    def cancel(self, _api):
        self.answers[("GET", "/v1/jobs/3f9a12cd")] = (200, CANCELLED)
        return 200, RUNNING

    def count(self, verb, path):
        with self.lock:
            return sum(a[:2] == (verb, path) for a in self.asked)

    def wait_for(self, verb, path, count=1):
        until = time.monotonic() + 10
        while self.count(verb, path) < count:
            if time.monotonic() > until:
                raise AssertionError(f"{verb} {path} never came")
            time.sleep(0.02)


class Terminal:
    """A program on a pseudo-terminal of a given width."""

    def __init__(self, args, env, columns):
        self.output = b""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, columns, 0, 0))
        self.master = master
        self.process = subprocess.Popen(
            args, env=env, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def type(self, keys):
        os.write(self.master, keys)

    def finish(self):
        until = time.monotonic() + 15
        while time.monotonic() < until:
            if not select.select([self.master], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            self.output += data
        os.close(self.master)
        return self.process.wait(5)


class Cli(unittest.TestCase):
    def setUp(self):
        lab = Lab()
        self.addCleanup(lab.close)
        self.folder = lab.dir
        self.socket = os.path.join(self.folder, "s")
        self.api = Api(self.socket)
        self.env = dict(os.environ, DROVER_SOCKET=self.socket, TZ="UTC",
                        TERM="xterm")

    def tearDown(self):
        if self.api:
            self.api.close()

    def run_drover(self, *args, **more):
        return subprocess.run([DROVER, *args], env=self.env, text=True,
                              capture_output=True, timeout=20, **more)

    def start(self, *args):
        return subprocess.Popen([DROVER, *args], env=self.env, text=True,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def assert_narrow(self, text, columns=80):
        for line in text.splitlines():
            self.assertLessEqual(len(line), columns, line)

    # Usage

    def test_every_command_has_help_that_fits_80_columns(self):
        top = self.run_drover("--help")
        self.assertEqual(top.returncode, 0)
        self.assertEqual(top.stderr, "")
        self.assert_narrow(top.stdout)
        commands = []
        for line in top.stdout.splitlines():
            if line.startswith("  ") and line[2].isalpha():
                words = line[2:29].split()
                commands.append([w for w in words if w.islower()])
        self.assertGreaterEqual(len(commands), 18)
        for words in commands:
            one = self.run_drover(*words, "--help")
            self.assertEqual((one.returncode, one.stderr), (0, ""), words)
            self.assertIn(" ".join(["Usage: drover", *words]), one.stdout)
            self.assertIn("--json", one.stdout)
            self.assert_narrow(one.stdout)

    def test_help_of_a_group_lists_its_commands(self):
        r = self.run_drover("vm", "--help")
        self.assertEqual(r.returncode, 0)
        self.assertIn("vm adopt PID", r.stdout)
        self.assertNotIn("job list", r.stdout)

    def test_wrong_usage_is_one_line_and_status_2(self):
        for args, says in [
                ([], "drover --help"),
                (["--wat"], "drover --help"),
                (["mvoe"], "there is no command 'mvoe'"),
                (["vm"], "what 'drover vm' shall do is missing"),
                (["vm", "shw"], "there is no command 'vm shw'"),
                (["vm", "show"],
                 "drover: VM is missing; try 'drover vm show --help'"),
                (["vm", "show", "a", "b"], "'b' is one word too many"),
                (["log", "level", "info", "b"], "'b' is one word too many"),
                (["vm", "show", "../x"], "drover vm show --help"),
                (["vm", "adopt", "x1"], "drover vm adopt --help"),
                (["move", "web1"], "HOST is missing; try 'drover move --help'"),
                (["move", "web1", "beta", "--conections", "2"],
                 "--conections"),
                (["move", "web1", "beta", "--connections"], "needs a value"),
                (["move", "web1", "beta", "--connections", "0"], "'0'"),
                (["move", "web1", "beta", "--timeout", "7apples"], "7apples"),
                (["move", "web1", "beta", "--on-timeout", "cry"], "cry"),
                (["move", "web1", "beta", *["--network", "eth1"] * 65],
                 "an option is given too often, at eth1"),
                (["nic", "plan"], "drover nic plan --help"),
                (["nic", "plan", "../x"], "drover nic plan --help"),
                (["nic", "plan", "beta", "--mode", "x" * 41], "xxx"),
                (["job", "resolve", "3f9a12cd"], "--run-here or --give-up"),
                (["job", "resolve", "3f9a12cd", "--run-here", "--give-up"],
                 "--run-here or --give-up"),
                (["relay", "accept", "r1"], "--qemu PATH is missing")]:
            with self.subTest(args=args):
                r = self.run_drover(*args)
                self.assertEqual(r.returncode, 2)
                self.assertEqual(r.stdout, "")
                self.assertEqual(len(r.stderr.splitlines()), 1, r.stderr)
                self.assertIn(says, r.stderr)
                self.assertIn("try 'drover ", r.stderr)
        self.assertEqual(self.api.asked, [])

    # The end of each

    def test_each_kind_of_end_has_its_exit_status(self):
        start = ["vm", "start", "web1"]
        post = ("POST", "/v1/machines/web1/start")
        move = ["move", "web1", "beta"]
        for status, kind, args, answer in [
                (0, None, start, (200, WEB1)),
                (1, "failed", start, (500, {"kind": "failed"})),
                (1, "failed", start, (500, {"kind": "of the future"})),
                (1, "peer-unreachable", start,
                 (502, {"kind": "peer-unreachable"})),
                (2, "invalid", start, (400, {"kind": "invalid"})),
                (2, "invalid", ["vm", "strt", "web1"], None),
                (5, "timed-out", start, (502, {"kind": "timed-out"})),
                (6, "not-found", start, (404, {"kind": "not-found"})),
                (6, "not-found", ["vm", "define", "/nowhere/x"], None),
                (7, "service-away", ["-S", "/nowhere", *start], None),
                (8, "refused", start, (409, {"kind": "refused"})),
                (8, "refused", start, (403, {"kind": "refused"})),
                # A service of before names no kind.
                (1, "failed", start, (500, {})),
                (2, "invalid", start, (400, {})),
                (6, "not-found", start, (404, {})),
                (8, "refused", start, (409, {})),
                (1, "peer-unreachable", start, (502, {})),
                # How a job ends.
                (0, None, move, DONE),
                (1, "failed", move, FAILED),
                (1, "failed", move, dict(FAILED, error_kind="failed")),
                (3, "cancelled", move, CANCELLED),
                (4, "in-doubt", move, IN_DOUBT),
                (5, "timed-out", move, dict(FAILED, error_kind="timed-out")),
                (8, "refused", move, dict(FAILED, error_kind="refused"))]:
            with self.subTest(args=args, answer=answer):
                advice = None
                if isinstance(answer, dict):
                    self.api.move(answer)
                    advice = answer.get("advice")
                elif answer:
                    code, body = answer
                    if code != 200:
                        body = dict(body, error="web1 is on fire")
                    self.api.answers[post] = (code, body)
                r = self.run_drover(*args)
                self.assertEqual(r.returncode, status, r.stderr)
                j = self.run_drover(*args, "--json")
                self.assertEqual(j.returncode, status, j.stderr)
                if status == 0:
                    self.assertEqual(j.stderr, "")
                    continue
                # One object on standard error; standard output is for answers.
                said = json.loads(j.stderr)
                self.assertEqual(
                    (said["kind"], said["status"], said.get("advice")),
                    (kind, status, advice))
                self.assertIn(said["error"], r.stderr)
                if not isinstance(answer, dict):
                    self.assertEqual(j.stdout, "")

    def test_warnings_with_json_are_objects_too(self):
        self.api.move(RUNNING)
        p = self.start("move", "web1", "beta", "--json")
        self.api.wait_for("GET", "/v1/jobs/3f9a12cd", 2)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=10)
        self.assertEqual(p.returncode, 3)
        first, last = map(json.loads, err.splitlines())
        self.assertEqual(first, {"warning": "the job is being cancelled; "
                                             "waiting for its end"})
        self.assertEqual((last["kind"], last["command"]),
                         ("cancelled", "move web1"))

    # The service is not there

    def test_an_unreachable_daemon_is_named_with_the_cause(self):
        self.api.close()
        self.api = None
        r = self.run_drover("vm", "list")
        self.assertEqual(r.returncode, 7)
        self.assertEqual(
            r.stderr,
            f"drover: cannot reach droverd at {self.socket}: No such file or "
            "directory (is the service running?)\n")

    def test_the_socket_of_a_dead_daemon_is_named_too(self):
        r = self.run_drover("-S", self.folder + "/other", "vm", "list")
        self.assertEqual(r.returncode, 7)
        self.assertIn(f"droverd at {self.folder}/other: No such", r.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another")
    def test_who_is_not_in_the_group_is_told_so(self):
        os.chmod(self.folder, 0o755)
        os.chmod(self.socket, 0o660)
        tool = os.path.join(self.folder, "drover")
        shutil.copy(DROVER, tool)
        r = subprocess.run([tool, "vm", "list"], env=self.env, text=True,
                           capture_output=True, timeout=20, user=65534,
                           group=65534, extra_groups=[])
        self.assertEqual(r.returncode, 7)
        self.assertIn("Permission denied (only root and members of the group "
                      "drover may; those of drover-read may look)", r.stderr)

    def test_something_that_is_no_droverd_is_an_error(self):
        self.api.answers[("GET", "/v1/host")] = (500, "what?")
        r = self.run_drover("host", "show")
        self.assertEqual(r.returncode, 1)
        self.assertIn("status 500", r.stderr)

    # Lists

    def test_vm_list_is_an_aligned_table(self):
        self.api.answers[("GET", "/v1/machines")] = (200, [WEB1, DB])
        r = self.run_drover("vm", "list")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assert_narrow(r.stdout)
        head, web, db = r.stdout.splitlines()
        self.assertEqual(head.index("STATE"), web.index("running"))
        self.assertEqual(head.index("STATE"), db.index("stopped"))
        self.assertIn("4.0 GiB", web)
        self.assertRegex(db, r"- +- +-$")

    def test_empty_lists_are_said_in_words_and_are_empty_json(self):
        self.api.answers[("GET", "/v1/machines")] = (200, [])
        self.assertEqual(self.run_drover("vm", "list").stdout,
                         "There are no machines here.\n")
        self.assertEqual(
            json.loads(self.run_drover("vm", "list", "--json").stdout), [])

    def test_json_is_what_the_service_said(self):
        for args, path, value in [
                (["vm", "list"], "/v1/machines", [WEB1, DB]),
                (["vm", "show", "web1"], "/v1/machines/web1", WEB1),
                (["host", "show"], "/v1/host", HOST),
                (["job", "list"], "/v1/jobs", [RUNNING]),
                (["job", "show", "3f9a12cd"], "/v1/jobs/3f9a12cd", DONE)]:
            with self.subTest(args=args):
                self.api.answers[("GET", path)] = (200, value)
                r = self.run_drover(*args, "--json")
                self.assertEqual((r.returncode, r.stderr), (0, ""))
                self.assertEqual(json.loads(r.stdout), value)

    def test_texts_fit_80_columns(self):
        self.api.answers.update({
            ("GET", "/v1/machines/web1"): (200, WEB1),
            ("GET", "/v1/host"): (200, HOST),
            ("GET", "/v1/jobs"): (200, [RUNNING, DONE, IN_DOUBT]),
            ("GET", "/v1/jobs/3f9a12cd"): (200, DONE)})
        for args, says in [(["vm", "show", "web1"], "pc-q35-7.2"),
                           (["host", "show"], "10.0.0.2, 10.1.0.2"),
                           (["job", "list"], "pre-copy"),
                           (["job", "show", "3f9a12cd"], "84 ms"),
                           (["version"], "droverd 0.1.0")]:
            with self.subTest(args=args):
                r = self.run_drover(*args)
                self.assertEqual((r.returncode, r.stderr), (0, ""))
                self.assertIn(says, r.stdout)
                self.assert_narrow(r.stdout)

    def test_control_characters_never_reach_the_terminal(self):
        evil = dict(WEB1, name="we\x1b[2Jb", qemu="a\r\nb")
        self.api.answers[("GET", "/v1/machines")] = (200, [evil])
        self.api.answers[("GET", "/v1/machines/web1")] = (200, evil)
        self.api.answers[("GET", "/v1/machines/x")] = (
            404, {"error": "no\x1b[31m machine"})
        text = (self.run_drover("vm", "list").stdout +
                self.run_drover("vm", "show", "web1").stdout +
                self.run_drover("vm", "show", "x").stderr)
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\r", text)

    # Changes

    def test_requests_carry_what_was_asked(self):
        ok = (200, WEB1)
        definition = os.path.join(self.folder, "web 1.conf")
        with open(definition, "w", encoding="ascii") as f:
            f.write("name = web1\n")
        quoted = definition.replace("/", "%2F").replace(" ", "%20")
        for args, verb, path, body in [
                (["vm", "start", "web1"], "POST", "/v1/machines/web1/start",
                 ""),
                (["vm", "stop", "web1", "--now"], "POST", "/v1/machines/web1/stop",
                 ""),
                (["vm", "stop", "web1"], "POST", "/v1/machines/web1/shutdown", {}),
                (["vm", "stop", "web1", "--timeout", "2min"], "POST",
                 "/v1/machines/web1/shutdown", {"timeout_ms": 120000}),
                (["vm", "restart", "web1"], "POST", "/v1/machines/web1/restart", {}),
                (["vm", "restart", "web1", "--now"], "POST",
                 "/v1/machines/web1/restart", {"now": True}),
                (["vm", "restart", "web1", "--timeout", "2s"], "POST",
                 "/v1/machines/web1/restart", {"timeout_ms": 2000}),
                (["vm", "forget", "web1"], "DELETE", "/v1/machines/web1", ""),
                (["vm", "forget", "web1", "--leave-running"], "DELETE",
                 "/v1/machines/web1", {"leave_running": True}),
                (["vm", "define", definition], "PUT",
                 "/v1/machines?file=" + quoted, "name = web1\n"),
                (["vm", "adopt", "4711"], "POST", "/v1/adopt",
                 {"pid": 4711}),
                (["vm", "adopt", "4711", "--name", "db"], "POST", "/v1/adopt",
                 {"pid": 4711, "name": "db"}),
                (["job", "cancel", "3f9a12cd"], "POST",
                 "/v1/jobs/3f9a12cd/cancel", ""),
                (["job", "resolve", "3f9a12cd", "--run-here"], "POST",
                 "/v1/jobs/3f9a12cd/resolve", {"run_here": True}),
                (["job", "resolve", "3f9a12cd", "--give-up"], "POST",
                 "/v1/jobs/3f9a12cd/resolve", {"run_here": False}),
                (["relay", "accept", "r1", "--qemu", "/q", "--pid", "7",
                  "--background"], "POST", "/v1/relays",
                 {"role": "accept", "name": "r1", "qemu": "/q", "pid": 7}),
                (["relay", "connect", "r1", "beta", "--listen", "l",
                  "--background"], "POST", "/v1/relays",
                 {"role": "connect", "name": "r1", "host": "beta",
                  "listen": os.getcwd() + "/l"}),
                (["vm", "pause", "web1"], "POST", "/v1/machines/web1/pause",
                 ""),
                (["vm", "resume", "web1"], "POST",
                 "/v1/machines/web1/resume", ""),
                (["move", "web1", "beta", "--background"], "POST",
                 "/v1/machines/web1/move", {"host": "beta"}),
                (["move", "--background", "web1", "beta", "--paused",
                  "--downtime-limit=300ms", "--timeout", "10min",
                  "--on-timeout", "force", "--connections", "4",
                  "--network", "10.0.0.0/24 eth1", "--network", "eth2",
                  "--mode",
                  "tcp"], "POST", "/v1/machines/web1/move",
                 {"host": "beta", "paused": True, "downtime_limit_ms": 300,
                  "timeout_ms": 600000, "on_timeout": "force", "connections": 4,
                  "networks": ["10.0.0.0/24 eth1", "eth2"],
                  "option": "tcp"})]:
            with self.subTest(args=args):
                self.api.asked.clear()
                reply = (202, RUNNING) if "--background" in args else ok
                self.api.answers[(verb, path)] = reply
                r = self.run_drover(*args)
                self.assertEqual((r.returncode, r.stderr), (0, ""))
                self.assertEqual(len(self.api.asked), 1)
                asked = self.api.asked[0]
                self.assertEqual(asked[:2], (verb, path))
                sent = asked[2]
                if isinstance(body, dict):
                    sent = json.loads(sent)
                self.assertEqual(sent, body)

    def test_an_option_of_before_is_understood_with_a_warning(self):
        says = ("--option is called --mode now; the next version will not "
                "know it")
        self.api.answers[("POST", "/v1/machines/web1/move")] = (202, RUNNING)
        args = ["move", "web1", "beta", "--background", "--option", "tcp"]
        r = self.run_drover(*args)
        self.assertEqual((r.returncode, r.stderr), (0, f"drover: {says}\n"))
        self.assertEqual(json.loads(self.api.asked[0][2]),
                         {"host": "beta", "option": "tcp"})
        r = self.run_drover(*args, "--json")
        self.assertEqual((r.returncode, json.loads(r.stderr)),
                         (0, {"warning": says}))
        self.api.answers[("GET", "/v1/nics/plan/beta?option=tcp")] = (
            200, PLAN)
        r = self.run_drover("nic", "plan", "beta", "--option=tcp")
        self.assertEqual((r.returncode, r.stderr), (0, f"drover: {says}\n"))
        for command in (["move"], ["nic", "plan"]):
            shown = self.run_drover(*command, "--help").stdout
            self.assertIn("--mode MODE", shown)
            self.assertNotIn("--option", shown)

    def test_a_report_of_before_names_its_mode_too(self):
        before = dict(REPORT, option_asked="auto", option_got="tcp")
        del before["mode_asked"], before["mode_got"]
        self.api.answers[("GET", "/v1/jobs/3f9a12cd")] = (
            200, dict(DONE, report=before))
        r = self.run_drover("job", "show", "3f9a12cd")
        self.assertIn("tcp (asked for: auto)", r.stdout)

    def test_define_reads_standard_input(self):
        self.api.answers[
            ("PUT", "/v1/machines?file=standard%20input")] = (200, WEB1)
        r = self.run_drover("vm", "define", "-", input="name = web1\n")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertEqual(self.api.asked[0][2], "name = web1\n")

    def test_define_names_a_file_that_is_not_there(self):
        r = self.run_drover("vm", "define", "/nowhere/x")
        self.assertEqual(r.returncode, 6)
        self.assertEqual(r.stderr, "drover: vm define /nowhere/x: open "
                                   "/nowhere/x: No such file or directory\n")

    def test_a_refusal_is_one_line_with_command_and_machine(self):
        self.api.answers[("POST", "/v1/machines/web1/start")] = (
            409, {"error": "a job holds web1"})
        r = self.run_drover("vm", "start", "web1")
        self.assertEqual(r.returncode, 8)
        self.assertEqual(r.stdout, "")
        self.assertEqual(r.stderr,
                         "drover: vm start web1: a job holds web1\n")

    def test_compare_ends_with_8_when_it_would_not_work(self):
        path = "/v1/machines/web1/compare"
        finding = {"severity": "error",
                   "text": "The machine needs 64 GiB, and beta has only 20 "
                           "GiB of memory available at this very moment."}
        self.api.answers[("POST", path)] = (
            200, {"findings": [finding], "ok": False})
        r = self.run_drover("compare", "web1", "beta")
        self.assertEqual((r.returncode, r.stderr), (8, ""))
        self.assertIn("web1 cannot move to beta.", r.stdout)
        self.assert_narrow(r.stdout)
        self.api.answers[("POST", path)] = (200, {"findings": [], "ok": True})
        r = self.run_drover("compare", "web1", "beta")
        self.assertEqual((r.returncode, r.stdout),
                         (0, "web1 can move to beta.\n"))

    # A move

    def test_a_move_on_a_pipe_is_lines_and_then_the_report(self):
        self.api.move(*[RUNNING] * 8, DONE)
        r = self.run_drover("move", "web1", "beta")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertNotIn("\r", r.stdout)
        self.assertNotIn("\x1b", r.stdout)
        lines = [x for x in r.stdout.splitlines() if x.startswith("web1: ")]
        self.assertIn(len(lines), (2, 3))
        self.assertIn("47%", lines[0])
        self.assertIn("118M/s", lines[0])
        self.assertIn("left 1m58s-2m31s", lines[0])
        text = " ".join(r.stdout.split())
        for says in ["36.4 s", "84 ms", "1.2 GiB", "compression (asked "
                     "for: auto)", "Reasons",
                     "Pages 636928 whole, 524288 zero, 2048 of one repeated "
                     "word, 16384 that had not changed, 131072 as what had "
                     "changed in them (9.0 MiB)",
                     "Compressed 2.0 GiB to 700 MiB, ratio 2.93, last by "
                     "zstd level 2, in 41.2 s of processor time",
                     "Sent raw 25% of the pages because the link took them "
                     "before an idle processor did, 8% because they do not get "
                     "smaller",
                     "Paths eth0 10.0.0.1 to eth1 10.0.0.2 ",
                     "4 of 4 connections, 700 MiB sent, 60.0 MiB/s, "
                     "3 retransmissions, 0 drops", "0 of 1 connections", "1 drop ",
                     "Not used eth0 10.0.0.1 to eth1 10.0.0.3: eth0 "
                     "is used by a better path", "here: docker0 is a bridge",
                     "there: eth7: no route leads to it"]:
            self.assertIn(says, text)
        self.assert_narrow(r.stdout)

    def test_a_report_without_a_press_says_nothing_of_it(self):
        plain = {"zero": 9, "filled": 0, "unchanged": 0, "delta": 0, "delta_bytes": 0,
                 "data": 99}
        self.api.move(dict(DONE, report=dict(REPORT, press=None, pages=plain)))
        r = self.run_drover("move", "web1", "beta")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertIn("Total time", r.stdout)
        self.assertNotIn("Pages", r.stdout)
        self.assertNotIn("Compressed", r.stdout)
        self.assertNotIn("Sent raw", r.stdout)

    def test_a_plan_is_a_table_and_the_reasons_under_it(self):
        self.api.answers[("GET", "/v1/nics/plan/beta")] = (200, PLAN)
        r = self.run_drover("nic", "plan", "beta")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assert_narrow(r.stdout)
        lines = r.stdout.splitlines()
        rows = [line.split() for line in lines[:9]]
        self.assertEqual(rows[0], ["NIC", "ADDRESS", "NET", "STATE", "CONN",
                                   "SPEED"])
        self.assertEqual(rows[1], ["1", "eth0", "10.0.0.1", "1", "used", "4",
                                   "1G"])
        self.assertEqual(rows[2], ["to", "eth1", "10.0.0.2"])
        self.assertEqual(rows[3], ["2", LONG["from_nic"], LONG["from"], "2",
                                   "failed", "1", "25G"])
        self.assertEqual(rows[7], ["4", "-", "10.0.0.1", "-", "given", "1",
                                   "-"])
        rest = " ".join(" ".join(lines[9:]).split())
        for says in ["Flows 1: Connections are spread over the members",
                     "Not used enp129s0f0 fd00:", "pulled out of the card",
                     "here: docker0 is", "there: eth7: no route"]:
            self.assertIn(says, rest)

    def test_a_plan_for_machines_is_the_answer_itself(self):
        self.api.answers[("GET", "/v1/nics/plan/beta?option=a%20b")] = (
            200, PLAN)
        r = self.run_drover("nic", "plan", "beta", "--mode", "a b",
                            "--json")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertEqual(json.loads(r.stdout), PLAN)

    def test_a_plan_for_a_host_out_of_reach_is_one_line(self):
        self.api.answers[("GET", "/v1/nics/plan/beta")] = (
            502, {"error": "connect 10.0.0.2:6600: No route to host"})
        r = self.run_drover("nic", "plan", "beta")
        self.assertEqual(
            (r.returncode, r.stdout, r.stderr),
            (1, "", "drover: nic plan beta: connect 10.0.0.2:6600: No route "
                    "to host\n"))

    def test_a_move_is_polled_five_times_a_second(self):
        self.api.move(*[RUNNING] * 10, DONE)
        begin = time.monotonic()
        self.run_drover("move", "web1", "beta")
        took = time.monotonic() - begin
        self.assertGreater(took, 1.9)
        self.assertLess(took, 6)

    def test_a_move_with_json_is_an_object_per_line(self):
        self.api.move(*[RUNNING] * 8, DONE)
        r = self.run_drover("move", "web1", "beta", "--json")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        jobs = [json.loads(line) for line in r.stdout.splitlines()]
        self.assertIn(len(jobs), (2, 3))
        self.assertEqual(jobs[0], RUNNING)
        self.assertEqual(jobs[-1], DONE)

    def test_a_failed_move_says_why_and_what_to_do(self):
        self.api.move(RUNNING, FAILED)
        r = self.run_drover("move", "web1", "beta")
        self.assertEqual(r.returncode, 1)
        self.assertEqual(
            r.stderr,
            "drover: move web1: channel 1 of 2: connect 10.0.0.2:6600: "
            "Connection refused\n"
            "drover: move web1: The guest goes on running here.\n")

    def test_a_move_in_doubt_ends_with_its_advice(self):
        self.api.move(RUNNING, IN_DOUBT)
        r = self.run_drover("move", "web1", "beta")
        self.assertEqual(r.returncode, 4)
        self.assertIn("in-doubt: beta was lost", r.stderr)
        self.assertIn("drover job resolve 3f9a12cd", r.stderr)

    def test_a_refused_move_is_one_line(self):
        self.api.answers[("POST", "/v1/machines/web1/move")] = (
            404, {"error": "there is no peer 'beta'"})
        r = self.run_drover("move", "web1", "beta")
        self.assertEqual(
            (r.returncode, r.stdout, r.stderr),
            (6, "", "drover: move web1: there is no peer 'beta'\n"))

    def test_a_list_of_jobs_says_when_and_for_how_long(self):
        self.api.answers[("GET", "/v1/jobs")] = (200, [DONE])
        r = self.run_drover("job", "list")
        self.assertEqual(r.returncode, 0, r.stderr)
        head, row = (line.split() for line in r.stdout.splitlines())
        self.assertEqual(head[-2:], ["STARTED", "TOOK"])
        self.assertEqual(row[-3:], ["11-14", "22:13", "36s"])

    def test_cancelled_is_said_once(self):
        self.api.move(RUNNING, dict(CANCELLED, error="cancelled"))
        r = self.run_drover("move", "web1", "beta")
        self.assertEqual((r.returncode, r.stderr),
                         (3, "drover: move web1: cancelled\n"))

    def test_a_daemon_that_forgot_the_job_is_one_that_was_restarted(self):
        forgot = (404, {"error": "beta has no job 3f9a12cd"})
        self.api.move(RUNNING)
        self.api.answers[("GET", "/v1/jobs/3f9a12cd")] = [
            (200, RUNNING), (200, RUNNING), forgot]
        self.api.answers[("GET", "/v1/machines/web1")] = (200, WEB1)
        r = self.run_drover("move", "web1", "beta")
        self.assertEqual(r.returncode, 1)
        self.assertIn("droverd was started again, which undid job 3f9a12cd: "
                      "web1 is running on this host", r.stderr)
        self.assertNotIn("has no job", r.stderr)

    def test_a_dumb_terminal_gets_lines_without_escapes(self):
        self.api.move(RUNNING, RUNNING, DONE)
        t = Terminal([DROVER, "move", "web1", "beta"],
                     dict(self.env, TERM="dumb"), 80)
        self.assertEqual(t.finish(), 0)
        self.assertNotIn(b"\x1b", t.output)
        self.assertIn(b"web1: ", t.output)

    def test_a_restarted_daemon_is_waited_for(self):
        self.api.move(RUNNING)
        p = self.start("move", "web1", "beta")
        self.api.wait_for("GET", "/v1/jobs/3f9a12cd", 2)
        self.api.close()
        time.sleep(0.5)
        self.api.answers[("GET", "/v1/jobs/3f9a12cd")] = (200, DONE)
        self.api.open()
        out, err = p.communicate(timeout=10)
        self.assertEqual(p.returncode, 0, err)
        self.assertIn("droverd is away", err)
        self.assertIn("84 ms", out)

    # Ctrl-C

    def test_ctrl_c_cancels_a_move_and_waits_for_its_end(self):
        self.api.move(RUNNING)
        p = self.start("move", "web1", "beta")
        self.api.wait_for("GET", "/v1/jobs/3f9a12cd", 2)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=10)
        self.assertEqual(p.returncode, 3)
        self.assertEqual(self.api.count("POST", "/v1/jobs/3f9a12cd/cancel"),
                         1)
        self.assertEqual(err, "drover: move web1: the job is being "
                              "cancelled; waiting for its end\ndrover: move web1: cancelled\n")

    def test_a_second_ctrl_c_leaves_the_job_alone(self):
        self.api.move(RUNNING)
        self.api.answers[("POST", "/v1/jobs/3f9a12cd/cancel")] = (
            200, RUNNING)
        p = self.start("move", "web1", "beta")
        self.api.wait_for("GET", "/v1/jobs/3f9a12cd", 2)
        p.send_signal(signal.SIGINT)
        self.api.wait_for("POST", "/v1/jobs/3f9a12cd/cancel")
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=10)
        self.assertEqual(p.returncode, 1)
        self.assertIn("see 'drover job show 3f9a12cd'", err)

    def test_ctrl_c_in_watch_only_stops_watching(self):
        self.api.move(RUNNING)
        p = self.start("job", "watch", "3f9a12cd")
        self.api.wait_for("GET", "/v1/jobs/3f9a12cd", 2)
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=10)
        self.assertEqual(p.returncode, 1)
        self.assertEqual(self.api.count("POST", "/v1/jobs/3f9a12cd/cancel"),
                         0)

    def test_a_job_is_found_by_its_machine(self):
        """The one that has not ended, else the last; an id goes before."""
        ended = dict(DONE, id="11111111", ended=1700000100)
        other = dict(RUNNING, id="22222222", machine="other")
        for jobs, found in (([ended, RUNNING, other], RUNNING["id"]),
                            ([RUNNING, ended, other], RUNNING["id"]),
                            ([dict(ended, id="00000000"), ended, other], ended["id"])):
            with self.subTest(found=found):
                self.api.asked.clear()
                self.api.answers[("GET", "/v1/jobs")] = (200, jobs)
                self.api.answers[("POST", f"/v1/jobs/{found}/cancel")] = (200, RUNNING)
                self.api.answers[("GET", f"/v1/jobs/{found}")] = (200, dict(DONE, id=found))
                r = self.run_drover("job", "cancel", "web1")
                self.assertEqual((r.returncode, r.stdout),
                                 (0, f"Job {found} is being cancelled.\n"))
                r = self.run_drover("job", "wait", "web1")
                self.assertEqual((r.returncode, r.stdout, r.stderr), (0, "", ""))
                self.assertIn("Total time", self.run_drover("job", "watch", "web1").stdout)
        for words in (("cancel", "nobody"), ("wait", "nobody"), ("watch", "nobody")):
            self.assertEqual(self.run_drover("job", *words).returncode, 6)
        failed = dict(DONE, id="33333333", state="failed", error="the disk is full")
        self.api.answers[("GET", "/v1/jobs/33333333")] = (200, failed)
        r = self.run_drover("job", "wait", "33333333")
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertIn("the disk is full", r.stderr)

    # Terminals and closed pipes

    def test_on_a_terminal_one_line_stays(self):
        late = copy.deepcopy(RUNNING)
        late["progress"].update(percent=98, time_left_ms=900)
        self.api.move(RUNNING, RUNNING, late, DONE)
        t = Terminal([DROVER, "move", "web1", "beta"], self.env, 80)
        self.assertEqual(t.finish(), 0)
        text = t.output.decode()
        first, rest = text.split("\n", 1)
        drawn = [x.replace("\x1b[K", "") for x in first.split("\r") if x]
        self.assertEqual(len(drawn), 4)
        for line in drawn:
            self.assertLess(len(line), 80)
            self.assertTrue(line.startswith("["), line)
        for says in ["47%", "2.1G", "118M/s", "dirty  20M/s",
                     "left 1m58s-2m31s", "down 210ms"]:
            self.assertIn(says, drawn[0])
        self.assertIn("Downtime", rest)
        self.assert_narrow(rest)

    def test_narrow_terminals_get_what_matters_most(self):
        for columns in (20, 40, 60):
            with self.subTest(columns=columns):
                self.api.move(RUNNING, FAILED)
                t = Terminal([DROVER, "move", "web1", "beta"], self.env,
                             columns)
                self.assertEqual(t.finish(), 1)
                first = t.output.decode().split("\n", 1)[0]
                for line in first.replace("\x1b[K", "").split("\r"):
                    self.assertLess(len(line), columns)
                self.assertIn("47%", first)

    def test_ctrl_c_typed_at_the_terminal_cancels(self):
        self.api.move(RUNNING)
        t = Terminal([DROVER, "move", "web1", "beta"], self.env, 80)
        self.api.wait_for("GET", "/v1/jobs/3f9a12cd", 2)
        t.type(b"\x03")
        self.assertEqual(t.finish(), 3)
        self.assertIn(b"the job is being cancelled", t.output)
        self.assertEqual(self.api.count("POST", "/v1/jobs/3f9a12cd/cancel"),
                         1)

    def test_a_reader_that_leaves_is_not_an_error_message(self):
        self.api.move(RUNNING)
        for quiet in (False, True):
            with self.subTest(sigpipe_ignored=quiet):
                p = subprocess.Popen(
                    [DROVER, "job", "watch", "3f9a12cd"], env=self.env,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    restore_signals=not quiet)
                p.stdout.readline()
                p.stdout.close()
                self.assertNotEqual(p.wait(10), 0)
                self.assertEqual(p.stderr.read(), b"")
                p.stderr.close()

    def test_a_full_disk_is_said_and_ends_with_1(self):
        self.api.answers[("GET", "/v1/machines")] = (200, [WEB1, DB])
        with open("/dev/full", "w", encoding="ascii") as full:
            r = subprocess.run([DROVER, "vm", "list"], env=self.env,
                               stdout=full, stderr=subprocess.PIPE,
                               text=True, timeout=20)
        self.assertEqual(r.returncode, 1)
        self.assertEqual(r.stderr, "drover: cannot write the output: No "
                                   "space left on device\n")


class Install(unittest.TestCase):
    def test_the_unit_names_the_program_that_is_installed(self):
        with Lab() as lab:
            root = lab.path("root")
            subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root],
                           check=True, capture_output=True, timeout=60)
            files = [os.path.join(folder, name) for folder, _, names in os.walk(root)
                     for name in names]
            daemon, = (f for f in files if os.path.basename(f) == "droverd")
            units = [f for f in files if os.path.basename(f) == "droverd.service"]
            if not units:
                self.skipTest("no systemd here: no unit is installed")
            with open(units[0], encoding="utf-8") as f:
                self.assertIn(f"ExecStart={daemon[len(root):]}\n", f.read())


if __name__ == "__main__":
    unittest.main()
