/* SPDX-License-Identifier: MIT */
#include "host/placement_facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { SPARE_BYTES = 64 << 20 }; /* of a QEMU, besides its guest's memory */

/* What nobody has told is taken for plenty: the hosts' own check decides. */
static const uint64_t PLENTY = 1ULL << 60;

static const char *why_closed(const struct facts_of *f, const struct words *to,
			      bool own, bool drains)
{
	const bool named = to && words_have(to, f->name);

	if (own)
		return drains ? "is being drained" : NULL;
	if (to && to->count > 0 && !named)
		return "is none of those that were named";
	if (!f->known)
		return named && f->heard ? NULL : f->why.text;
	return f->facts.closed[0] ? f->facts.closed : NULL;
}

static struct placement_host host_of(const struct facts_of *f,
				     const char *closed)
{
	struct placement_host h = { .name = f->name,
				    .closed = closed,
				    .memory_bytes = PLENTY,
				    .huge_bytes = PLENTY,
				    .out = 1,
				    .in = 1 };

	if (!f->known)
		return h;
	h.memory_bytes = f->facts.memory_bytes;
	h.huge_bytes = f->facts.huge_bytes;
	h.cpus = f->facts.cpus;
	h.load = f->facts.load;
	if (f->facts.types.count > 0)
		h.has[PLACEMENT_TYPE] = &f->facts.types;
	h.has[PLACEMENT_BRIDGE] = &f->facts.bridges;
	return h;
}

static struct placement_machine machine_of(const struct machine_facts *m,
					   unsigned at)
{
	return (struct placement_machine){
		.name = m->name,
		.at = at,
		.memory_bytes = m->huge ? 0 : m->memory_bytes + SPARE_BYTES,
		.huge_bytes = m->huge ? m->memory_bytes : 0,
		.travel_bytes = m->memory_bytes,
		.vcpus = m->vcpus,
		.priority = (int)m->priority,
		.apart = m->apart[0] ? m->apart : NULL,
		.together = m->together[0] ? m->together : NULL,
		.needs = { [PLACEMENT_BRIDGE] =
				   m->bridges.count > 0 ? &m->bridges : NULL },
	};
}

static size_t count_machines(const struct facts_all *all)
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++)
		n += all->at[i].facts.n_machines;
	return n;
}

static void take_type(struct placement_facts *p, size_t n,
		      const struct machine_facts *m)
{
	/* Nobody writes to it. */
	p->type_at[n] = (char *)(uintptr_t)m->type;
	p->types[n] = (struct words){ &p->type_at[n], 1 };
	if (m->type[0])
		p->machines[n].needs[PLACEMENT_TYPE] = &p->types[n];
}

static void fill_machines(struct placement_facts *p,
			  const struct facts_all *all, const char *one)
{
	size_t n = 0;

	for (unsigned i = 0; i < all->count; i++)
		for (size_t k = 0; k < all->at[i].facts.n_machines; k++) {
			const struct machine_facts *m =
				&all->at[i].facts.machines[k];

			p->machines[n] = machine_of(m, i);
			p->machines[n].goes =
				i == 0 && (!one || !strcmp(m->name, one));
			take_type(p, n, m);
			p->of_machine[n++] = m;
		}
	p->of.machines = p->machines;
	p->of.n_machines = n;
}

/* The slower card of both. */
static void fill_rates(struct placement_facts *p, const struct facts_all *all)
{
	for (size_t i = 0; i < all->count; i++)
		for (size_t k = 0; k < all->count; k++) {
			const uint64_t a = all->at[i].facts.speed;
			const uint64_t b = all->at[k].facts.speed;

			p->rates[i * all->count + k] =
				(double)(a && b ? (a < b ? a : b) : a + b);
		}
	p->of.rates = p->rates;
}

int placement_facts_init(struct placement_facts *ret,
			 const struct facts_all *all, const struct words *to,
			 const char *one, bool drains, struct error *e)
{
	const size_t machines = count_machines(all);

	*ret = (struct placement_facts){
		.of = { .n_hosts = all->count, .each_s = 1 },
		.hosts = calloc(all->count + 1, sizeof(*ret->hosts)),
		.machines = calloc(machines + 1, sizeof(*ret->machines)),
		.of_machine = calloc(machines + 1, sizeof(void *)),
		.types = calloc(machines + 1, sizeof(*ret->types)),
		.type_at = calloc(machines + 1, sizeof(char *)),
		.rates = calloc(all->count * all->count + 1,
				sizeof(*ret->rates)),
	};
	if (!ret->hosts || !ret->machines || !ret->of_machine || !ret->types ||
	    !ret->type_at || !ret->rates) {
		placement_facts_done(ret);
		return error_set(e, ENOMEM, "no memory for a placement");
	}
	for (size_t i = 0; i < all->count; i++)
		ret->hosts[i] =
			host_of(&all->at[i],
				why_closed(&all->at[i], to, i == 0, drains));
	ret->of.hosts = ret->hosts;
	fill_machines(ret, all, one);
	fill_rates(ret, all);
	return 0;
}

void placement_facts_done(struct placement_facts *p)
{
	free(p->hosts);
	free(p->machines);
	free(p->refusals);
	free(p->of_machine);
	free(p->types);
	free(p->type_at);
	free(p->rates);
	*p = (struct placement_facts){ 0 };
}

int placement_facts_refuse(struct placement_facts *p, const char *uuid,
			   const char *host, const char *why, struct error *e)
{
	struct placement_refusal *more;
	unsigned h = 0, m = 0;

	while (h < p->of.n_hosts && strcmp(p->hosts[h].name, host) != 0)
		h++;
	while (m < p->of.n_machines &&
	       (!p->machines[m].goes ||
		strcmp(p->of_machine[m]->uuid, uuid) != 0))
		m++;
	if (h == p->of.n_hosts || m == p->of.n_machines)
		return 0;
	more = reallocarray(p->refusals, p->of.n_refusals + 1, sizeof(*more));
	if (!more)
		return error_set(e, ENOMEM, "no memory for a placement");
	p->refusals = more;
	more[p->of.n_refusals++] = (struct placement_refusal){ m, h, why };
	p->of.refusals = more;
	return 0;
}
