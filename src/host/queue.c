/* SPDX-License-Identifier: MIT */
#include "host/queue.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

#define HEAD_START_US (10 * USEC_PER_SEC) /* of a point of priority */
#define ASK_US (5 * USEC_PER_SEC)         /* the first time */
#define ASK_MOST_US (60 * USEC_PER_SEC)
#define AWAY_US (10 * USEC_PER_SEC)
#define KEEP_AFTER_US (300 * USEC_PER_SEC)

enum { RUNNING_MOST = 64 };

/* As if it had asked earlier. */
static uint64_t turn_of(const struct queue_rank *r)
{
	return r->asked_us +
	       (QUEUE_PRIORITY_MOST - r->priority) * HEAD_START_US;
}

int queue_compare(const struct queue_rank *a, const struct queue_rank *b)
{
	uint64_t x = turn_of(a), y = turn_of(b);

	if (x != y)
		return x < y ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

static bool goes_to(const struct queue_item *it, const char *peer)
{
	return !peer || !strcmp(it->peer, peer);
}

static bool is_full(const struct queue_item *it)
{
	return it->why == QUEUE_FULL;
}

/* What the destination said to others counts for one that comes later. */
static void learn(const struct queue *q, struct queue_item *it)
{
	for (const struct queue_item *o = q->first; o; o = o->next)
		if (is_full(o) && goes_to(o, it->peer)) {
			it->why = QUEUE_FULL;
			it->again_us = o->again_us;
			it->full_since_us = o->full_since_us;
			it->fulls = o->fulls;
			return;
		}
}

void queue_add(struct queue *q, struct queue_item *it)
{
	struct queue_item **p = &q->first;

	if (it->why == QUEUE_TURN)
		learn(q, it);
	while (*p && queue_compare(&(*p)->rank, &it->rank) <= 0)
		p = &(*p)->next;
	it->next = *p;
	*p = it;
}

void queue_drop(struct queue *q, struct queue_item *it)
{
	for (struct queue_item **p = &q->first; *p; p = &(*p)->next)
		if (*p == it) {
			*p = it->next;
			it->next = NULL;
			return;
		}
}

static unsigned left_of(unsigned most, unsigned runs)
{
	return most > runs ? most - runs : 0;
}

/* A place is kept for one that was passed for too long. */
static bool keeps_place(const struct queue_item *it, uint64_t now_us)
{
	return is_full(it) && now_us - it->full_since_us >= KEEP_AFTER_US;
}

struct queue_item *queue_next(const struct queue *q,
			      const struct queue_load *runs,
			      const struct queue_load *most, uint64_t now_us,
			      const char *peer)
{
	unsigned places = left_of(most->moves, runs->moves);
	bool disks = most->disk_moves > runs->disk_moves;
	/* Of a single place nothing is kept: all others would stand still for
	 * a host that is full.  Who was passed asks in his turn. */
	bool kept = most->moves <= 1;

	for (struct queue_item *it = q->first; it && places > 0;
	     it = it->next) {
		bool may = (!it->disks || disks) && goes_to(it, peer) &&
			   !it->reserved;

		if (may && now_us >= it->again_us)
			return it;
		if (!goes_to(it, peer) || kept || !keeps_place(it, now_us))
			continue;
		kept = true;
		places--;
	}
	return NULL;
}

uint64_t queue_due(const struct queue *q)
{
	uint64_t due = USEC_NEVER;

	for (const struct queue_item *it = q->first; it; it = it->next)
		if (it->again_us && it->again_us < due)
			due = it->again_us;
	return due;
}

/* Hosts that were told so at the same time do not ask at the same time: up to a
 * quarter later. */
static uint64_t ask_after(const struct queue_item *it)
{
	uint64_t us = ASK_US;

	for (unsigned i = 1; i < it->fulls && us < ASK_MOST_US; i++)
		us *= 2;
	if (us > ASK_MOST_US)
		us = ASK_MOST_US;
	return us + us / 256 * (it->rank.asked_us % 64);
}

void queue_was_full(struct queue *q, struct queue_item *it, uint64_t now_us)
{
	if (!is_full(it)) {
		it->full_since_us = now_us;
		it->fulls = 0;
	}
	it->why = QUEUE_FULL;
	it->away_since_us = 0;
	it->fulls++;
	it->again_us = now_us + ask_after(it);
	for (struct queue_item *o = q->first; o; o = o->next) {
		if (o == it || !goes_to(o, it->peer))
			continue;
		if (!is_full(o))
			o->full_since_us = it->full_since_us;
		o->why = QUEUE_FULL;
		o->away_since_us = 0;
		o->fulls = it->fulls;
		/* It is asked for the first of them. */
		o->again_us = it->again_us;
	}
}

void queue_was_away(struct queue *q, struct queue_item *it, uint64_t now_us)
{
	if (it->away_since_us == 0)
		it->away_since_us = now_us;
	queue_put_off(it, QUEUE_AWAY, now_us + AWAY_US);
	for (struct queue_item *o = q->first; o; o = o->next) {
		if (o == it || !goes_to(o, it->peer))
			continue;
		o->away_since_us = it->away_since_us;
		queue_put_off(o, QUEUE_AWAY, it->again_us);
	}
}

void queue_is_heard(struct queue *q, const char *peer)
{
	for (struct queue_item *it = q->first; it; it = it->next) {
		if (!goes_to(it, peer))
			continue;
		it->away_since_us = 0;
		if (it->why == QUEUE_AWAY)
			queue_put_off(it, QUEUE_TURN, 0);
	}
}

void queue_put_off(struct queue_item *it, enum queue_why why, uint64_t again_us)
{
	it->why = why;
	it->again_us = again_us;
}

struct queue_item *queue_offered(struct queue *q, const struct queue_load *runs,
				 const struct queue_load *most, uint64_t now_us,
				 const char *peer)
{
	struct queue_item *it = q->first, *first;

	while (it && !(is_full(it) && goes_to(it, peer)))
		it = it->next;
	if (it)
		it->again_us = 0;
	first = queue_next(q, runs, most, now_us, peer);
	if (first)
		return first;
	for (; it; it = it->next)
		if (is_full(it) && goes_to(it, peer))
			it->again_us = now_us + ASK_US;
	return NULL;
}

unsigned queue_count(const struct queue *q, const char *peer)
{
	unsigned n = 0;

	for (const struct queue_item *it = q->first; it; it = it->next)
		n += goes_to(it, peer);
	return n;
}

unsigned queue_place(const struct queue *q, const struct queue_item *it)
{
	unsigned n = 1;

	for (const struct queue_item *o = q->first; o && o != it; o = o->next)
		n++;
	return n;
}

/* --- when */

/* The place that is free first; NAN is never free first. */
static size_t earliest(const double *at, size_t n)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (isnan(at[best]) || at[i] < at[best])
			best = i;
	return best;
}

void queue_expect(const struct queue_outlook *o, double *ret, size_t n)
{
	double at[RUNNING_MOST] = { 0 };
	size_t places = o->most < RUNNING_MOST ? o->most : RUNNING_MOST;

	for (size_t i = 0; i < places && i < o->running; i++)
		at[i] = o->left[i];
	for (size_t i = 0; i < n; i++) {
		size_t p = places ? earliest(at, places) : 0;

		ret[i] = places ? at[p] : NAN;
		if (places)
			at[p] += o->each;
	}
}
