# SPDX-License-Identifier: MIT
"""A guest that is faster than the link: what the time-out does, and what is said."""
import os
import statistics
import time
import unittest

from lab import Lab, Stolen, needs, slow, wait_for
from lab import machine
from lab.console import Console
from lab.host import PROGRAMS, Host, connect
from lab.network import Network
from lab.pair import Pair
from lab.qmp import QMP

TIME_LIMIT = 200


class Case(unittest.TestCase):
    """A guest that changes 60 MiB/s, and a card of 100 Mbit/s."""
    fill, hot, rate, reads = "48M", "32M", "60M", 0

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        network = Network(cls.lab, ("alpha", "beta"), links=1, rate="100mbit")
        # Compressed it might converge, on a machine that has nothing else to do.
        cls.alpha, cls.beta = (Host(cls.lab, name, network[name], network.addresses(name),
                                    settings={"move": {"option": "tcp"}})
                               for name in ("alpha", "beta"))
        for host in connect(cls.alpha, cls.beta):
            host.start()

    def setUp(self):
        self.console = Console(self.lab)
        guest = machine.stress_arguments(fill=self.fill, rate=self.rate, hot=self.hot)
        guest[-1] += f" reads={self.reads}"
        self.alpha.define(machine.definition("busy", *guest, *self.console.arguments(),
                                             memory="128M"))
        self.alpha.drover("vm", "start", "busy")
        self.console.wait_line("^drover-stress ready", 60)
        self.addCleanup(self.drop)

    def drop(self):
        for host in (self.alpha, self.beta):
            for shown in host.api("GET", "/v1/machines"):
                host.drover("vm", "stop", shown["name"], "--now", check=False)
                host.drover("vm", "forget", shown["name"], check=False)
        self.console.close()

    def beats_go_on(self):
        self.console.wait_line("^hb ", 5, after=len(self.console.lines))
        self.assertEqual(self.console.corrupt(), [])

    def move_in_background(self, *words):
        return self.alpha.drover("move", "busy", "beta", "--background", "--json", *words).json

    def job(self, job):
        return self.alpha.api("GET", f"/v1/jobs/{job['id']}")


