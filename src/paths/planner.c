/* SPDX-License-Identifier: MIT */
#include "paths/planner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "lanes/lanes.h"
#include "nic/address.h"
#include "nic/cards.h"
#include "nic/routes.h"
#include "paths/dialler.h"
#include "paths/path_set.h"
#include "paths/plan.h"

enum { PLAN_PAUSE_US = 50000 }; /* however fast the peer's news come */

/* --- facts */

static int find_near(struct path_set *set, struct cards **ret, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(set->watch);

	return cards_of(ret, inv, &set->networks, e);
}

/* A copy: the peer may tell of others meanwhile.  NULL: it has told nothing. */
static int find_far(struct path_set *set, struct cards **ret, struct error *e)
{
	AUTO_FREE char *text = NULL;

	{
		WITH_LOCK(&set->lock);

		if (!set->far_cards)
			return 0;
		text = cards_text(set->far_cards);
	}
	if (!text)
		return error_set(e, ENOMEM, "no memory for the peer's cards");
	return cards_parse(ret, text, strlen(text), e);
}

/* Without a list of networks the addresses that we were given are in order of
 * preference. */
static int given_rank(const struct path_set *set, const struct pair *pair)
{
	char text[NIC_ADDRESS_TEXT];
	int rank = 0;

	for (char **a = set->addresses; *a; a++, rank++)
		for (unsigned i = 0; i < pair->routes; i++) {
			nic_address_host(text, &pair->route[i].to);
			if (!strcmp(text, *a))
				return rank;
		}
	return rank;
}

/* Asks the kernel for routes. */
static void find_pairs(struct path_set *set, struct plan_facts *f)
{
	pairs_find(&f->pairs, f->near, f->far, route_lookup, NULL);
	for (size_t i = 0; i < f->pairs.count; i++) {
		struct pair *pair = &f->pairs.at[i];

		if (set->networks.count == 0)
			pair->rank = given_rank(set, pair);
		pair->delivered =
			nic_watch_rate(set->watch, &pair->route[0].from,
				       &pair->route[0].to);
	}
}

static void find_paths(struct path_set *set, struct plan_facts *f)
{
	WITH_LOCK(&set->lock);

	f->paths = set->paths;
	for (unsigned i = 0; i < set->paths; i++) {
		const struct path *p = set->path[i];
		struct plan_path *to = &f->path[i];

		to->given = p->given;
		to->failed = p->failed;
		to->spare = p->use == PAIR_SPARE;
		to->wanted = p->wanted;
		to->opened_anew = p->opened_anew;
		memcpy(to->near, p->near, sizeof(to->near));
		memcpy(to->far, p->far, sizeof(to->far));
	}
	f->lanes = lanes_view(set->lanes, f->lane);
}

/* --- actions */

static void take_pair(struct path *p, const struct plan_wish *w)
{
	p->order = w->order;
	p->use = w->use;
	memcpy(p->reason, w->reason, sizeof(p->reason));
	if (w->routes > 0) {
		memcpy(p->route, w->route, sizeof(p->route));
		p->routes = w->routes;
	}
	if (!w->listed)
		return;
	memcpy(p->port, w->port, sizeof(p->port));
	p->ports = w->ports;
	p->rank = w->rank;
	p->delivered = w->delivered;
	p->speed_mbit = w->speed_mbit;
	memcpy(p->flows, w->flows, sizeof(p->flows));
}

static void take_wish(struct path *p, const struct plan_wish *w, bool news)
{
	p->given = w->path.given;
	memcpy(p->near, w->path.near, sizeof(p->near));
	memcpy(p->far, w->path.far, sizeof(p->far));
	p->wanted = w->path.wanted;
	p->opened_anew = w->path.opened_anew;
	if (w->says_why)
		snprintf(p->why, sizeof(p->why), "%s", w->why);
	if (!p->given)
		take_pair(p, w);
	if (w->try_again && news && (p->failed || p->failures > 0))
		path_retry(p);
}

/* Those that are new get a thread. */
static void take_wishes(struct path_set *set, const struct plan *plan,
			bool news)
{
	for (unsigned i = 0; i < plan->wishes; i++) {
		struct path *p =
			i < set->paths ? set->path[i] : path_set_add(set);
		struct error e;

		if (!p)
			return;
		take_wish(p, &plan->wish[i], news);
		if (!p->started && dialler_start(p, &e) < 0) {
			log_warning("session with %s: %s", set->peer, e.text);
			path_set_drop_last(set);
			return;
		}
	}
}

static void add_said(char *buf, size_t cap, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add_said(char *buf, size_t cap, const char *fmt, ...)
{
	size_t used = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + used, cap - used, fmt, ap);
	va_end(ap);
}

