/* SPDX-License-Identifier: MIT */
#include "nic/pairs.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "nic/address.h"
#include "nic/bond.h"

enum {
	BYTES_PER_MBIT = 1000 * 1000 / 8,
	/* Off the own networks, so the kernel is asked; a peer with a long
	 * list must not keep us asking. */
	QUESTIONS_PER_PAIR = 16,
	QUESTIONS_MAX = 4096,
};

struct candidate {
	struct nic_address from, to;
	int rank;
	bool direct;
};

struct finder {
	struct pairs *ret;
	pair_route *route;
	void *context;
	unsigned questions;
	bool own[CARDS_MAX][CARD_ADDRESSES_MAX]; /* of the cards there */
};

/* The routes of one pair, the best first. */
struct found {
	struct candidate at[PAIR_ROUTES];
	unsigned count;
};

/* --- order */

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static uint64_t promise(const struct pair *p)
{
	return p->delivered ? p->delivered + p->delivered / 4 : p->speed;
}

static int by_state(const struct pair *a, const struct pair *b)
{
	return (int)a->far->down - (int)b->far->down;
}

static int by_rank(const struct pair *a, const struct pair *b)
{
	return a->rank - b->rank;
}

static int by_promise(const struct pair *a, const struct pair *b)
{
	return compare(promise(b), promise(a));
}

static int by_gateway(const struct pair *a, const struct pair *b)
{
	return (int)b->direct - (int)a->direct;
}

static int by_name(const struct pair *a, const struct pair *b)
{
	int r = strverscmp(a->near->name, b->near->name);

	if (r == 0)
		r = strverscmp(a->far->name, b->far->name);
	/* A peer may give several cards the same name. */
	if (r == 0)
		r = compare((uintptr_t)a->far, (uintptr_t)b->far);
	return r;
}

/* What decides first, and why one pair goes before another by it. */
static const struct {
	int (*compare)(const struct pair *a, const struct pair *b);
	const char *because;
} orders[] = {
	{ by_state, "that card is down" },
	{ by_rank, "its network is preferred" },
	{ by_promise, "it is faster" },
	{ by_gateway, "no gateway is on its way" },
	{ by_name, "of its name, all else is alike" },
};

static int by_order(const void *x, const void *y)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(orders) && r == 0; i++)
		r = orders[i].compare(x, y);
	return r;
}

static void sort(struct pairs *p)
{
	qsort(p->at, p->count, sizeof(p->at[0]), by_order);
}

/* --- finding */

static bool may_be_near(const struct card *c)
{
	return !c->why_not[0];
}

static bool may_be_far(const struct card *c)
{
	return !c->why_not[0] || c->down;
}

static bool is_own(const struct cards *near, const struct nic_address *a)
{
	for (size_t i = 0; i < near->count; i++)
		for (size_t k = 0; k < near->at[i].addresses; k++)
			if (nic_address_equal(&near->at[i].address[k].address,
					      a))
				return true;
	return false;
}

static void find_own(struct finder *f)
{
	const struct cards *far = f->ret->far;

	for (size_t i = 0; i < far->count; i++)
		for (size_t k = 0; k < far->at[i].addresses; k++)
			f->own[i][k] = is_own(f->ret->near,
					      &far->at[i].address[k].address);
}

static bool before(const struct candidate *a, const struct candidate *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return a->direct && !b->direct;
}

static void keep(struct found *all, const struct candidate *c)
{
	unsigned at = all->count;

	while (at > 0 && before(c, &all->at[at - 1]))
		at--;
	if (at == PAIR_ROUTES)
		return;
	if (all->count < PAIR_ROUTES)
		all->count++;
	for (unsigned i = all->count - 1; i > at; i--)
		all->at[i] = all->at[i - 1];
	all->at[at] = *c;
}

static void try_route(struct finder *f, struct found *all, const struct pair *p,
		      const struct card_address *from,
		      const struct card_address *to)
{
	int r = f->route(f->context, p->near, &from->address, &to->address);
	struct candidate c = {
		.from = from->address,
		.to = to->address,
		.rank = from->rank > to->rank ? from->rank : to->rank,
		.direct = r == 1,
	};

	if (r > 0)
		keep(all, &c);
}

