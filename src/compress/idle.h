/* SPDX-License-Identifier: MIT */

/*
 * How many processors the compressor workers may use: those that are idle.
 *
 * SCHED_IDLE alone is not enough.  It ranks a thread below all others of its
 * own control group; between groups the kernel divides a processor by their
 * weights, and a service, its guests and, with autogroups, every session are
 * groups of their own.  Measured on Linux 6.18: a thread of the idle class that
 * spins takes half of the processor from a normal one in another group, and one
 * that wakes up now and then does not even have to wait, so that it cannot tell
 * from what it gets.
 *
 *     look ──some are idle──► work ──none is to spare, since just now, or for
 *                                    LOOK_EVERY_US──►
 * look ▲ │ └─┘ none is idle
 *
 * So the host's idle time decides (/proc/uptime, proc(5)).  While the workers
 * work and some is left, they may use what they used and what is left.  While
 * none is left, it cannot be told whether they use what nobody wants: at once
 * when some was left until then, and from time to time, they stop for LOOK_US,
 * and what is idle then is what they may use.
 * When that is nothing they go on looking, and use no time at all, until it is.
 * So either change is noticed within a second.
 *
 * Whoever calls holds the compressor's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct idle {
	double most;      /* processors that the workers could use */
	const char *path; /* NULL: /proc/uptime */

	bool looking;
	bool had_spare;              /* some was idle beside the workers */
	uint64_t asked_us;           /* 0: never */
	uint64_t looked_us;          /* the last look ended */
	uint64_t checked_us;         /* idle time was seen, or nobody worked */
	uint64_t began_us, begun_us; /* the window; idle time until then */
	double used_us;              /* processor time of the workers in it */
	double allowed;              /* processors */
	double credit_us;            /* processor time that may be used now */
	uint64_t credited_us;        /* until when it has grown */
};

/* A worker used so much. */
void idle_used(struct idle *i, uint64_t processor_us);
/* Whether a worker may take a frame now. */
bool idle_may_work(struct idle *i, uint64_t now_us);
/* When to ask again if not. */
uint64_t idle_next_us(const struct idle *i);
