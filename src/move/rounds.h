/* SPDX-License-Identifier: MIT */

/*
 * How fast a guest changes its memory, and how fast that travels: measured by
 * what QEMU says of its rounds (query-migrate, MIGRATION_PASS).
 *
 * QEMU learns what the guest has changed only when it synchronises its bitmap,
 * at the end of a round.  Between two of these the sum of what was sent and of
 * what remains stands still; from one to the next it grows by what the guest
 * has changed meanwhile, a page counting once.  QEMU's own figure,
 * dirty-pages-rate, is of the last second at least, so it says nothing of the
 * short rounds near the end.
 *
 * In the first pass pages of zeros leave so fast that they say nothing of the
 * links: they do not count in the rate.  Later they do, because they count in
 * what the guest has changed as well: QEMU does not say which of it are zeros.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	ROUNDS_KEPT = 32,
	ROUNDS_OVER_US =
		300000, /* what is measured lasted so long, if it can */
};

/* What QEMU says at one moment. */
struct rounds_seen {
	uint64_t at_us;
	uint64_t syncs;      /* of its bitmap; the first is before all pages */
	uint64_t pass;       /* the sync that was last heard of, */
	uint64_t pass_us;    /* and when: the last of @syncs or another */
	uint64_t data, zero; /* bytes of memory that were sent */
	uint64_t remaining;  /* bytes that it knows to be changed */
};

struct rounds_point {
	uint64_t at_us, bytes;
};

struct rounds_line {
	struct rounds_point at[ROUNDS_KEPT]; /* the newest at @next - 1 */
	unsigned next, count;
};

struct rounds {
	struct rounds_line changed;      /* at each sync: sent and remaining */
	struct rounds_line data;         /* now and then: sent */
	uint64_t first_zero, first_data; /* bytes of the first pass */
	uint64_t syncs;
	uint64_t looked_us; /* the last sync */
	bool fresh;
	struct rounds_seen last;
};

void rounds_add(struct rounds *r, const struct rounds_seen *s);
/* What follows is another guest, which was slowed down, or other links. */
void rounds_restart(struct rounds *r);

/* Bytes a second; 0: not known yet. */
uint64_t rounds_dirty_rate(const struct rounds *r);
uint64_t rounds_rate(const struct rounds *r);
/* What was added last is the first of a sync. */
bool rounds_are_fresh(const struct rounds *r);
/* What was changed in the last round but @back; false: it is not known. */
bool rounds_change(const struct rounds *r, unsigned back, uint64_t *ret_over_us,
		   uint64_t *ret_bytes);
/* When QEMU last looked, at the begin of its newest round; 0: never. */
uint64_t rounds_looked_us(const struct rounds *r);
/* After the first pass more than a ninth of the pages were of zeros, which QEMU
 * does not count where it looks how fast the guest is. */
bool rounds_have_zeros(const struct rounds *r);
/* How long QEMU has not looked; UINT64_MAX: it is not known. */
uint64_t rounds_since_us(const struct rounds *r);
/* Bytes that would have to be sent if the guest stopped now: those that QEMU
 * does not know of yet are estimated.  UINT64_MAX: it knows of none so far. */
uint64_t rounds_remaining(const struct rounds *r);
/* Rounds that have ended; 0 in the first pass.  After rounds_restart() those
 * since then. */
uint64_t rounds_ended(const struct rounds *r);
