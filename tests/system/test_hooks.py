# SPDX-License-Identifier: MIT
"""Programs of the administrator's that are asked before a move, and told after it."""
import json
import os
import unittest

from lab import Lab, needs, wait_for
from lab import machine
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network

TIME_LIMIT = 200
NOBODY = 65534


def ended(pid):
    """Also one that nobody has collected yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Hooks(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can start hooks as somebody else")
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        network = Network(self.lab, ("alpha", "beta"), links=1, rate="200mbit")
        self.alpha, self.beta = (Host(self.lab, name, network[name], network.addresses(name))
                                 for name in ("alpha", "beta"))
        os.chmod(self.lab.dir, 0o755)
        self.told = self.lab.path("told")
        os.mkdir(self.told)
        os.chmod(self.told, 0o777)
        for host in connect(self.alpha, self.beta):
            os.chmod(host.dir, 0o755)
            host.hooks = os.path.join(host.dir, "hooks.d")
            os.mkdir(host.hooks, 0o755)
            host.settings["host"].update({"hooks-directory": host.hooks,
                                          "hook-user": "nobody"})
            host.start()
        self.console = Console(self.lab)
        self.addCleanup(self.console.close)
        self.alpha.define(machine.definition(
            "web", *machine.stress_arguments(fill="16M", rate="0", hot="4M"),
            *self.console.arguments(), memory="96M"))
        self.alpha.drover("vm", "start", "web")
        self.console.wait_line("^drover-stress ready", 60)

    def hook(self, host, name, text, mode=0o755):
        path = os.path.join(host.hooks, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(path, mode)
        return path

    def recorder(self, host, name="50-tell"):
        """Keeps what it hears, and who it is, in a file for each time."""
        return self.hook(host, name, f'f=$(mktemp {self.told}/{host.name}.XXXXXX)\n'
                         '{ cat; echo; id -u; id -g; id -G; grep -E "^(CapEff|CapBnd|NoNew)" '
                         '/proc/self/status; } > $f; mv $f $f.whole\n')

    def heard(self, host):
        """By `when`: the event, and the lines about who heard it."""
        found = {}
        for name in os.listdir(self.told):
            if name.startswith(host.name + ".") and name.endswith(".whole"):
                with open(os.path.join(self.told, name), encoding="utf-8") as f:
                    lines = f.read().splitlines()
                event = json.loads(lines[0])
                found[event["when"]] = (event, lines[1:])
        return found

    def move(self):
        return self.alpha.drover("move", "web", "beta", check=False, timeout=90)

    def refused(self, why):
        answer = self.move()
        self.assertEqual(answer.status, 8, answer.stderr)
        self.assertRegex(answer.stderr, why)
        self.assertEqual(self.alpha.machine("web")["state"], "running")
        self.assertEqual(self.beta.api("GET", "/v1/machines"), [])
        self.console.wait_line("^hb ", 5, after=len(self.console.lines))

    def test_both_hosts_are_told_before_and_after_as_a_user_without_rights(self):
        for host in (self.alpha, self.beta):
            self.recorder(host)
            self.hook(host, "60-off", "exit 1\n", mode=0o644)
            self.hook(host, "70.dpkg-old", "exit 1\n")
        self.assertEqual(self.move().status, 0)
        for host, peer, role in ((self.alpha, "beta", "source"),
                                 (self.beta, "alpha", "destination")):
            wait_for("both", lambda host=host: set(self.heard(host)) ==
                     {"before-move", "after-move"}, 10)
            heard = self.heard(host)
            before, who = heard["before-move"]
            job = host.newest_job()
            self.assertEqual(before, {"when": "before-move", "host": host.name, "job": job["id"],
                                      "role": role, "machine": "web", "peer": peer,
                                      "state": None, "error": None})
            after, _ = heard["after-move"]
            self.assertEqual((after["state"], after["error"]), ("done", None))
            self.assertEqual(who[:3], [str(NOBODY)] * 2 + [str(NOBODY)])
            self.assertIn("CapEff:\t0000000000000000", who)
            self.assertIn("CapBnd:\t0000000000000000", who)
            self.assertIn("NoNewPrivs:\t1", who)

    def test_a_refusal_is_the_last_line_on_either_host(self):
        hook = self.hook(self.alpha, "10-no", "echo first; echo not on a Friday; exit 1\n")
        self.refused("hook .*/10-no refuses: not on a Friday")
        os.unlink(hook)
        hook = self.hook(self.beta, "10-no", "printf 'the rack is hot'; exit 1\n")
        self.refused("beta: .*hook .*/10-no refuses: the rack is hot")
        os.unlink(hook)
        self.assertEqual(self.move().status, 0)

    def test_what_fails_is_no_yes(self):
        hook = self.hook(self.alpha, "10-odd", "echo who knows >&2; exit 3\n")
        self.refused("hook .*/10-odd failed with status 3: who knows")
        self.hook(self.alpha, "10-odd", "kill -9 $$\n")
        self.refused("hook .*/10-odd was ended by signal 9")
        with open(hook, "w", encoding="utf-8") as f:
            f.write("#!/no/such/program\n")
        self.refused("start .*/10-odd")

    def test_only_roots_files_run_and_never_as_root(self):
        hook = self.hook(self.alpha, "10-no", "exit 0\n", mode=0o775)
        self.refused(f"{hook} may be written by others than its owner: chmod go-w")
        os.chmod(hook, 0o755)
        os.chown(hook, NOBODY, NOBODY)
        self.refused(f"{hook} belongs to user {NOBODY}")
        os.chown(hook, 0, 0)
        os.rename(hook, self.alpha.hooks + "/../real")
        os.symlink(self.alpha.hooks + "/../real", hook)
        self.refused(f"{hook} is a link")
        os.unlink(hook)
        self.hook(self.alpha, "10-no", "exit 0\n")
        os.chmod(self.alpha.hooks, 0o777)
        self.refused("hooks.d may be written by others")
        os.chmod(self.alpha.hooks, 0o755)
        self.alpha.drover("host", "set", "host.hook-user", "root")
        self.refused("hook-user is root, which is root")
        self.alpha.drover("host", "set", "host.hook-user", "no-such-user")
        self.refused("there is no user no-such-user for hooks")

    def test_a_move_is_cancelled_out_of_a_hook_and_all_of_it_is_ended(self):
        self.hook(self.alpha, "10-slow", "grep -q before-move || exit 0\n"
                  f"sleep 1000 & echo $! > {self.told}/pid\nwait\n")
        job = self.alpha.drover("move", "web", "beta", "--background", "--json").json
        pid = self.told + "/pid"
        wait_for("the hook", lambda: os.path.exists(pid) and os.path.getsize(pid), 10)
        self.assertEqual(self.alpha.api("GET", f"/v1/jobs/{job['id']}")["stage"], "hooks")
        self.alpha.drover("job", "cancel", job["id"])
        wait_for("the end", lambda: self.alpha.newest_job()["state"] == "cancelled", 10)
        with open(pid, encoding="utf-8") as f:
            left = f.read().strip()
        wait_for("its child to be ended", lambda: ended(left), 5)

    def test_afterwards_a_failure_is_a_line_in_the_log(self):
        self.hook(self.alpha, "10-late", 'grep -q after-move && { echo too bad; exit 1; }\n'
                                         "exit 0\n")
        self.assertEqual(self.move().status, 0)
        wait_for("the log", lambda: "refuses: too bad" in self.alpha.log_text(), 10)
        self.assertRegex(self.alpha.log_text(), "after-move web: hook .*/10-late refuses: too bad")
        self.assertEqual(self.alpha.newest_job()["state"], "done")

    def test_a_drain_is_asked_for_and_told_of(self):
        hook = self.hook(self.alpha, "10-no", "grep -q before-drain || exit 0\n"
                                              "echo the others are full of work; exit 1\n")
        answer = self.alpha.drover("drain", check=False)
        self.assertEqual(answer.status, 8)
        self.assertIn("refuses: the others are full of work", answer.stderr)
        self.assertEqual(self.alpha.api("GET", "/v1/drain")["state"], "none")
        os.unlink(hook)
        self.recorder(self.alpha)
        self.alpha.drover("drain", timeout=90)
        wait_for("the end", lambda: "after-drain" in self.heard(self.alpha), 20)
        heard = self.heard(self.alpha)
        self.assertEqual({"before-drain", "before-move", "after-move", "after-drain"}, set(heard))
        self.assertEqual(heard["after-drain"][0]["state"], "drained")
        self.assertIsNone(heard["after-drain"][0]["machine"])

    def test_a_move_that_fails_is_a_fault(self):
        self.recorder(self.alpha)
        self.beta.stop()
        self.assertNotEqual(self.move().status, 0)
        wait_for("the fault", lambda: "fault" in self.heard(self.alpha), 20)
        fault, _ = self.heard(self.alpha)["fault"]
        self.assertEqual(fault["state"], "failed")
        self.assertEqual(fault["error"], self.alpha.newest_job()["error"])


if __name__ == "__main__":
    unittest.main()
