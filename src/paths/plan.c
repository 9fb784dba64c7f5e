/* SPDX-License-Identifier: MIT */
#include "paths/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "nic/address.h"
#include "nic/bond.h"
#include "nic/toeplitz.h"

enum { PORT_LOWEST = 32768, PORT_HIGHEST = 60999, NO_LANE = CHANNELS_MAX };

/* A card may put all on one queue whatever the ports are. */
enum { OPENED_ANEW_MAX = 32 };

#define SAY(where, ...) snprintf(where, sizeof(where), __VA_ARGS__)

/* --- whose pair is which */

static struct plan_wish *wish_of(struct plan *p, const struct pair *pair)
{
	for (unsigned i = 0; i < p->wishes; i++)
		if (!p->wish[i].path.given &&
		    !strcmp(p->wish[i].path.near, pair->near->name) &&
		    !strcmp(p->wish[i].path.far, pair->far->name))
			return &p->wish[i];
	return NULL;
}

/* The path over which the session began belongs to the cards that have its
 * addresses. */
static void name_given(struct plan_wish *first, const struct plan_facts *f)
{
	for (unsigned i = 0; first->path.given && i < f->lanes; i++) {
		const struct lane_view *v = &f->lane[i];
		const struct card *near, *far;

		if (!v->alive || v->owner != 1)
			continue;
		near = cards_by_address(f->near, &v->local);
		far = cards_by_address(f->far, &v->remote);
		if (!near || !far)
			continue;
		SAY(first->path.near, "%s", near->name);
		SAY(first->path.far, "%s", far->name);
		first->route[0] =
			(struct pair_addresses){ v->local, v->remote };
		first->routes = 1;
		first->path.given = false;
	}
}

static void begin(struct plan *p, struct plan_facts *f)
{
	p->wishes = f->paths;
	for (unsigned i = 0; i < f->paths; i++) {
		p->wish[i].path = f->path[i];
		p->wish[i].order = PAIRS_MAX;
	}
	if (f->paths > 0)
		name_given(&p->wish[0], f);
	for (size_t i = 0; i < f->pairs.count; i++) {
		const struct plan_wish *w = wish_of(p, &f->pairs.at[i]);

		f->pairs.at[i].failed = w && w->path.failed;
	}
}

/* --- paths that are listed */

static bool spread_matters(const struct pair *pair)
{
	return (pair->near->bonded && bond_predictable(&pair->near->bond) &&
		bond_heeds_ports(&pair->near->bond)) ||
	       (pair->far->rss && rss_predictable(&pair->far->hash));
}

static bool is_measured(const struct pair *pair)
{
	return pair->far->arrivals > 0 && !rss_predictable(&pair->far->hash);
}

/* Lanes of a path between the addresses that its ports are chosen for. */
struct held {
	unsigned lane[CHANNELS_MAX];
	uint16_t port[CHANNELS_MAX];
	unsigned queue[CHANNELS_MAX]; /* that was measured; 0: none was */
	unsigned count;
};

static unsigned queue_of(const struct card *far, uint16_t port)
{
	for (size_t i = 0; i < far->arrivals; i++)
		if (far->arrival[i].port == port)
			return far->arrival[i].queue;
	return 0;
}

static void find_held(struct held *h, const struct plan_facts *f,
		      const struct pair *pair, unsigned number)
{
	h->count = 0;
	for (unsigned i = 0; i < f->lanes; i++) {
		const struct lane_view *v = &f->lane[i];

		if (v->owner != number || !(v->alive || v->starting) ||
		    !nic_address_equal(&v->local, &pair->route[0].from) ||
		    !nic_address_equal(&v->remote, &pair->route[0].to))
			continue;
		h->lane[h->count] = i;
		h->queue[h->count] = queue_of(pair->far, v->local_port);
		h->port[h->count++] = v->local_port;
	}
}

