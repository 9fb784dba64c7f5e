/* SPDX-License-Identifier: MIT */

/*
 * Requests of a disk that have left as frames and are not answered: a block is
 * never in flight twice.  A request that shares a byte with one of these has to
 * wait until that one has been answered.
 *
 * Answers come in any order; a request is done when all its frames have been
 * acknowledged.  Pure: who calls brings the lock, and says what is
 * acknowledged.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disks/nbd.h"

enum {
	FLIGHT_MOST = 64, /* requests */
	/* What a request may become, each with a block's bytes. */
	FLIGHT_BLOCK = 256 << 10,
	FLIGHT_FRAMES_MOST = NBD_WRITE_MOST / FLIGHT_BLOCK,
};

struct flight_request {
	uint64_t cookie, offset, len; /* len 0: a flush, which blocks nothing */
	bool used;
	bool whole; /* all its frames have been named */
	unsigned frames, acked;
	uint64_t frame[FLIGHT_FRAMES_MOST];
};

struct flight {
	struct flight_request request[FLIGHT_MOST];
	unsigned count;
};

/* May it leave now? */
bool flight_has_room(const struct flight *f, uint64_t offset, uint64_t len);
/* A place for it; there is room. */
struct flight_request *flight_begin(struct flight *f,
				    const struct nbd_request *q);
void flight_frame(struct flight_request *r, uint64_t seq);
void flight_end(struct flight_request *r); /* no more frames */

/* One that is done, and in here no more; false: none is. */
bool flight_next_done(struct flight *f,
		      bool (*is_acked)(void *context, uint64_t seq),
		      void *context, uint64_t *ret_cookie);
