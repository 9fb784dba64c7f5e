/* SPDX-License-Identifier: MIT */

/*
 * Which paths a session has: the planner's thread on the dialling side.
 *
 * Whenever something changes on which the choice rests (cards here or there, a
 * path that stopped or began to work) it pairs the cards anew, and says for
 * each path how many channels it shall have.  The paths' threads then dial, and
 * what is not wanted any more is let go of once something else carries.
 *
 * What the peer says of its cards may be old when no path is left, so a path
 * that worked once is then tried whatever the plan says (dial.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "nic/address.h"
#include "nic/bond.h"
#include "nic/cards.h"
#include "nic/pairs.h"
#include "nic/routes.h"
#include "nic/toeplitz.h"
#include "session/internal.h"

enum {
	PLAN_PAUSE_US = 50000, /* however fast the peer's news come */
	PORT_LOWEST = 32768,
	PORT_HIGHEST = 60999,
	SPARES_MAX = 32, /* in a report */
};

/* What one round of planning works on. */
struct plan {
	struct cards *near, *far; /* far: NULL until the peer told */
	struct pairs pairs;
	struct {
		uint16_t port[PORTS_MAX];
		unsigned ports;
	} from[PAIRS_MAX]; /* of each pair */
};

static void plan_free(struct plan *p)
{
	cards_free(p->near);
	cards_free(p->far);
	free(p);
}

static struct path *path_of(struct session *s, const struct pair *pair)
{
	for (unsigned i = 0; i < s->paths; i++)
		if (!s->path[i]->given &&
		    !strcmp(s->path[i]->near, pair->near->name) &&
		    !strcmp(s->path[i]->far, pair->far->name))
			return s->path[i];
	return NULL;
}

/* --- reading */

static int read_near(struct session *s, struct plan *p, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(s->watch);

	return cards_of(&p->near, inv, &s->networks, e);
}

static int read_far(struct session *s, struct plan *p, struct error *e)
{
	json_t *text;
	int r;

	{
		WITH_LOCK(&s->lock);

		if (!s->far_cards)
			return 0;
		text = cards_json(s->far_cards);
	}
	r = cards_parse(&p->far, text, e);
	json_decref(text);
	return r;
}

/* Without a list of networks the addresses that we were given are in order of
 * preference. */
static int given_rank(const struct session *s, const struct pair *pair)
{
	char text[NIC_ADDRESS_TEXT];
	int rank = 0;

	for (char **a = s->addresses; *a; a++, rank++)
		for (unsigned i = 0; i < pair->routes; i++) {
			nic_address_host(text, &pair->route[i].to);
			if (!strcmp(text, *a))
				return rank;
		}
	return rank;
}

static void find_pairs(struct session *s, struct plan *p)
{
	pairs_find(&p->pairs, p->near, p->far, route_lookup, NULL);
	for (size_t i = 0; i < p->pairs.count; i++) {
		struct pair *pair = &p->pairs.at[i];

		if (s->networks.count == 0)
			pair->rank = given_rank(s, pair);
		pair->delivered = nic_watch_rate(s->watch, &pair->route[0].from,
						 &pair->route[0].to);
	}
}

/* The path over which the session began belongs to the cards that have its
 * addresses. */
static void name_given(struct session *s, const struct plan *p)
{
	struct path *first = s->path[0];

	for (unsigned i = 0; first->given && i < CHANNELS_MAX; i++) {
		const struct carrier *c = &s->carrier[i];
		const struct card *near, *far;

		if (c->state != CARRIER_ALIVE || c->path != first)
			continue;
		near = cards_by_address(p->near, &c->channel->local);
		far = cards_by_address(p->far, &c->channel->remote);
		if (!near || !far)
			continue;
		snprintf(first->near, sizeof(first->near), "%s", near->name);
		snprintf(first->far, sizeof(first->far), "%s", far->name);
		first->route[0] = (struct pair_addresses){ c->channel->local,
							   c->channel->remote };
		first->routes = 1;
		first->given = false;
	}
}

