/* SPDX-License-Identifier: MIT */
#include "move/rounds.h"

#include "base/clock.h"

enum { APART_US = 20000 }; /* two points of the data that was sent */

static const struct rounds_point *point(const struct rounds_line *l,
					unsigned back)
{
	return &l->at[(l->next + ROUNDS_KEPT - 1 - back) % ROUNDS_KEPT];
}

static void add(struct rounds_line *l, uint64_t at_us, uint64_t bytes)
{
	l->at[l->next] = (struct rounds_point){ at_us, bytes };
	l->next = (l->next + 1) % ROUNDS_KEPT;
	if (l->count < ROUNDS_KEPT)
		l->count++;
}

/* The newest that is @over_us older than the last, or the oldest. */
static const struct rounds_point *before(const struct rounds_line *l,
					 uint64_t over_us)
{
	const struct rounds_point *to = point(l, 0), *from = to;

	for (unsigned back = 1; back < l->count; back++) {
		from = point(l, back);
		if (to->at_us - from->at_us >= over_us)
			break;
	}
	return from;
}

static uint64_t slope(const struct rounds_line *l, uint64_t over_us)
{
	const struct rounds_point *to = point(l, 0), *from = before(l, over_us);

	if (l->count == 0 || to->at_us <= from->at_us ||
	    to->bytes <= from->bytes)
		return 0;
	return (uint64_t)((double)(to->bytes - from->bytes) * USEC_PER_SEC /
			  (double)(to->at_us - from->at_us));
}

void rounds_add(struct rounds *r, const struct rounds_seen *s)
{
	const struct rounds_line *data = &r->data;

	/* Before the first it knows of no memory. */
	if (s->syncs == 0)
		return;
	r->fresh = s->syncs != r->last.syncs;
	if (r->fresh)
		r->looked_us = s->pass == s->syncs ? s->pass_us : s->at_us;
	if (r->fresh || r->changed.count == 0) {
		add(&r->changed, s->pass == s->syncs ? s->pass_us : s->at_us,
		    s->data + s->zero + s->remaining);
		r->syncs += r->changed.count > 1 ? s->syncs - r->last.syncs : 0;
	}
	if (s->syncs < 2 || r->last.syncs < 2) {
		r->first_zero = s->zero;
		r->first_data = s->data;
	}
	if (data->count == 0 || s->at_us >= point(data, 0)->at_us + APART_US)
		add(&r->data, s->at_us, s->data + s->zero - r->first_zero);
	r->last = *s;
}

void rounds_restart(struct rounds *r)
{
	*r = (struct rounds){ .last = r->last,
			      .looked_us = r->looked_us,
			      .first_zero = r->first_zero,
			      .first_data = r->first_data };
}

uint64_t rounds_dirty_rate(const struct rounds *r)
{
	return slope(&r->changed, ROUNDS_OVER_US);
}

/* Since the begin of the round that the other rate is of, so that a moment's
 * trouble is in both; what left in the first pass is of another kind. */
uint64_t rounds_rate(const struct rounds *r)
{
	uint64_t from_us = before(&r->changed, ROUNDS_OVER_US)->at_us;
	uint64_t over_us = ROUNDS_OVER_US;

	if (r->syncs > 1 && r->last.at_us > from_us + over_us)
		over_us = r->last.at_us - from_us;
	return slope(&r->data, over_us);
}

bool rounds_change(const struct rounds *r, unsigned back, uint64_t *ret_over_us,
		   uint64_t *ret_bytes)
{
	const struct rounds_point *to, *from;

	if (r->changed.count < back + 2)
		return false;
	to = point(&r->changed, back);
	from = point(&r->changed, back + 1);
	*ret_over_us = to->at_us - from->at_us;
	*ret_bytes = to->bytes > from->bytes ? to->bytes - from->bytes : 0;
	return true;
}

bool rounds_are_fresh(const struct rounds *r)
{
	return r->fresh;
}

uint64_t rounds_looked_us(const struct rounds *r)
{
	return r->looked_us;
}

bool rounds_have_zeros(const struct rounds *r)
{
	return (r->last.zero - r->first_zero) * 8 >
	       r->last.data - r->first_data;
}

uint64_t rounds_since_us(const struct rounds *r)
{
	uint64_t sync_us;

	if (r->changed.count == 0)
		return UINT64_MAX;
	sync_us = point(&r->changed, 0)->at_us;
	return r->last.at_us > sync_us ? r->last.at_us - sync_us : 0;
}

uint64_t rounds_remaining(const struct rounds *r)
{
	uint64_t since_us = rounds_since_us(r);

	if (r->last.syncs == 0)
		return UINT64_MAX;
	if (r->changed.count == 0)
		return r->last.remaining;
	return r->last.remaining + (uint64_t)((double)rounds_dirty_rate(r) *
					      (double)since_us / USEC_PER_SEC);
}

uint64_t rounds_ended(const struct rounds *r)
{
	return r->syncs;
}
