/* SPDX-License-Identifier: MIT */

/*
 * Names to numbers: which machines go as one, and to which hosts each such unit
 * may go, whatever else goes there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/placement_set.h"

enum { REACH_WORD = 64 };

#define REACH_NONE UINT_MAX /* no host, no group, no machine */

/* Machines that go to one host or not at all: one, or a group of `together`. */
struct reach_unit {
	size_t first, count; /* among the members */
	uint64_t memory_bytes, huge_bytes;
	unsigned vcpus;
	unsigned weight; /* by priority */
	unsigned hosts;  /* how many may take it */
	bool torn;       /* two of them are to be kept apart */
	unsigned held;   /* one of the group that cannot go, or REACH_NONE */
};

/* What always stands between a machine and a host. */
enum reach_bar {
	BAR_NONE,
	BAR_THERE, /* it is to leave that one */
	BAR_CLOSED,
	BAR_CPUS,
	BAR_MEMORY, /* alone it has no room there */
	BAR_HUGE,
	BAR_REFUSED,
	BAR_TOGETHER, /* those that it is kept with are elsewhere */
	BAR_APART,
	BAR_NEED, /* and from here on one for each kind */
};

/* Hosts that have all of a list of names. */
struct reach_class {
	const struct words *needs;
	uint64_t *hosts;
};

struct reach_classes {
	struct reach_class *at; /* in the order of their addresses */
	size_t count;
};

struct reach {
	const struct placement *of;
	struct reach_unit *units;
	size_t n_units;
	unsigned *members;          /* those of a unit beside each other */
	size_t words;               /* of a bit for each host */
	uint64_t *masks;            /* such, of each unit */
	unsigned *apart, *together; /* of each machine: its group */
	size_t n_apart, n_together;
	/* Of each group: hosts where one of it stays. */
	uint64_t *apart_at, *together_at;
	struct reach_classes classes[PLACEMENT_NEEDS];
	struct placement_refusal *refusals; /* in their order */
	uint64_t steps;
};

/* -ENOMEM.  reach_done() in any case. */
int reach_init(struct reach *r, const struct placement *of, struct error *e);
void reach_done(struct reach *r);

static inline bool reach_bit(const uint64_t *mask, size_t i)
{
	return mask[i / REACH_WORD] >> i % REACH_WORD & 1;
}

static inline void reach_set(uint64_t *mask, size_t i)
{
	mask[i / REACH_WORD] |= 1ULL << i % REACH_WORD;
}

/* The first that there is. */
enum reach_bar reach_bar(const struct reach *r, unsigned machine,
			 unsigned host);
/* What two hosts have found, for BAR_REFUSED. */
const struct placement_refusal *reach_refusal(const struct reach *r,
					      unsigned machine, unsigned host);
