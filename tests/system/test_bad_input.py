# SPDX-License-Identifier: MIT
"""What a person can get wrong: one clear line, the exit status of its kind, and nothing
changed."""
import ctypes
import json
import os
import socket
import struct
import subprocess
import threading
import unittest

from lab import Lab, machine, needs
from lab.field import Field
from lab.host import DROVERD, PROGRAMS

TIME_LIMIT = 120
PARALLEL = True

HOST = "[host]\nname = gamma\n"
CONFIGURATIONS = {
    # what is wrong: the text, and where and how it is told
    "a_line_without_an_equals_sign": (HOST + "listen 10.0.0.1\n", r":3:\d+: "),
    "a_section_that_is_not_closed": ("[host\n", r":1:\d+: "),
    "a_port_that_is_none": (HOST + "port = many\n", r":3:8: .*many"),
    "a_port_out_of_range": (HOST + "port = 70000\n", r":3:8: .*70000"),
    "an_address_that_is_none": (HOST + "listen = alpha.example.org\n", r":3:10: .*not an address"),
    "a_relative_path": (HOST + "state-directory = state\n", r":3:19: .*must be a path"),
    "a_duration_without_a_unit": (HOST + "[move]\ntimeout = 10 apples\n", r":4:11: "),
    "a_limit_of_zero": (HOST + "[move]\ndowntime-limit = 0\n", r":4:18: .*at least"),
    "a_word_that_is_none_of_two": (HOST + "[move]\non-timeout = panic\n", r":4:14: .*panic"),
    "a_peer_without_an_address": (HOST + "[peer beta]\ntls = off\n", r":\d+:\d+: .*no address"),
    "a_peer_twice": (HOST + "[peer b]\naddress = 10.0.0.2\n[peer b]\n", r":5:\d+: .*twice"),
    "a_host_name_that_is_none": ("[host]\nname = al/pha\n", r":2:8: "),
}

MACHINE = "[machine]\nname = web\nmemory = 64M\n"
DEFINITIONS = {
    "an_unknown_key": (MACHINE + "colour = red\n", r":4:1: .*colour"),
    "no_section": ("name = web\n", r":1:1: "),
    "a_size_that_is_none": ("[machine]\nname = web\nmemory = lots\n", r":3:10: .*lots"),
    "no_memory": ("[machine]\nname = web\n", r":\d+:\d+: .*memory"),
    "no_name": ("[machine]\nmemory = 64M\n", r":\d+:\d+: .*name"),
    "a_name_that_is_a_path": ("[machine]\nname = ../web\nmemory = 64M\n", r":2:8: "),
    "no_vcpus": (MACHINE + "vcpus = 0\n", r":4:9: "),
    "a_quote_that_is_not_closed": (MACHINE + "arguments = -append 'x\n", r":4:\d+: .*quote"),
    "an_argument_of_drovers_own": (MACHINE + "arguments = -incoming defer\n",
                                   r":4:13: -incoming is Drover's"),
    "an_argument_that_is_a_key": (MACHINE + "arguments = -m 128\n", r":4:13: -m is Drover's"),
}


def tree(folder):
    """Every file of a folder with its content where it has one, but logs and the history of
    moves, which has those that failed as well."""
    found = {}
    for root, folders, names in os.walk(folder):
        if "history" in folders:
            folders.remove("history")
        for name in names:
            path = os.path.join(root, name)
            if os.path.isfile(path) and name not in ("log", "qemu.log", "calls.log"):
                with open(path, "rb") as f:
                    found[path] = f.read()
            elif not os.path.isfile(path):
                found[path] = None
    return found


class Case(unittest.TestCase):
    def one_line(self, status, stderr, pattern, program, expected=1):
        self.assertEqual(status, expected, stderr)
        self.assertRegex(stderr, rf"\A{program}: [^\n]*\n\Z")
        self.assertRegex(stderr, pattern)


