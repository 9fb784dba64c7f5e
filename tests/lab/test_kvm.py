# SPDX-License-Identifier: MIT
"""Moves of guests under KVM, in a lab host with kernel 6.1."""
from lab import within

TIME_LIMIT = 420

within.labhost_file(globals(), "kvm.py", modules=["veth", "sch_tbf"], kvm=True)