static void mark_failed(struct session *s, struct plan *p)
{
	WITH_LOCK(&s->lock);

	name_given(s, p);
	for (size_t i = 0; i < p->pairs.count; i++) {
		const struct path *path = path_of(s, &p->pairs.at[i]);

		p->pairs.at[i].failed = path && path->failed;
	}
}

/* --- ports */

static bool spread_matters(const struct pair *pair)
{
	return (pair->near->bonded && bond_predictable(&pair->near->bond) &&
		bond_heeds_ports(&pair->near->bond)) ||
	       (pair->far->rss && rss_predictable(&pair->far->hash));
}

/* Twice as many as there are connections, in case some are taken. */
static void pick_ports(const struct session *s, const struct pair *pair,
		       uint16_t *ret, unsigned *ret_count)
{
	struct port_wish wish = {
		.flow = { .family = pair->route[0].from.family,
			  .to_port = s->port,
			  .vlan = (uint16_t)pair->near->vlan },
		.lowest = PORT_LOWEST,
		.highest = PORT_HIGHEST,
		.start = (uint16_t)(PORT_LOWEST +
				    s->id % (PORT_HIGHEST - PORT_LOWEST)),
		.bond = pair->near->bonded ? &pair->near->bond : NULL,
		.rss = pair->far->rss ? &pair->far->hash : NULL,
	};
	unsigned count = 2 * pair->connections;
	struct error ignored;

	if (count > PORTS_MAX)
		count = PORTS_MAX;
	memcpy(wish.flow.from, pair->route[0].from.bytes, 16);
	memcpy(wish.flow.to, pair->route[0].to.bytes, 16);
	memcpy(wish.flow.from_mac, pair->near->mac, NIC_MAC_BYTES);
	memcpy(wish.flow.to_mac, pair->far->mac, NIC_MAC_BYTES);
	*ret_count = 0;
	if (pair->use != PAIR_SPARE && spread_matters(pair) &&
	    ports_pick(ret, count, &wish, &ignored) == 0)
		*ret_count = count;
}

/* --- applying */

struct path *path_new(struct session *s)
{
	struct path *p;

	if (s->paths == PATHS_MAX)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->channels = json_array();
	s->path[s->paths++] = p;
	return p;
}

static struct path *path_for(struct session *s, const struct pair *pair)
{
	struct path *p = path_of(s, pair);
	struct error e;

	if (p || pair->use == PAIR_SPARE)
		return p;
	p = path_new(s);
	if (!p)
		return NULL;
	snprintf(p->near, sizeof(p->near), "%s", pair->near->name);
	snprintf(p->far, sizeof(p->far), "%s", pair->far->name);
	if (path_start(s, p, &e) == 0)
		return p;
	log_warning("session with %s: %s", s->peer, e.text);
	json_decref(p->channels);
	free(p);
	s->paths--;
	return NULL;
}

static void describe_flows(struct path *p, const struct pair *pair)
{
	const struct card *bonded = pair->near->bonded  ? pair->near
				    : pair->far->bonded ? pair->far
							: NULL;

	p->flows[0] = '\0';
	if (bonded)
		snprintf(p->flows, sizeof(p->flows), "%s: %s", bonded->name,
			 bond_flows_text(&bonded->bond));
}

static unsigned slower_mbit(const struct pair *pair)
{
	unsigned a = pair->near->speed_mbit, b = pair->far->speed_mbit;

	return a && b ? (a < b ? a : b) : (a ? a : b);
}

static void set_path(struct path *p, const struct plan *plan, size_t i)
{
	const struct pair *pair = &plan->pairs.at[i];
	const enum pair_use was = p->use;

	memcpy(p->route, pair->route, sizeof(p->route));
	p->routes = pair->routes;
	memcpy(p->port, plan->from[i].port, sizeof(p->port));
	p->ports = plan->from[i].ports;
	p->order = (unsigned)i;
	p->use = pair->use;
	p->rank = pair->rank;
	p->speed_mbit = slower_mbit(pair);
	p->wanted = pair->connections;
	describe_flows(p, pair);
	/* It is wanted again, and may still have the channels that it had. */
	if (was == PAIR_SPARE && !p->failed)
		p->why[0] = '\0';
	if (pair->use == PAIR_SPARE)
		snprintf(p->why, sizeof(p->why), "%s", pair->why);
}

