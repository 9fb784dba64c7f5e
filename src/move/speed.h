/* SPDX-License-Identifier: MIT */

/*
 * How fast memory travels over a move as a whole, for its estimate: over the
 * last half of the time that it has run, where rounds.h asks for the last
 * moments.  Pages that hold nothing are counted apart, by the time that looking
 * at them takes.
 */
#pragma once

#include <stdint.h>

enum { SPEED_POINTS = 32 };

struct speed_point {
	uint64_t at_us, data, zero; /* bytes so far */
};

struct speed {
	struct speed_point at[SPEED_POINTS]; /* the oldest first */
	unsigned count;
	uint64_t apart_us;  /* two points */
	uint64_t zero_rate; /* bytes a second, the most that was seen */
	uint64_t among;     /* bytes of nothing that came among content */
};

void speed_add(struct speed *s, const struct speed_point *p);
/* The links are other ones. */
void speed_restart(struct speed *s);

/* Bytes of memory with content a second; 0: not known yet. */
uint64_t speed_rate(const struct speed *s);
/* How much it changes, per cent. */
unsigned speed_error(const struct speed *s);
