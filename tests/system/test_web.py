# SPDX-License-Identifier: MIT
"""drover-web by its socket and its port: what it gives, to whom, and what cannot make it fall."""
import os
import socket
import stat
import time
import unittest

from lab import Failed, Lab, needs, slow, wait_for
from lab.core import status
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.web import PROGRAM, Web

TIME_LIMIT = 240
PARALLEL = True
READERS, IDLE_S = 64, 10  # src/web/server.h
# What shows; and what is not for a page, although it is read with GET.
SHOWN = ("/v1/host", "/v1/machines", "/v1/jobs", "/v1/finished", "/v1/drain", "/v1/capacity",
         "/v1/nics", "/v1/nic-matrix", "/v1/history", "/metrics")
KEPT_BACK = ("/v1/log/calls", "/v1/log", "/v1/trust", "/v1/host/settings", "/v1/debug",
             "/v1/nics/plan/beta", "/v1/debug/../host/settings", "/v1/jobs/a%2fb", "/v1/events")


@needs(*PROGRAMS, PROGRAM)
class Case(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"), links=2)
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta")))
        self.alpha.start()


class Answers(Case):
    def setUp(self):
        super().setUp()
        self.web = Web(self.lab, self.alpha.socket, port=True)

    def test_it_gives_the_page_and_what_shows_and_no_more(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.web.socket).st_mode), 0o660)
        page = self.web.ask("/")
        self.assertEqual((page.status, page.headers["content-type"]),
                         (200, "text/html; charset=utf-8"))
        self.assertIn("default-src 'none'", page.headers["content-security-policy"])
        for name in ("page.js", "page.css", "drover.svg"):
            self.assertEqual(self.web.ask(f"/{name}").status, 200, name)
        again = self.web.ask("/", If_None_Match=page.headers["etag"])
        self.assertEqual((again.status, again.body), (304, b""))
        wait_for("a first sample", lambda: self.web.ask("/metrics").status == 200, 10, 0.2)
        for path in SHOWN:
            self.assertEqual(self.web.ask(path).status, 200, path)
        self.assertEqual(self.web.ask("/v1/host").json["peers"],
                         self.alpha.api("GET", "/v1/host")["peers"])
        past = self.web.ask("/v1/history/processors.guests?last=5&step=10s").json
        self.assertEqual((past["step"], len(past["points"])), (10, 5))
        for path in KEPT_BACK:
            self.assertEqual(self.web.ask(path).status, 404, path)
        missing = self.web.ask("/v1/jobs/none")
        self.assertEqual((missing.status, missing.json["kind"]), (404, "not-found"))

    def test_nothing_can_be_changed(self):
        for verb in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            for path in ("/v1/jobs", "/v1/drain", "/v1/machines/web/stop", "/"):
                refused = self.web.ask(path, verb, body=b"{}")
                self.assertEqual(refused.status, 405, (verb, path))
        self.assertEqual(self.alpha.api("GET", "/v1/log/calls"), [])

    def test_other_pages_and_other_names_are_refused(self):
        for headers in ({"Host": "evil.example"}, {"Host": "localhost.evil.example"},
                        {"Host": "127.0.0.1.evil.example:80"},
                        {"Origin": "http://evil.example"}, {"Origin": "null"},
                        {"Origin": "http://localhost:1"},
                        {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}):
            refused = self.web.ask("/v1/host", **headers)
            self.assertEqual(refused.status, 403, headers)
            self.assertNotIn(b"alpha", refused.body)
            self.assertNotIn("access-control-allow-origin", refused.headers)
        own = {"Host": "localhost:8080", "Origin": "http://localhost:8080",
               "Sec_Fetch_Site": "same-origin"}
        self.assertEqual(self.web.ask("/v1/host", **own).status, 200)

    def test_by_the_port_there_is_nothing_without_the_token(self):
        name = f"drover-{self.web.port}"
        for cookie in (None, f"{name}=", f"{name}={'0' * 32}", f"{name}={self.web.token[:-1]}",
                       f"other={self.web.token}"):
            refused = self.web.ask("/v1/host", port=True, Cookie=cookie)
            self.assertEqual(refused.status, 401, cookie)
            self.assertNotIn(b"alpha", refused.body)
        for said in (b"", b"0" * 32, self.web.token.encode() + b"0"):
            refused = self.web.ask("/login", "POST", port=True, body=said)
            self.assertEqual((refused.status, "set-cookie" in refused.headers), (403, False))
        foreign = self.web.ask("/login", "POST", port=True, body=self.web.token.encode(),
                               Origin="http://evil.example")
        self.assertEqual(foreign.status, 403)
        entered = self.web.ask("/login", "POST", port=True, body=self.web.token.encode())
        self.assertEqual(entered.status, 204)
        cookie, *rest = entered.headers["set-cookie"].split("; ")
        self.assertEqual(rest, ["HttpOnly", "SameSite=Strict", "Path=/"])
        self.assertEqual(self.web.ask("/v1/host", port=True, Cookie=cookie).status, 200)

    def test_it_says_when_the_daemon_is_away_and_shows_it_again(self):
        self.alpha.kill9()
        wait_for("503", lambda: self.web.ask("/v1/host").status == 503, 10, 0.2)
        away = self.web.ask("/v1/host").json
        self.assertEqual(away["kind"], "service-away")
        self.assertIn("cannot reach droverd", away["error"])
        self.assertEqual(self.web.ask("/").status, 200)
        self.alpha.start()
        wait_for("200", lambda: self.web.ask("/v1/host").status == 200, 10, 0.2)

    def test_it_ends_in_order(self):
        self.assertEqual(self.web.close(), 0)
        self.assertFalse(os.path.exists(self.web.socket))


class Strangers(Case):
    def stuck(self, request):
        """As many connections as there may be that send this and never read."""
        for _ in range(READERS):
            one = self.web.connect()
            self.addCleanup(one.close)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                one.sendall(request)
            except OSError:
                pass

    def served(self):
        try:
            return self.web.ask("/v1/jobs").status == 200
        except (OSError, Failed):
            return False

    @slow
    def test_readers_that_are_stuck_are_dropped_and_cost_the_daemon_nothing(self):
        self.web = Web(self.lab, self.alpha.socket)
        wait_for("a first sample", lambda: self.web.ask("/metrics").status == 200, 10, 0.2)
        before = len(os.listdir(f"/proc/{self.alpha.pid}/task"))
        size = int(status(self.web.process.pid)["VmRSS"].split()[0])
        many = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000
        for request in (b"GET /v1/host HT", many):
            self.stuck(request)
            asked = time.monotonic()
            self.assertEqual(self.alpha.api("GET", "/v1/jobs"), [])
            self.assertLess(time.monotonic() - asked, 5)
            self.assertLessEqual(len(os.listdir(f"/proc/{self.alpha.pid}/task")), before + 4)
            wait_for("a place", self.served, 3 * IDLE_S, 0.5)
        grown = int(status(self.web.process.pid)["VmRSS"].split()[0]) - size
        self.assertLess(grown, 48 << 10, "KiB")
