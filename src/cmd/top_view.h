/* SPDX-License-Identifier: MIT */

/*
 * What drover top shows: the state and a size in, lines out.  Nothing in here
 * asks the service, knows the time or writes to a terminal.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cmd/page.h"

enum top_sort { TOP_BY_NAME, TOP_BY_RATE, TOP_BY_LEFT, TOP_SORTS };

struct top_state {
	/* "host", "hosts", "jobs" as the API has them; "cards": a list of
	 * objects with "name", "up", "speed_mbit", and "transmit" and
	 * "receive", lists of bytes a second, of which null is a gap, the
	 * newest last; "processors" with "service" and "guests". */
	const json_t *seen;
	const char *clock; /* what time it is, for people */
	const char *old;   /* why @seen is not of now, with since when; NULL */
	const char *asks; /* a question of ours in place of the keys, or NULL */
	double interval;  /* seconds */
	enum top_sort sort;
	bool reverse;
	bool bytes; /* of cards, too: not bits */
	bool paused;
	bool help;
	size_t first; /* line of the body that is shown first */
};

/* Into @p, which has its width and is empty.  @rows: 0: as many as there are,
 * and no keys, for a pipe.  How far down @first may be. */
size_t top_draw(struct page *p, const struct top_state *s, int rows);
