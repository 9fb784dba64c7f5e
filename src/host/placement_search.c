/* SPDX-License-Identifier: MIT */

/*
 * First the hardest units are placed one after the other, each where it lets
 * the whole end soonest; then those that found no room get one by another
 * unit's stepping aside; then units go elsewhere where that is sooner.  Up to
 * SMALL units, all choices are gone through besides, but for those that cannot
 * be better than the best so far, and no more than EXHAUSTED of them.
 */
#include "host/placement_search.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"

enum {
	SMALL = 40,
	EXHAUSTED = 1000000,
	ROUNDS = 6,
	ASIDE_STEPS = 10000000,
	SOONER_STEPS = 10000000,
};

/* By how much a choice has to be better to be worth a change; below it the
 * load of the hosts counts. */
static const double WORTH = 0.99;

/* --- putting units down and taking them up */

static unsigned *member(const struct reach *r, size_t unit, size_t i)
{
	return &r->members[r->units[unit].first + i];
}

static bool apart_free(const struct search *s, size_t unit, unsigned host)
{
	const struct reach *r = s->r;

	for (size_t i = 0; i < r->units[unit].count; i++) {
		const unsigned group = r->apart[*member(r, unit, i)];

		if (group != REACH_NONE &&
		    reach_bit(s->apart + group * r->words, host))
			return false;
	}
	return true;
}

static bool may_go(const struct search *s, size_t unit, unsigned host)
{
	return reach_bit(s->r->masks + unit * s->r->words, host);
}

static bool fits(struct search *s, size_t unit, unsigned host)
{
	const struct reach_unit *u = &s->r->units[unit];

	s->steps++;
	return may_go(s, unit, host) &&
	       u->memory_bytes <= s->memory_bytes[host] &&
	       u->huge_bytes <= s->huge_bytes[host] &&
	       apart_free(s, unit, host);
}

/* @sign: 1 puts it there, -1 takes it away. */
static void carry(struct search *s, size_t unit, unsigned host, int sign)
{
	const struct reach *r = s->r;
	const struct placement *of = r->of;
	const struct placement_host *h = &of->hosts[host];

	if (h->cpus)
		s->load[host] += sign * (double)r->units[unit].vcpus / h->cpus;
	for (size_t i = 0; i < r->units[unit].count; i++) {
		const unsigned m = *member(r, unit, i);
		const unsigned from = of->machines[m].at;
		const double t = sign * order_seconds(of, m, host);

		s->in_s[host] += t / order_at_once(h->in);
		s->out_s[from] += t / order_at_once(of->hosts[from].out);
		if (r->apart[m] == REACH_NONE)
			continue;
		s->apart[r->apart[m] * r->words + host / REACH_WORD] ^=
			1ULL << host % REACH_WORD;
	}
}

static void put(struct search *s, size_t unit, unsigned host)
{
	const struct reach_unit *u = &s->r->units[unit];

	s->to[unit] = host;
	s->left -= u->count;
	s->weight -= u->weight;
	s->memory_bytes[host] -= u->memory_bytes;
	s->huge_bytes[host] -= u->huge_bytes;
	carry(s, unit, host, 1);
}

static void take(struct search *s, size_t unit)
{
	const struct reach_unit *u = &s->r->units[unit];
	const unsigned host = s->to[unit];

	if (host == REACH_NONE)
		return;
	carry(s, unit, host, -1);
	s->memory_bytes[host] += u->memory_bytes;
	s->huge_bytes[host] += u->huge_bytes;
	s->left += u->count;
	s->weight += u->weight;
	s->to[unit] = REACH_NONE;
}

/* --- what a choice is worth */

/* It cannot end sooner, whatever the order. */
static double soonest(const struct search *s)
{
	double most = 0;

	for (size_t h = 0; h < s->r->of->n_hosts; h++) {
		if (s->out_s[h] > most)
			most = s->out_s[h];
		if (s->in_s[h] > most)
			most = s->in_s[h];
	}
	return most;
}