/* Those of one network, or those that are not; the questions that this took. */
static void try_routes(struct finder *f, struct found *all,
		       const struct pair *p, bool same_network)
{
	const bool *own = f->own[p->far - f->ret->far->at];
	unsigned asked = 0;

	for (size_t i = 0; i < p->near->addresses; i++) {
		const struct card_address *from = &p->near->address[i];

		for (size_t k = 0; k < p->far->addresses; k++) {
			const struct card_address *to = &p->far->address[k];

			if (from->address.family != to->address.family ||
			    own[k] ||
			    nic_address_within(&to->address, &from->address) !=
				    same_network)
				continue;
			if (!same_network && (asked == QUESTIONS_PER_PAIR ||
					      f->questions == QUESTIONS_MAX))
				return;
			asked++;
			f->questions += !same_network;
			try_route(f, all, p, from, to);
		}
	}
}

/* For one peer's connections; 0: not known. */
static uint64_t slower(const struct card *near, const struct card *far)
{
	unsigned a = near->speed_mbit, b = far->speed_mbit;

	if (near->bonded)
		a = bond_sending_mbit(&near->bond, a);
	if (far->bonded)
		b = bond_receiving_mbit(&far->bond, b);
	return (uint64_t)(a < b ? a : b) * BYTES_PER_MBIT;
}

static void add(struct pairs *all, const struct pair *p)
{
	struct pair *worst = &all->at[0];

	if (all->count < PAIRS_MAX) {
		all->at[all->count++] = *p;
		return;
	}
	for (size_t i = 1; i < all->count; i++)
		if (by_order(worst, &all->at[i]) < 0)
			worst = &all->at[i];
	if (by_order(p, worst) < 0)
		*worst = *p;
}

static void find_pair(struct finder *f, const struct card *near,
		      const struct card *far)
{
	struct pair p = { .near = near, .far = far };
	struct found all = { .count = 0 };

	try_routes(f, &all, &p, true /* same_network */);
	try_routes(f, &all, &p, false /* same_network */);
	if (all.count == 0)
		return;
	for (unsigned i = 0; i < all.count; i++) {
		p.route[i].from = all.at[i].from;
		p.route[i].to = all.at[i].to;
	}
	p.routes = all.count;
	p.rank = all.at[0].rank;
	p.direct = all.at[0].direct;
	p.speed = slower(near, far);
	p.use = PAIR_SPARE;
	add(f->ret, &p);
}

void pairs_find(struct pairs *ret, const struct cards *near,
		const struct cards *far, pair_route *route, void *context)
{
	struct finder f = { .ret = ret, .route = route, .context = context };

	ret->near = near;
	ret->far = far;
	ret->count = 0;
	find_own(&f);
	for (size_t i = 0; i < near->count; i++)
		for (size_t k = 0; k < far->count; k++)
			if (may_be_near(&near->at[i]) &&
			    may_be_far(&far->at[k]))
				find_pair(&f, &near->at[i], &far->at[k]);
	sort(ret);
}

/* --- choosing */

static bool same_wire(const struct card *a, const struct card *b)
{
	return !strcmp(a->wire, b->wire);
}

/* The best pair in use with that card, or NULL. */
static const struct pair *user_near(const struct pairs *all,
				    const struct card *near)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->at[i].use == PAIR_USED &&
		    same_wire(all->at[i].near, near))
			return &all->at[i];
	return NULL;
}

static const struct pair *user_far(const struct pairs *all,
				   const struct card *far)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->at[i].use == PAIR_USED &&
		    same_wire(all->at[i].far, far))
			return &all->at[i];
	return NULL;
}

/* Something of the card's speed is left, as far as that is known. */
static bool has_room(const struct card *c, uint64_t used)
{
	return c->speed_mbit == 0 ||
	       used < (uint64_t)c->speed_mbit * BYTES_PER_MBIT;
}

