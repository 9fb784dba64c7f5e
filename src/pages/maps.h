/* SPDX-License-Identifier: MIT */

/* Where a process may have a block of RAM, by the text of /proc/PID/maps. */
#pragma once

#include <stdint.h>

enum { MAPS_FOUND_MAX = 64 };

/*
 * QEMU maps a block that is no file as private, anonymous memory of its own,
 * with a page behind it that nobody may touch: so the mapping is exactly as
 * long as the block, and grows together with no other.  @ret has the addresses
 * of all that are private, writable, anonymous and @len_bytes long, in
 * ascending order.  How many; more than MAPS_FOUND_MAX are not told apart.
 */
unsigned maps_find(const char *text, uint64_t len_bytes,
		   uint64_t ret[MAPS_FOUND_MAX]);
