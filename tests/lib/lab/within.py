# SPDX-License-Identifier: MIT
"""A file of tests that is run within a lab host, and counted out here.

tests/lab/test_bonds.py:

    from lab import within
    TIME_LIMIT = 300
    within.labhost_file(globals(), "bonds.py", modules=["bonding"], packages=["ethtool"])

tests/lab/within/bonds.py is an ordinary file of tests: two daemons in namespaces, as
everywhere.  It is loaded out here for the names of its tests only; for each there is one
here which waits for what became of it there.  All of a file have one lab host, and one
after the other, so what a test changes there (a module's parameter, a namespace) it puts
back.
"""
import json
import os
import sys
import unittest

from . import core, labhost
from .suite import PATTERNS, load

OFF = "boots lab hosts, which takes minutes: make lab, or make test LAB=1"


def labhosts(test):
    """For a class or a test that boots lab hosts: skip where they are not wanted."""
    return unittest.skipUnless(os.environ.get(labhost.SWITCH), OFF)(test)


class There:
    """The lab host of a file, and what its tests came to."""

    def __init__(self, path, limit, options):
        self.path, self.limit, self.options = path, limit, options
        self.lab = self.host = self.begun = self.why = None

    def start(self):
        """At the first test that is not left out."""
        if self.lab or self.why:
            return
        self.lab = core.Lab()
        try:
            self.host, = labhost.boot(self.lab, **self.options)
            self.lab.cleanup(self.show)
        except labhost.Impossible as e:
            self.why = str(e)
            return
        words = " ".join(["$0", "-m", "lab.suite", self.path, "results", '"$@"',
                          ">log", "2>&1"])
        self.begun = self.host.begin(
            "sh", "-c", words, sys.executable, *patterns(), timeout=self.limit, check=False)

    def ended(self):
        return self.begun.ended.is_set()

    def read(self, name):
        """What is known of a test: its line, or None."""
        path = os.path.join(self.host.folder, "results")
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f if line.endswith("\n")]
        # One that failed in parts of it has a line for each of these, and no other.
        own = [x for x in lines if x["test"] == name or x["test"].startswith(f"{name} ")]
        return next((x for x in own if x["outcome"] == "failed"), own[0] if own else None)

    def result(self, name):
        self.start()
        if self.why:
            raise unittest.SkipTest(self.why)
        core.wait_for(f"{name} in the lab host", lambda: self.read(name) or self.ended(),
                      self.limit, 0.2)
        line = self.read(name)
        if line:
            return line
        return {"outcome": "failed", "reason": f"it did not come to it: {self.host.state()}"}

    def close(self):
        if not self.lab:
            return
        if self.begun and not self.ended():
            self.begun.ended.wait(20)
        self.lab.close()

    def show(self):
        """What was said in the lab host, also where the suite is ended from outside."""
        log = os.path.join(self.host.folder, "log")
        if os.path.exists(log):
            with open(log, encoding="utf-8", errors="replace") as f:
                print(f.read(), flush=True)


def patterns():
    return json.loads(os.environ.get(PATTERNS, "[]"))


def tests(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from tests(one)
        else:
            yield one


def method(there, name):
    def test(self):
        line = there.result(name)
        if line["outcome"] == "skipped":
            self.skipTest(line["reason"])
        if line["outcome"] != "passed":
            self.fail(f"{line['reason']} (in the lab host: its log is above)")
    return test


def labhost_file(suite, name, limit=None, **options):
    """Put the classes of tests/lab/within/NAME, and what goes with them, into the names
    of a suite.  The options are those of labhost.boot()."""
    path = os.path.join(os.path.dirname(suite["__file__"]), "within", name)
    there = There(path, limit or suite["TIME_LIMIT"] - 20, options)
    for test in tests(unittest.defaultTestLoader.loadTestsFromModule(load(path))):
        kind, called = type(test).__name__, test.id().rsplit(".", 1)[-1]
        if kind not in suite:
            suite[kind] = labhosts(type(kind, (unittest.TestCase,),
                                        {"__module__": suite["__name__"]}))
        setattr(suite[kind], called, method(there, f"{kind}.{called}"))
    suite["tearDownModule"] = there.close
