# SPDX-License-Identifier: MIT
"""RDMA between two lab hosts (rxe): pages are written by the card, and go over TCP when
that breaks."""
import json
import os
import threading
import time
import unittest

from lab import BUILD, Failed, Lab, labhost, wait_for, within
from lab.machine import STRESS

TIME_LIMIT = 1500
MEMORY, FILL = 96, 56
PAGES = FILL << 20
ENOUGH = 0.3  # of the pages, before something is done to them
LET_GO_S = 30  # of a device; without that it is never, and this a loaded machine's time


class Daemon:
    """droverd in a lab host."""

    def __init__(self, host, name):
        self.host, self.name, self.begun = host, name, None
        self.dir = f"/run/{name}"

    def start(self, other, keys="", peer="tls = off", sections="", limit="unlimited",
              fault=None):
        config = (f"[host]\nname = {self.name}\nstate-directory = {self.dir}/state\n"
                  f"run-directory = {self.dir}/run\nsocket = {self.dir}/sock\n"
                  f"policy = open\n{keys}\n"
                  f"[peer {other.name}]\naddress = 10.78.0.{other.host.number}\n{peer}\n"
                  f"may = move-in, return, compare, plan, state, relay\n{sections}\n")
        script = (f"mkdir -p {self.dir}/state {self.dir}/run; cat >{self.dir}/conf; "
                  # as its unit has it
                  f"ulimit -l {limit}; exec setpriv --bounding-set=-ipc_lock "
                  f"{BUILD}/src/cmd/droverd -c {self.dir}/conf "
                  f">{self.dir}/log 2>&1")
        self.begun = self.host.begin("sh", "-c", script, stdin=config, timeout=TIME_LIMIT,
                                     check=False,
                                     environ={"DROVER_FAULT": fault} if fault else None)
        wait_for(f"droverd {self.name}", self.answers, 60)

    def answers(self):
        if self.begun.ended.is_set():
            raise Failed(f"droverd {self.name} ended: {self.log()}")
        return self.drover("host", "show", check=False).returncode == 0

    def drover(self, *words, check=True, timeout=240):
        return self.host.run(f"{BUILD}/src/cmd/drover", "-S", f"{self.dir}/sock", *words,
                             check=check, timeout=timeout)

    def log(self):
        return self.host.run("cat", f"{self.dir}/log", check=False).stdout

    def job(self):
        """Its newest; {}: it has none yet."""
        jobs = json.loads(self.drover("job", "list", "--json").stdout)
        return max(jobs, key=lambda j: j["started"], default={})

    def signal(self, name):
        self.host.run("pkill", f"-{name}", "-f", f"^{BUILD}/src/cmd/droverd -c {self.dir}/conf")

    def clear(self):
        """Nothing of it is left, nor of its machine: in this lab host there is no other."""
        if self.begun and not self.begun.ended.is_set():
            self.signal("TERM")
            self.begun.wait()
        self.host.run("sh", "-c", f"pkill -KILL -x qemu-system-x86; rm -rf {self.dir}")


