/* SPDX-License-Identifier: MIT */
#include "host/admission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define OFFER_US (10 * USEC_PER_SEC) /* to be answered */
#define KEEP_US (30 * USEC_PER_SEC)  /* for a move that was announced */

/* One that waits, or for which a place is kept. */
struct admission_host {
	char name[ADMISSION_NAME];
	struct queue_rank rank;
	bool disks;
	bool offered;      /* and has not answered */
	uint64_t until_us; /* the place is kept; 0: it waits */
	struct admission_host *next;
};

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

static void expire(struct admission *a, uint64_t now_us)
{
	for (struct admission_host **p = &a->first; *p;)
		if ((*p)->until_us && (*p)->until_us <= now_us)
			drop(a, p);
		else
			p = &(*p)->next;
}

/* The entry of @host that waits, or one of those with a place; NULL: none. */
static struct admission_host **find(struct admission *a, const char *host,
				    bool kept)
{
	for (struct admission_host **p = &a->first; *p; p = &(*p)->next)
		if (!(*p)->until_us != kept && !strcmp((*p)->name, host))
			return p;
	return NULL;
}

static void enter(struct admission *a, const struct admission_ask *of,
		  uint64_t now_us)
{
	struct admission_host *h, **p = &a->first;

	if (a->hosts >= ADMISSION_HOSTS || find(a, of->host, false))
		return;
	h = calloc(1, sizeof(*h));
	if (!h)
		return;
	snprintf(h->name, sizeof(h->name), "%s", of->host);
	h->disks = of->disks;
	h->rank = (struct queue_rank){ .priority = of->priority,
				       .asked_us = now_us,
				       .number = a->number++ };
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
		taken.moves += h->until_us != 0;
		taken.disk_moves += h->until_us && h->disks;
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
	for (const struct admission_host *h = a->first;
	     h && strcmp(h->name, host) != 0; h = h->next) {
		if (h->until_us || !fits(room, h->disks))
			continue;
		room->moves--;
		room->disk_moves -= h->disks;
	}
}

bool admission_asks(struct admission *a, const struct admission_ask *of,
		    const struct queue_load *runs,
		    const struct queue_load *most, uint64_t now_us)
{
	struct admission_host **at;
	struct queue_load room;

	expire(a, now_us);
	at = find(a, of->host, true);
	if (at && (*at)->disks >= of->disks) {
		drop(a, at);
		return true;
	}
	if (of->waits)
		enter(a, of, now_us);
	room = free_places(a, runs, most);
	serve_before(a, of->host, &room);
	if (!fits(&room, of->disks))
		return false;
	at = find(a, of->host, false);
	if (at)
		drop(a, at);
	return true;
}

bool admission_offer(struct admission *a, const struct queue_load *runs,
		     const struct queue_load *most, uint64_t now_us,
		     char ret_host[static ADMISSION_NAME])
{
	struct queue_load room;

	expire(a, now_us);
	room = free_places(a, runs, most);
	for (struct admission_host *h = a->first; h; h = h->next) {
		if (h->until_us || !fits(&room, h->disks))
			continue;
		h->until_us = now_us + OFFER_US;
		h->offered = true;
		snprintf(ret_host, ADMISSION_NAME, "%s", h->name);
		return true;
	}
	return false;
}

void admission_answered(struct admission *a, const char *host, bool takes,
			bool more, uint64_t now_us)
{
	struct admission_host **p = &a->first, *h;
	struct admission_ask again;

	while (*p && (strcmp((*p)->name, host) != 0 || !(*p)->offered))
		p = &(*p)->next;
	h = *p;
	if (!h)
		return;
	again = (struct admission_ask){ .host = host,
					.priority = h->rank.priority,
					.disks = h->disks };
	h->offered = false;
	h->until_us = now_us + KEEP_US;
	if (!takes)
		drop(a, p);
	else if (more)
		enter(a, &again, now_us);
}

uint64_t admission_due(const struct admission *a)
{
	uint64_t due = USEC_NEVER;

	for (const struct admission_host *h = a->first; h; h = h->next)
		if (h->until_us && h->until_us < due)
			due = h->until_us;
	return due;
}

unsigned admission_waiting(const struct admission *a)
{
	unsigned n = 0;

	for (const struct admission_host *h = a->first; h; h = h->next)
		n += !h->until_us;
	return n;
}
