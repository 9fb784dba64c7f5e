/* SPDX-License-Identifier: MIT */

/*
 * How much of a processor a press worker gets, and when it leaves it to others.
 *
 * SCHED_IDLE alone is not enough.  It ranks a thread below all others of its
 * own control group; between groups the kernel divides a processor by their
 * weights, and a service, its guests and, with autogroups, every session are
 * groups of their own.  Measured: an idle-class thread that spins takes half of
 * the processor of a normal one in another group.
 *
 * So a worker watches what it gets.  Threads that run now and then interrupt it
 * for a moment, and lose nothing.  Where it gets less than SHARE_LEAST of the
 * time and no processor has time to spare (idle.h), others want them all: then
 * it rests after each frame, REST_LEAST_US first and twice as long each time up
 * to REST_MOST_US, and a quarter of that again when it gets more.  So a busy
 * processor loses less than 1 % to it, and one that becomes idle is used again
 * within a second.
 *
 * Pure arithmetic; the desk's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	YIELD_REST_LEAST_US = 4000,
	YIELD_REST_MOST_US = 256000,
};

struct yield {
	/* Averages over about 4 frames: the part of the time that it had the
	 * processor, and for how long.  0: nothing is known. */
	double share, got_us;
	uint64_t rest_us, until_us; /* the last rest, and its end */
};

/* A frame took @got_us of a processor and @wall_us from its handing out on. */
void yield_worked(struct yield *y, uint64_t got_us, uint64_t wall_us);
/* It gets too little. */
bool yield_gets_little(const struct yield *y);
/* After each frame; @wanted: others want all processors. */
void yield_rest(struct yield *y, bool wanted, uint64_t now_us);

bool yield_rests(const struct yield *y, uint64_t now_us);

/* The part of a processor that it gets, 1 when nothing is known; @busy_us: it
 * has been at a frame for so long, 0: it has none.  One that waits in vain is
 * not heard of before it ends, so what it has waited for already counts. */
double yield_share(const struct yield *y, uint64_t busy_us);
