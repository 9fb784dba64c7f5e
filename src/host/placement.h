/* SPDX-License-Identifier: MIT */

/*
 * Which machine goes to which host, and in which order: a pure function.
 *
 * A machine that goes is placed where memory, huge pages, processors, machine
 * type, CPU features, bridges and disks allow, beside none that its `apart`
 * line keeps it from, and with all that its `together` line keeps it with.  As
 * many machines as possible are placed; of those that are left the ones with
 * the lower priority; and then so that all of it takes the shortest time.
 * Whoever is left is named with a sentence.  docs/drain.md has the rules.
 *
 *     placement_set.h     what is given
 *     placement.c         this, the sentences, and what a lost host would mean
 *     placement_reach.c   names to numbers: who may go where at all
 *     placement_search.c  who goes where
 *     placement_order.c   when
 *
 * Nothing in here knows of threads, files or hosts that are heard.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/placement_set.h"

struct error;

struct placement_move {
	unsigned machine, to;
	double starts_s, ends_s; /* from the beginning */
};

enum { PLACEMENT_WHY = 400 };

struct placement_left {
	unsigned machine;
	char why[PLACEMENT_WHY]; /* without the machine's name */
};

struct placement_plan {
	struct placement_move *moves; /* in their order */
	size_t n_moves;
	struct placement_left *left; /* those that have to go and cannot */
	size_t n_left;
	double seconds; /* until the last has arrived */
	uint64_t steps; /* looks at a machine on a host: what it cost */
};

/* -ENOMEM.  placement_plan_done() frees it. */
int placement_make(const struct placement *of, struct placement_plan *ret,
		   struct error *e);
void placement_plan_done(struct placement_plan *p);

/* Could any one of the hosts fail, and its machines start on the others? */
struct placement_spare {
	bool enough;
	unsigned host;       /* the worst: most of its machines would be left */
	size_t machines;     /* that would be */
	uint64_t bytes;      /* their memory */
	unsigned first;      /* one of them */
	uint64_t need_bytes; /* memory of all machines of that host */
	char why[PLACEMENT_WHY]; /* of the first */
};

/* @after: once this has been done; NULL: as it is.  -ENOMEM. */
int placement_spare(const struct placement *of,
		    const struct placement_plan *after,
		    struct placement_spare *ret, struct error *e);
