/* SPDX-License-Identifier: MIT */
#include "host/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "nic/watch.h"

enum { CARDS_MOST = 128 };

#define ALIVE_US (10 * USEC_PER_SEC)

const char *const event_kind_names[EVENT_KINDS] = {
	[EVENT_ALIVE] = "alive", [EVENT_MISSED] = "missed",
	[EVENT_JOB] = "job",     [EVENT_MACHINE] = "machine",
	[EVENT_CARD] = "card",   [EVENT_DRAIN] = "drain",
};

#define AT(member) SHAPE_AT(struct event, member)

static const struct shape_field fields[] = {
	{ "number", SHAPE_NUMBER, 0, AT(number) },
	{ "time", SHAPE_SECONDS, 0, AT(time_us) },
	{ "event", SHAPE_NAME, 0, AT(kind), .names = event_kind_names,
	  .most = EVENT_KINDS },
	{ "name", SHAPE_TEXT, SHAPE_OMIT, AT(name) },
	{ "state", SHAPE_TEXT, SHAPE_OMIT, AT(state) },
	{ "stage", SHAPE_TEXT, SHAPE_OMIT, AT(stage) },
	{ "job", SHAPE_TEXT, SHAPE_OMIT, AT(job) },
	{ "role", SHAPE_NAME, SHAPE_OMIT, AT(role),
	  SHAPE_HAS(struct event, has_role), .names = role_names,
	  .most = ROLES },
	{ "peer", SHAPE_TEXT, SHAPE_OMIT, AT(peer) },
	{ "outage", SHAPE_BOOL, SHAPE_OMIT, AT(outage) },
	{ "error", SHAPE_TEXT, SHAPE_OMIT, AT(error) },
	{ "missed", SHAPE_NUMBER, SHAPE_OMIT, AT(missed) },
};

#undef AT

const struct shape event_shape = SHAPE(struct event, fields);

struct card_seen {
	char name[IF_NAMESIZE];
	bool usable, still; /* it is in the list that is looked at */
};

struct events {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t told;
	struct event kept[EVENTS_KEPT]; /* number n at n % EVENTS_KEPT */
	uint64_t next;                  /* number; the first is 1 */
	unsigned readers[2];            /* who may look; who may change */
	bool ended;

	/* Of the thread that watches cards. */
	struct nic_watch *nics;
	struct nic_listener listener;
	struct card_seen cards[CARDS_MOST];
	unsigned cards_count;
};

/* Of one thread. */
struct events_reader {
	struct events *all;
	uint64_t next; /* that it has not heard */
	bool greeted, changes;
};

struct events *events_new(void)
{
	struct events *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->next = 1;
	pthread_mutex_init(&all->lock, NULL);
	clock_cond_init(&all->told);
	return all;
}

void events_free(struct events *all)
{
	if (!all)
		return;
	if (all->nics)
		nic_watch_leave(all->nics, &all->listener);
	pthread_cond_destroy(&all->told);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

/* --- what is told */

void events_tell(struct events *all, const struct event *e)
{
	struct event *at;

	WITH_LOCK(&all->lock);

	at = &all->kept[all->next % EVENTS_KEPT];
	*at = *e;
	at->number = all->next++;
	at->time_us = clock_wall_us();
	pthread_cond_broadcast(&all->told);
}

static struct event event_of(struct job *j)
{
	struct event e = { .kind = EVENT_JOB,
			   .has_role = true,
			   .role = j->role };

	WITH_LOCK(&j->lock);

	snprintf(e.name, sizeof(e.name), "%s", j->machine);
	snprintf(e.peer, sizeof(e.peer), "%s", j->peer);
	snprintf(e.job, sizeof(e.job), "%s", j->id);
	snprintf(e.state, sizeof(e.state), "%s", job_state_names[j->state]);
	snprintf(e.stage, sizeof(e.stage), "%s", j->stage);
	snprintf(e.error, sizeof(e.error), "%s", j->error);
	e.outage = j->state == JOB_RUNNING && j->progress.outage;
	return e;
}

void events_tell_job(struct events *all, struct job *j)
{
	struct event e = event_of(j);

	events_tell(all, &e);
}

void events_tell_machine(struct events *all, const char *name,
			 char told[static EVENT_STATE], const char *state)
{
	struct event e = { .kind = EVENT_MACHINE };

	if (!all || !strcmp(told, state))
		return;
	snprintf(told, EVENT_STATE, "%s", state);
	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.state, sizeof(e.state), "%s", state);
	events_tell(all, &e);
}

