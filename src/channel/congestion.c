/* SPDX-License-Identifier: MIT */
#include "channel/congestion.h"

#include <stddef.h>
#include <string.h>

enum {
	NEAR_US = 1000,    /* as far as another end of a building */
	QUEUES_US = 20000, /* what is sent waits somewhere for that long */
	/* Packets that are lost at a beginning, and one in so many later. */
	LOST_FREE = 8,
	LOST_PART = 10000,
};

/* bbr, and the versions of it that are no part of the kernel. */
static bool paces(const char *name)
{
	return strncmp(name, "bbr", 3) == 0;
}

const char *const *congestion_first(const char *own)
{
	static const char *const near[] = { "cubic", "reno", NULL };

	return paces(own) ? near : &near[2];
}

static bool is_near(const struct congestion_case *k)
{
	return k->least_rtt_us < NEAR_US && k->rtt_us < QUEUES_US &&
	       k->again <= LOST_FREE + k->packets / LOST_PART;
}

const char *congestion_next(const struct congestion_case *k)
{
	if (!strcmp(k->wish, "host"))
		return k->own;
	if (strcmp(k->wish, "auto") != 0)
		return k->wish;
	return paces(k->own) && !paces(k->now) && is_near(k) ? k->now : k->own;
}