class Base(unittest.TestCase):
    KERNEL = "6.1"
    CARDS = 1
    MODE = "tcp"

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        try:
            cls.hosts = labhost.boot(
                cls.lab, hosts=2, cards=cls.CARDS, mtu=9000, kvm=True, memory="768M",
                kernel=cls.KERNEL, modules=["rdma_rxe", "rdma_ucm", "ib_uverbs"],
                packages=["librdmacm1", "ibverbs-providers", "rdmacm-utils"])
        except labhost.Impossible as e:
            raise unittest.SkipTest(str(e)) from None

    def setUp(self):
        self.source, self.target = Daemon(self.hosts[0], "alpha"), Daemon(self.hosts[1], "beta")
        for daemon in (self.source, self.target):
            self.addCleanup(self.device, daemon, False)
            self.addCleanup(daemon.clear)

    def device(self, daemon, there):
        """New ones for each test: they do not survive a link that was down."""
        run = daemon.host.run
        for card in range(self.CARDS):
            run("ip", "link", "set", f"eth{card}", "up")
            if f"rxe{card}" in run("rdma", "link", check=False).stdout:
                run("rdma", "link", "delete", f"rxe{card}", check=False)
            if there:
                run("rdma", "link", "add", f"rxe{card}", "type", "rxe", "netdev",
                    f"eth{card}")

    def begin(self, devices=(True, True), fault=None, **keys):
        for daemon, there in zip((self.source, self.target), devices):
            self.device(daemon, there)
        self.source.start(self.target, fault=fault, **keys)
        self.target.start(self.source, **keys)
        self.define()

    def define(self):
        console = "/run/console"
        for daemon in (self.source, self.target):
            daemon.host.run("rm", "-f", console)
        text = ("[machine]\nname = demo\nvcpus = 1\nmachine = pc\naccelerator = kvm\n"
                f"memory = {MEMORY}M\narguments = -nodefaults -display none -kernel {STRESS} "
                f"-append 'fill={FILL}M content=random rate=512K hot=2M heartbeat=200 seed=1 "
                f"verify=16M touch=page' -serial file:{console}\n")
        self.source.host.run("sh", "-c", f"cat >{self.source.dir}/demo", stdin=text)
        self.source.drover("vm", "define", f"{self.source.dir}/demo")
        self.source.drover("vm", "start", "demo")
        wait_for("the guest", lambda: "ready" in self.console(self.source), 120)

    def console(self, daemon):
        return daemon.host.run("cat", "/run/console", check=False).stdout

    def move(self, *words, check=True):
        return self.source.drover("move", "demo", self.target.name, "--mode", self.MODE,
                                  *words, check=check)

    def move_and(self, act):
        """Do that once enough of the pages have gone by RDMA; the report."""
        ended, before = [], self.source.job().get("id")
        moving = threading.Thread(target=lambda: ended.append(self.move(check=False)))
        moving.start()
        try:
            wait_for("pages by RDMA", lambda: self.rdma(before) > ENOUGH * PAGES or ended, 200)
            act()
        finally:
            moving.join()
        self.assertEqual(ended[0].returncode, 0, ended[0].stderr + self.source.log()[-2000:])
        return self.source.job()["report"]

    def rdma(self, before):
        """Bytes of pages so far, by what the job after that one says."""
        job = self.source.job()
        return 0 if job.get("id") == before else (job.get("progress") or {}).get("rdma", 0)

    def check_whole(self):
        """The guest has looked at all of its memory there, and none is another."""
        def verified():
            lines = [dict(w.split("=") for w in line.split()[2:] if "=" in w)
                     for line in self.console(self.target).split("\n")[:-1]
                     if line.startswith("hb ") and "corrupt=" in line]
            for line in lines:
                self.assertEqual(line["corrupt"], "0")
            return lines and int(lines[-1]["verified"]) - int(lines[0]["verified"]) > PAGES // 4096
        wait_for("the guest to look at its memory", verified, 240)

    def by_rdma(self):
        self.begin()
        shown = self.source.drover("nic", "show", "eth0").stdout
        self.assertRegex(shown, r"(?s)RDMA device +rxe0.*RDMA kind +RoCE\n.*ACTIVE")
        # It has 5 s to find out, and at first both load their libraries over 9p.
        wait_for("a queue pair for the plan", lambda: "pages would go by it" in
                 self.source.drover("nic", "plan", "beta").stdout, 60, 0.5)
        self.move("--rdma", "require")
        report = self.source.job()["report"]
        pages = report["bytes"]["raw"]
        by_rdma = sum(p["rdma"] for p in report["paths"])
        there = self.target.job()["progress"]["rdma"]
        print(f"pages {pages}, by RDMA {by_rdma}, of them there {there}")
        self.assertEqual(there, by_rdma)
        self.assertGreater(by_rdma, 0.95 * pages)
        self.check_whole()
        for daemon in (self.source, self.target):  # which have no use for it now
            self.remove(daemon)

    def remove(self, daemon):
        """The command waits for all who have the device open: droverd lets go of it, and
        goes on."""
        begin = time.monotonic()
        daemon.host.run("rdma", "link", "delete", "rxe0", timeout=LET_GO_S)
        print(f"{daemon.name}: its device is removed after {time.monotonic() - begin:.1f} s")
        self.assertTrue(daemon.answers())

    def down(self):
        self.source.host.run("ip", "link", "set", "eth0", "down")
        time.sleep(3)  # it shall be down for so long
        self.source.host.run("ip", "link", "set", "eth0", "up")

    def interrupted(self, act, within_log):
        self.begin()
        report = self.move_and(act)
        by_rdma = sum(p["rdma"] for p in report["paths"])
        self.assertLess(by_rdma, 0.95 * report["bytes"]["raw"])
        self.assertRegex(" ".join(report["reasons"]), within_log)
        self.check_whole()