static bool adds_rate(const struct pairs *all, const struct pair *p)
{
	uint64_t near = 0, far = 0;

	for (size_t i = 0; i < all->count; i++) {
		const struct pair *other = &all->at[i];

		if (other->use != PAIR_USED)
			continue;
		if (same_wire(other->near, p->near))
			near += other->speed;
		if (same_wire(other->far, p->far))
			far += other->speed;
	}
	return has_room(p->near, near) && has_room(p->far, far);
}

static bool joins_free_cards(const struct pairs *all, const struct pair *p)
{
	return p->direct && !user_near(all, p->near) && !user_far(all, p->far);
}

static bool adds_a_card(const struct pairs *all, const struct pair *p)
{
	return p->direct &&
	       (!user_near(all, p->near) || !user_far(all, p->far)) &&
	       adds_rate(all, p);
}

static bool is_only_way(const struct pairs *all, const struct pair *p)
{
	return !p->direct && !user_near(all, p->near) && !user_far(all, p->far);
}

/* One after the other, each over all pairs in their order. */
static bool (*const rounds[])(const struct pairs *all, const struct pair *p) = {
	joins_free_cards,
	adds_a_card,
	is_only_way,
};

/* A failed pair that fits is marked so, but leaves its cards free. */
static void take(struct pairs *all, enum pair_use when_failed)
{
	for (size_t r = 0; r < ARRAY_SIZE(rounds); r++) {
		for (size_t i = 0; i < all->count; i++) {
			struct pair *p = &all->at[i];

			if (p->use == PAIR_SPARE && rounds[r](all, p))
				p->use = p->failed ? when_failed : PAIR_USED;
		}
	}
}

static void choose_all(struct pairs *all)
{
	take(all, PAIR_USED);
	for (size_t i = 0; i < all->count; i++)
		if (all->at[i].use == PAIR_USED && all->at[i].failed)
			all->at[i].use = PAIR_FAILED;
	take(all, PAIR_FAILED);
}

static void choose_one(struct pairs *all)
{
	for (size_t i = 0; i < all->count; i++) {
		all->at[i].use = all->at[i].failed ? PAIR_FAILED : PAIR_USED;
		if (!all->at[i].failed)
			return;
	}
}

/* --- connections */

static unsigned within(unsigned v, unsigned least, unsigned most)
{
	if (v < least)
		return least;
	return v < most ? v : most;
}

/* As a setting says. */
static unsigned configured(const struct pair *p,
			   const struct path_policy *policy)
{
	return p->far->rss ? policy->per_rss_card : policy->per_card;
}

/* The card whose bond takes so many connections to be used whole; NULL: more
 * than one add nothing. */
static const struct card *widest_bond(const struct pair *p, unsigned *ret_flows)
{
	const struct card *widest = NULL;
	unsigned sending = 0, receiving = 0;

	*ret_flows = 1;
	if (p->near->bonded)
		sending = bond_sending_flows(&p->near->bond);
	if (p->far->bonded)
		receiving = bond_receiving_flows(&p->far->bond);
	/* What leaves by one member, or arrives on one, is not spread there. */
	if (sending == 1 || receiving == 1)
		return NULL;
	if (sending > *ret_flows) {
		widest = p->near;
		*ret_flows = sending;
	}
	if (receiving > *ret_flows) {
		widest = p->far;
		*ret_flows = receiving;
	}
	return widest;
}

static unsigned wanted(const struct pair *p, const struct path_policy *policy)
{
	unsigned flows, most = configured(p, policy);

	if (widest_bond(p, &flows) && flows > most)
		most = flows;
	return within(most, 1, PAIRS_CONNECTIONS_MAX);
}

/* One more for each, in order; what is left afterwards. */
static unsigned deal_round(struct pairs *all, const struct path_policy *policy,
			   unsigned left)
{
	for (size_t i = 0; i < all->count && left > 0; i++) {
		struct pair *p = &all->at[i];

		if (p->use != PAIR_USED || p->connections >= wanted(p, policy))
			continue;
		p->connections++;
		left--;
	}
	return left;
}

static bool any_failed(const struct pairs *all)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->at[i].use == PAIR_FAILED)
			return true;
	return false;
}

