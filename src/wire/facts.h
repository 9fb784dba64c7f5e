/* SPDX-License-Identifier: MIT */

/*
 * What one host tells another of itself and its machines, so that the other can
 * plan what goes where: docs/wire.md, "Messages".  What is 0 or empty is not
 * known, or there is none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "base/words.h"

enum { FACTS_LOAD_MOST = 1000 };

struct machine_facts {
	char name[64], uuid[40];
	char type[128]; /* the machine type, without an alias */
	char apart[64], together[64];
	uint64_t memory_bytes;
	bool huge; /* its memory is of huge pages that were set aside */
	unsigned vcpus;
	unsigned priority;
	struct words bridges;
};

struct host_facts {
	char closed[200]; /* why it takes no machine; empty: it does */
	uint64_t total_bytes;
	uint64_t memory_bytes, huge_bytes; /* that machines may still take */
	unsigned cpus;
	double load;    /* of its processors, 1: all of them */
	uint64_t speed; /* of its cards together, bytes per second */
	struct words types, bridges;
	struct machine_facts *machines; /* those that run */
	size_t n_machines;
};

extern const struct shape host_facts_shape, machine_facts_shape;

static inline void host_facts_done(struct host_facts *f)
{
	shape_done(&host_facts_shape, f);
}
