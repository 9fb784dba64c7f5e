/* SPDX-License-Identifier: MIT */
#include "session/idle.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/scope.h"

enum {
	WINDOW_US = 100000,
	STALE_US = 400000,
};

static const double spare_least = 0.25; /* processors */

/* Ticks of all processors in idle and iowait. */
static bool read_ticks(const struct idle *i, uint64_t *ret)
{
	AUTO_CLOSE int fd =
		open(i->path ? i->path : "/proc/stat", O_RDONLY | O_CLOEXEC);
	uint64_t idle, iowait;
	char text[256];
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* user, nice, system, idle, iowait */
	if (sscanf(text, "cpu %*u %*u %*u %" SCNu64 " %" SCNu64, &idle,
		   &iowait) != 2)
		return false;
	*ret = idle + iowait;
	return true;
}

bool idle_spare(struct idle *i, uint64_t now_us)
{
	bool stale = i->asked_us == 0 || now_us - i->asked_us > STALE_US;
	uint64_t ticks, took = now_us - i->began_us;
	double each = (double)USEC_PER_SEC / (double)sysconf(_SC_CLK_TCK);

	i->asked_us = now_us;
	if (!stale && took < WINDOW_US)
		return i->spare;
	if (!read_ticks(i, &ticks))
		return false;
	i->spare =
		!stale && ticks > i->ticks &&
		(double)(ticks - i->ticks) * each >= spare_least * (double)took;
	i->began_us = now_us;
	i->ticks = ticks;
	return i->spare;
}