@needs(*PROGRAMS, "guest/drover-stress.elf")
class BusyGuest(Case):
    """128 MiB, of which a quarter changes."""

    def convergence_is_as_it_was(self):
        """What the move told QEMU is not for the next migration."""
        qmp = QMP(os.path.join(self.alpha.run_dir, "machines", "busy", "qmp.sock"))
        self.addCleanup(qmp.close)
        states = {x["capability"]: x["state"] for x in qmp("query-migrate-capabilities")}
        told = qmp("query-migrate-parameters")
        self.assertFalse(states["auto-converge"])
        self.assertEqual([told[key] for key in (
            "throttle-trigger-threshold", "cpu-throttle-initial", "cpu-throttle-increment",
            "max-cpu-throttle")], [50, 20, 10, 99])
        self.assertEqual(told.get("avail-switchover-bandwidth", 0), 0)

    def test_the_time_out_ends_the_move_and_the_guest_stays(self):
        begin, taken = time.monotonic(), Stolen()
        answer = self.alpha.drover("move", "busy", "beta", "--timeout", "4s", check=False)
        self.assertEqual(answer.status, 5)
        self.assertLess(time.monotonic() - begin, 10 + taken.seconds())
        self.assertIn("time-out of 4.0 s: ", answer.stderr)
        again = self.alpha.drover("job", "set", self.alpha.newest_job()["id"],
                                  "--converge", "throttle", check=False)
        self.assertEqual(again.status, 8)
        self.assertEqual(self.alpha.newest_job()["state"], "failed")
        self.assertEqual(self.alpha.machine("busy")["state"], "running")
        # It ends its QEMU when it has heard of it.
        wait_for("an empty destination", lambda: not self.beta.api("GET", "/v1/machines"), 5)
        self.beats_go_on()
        self.convergence_is_as_it_was()

    @slow
    def test_force_pauses_the_guest_and_finishes(self):
        answer = self.alpha.drover("move", "busy", "beta", "--timeout", "4s",
                                   "--on-timeout", "force", timeout=60)
        self.assertEqual(answer.status, 0)
        job = self.alpha.newest_job()
        self.assertEqual(job["state"], "done")
        self.assertIn("paused at the time-out", " ".join(job["report"]["reasons"]))
        # 32 MiB of hot memory over 100 Mbit/s.
        self.assertGreater(job["report"]["downtime_ms"], 500)
        self.assertEqual(self.beta.machine("busy")["state"], "running")
        self.beats_go_on()

    def test_a_paused_move_leaves_the_guest_paused_until_it_is_started(self):
        self.alpha.drover("move", "busy", "beta", "--timeout", "3s", "--on-timeout", "force",
                          "--paused", timeout=60)
        self.assertEqual(self.beta.machine("busy")["state"], "paused")
        # Nothing ends it.
        self.assertIsNone(self.alpha.newest_job()["report"].get("pause"))
        beats = len(self.console.heartbeats())
        time.sleep(0.5)
        self.assertEqual(len(self.console.heartbeats()), beats)
        self.beta.drover("vm", "start", "busy")
        self.assertEqual(self.beta.machine("busy")["state"], "running")
        self.beats_go_on()

    def test_cancel_by_another_client_ends_the_move(self):
        job = self.alpha.drover("move", "busy", "beta", "--background", "--json").json
        time.sleep(1)
        self.alpha.drover("job", "cancel", job["id"])
        answer = self.alpha.drover("job", "watch", job["id"], check=False)
        self.assertEqual(answer.status, 3)
        self.assertEqual(self.alpha.newest_job()["state"], "cancelled")
        self.beats_go_on()
        again = self.alpha.drover("job", "cancel", job["id"], check=False)
        self.assertEqual(again.status, 8)
        self.assertIn("has ended already", again.stderr)

    def test_progress_tells_rounds_and_rates_and_never_falls(self):
        answer = self.alpha.drover("move", "busy", "beta", "--timeout", "5s", "--json", check=False)
        seen = [job["progress"] for job in answer.lines]
        percents = [p["percent"] for p in seen]
        self.assertEqual(percents, sorted(percents))
        self.assertGreater(max(p["round"] for p in seen), 1)
        # They do not fit into the limit, ever.
        self.assertEqual(seen[-2]["ends"], "never")
        # The 32 MiB of hot memory, once in each round of 3 s.
        self.assertGreater(max(p["dirty_rate"] for p in seen), 5 << 20)
        # 100 Mbit/s are 11.9 MiB/s.  A single sample may be more: what waited while
        # nobody read is read at once.
        rates = [p["rate"] for p in seen[2:]]
        self.assertLess(statistics.median(rates), 14 << 20, rates)
        self.assertGreater(max(rates), 9 << 20, rates)

    def test_what_is_no_way_to_converge_is_refused_in_words(self):
        for words, why in ((["postcopy"], "no post-copy: .*drover relay"),
                           (["pause"], "give one as well"),
                           (["pause,throttle", "--timeout", "9s"], "throttle before pause"),
                           (["none,pause"], "not both"),
                           (["faster"], "'faster' is not a step of converge"),
                           (["pause", "--timeout", "9s", "--on-timeout", "force"],
                            "not given beside converge")):
            with self.subTest(words=words):
                answer = self.alpha.drover("move", "busy", "beta", "--converge", *words,
                                           check=False)
                self.assertEqual(answer.status, 2)
                self.assertRegex(answer.stderr, why)
        self.assertEqual(self.alpha.machine("busy")["state"], "running")

    def test_compare_finds_nothing_in_the_way(self):
        answer = self.alpha.drover("compare", "busy", "beta", "--json")
        self.assertEqual(answer.json, {"ok": True, "findings": []})


