# SPDX-License-Identifier: MIT
"""A Host whose daemon runs in a lab host, for a test out here.

    beta = Resident(lab, "beta", ["10.78.0.1"])     # before the lab host is booted
    host, = labhost.boot(lab, ...)
    beta.live_in(host).start()

Its settings and folders are under lab.dir as everybody's: the lab host sees what was there
when it was booted, and writes above it.
"""
from .core import Failed, wait_for
from .host import PROGRAMS, Answer, Host


class Resident(Host):
    def __init__(self, lab, name, addresses, **options):
        super().__init__(lab, name, None, addresses, **options)
        self.labhost = self.begun = None

    def live_in(self, labhost):
        self.labhost = labhost
        return self

    def start(self, timeout=60, fault=None):
        """The settings are those that were written before it was booted."""
        self.begun = self.labhost.begin(
            "sh", "-c", 'exec "$0" -c "$1" 2>droverd.log', f"{self.build}/{PROGRAMS[0]}",
            self.config, timeout=3600, check=False,
            environ={"DROVER_FAULT": fault} if fault else None)
        self.log = f"{self.labhost.folder}/droverd.log"

        def answers():
            if self.begun.ended.is_set():
                raise Failed(f"droverd {self.name} ended: {self.log_text()[-800:]}")
            return self.drover("host", "show", check=False).status == 0
        wait_for(f"droverd {self.name}", answers, timeout, 0.3)
        return self

    def drover(self, *words, check=True, timeout=120, stdin=None):
        done = self.labhost.run(*self.drover_argv(*words), check=check, timeout=timeout,
                                stdin=stdin)
        return Answer(done.returncode, done.stdout, done.stderr)

    def close(self):
        """It goes with its lab host."""