/* One line in the log for each plan that differs from the one before. */
static void say_plan(struct path_set *set)
{
	char text[sizeof(set->said)] = "";

	for (unsigned i = 0; i < set->paths; i++) {
		const struct path *p = set->path[i];
		const char *separator = text[0] ? "; " : "";

		if (p->given)
			continue;
		if (p->use == PAIR_USED && !p->failed)
			add_said(text, sizeof(text), "%s%s to %s, %u wanted",
				 separator, p->near, p->far, p->wanted);
		else
			add_said(text, sizeof(text), "%s%s to %s not, %s",
				 separator, p->near, p->far,
				 p->why[0] ? p->why : "it does not work now");
	}
	if (!strcmp(text, set->said))
		return;
	memcpy(set->said, text, sizeof(text));
	log_info("session with %s: the plan is %s", set->peer, text);
}

/* False: nothing is done any more. */
static bool take_plan(struct path_set *set, struct plan *plan, bool news)
{
	WITH_LOCK(&set->lock);

	if (set->ended)
		return false;
	take_wishes(set, plan, news);
	say_plan(set);
	free(set->plan);
	set->plan = plan;
	path_set_wake(set);
	return true;
}

/* Takes @plan over. */
static void carry_out(struct path_set *set, struct plan *plan, bool news)
{
	struct plan_drop drop[CHANNELS_MAX];
	unsigned drops = plan->drops;

	memcpy(drop, plan->drop, sizeof(drop));
	if (!take_plan(set, plan, news)) {
		free(plan);
		return;
	}
	for (unsigned i = 0; i < drops; i++)
		lanes_drop(set->lanes, drop[i].lane, drop[i].let_go,
			   drop[i].why);
}

/* --- one after the other */

static int plan_with(struct path_set *set, const struct cards *near,
		     const struct cards *far, bool news, struct error *e)
{
	AUTO_FREE struct plan_facts *f = calloc(1, sizeof(*f));
	struct plan *plan = f ? calloc(1, sizeof(*plan)) : NULL;

	if (!plan)
		return error_set(e, ENOMEM, "no memory");
	f->peer = set->peer;
	f->near = near;
	f->far = far;
	f->policy = set->policy;
	f->to_port = set->port;
	f->salt = set->salt;
	find_pairs(set, f);
	find_paths(set, f);
	plan_make(plan, f);
	carry_out(set, plan, news);
	return 0;
}

static void plan_anew(struct path_set *set, bool news)
{
	struct cards *near = NULL, *far = NULL;
	struct error e;

	if (find_near(set, &near, &e) < 0 || find_far(set, &far, &e) < 0 ||
	    (far && plan_with(set, near, far, news, &e) < 0))
		log_warning("session with %s: no plan of its paths: %s",
			    set->peer, e.text);
	cards_free(near);
	cards_free(far);
}

/* The lock is let go of: routes are asked for. */
static void plan_once(struct path_set *set)
{
	bool news = set->news;

	set->plan_due = set->news = false;
	set->planning = true;
	pthread_mutex_unlock(&set->lock);
	plan_anew(set, news);
	pthread_mutex_lock(&set->lock);
	set->planning = false;
	path_set_wake(set);
}

static void *planner_main(void *arg)
{
	struct path_set *set = arg;
	uint64_t next_us = 0;

	WITH_LOCK(&set->lock);

	while (!set->ended) {
		const struct timespec t =
			clock_timespec(set->plan_due ? next_us : USEC_NEVER);

		if (!set->plan_due || clock_us() < next_us) {
			pthread_cond_timedwait(&set->changed, &set->lock, &t);
			continue;
		}
		plan_once(set);
		next_us = clock_us() + PLAN_PAUSE_US;
	}
	return NULL;
}

int planner_start(struct path_set *set, struct error *e)
{
	int r = thread_create(&set->planner, "paths", planner_main, set);

	set->planner_started = r == 0;
	return r == 0 ? 0
		      : error_set(e, r, "no thread for the plan of a session");
}

void planner_join(struct path_set *set)
{
	if (set->planner_started)
		pthread_join(set->planner, NULL);
	set->planner_started = false;
}

/* --- waiting for it */

static bool all_tried(const struct path_set *set)
{
	if (set->ended)
		return true;
	if (!set->plan || set->plan_due || set->planning)
		return false;
	for (unsigned i = 0; i < set->paths; i++) {
		const struct path *p = set->path[i];

		if (!p->failed && p->failures == 0 &&
		    lanes_count_of(set->lanes, p->number).alive < p->wanted)
			return false;
	}
	return true;
}

void planner_wait_tried(struct path_set *set, uint64_t deadline_us)
{
	const struct timespec t = clock_timespec(deadline_us);
	int r = 0;

	WITH_LOCK(&set->lock);

	while (!all_tried(set) && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&set->changed, &set->lock, &t);
}
