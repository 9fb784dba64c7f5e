/* SPDX-License-Identifier: MIT */

/*
 * Where machines go: random sets of hosts and machines, held against a search
 * through all choices that shares nothing with the one that is tested, and
 * single cases with their sentences.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"
#include "host/placement.h"

enum { HOSTS = 5, MACHINES = 8, FIXED = 3, ALL = MACHINES + FIXED };

/* --- sets by chance */

struct set {
	struct placement of;
	struct placement_host hosts[HOSTS];
	struct placement_machine machines[ALL];
	struct placement_refusal refusals[4];
	double rates[HOSTS * HOSTS];
	unsigned going; /* machines, the first ones */
	bool roomy;     /* with room for most, and few groups */
	uint32_t seed;
};

static const char *const names[] = { "alpha", "beta", "gamma", "delta", "eps" };
static const char *const machine_names[] = { "m0", "m1", "m2", "m3", "m4", "m5",
					     "m6", "m7", "f0", "f1", "f2" };
static const char *const groups[] = { NULL, NULL, NULL, "red", "blue" };
static char pc[] = "pc", q35[] = "q35", br0[] = "br0", br1[] = "br1";
static char *both[] = { pc, q35 }, *bridges[] = { br0, br1 };
static const struct words types[] = { { both, 2 }, { both, 2 }, { both, 1 } };
static const struct words nets[] = { { bridges, 2 }, { bridges, 1 } };

static unsigned chance(struct set *s, unsigned n)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 17;
	s->seed ^= s->seed << 5;
	return s->seed % n;
}

static void fill_hosts(struct set *s, size_t n)
{
	s->of.n_hosts = n;
	for (size_t i = 0; i < n; i++) {
		s->hosts[i] = (struct placement_host){
			.name = names[i],
			.memory_bytes = (s->roomy ? 8 : 2) + chance(s, 10),
			.huge_bytes = chance(s, 4),
			.cpus = chance(s, 4) ? 2 + chance(s, 7) : 0,
			.load = chance(s, 100) / 100.0,
			.out = 1 + chance(s, 2),
			.in = 1 + chance(s, 2),
		};
		if (chance(s, 4))
			s->hosts[i].has[PLACEMENT_TYPE] = &types[chance(s, 3)];
		if (chance(s, 4))
			s->hosts[i].has[PLACEMENT_BRIDGE] = &nets[chance(s, 2)];
		for (size_t k = 0; k < n; k++)
			s->rates[i * HOSTS + k] = 0;
	}
	s->hosts[0].closed = "is being drained";
	if (n > 3 && chance(s, 4) == 0)
		s->hosts[1].closed = "is being drained, too";
	for (size_t i = 0; i < n * n; i++)
		s->rates[i] = 0.5 + chance(s, 4);
}

static const char *group(struct set *s)
{
	return s->roomy && chance(s, 2) ? NULL
					: groups[chance(s, ARRAY_SIZE(groups))];
}

static struct placement_machine machine(struct set *s, const char *name)
{
	struct placement_machine m = {
		.name = name,
		.memory_bytes = 1 + chance(s, 4),
		.huge_bytes = chance(s, 3) ? 0 : 1,
		.vcpus = 1 + chance(s, 4),
		.apart = group(s),
		.together = s->roomy && chance(s, 2) ? NULL : group(s),
	};

	m.travel_bytes = m.memory_bytes + chance(s, 3);
	if (chance(s, 3) == 0)
		m.needs[PLACEMENT_TYPE] = &types[chance(s, 3)];
	if (chance(s, 3) == 0)
		m.needs[PLACEMENT_BRIDGE] = &nets[chance(s, 2)];
	return m;
}