size_t search_jobs(const struct search *s, struct order_job *jobs)
{
	const struct reach *r = s->r;
	size_t n = 0;

	for (size_t u = 0; u < r->n_units; u++)
		for (size_t i = 0;
		     s->to[u] != REACH_NONE && i < r->units[u].count; i++) {
			const unsigned m = *member(r, u, i);
			const struct placement_machine *of =
				&r->of->machines[m];

			jobs[n++] = (struct order_job){
				.machine = m,
				.from = of->at,
				.to = s->to[u],
				.priority = of->priority,
				.seconds = order_seconds(r->of, m, s->to[u]),
			};
		}
	return n;
}

static struct search_worth worth(struct search *s)
{
	const size_t n = search_jobs(s, s->jobs);

	s->steps += n * n;
	return (struct search_worth){
		.left = s->left,
		.weight = s->weight,
		.seconds = order_best(s->r->of, s->jobs, n, &s->turns),
	};
}

static bool better(const struct search_worth *a, const struct search_worth *b)
{
	if (a->left != b->left)
		return a->left < b->left;
	if (a->weight != b->weight)
		return a->weight < b->weight;
	return a->seconds < b->seconds * WORTH;
}

/* --- one after the other */

/* The end of everything if @unit goes there, the host's own part and its load
 * a little. */
static double cost(const struct search *s, size_t unit, unsigned host,
		   double end)
{
	const struct reach *r = s->r;
	const struct placement *of = r->of;
	const struct placement_host *h = &of->hosts[host];
	double in = s->in_s[host], load = s->load[host];

	for (size_t i = 0; i < r->units[unit].count; i++) {
		const unsigned m = *member(r, unit, i);
		const unsigned from = of->machines[m].at;
		const double t = order_seconds(of, m, host);
		const double out =
			s->out_s[from] + t / order_at_once(of->hosts[from].out);

		in += t / order_at_once(h->in);
		end = out > end ? out : end;
	}
	end = in > end ? in : end;
	if (h->cpus)
		load += (double)r->units[unit].vcpus / h->cpus;
	return end + 0.05 * in + 0.01 * (load < 4 ? load : 4) * (end + in);
}

static unsigned cheapest(struct search *s, size_t unit, unsigned but)
{
	const double end = soonest(s);
	unsigned best = REACH_NONE;
	double least = 0;

	for (unsigned h = 0; h < s->r->of->n_hosts; h++) {
		double c;

		if (h == but || !fits(s, unit, h))
			continue;
		c = cost(s, unit, h, end);
		if (best == REACH_NONE || c < least) {
			best = h;
			least = c;
		}
	}
	return best;
}

struct rank {
	unsigned hosts; /* few first */
	uint64_t bytes; /* then the large */
	size_t unit;
};

/* Three hosts are as good as many: else the large ones find no room. */
static int by_rank(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->hosts != y->hosts)
		return x->hosts < y->hosts ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return (x->unit > y->unit) - (x->unit < y->unit);
}

/* Those that some host may take; how many. */
static size_t rank_units(const struct reach *r, struct rank *ranks)
{
	size_t n = 0;

	for (size_t u = 0; u < r->n_units; u++)
		if (r->units[u].hosts > 0)
			ranks[n++] = (struct rank){
				.hosts = r->units[u].hosts < 3
						 ? r->units[u].hosts
						 : 3,
				.bytes = r->units[u].memory_bytes +
					 r->units[u].huge_bytes,
				.unit = u,
			};
	qsort(ranks, n, sizeof(*ranks), by_rank);
	return n;
}

static void place_all(struct search *s, const struct rank *ranks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned host = cheapest(s, ranks[i].unit, REACH_NONE);

		if (host != REACH_NONE)
			put(s, ranks[i].unit, host);
	}
}

/* --- one steps aside for another */

/* Does it make room for @unit that @other goes elsewhere, or is left, being the
 * one that matters less? */
