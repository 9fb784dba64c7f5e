/* SPDX-License-Identifier: MIT */

/*
 * What a figure was, second by second for a while, and then ever more coarsely:
 * docs/metrics.md.  Plain values in and out; of one thread, or under its
 * owner's lock.
 *
 * Seconds are those of a clock that only goes forward.  A second of which
 * nothing is known is a gap, and so is a slot in which there is no other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ring_span { RING_SECONDS, RING_TENS, RING_MINUTES, RING_SPANS };

struct ring_kind {
	const char *name; /* "1s" */
	unsigned step;    /* seconds that a slot has */
	unsigned slots;
};

extern const struct ring_kind ring_kinds[RING_SPANS];

/* NAN in all of it: a gap. */
struct ring_point {
	float least, mean, most;
};

struct series;

struct series *series_new(void);    /* NULL: no memory */
void series_free(struct series *s); /* NULL is fine */

/* @value: NAN where it is not known.  What is older than the last is not
 * taken. */
void series_add(struct series *s, uint64_t second, double value);

/* What a counter grew by, as the value of each whole second: it was @before at
 * @before_us, is @now at @now_us, and grew steadily in between, so that no
 * second of a late sample is without a value and none has too much.  NAN: it
 * was not known.  After SERIES_LATE_S without a sample, and where it began
 * again, there is a gap.  For a series of its own. */
enum { SERIES_LATE_S = 5 };
void series_grow(struct series *s, uint64_t before_us, double before,
		 uint64_t now_us, double now);

/* The slots that are over at @now, the oldest first, at most @cap of the
 * newest; how many.  @ret_first: the second with which the first begins.  Slots
 * before second 0 are left out. */
size_t series_read(const struct series *s, enum ring_span span, uint64_t now,
		   struct ring_point *ret, size_t cap, uint64_t *ret_first);