static void fill(struct set *s, uint32_t seed, bool priorities)
{
	const size_t n = 2 + seed % (HOSTS - 1);

	*s = (struct set){ .seed = seed * 2654435761U + 1,
			   .roomy = seed / 4 % 2 };
	fill_hosts(s, n);
	s->going = 1 + chance(s, MACHINES);
	for (unsigned i = 0; i < s->going + FIXED; i++) {
		const bool goes = i < s->going;
		struct placement_machine *m = &s->machines[i];

		*m = machine(s, goes ? machine_names[i]
				     : machine_names[MACHINES + i - s->going]);
		m->goes = goes;
		if (!goes)
			m->at = chance(s, (unsigned)n);
		else if (s->hosts[1].closed)
			m->at = chance(s, 2);
		if (goes && priorities)
			m->priority = (int)chance(s, 3);
		if (goes && chance(s, 12) == 0)
			m->stays = "holds a card of its host";
	}
	for (unsigned i = 0; i < ARRAY_SIZE(s->refusals); i++)
		s->refusals[i] = (struct placement_refusal){
			.machine = chance(s, s->going),
			.host = chance(s, (unsigned)n),
			.why = "has no such disk",
		};
	s->of.hosts = s->hosts;
	s->of.machines = s->machines;
	s->of.n_machines = s->going + FIXED;
	s->of.refusals = s->refusals;
	s->of.n_refusals = ARRAY_SIZE(s->refusals);
	s->of.rates = s->rates;
	s->of.each_s = 0.25;
}

/* --- what has to hold of a choice; @to: of each machine, or -1 */

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static bool has_all(const struct words *needs, const struct words *has)
{
	for (size_t i = 0; needs && has && i < needs->count; i++)
		if (!words_have(has, needs->at[i]))
			return false;
	return true;
}

static bool may_go(const struct set *s, unsigned m, unsigned h)
{
	const struct placement_machine *of = &s->machines[m];
	const struct placement_host *to = &s->hosts[h];

	if (of->stays || of->at == h || to->closed ||
	    (to->cpus && of->vcpus > to->cpus))
		return false;
	for (unsigned k = 0; k < PLACEMENT_NEEDS; k++)
		if (!has_all(of->needs[k], to->has[k]))
			return false;
	for (size_t i = 0; i < s->of.n_refusals; i++)
		if (s->refusals[i].machine == m && s->refusals[i].host == h)
			return false;
	return true;
}

static bool has_room(const struct set *s, const int *to)
{
	for (unsigned h = 0; h < s->of.n_hosts; h++) {
		uint64_t memory = 0, huge = 0;

		for (unsigned m = 0; m < s->going; m++)
			if (to[m] == (int)h) {
				memory += s->machines[m].memory_bytes;
				huge += s->machines[m].huge_bytes;
			}
		if (memory > s->hosts[h].memory_bytes ||
		    huge > s->hosts[h].huge_bytes)
			return false;
	}
	return true;
}

/* Machines that leave a host which takes none are gone from it. */
static bool is_apart(const struct set *s, const int *to, unsigned m,
		     unsigned other)
{
	const struct placement_machine *o = &s->machines[other];

	if (to[m] < 0 || !same(s->machines[m].apart, o->apart))
		return true;
	if (other < s->going && to[other] == to[m])
		return false;
	return (int)o->at != to[m];
}

static bool is_together(const struct set *s, const int *to, unsigned m,
			unsigned other)
{
	const struct placement_machine *o = &s->machines[other];

	if (!same(s->machines[m].together, o->together) || other >= s->going)
		return true;
	return to[other] == to[m];
}

/* With those of its group that stay where they are, if there are any. */
static bool joins(const struct set *s, const int *to, unsigned m)
{
	bool any = false, there = false;

	for (unsigned i = s->going; i < s->of.n_machines; i++)
		if (same(s->machines[m].together, s->machines[i].together)) {
			any = true;
			there |= (int)s->machines[i].at == to[m];
		}
	return !any || there;
}

/* Of the machines up to @n. */
static bool groups_kept(const struct set *s, const int *to, unsigned n)
{
	for (unsigned m = 0; m < n; m++) {
		if (to[m] >= 0 && !joins(s, to, m))
			return false;
		for (unsigned o = 0; o < s->of.n_machines; o++)
			if (o != m && (o < n || o >= s->going) &&
			    (!is_apart(s, to, m, o) ||
			     !is_together(s, to, m, o)))
				return false;
	}
	return true;
}

/* --- the best of all choices */

static double seconds_of(const struct set *s, unsigned m, int to)
{
	const struct placement_machine *of = &s->machines[m];

	return s->of.each_s +
	       (double)of->travel_bytes /
		       s->rates[of->at * s->of.n_hosts + (unsigned)to];
}

