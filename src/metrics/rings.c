/* SPDX-License-Identifier: MIT */

/*
 * A ring for each span, all fed with each value.  Of a ring, one slot is open
 * and gathers; a value of a later slot closes it, and makes gaps of those
 * between.  Slot number n is at n % slots, for as long as the open one is less
 * than `slots` ahead.
 */
#include "metrics/rings.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

const struct ring_kind ring_kinds[RING_SPANS] = {
	[RING_SECONDS] = { "1s", 1, 15 * 60 },
	[RING_TENS] = { "10s", 10, 6 * 60 * 6 },
	[RING_MINUTES] = { "1m", 60, 7 * 24 * 60 },
};

struct ring {
	struct ring_point *at;
	uint64_t open; /* number of the slot that gathers */
	unsigned count;
	double sum, least, most; /* of what it has; where count > 0 */
};

struct series {
	struct ring rings[RING_SPANS];
	double edge; /* of series_grow(), at the last whole second */
};

static const struct ring_point gap = { NAN, NAN, NAN };

struct series *series_new(void)
{
	struct series *s = calloc(1, sizeof(*s));

	if (s)
		s->edge = NAN;
	for (int i = 0; s && i < RING_SPANS; i++) {
		struct ring *r = &s->rings[i];

		r->at = malloc(ring_kinds[i].slots * sizeof(*r->at));
		if (!r->at) {
			series_free(s);
			return NULL;
		}
		for (unsigned n = 0; n < ring_kinds[i].slots; n++)
			r->at[n] = gap;
	}
	return s;
}

void series_free(struct series *s)
{
	for (int i = 0; s && i < RING_SPANS; i++)
		free(s->rings[i].at);
	free(s);
}

static struct ring_point gathered(const struct ring *r)
{
	if (!r->count)
		return gap;
	return (struct ring_point){ (float)r->least, (float)(r->sum / r->count),
				    (float)r->most };
}

static void advance(struct ring *r, unsigned slots, uint64_t to)
{
	uint64_t skipped = to - r->open - 1;

	r->at[r->open % slots] = gathered(r);
	if (skipped > slots)
		skipped = slots;
	for (uint64_t n = to - skipped; n < to; n++)
		r->at[n % slots] = gap;
	r->open = to;
	r->count = 0;
}

static void gather(struct ring *r, double value)
{
	if (isnan(value))
		return;
	r->least = r->count && r->least < value ? r->least : value;
	r->most = r->count && r->most > value ? r->most : value;
	r->sum = r->count ? r->sum + value : value;
	r->count++;
}

void series_add(struct series *s, uint64_t second, double value)
{
	for (int i = 0; i < RING_SPANS; i++) {
		struct ring *r = &s->rings[i];
		const uint64_t slot = second / ring_kinds[i].step;

		if (slot < r->open)
			continue;
		if (slot > r->open)
			advance(r, ring_kinds[i].slots, slot);
		gather(r, value);
	}
}

void series_grow(struct series *s, uint64_t before_us, double before,
		 uint64_t now_us, double now)
{
	const uint64_t last = now_us / USEC_PER_SEC;
	uint64_t second = before_us / USEC_PER_SEC + 1;

	if (now < before)
		before = NAN;
	if (last > second + SERIES_LATE_S) {
		second = last;
		s->edge = NAN;
	}
	for (; second <= last; second++) {
		const double part =
			(double)(second * USEC_PER_SEC - before_us) /
			(double)(now_us - before_us);
		const double at = before + (now - before) * part;

		series_add(s, second - 1, at - s->edge);
		s->edge = at;
	}
}

static struct ring_point point(const struct ring *r, unsigned slots,
			       uint64_t slot)
{
	if (slot == r->open)
		return gathered(r);
	if (slot > r->open || r->open - slot >= slots)
		return gap;
	return r->at[slot % slots];
}

size_t series_read(const struct series *s, enum ring_span span, uint64_t now,
		   struct ring_point *ret, size_t cap, uint64_t *ret_first)
{
	const struct ring_kind *k = &ring_kinds[span];
	const uint64_t end = now / k->step;
	size_t n = cap < k->slots - 1 ? cap : k->slots - 1;

	if (n > end)
		n = end;
	*ret_first = (end - n) * k->step;
	for (size_t i = 0; i < n; i++)
		ret[i] = point(&s->rings[span], k->slots, end - n + i);
	return n;
}