static bool step_aside(struct search *s, size_t unit, size_t other)
{
	const unsigned host = s->to[other];
	unsigned elsewhere;

	if (host == REACH_NONE || !may_go(s, unit, host))
		return false;
	take(s, other);
	if (fits(s, unit, host)) {
		put(s, unit, host);
		elsewhere = cheapest(s, other, host);
		if (elsewhere != REACH_NONE) {
			put(s, other, elsewhere);
			return true;
		}
		if (s->r->units[unit].count == s->r->units[other].count &&
		    s->r->units[unit].weight > s->r->units[other].weight)
			return true;
		take(s, unit);
	}
	put(s, other, host);
	return false;
}

static void make_room(struct search *s, const struct rank *ranks, size_t n)
{
	const uint64_t limit = s->steps + ASIDE_STEPS;

	for (size_t i = 0; i < n; i++) {
		const size_t unit = ranks[i].unit;

		for (size_t k = 0;
		     s->to[unit] == REACH_NONE && k < n && s->steps < limit;
		     k++) {
			s->steps++;
			step_aside(s, unit, ranks[k].unit);
		}
	}
}

/* --- sooner elsewhere */

static bool go_elsewhere(struct search *s, size_t unit)
{
	const unsigned host = s->to[unit];
	double was, then;
	unsigned best;

	take(s, unit);
	was = cost(s, unit, host, soonest(s));
	best = cheapest(s, unit, host);
	then = best == REACH_NONE ? was : cost(s, unit, best, soonest(s));
	if (then >= was * WORTH)
		best = host;
	put(s, unit, best);
	return best != host;
}

static void shorten(struct search *s, const struct rank *ranks, size_t n)
{
	const uint64_t limit = s->steps + SOONER_STEPS;
	bool again = true;

	for (unsigned round = 0; again && round < ROUNDS; round++) {
		again = false;
		for (size_t i = 0; i < n && s->steps < limit; i++)
			if (s->to[ranks[i].unit] != REACH_NONE &&
			    go_elsewhere(s, ranks[i].unit))
				again = true;
	}
}

/* --- all choices, where they are few */

static bool hopeless(const struct search *s, const struct search_worth *best)
{
	if (s->left != best->left)
		return s->left > best->left;
	if (s->weight != best->weight)
		return s->weight > best->weight;
	return soonest(s) >= best->seconds * WORTH;
}

/* What has not been decided yet counts as placed: then a part of a choice is
 * worth no less than the whole. */
static void decide_none(struct search *s, const struct rank *ranks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct reach_unit *u = &s->r->units[ranks[i].unit];

		take(s, ranks[i].unit);
		s->left -= u->count;
		s->weight -= u->weight;
	}
}

/* @option: a host, or one more than there are: it stays. */
static bool decide(struct search *s, size_t unit, unsigned option)
{
	const struct reach_unit *u = &s->r->units[unit];

	if (option < s->r->of->n_hosts && !fits(s, unit, option))
		return false;
	s->left += u->count;
	s->weight += u->weight;
	if (option < s->r->of->n_hosts)
		put(s, unit, option);
	return true;
}

static void undecide(struct search *s, size_t unit)
{
	const struct reach_unit *u = &s->r->units[unit];

	take(s, unit);
	s->left -= u->count;
	s->weight -= u->weight;
}

/* The best that is found goes into @best_to. */
static void go_through(struct search *s, const struct rank *ranks, size_t n,
		       struct search_worth *best, unsigned *best_to)
{
	const uint64_t limit = s->steps + EXHAUSTED;
	unsigned next[SMALL + 1] = { 0 };
	size_t depth = 0;

