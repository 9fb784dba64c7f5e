/* SPDX-License-Identifier: MIT */

/* Sets of processors as the kernel writes them. */
#pragma once

#include <sched.h>

/* "0-3,8" of /sys; nothing for what is no such list. */
void cpus_read_list(cpu_set_t *ret, const char *text);
