/* SPDX-License-Identifier: MIT */
#include "host/placement_reach.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"

/* --- names, sorted, each once */

struct names {
	const char **at;
	size_t count;
};

static void names_done(struct names *n)
{
	free(n->at);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void names_sort(struct names *n)
{
	size_t kept = 0;

	if (n->count == 0)
		return;
	qsort(n->at, n->count, sizeof(*n->at), by_name);
	for (size_t i = 0; i < n->count; i++)
		if (kept == 0 || strcmp(n->at[kept - 1], n->at[i]) != 0)
			n->at[kept++] = n->at[i];
	n->count = kept;
}

static unsigned names_find(const struct names *n, const char *name)
{
	const char **at = !name || n->count == 0
				  ? NULL
				  : bsearch(&name, n->at, n->count,
					    sizeof(*n->at), by_name);

	return at ? (unsigned)(at - n->at) : REACH_NONE;
}

/* --- which hosts have what is needed */

static int by_needs(const void *a, const void *b)
{
	const struct reach_class *x = a, *y = b;

	return (x->needs > y->needs) - (x->needs < y->needs);
}

/* All lists of the kind that there are. */
static int collect_classes(struct reach_classes *c, const struct placement *of,
			   unsigned kind, struct error *e)
{
	size_t kept = 0;

	c->at = calloc(of->n_machines + 1, sizeof(*c->at));
	if (!c->at)
		return error_set(e, ENOMEM, "no memory for a placement");
	for (size_t i = 0; i < of->n_machines; i++)
		if (of->machines[i].needs[kind])
			c->at[c->count++].needs = of->machines[i].needs[kind];
	qsort(c->at, c->count, sizeof(*c->at), by_needs);
	for (size_t i = 0; i < c->count; i++)
		if (kept == 0 || c->at[kept - 1].needs != c->at[i].needs)
			c->at[kept++] = c->at[i];
	c->count = kept;
	return 0;
}

static int collect_names(struct names *n, const struct placement *of,
			 unsigned kind, struct error *e)
{
	size_t most = 1;

	for (size_t i = 0; i < of->n_hosts; i++)
		if (of->hosts[i].has[kind])
			most += of->hosts[i].has[kind]->count;
	n->at = calloc(most, sizeof(*n->at));
	if (!n->at)
		return error_set(e, ENOMEM, "no memory for a placement");
	for (size_t i = 0; i < of->n_hosts; i++) {
		const struct words *has = of->hosts[i].has[kind];

		for (size_t k = 0; has && k < has->count; k++)
			n->at[n->count++] = has->at[k];
	}
	names_sort(n);
	return 0;
}

/* What the host has, a bit for each name. */
static void fill_row(uint64_t *row, const struct names *n,
		     const struct words *has)
{
	for (size_t k = 0; has && k < has->count; k++)
		reach_set(row, names_find(n, has->at[k]));
}

/* A name that no host has is past the end of every row. */
static bool row_has_all(const uint64_t *row, const struct names *n,
			const struct words *needs)
{
	for (size_t k = 0; k < needs->count; k++) {
		const unsigned i = names_find(n, needs->at[k]);

		if (i == REACH_NONE || !reach_bit(row, i))
			return false;
	}
	return true;
}

static int fill_classes(struct reach *r, unsigned kind, struct error *e)
{
	const struct placement *of = r->of;
	struct reach_classes *c = &r->classes[kind];
	SCOPED(names_done) struct names n = { 0 };
	AUTO_FREE uint64_t *row = NULL;
	size_t words;

	if (collect_classes(c, of, kind, e) < 0 ||
	    collect_names(&n, of, kind, e) < 0)
		return error_code(e);
	words = n.count / REACH_WORD + 1;
	row = calloc(words, sizeof(*row));
	for (size_t i = 0; i < c->count; i++)
		c->at[i].hosts = calloc(r->words, sizeof(uint64_t));
	for (size_t i = 0; i < c->count; i++)
		if (!row || !c->at[i].hosts)
			return error_set(e, ENOMEM,
					 "no memory for a placement");
	for (size_t h = 0; row && h < of->n_hosts; h++) {
		memset(row, 0, words * sizeof(*row));
		fill_row(row, &n, of->hosts[h].has[kind]);
		r->steps += c->count;
		for (size_t i = 0; i < c->count; i++)
			if (!of->hosts[h].has[kind] ||
			    row_has_all(row, &n, c->at[i].needs))
				reach_set(c->at[i].hosts, h);
	}
	return 0;
}

static const uint64_t *class_hosts(const struct reach_classes *c,
				   const struct words *needs)
{
	const struct reach_class key = { .needs = needs };
	const struct reach_class *at =
		bsearch(&key, c->at, c->count, sizeof(*c->at), by_needs);

	return at->hosts;
}

/* --- groups */

static const char *group_of(const struct placement_machine *m, bool apart)
{
	return apart ? m->apart : m->together;
}

/* A machine that goes from a host that may take others counts as staying there:
 * whether it will have gone by then is not known. */
static bool keeps_place(const struct placement *of, size_t machine)
{
	const struct placement_machine *m = &of->machines[machine];

	return !m->goes || m->stays || !of->hosts[m->at].closed;
}

static int number_groups(struct reach *r, bool apart, unsigned **ret,
			 uint64_t **ret_at, size_t *ret_count, struct error *e)
{
	const struct placement *of = r->of;
	SCOPED(names_done) struct names n = { 0 };

	n.at = calloc(of->n_machines + 1, sizeof(*n.at));
	*ret = calloc(of->n_machines + 1, sizeof(**ret));
	if (!n.at || !*ret)
		return error_set(e, ENOMEM, "no memory for a placement");
	for (size_t i = 0; i < of->n_machines; i++)
		if (group_of(&of->machines[i], apart))
			n.at[n.count++] = group_of(&of->machines[i], apart);
	names_sort(&n);
	*ret_count = n.count;
	*ret_at = calloc(n.count * r->words + 1, sizeof(**ret_at));
	if (!*ret_at)
		return error_set(e, ENOMEM, "no memory for a placement");
	for (size_t i = 0; i < of->n_machines; i++) {
		const struct placement_machine *m = &of->machines[i];

		(*ret)[i] = names_find(&n, group_of(m, apart));
		if ((*ret)[i] != REACH_NONE &&
		    (apart ? keeps_place(of, i) : !m->goes))
			reach_set(*ret_at + (*ret)[i] * r->words, m->at);
	}
	return 0;
}

/* --- what stands between */

static int by_pair(const void *a, const void *b)
{
	const struct placement_refusal *x = a, *y = b;

	if (x->machine != y->machine)
		return x->machine < y->machine ? -1 : 1;
	return (x->host > y->host) - (x->host < y->host);
}

const struct placement_refusal *reach_refusal(const struct reach *r,
					      unsigned machine, unsigned host)
{
	const struct placement_refusal key = { machine, host, NULL };

	return bsearch(&key, r->refusals, r->of->n_refusals, sizeof(key),
		       by_pair);
}

static enum reach_bar bar_of_groups(const struct reach *r, unsigned machine,
				    unsigned host)
{
	const unsigned apart = r->apart[machine];
	const unsigned together = r->together[machine];
	const uint64_t *at;
	uint64_t any = 0;

	if (apart != REACH_NONE) {
		at = r->apart_at + apart * r->words;
		if (reach_bit(at, host))
			return BAR_APART;
	}
	if (together == REACH_NONE)
		return BAR_NONE;
	at = r->together_at + together * r->words;
	for (size_t i = 0; i < r->words; i++)
		any |= at[i];
	return any && !reach_bit(at, host) ? BAR_TOGETHER : BAR_NONE;
}

enum reach_bar reach_bar(const struct reach *r, unsigned machine, unsigned host)
{
	const struct placement_machine *m = &r->of->machines[machine];
	const struct placement_host *h = &r->of->hosts[host];

	if (m->at == host)
		return BAR_THERE;
	if (h->closed)
		return BAR_CLOSED;
	if (h->cpus && m->vcpus > h->cpus)
		return BAR_CPUS;
	if (m->memory_bytes > h->memory_bytes)
		return BAR_MEMORY;
	if (m->huge_bytes > h->huge_bytes)
		return BAR_HUGE;
	for (unsigned k = 0; k < PLACEMENT_NEEDS; k++)
		if (m->needs[k] &&
		    !reach_bit(class_hosts(&r->classes[k], m->needs[k]), host))
			return BAR_NEED + k;
	if (reach_refusal(r, machine, host))
		return BAR_REFUSED;
	return bar_of_groups(r, machine, host);
}

/* --- units */

/* The unit of @machine, a new one where its group has none yet. */
static size_t unit_of(struct reach *r, unsigned machine, size_t *of_group)
{
	const unsigned group = r->together[machine];

	if (group != REACH_NONE && of_group[group] != 0)
		return of_group[group] - 1;
	r->units[r->n_units] = (struct reach_unit){ .held = REACH_NONE };
	if (group != REACH_NONE)
		of_group[group] = r->n_units + 1;
	return r->n_units++;
}

static void add_member(struct reach_unit *u, const struct placement_machine *m,
		       unsigned machine, int lowest)
{
	u->count++;
	u->memory_bytes += m->memory_bytes;
	u->huge_bytes += m->huge_bytes;
	u->vcpus += m->vcpus;
	u->weight += (unsigned)(m->priority - lowest);
	if (m->stays)
		u->held = machine;
}

static int lowest_priority(const struct placement *of)
{
	int lowest = INT_MAX;

	for (size_t i = 0; i < of->n_machines; i++)
		if (of->machines[i].priority < lowest)
			lowest = of->machines[i].priority;
	return lowest;
}

/* @in: room for the unit of each machine. */
static void gather_units(struct reach *r, size_t *in, size_t *of_group)
{
	const struct placement *of = r->of;
	const int lowest = lowest_priority(of);
	size_t first = 0;

	for (unsigned i = 0; i < of->n_machines; i++)
		if (of->machines[i].goes) {
			in[i] = unit_of(r, i, of_group);
			add_member(&r->units[in[i]], &of->machines[i], i,
				   lowest);
		}
	for (size_t u = 0; u < r->n_units; u++) {
		r->units[u].first = first;
		first += r->units[u].count;
		r->units[u].count = 0;
	}
	for (unsigned i = 0; i < of->n_machines; i++)
		if (of->machines[i].goes) {
			struct reach_unit *u = &r->units[in[i]];

			r->members[u->first + u->count++] = i;
		}
}

/* Whether two of it are of one group that is kept apart; @seen: by whom each
 * group was seen last. */
static bool is_torn(const struct reach *r, size_t unit, size_t *seen)
{
	const struct reach_unit *u = &r->units[unit];

	for (size_t i = 0; i < u->count; i++) {
		const unsigned group = r->apart[r->members[u->first + i]];

		if (group == REACH_NONE)
			continue;
		if (seen[group] == unit + 1)
			return true;
		seen[group] = unit + 1;
	}
	return false;
}

static void fill_mask(struct reach *r, size_t unit, size_t *seen)
{
	struct reach_unit *u = &r->units[unit];
	uint64_t *mask = r->masks + unit * r->words;

	u->torn = is_torn(r, unit, seen);
	if (u->torn || u->held != REACH_NONE)
		return;
	for (unsigned h = 0; h < r->of->n_hosts; h++) {
		size_t fit = 0;

		while (fit < u->count &&
		       reach_bar(r, r->members[u->first + fit], h) == BAR_NONE)
			fit++;
		r->steps += fit + 1;
		if (fit == u->count) {
			reach_set(mask, h);
			u->hosts++;
		}
	}
}

static int make_units(struct reach *r, struct error *e)
{
	const size_t n = r->of->n_machines + 1;
	AUTO_FREE size_t *in = calloc(n, sizeof(*in));
	AUTO_FREE size_t *of_group = calloc(n, sizeof(*of_group));
	AUTO_FREE size_t *seen = calloc(n, sizeof(*seen));

	r->units = calloc(n, sizeof(*r->units));
	r->members = calloc(n, sizeof(*r->members));
	if (!in || !of_group || !seen || !r->units || !r->members)
		return error_set(e, ENOMEM, "no memory for a placement");
	gather_units(r, in, of_group);
	r->masks = calloc(r->n_units * r->words + 1, sizeof(*r->masks));
	if (!r->masks)
		return error_set(e, ENOMEM, "no memory for a placement");
	for (size_t u = 0; u < r->n_units; u++)
		fill_mask(r, u, seen);
	return 0;
}

/* --- all of it */

static int copy_refusals(struct reach *r, struct error *e)
{
	const size_t n = r->of->n_refusals;

	r->refusals = calloc(n + 1, sizeof(*r->refusals));
	if (!r->refusals)
		return error_set(e, ENOMEM, "no memory for a placement");
	if (n > 0) {
		memcpy(r->refusals, r->of->refusals, n * sizeof(*r->refusals));
		qsort(r->refusals, n, sizeof(*r->refusals), by_pair);
	}
	return 0;
}

int reach_init(struct reach *r, const struct placement *of, struct error *e)
{
	*r = (struct reach){ .of = of, .words = of->n_hosts / REACH_WORD + 1 };
	for (unsigned k = 0; k < PLACEMENT_NEEDS; k++)
		if (fill_classes(r, k, e) < 0)
			return error_code(e);
	if (copy_refusals(r, e) < 0 ||
	    number_groups(r, true, &r->apart, &r->apart_at, &r->n_apart, e) <
		    0 ||
	    number_groups(r, false, &r->together, &r->together_at,
			  &r->n_together, e) < 0)
		return error_code(e);
	return make_units(r, e);
}

void reach_done(struct reach *r)
{
	for (unsigned k = 0; k < PLACEMENT_NEEDS; k++) {
		for (size_t i = 0; i < r->classes[k].count; i++)
			free(r->classes[k].at[i].hosts);
		free(r->classes[k].at);
	}
	free(r->units);
	free(r->members);
	free(r->masks);
	free(r->apart);
	free(r->together);
	free(r->apart_at);
	free(r->together_at);
	free(r->refusals);
	*r = (struct reach){ 0 };
}
