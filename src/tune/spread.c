/* SPDX-License-Identifier: MIT */

/*
 * Where interrupts would go.  The rules look at one card after the other; what
 * one of them would move counts as moved for those that follow, so that all
 * commands together make a host in which no two are in each other's way.
 */
#include "tune/spread.h"

#include <math.h>
#include <stdio.h>

#include "tune/advisor.h"

static double load_of(const struct advisor *a, int processor)
{
	double share = a->facts->processors->at[processor].share;

	return isnan(share) ? 0 : share;
}

/* The processor near the card that has the fewest interrupts, and of those the
 * one with the least to do; -1: there is none. */
static int choose(const struct advisor *a, const struct nic *n)
{
	int best = -1;

	for (int p = 0; p < PROCESSORS_MOST; p++) {
		if (!advisor_is_near(a, n, p))
			continue;
		if (best < 0 || a->uses[p] < a->uses[best] ||
		    (a->uses[p] == a->uses[best] &&
		     load_of(a, p) < load_of(a, best)))
			best = p;
	}
	return best;
}

static const char *balanced(const struct advisor *a)
{
	return a->facts->irqbalance
		       ? "; irqbalance runs here and may move them back: it "
			 "has to be stopped, or told with --banirq"
		       : "";
}

static void move(struct advisor *a, struct tune_finding *f,
		 struct nic_interrupt *i, int to)
{
	a->uses[i->processor]--;
	a->uses[to]++;
	i->processor = to;
	advisor_command(a, f, "echo %d > /proc/irq/%u/smp_affinity_list", to,
			i->number);
}

void tune_look_node(struct advisor *a, const struct nic *n)
{
	struct tune_finding *f = NULL;
	unsigned moved = 0;
	int first = -1;

	for (size_t j = 0; j < a->interrupts.count; j++) {
		struct nic_interrupt *i = &a->interrupts.at[j];

		if (i->ifindex != n->ifindex || !advisor_carries(a, i) ||
		    advisor_is_near(a, n, i->processor))
			continue;
		if (!f) {
			f = advisor_find(a, n);
			first = i->processor;
		}
		move(a, f, i, choose(a, n));
		moved++;
	}
	if (!f)
		return;
	snprintf(f->now, sizeof(f->now),
		 "%u of its interrupts go to processors of another NUMA node, "
		 "such as processor %d of node %d",
		 moved, first, a->facts->processors->at[first].node);
	snprintf(f->better, sizeof(f->better),
		 "on processors of node %d, where the card is%s", n->numa_node,
		 balanced(a));
	advisor_put_load(a, f, n);
}

void tune_look_spread(struct advisor *a, const struct nic *n)
{
	struct tune_finding *f = NULL;
	unsigned moved = 0;
	int first = -1;

	for (size_t j = 0; j < a->interrupts.count; j++) {
		struct nic_interrupt *i = &a->interrupts.at[j];
		int to;

		if (i->ifindex != n->ifindex || !advisor_carries(a, i))
			continue;
		if (!a->kept[i->processor]) {
			a->kept[i->processor] = true;
			continue;
		}
		to = choose(a, n);
		if (to < 0 || a->uses[to] > 0)
			continue;
		if (!f) {
			f = advisor_find(a, n);
			first = i->processor;
		}
		move(a, f, i, to);
		a->kept[to] = true;
		moved++;
	}
	if (!f)
		return;
	snprintf(f->now, sizeof(f->now),
		 "%u of its interrupts go to processors that have others of "
		 "cards, such as processor %d",
		 moved, first);
	snprintf(f->better, sizeof(f->better),
		 "on processors that have none of a busy card%s", balanced(a));
	advisor_put_load(a, f, n);
}
