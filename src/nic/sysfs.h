/* SPDX-License-Identifier: MIT */

/*
 * What only /sys tells.  It shows the network namespace in which it was
 * mounted, which need not be ours: a card is looked at there only when its
 * index and its MAC are the same.
 */
#pragma once

#include <stdbool.h>

struct inventory;
struct nic;

/* Does /sys show this very card? */
bool sysfs_shows(const struct nic *n);

/* NUMA nodes and RDMA devices; what is not there stays not known. */
void sysfs_fill(struct inventory *inv);
