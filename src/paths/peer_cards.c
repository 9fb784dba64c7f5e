/* SPDX-License-Identifier: MIT */
#include "paths/peer_cards.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "lanes/lanes.h"
#include "nic/address.h"
#include "nic/cards.h"
#include "nic/toeplitz.h"
#include "paths/path_set.h"

/* Why nothing comes or goes over the card of @v any more; false: it may. */
static bool is_dead(const struct lane_view *v, const struct inventory *inv,
		    char why[static NIC_REASON])
{
	const struct nic *n;

	if (!v->alive || v->local.family == 0)
		return false;
	n = inventory_by_address(inv, v->local.family, v->local.bytes);
	/* Addresses that no peer may be told of are not listed. */
	if (n ? n->up && n->carrier : !nic_address_is_host(&v->local))
		return false;
	if (n)
		snprintf(why, NIC_REASON, "%s %s", n->name,
			 n->up ? "has no carrier" : "is down");
	else
		snprintf(why, NIC_REASON,
			 "no card has the address of %s any more", v->from);
	return true;
}

/* A lane over a card that is down would only notice in a second. */
static void drop_dead(struct lanes *lanes, const struct inventory *inv)
{
	struct lane_view all[CHANNELS_MAX];
	unsigned n = lanes_view(lanes, all);
	char why[NIC_REASON];

	for (unsigned i = 0; i < n; i++)
		if (is_dead(&all[i], inv, why))
			lanes_drop(lanes, all[i].number, /* let_go */ false,
				   why);
}

/* Enough for the queue to be that of data, not of a greeting. */
enum { ARRIVED_BYTES = 64 * 1024 };

static bool has_arrived(const struct lane_view *v)
{
	return v->alive && v->queue > 0 && v->remote_port > 0 &&
	       v->received >= ARRIVED_BYTES;
}

bool peer_cards_arrived(struct path_set *set)
{
	struct lane_view all[CHANNELS_MAX];
	struct card_arrival now[CHANNELS_MAX];
	unsigned n, count = 0;
	bool changed;

	if (set->addresses || !set->watch)
		return false;
	n = lanes_view(set->lanes, all);
	for (unsigned i = 0; i < n; i++)
		if (has_arrived(&all[i]))
			now[count++] =
				(struct card_arrival){ all[i].remote_port,
						       all[i].queue };
	changed = count != set->arrivals;
	for (unsigned i = 0; i < count; i++) {
		changed = changed || now[i].port != set->arrival[i].port ||
			  now[i].queue != set->arrival[i].queue;
		set->arrival[i] = now[i];
	}
	set->arrivals = count;
	return changed;
}

/* Of the lanes that the peer dialled. */
static void put_arrivals(struct cards *cards, struct path_set *set)
{
	struct lane_view all[CHANNELS_MAX];
	unsigned n = lanes_view(set->lanes, all);

	for (unsigned i = 0; i < n && !set->addresses; i++) {
		const struct card *at = cards_by_address(cards, &all[i].local);
		struct card *c = at ? &cards->at[at - cards->at] : NULL;

		if (c && c->rss && !rss_predictable(&c->hash) &&
		    has_arrived(&all[i]) && c->arrivals < CARD_ARRIVALS_MAX)
			c->arrival[c->arrivals++] =
				(struct card_arrival){ all[i].remote_port,
						       all[i].queue };
	}
}

void peer_cards_refresh(struct path_set *set)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(set->watch);
	struct cards *cards = NULL;
	struct error e;
	char *text;

	drop_dead(set->lanes, inv);
	if (cards_of(&cards, inv, &set->networks, &e) < 0) {
		log_warning("session with %s: %s", set->peer, e.text);
	} else {
		put_arrivals(cards, set);
		text = cards_text(cards);
		if (text)
			lanes_announce(set->lanes, LANES_CARDS, text);
	}
	cards_free(cards);
}

int peer_cards_came(struct path_set *set, uint64_t generation, const void *text,
		    size_t len, struct error *e)
{
	struct cards *cards;

	if (cards_parse(&cards, text, len, e) < 0)
		return error_in(e, "cards of %s", set->peer);

	WITH_LOCK(&set->lock);

	if (generation <= set->far_generation) {
		cards_free(cards);
		return 0;
	}
	cards_free(set->far_cards);
	set->far_cards = cards;
	set->far_generation = generation;
	set->plan_due = set->news = true;
	path_set_wake(set);
	return 0;
}

bool peer_cards_have(struct path_set *set, const struct nic_address *a)
{
	WITH_LOCK(&set->lock);

	for (size_t i = 0; set->far_cards && i < set->far_cards->count; i++) {
		const struct card *c = &set->far_cards->at[i];

		for (size_t k = 0; k < c->addresses; k++)
			if (nic_address_equal(&c->address[k].address, a))
				return true;
	}
	return false;
}