static const struct card *card_of(const struct cards *cards, const char *name)
{
	for (size_t i = 0; i < cards->count; i++)
		if (!strcmp(cards->at[i].name, name))
			return &cards->at[i];
	return NULL;
}

/* The card here is all right. */
static void blame_far(struct session *s, struct path *p,
		      const struct plan *plan)
{
	const struct card *far = card_of(plan->far, p->far);
	bool usable = far && !far->why_not[0];

	if (!far)
		snprintf(p->why, sizeof(p->why),
			 "host %s has no card %s any more", s->peer, p->far);
	else if (usable || !pairs_why_not(&plan->pairs, far, p->why))
		snprintf(p->why, sizeof(p->why),
			 "no route from %s to any address of %s there any more",
			 p->near, p->far);
}

/* Those of a card here that is down or gone; the keeper may not have noticed.
 */
static void lose_channels(struct session *s, const struct path *p)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].state != CARRIER_FREE &&
		    s->carrier[i].path == p)
			carrier_drop(&s->carrier[i], p->why);
}

/* A path whose pair is gone: why, and nothing wanted of it. */
static void unlist(struct session *s, struct path *p, const struct plan *plan)
{
	const struct card *near = card_of(plan->near, p->near);

	p->wanted = 0;
	p->use = PAIR_SPARE;
	if (near && !near->why_not[0]) {
		blame_far(s, p, plan);
		return;
	}
	if (near)
		snprintf(p->why, sizeof(p->why), "%s", near->why_not);
	else
		snprintf(p->why, sizeof(p->why), "%s is gone", p->near);
	lose_channels(s, p);
}

/* As a path that never was. */
static json_t *spare_json(const struct session *s, const struct pair *pair)
{
	struct path p = { .routes = 1,
			  .route = { pair->route[0] },
			  .use = PAIR_SPARE,
			  .rank = pair->rank,
			  .speed_mbit = slower_mbit(pair) };

	snprintf(p.near, sizeof(p.near), "%s", pair->near->name);
	snprintf(p.far, sizeof(p.far), "%s", pair->far->name);
	snprintf(p.why, sizeof(p.why), "%s",
		 pair->use == PAIR_SPARE
			 ? pair->why
			 : "the session has no room for more paths");
	return path_json(s, &p);
}

static void note_idle(json_t *into, const char *side, const struct cards *cards,
		      const struct pairs *pairs)
{
	for (size_t i = 0; i < cards->count; i++) {
		const struct card *c = &cards->at[i];
		char why[NIC_REASON];

		snprintf(why, sizeof(why), "%s", c->why_not);
		if (why[0] || pairs_why_not(pairs, c, why))
			json_array_append_new(into,
					      json_pack("{s:s,s:s,s:s}", "side",
							side, "nic", c->name,
							"why", why));
	}
}

/* Those that the plan does not list keep the last place. */
static void set_paths(struct session *s, const struct plan *plan)
{
	json_array_clear(s->spares);
	for (unsigned i = 0; i < s->paths; i++)
		if (!s->path[i]->given)
			s->path[i]->order = PAIRS_MAX;
	for (size_t i = 0; i < plan->pairs.count; i++) {
		const struct pair *pair = &plan->pairs.at[i];
		struct path *p = path_for(s, pair);

		if (p)
			set_path(p, plan, i);
		else if (json_array_size(s->spares) < SPARES_MAX)
			json_array_append_new(s->spares, spare_json(s, pair));
	}
}

/* Cards that pair are better than an address that belongs to none. */
static void give_up_given(struct session *s)
{
	struct path *first = s->path[0];

	if (!first->given)
		return;
	first->wanted = 0;
	snprintf(first->why, sizeof(first->why),
		 "the address that the session began with belongs to no card "
		 "that may be used");
}

/* Whether anything that the plan wants carries already. */
static bool plan_carries(const struct session *s)
{
	for (unsigned i = 0; i < s->paths; i++)
		if (s->path[i]->wanted > 0 && carriers_of(s, s->path[i]) > 0)
			return true;
	return false;
}

