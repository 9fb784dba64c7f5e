# SPDX-License-Identifier: MIT
"""drover top in a real terminal, tmux's, beside a real move."""
import os
import re
import shutil
import signal
import subprocess
import unittest

from lab import Lab, machine, needs, slow, wait_for
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 240
PARALLEL = True
BLOCKS = "▁▂▃▄▅▆▇█"
CLOCK = re.compile(r"\d\d:\d\d:\d\d")


# Programs of this shell can be stopped (148) and go on.
SCRIPT = """
set -m
trap : INT
echo before-$((6*7))
stty -a >before
{top}
status=$?
while [ $status -eq 148 ]; do
    stty -a >stopped.new && mv stopped.new stopped
    while ! [ -e go ]; do sleep 0.05; done
    rm go
    fg
    status=$?
done
stty -a >after
echo $status >status.new && mv status.new status
exec cat
"""


class Pane:
    """A terminal of that size in which a shell runs drover top, and what it shows."""

    def __init__(self, lab, host, columns, rows, *options, locale="C.UTF-8", **environ):
        self.dir = lab.path(f"pane{columns}x{rows}-{len(os.listdir(lab.dir))}")
        os.mkdir(self.dir)
        self.lab, self.socket = lab, os.path.join(self.dir, "tmux")
        # tmux names its own terminal: only the program has another.
        term = environ.pop("TERM", None)
        top = " ".join([*(["env", f"TERM={term}"] if term else []),
                        *host.drover_argv("top", *options)])
        script = os.path.join(self.dir, "script")
        with open(script, "w", encoding="utf-8") as f:
            f.write(SCRIPT.format(top=top))
        env = {k: v for k, v in lab.environ.items()
               if k not in ("LINES", "COLUMNS", "NO_COLOR", "TMUX", "LANG")}
        env.update({"LC_ALL": locale, **environ})
        subprocess.run([*self.tmux(), "-f/dev/null", "-u", "new-session", "-d", "-x", str(columns),
                        "-y", str(rows), "-c", self.dir, "sh", script], env=env, check=True,
                       timeout=20)
        lab.cleanup(self.close)

    def tmux(self, *words):
        return ["tmux", "-S", self.socket, *words]

    def ask(self, *words):
        return subprocess.run(self.tmux(*words), env=self.lab.environ, check=True, text=True,
                              capture_output=True, timeout=20).stdout

    def close(self):
        subprocess.run(self.tmux("kill-server"), check=False, capture_output=True, timeout=20)

    def shows(self, *options):
        return self.ask("capture-pane", "-p", *options).split("\n")[:-1]

    def type(self, *keys):
        self.ask("send-keys", *keys)

    def until(self, what, test):
        """The picture of which that is true."""
        def look():
            lines = self.shows()
            return test(lines) and lines
        try:
            return wait_for(what, look, 20, 0.05)
        except Exception as e:
            raise AssertionError(f"{e}:\n" + "\n".join(self.shows())) from None

    def fresh(self):
        """A picture that was begun after this call."""
        times = set()

        def look():
            lines = self.shows()
            times.update(CLOCK.findall(lines[0]))
            return len(times) > 2 and lines
        return wait_for("two more pictures", look, 20, 0.05)

    def pid(self):
        """Of the program, once it has the terminal."""
        self.until("a picture", lambda lines: lines[0].startswith("drover top"))
        shell = self.ask("display-message", "-p", "#{pane_pid}").strip()
        with open(f"/proc/{shell}/task/{shell}/children", encoding="ascii") as f:
            return int(f.read().split()[0])

    def has(self, name):
        return os.path.exists(os.path.join(self.dir, name))

    def kept(self, name):
        with open(os.path.join(self.dir, name), encoding="utf-8") as f:
            return f.read()

    def ended(self):
        """The status that the shell saw."""
        wait_for("it has ended", lambda: self.has("status"), 20, 0.02)
        return int(self.kept("status"))