@needs(*PROGRAMS)
class Configuration(Case):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def daemon(self, *words):
        done = subprocess.run([DROVERD, *words], capture_output=True, text=True, timeout=20,
                              env=self.lab.environ)
        return done.returncode, done.stderr or done.stdout

    def check(self, text, pattern):
        path = self.lab.path("drover.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        before = tree(self.lab.dir)
        status, errors = self.daemon("-c", path)
        self.one_line(status, errors, "^droverd: " + path + pattern, "droverd")
        self.assertEqual(tree(self.lab.dir), before)

    def test_what_is_not_known_is_named(self):
        path = self.lab.path("drover.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(HOST + "prot = 7000\n[queue]\nlength = 3\n")
        status, errors = self.daemon("-c", path, "--check")
        self.assertEqual(status, 2, errors)
        for at, word in ((3, "no key 'prot'; did you mean 'port'"), (4, r"no section \[queue\]")):
            self.assertRegex(errors, f"unknown: {path}:{at}:1: .*{word}")

    def test_a_file_that_is_not_there(self):
        status, errors = self.daemon("-c", "/nonexistent/drover.conf")
        self.one_line(status, errors, "/nonexistent/drover.conf.*No such file", "droverd")


def add_configurations():
    def test(text, pattern):
        return lambda self: self.check(text, pattern)
    for name, (text, pattern) in CONFIGURATIONS.items():
        setattr(Configuration, f"test_{name}", test(text, pattern))


add_configurations()


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Requests(Case):
    """Two hosts and a machine that runs; whatever is asked, all stays as it was."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.field = Field(cls.lab)
        cls.alpha, cls.beta = cls.field.alpha, cls.field.beta
        # Without this root may open everything.
        cls.alpha.wrap = ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
                          "--inh-caps=-dac_override,-dac_read_search"]
        address, = cls.beta.addresses
        peers = {"silent": ("10.77.1.77", 6600), "closed": (address, 6999),
                 "nowhere": ("192.0.2.1", 6600), "newer": (address, 6998),
                 "stranger": (address, 6600), "loud": (address, 6997)}
        for name, (where, port) in peers.items():
            cls.alpha.settings[f"peer {name}"] = {"address": where, "port": port, "tls": "off"}
        cls.field.start()

    def state(self):
        machines = {h.name: [dict(m, job=None) for m in h.api("GET", "/v1/machines")]
                    for h in (self.alpha, self.beta)}
        return machines, tree(self.alpha.state), tree(self.beta.state), \
            tree(self.alpha.run_dir), tree(self.beta.run_dir)

    def refused(self, status, pattern, *words, jobs_too=True):
        host = self.alpha
        before, jobs = self.state(), host.drover("job", "list", "--json").stdout
        answer = host.drover(*words, check=False)
        self.one_line(answer.status, answer.stderr, pattern, "drover", status)
        print(answer.stderr.strip())
        if jobs_too:
            self.as_json(answer, words)
        self.assertEqual(self.state(), before)
        if jobs_too:
            self.assertEqual(host.drover("job", "list", "--json").stdout, jobs)
        self.assertEqual(self.field.watch.running(), [self.field.pid])

    def as_json(self, told, words):
        """The same for machines: nothing on stdout, one object on stderr."""
        answer = self.alpha.drover(*words, "--json", check=False)
        said = json.loads(answer.stderr)
        self.assertEqual((answer.status, said["status"], answer.stdout), (told.status,) * 2 + ("",))
        self.assertEqual(f"drover: {said['command']}: {said['error']}\n", told.stderr)

    def definition(self, text):
        path = self.lab.path("definition")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    # -- machines and jobs
    def test_a_definition_that_is_not_there(self):
        self.refused(6, "/nonexistent/web.*No such file", "vm", "define", "/nonexistent/web")

    def test_an_unknown_machine(self):
        for words in (["vm", "show", "web"], ["vm", "start", "web"], ["vm", "stop", "web"],
                      ["vm", "forget", "web"], ["move", "web", "beta"],
                      ["compare", "web", "beta"]):
            with self.subTest(words):
                self.refused(6, "alpha has no machine called web", *words)

    def test_an_unknown_job(self):
        for words in (["job", "show", "77"], ["job", "cancel", "77"],
                      ["job", "resolve", "77", "--run-here"]):
            with self.subTest(words):
                self.refused(6, "alpha has no job 77", *words)

    def test_a_machine_that_runs_is_not_defined_anew(self):
        self.refused(8, "machine guest runs, so only what", "vm", "define", self.definition(
            machine.definition("guest", memory="16M")))

    def test_a_machine_that_runs_is_not_forgotten(self):
        self.refused(8, "machine guest runs: stop it first with 'drover vm stop guest'",
                     "vm", "forget", "guest")

    def test_a_machine_that_does_not_run(self):
        self.alpha.drover("vm", "define", self.definition(
            machine.definition("idle", memory="16M")))
        self.addCleanup(self.alpha.drover, "vm", "forget", "idle")
        self.refused(8, "machine idle does not run: start it with 'drover vm start idle'", "move",
                     "idle", "beta")

    def test_a_process_that_is_no_qemu(self):
        self.refused(2, str(os.getpid()), "vm", "adopt", str(os.getpid()))
        self.refused(6, "999999", "vm", "adopt", "999999")

    # -- peers
    def test_an_unknown_peer(self):
        self.refused(6, r"alpha knows no host called mars: .*\[peer mars\]",
                     "move", "guest", "mars")

    def test_a_peer_on_whose_port_nobody_listens(self):
        self.refused(1, "closed.*Connection refused|Connection refused.*", "move", "guest",
                     "closed", jobs_too=False)

    def test_a_peer_that_does_not_answer(self):
        self.refused(1, "10.77.1.77:6600", "move", "guest", "silent", jobs_too=False)

    def test_a_peer_without_a_route(self):
        self.refused(1, "192.0.2.1:6600.*Network is unreachable", "move", "guest", "nowhere",
                     jobs_too=False)

    def test_a_peer_that_does_not_know_us(self):
        del self.beta.settings["peer alpha"]
        self.beta.restart()
        try:
            self.refused(8, "its log says what is wrong with alpha",
                         "move", "guest", "beta", jobs_too=False)
        finally:
            self.beta.peer(self.alpha)
            self.beta.restart()

    def answer_with(self, port, data):
        """A peer that has one answer for everybody, and then is gone."""
        listener = self.field.network["beta"].socket()
        self.addCleanup(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.beta.addresses[0], port))
        listener.listen()

        def serve():
            try:
                while True:
                    peer, _ = listener.accept()
                    peer.recv(4096)
                    peer.sendall(data)
                    peer.shutdown(socket.SHUT_WR)
                    peer.recv(4096)
                    peer.close()
            except OSError:
                pass
        threading.Thread(target=serve, daemon=True).start()

    def test_a_peer_of_another_version(self):
        hello = b"DROVER\r\n" + struct.pack(">HHHHQ32s", 9, 8, 3, 4, 1, b"") + b"beta"
        xxh = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
        xxh.restype, xxh.argtypes = ctypes.c_uint64, (ctypes.c_char_p, ctypes.c_size_t)
        self.answer_with(6998, hello + struct.pack(">Q", xxh(hello, len(hello))))
        self.refused(1, "speaks wire versions 8 to 9, this host 2 to 2", "move", "guest", "newer",
                     jobs_too=False)

    def test_a_peer_that_is_something_else(self):
        self.answer_with(6997, b"HTTP/1.1 400 Bad Request\r\n\r\n".ljust(80))
        self.refused(1, "does not speak Drover's protocol", "move", "guest", "loud",
                     jobs_too=False)

    # -- what the host does not let happen
    def test_a_name_that_the_destination_has_already(self):
        self.beta.drover("vm", "define", self.definition(
            machine.definition("guest", memory="16M")))
        try:
            self.refused(8, "beta has a machine called guest already", "move", "guest", "beta",
                         jobs_too=False)
        finally:
            self.beta.drover("vm", "forget", "guest")

    def test_no_permission_on_the_monitor(self):
        path = os.path.join(self.alpha.machine("guest")["run_dir"], "qmp.sock")
        os.chmod(path, 0)
        try:
            self.refused(1, f"{path}.*Permission denied", "move", "guest", "beta", jobs_too=False)
        finally:
            os.chmod(path, 0o755)

    def test_a_machine_with_more_memory_than_there_is(self):
        self.alpha.drover("vm", "define", self.definition(
            machine.definition("huge", memory="100000G")))
        self.addCleanup(self.alpha.drover, "vm", "forget", "huge")
        self.refused(1, "memory", "vm", "start", "huge")

    # -- a second daemon
    def second_daemon(self, pattern, **changes):
        before = self.state()
        with open(self.alpha.config, encoding="utf-8") as f:
            text = f.read()
        for key, value in changes.items():
            text = text.replace(f"{key.replace('_', '-')} = {getattr(self.alpha, value[0])}",
                                f"{key.replace('_', '-')} = {value[1]}")
        path = self.lab.path("second.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        done = self.lab.run([DROVERD, "-c", path], namespace=self.field.network["alpha"],
                            check=False, timeout=20)
        lines = [x for x in done.stderr.splitlines(True) if x.startswith("droverd: ")]
        self.one_line(done.returncode, "".join(lines), pattern, "droverd")
        self.assertEqual(self.state(), before)
        self.assertEqual(self.field.watch.running(), [self.field.pid])

    def test_a_port_that_is_taken(self):
        self.second_daemon("peer port: .*10.77.1.1 port 6600: Address already in use",
                           socket=("socket", self.lab.path("second.sock")),
                           state_directory=("state", self.lab.path("second.state")),
                           run_directory=("run_dir", self.lab.path("second.run")))

    def test_a_state_directory_that_is_taken(self):
        path = os.path.join(self.alpha.state, "lock")
        self.second_daemon(f"{path}: another droverd has this state directory, "
                           f"process {self.alpha.pid}: ",
                           socket=("socket", self.lab.path("third.sock")),
                           listen=("addresses", "127.0.0.1"))

    def test_a_socket_that_is_taken(self):
        self.second_daemon(f"{self.alpha.socket}.*")


def add_definitions():
    def test(text, pattern):
        def check(self):
            path = self.definition(text)
            self.refused(2, f"^drover: vm define {path}: {path}{pattern}", "vm", "define", path)
        return check
    for name, (text, pattern) in DEFINITIONS.items():
        setattr(Requests, f"test_definition_with_{name}", test(text, pattern))


add_definitions()

if __name__ == "__main__":
    unittest.main()
