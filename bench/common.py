# SPDX-License-Identifier: MIT
"""What every benchmark begins with."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def begin(build):
    """Namespaces of our own, and `lab` of the tests to import from."""
    os.environ["DROVER_BUILD"] = os.path.realpath(build)
    sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
    sys.dont_write_bytecode = True
    from lab import core
    core.own_namespaces()