@needs(*PROGRAMS, "guest/drover-stress.elf")
class Converge(Case):
    """So little that a round takes a second, and still more than the limit; and a guest
    that needs its processor for it, so that it is slower where it has less of that."""
    fill, hot, rate, reads = "16M", "10M", "24M", 1000000

    def test_none_says_so_after_the_second_round_and_a_throttle_ends_it(self):
        job = self.move_in_background()
        helpless = set()  # rounds in which it was too fast, and nobody said so

        def advised():
            seen = self.job(job)
            progress = seen["progress"]
            if not seen["advice"] and progress["dirty_rate"] > progress["rate"] > 0:
                helpless.add(progress["round"])
            return seen if seen["advice"] else None

        told = wait_for("an advice", advised, 30)
        self.assertRegex(told["advice"], r"does not converge: the guest dirties .*/s, the paths "
                                         r"carry .*/s: .*--converge throttle")
        # QEMU's first round is 1.  On a machine with other work the guest may not be
        # too fast before a later one, which may just have ended when it is asked.
        self.assertGreater(told["progress"]["round"], 1)
        self.assertLessEqual(len(helpless - {1}), 2, helpless)
        self.assertEqual(told["state"], "running")
        wait_for("the clock to say so",
                 lambda: self.job(job)["progress"]["ends"] == "never", 10)
        self.assertIsNone(self.job(job)["progress"]["time_left_ms"])
        # By no more than QEMU's least, which it can always do.
        self.assertLessEqual(told["progress"]["throttle"], 1)
        self.alpha.drover("job", "set", job["id"], "--converge", "throttle")
        wait_for("the advice to be taken back", lambda: not self.job(job)["advice"], 2)
        answer = self.alpha.drover("job", "watch", job["id"], timeout=90)
        self.assertEqual(answer.status, 0)
        report = self.job(job)["report"]
        self.assertGreater(report["throttle"], 10)
        self.assertIn(f"slowed down by up to {report['throttle']} %", " ".join(report["reasons"]))
        print(report["throttle"], report["downtime_ms"], report["pause"])
        self.assertLess(report["downtime_ms"], 500)
        self.assertAlmostEqual(sum(report["pause"].values()), report["downtime_ms"], delta=5)
        self.assertEqual(self.beta.machine("busy")["state"], "running")
        again = self.alpha.drover("job", "set", job["id"], "--converge", "none", check=False)
        self.assertEqual(again.status, 8)
        self.beats_go_on()

    def test_a_time_out_that_is_set_while_it_runs_pauses_the_guest(self):
        job = self.move_in_background()
        wait_for("the first round", lambda: self.job(job)["progress"]["round"], 10)
        refused = self.alpha.drover("job", "set", job["id"], "--converge", "pause", check=False)
        self.assertIn("give one as well", refused.stderr)
        self.alpha.drover("job", "set", job["id"], "--converge", "pause", "--timeout", "60s")
        refused = self.alpha.drover("job", "set", job["id"], "--timeout", "0s", check=False)
        self.assertIn("give one as well", refused.stderr)
        self.alpha.drover("job", "set", job["id"], "--timeout", "3s")
        answer = self.alpha.drover("job", "watch", job["id"], timeout=60)
        self.assertEqual(answer.status, 0)
        report = self.job(job)["report"]
        self.assertIn("paused at the time-out", " ".join(report["reasons"]))
        # 26 MiB over 100 Mbit/s at most.
        self.assertLess(report["total_ms"], 3000 + 1.5 * 26 / 11.9 * 1000)


@slow
@needs(*PROGRAMS, "guest/drover-stress.elf")
class Compared(unittest.TestCase):
    def test_a_guest_that_was_throttled_has_all_its_memory(self):
        """What QEMU has sent last of each page, against what the destination has: under TCG
        the source's own memory is no judge (docs/testing.md)."""
        lab = Lab()
        self.addCleanup(lab.close)
        guest = machine.stress_arguments(fill="16M", rate="24M", hot="10M")
        guest[-1] += " reads=1000000"
        pair = Pair(lab, links=1, rate="100mbit", memory="64M", guest=guest,
                    settings={"move": {"option": "tcp"}}).start()
        report = pair.move("--paused", "--converge", "throttle")["report"]
        verdict = pair.judge()
        print(f"throttle {report['throttle']} %, {report['rounds']} rounds; {verdict}")
        self.assertGreater(report["throttle"], 10)
        self.assertTrue(verdict.good, verdict)
        self.assertEqual(verdict.destination[0].missing, 0)


if __name__ == "__main__":
    unittest.main()
