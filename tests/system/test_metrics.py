# SPDX-License-Identifier: MIT
"""GET /metrics of a real daemon: its format, and its figures against the kernel's."""
import http.client
import os
import re
import shutil
import socket
import subprocess
import unittest

from lab import Failed, Lab, machine, needs, wait_for
from lab.console import Console
from lab.host import PROGRAMS, ApiError, Host, connect, _UnixConnection
from lab.network import Network

TIME_LIMIT = 200
PARALLEL = True
LINE = re.compile(r'([a-z_]+)((?:\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="[^"\n]*")*\})?) '
                  r'(-?[0-9.e+-]+)')


def scrape(host, path=None):
    connection = _UnixConnection(path or host.socket, 20)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


def values(host):
    status, _, text = scrape(host)
    assert status == 200, text
    return {m[1] + m[2]: float(m[3]) for m in map(LINE.fullmatch, text.splitlines()) if m}


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Metrics(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"), links=2, rate="200mbit")
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta")))
        for host in (self.alpha, self.beta):
            host.start()
            wait_for("a first sample", lambda host=host: scrape(host)[0] == 200, 10)

    def check_format(self, text):
        """By hand, and with promtool where it is."""
        described, typed, seen = set(), {}, []
        self.assertTrue(text.endswith("\n"))
        for line in text.splitlines():
            if line.startswith("# HELP "):
                described.add(line.split()[2])
            elif line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.assertNotIn(name, typed)
                typed[name] = kind
                seen.append(name)
            else:
                match = LINE.fullmatch(line)
                self.assertTrue(match, line)
                name = match[1]
                if typed[seen[-1]] == "histogram":
                    name = re.sub("_(bucket|sum|count)$", "", name)
                self.assertEqual(name, seen[-1], "values of a family stand together")
                self.assertTrue(typed[name] != "counter" or name.endswith("_total"), name)
        self.assertEqual(described, set(typed))
        if tool := shutil.which("promtool"):
            done = subprocess.run([tool, "check", "metrics"], input=text, text=True,
                                  capture_output=True, check=False, timeout=60)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def transmits(self):
        return f"card.{self.network.links[0].names[0]}.transmit"

    def known(self, name):
        points = self.alpha.api("GET", f"/v1/history/{name}")["points"]
        return [p["mean"] for p in points if p["mean"] is not None]

    def check_history(self, moved):
        """The points of a card are the bytes that it carried; gaps are none."""
        names = self.alpha.api("GET", "/v1/history")["series"]
        name = self.transmits()
        self.assertIn(name, names)
        self.assertIn("processors.guests", names)
        try:
            wait_for("the history has the move",
                     lambda: abs(sum(self.known(name)) - moved) < 0.1 * moved, 10, 0.5)
        except Failed as e:
            raise Failed(f"{e}: {moved} bytes, and it has {self.known(name)}") from None
        past = self.alpha.api("GET", f"/v1/history/{name}?last=5")
        self.assertEqual((past["step"], len(past["points"])), (1, 5))
        past = self.alpha.api("GET", f"/v1/history/{name}")
        self.assertIsNone(past["points"][0]["most"], "before the service there is a gap")
        for step in ("10s", "1m"):
            self.alpha.api("GET", f"/v1/history/{name}?step={step}")
        for path, status in ((name + "?step=2s", 400), (name + "?last=0", 400), ("none", 404)):
            with self.assertRaises(ApiError) as refused:
                self.alpha.api("GET", "/v1/history/" + path)
            self.assertEqual(refused.exception.status, status, refused.exception)

    def agree(self, before):
        """All cards' bytes, since then, are the kernel's within 2 %."""
        now = values(self.alpha)
        for i, link in enumerate(self.network.links):
            name = f'drover_card_transmit_bytes_total{{device="{link.names[0]}"}}'
            true = link.counters(0)["tx_bytes"] - before[i][1]
            if abs(now[name] - before[i][0][name] - true) > 0.02 * true:
                return False
        return True

    def check_flow(self, now):
        """What left is what the move's report says, once."""
        report = self.alpha.newest_job()["report"]
        for kind in ("data", "zero", "filled", "unchanged", "delta"):
            self.assertEqual(now[f'drover_pages_sent_total{{kind="{kind}"}}'],
                             report["pages"][kind], kind)
        self.assertGreaterEqual(sum(report["pages"].values()), 48 * 256)
        self.assertEqual(now['drover_sent_bytes_total{transport="tcp"}'],
                         report["bytes"]["wire"])
        self.assertEqual(values(self.beta)['drover_sent_bytes_total{transport="tcp"}'], 0)
        # Who takes a machine has asked its QEMU.
        wait_for("beta's QEMU is known", lambda: sum(
            n.startswith("drover_qemu_info{") for n in values(self.beta)) == 1, 10, 0.3)

    def test_a_move_over_two_cards_against_the_kernel(self):
        console = Console(self.lab)
        self.addCleanup(console.close)
        self.alpha.define(machine.definition(
            "web", *machine.stress_arguments(fill="48M", rate="1M", hot="4M"),
            *console.arguments(), memory="128M"))
        self.alpha.drover("vm", "start", "web")
        console.wait_line("^drover-stress ready", 60)
        # Its first second has no beginning that was looked at.
        wait_for("a first second", lambda: self.known(self.transmits()), 10, 0.1)
        start = [(values(self.alpha), link.counters(0)["tx_bytes"])
                 for link in self.network.links]
        self.alpha.drover("move", "web", "beta", "--mode", "multichannel", timeout=100)
        for link, (_, sent) in zip(self.network.links, start):
            self.assertGreater(link.counters(0)["tx_bytes"] - sent, 4 << 20, link.names[0])
        wait_for("the counters agree", lambda: self.agree(start), 10, 0.3)
        # Gauges are of the last sample, which may be of before its end.
        wait_for("nothing is shown of what has ended",
                 lambda: not [name for name in values(self.alpha) if 'machine="' in name], 10, 0.3)
        now = values(self.alpha)
        done = ('drover_moves_finished_total{role="%s",result="done",reason="none"}')
        self.assertEqual(now[done % "source"], 1)
        self.assertEqual(now["drover_move_duration_seconds_count"], 1)
        self.assertEqual(now["drover_move_downtime_seconds_count"], 1)
        self.check_flow(now)
        link = self.network.links[0]
        self.check_history(link.counters(0)["tx_bytes"] - start[0][1])
        wait_for("beta has it, too", lambda: values(self.beta)[done % "destination"] == 1, 10)
        wait_for("and its guest takes time",
                 lambda: values(self.beta)["drover_guests_cpu_seconds_total"] > 0, 10)

    def test_the_command_and_its_file(self):
        self.check_format(self.alpha.drover("metrics").stdout)
        folder = os.path.join(self.alpha.dir, "textfiles")
        os.mkdir(folder)
        path = os.path.join(folder, "drover.prom")
        for _ in range(2):  # a second time over the first
            self.assertEqual(self.alpha.drover("metrics", "--write", path).stdout, "")
            with open(path, encoding="utf-8") as f:
                self.check_format(f.read())
        self.assertEqual((os.listdir(folder), os.stat(path).st_mode & 0o777),
                         (["drover.prom"], 0o644))
        answer = self.alpha.drover("metrics", "--write", "drover.prom", check=False)
        self.assertEqual((answer.status, "must be a path" in answer.stderr), (2, True), answer)
        answer = self.alpha.drover("metrics", "--write", folder + "/none/x.prom", check=False)
        self.assertEqual((answer.status, "none" in answer.stderr), (6, True), answer)
        self.assertFalse(os.path.exists(folder + "/none"))

    def check_finished(self, host, job, role):
        listed = [f for f in host.api("GET", "/v1/finished") if f["id"] == job["id"]]
        self.assertEqual([(f["role"], f["state"], f["machine"], f["error"]) for f in listed],
                         [(role, "done", "web", None)])
        self.assertEqual(listed[0]["ended"], job["ended"])
        self.assertEqual(host.api("GET", f"/v1/finished/{job['id']}"), job)
        self.assertIn(job["id"], host.drover("history").stdout)
        shown = host.drover("history", "show", job["id"]).stdout
        self.assertEqual(shown, host.drover("history", "show", job["id"]).stdout)
        self.assertIn("web", shown)

    def test_what_has_ended_is_known_after_a_restart(self):
        self.assertEqual(self.alpha.api("GET", "/v1/finished"), [])
        self.alpha.define(machine.definition("web", *machine.boot_sector_arguments(self.lab),
                                             memory="16M"))
        self.alpha.drover("vm", "start", "web")
        self.alpha.drover("move", "web", "beta")
        jobs = [host.newest_job() for host in (self.alpha, self.beta)]
        jobs[1] = self.beta.wait_job(jobs[1]["id"], "done", timeout=20)
        for end in ("stop", "kill9"):
            for host, job, role in zip((self.alpha, self.beta), jobs, ("source", "destination")):
                wait_for("it is written", lambda host=host: host.api("GET", "/v1/finished"), 10)
                self.check_finished(host, job, role)
                self.assertIsNotNone(job["report"] if role == "source" else job)
                getattr(host, end)()
                # What a daemon that was killed leaves aside, and what nobody can read.
                folder = os.path.join(host.state, "history")
                for name in (".x.json.new", "broken.source.json"):
                    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                        f.write("{")
                host.start()
                self.check_finished(host, job, role)
                self.assertNotIn(".x.json.new", os.listdir(folder))
        answer = self.alpha.drover("history", "show", "none", check=False)
        self.assertEqual((answer.status, "drover history" in answer.stderr), (6, True), answer)

    def over_tcp(self, method="GET", path="/metrics", **headers):
        def fetch():
            connection = http.client.HTTPConnection("127.0.0.1", 9091, timeout=10)
            try:
                connection.request(method, path, None if method == "GET" else "x", headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            finally:
                connection.close()
        return self.network["alpha"].inside(fetch)

    def test_over_tcp_where_it_is_set(self):
        self.alpha.stop()
        self.alpha.settings["host"]["metrics"] = "127.0.0.1:9091"
        self.alpha.start()
        wait_for("a first sample", lambda: self.over_tcp()[0] == 200, 10)
        self.check_format(self.over_tcp()[1])
        self.assertEqual(self.over_tcp(Host="localhost:9091")[0], 200)
        for name in ("evil.example", "127.evil.example", "localhost.evil.example"):
            self.assertEqual(self.over_tcp(Host=name)[0], 403, name)
        self.assertEqual(self.over_tcp(path="/v1/host")[0], 404)
        self.assertEqual(self.over_tcp("POST")[0], 405)
        # As many as may come, and never ask: others are heard again after 5 s.
        silent = self.network["alpha"].inside(
            lambda: [socket.create_connection(("127.0.0.1", 9091)) for _ in range(16)])
        self.addCleanup(lambda: [s.close() for s in silent])
        self.alpha.api("GET", "/v1/host")

        def heard():
            try:
                return self.over_tcp()[0] == 200
            except (OSError, http.client.HTTPException):
                return False
        wait_for("the silent ones have been dropped", heard, 40, 0.5)
        for value in ("0.0.0.0:9091", "9091", "127.0.0.1:0"):
            answer = self.alpha.drover("host", "set", "host.metrics", value, check=False)
            self.assertEqual((answer.status, value in answer.stderr or "port" in answer.stderr),
                             (2, True), answer)

    def test_the_format(self):
        status, kind, text = scrape(self.alpha)
        self.assertEqual((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.check_format(text)
        for link in self.network.links:
            self.assertEqual(values(self.alpha)[f'drover_card_up{{device="{link.names[0]}"}}'], 1)
        self.network.links[1].down()
        down = f'drover_card_up{{device="{self.network.links[1].names[0]}"}}'
        wait_for("it is down", lambda: values(self.alpha)[down] == 0, 10)


if __name__ == "__main__":
    unittest.main()
