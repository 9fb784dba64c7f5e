/* SPDX-License-Identifier: MIT */
#include "tune/advisor.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/words.h"

/* Below, it is said that there is little to gain by now. */
static const double share_little = 0.1;
/* Since the host was started; fewer say nothing of what a card does. */
enum { INTERRUPTS_LEAST = 1000 };

void advisor_fail(struct advisor *a)
{
	error_set(a->e, ENOMEM, "no memory for advice");
	a->failed = true;
}

struct tune_finding *advisor_find(struct advisor *a, const struct nic *n)
{
	struct tune_advice *to = a->to;
	struct tune_finding *more =
		reallocarray(to->at, to->count + 1, sizeof(*more));

	if (!more) {
		advisor_fail(a);
		return &a->spare;
	}
	to->at = more;
	more += to->count++;
	*more = (struct tune_finding){ .feature = a->rule->feature,
				       .why = a->rule->why,
				       .source = a->rule->source };
	snprintf(more->card, sizeof(more->card), "%s", n->name);
	return more;
}

static void add_text(struct advisor *a, struct words *to, const char *fmt,
		     va_list ap)
{
	struct error ignored;

	if (words_addv(to, &ignored, fmt, ap) < 0)
		advisor_fail(a);
}

void advisor_command(struct advisor *a, struct tune_finding *f, const char *fmt,
		     ...)
{
	va_list ap;

	if (f == &a->spare)
		return;
	va_start(ap, fmt);
	add_text(a, &f->commands, fmt, ap);
	va_end(ap);
}

void advisor_unknown(struct advisor *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(a, &a->to->unknown, fmt, ap);
	va_end(ap);
}

static bool is_there(const struct advisor *a, int processor)
{
	return processor >= 0 && processor < PROCESSORS_MOST &&
	       a->facts->processors->at[processor].online;
}

bool advisor_carries(const struct advisor *a, const struct nic_interrupt *i)
{
	uint64_t most = 0;

	for (size_t j = 0; j < a->interrupts.count; j++) {
		const struct nic_interrupt *other = &a->interrupts.at[j];

		if (other->ifindex == i->ifindex && other->count > most)
			most = other->count;
	}
	return i->count >= INTERRUPTS_LEAST && i->count >= most / 10 &&
	       is_there(a, i->processor);
}

bool advisor_is_near(const struct advisor *a, const struct nic *n,
		     int processor)
{
	const struct processors *all = a->facts->processors;

	if (!is_there(a, processor))
		return false;
	return n->numa_node < 0 || n->numa_node >= PROCESSORS_NODES ||
	       !all->nodes[n->numa_node] ||
	       all->at[processor].node == n->numa_node;
}

unsigned advisor_near(const struct advisor *a, const struct nic *n)
{
	unsigned near = 0;

	for (int p = 0; p < PROCESSORS_MOST; p++)
		near += advisor_is_near(a, n, p);
	return near;
}

int advisor_busiest(const struct advisor *a, const struct nic *n)
{
	const struct processor *all = a->facts->processors->at;
	int busiest = -1;

	/* As they are, and not as they would be. */
	for (size_t i = 0; i < a->facts->interrupts->count; i++) {
		const struct nic_interrupt *at = &a->facts->interrupts->at[i];

		if (at->ifindex == n->ifindex && advisor_carries(a, at) &&
		    !isnan(all[at->processor].share) &&
		    (busiest < 0 ||
		     all[at->processor].share > all[busiest].share))
			busiest = at->processor;
	}
	return busiest;
}

void advisor_put_load(const struct advisor *a, struct tune_finding *f,
		      const struct nic *n)
{
	const struct processor *all = a->facts->processors->at;
	const int busiest = advisor_busiest(a, n);

	if (busiest < 0)
		return;
	snprintf(f->gain, sizeof(f->gain),
		 "%sprocessor %d spent %.0f %% of %.1f s on interrupts and "
		 "what follows on them",
		 all[busiest].share < share_little ? "little by now: " : "",
		 busiest, all[busiest].share * 100, a->facts->seconds);
}
