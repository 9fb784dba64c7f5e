/* SPDX-License-Identifier: MIT */

/*
 * How many files this process may have open.  The soft limit is low for the
 * sake of programs that use select(2); this one does not, and takes all that
 * the hard limit allows.  What it starts gets the limit of before.
 */
#pragma once

#include <sys/types.h>

void descriptors_raise(void); /* before the first thread starts */
void descriptors_restore(pid_t child);
/* The soft limit as it is now. */
int descriptors_limit(void);
