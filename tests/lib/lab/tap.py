# SPDX-License-Identifier: MIT
"""Recording what a QEMU writes into its migration socket (see tests/lib/tap.c)."""
import glob
import os

from .core import BUILD

LIBRARY = os.path.join(BUILD, "tests", "lib", "libtap.so")


def environ(match, file):
    """Environment of a QEMU whose connections to *match are recorded."""
    return {"LD_PRELOAD": LIBRARY, "DROVER_TAP_MATCH": match, "DROVER_TAP_FILE": file}


# Memory that a test holds open is there when its QEMU has gone.  Drover's own is
# private: that of a machine which is started, and not of one that comes, is made
# shared behind its back.
SHARES = """
case " $* " in
*" -incoming "*) ;;
*)
    for word; do
        shift
        case $word in
        memory-backend-ram,*,share=off,*)
            word=memory-backend-memfd${word#memory-backend-ram}
            word=${word%%,share=off,*},share=on,${word#*,share=off,} ;;
        esac
        set -- "$@" "$word"
    done ;;
esac
"""


class Tap:
    """A wrapper to give as `qemu` to a machine: every process of it records
    into files of its own, FOLDER/tap.PID.N.

    shares: see above."""

    def __init__(self, lab, qemu="/usr/bin/qemu-system-x86_64", match="migrate.sock",
                 shares=False):
        self.folder = lab.fast
        self.program = lab.path(f"qemu-tapped-{len(glob.glob(lab.path('qemu-tapped-*')))}")
        with open(self.program, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n")
            for name, value in environ(match, f"{self.folder}/tap.$$").items():
                f.write(f'{name}="{value}"\nexport {name}\n')
            f.write(SHARES if shares else "")
            f.write(f'exec {qemu} "$@"\n')
        os.chmod(self.program, 0o755)

    def files(self, pid):
        """Every recorded connection of a process, in the order they were made."""
        found = glob.glob(f"{self.folder}/tap.{pid}.*")
        return sorted(found, key=lambda path: int(path.rsplit(".", 1)[1]))

    def stream(self, pid):
        """The main stream of the process's last migration."""
        main = []
        for path in self.files(pid):
            with open(path, "rb") as f:
                if f.read(4) == b"QEVM":
                    main.append(path)
        if not main:
            raise AssertionError(f"QEMU {pid} has sent no migration stream")
        return main[-1]
