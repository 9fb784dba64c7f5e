/* SPDX-License-Identifier: MIT */

/*
 * What drivers tell: by the kernel's ethtool messages (speed, queues, features)
 * and, for what has no message in every kernel that counts, by ioctl (receive
 * hash key and table, driver).
 */
#pragma once

struct error;
struct inventory;

/* Into the cards of @inv.  A driver, or a kernel, that does not know a thing
 * leaves it as it is; only without memory does this fail. */
int ethtool_fill(struct inventory *inv, struct error *e);
