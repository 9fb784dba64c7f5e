# SPDX-License-Identifier: MIT
"""Moves over bad links, in a lab host."""
from lab import within

TIME_LIMIT = 420

within.labhost_file(globals(), "links.py", modules=["veth", "sch_netem"],
                    packages=["iperf3", "ethtool"], kvm=True)
