/* SPDX-License-Identifier: MIT */

/*
 * The destination's page sink: batches become guest memory.
 *
 * A batch arrives verified in the channel's own buffer, expanded if it was
 * pressed, and is written from there in one call.  (Receiving straight
 * into guest memory would save that copy, but let damaged bytes, and late
 * copies of a frame that was sent again, touch it.)
 *
 * Pages that are said to be the same, or to differ by a delta, are compared by
 * their sum with what is in memory, the latter on a copy before they are
 * written.  The source may be wrong about what is here, by a chance as much as
 * by a mistake; then the session ends and the guest goes on where it is.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/pongs.h"
#include "session/session.h"

struct guest_memory;
struct kept;

struct place {
	struct page_sink sink; /* for session_set_page_sink() */
	struct guest_memory *memory;
	/* Where a page may be taken from that is the same as in an earlier
	 * stay; NULL: nothing was kept. */
	struct kept *kept;
	atomic_uint_fast64_t from_kept;        /* pages */
	atomic_uint_fast64_t pages[RUN_KINDS]; /* placed, by kind of run */
	struct pongs pongs;                    /* of who calls place_answer() */
};

void place_init(struct place *p, struct guest_memory *memory);

/* What QEMU says to the source: where it answers a PING of ours, the finding
 * about the block is written into it.  One thread. */
void place_answer(struct place *p, uint8_t *data, size_t len);
