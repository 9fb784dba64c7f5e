/* SPDX-License-Identifier: MIT */

/*
 * Whether this host has a processor to spare, by /proc/stat (proc(5)): the idle
 * time of all processors over a tenth of a second or more.  Looked at only when
 * somebody asks: on a large host the file takes the kernel a while.
 *
 * One thread's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct idle {
	uint64_t asked_us;        /* 0: never */
	uint64_t began_us, ticks; /* the look that counts are taken from */
	bool spare;               /* as found last */
	const char *path;         /* NULL: /proc/stat */
};

/* At least a quarter of a processor was idle lately.  False while that is not
 * known: after a long time in which nobody asked. */
bool idle_spare(struct idle *i, uint64_t now_us);
