/* SPDX-License-Identifier: MIT */

/* Who goes where: units onto hosts, with room and groups kept. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "host/placement_order.h"
#include "host/placement_reach.h"

/* What a choice leaves. */
struct search_worth {
	size_t left;   /* machines */
	size_t weight; /* of those left */
	double seconds;
};

/* A choice that is being made: all of it follows from @to. */
struct search {
	const struct reach *r;
	unsigned *to;                        /* of each unit, or REACH_NONE */
	uint64_t *memory_bytes, *huge_bytes; /* what is left on each host */
	double *out_s, *in_s;                /* what its cards have to do */
	double *load;
	uint64_t *apart; /* as in the reach, with those that go there */
	size_t left, weight;
	uint64_t steps;
	struct order_job *jobs; /* room for all */
	struct order_turns turns;
};

/* -ENOMEM.  search_done() in any case. */
int search_init(struct search *s, const struct reach *r, struct error *e);
void search_done(struct search *s);
/* Finds a choice, and leaves it in @s. */
int search_run(struct search *s, struct error *e);
/* The moves of the choice as it is; how many. */
size_t search_jobs(const struct search *s, struct order_job *jobs);
