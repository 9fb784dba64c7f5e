/* SPDX-License-Identifier: MIT */

/*
 * Which frame last carried each page: 8 bytes a page, on the source.
 *
 * Two rules rest on it.  A page is never in flight twice: a newer version
 * waits until the frame with the older one is acknowledged.  And once a record
 * for a page of a diverted block has stayed in QEMU's stream (XBZRLE), all
 * later versions stay there too: the destination's QEMU applies that record to
 * the same memory at a time we do not see.
 *
 * One thread uses it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;

enum { TRACK_BLOCKS_MAX = 512 };

struct track {
	struct {
		uint64_t *page; /* frame number, 0 = never carried */
		uint64_t pages;
	} block[TRACK_BLOCKS_MAX];
};

void track_init(struct track *t);
void track_done(struct track *t);

int track_add_block(struct track *t, unsigned block, uint64_t len_bytes,
		    struct error *e);

/* The frame that last carried the page, 0 for none. */
uint64_t track_frame(const struct track *t, unsigned block, uint64_t page);
void track_carried(struct track *t, unsigned block, uint64_t first,
		   uint64_t count, uint64_t frame);

bool track_stays(const struct track *t, unsigned block, uint64_t page);
void track_set_stays(struct track *t, unsigned block, uint64_t page);