@within.labhosts
class TwoHosts(Base):
    def test_pages_are_written_by_the_card_and_the_guest_is_whole(self):
        self.by_rdma()

    def test_the_sources_device_is_removed(self):
        self.interrupted(lambda: self.remove(self.source),
                         "interrupted: the RDMA device was removed")

    def test_the_destinations_device_is_removed(self):
        self.interrupted(lambda: self.remove(self.target), "interrupted: ")

    def test_the_destination_is_stopped_for_a_while(self):
        def stop():
            self.target.signal("STOP")
            time.sleep(5)  # it shall be silent for so long
            self.target.signal("CONT")
        self.interrupted(stop, "interrupted: ")

    def test_the_link_is_down_for_a_while(self):
        self.interrupted(self.down, "interrupted: ")

    def test_who_does_not_know_the_secret_is_refused(self):
        self.begin(fault="rdma:dial=wait:/run/go")
        self.addCleanup(self.source.host.run, "rm", "-f", "/run/go", "/run/go.reached")
        moving = self.source.host.begin(
            f"{BUILD}/src/cmd/drover", "-S", f"{self.source.dir}/sock", "move", "demo", "beta",
            "--mode", "tcp", timeout=240)
        self.source.host.run("sh", "-c", "until [ -e /run/go.reached ]; do sleep 0.05; done")
        listening = json.loads(self.target.host.run("rdma", "-j", "resource", "show",
                                                    "cm_id").stdout)
        port = next(str(c["src-addr"]).rsplit(":", 1)[-1] if ":" in str(c["src-addr"])
                    else str(c["src-port"]) for c in listening if c.get("state") == "LISTEN")
        stranger = self.source.host.run("rping", "-c", "-a", "10.78.0.2", "-p", port, "-C", "1",
                                        check=False, timeout=20)
        self.assertNotEqual(stranger.returncode, 0)
        self.source.host.run("touch", "/run/go")
        moving.wait()
        self.assertGreater(sum(p["rdma"] for p in self.source.job()["report"]["paths"]), 0)
        self.assertIn("without the secret were refused", self.target.log())

    def refused(self, why, *words, **keys):
        self.begin(**keys)
        ended = self.move(*words, check=False)
        self.assertEqual((ended.returncode, len(ended.stderr.strip().splitlines())), (8, 1),
                         ended.stderr)
        self.assertRegex(ended.stderr, why)
        self.assertEqual(json.loads(self.target.drover("vm", "list", "--json").stdout), [])
        self.assertIn("running", self.source.drover("vm", "list").stdout)

    def test_required_without_a_device_here(self):
        self.refused("10.78.0.1 is no address of an RDMA device|no RDMA device",
                     "--rdma", "require", devices=(False, True))

    def test_required_without_a_device_there(self):
        self.refused("10.78.0.2 is no address of an RDMA device|no RDMA device",
                     "--rdma", "require", devices=(True, False))

    def test_required_with_too_little_locked_memory(self):
        self.refused("4M more of locked memory.*limit is 1M: set LimitMEMLOCK=infinity",
                     "--rdma", "require", limit="1024")

    def test_off_means_off_and_the_report_is_silent(self):
        self.begin()
        self.move("--rdma", "off")
        report = self.source.job()["report"]
        self.assertEqual(sum(p["rdma"] for p in report["paths"]), 0)


@within.labhosts
class TwoDevices(Base):
    CARDS = 2
    MODE = "multichannel"

    def move_over_both(self, *words):
        """The guest over both cards; (the report's paths by the card here, raw bytes)."""
        self.move(*words)
        report = self.source.job()["report"]
        print("reasons:", report["reasons"])
        paths = {p["from_nic"]: p for p in report["paths"] if p["state"] == "used"}
        for name, path in sorted(paths.items()):
            print(f"{name}: by RDMA {path['rdma']}, by TCP {path['bytes']}; {path['reason']}")
        self.assertEqual(set(paths), {"eth0", "eth1"}, report["paths"])
        self.check_whole()
        return paths, report["bytes"]["raw"]

    def test_both_devices_carry_pages(self):
        self.begin()
        paths, raw = self.move_over_both("--rdma", "require")
        # A lane's pages go by TCP until its queue pair is open, so how many of all do depends
        # on how long the second one takes.
        for path in paths.values():
            self.assertGreater(path["rdma"], 0.1 * raw)

    def test_one_card_carries_by_rdma_and_the_other_by_tcp(self):
        self.begin()
        for daemon in (self.source, self.target):
            daemon.host.run("rdma", "link", "delete", "rxe1", timeout=LET_GO_S)
        paths, raw = self.move_over_both()
        self.assertGreater(paths["eth0"]["rdma"], 0.1 * raw)
        self.assertEqual(paths["eth1"]["rdma"], 0)
        self.assertGreater(paths["eth1"]["bytes"], 0.1 * raw)


@within.labhosts
class NewerKernel(Base):
    """Its rxe is another one."""
    KERNEL = "6.12"

    def test_pages_are_written_by_the_card_and_the_guest_is_whole(self):
        self.by_rdma()

    def test_the_link_is_down_for_a_while(self):
        self.interrupted(self.down, "interrupted: ")


if __name__ == "__main__":
    unittest.main()
