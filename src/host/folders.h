/* SPDX-License-Identifier: MIT */

/*
 * How much a machine's folder holds.  It lies in memory, as /run does, and what
 * a guest prints without end would fill that for the whole host: so QEMU's log
 * is cut, and of a file that a serial line writes the older part is given up.
 * The file keeps its size and has a hole in front, since QEMU writes on at its
 * own place.
 *
 * Nothing else is touched: an image may lie there.  So this bounds a guest, not
 * a QEMU that a guest has taken over (docs/policy.md).
 */
#pragma once

#include <stdbool.h>

struct definition;
struct registry_text;

enum { FOLDER_LINE_MOST = 64 << 20, FOLDER_LINE_KEPT = 1 << 20 };

/* Is @name a file in @run_dir that a serial line, or another character device,
 * of the machine writes? */
bool folder_is_line(const struct definition *d, const char *run_dir,
		    const char *name);

void folder_bound(const struct registry_text *m);
