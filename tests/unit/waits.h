/* SPDX-License-Identifier: MIT */

/* Waiting for what another thread, or the kernel, does in its own time. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* Before one looks again. */
static inline void wait_moment(void)
{
	poll(NULL, 0, 1);
}

/* Looks until it is so; one that hangs is ended by who started the test. */
#define WAIT_UNTIL(what) \
	do { \
		while (!(what)) \
			wait_moment(); \
	} while (0)

/* Whether a thread of this process waits for something. */
static inline bool is_asleep(pid_t tid)
{
	char path[64], state = 'R';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'R';
		fclose(f);
	}
	return state == 'S';
}