static struct port_wish port_wish_of(const struct plan_facts *f,
				     const struct pair *pair,
				     const struct held *h, unsigned anew)
{
	struct port_wish wish = {
		.flow = { .family = pair->route[0].from.family,
			  .to_port = f->to_port,
			  .vlan = (uint16_t)pair->near->vlan },
		.lowest = PORT_LOWEST,
		.highest = PORT_HIGHEST,
		.start = (uint16_t)(PORT_LOWEST +
				    (f->salt + (uint64_t)anew * PORTS_MAX) %
					    (PORT_HIGHEST - PORT_LOWEST)),
		.bond = pair->near->bonded ? &pair->near->bond : NULL,
		.rss = pair->far->rss ? &pair->far->hash : NULL,
		.held = h->port,
		.held_count = h->count,
		.held_queue = is_measured(pair) ? h->queue : NULL,
		.queues = pair->far->queues,
	};

	memcpy(wish.flow.from, pair->route[0].from.bytes, 16);
	memcpy(wish.flow.to, pair->route[0].to.bytes, 16);
	memcpy(wish.flow.from_mac, pair->near->mac, NIC_MAC_BYTES);
	memcpy(wish.flow.to_mac, pair->far->mac, NIC_MAC_BYTES);
	return wish;
}

static void drop(struct plan *p, struct lane_view *v, bool let_go,
		 const char *why)
{
	struct plan_drop *d = &p->drop[p->drops++];

	d->lane = v->number;
	d->let_go = let_go;
	SAY(d->why, "%s", why);
	v->alive = false;
}

/* Those that are still to come, from the ports that they will have. */
static void add_coming(struct held *h, struct port_wish *wish, unsigned wanted)
{
	struct error ignored;

	while (h->count < wanted) {
		wish->held_count = h->count;
		if (ports_pick(&h->port[h->count], 1, wish, &ignored) < 0)
			break;
		h->queue[h->count] = 0;
		h->lane[h->count++] = NO_LANE;
	}
	wish->held_count = h->count;
}

/* Where members or queues have changed, or one connection began before the
 * ports were chosen: those that share one while another is free are opened
 * anew, and of those that are too many they go first. */
static void spread_again(struct plan *p, struct plan_facts *f,
			 const struct pair *pair, unsigned number)
{
	unsigned *anew = &p->wish[number - 1].path.opened_anew;
	const unsigned wanted = pair->connections;
	struct port_wish wish;
	struct held h;
	int i;

	if (wanted < 2 || pair->use != PAIR_USED ||
	    !(spread_matters(pair) || is_measured(pair)))
		return;
	find_held(&h, f, pair, number);
	wish = port_wish_of(f, pair, &h, *anew);
	if (*anew >= OPENED_ANEW_MAX)
		wish.held_queue = NULL;
	add_coming(&h, &wish, wanted);
	while ((i = ports_crowded(&wish, h.count > wanted)) >= 0 &&
	       h.lane[i] != NO_LANE && f->lane[h.lane[i]].alive) {
		drop(p, &f->lane[h.lane[i]], /* let_go */ true,
		     "another source port spreads better");
		*anew += wish.held_queue != NULL;
		h.port[i] = h.port[--h.count];
		h.lane[i] = h.lane[h.count];
		h.queue[i] = h.queue[h.count];
		add_coming(&h, &wish, wanted);
	}
}

/* Twice as many as there are connections, in case some are taken. */
static void pick_ports(struct plan_wish *w, const struct plan_facts *f,
		       const struct pair *pair, unsigned number)
{
	unsigned count = 2 * pair->connections;
	struct port_wish wish;
	struct error ignored;
	struct held h;

	if (count > PORTS_MAX)
		count = PORTS_MAX;
	find_held(&h, f, pair, number);
	wish = port_wish_of(f, pair, &h, w->path.opened_anew);
	if (pair->use != PAIR_SPARE && spread_matters(pair) &&
	    ports_pick(w->port, count, &wish, &ignored) == 0)
		w->ports = count;
}

/* What leaves here is what counts; of the bond there, whether all of it has to
 * arrive on one member. */
