/* SPDX-License-Identifier: MIT */

/* The memory of a search, and what it found in words. */
#include "two_hosts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

void search_show(const struct world *w)
{
	for (int who = 0; who < 2; who++) {
		const struct side *s = &w->of[who];

		printf("# %s disk %u qemu %u row %u.%u up %u dead %u reg %u; ",
		       decide_state_name(s->state), s->disk, s->qemu, s->row,
		       s->at, s->up, s->dead, s->registered);
	}
	printf("flight %x cut %u session %u complete %u back %u there %u again "
	       "%u elsewhere %u obeyed %u ended %u excused %u\n",
	       w->flight, w->cut, w->session, w->complete, w->back_again,
	       w->ran_there, w->another_run, w->elsewhere, w->obeyed, w->ended,
	       w->excused);
}

/* Looked up at random: with small pages the time would go into translating
 * addresses. */
static struct world *table_of(size_t worlds)
{
	const size_t huge = 2 << 20;
	size_t size = (worlds * sizeof(struct world) + huge - 1) & ~(huge - 1);
	struct world *table = aligned_alloc(huge, size);

	assert(table);
	madvise(table, size, MADV_HUGEPAGE);
	return table;
}

void search_init(struct search *s, size_t capacity)
{
	size_t slots = SLOTS_LEAST;

	*s = (struct search){ .table = decide_table, .capacity = capacity };
	while (slots < capacity * 2)
		slots *= 2;
	s->seen = table_of(capacity);
	s->slots = table_of(slots * 2);
}

void search_done(struct search *s)
{
	free(s->seen);
	free(s->slots);
}
