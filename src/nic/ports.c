/* SPDX-License-Identifier: MIT */
#include "nic/ports.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/scope.h"
#include "nic/bond.h"
#include "nic/toeplitz.h"

enum { QUEUES_MAX = 1024, MEMBERS_MAX = 64 };

struct cell {
	uint16_t member, queue;
};

struct candidate {
	struct cell cell;
	uint16_t port;
	bool taken;
};

struct spread {
	const struct port_wish *wish;
	struct candidate *at;
	size_t count;
	unsigned members[MEMBERS_MAX], queues[QUEUES_MAX]; /* how often used */
};

static struct cell cell_of(const struct port_wish *w, uint16_t port)
{
	struct flow flow = w->flow;
	struct cell cell = { 0 };

	flow.from_port = port;
	if (w->bond && bond_predictable(w->bond))
		cell.member =
			(uint16_t)(bond_member(w->bond, &flow) % MEMBERS_MAX);
	if (w->rss && rss_predictable(w->rss))
		cell.queue = (uint16_t)(rss_queue(w->rss, &flow) % QUEUES_MAX);
	return cell;
}

static bool among(const uint16_t *ports, size_t count, uint16_t port)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i] == port)
			return true;
	return false;
}

static void use(struct spread *s, struct cell cell)
{
	s->members[cell.member]++;
	s->queues[cell.queue]++;
}

/* All ports of the range that may be taken, from the start around. */
static void collect(struct spread *s, size_t range)
{
	const struct port_wish *w = s->wish;
	size_t start = 0;

	if (w->start > w->lowest && w->start <= w->highest)
		start = (size_t)w->start - w->lowest;
	for (size_t i = 0; i < range; i++) {
		uint16_t port = (uint16_t)(w->lowest + (start + i) % range);

		if (among(w->held, w->held_count, port) ||
		    among(w->avoid, w->avoid_count, port))
			continue;
		s->at[s->count++] = (struct candidate){
			.cell = cell_of(w, port),
			.port = port,
		};
	}
}

static bool better(const struct spread *s, struct cell a, struct cell b)
{
	if (s->members[a.member] != s->members[b.member])
		return s->members[a.member] < s->members[b.member];
	return s->queues[a.queue] < s->queues[b.queue];
}

static struct candidate *take_best(struct spread *s)
{
	struct candidate *best = NULL;

	for (size_t i = 0; i < s->count; i++)
		if (!s->at[i].taken &&
		    (!best || better(s, s->at[i].cell, best->cell)))
			best = &s->at[i];
	if (best) {
		best->taken = true;
		use(s, best->cell);
	}
	return best;
}

/* By how much the most used of them is used more than the least used one. */
static unsigned most_over_least(const unsigned *used, const bool *is,
				unsigned count)
{
	unsigned most = 0, least = UINT_MAX;

	for (unsigned i = 0; i < count; i++) {
		if (!is[i])
			continue;
		most = used[i] > most ? used[i] : most;
		least = used[i] < least ? used[i] : least;
	}
	return most > least ? most - least : 0;
}

/* What connections may fall on. */
struct places {
	bool member[MEMBERS_MAX], queue[QUEUES_MAX];
};

static void find_places(struct places *p, const struct port_wish *w)
{
	unsigned members = 1;

	if (w->bond && bond_predictable(w->bond))
		members = w->bond->members;
	for (unsigned i = 0; i < members && i < MEMBERS_MAX; i++)
		p->member[i] = true;
	p->queue[0] = true;
	if (!w->rss || !rss_predictable(w->rss))
		return;
	p->queue[0] = false;
	for (unsigned i = 0; i < w->rss->table_size; i++)
		p->queue[w->rss->table[i] % QUEUES_MAX] = true;
}

/* The one whose place is used most. */
static int most_crowded(const struct spread *s, bool queues_first)
{
	const struct port_wish *w = s->wish;
	unsigned most = 0;
	int found = -1;

	for (size_t i = 0; i < w->held_count; i++) {
		struct cell c = cell_of(w, w->held[i]);
		unsigned members = s->members[c.member];
		unsigned queues = s->queues[c.queue];
		unsigned here = queues_first ? queues * PORTS_MAX + members
					     : members * PORTS_MAX + queues;

		if (here > most) {
			most = here;
			found = (int)i;
		}
	}
	return found;
}

/* Of what was measured: one that shares its queue while another has none. */
static int sharing(const struct port_wish *w)
{
	unsigned used = 0;
	int shared = -1;

	for (size_t i = 0; i < w->held_count; i++) {
		bool seen = false;

		if (w->held_queue[i] == 0)
			return -1;
		for (size_t k = 0; k < i; k++)
			seen = seen || w->held_queue[k] == w->held_queue[i];
		if (seen)
			shared = (int)i;
		else
			used++;
	}
	return used < w->queues ? shared : -1;
}

int ports_crowded(const struct port_wish *wish, bool surplus)
{
	struct spread s = { .wish = wish };
	struct places p = { 0 };

	for (size_t i = 0; i < wish->held_count; i++)
		use(&s, cell_of(wish, wish->held[i]));
	find_places(&p, wish);
	if (surplus || most_over_least(s.members, p.member, MEMBERS_MAX) > 1)
		return most_crowded(&s, /* queues_first */ false);
	if (most_over_least(s.queues, p.queue, QUEUES_MAX) > 1)
		return most_crowded(&s, /* queues_first */ true);
	return wish->held_queue ? sharing(wish) : -1;
}

int ports_pick(uint16_t *ret, size_t count, const struct port_wish *wish,
	       struct error *e)
{
	AUTO_FREE struct spread *s = calloc(1, sizeof(*s));
	AUTO_FREE struct candidate *at = NULL;
	uint16_t found[PORTS_MAX];
	size_t range = (size_t)wish->highest - wish->lowest + 1;

	assert(count <= PORTS_MAX && wish->lowest <= wish->highest);
	if (range > PORTS_RANGE_MAX)
		range = PORTS_RANGE_MAX;
	at = calloc(range, sizeof(*at));
	if (!s || !at)
		return error_set(e, ENOMEM, "no memory to choose ports");
	s->wish = wish;
	s->at = at;
	for (size_t i = 0; i < wish->held_count; i++)
		use(s, cell_of(wish, wish->held[i]));
	collect(s, range);
	for (size_t i = 0; i < count; i++) {
		const struct candidate *c = take_best(s);

		if (!c)
			return error_set(e, EADDRNOTAVAIL,
					 "ports %u to %u are not enough for "
					 "%zu connections",
					 wish->lowest, wish->highest, count);
		found[i] = c->port;
	}
	for (size_t i = 0; i < count; i++)
		ret[i] = found[i];
	return 0;
}