static void describe_flows(struct plan_wish *w, const struct pair *pair)
{
	const struct card *near = pair->near, *far = pair->far;
	const bool on_one = far->bonded && bond_receives_on_one(&far->bond);

	if (near->bonded && on_one)
		SAY(w->flows, "%s: %s %s there receives it on one.", near->name,
		    bond_flows_text(&near->bond), far->name);
	else if (near->bonded)
		SAY(w->flows, "%s: %s", near->name,
		    bond_flows_text(&near->bond));
	else if (on_one)
		SAY(w->flows,
		    "%s there receives what one peer sends on one "
		    "member.",
		    far->name);
	else if (far->bonded)
		SAY(w->flows,
		    "%s there: the switch decides on which member a "
		    "connection arrives.",
		    far->name);
}

static unsigned slower_mbit(const struct pair *pair)
{
	unsigned a = pair->near->speed_mbit, b = pair->far->speed_mbit;

	return a && b ? (a < b ? a : b) : (a ? a : b);
}

static void list(struct plan *p, struct plan_wish *w, struct plan_facts *f,
		 size_t i)
{
	const struct pair *pair = &f->pairs.at[i];
	const unsigned number = (unsigned)(w - p->wish) + 1;

	w->listed = w->try_again = true;
	memcpy(w->route, pair->route, sizeof(w->route));
	w->routes = pair->routes;
	w->order = (unsigned)i;
	w->use = pair->use;
	w->rank = pair->rank;
	w->speed_mbit = slower_mbit(pair);
	w->delivered = pair->delivered;
	SAY(w->reason, "%s", pair->reason);
	w->path.wanted = pair->connections;
	spread_again(p, f, pair, number);
	pick_ports(w, f, pair, number);
	describe_flows(w, pair);
	/* It is wanted again, and may still have the lanes that it had. */
	w->says_why =
		pair->use == PAIR_SPARE || (w->path.spare && !w->path.failed);
	if (pair->use == PAIR_SPARE)
		SAY(w->why, "%s", pair->why);
}

static struct plan_wish *wish_for(struct plan *p, const struct pair *pair)
{
	struct plan_wish *w = wish_of(p, pair);

	if (w || pair->use == PAIR_SPARE || p->wishes == PATHS_MAX)
		return w;
	w = &p->wish[p->wishes++];
	SAY(w->path.near, "%s", pair->near->name);
	SAY(w->path.far, "%s", pair->far->name);
	return w;
}

static void note_spare(struct plan *p, const struct pair *pair)
{
	struct plan_spare *s;

	if (p->spares == PLAN_SPARES_MAX)
		return;
	s = &p->spare[p->spares++];
	SAY(s->near, "%s", pair->near->name);
	SAY(s->far, "%s", pair->far->name);
	s->route = pair->route[0];
	s->rank = pair->rank;
	s->speed_mbit = slower_mbit(pair);
	SAY(s->why, "%s",
	    pair->use == PAIR_SPARE ? pair->why
				    : "the session has no room for more paths");
}

static void list_pairs(struct plan *p, struct plan_facts *f)
{
	for (size_t i = 0; i < f->pairs.count; i++) {
		struct plan_wish *w = wish_for(p, &f->pairs.at[i]);

		if (w)
			list(p, w, f, i);
		else
			note_spare(p, &f->pairs.at[i]);
	}
}

/* --- lanes to drop */

/* Those of a card here that is down or gone: their threads may not have
 * noticed.
 */
static void lose_lanes(struct plan *p, struct plan_facts *f, unsigned number,
		       const char *why)
{
	for (unsigned i = 0; i < f->lanes; i++)
		if (f->lane[i].alive && f->lane[i].owner == number)
			drop(p, &f->lane[i], /* let_go */ false, why);
}

static unsigned lanes_of(const struct plan_facts *f, unsigned number)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->lanes; i++)
		n += f->lane[i].owner == number &&
		     (f->lane[i].alive || f->lane[i].starting);
	return n;
}

