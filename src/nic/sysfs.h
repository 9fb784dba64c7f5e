/* SPDX-License-Identifier: MIT */

/*
 * What only /sys tells.  It shows the network namespace in which it was
 * mounted, which need not be ours: a card is looked at there only when its
 * index and its MAC are the same.
 */
#pragma once

struct inventory;

/* NUMA nodes and RDMA devices; what is not there stays not known. */
void sysfs_fill(struct inventory *inv);