static void let_go(struct session *s)
{
	if (!plan_carries(s))
		return;
	for (unsigned i = 0; i < s->paths; i++) {
		struct path *p = s->path[i];
		unsigned more = carriers_of(s, p);

		for (unsigned k = 0; k < CHANNELS_MAX && more > p->wanted; k++)
			if (s->carrier[k].path == p &&
			    s->carrier[k].state == CARRIER_ALIVE) {
				s->carrier[k].let_go = true;
				carrier_drop(&s->carrier[k],
					     "not needed any more");
				more--;
			}
	}
}

static void apply(struct session *s, struct plan *plan, bool news)
{
	WITH_LOCK(&s->lock);

	if (s->ended)
		return;
	set_paths(s, plan);
	for (unsigned i = 0; i < s->paths; i++) {
		struct path *p = s->path[i];

		if (p->order == PAIRS_MAX && !p->given)
			unlist(s, p, plan);
		else if ((p->failed || p->failures > 0) && news)
			path_retry(p);
	}
	json_array_clear(s->idle);
	note_idle(s->idle, "here", plan->near, &plan->pairs);
	note_idle(s->idle, "there", plan->far, &plan->pairs);
	if (plan->pairs.count > 0)
		give_up_given(s);
	let_go(s);
	s->planned = true;
	pthread_cond_broadcast(&s->changed);
}

static int plan_make(struct session *s, struct plan *p, struct error *e)
{
	if (read_near(s, p, e) < 0 || read_far(s, p, e) < 0)
		return error_code(e);
	if (!p->far)
		return 0;
	find_pairs(s, p);
	mark_failed(s, p);
	pairs_choose(&p->pairs, &s->policy);
	for (size_t i = 0; i < p->pairs.count; i++)
		pick_ports(s, &p->pairs.at[i], p->from[i].port,
			   &p->from[i].ports);
	return 0;
}

/* The lock is let go of: routes are asked for. */
static void plan_once(struct session *s)
{
	bool news = s->news;
	struct plan *p;
	struct error e;

	s->plan_due = s->news = false;
	s->planning = true;
	pthread_mutex_unlock(&s->lock);
	p = calloc(1, sizeof(*p));
	if (!p || plan_make(s, p, &e) < 0)
		log_warning("session with %s: no plan of its paths: %s",
			    s->peer, p ? e.text : "no memory");
	else if (p->far)
		apply(s, p, news);
	if (p)
		plan_free(p);
	pthread_mutex_lock(&s->lock);
	s->planning = false;
	pthread_cond_broadcast(&s->changed);
}

void *planner_main(void *session)
{
	struct session *s = session;
	uint64_t next_us = 0;

	WITH_LOCK(&s->lock);

	while (!s->ended) {
		const struct timespec t =
			clock_timespec(s->plan_due ? next_us : USEC_NEVER);

		if (!s->plan_due || clock_us() < next_us) {
			pthread_cond_timedwait(&s->changed, &s->lock, &t);
			continue;
		}
		plan_once(s);
		next_us = clock_us() + PLAN_PAUSE_US;
	}
	return NULL;
}

/* --- waiting for it */

static bool is_settled(const struct session *s)
{
	if (s->ended)
		return true;
	if (!s->planned || s->plan_due || s->planning)
		return false;
	for (unsigned i = 0; i < s->paths; i++)
		if (!s->path[i]->failed && s->path[i]->failures == 0 &&
		    carriers_of(s, s->path[i]) < s->path[i]->wanted)
			return false;
	return true;
}

void session_settle(struct session *s, uint64_t deadline_us)
{
	const struct timespec t = clock_timespec(deadline_us);
	int r = 0;

	WITH_LOCK(&s->lock);

	while (!is_settled(s) && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&s->changed, &s->lock, &t);
}

void paths_free(struct session *s)
{
	for (unsigned i = 0; i < s->paths; i++) {
		json_decref(s->path[i]->channels);
		free(s->path[i]);
	}
}