/* Whether anything that the plan wants carries already. */
static bool plan_carries(const struct plan *p, const struct plan_facts *f)
{
	for (unsigned i = 0; i < p->wishes; i++)
		if (p->wish[i].path.wanted > 0 && lanes_of(f, i + 1) > 0)
			return true;
	return false;
}

static void let_go(struct plan *p, struct plan_facts *f)
{
	if (!plan_carries(p, f))
		return;
	for (unsigned i = 0; i < p->wishes; i++) {
		unsigned more = lanes_of(f, i + 1);

		for (unsigned k = 0;
		     k < f->lanes && more > p->wish[i].path.wanted; k++)
			if (f->lane[k].owner == i + 1 && f->lane[k].alive) {
				drop(p, &f->lane[k], /* let_go */ true,
				     "not needed any more");
				more--;
			}
	}
}

/* --- paths that are not listed */

static const struct card *card_of(const struct cards *cards, const char *name)
{
	for (size_t i = 0; i < cards->count; i++)
		if (!strcmp(cards->at[i].name, name))
			return &cards->at[i];
	return NULL;
}

/* The card here is all right. */
static void blame_far(struct plan_wish *w, const struct plan_facts *f)
{
	const struct card *far = card_of(f->far, w->path.far);
	bool usable = far && !far->why_not[0];

	if (!far)
		SAY(w->why, "host %s has no card %s any more", f->peer,
		    w->path.far);
	else if (usable || !pairs_why_not(&f->pairs, far, w->why))
		SAY(w->why,
		    "no route from %s to any address of %s there any more",
		    w->path.near, w->path.far);
}

/* A path whose pair is gone: why, and nothing wanted of it. */
static void unlist(struct plan *p, struct plan_facts *f, unsigned number)
{
	struct plan_wish *w = &p->wish[number - 1];
	const struct card *near = card_of(f->near, w->path.near);

	w->path.wanted = 0;
	w->use = PAIR_SPARE;
	w->says_why = true;
	if (near && !near->why_not[0]) {
		blame_far(w, f);
		return;
	}
	if (near)
		SAY(w->why, "%s", near->why_not);
	else
		SAY(w->why, "%s is gone", w->path.near);
	lose_lanes(p, f, number, w->why);
}

/* Cards that pair are better than an address that belongs to none. */
static void give_up_given(struct plan_wish *first, const struct plan_facts *f)
{
	first->try_again = true;
	if (f->pairs.count == 0)
		return;
	first->path.wanted = 0;
	first->says_why = true;
	SAY(first->why,
	    "the address that the session began with belongs to no card that "
	    "may be used");
}

static void unlist_rest(struct plan *p, struct plan_facts *f)
{
	for (unsigned i = 0; i < p->wishes; i++) {
		if (p->wish[i].listed)
			continue;
		if (p->wish[i].path.given)
			give_up_given(&p->wish[i], f);
		else
			unlist(p, f, i + 1);
	}
}

/* --- cards that are in no pair */

static void note_idle(struct plan *p, const struct cards *cards, bool far,
		      const struct pairs *pairs)
{
	for (size_t i = 0; i < cards->count; i++) {
		const struct card *c = &cards->at[i];
		char why[NIC_REASON];

		SAY(why, "%s", c->why_not);
		if (!why[0] && !pairs_why_not(pairs, c, why))
			continue;
		p->idle[p->idles].far = far;
		SAY(p->idle[p->idles].name, "%s", c->name);
		SAY(p->idle[p->idles].why, "%s", why);
		p->idles++;
	}
}

void plan_make(struct plan *ret, struct plan_facts *f)
{
	begin(ret, f);
	pairs_choose(&f->pairs, &f->policy);
	list_pairs(ret, f);
	unlist_rest(ret, f);
	let_go(ret, f);
	note_idle(ret, f->near, /* far */ false, &f->pairs);
	note_idle(ret, f->far, /* far */ true, &f->pairs);
}