static void deal(struct pairs *all, const struct path_policy *policy)
{
	const unsigned most = within(policy->most, 1, PAIRS_CONNECTIONS_MAX);
	unsigned left = most, before;

	/* There are no more in a session: with none left, what failed could
	 * never show that it works again. */
	if (most == PAIRS_CONNECTIONS_MAX && any_failed(all))
		left--;
	do {
		before = left;
		left = deal_round(all, policy, left);
	} while (left < before);
	for (size_t i = 0; i < all->count; i++) {
		struct pair *p = &all->at[i];

		if (p->use == PAIR_FAILED)
			p->connections = within(wanted(p, policy), 1, most);
		if (p->use != PAIR_USED || p->connections > 0)
			continue;
		p->use = PAIR_SPARE;
	}
}

/* --- reasons */

static void say(char why[static NIC_REASON], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(char why[static NIC_REASON], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, NIC_REASON, fmt, ap);
	va_end(ap);
}

/* Of a pair that is spare, by who uses its two cards, or NULL: only where the
 * connections did not suffice is that nobody. */
static void explain_spare(struct pair *p, const struct pair *near,
			  const struct pair *far)
{
	const struct pair *one = near ? near : far;

	if (!one)
		say(p->why, "no connection is left for %s and %s there",
		    p->near->name, p->far->name);
	else if (near && far && near != far)
		say(p->why,
		    "not needed: %s is used with %s there, and %s there with "
		    "%s",
		    near->near->name, near->far->name, far->far->name,
		    far->near->name);
	else
		say(p->why,
		    "not needed: %s%s and %s there are used with each other",
		    near == far ? ""
		    : p->direct ? "it adds no speed, "
				: "it leads through a gateway, and ",
		    one->near->name, one->far->name);
}

/* Why @p goes before the pair after it. */
static const char *why_before(const struct pair *p, const struct pair *next)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(orders) && orders[i].compare(p, next) == 0)
		i++;
	return orders[i].because;
}

static void rate_text(char *buf, size_t cap, const struct pair *p)
{
	if (p->delivered)
		snprintf(buf, cap, "delivered %" PRIu64 " Mbit/s",
			 p->delivered / BYTES_PER_MBIT);
	else if (p->speed)
		snprintf(buf, cap, "cards of %" PRIu64 " Mbit/s",
			 p->speed / BYTES_PER_MBIT);
	else
		snprintf(buf, cap, "speed not known");
}

static void connections_text(char *buf, size_t cap, const struct pair *p,
			     const struct path_policy *policy)
{
	const char *s = p->connections == 1 ? "" : "s";
	unsigned flows;
	const struct card *bond = widest_bond(p, &flows);

	if (p->connections < wanted(p, policy))
		snprintf(buf, cap, "%u connection%s because no more are left",
			 p->connections, s);
	else if (bond && flows > configured(p, policy))
		snprintf(buf, cap,
			 "%u connection%s because %s%s has %u members",
			 p->connections, s, bond->name,
			 bond == p->far ? " there" : "", flows);
	else if (policy->per_card == policy->per_rss_card)
		snprintf(buf, cap, "%u connection%s as configured",
			 p->connections, s);
	else
		snprintf(buf, cap, "%u connection%s because %s there has %s",
			 p->connections, s, p->far->name,
			 p->far->rss ? "RSS" : "no RSS");
}

/* Of a pair that is used; @next: the one after it, or NULL. */
static void explain_used(struct pair *p, const struct pair *next,
			 const struct path_policy *policy)
{
	char rate[48], connections[80];

	rate_text(rate, sizeof(rate), p);
	connections_text(connections, sizeof(connections), p, policy);
	if (!next)
		say(p->reason, "%s, %s, %s", rate,
		    p->direct ? "same network" : "through a gateway",
		    connections);
	else
		say(p->reason, "%s, %s, %s; before %s%s because %s", rate,
		    p->direct ? "same network" : "through a gateway",
		    connections,
		    next->near == p->near ? next->far->name : next->near->name,
		    next->near == p->near ? " there" : "", why_before(p, next));
}

