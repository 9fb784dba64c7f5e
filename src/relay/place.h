/* SPDX-License-Identifier: MIT */

/*
 * The destination's page sink: batches become guest memory.
 *
 * A batch arrives verified in the channel's own buffer and is written from
 * there in one call per run.  (Receiving straight into guest memory would save
 * that copy, but let damaged bytes, and late copies of a frame that was sent
 * again, touch it.)
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "session/session.h"

struct guest_memory;

struct place {
	struct page_sink sink; /* for session_set_page_sink() */
	struct guest_memory *memory;
	atomic_uint_fast64_t pages, zero_pages;
};

void place_init(struct place *p, struct guest_memory *memory);
