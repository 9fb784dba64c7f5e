/* SPDX-License-Identifier: MIT */
/*
 * How fast memory is: loops of reads at random places of what is filled, each
 * of which waits for the one before.  A loop runs in pieces, so that everything
 * else is on time; its time is that of its pieces.
 */
#pragma once

#include <stdint.h>

#include "memory.h"

struct reads {
	const struct memory *memory;
	uint64_t pages;
	uint64_t loop; /* reads in each; 0: there are none */

	uint64_t state;
	uint64_t done, ticks; /* of the loop that runs */
};

void reads_init(struct reads *r, const struct memory *m, uint64_t pages,
		uint64_t loop);

/* A piece; at the end of a loop its time is said on the console. */
void reads_do(struct reads *r);
