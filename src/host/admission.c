/* SPDX-License-Identifier: MIT */
#include "host/admission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define OFFER_US (10 * USEC_PER_SEC) /* to be answered */
#define KEEP_US (30 * USEC_PER_SEC)  /* for a move that was announced */
/* Who let a place lapse goes behind who asks, by default, within so long. */
#define LATE_US (600 * USEC_PER_SEC)

enum stage {
	WAITS,
	OFFERED, /* a place is kept for it; it has not answered */
	KEPT,    /* likewise, and it has said that its move comes */
	LATE,    /* it let such a place lapse */
};

/* One host has one at most that waits, one with a place, and one that is late.
 */
struct admission_host {
	char name[ADMISSION_NAME];
	struct queue_rank rank;
	bool disks;
	enum stage stage;
	bool more;         /* others of it wait, once the place is used */
	uint64_t until_us; /* unless it waits */
	struct admission_host *next;
};

static bool has_place(const struct admission_host *h)
{
	return h->stage == OFFERED || h->stage == KEPT;
}

void admission_done(struct admission *a)
{
	while (a->first) {
		struct admission_host *h = a->first;

		a->first = h->next;
		free(h);
	}
	a->hosts = 0;
}

static void drop(struct admission *a, struct admission_host **at)
{
	struct admission_host *h = *at;

	*at = h->next;
	free(h);
	a->hosts--;
}

/* The entry of @host that is at @stage; NULL: none. */
static struct admission_host **find(struct admission *a, const char *host,
				    enum stage stage)
{
	for (struct admission_host **p = &a->first; *p; p = &(*p)->next)
		if ((*p)->stage == stage && !strcmp((*p)->name, host))
			return p;
	return NULL;
}

static void drop_at(struct admission *a, const char *host, enum stage stage)
{
	struct admission_host **p = find(a, host, stage);

	if (p)
		drop(a, p);
}

static struct admission_host **find_place(struct admission *a, const char *host)
{
	struct admission_host **p = find(a, host, OFFERED);

	return p ? p : find(a, host, KEPT);
}

/* Its turn, should it ask again, is that of who asks when this ends: nobody
 * keeps a place from others by saying that a move comes which does not. */
static void is_late(struct admission *a, struct admission_host *h,
		    uint64_t now_us)
{
	drop_at(a, h->name, LATE);
	h->stage = LATE;
	h->until_us = now_us + LATE_US;
	drop_at(a, h->name, WAITS);
}

static struct admission_host *first_over(struct admission *a, uint64_t now_us)
{
	struct admission_host *h = a->first;

	while (h && (h->stage == WAITS || h->until_us > now_us))
		h = h->next;
	return h;
}

static void expire(struct admission *a, uint64_t now_us)
{
	struct admission_host *h;

	while ((h = first_over(a, now_us)))
		if (has_place(h))
			is_late(a, h, now_us);
		else
			drop_at(a, h->name, LATE);
}

static struct queue_rank rank_of(struct admission *a,
				 const struct admission_ask *of,
				 uint64_t now_us)
{
	struct admission_host **late = find(a, of->host, LATE);

	return (struct queue_rank){
		.priority = late ? QUEUE_PRIORITY : of->priority,
		.asked_us = late ? (*late)->until_us : now_us,
		.number = a->number++,
	};
}

static void enter(struct admission *a, const struct admission_ask *of,
		  uint64_t now_us)
{
	struct admission_host *h, **p = &a->first;

	if (a->hosts >= ADMISSION_HOSTS || find(a, of->host, WAITS))
		return;
	h = calloc(1, sizeof(*h));
	if (!h)
		return;
	snprintf(h->name, sizeof(h->name), "%s", of->host);
	h->disks = of->disks;
	h->rank = rank_of(a, of, now_us);
	while (*p && queue_compare(&(*p)->rank, &h->rank) <= 0)
		p = &(*p)->next;
	h->next = *p;
	*p = h;
	a->hosts++;
}

/* What is left beside what runs and what is kept for others. */
static struct queue_load free_places(const struct admission *a,
				     const struct queue_load *runs,
				     const struct queue_load *most)
{
	struct queue_load taken = *runs;

	for (const struct admission_host *h = a->first; h; h = h->next) {
		taken.moves += has_place(h);
		taken.disk_moves += has_place(h) && h->disks;
	}
	return (struct queue_load){
		.moves = most->moves > taken.moves ? most->moves - taken.moves
						   : 0,
		.disk_moves = most->disk_moves > taken.disk_moves
				      ? most->disk_moves - taken.disk_moves
				      : 0,
	};
}

static bool fits(const struct queue_load *room, bool disks)
{
	return room->moves > 0 && (!disks || room->disk_moves > 0);
}

/* Takes from @room what goes to those before @host. */
static void serve_before(const struct admission *a, const char *host,
			 struct queue_load *room)
{
	for (const struct admission_host *h = a->first; h; h = h->next) {
		if (h->stage != WAITS)
			continue;
		if (!strcmp(h->name, host))
			return;
		if (!fits(room, h->disks))
			continue;
		room->moves--;
		room->disk_moves -= h->disks;
	}
}

/* The place that @at has is used. */
static void redeem(struct admission *a, struct admission_host **at,
		   uint64_t now_us)
{
	const struct admission_host was = **at;
	const struct admission_ask again = { .host = was.name,
					     .priority = was.rank.priority,
					     .disks = was.disks };

	drop(a, at);
	if (was.more)
		enter(a, &again, now_us);
}

bool admission_asks(struct admission *a, const struct admission_ask *of,
		    const struct queue_load *runs,
		    const struct queue_load *most, uint64_t now_us)
{
	struct admission_host **at;
	struct queue_load room;

	expire(a, now_us);
	at = find_place(a, of->host);
	if (at && (*at)->disks >= of->disks) {
		redeem(a, at, now_us);
		return true;
	}
	if (of->waits)
		enter(a, of, now_us);
	room = free_places(a, runs, most);
	serve_before(a, of->host, &room);
	if (!fits(&room, of->disks))
		return false;
	drop_at(a, of->host, WAITS);
	return true;
}

/* One place for each at a time: it shall use that before it has another. */
bool admission_offer(struct admission *a, const struct queue_load *runs,
		     const struct queue_load *most, uint64_t now_us,
		     char ret_host[static ADMISSION_NAME])
{
	struct queue_load room;

	expire(a, now_us);
	room = free_places(a, runs, most);
	for (struct admission_host *h = a->first; h; h = h->next) {
		if (h->stage != WAITS || !fits(&room, h->disks) ||
		    find_place(a, h->name))
			continue;
		h->stage = OFFERED;
		h->until_us = now_us + OFFER_US;
		snprintf(ret_host, ADMISSION_NAME, "%s", h->name);
		return true;
	}
	return false;
}

void admission_answered(struct admission *a, const char *host, bool takes,
			bool more, uint64_t now_us)
{
	struct admission_host **at = find(a, host, OFFERED);

	if (!at)
		return;
	if (!takes) {
		drop(a, at);
		return;
	}
	(*at)->stage = KEPT;
	(*at)->more = more;
	(*at)->until_us = now_us + KEEP_US;
}

uint64_t admission_due(const struct admission *a)
{
	uint64_t due = USEC_NEVER;

	for (const struct admission_host *h = a->first; h; h = h->next)
		if (has_place(h) && h->until_us < due)
			due = h->until_us;
	return due;
}

unsigned admission_waiting(const struct admission *a)
{
	unsigned n = 0;

	for (const struct admission_host *h = a->first; h; h = h->next)
		n += h->stage == WAITS;
	return n;
}