@unittest.skipUnless(shutil.which("tmux"), "there is no tmux: install the package tmux")
@needs(*PROGRAMS)
class Top(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.network = Network(self.lab, ("alpha", "beta"), links=2, rate="8mbit")
        self.alpha, self.beta = connect(*(
            Host(self.lab, name, self.network[name], self.network.addresses(name))
            for name in ("alpha", "beta")))
        self.cards = [link.names[0] for link in self.network.links]
        self.alpha.start()
        wait_for("a history of the cards", lambda: f"card.{self.cards[0]}.transmit" in
                 self.alpha.api("GET", "/v1/history")["series"], 20)

    def line(self, lines, begin):
        found = [line for line in lines if line.startswith(begin)]
        self.assertEqual(len(found), 1, "\n".join(lines))
        return found[0]

    def check_restored(self, pane):
        self.assertEqual(pane.kept("before"), pane.kept("after"))
        pane.until("the screen of before", lambda lines: lines[0] == "before-42")
        self.assertEqual(pane.ask("display-message", "-p", "#{cursor_flag}").strip(), "1",
                         "the cursor is seen")

    def test_the_terminal_is_as_it_was_after_any_end(self):
        for end, status in (("q", 0), ("C-c", 128 + signal.SIGINT),
                            *((sig, 128 + sig) for sig in (signal.SIGTERM, signal.SIGHUP,
                                                           signal.SIGSEGV, signal.SIGUSR1))):
            pane = Pane(self.lab, self.alpha, 80, 24)
            pid = pane.pid()
            if isinstance(end, str):
                pane.type(end)
            else:
                os.kill(pid, end)
            self.assertEqual(pane.ended(), status)
            self.check_restored(pane)

    def test_a_stop_gives_the_terminal_back_and_going_on_takes_it(self):
        pane = Pane(self.lab, self.alpha, 80, 24)
        pid = pane.pid()
        for stop in (signal.SIGTSTP, None):
            if stop:
                os.kill(pid, stop)
            else:
                pane.type("C-z")
            pane.until("the screen of before", lambda lines: lines[0] == "before-42")
            wait_for("the shell goes on", lambda: pane.has("stopped"), 20)
            self.assertEqual(pane.kept("stopped"), pane.kept("before"))
            os.unlink(os.path.join(pane.dir, "stopped"))
            with open(os.path.join(pane.dir, "go"), "w", encoding="utf-8"):
                pass
            pane.fresh()
        pane.type("q")
        self.assertEqual(pane.ended(), 0)
        self.check_restored(pane)

    def test_keys_and_sizes(self):
        pane = Pane(self.lab, self.alpha, 80, 24)
        lines = pane.until("keys", lambda lines: "q quit" in lines[-1])
        self.assertEqual(len(lines), 24)
        self.assertIn("alpha", lines[0])
        self.assertIn("bit/s", self.line(lines, "CARD"))
        pane.type("b")
        pane.until("bytes", lambda lines: " B/s" in self.line(lines, "CARD"))
        pane.type("h")
        pane.until("the help", lambda lines: any(line.startswith("KEYS") for line in lines))
        pane.type("?", ">")
        pane.until("sorted by rate", lambda lines: "by rate" in lines[-1])
        pane.type("s", "5", "0", "0", "m", "s", "Enter")
        pane.until("the interval", lambda lines: "every 0.5 s" in lines[0])
        pane.type("s", "7", "Escape")
        pane.until("no question", lambda lines: "q quit" in lines[-1])
        self.assertIn("every 0.5 s", pane.shows()[0])
        pane.type("Space")
        pane.until("it stands", lambda lines: "PAUSED" in lines[0])
        pane.type("Space")
        for columns, rows in ((40, 10), (200, 50), (20, 4), (80, 24)):
            pane.ask("resize-window", "-x", str(columns), "-y", str(rows))
            lines = pane.until(f"{columns} x {rows}", lambda lines, rows=rows:
                               len(lines) == rows and lines[0].startswith("drover top")
                               and re.match("[0-9q]", lines[-1]))
            self.assertTrue(all(len(line) <= columns for line in lines), lines)
        # What does not fit is reached.
        pane.ask("resize-window", "-x", "40", "-y", "7")
        pane.until("more below", lambda lines: "more below" in lines[-1])
        pane.type("End")
        pane.until("its end", lambda lines: any("beta  " in line for line in lines))
        pane.type("Home")
        pane.until("its begin", lambda lines: any(line.startswith("CARD") for line in lines))
        pane.type("Down", "NPage", "PPage", "Up")
        pane.until("its begin", lambda lines: any(line.startswith("CARD") for line in lines))

    def test_the_service_goes_away_and_comes_back(self):
        pane = Pane(self.lab, self.alpha, 80, 24)
        pane.pid()
        self.alpha.stop()
        lines = pane.until("it is old", lambda lines: lines[3].startswith("OLD: of "))
        self.assertIn("alpha", lines[0])
        self.line(lines, self.cards[0])
        self.alpha.start()
        pane.until("it is of now", lambda lines: not any("OLD" in line for line in lines))
        self.alpha.stop()
        answer = self.alpha.drover("top", "--once", check=False)
        self.assertEqual((answer.status, answer.stdout), (7, ""), answer)

    def peers(self):
        return {one["name"]: one for one in self.alpha.drover("host", "list", "--json").json}

    def test_peers_are_shown_and_what_is_old_says_so(self):
        found = self.peers()
        self.assertEqual([(one["here"], one["seen"] is None, one["old"])
                          for one in (found["alpha"], found["beta"])],
                         [(True, False, False), (False, True, True)])
        self.assertIn("not heard", found["beta"]["why"])
        self.beta.start()
        # Nobody is asked again within 3 s.
        found = wait_for("beta tells", lambda: (f := self.peers())["beta"]["seen"] and f, 20, 0.3)
        self.assertEqual((found["beta"]["old"], found["beta"]["why"], found["beta"]["running"]),
                         (False, None, 0))
        total = found["beta"]["memory"]["total"]
        self.assertEqual(total, self.beta.api("GET", "/v1/host")["memory"]["total"])
        pane = Pane(self.lab, self.alpha, 80, 24)
        lines = pane.until("the hosts", lambda lines: any(
            line.startswith("beta ") and "OLD" not in line for line in lines))
        self.line(lines, "alpha *")
        self.beta.stop()
        pane.until("it is old", lambda lines: any(
            line.startswith("beta ") and "OLD" in line for line in lines))
        found = self.peers()
        self.assertEqual((found["beta"]["old"], found["beta"]["memory"]["total"]), (True, total))
        text = self.alpha.drover("host", "list").stdout
        self.assertRegex(text, r"(?m)^beta .* old: .*not heard")

    def test_without_a_terminal_it_is_printed(self):
        text = self.alpha.drover("top").stdout
        self.assertEqual(text.count("drover top"), 1)
        self.assertTrue(all(len(line) <= 80 for line in text.splitlines()), text)
        self.assertNotIn("\x1b", text)
        self.assertEqual(self.alpha.drover("top", "--count", "2", "--interval", "200ms")
                         .stdout.count("drover top"), 2)
        seen = self.alpha.drover("top", "--json").json
        self.assertEqual({c["name"] for c in seen["cards"]} & set(self.cards), set(self.cards))
        self.assertEqual(seen["host"]["name"], "alpha")
        for options, env in ((("--once",), {}), ((), {"TERM": "dumb"})):
            pane = Pane(self.lab, self.alpha, 80, 24, *options, **env)
            self.assertEqual(pane.ended(), 0)
            self.assertEqual(pane.shows()[0], "before-42")
            self.assertIn("drover top", "\n".join(pane.shows()))
        pane = Pane(self.lab, self.alpha, 80, 24, COLUMNS="50", LINES="12")
        lines = pane.until("12 lines", lambda lines: "q quit" in lines[11])
        self.assertTrue(all(len(line) <= 50 for line in lines), lines)

    @slow
    @needs("guest/drover-stress.elf")
    def test_a_move_over_two_cards_at_each_size(self):
        console = Console(self.lab)
        self.addCleanup(console.close)
        self.beta.start()
        self.alpha.define(machine.definition(
            "web", *machine.stress_arguments(fill="96M", rate="1M", hot="4M"),
            *console.arguments(), memory="160M"))
        self.alpha.drover("vm", "start", "web")
        console.wait_line("^drover-stress ready", 60)
        panes = {size: Pane(self.lab, self.alpha, *size) for size in
                 ((80, 24), (200, 50), (40, 10))}
        panes["ascii"] = Pane(self.lab, self.alpha, 80, 24, locale="C", NO_COLOR="1")
        job = self.alpha.drover("move", "web", "beta", "--mode", "multichannel", "--background",
                                "--json").json["id"]
        wait_for("it copies over both", lambda: self.alpha.job(job)["stage"] == "pre-copy" and
                 self.alpha.job(job)["progress"]["percent"] >= 2, 60)
        for (size, pane) in panes.items():
            columns, rows = (80, 24) if size == "ascii" else size
            least = self.alpha.job(job)["progress"]["percent"]
            if columns == 40:
                pane.type("End")
            else:  # each carries more than a quarter of its 8 Mbit/s
                pane.until("both cards carry", lambda lines: all(
                    self.rate(lines, card) > 2e6 for card in self.cards))
            lines = pane.fresh()
            most = self.alpha.job(job)["progress"]["percent"]
            self.assertEqual(self.alpha.job(job)["state"], "running")
            self.check_picture(lines, columns, rows)
            shown = int(re.search(r" (\d+)% ", self.line(lines, "web "))[1])
            self.assertTrue(int(least) - 1 <= shown <= most + 1, (least, shown, most))
        self.assertTrue("".join(panes["ascii"].shows()).isascii())
        self.assertNotIn("\x1b[31", panes["ascii"].ask("capture-pane", "-p", "-e"))
        self.assertTrue(set(BLOCKS[1:]) & set("".join(panes[80, 24].shows())))
        self.alpha.drover("job", "cancel", job)
        self.alpha.wait_job(job, "cancelled")
        for (size, pane) in panes.items():
            if size != (40, 10):  # which shows its end
                pane.until("it has ended", lambda lines: any(
                    line.startswith("web") and "cancelled" in line for line in lines))

    def check_picture(self, lines, columns, rows):
        self.assertEqual(len(lines), rows)
        self.assertTrue(all(len(line) <= columns for line in lines), lines)
        move = self.line(lines, "web ")
        self.assertIn("pre-copy", move)
        self.assertEqual(columns > 40, "to beta" in move, move)
        self.assertEqual(columns > 80, "[#" in move, move)

    def rate(self, lines, card):
        """Bits a second that it sends, as shown."""
        text = self.line(lines, card).split()[2]
        if text == "-":
            return 0
        return float(text.rstrip("KMG")) * {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1], 1)


if __name__ == "__main__":
    unittest.main()