	while (s->steps++ < limit) {
		if (depth == n) {
			const struct search_worth w = worth(s);

			if (better(&w, best)) {
				*best = w;
				memcpy(best_to, s->to,
				       s->r->n_units * sizeof(*best_to));
			}
		}
		if (depth == n || next[depth] > s->r->of->n_hosts) {
			if (depth == 0)
				break;
			undecide(s, ranks[--depth].unit);
			continue;
		}
		if (!decide(s, ranks[depth].unit, next[depth]++))
			continue;
		if (hopeless(s, best))
			undecide(s, ranks[depth].unit);
		else
			next[++depth] = 0;
	}
	while (depth > 0)
		undecide(s, ranks[--depth].unit);
}

static int exhaust(struct search *s, const struct rank *ranks, size_t n,
		   struct error *e)
{
	const size_t bytes = s->r->n_units * sizeof(*s->to);
	AUTO_FREE unsigned *best_to = malloc(bytes + 1);
	struct search_worth best = worth(s);

	if (!best_to)
		return error_set(e, ENOMEM, "no memory for a placement");
	memcpy(best_to, s->to, bytes);
	decide_none(s, ranks, n);
	go_through(s, ranks, n, &best, best_to);
	for (size_t i = 0; i < n; i++) {
		const size_t unit = ranks[i].unit;
		const struct reach_unit *u = &s->r->units[unit];

		s->left += u->count;
		s->weight += u->weight;
		if (best_to[unit] != REACH_NONE)
			put(s, unit, best_to[unit]);
	}
	return 0;
}

/* --- all of it */

static int search_room(struct search *s, struct error *e)
{
	const size_t hosts = s->r->of->n_hosts + 1;

	s->to = calloc(s->r->n_units + 1, sizeof(*s->to));
	s->memory_bytes = calloc(hosts, sizeof(*s->memory_bytes));
	s->huge_bytes = calloc(hosts, sizeof(*s->huge_bytes));
	s->out_s = calloc(hosts, sizeof(*s->out_s));
	s->in_s = calloc(hosts, sizeof(*s->in_s));
	s->load = calloc(hosts, sizeof(*s->load));
	s->apart = calloc(s->r->n_apart * s->r->words + 1, sizeof(*s->apart));
	s->jobs = calloc(s->r->of->n_machines + 1, sizeof(*s->jobs));
	if (!s->to || !s->memory_bytes || !s->huge_bytes || !s->out_s ||
	    !s->in_s || !s->load || !s->apart || !s->jobs)
		return error_set(e, ENOMEM, "no memory for a placement");
	return order_turns_init(&s->turns, hosts, e);
}

int search_init(struct search *s, const struct reach *r, struct error *e)
{
	*s = (struct search){ .r = r };
	if (search_room(s, e) < 0)
		return error_code(e);
	for (size_t h = 0; h < r->of->n_hosts; h++) {
		s->memory_bytes[h] = r->of->hosts[h].memory_bytes;
		s->huge_bytes[h] = r->of->hosts[h].huge_bytes;
		s->load[h] = r->of->hosts[h].load;
	}
	memcpy(s->apart, r->apart_at,
	       r->n_apart * r->words * sizeof(*s->apart));
	for (size_t u = 0; u < r->n_units; u++) {
		s->to[u] = REACH_NONE;
		s->left += r->units[u].count;
		s->weight += r->units[u].weight;
	}
	return 0;
}

void search_done(struct search *s)
{
	free(s->to);
	free(s->memory_bytes);
	free(s->huge_bytes);
	free(s->out_s);
	free(s->in_s);
	free(s->load);
	free(s->apart);
	free(s->jobs);
	order_turns_done(&s->turns);
	*s = (struct search){ 0 };
}

int search_run(struct search *s, struct error *e)
{
	AUTO_FREE struct rank *ranks =
		calloc(s->r->n_units + 1, sizeof(*ranks));
	size_t n;

	if (!ranks)
		return error_set(e, ENOMEM, "no memory for a placement");
	n = rank_units(s->r, ranks);
	place_all(s, ranks, n);
	make_room(s, ranks, n);
	shorten(s, ranks, n);
	return n <= SMALL ? exhaust(s, ranks, n, e) : 0;
}
