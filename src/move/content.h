/* SPDX-License-Identifier: MIT */

/*
 * The sum of a file's content, kept until the file changes (device, inode,
 * size, time of the change).  Any thread may ask.
 */
#pragma once

#include <stdint.h>

struct error;

enum { CONTENT_SUM_SIZE = 33 }; /* XXH3-128 in hex digits */

/* -EFBIG for one that is larger than @most bytes; -EINVAL for what is not a
 * regular file, or is empty. */
int content_sum(char ret[CONTENT_SUM_SIZE], const char *path, uint64_t most,
		struct error *e);
