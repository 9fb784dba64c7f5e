/* SPDX-License-Identifier: MIT */

/*
 * This host and its peers, for who looks: what each told last, and when.
 *
 * Who looks waits for nobody: it gets what is known, and where that is older
 * than some seconds a thread asks all peers (host/facts.h), for whoever looks
 * next.  So peers are asked only while somebody looks, and never more often,
 * however many do.  The lock in here is taken alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ini.h"
#include "base/shape.h"
#include "host/host_view.h"

struct host;
struct hosts;

struct hosts_one {
	char name[INI_NAME_CAP];
	bool here;        /* the one that was asked */
	bool old;         /* what follows is not of now, if there is any */
	uint64_t seen_us; /* when it told that, since 1970; 0: it never has */
	char why[240];    /* it did not tell last time; empty: it did */
	char closed[200]; /* why it takes no machine; empty: it does */
	unsigned cpus, running; /* running: machines */
	double load;            /* of its processors; 1: all of them */
	struct host_memory_view memory;
};

struct hosts_all {
	bool asking; /* news may be on their way */
	struct hosts_one *at;
	size_t count;
};

extern const struct shape hosts_shape;

static inline void hosts_all_done(struct hosts_all *a)
{
	shape_done(&hosts_shape, a);
}

struct hosts *hosts_new(struct host *h); /* NULL: no memory */
void hosts_stop(struct hosts *s);        /* waits for an answer, some seconds */
void hosts_free(struct hosts *s);        /* stopped; NULL is fine */