static void explain(struct pairs *all, const struct path_policy *policy)
{
	const struct pair *first = NULL;

	for (size_t i = 0; i < all->count; i++) {
		struct pair *p = &all->at[i];

		if (p->use == PAIR_USED)
			explain_used(p, i + 1 < all->count ? p + 1 : NULL,
				     policy);
		if (p->use == PAIR_USED && !first)
			first = p;
		else if (p->use == PAIR_FAILED)
			say(p->why,
			    "%s and %s there do not reach each other now",
			    p->near->name, p->far->name);
		else if (p->use == PAIR_SPARE && !policy->all && first)
			say(p->why,
			    "not needed: one pair of cards at a time, and %s "
			    "and %s there are used with each other",
			    first->near->name, first->far->name);
		else if (p->use == PAIR_SPARE)
			explain_spare(p, user_near(all, p->near),
				      user_far(all, p->far));
	}
}

void pairs_choose(struct pairs *p, const struct path_policy *policy)
{
	sort(p);
	for (size_t i = 0; i < p->count; i++) {
		p->at[i].use = PAIR_SPARE;
		p->at[i].connections = 0;
		p->at[i].why[0] = p->at[i].reason[0] = '\0';
	}
	if (policy->all)
		choose_all(p);
	else
		choose_one(p);
	deal(p, policy);
	explain(p, policy);
}

/* --- cards that are in no pair */

static bool is_among(const struct cards *all, const struct card *c)
{
	for (size_t i = 0; i < all->count; i++)
		if (&all->at[i] == c)
			return true;
	return false;
}

static bool is_paired(const struct pairs *p, const struct card *c)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->at[i].near == c || p->at[i].far == c)
			return true;
	return false;
}

/* What the owner says of its card, for who looks from the other host: "eth2
 * there is down". */
static void say_of_far(char why[static NIC_REASON], const struct card *c)
{
	size_t len = strlen(c->name);

	if (!strncmp(c->why_not, c->name, len) && c->why_not[len] == ' ')
		say(why, "%s there%s", c->name, c->why_not + len);
	else
		say(why, "%s there: %s", c->name, c->why_not);
}

static unsigned count_cards(const struct cards *all,
			    bool (*may)(const struct card *c),
			    const struct card **ret_last)
{
	unsigned count = 0;

	for (size_t i = 0; i < all->count; i++) {
		if (!may(&all->at[i]))
			continue;
		*ret_last = &all->at[i];
		count++;
	}
	return count;
}

static void explain_near(const struct pairs *p, const struct card *c,
			 char why[static NIC_REASON])
{
	const struct card *other = NULL;
	unsigned count = count_cards(p->far, may_be_far, &other);

	if (count == 0)
		say(why, "no card of the other host may be used with %s",
		    c->name);
	else if (count == 1)
		say(why, "no route from %s to any address of %s there", c->name,
		    other->name);
	else
		say(why, "no route from %s to any of the %u cards there",
		    c->name, count);
}

static void explain_far(const struct pairs *p, const struct card *c,
			char why[static NIC_REASON])
{
	const struct card *other = NULL;
	unsigned count = count_cards(p->near, may_be_near, &other);

	for (size_t i = 0; i < c->addresses; i++)
		if (is_own(p->near, &c->address[i].address)) {
			say(why, "%s there has an address of this host",
			    c->name);
			return;
		}
	if (count == 0)
		say(why, "no card of this host may be used with %s there",
		    c->name);
	else if (count == 1)
		say(why, "no route from %s to any address of %s there",
		    other->name, c->name);
	else
		say(why,
		    "no route from any of the %u cards here to any address of "
		    "%s there",
		    count, c->name);
}

bool pairs_why_not(const struct pairs *p, const struct card *c,
		   char why[static NIC_REASON])
{
	bool far = is_among(p->far, c);

	if (is_paired(p, c))
		return false;
	if (far && c->why_not[0])
		say_of_far(why, c);
	else if (far)
		explain_far(p, c, why);
	else if (c->why_not[0])
		say(why, "%s", c->why_not);
	else
		explain_near(p, c, why);
	return true;
}