/* No order ends sooner. */
static double least(const struct set *s, const int *to)
{
	double out[HOSTS] = { 0 }, in[HOSTS] = { 0 }, most = 0;

	for (unsigned m = 0; m < s->going; m++) {
		double t;

		if (to[m] < 0)
			continue;
		t = seconds_of(s, m, to[m]);
		most = t > most ? t : most;
		out[s->machines[m].at] += t / s->hosts[s->machines[m].at].out;
		in[to[m]] += t / s->hosts[to[m]].in;
	}
	for (unsigned h = 0; h < s->of.n_hosts; h++) {
		most = out[h] > most ? out[h] : most;
		most = in[h] > most ? in[h] : most;
	}
	return most;
}

static double first_free(double *at, unsigned n, unsigned *ret)
{
	*ret = n == 2 && at[1] < at[0];
	return at[*ret];
}

/* The end when they start in this order. */
static double end_of(const struct set *s, const int *to, const unsigned *order,
		     unsigned n)
{
	double out[HOSTS][2] = { 0 }, in[HOSTS][2] = { 0 }, end = 0;

	for (unsigned i = 0; i < n; i++) {
		const unsigned m = order[i], from = s->machines[m].at;
		unsigned a, b;
		const double x = first_free(out[from], s->hosts[from].out, &a);
		const double y = first_free(in[to[m]], s->hosts[to[m]].in, &b);
		const double ends = (x > y ? x : y) + seconds_of(s, m, to[m]);

		out[from][a] = in[to[m]][b] = ends;
		end = ends > end ? ends : end;
	}
	return end;
}

static bool next_order(unsigned *order, unsigned n)
{
	unsigned i = n - 1, k = n - 1;

	while (i > 0 && order[i - 1] >= order[i])
		i--;
	if (n == 0 || i == 0)
		return false;
	while (order[k] <= order[i - 1])
		k--;
	for (unsigned was = order[i - 1];; was = order[k]) {
		order[i - 1] = order[k];
		order[k] = was;
		break;
	}
	for (k = n - 1; i < k; i++, k--) {
		const unsigned was = order[i];

		order[i] = order[k];
		order[k] = was;
	}
	return true;
}

/* Does some order of this choice end before @limit? */
static bool ends_before(const struct set *s, const int *to, double limit)
{
	unsigned order[MACHINES], n = 0;

	for (unsigned m = 0; m < s->going; m++)
		if (to[m] >= 0)
			order[n++] = m;
	do {
		if (end_of(s, to, order, n) < limit)
			return true;
	} while (next_order(order, n));
	return false;
}

struct best {
	unsigned placed;
	int weight;   /* of those placed */
	double limit; /* a choice as good that ends before it is looked for */
	bool sooner;  /* there is one */
};

static void look(const struct set *s, const int *to, struct best *b)
{
	unsigned placed = 0;
	int weight = 0;

	for (unsigned m = 0; m < s->going; m++)
		if (to[m] >= 0) {
			placed++;
			weight += s->machines[m].priority;
		}
	if (b->limit > 0) {
		if (placed == b->placed && weight == b->weight && !b->sooner &&
		    least(s, to) < b->limit)
			b->sooner = ends_before(s, to, b->limit);
	} else if (placed > b->placed ||
		   (placed == b->placed && weight > b->weight)) {
		b->placed = placed;
		b->weight = weight;
	}
}

/* All choices, but for those that break a rule already. */
static void search(const struct set *s, struct best *b)
{
	int to[MACHINES] = { 0 };
	unsigned n = 0;

	to[0] = -2;
	while (true) {
		bool good;

		if (n == s->going) {
			look(s, to, b);
			n--;
			continue;
		}
		if (++to[n] == (int)s->of.n_hosts) {
			if (n == 0)
				return;
			n--;
			continue;
		}
		good = to[n] < 0 || may_go(s, n, (unsigned)to[n]);
		for (unsigned k = n + 1; k < MACHINES; k++)
			to[k] = -1;
		if (good && has_room(s, to) && groups_kept(s, to, n + 1)) {
			n++;
			if (n < s->going)
				to[n] = -2;
		}
	}
}

/* --- held against each other */