/* --- cards */

static struct card_seen *find_card(struct events *all, const char *name)
{
	for (unsigned i = 0; i < all->cards_count; i++)
		if (!strcmp(all->cards[i].name, name))
			return &all->cards[i];
	return NULL;
}

static void tell_card(struct events *all, const char *name, const char *state)
{
	struct event e = { .kind = EVENT_CARD };

	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.state, sizeof(e.state), "%s", state);
	events_tell(all, &e);
}

static void see_card(struct events *all, const struct inventory *inv,
		     const struct nic *n, bool tell)
{
	struct card_seen *c = find_card(all, n->name);
	char why[NIC_REASON];
	bool usable = nic_usable(inv, n, why);

	if (!c && (!usable || all->cards_count == CARDS_MOST))
		return;
	if (!c) {
		c = &all->cards[all->cards_count++];
		*c = (struct card_seen){ .usable = false };
		snprintf(c->name, sizeof(c->name), "%s", n->name);
	}
	c->still = true;
	if (tell && c->usable != usable)
		tell_card(all, c->name, usable ? "back" : "lost");
	c->usable = usable;
}

/* A card that is not there any more is lost as well. */
static void drop_cards(struct events *all)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < all->cards_count; i++) {
		struct card_seen *c = &all->cards[i];

		if (c->still)
			all->cards[kept++] = *c;
		else if (c->usable)
			tell_card(all, c->name, "lost");
	}
	all->cards_count = kept;
}

static void look_at_cards(struct events *all, bool tell)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(all->nics);

	for (unsigned i = 0; i < all->cards_count; i++)
		all->cards[i].still = false;
	for (size_t i = 0; i < inv->count; i++)
		see_card(all, inv, &inv->at[i], tell);
	drop_cards(all);
}

static void cards_changed(void *context)
{
	look_at_cards(context, true);
}

void events_follow(struct events *all, struct nic_watch *nics)
{
	all->nics = nics;
	all->listener = (struct nic_listener){ .changed = cards_changed,
					       .context = all };
	look_at_cards(all, false);
	nic_watch_listen(nics, &all->listener);
}

/* --- readers */

int events_open(struct events *all, bool changes, struct events_reader **ret,
		struct error *e)
{
	struct events_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return error_set(e, ENOMEM, "no memory for a reader of events");

	WITH_LOCK(&all->lock);

	if (all->ended || all->readers[changes] == EVENTS_READERS) {
		free(r);
		return error_set(e, EBUSY,
				 "%d read the events already, which are as "
				 "many as may: try again later",
				 EVENTS_READERS);
	}
	all->readers[changes]++;
	*r = (struct events_reader){ .all = all,
				     .next = all->next,
				     .changes = changes };
	*ret = r;
	return 0;
}

static void make_alive(const struct events *all, struct event *ret)
{
	*ret = (struct event){ .kind = EVENT_ALIVE,
			       .number = all->next - 1,
			       .time_us = clock_wall_us() };
}

/* Locked: what it has not heard is there. */
static void take(struct events_reader *r, struct event *ret)
{
	const struct events *all = r->all;
	uint64_t oldest = all->next > EVENTS_KEPT ? all->next - EVENTS_KEPT : 1;

	if (r->next >= oldest) {
		*ret = all->kept[r->next++ % EVENTS_KEPT];
		return;
	}
	*ret = (struct event){ .kind = EVENT_MISSED,
			       .number = oldest - 1,
			       .time_us = clock_wall_us(),
			       .missed = oldest - r->next };
	r->next = oldest;
}

bool events_next(struct events_reader *r, struct event *ret)
{
	struct events *all = r->all;
	const uint64_t until = clock_us() + (r->greeted ? ALIVE_US : 0);
	const struct timespec end = clock_timespec(until);

	r->greeted = true;

	WITH_LOCK(&all->lock);

	while (!all->ended && r->next == all->next && clock_us() < until)
		pthread_cond_timedwait(&all->told, &all->lock, &end);
	if (all->ended)
		return false;
	if (r->next == all->next)
		make_alive(all, ret);
	else
		take(r, ret);
	return true;
}

void events_close(struct events_reader *r)
{
	struct events *all = r->all;
	const bool changes = r->changes;

	free(r);

	WITH_LOCK(&all->lock);

	all->readers[changes]--;
}

void events_end(struct events *all)
{
	if (!all)
		return;

	WITH_LOCK(&all->lock);

	all->ended = true;
	pthread_cond_broadcast(&all->told);
}
