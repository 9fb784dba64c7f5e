# SPDX-License-Identifier: MIT
"""Moves over real bonds, in a lab host."""
from lab import within

TIME_LIMIT = 600

within.labhost_file(globals(), "bonds.py", modules=["bonding", "veth", "bridge", "sch_tbf"],
                    kvm=True)
