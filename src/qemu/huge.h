/* SPDX-License-Identifier: MIT */

/* Transparent huge pages: whether this host gives them, and a process has them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define HUGE_SWITCH "/sys/kernel/mm/transparent_hugepage/enabled"

/* They are switched off here for everybody. */
bool huge_are_off(void);
/* The process was started so that it has none, and this one was not. */
bool huge_are_refused(pid_t pid);
/* Why the process has none; false: nothing is known that would be in the way.
 */
bool huge_say_why(char *buf, size_t cap, pid_t pid);