static void check_plan(const struct set *s, const struct placement_plan *p,
		       int *to)
{
	unsigned seen[ALL] = { 0 }, order[MACHINES];

	for (unsigned m = 0; m < MACHINES; m++)
		to[m] = -1;
	for (size_t i = 0; i < p->n_moves; i++) {
		const struct placement_move *v = &p->moves[i];

		assert_true(v->machine < s->going);
		assert_int_equal(seen[v->machine]++, 0);
		assert_true(may_go(s, v->machine, v->to));
		to[v->machine] = (int)v->to;
		order[i] = v->machine;
	}
	for (size_t i = 0; i < p->n_left; i++) {
		assert_true(p->left[i].machine < s->going);
		assert_int_equal(seen[p->left[i].machine]++, 0);
		assert_true(p->left[i].why[0]);
	}
	assert_int_equal(p->n_moves + p->n_left, s->going);
	assert_true(has_room(s, to));
	assert_true(groups_kept(s, to, s->going));
	if (p->n_moves > 0)
		assert_true(end_of(s, to, order, (unsigned)p->n_moves) <
			    p->seconds + 1e-6);
}

struct tally {
	unsigned sets, left, moved, full;
};

static void check_set(const struct set *s, bool time, struct tally *t)
{
	struct placement_plan p;
	struct best best = { 0 };
	int to[MACHINES], weight = 0;
	struct error e;

	assert_int_equal(placement_make(&s->of, &p, &e), 0);
	check_plan(s, &p, to);
	search(s, &best);
	for (unsigned m = 0; m < s->going; m++)
		weight += to[m] >= 0 ? s->machines[m].priority : 0;
	assert_int_equal(p.n_moves, best.placed);
	assert_int_equal(weight, best.weight);
	if (time && p.n_moves > 0) {
		best.limit = p.seconds / 1.15 - 1e-9;
		search(s, &best);
		assert_false(best.sooner);
	}
	t->sets++;
	t->left += p.n_left > 0;
	t->moved += p.n_moves > 1;
	t->full += p.n_moves > 4;
	placement_plan_done(&p);
}

static void check_sets(uint32_t first, bool priorities)
{
	struct tally t = { 0 };
	static struct set s;

	for (uint32_t seed = first; seed < first + 1000; seed++) {
		fill(&s, seed, priorities);
		check_set(&s, !priorities, &t);
	}
	printf("# %u sets; some have no place in %u, several move in %u, more "
	       "than four in %u\n",
	       t.sets, t.left, t.moved, t.full);
	assert_true(t.left > 100 && t.moved > 100 && t.full > 100);
}

static void test_as_many_as_can_be_placed_are_and_in_the_shortest_time(
	void **st)
{
	(void)st;
	check_sets(1, false);
}

static void test_those_that_matter_less_are_left(void **state)
{
	(void)state;
	check_sets(5001, true);
}

/* --- many */

enum { MANY_HOSTS = 200, MANY = 10000, DRAINED = 20 };

struct many {
	struct placement of;
	struct placement_host hosts[MANY_HOSTS];
	struct placement_machine machines[MANY];
	char host_names[MANY_HOSTS][16], machine_names[MANY][16];
	char groups[MANY / 4][16];
};

