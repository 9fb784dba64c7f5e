# SPDX-License-Identifier: MIT
"""Run one file of tests and write down what became of each test.

    python3 -m lab.suite FILE RESULTS [PATTERN]

RESULTS gets a JSON object per line as soon as a test ends, so that the tests
that ran are known also when the suite is ended from outside.
"""
import importlib.util
import json
import os
import sys
import time
import unittest

from . import core

# The patterns that a test has to match, for those that run it elsewhere.
PATTERNS = "DROVER_PATTERNS"


class Recorder(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.file = open(os.environ["DROVER_RESULTS"], "a", encoding="utf-8")
        self.began = time.monotonic()

    def note(self, test, outcome, reason=""):
        name = test.id().split(".", 1)[-1] if hasattr(test, "id") else str(test)
        json.dump({"test": name, "outcome": outcome, "reason": reason,
                   "seconds": round(time.monotonic() - self.began, 2)}, self.file)
        self.file.write("\n")
        self.file.flush()

    def stopTestRun(self):
        super().stopTestRun()
        self.file.close()

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "passed")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note(test, "passed")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "failed", "passes, and was expected to fail")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "failed", str(err[1]))

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "failed", f"{err[0].__name__}: {err[1]}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(subtest, "failed", str(err[1]))


def load(path):
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main():
    path, results, *pattern = sys.argv[1:]
    os.environ["DROVER_RESULTS"] = results
    loader = unittest.TestLoader()
    if pattern:
        os.environ[PATTERNS] = json.dumps(pattern)
        loader.testNamePatterns = [f"*{p}*" for p in pattern]
    tests = loader.loadTestsFromModule(load(path))
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Recorder)
    try:
        return 0 if runner.run(tests).wasSuccessful() else 1
    except KeyboardInterrupt:
        core.close_all()
        os._exit(130)  # threads of the test may wait for what never comes


if __name__ == "__main__":
    sys.exit(main())
