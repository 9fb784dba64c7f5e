# SPDX-License-Identifier: MIT
"""The programs of the last release, for a test of old and new side by side.

NEWS.md names the commit (its first line `release: VERSION COMMIT`).  It is taken
out of this repository and built once, into ~/.cache/drover/release-COMMIT; whoever
comes while it is being built waits.
"""
import fcntl
import functools
import os
import re
import shutil
import subprocess
import unittest

from .core import ROOT, Failed

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "drover")
PROGRAMS = ("src/cmd/droverd", "src/cmd/drover")


def named(text):
    """(version, commit) of the last release, from the text of NEWS.md."""
    found = re.search(r"^release: (\S+) ([0-9a-f]{40})$", text, re.M)
    if not found:
        raise Failed("NEWS.md names no release: a line 'release: VERSION COMMIT'")
    return found.groups()


def last():
    with open(os.path.join(ROOT, "NEWS.md"), encoding="utf-8") as f:
        return named(f.read())


def git(*words):
    # A checkout of somebody else's, say in a container, is read all the same.
    return subprocess.run(["git", "-c", f"safe.directory={ROOT}", "-C", ROOT, *words],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


def make(commit, folder):
    """The sources of the commit, and their programs, in the folder."""
    sources = git("archive", "--format=tar", commit)
    subprocess.run(["tar", "-x", "-C", folder], input=sources.stdout, check=True)
    for argv in (["meson", "setup", "build"], ["ninja", "-C", "build", *PROGRAMS]):
        done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise Failed(f"the release {commit} does not build: {done.stdout[-600:]}")


@functools.lru_cache(None)
def built(commit=None):
    """The folder like BUILD of the last release, or of a commit; skips where there
    is none."""
    version, commit = ("a commit", commit) if commit else last()
    folder = os.path.join(CACHE, f"release-{commit}")
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "release.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(folder):
            return os.path.join(folder, "build")
        if git("cat-file", "-e", commit + "^{commit}").returncode:
            raise unittest.SkipTest(f"{version}, commit {commit[:12]}, is not in this clone: "
                                    "git fetch --unshallow")
        begun = folder + ".new"
        shutil.rmtree(begun, ignore_errors=True)
        os.makedirs(begun)
        make(commit, begun)
        os.rename(begun, folder)
    return os.path.join(folder, "build")