/* @tight: there is hardly room for all. */
static void fill_many(struct many *w, bool tight)
{
	struct set s = { .seed = 4711 };

	for (unsigned i = 0; i < MANY_HOSTS; i++) {
		snprintf(w->host_names[i], sizeof(w->host_names[i]), "h%u", i);
		w->hosts[i] = (struct placement_host){
			.name = w->host_names[i],
			.closed = i < DRAINED ? "is being drained" : NULL,
			.memory_bytes = tight ? 144 : 400,
			.cpus = 64,
			.in = 2,
			.out = 2,
			.has = { &types[chance(&s, 3)], NULL,
				 &nets[chance(&s, 2)], NULL },
		};
	}
	for (unsigned i = 0; i < MANY; i++) {
		struct placement_machine *m = &w->machines[i];

		snprintf(w->machine_names[i], sizeof(w->machine_names[i]),
			 "m%u", i);
		snprintf(w->groups[i / 4], sizeof(w->groups[i / 4]), "g%u",
			 i / 4);
		*m = machine(&s, w->machine_names[i]);
		m->goes = true;
		m->huge_bytes = 0;
		m->at = i % DRAINED;
		m->apart = i % 3 == 0 ? w->groups[i / 4] : NULL;
		m->together = i % 7 == 0 ? w->groups[i / 4] : NULL;
	}
	w->of = (struct placement){ .hosts = w->hosts,
				    .n_hosts = MANY_HOSTS,
				    .machines = w->machines,
				    .n_machines = MANY,
				    .each_s = 1 };
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void plan_many(bool tight)
{
	struct many *w = calloc(1, sizeof(*w));
	uint64_t used[MANY_HOSTS] = { 0 };
	struct placement_plan p;
	struct error e;
	double took = cpu_seconds();

	assert_non_null(w);
	fill_many(w, tight);
	assert_int_equal(placement_make(&w->of, &p, &e), 0);
	took = cpu_seconds() - took;
	printf("# %zu placed, %zu left, %.0f s; %.2f s, %.1f million steps\n",
	       p.n_moves, p.n_left, p.seconds, took, (double)p.steps / 1e6);
	assert_int_equal(p.n_moves + p.n_left, MANY);
	for (size_t i = 0; i < p.n_moves; i++)
		used[p.moves[i].to] +=
			w->machines[p.moves[i].machine].memory_bytes;
	for (unsigned i = 0; i < MANY_HOSTS; i++)
		assert_true(used[i] <= w->hosts[i].memory_bytes);
	assert_true(p.steps < 30000000);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	assert_true(took < 2);
#endif
	placement_plan_done(&p);
	free(w);
}

static void test_ten_thousand_machines_are_planned_in_two_seconds(void **state)
{
	(void)state;
	plan_many(false);
	plan_many(true);
}

static void test_nor_does_it_take_long_what_any_lost_host_means(void **state)
{
	struct many *w = calloc(1, sizeof(*w));
	struct placement_spare spare;
	struct error e;
	double took;

	(void)state;
	assert_non_null(w);
	fill_many(w, false);
	for (unsigned i = 0; i < MANY; i++) {
		w->machines[i].goes = false;
		w->machines[i].at = i % MANY_HOSTS;
		w->machines[i].together = NULL;
	}
	took = cpu_seconds();
	assert_int_equal(placement_spare(&w->of, NULL, &spare, &e), 0);
	took = cpu_seconds() - took;
	printf("# %.2f s; %s\n", took, spare.enough ? "enough" : spare.why);
	assert_true(spare.enough);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	assert_true(took < 10);
#endif
	free(w);
}

/* --- single cases */

static const uint64_t GIB = 1ULL << 30;

static struct placement_host host(const char *name, unsigned gib)
{
	return (struct placement_host){ .name = name,
					.memory_bytes = gib * GIB };
}

static struct placement_machine guest(const char *name, unsigned gib)
{
	return (struct placement_machine){ .name = name,
					   .goes = true,
					   .memory_bytes = gib * GIB,
					   .travel_bytes = gib * GIB };
}

static void assert_left(const struct placement *of, const char *why)
{
	struct placement_plan p;
	struct error e;

	assert_int_equal(placement_make(of, &p, &e), 0);
	assert_true(p.n_left > 0);
	assert_string_equal(p.left[0].why, why);
	placement_plan_done(&p);
}

static void test_whoever_is_left_is_told_why(void **state)
{
	struct placement_host hosts[] = { host("alpha", 0), host("beta", 2),
					  host("gamma", 9) };
	struct placement_machine m[] = { guest("web1", 4), guest("web2", 1) };
	const struct placement_refusal no_disk = { 0, 2,
						   "gamma has no /srv/a" };
	struct placement of = { .hosts = hosts,
				.n_hosts = 3,
				.machines = m,
				.n_machines = 2,
				.refusals = &no_disk,
				.n_refusals = 1 };

	(void)state;
	assert_left(&of, "beta has 2.0 GiB of memory left, and 4.0 GiB are "
			 "needed; gamma has no /srv/a");
	hosts[2].closed = "takes no machines";
	hosts[1].has[PLACEMENT_TYPE] = &types[2];
	m[0].needs[PLACEMENT_TYPE] = &types[0];
	m[0].memory_bytes = GIB;
	assert_left(&of, "beta has no machine type q35; gamma takes no "
			 "machines");
	hosts[1].cpus = 2;
	m[0].vcpus = 3;
	assert_left(&of, "beta has 2 processors, and 3 are needed; gamma takes "
			 "no machines");
	m[0].stays = "holds a card of this host";
	assert_left(&of, "holds a card of this host");
	m[0].stays = NULL;
	of.n_hosts = 1;
	assert_left(&of, "there is no other host");
}

static void test_groups_are_named(void **state)
{
	struct placement_host hosts[] = { host("alpha", 0), host("beta", 9) };
	struct placement_machine m[] = { guest("web1", 1), guest("web2", 1) };
	struct placement of = {
		.hosts = hosts, .n_hosts = 2, .machines = m, .n_machines = 2
	};

	(void)state;
	m[0].apart = m[1].apart = "web";
	m[0].priority = -1;
	assert_left(&of, "beta gets one that it is kept apart from");
	m[1].goes = false;
	m[1].at = 1;
	assert_left(&of, "beta has one that it is kept apart from (apart = "
			 "web)");
	m[0].apart = NULL;
	m[0].together = m[1].together = "db";
	m[1].at = 0;
	assert_left(&of, "beta has none of those that it is kept together "
			 "with (together = db)");
	m[1].goes = true;
	m[1].stays = "holds a card of this host";
	assert_left(&of, "is kept together with web2 (together = db), which "
			 "cannot go: holds a card of this host");
	m[1].stays = NULL;
	m[0].apart = m[1].apart = "web";
	assert_left(&of, "two of those that it is kept together with "
			 "(together = db) are to be kept apart");
	m[0].apart = NULL;
	m[1].memory_bytes = 20 * GIB;
	assert_left(&of, "beta cannot take web2, which it is kept together "
			 "with: it has 9.0 GiB of memory left, and 20.0 GiB "
			 "are needed");
}

static void test_the_host_with_less_to_do_is_taken(void **state)
{
	struct placement_host hosts[] = { host("alpha", 0), host("beta", 9),
					  host("gamma", 9) };
	struct placement_machine m[] = { guest("web1", 1) };
	const struct placement of = {
		.hosts = hosts, .n_hosts = 3, .machines = m, .n_machines = 1
	};
	struct placement_plan p;
	struct error e;

	(void)state;
	for (unsigned free_one = 1; free_one < 3; free_one++) {
		for (unsigned i = 1; i < 3; i++) {
			hosts[i].cpus = 8;
			hosts[i].load = i == free_one ? 0.1 : 0.9;
		}
		assert_int_equal(placement_make(&of, &p, &e), 0);
		assert_int_equal(p.n_moves, 1);
		assert_int_equal(p.moves[0].to, free_one);
		placement_plan_done(&p);
	}
}

/* --- what a lost host would mean */

static void test_the_host_that_must_not_fail_is_named(void **state)
{
	struct placement_host hosts[] = { host("alpha", 2), host("beta", 2),
					  host("gamma", 3) };
	struct placement_machine m[] = { guest("web1", 3), guest("web2", 2),
					 guest("web3", 2) };
	const struct placement of = {
		.hosts = hosts, .n_hosts = 3, .machines = m, .n_machines = 3
	};
	struct placement_spare spare;
	struct placement_plan p;
	struct error e;

	(void)state;
	m[1].at = 1;
	m[2].at = 1;
	assert_int_equal(placement_spare(&of, NULL, &spare, &e), 0);
	assert_true(spare.enough);
	m[1].goes = m[2].goes = false;
	hosts[0].closed = "is being drained";
	assert_int_equal(placement_make(&of, &p, &e), 0);
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].to, 2);
	assert_int_equal(placement_spare(&of, &p, &spare, &e), 0);
	assert_false(spare.enough);
	assert_int_equal(spare.host, 1);
	assert_int_equal(spare.machines, 2);
	assert_int_equal(spare.bytes, 4 * GIB);
	assert_non_null(strstr(spare.why, "gamma has 0 B of memory left"));
	placement_plan_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_as_many_as_can_be_placed_are_and_in_the_shortest_time),
		cmocka_unit_test(test_those_that_matter_less_are_left),
		cmocka_unit_test(
			test_ten_thousand_machines_are_planned_in_two_seconds),
		cmocka_unit_test(
			test_nor_does_it_take_long_what_any_lost_host_means),
		cmocka_unit_test(test_whoever_is_left_is_told_why),
		cmocka_unit_test(test_groups_are_named),
		cmocka_unit_test(test_the_host_with_less_to_do_is_taken),
		cmocka_unit_test(test_the_host_that_must_not_fail_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
