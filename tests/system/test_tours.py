# SPDX-License-Identifier: MIT
"""The tours of CONTRIBUTING.md: what a stranger changes to add something.

Each is a heading "### To add a THING: at most N files" with one block of
```diff below it.  Every diff has to apply to the tree as it is, change no more
files that exist than its heading says, and the tree with all of them has to
build and do what they promise.
"""
import os
import re
import shutil
import subprocess
import unittest

from lab.core import Lab, ROOT, slow

TIME_LIMIT = 600
PARALLEL = True

TOUR = re.compile(r"^### To add (?:a|an) (?P<thing>.+?): at most (?P<most>\d+) files\n"
                  r"(?P<text>.*?)^```diff\n(?P<diff>.*?)^```$", re.M | re.S)
LEAST = {"channel kind", "command", "setting", "message"}


def tours():
    with open(os.path.join(ROOT, "CONTRIBUTING.md"), encoding="utf-8") as f:
        return {m["thing"]: (int(m["most"]), m["diff"]) for m in TOUR.finditer(f.read())}


def run(*command, cwd, **more):
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, check=False, **more)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


class Tours(unittest.TestCase):
    def setUp(self):
        lab = Lab()
        self.addCleanup(lab.close)
        self.tree = lab.dir
        files = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).split("\n")
        for path in filter(None, files):
            if os.path.exists(os.path.join(ROOT, path)):
                os.makedirs(os.path.dirname(os.path.join(self.tree, path)), exist_ok=True)
                shutil.copy2(os.path.join(ROOT, path), os.path.join(self.tree, path))

    def apply(self, thing, diff):
        run("git", "apply", "--unsafe-paths", "-p1", "-", cwd=self.tree, input=diff)

    def test_each_changes_as_few_files_as_it_says(self):
        found = tours()
        self.assertLessEqual(LEAST, set(found))
        for thing, (most, diff) in found.items():
            with self.subTest(thing=thing):
                changed = [m for m in re.findall(r"^--- (\S+)", diff, re.M) if m != "/dev/null"]
                self.assertGreater(len(changed), 0)
                self.assertLessEqual(len(changed), most, changed)

    @slow
    def test_they_apply_build_and_work(self):
        for thing, (_, diff) in tours().items():
            with self.subTest(thing=thing):
                self.apply(thing, diff)
        run("meson", "setup", "build", cwd=self.tree)
        run("ninja", "-C", "build", "src/cmd/drover", "src/cmd/droverd",
            "tests/unit/test_documents", cwd=self.tree)
        run("build/tests/unit/test_documents", "docs", cwd=self.tree)
        drover = os.path.join(self.tree, "build/src/cmd/drover")
        self.assertIn("host time", run(drover, "--help", cwd=self.tree))
        run("tools/check-layers", cwd=self.tree)


if __name__ == "__main__":
    unittest.main()
