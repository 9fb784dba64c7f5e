# SPDX-License-Identifier: MIT
"""A guest with -numa, in a lab host of two NUMA nodes with a processor each."""
from lab import within

TIME_LIMIT = 600

NODES = [word for node in (0, 1) for word in (
    "-object", f"memory-backend-ram,id=node{node},size=768M",
    "-numa", f"node,nodeid={node},cpus={node},memdev=node{node}")]

within.labhost_file(globals(), "numa.py", modules=["veth", "sch_tbf"], memory="1536M",
                    arguments=NODES)
