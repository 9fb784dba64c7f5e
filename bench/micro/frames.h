/* SPDX-License-Identifier: MIT */

/* Frames as a channel's writer has them: batches of 64 pages in two runs, whose
 * pages lie in QEMU's stream, 8 bytes apart. */
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "wire/frame.h"

enum { FRAMES_SEED = 0x5eed, FRAMES_IOVS = 1 + BATCH_MAX_PAGES };

struct frames {
	unsigned n;
	uint8_t *stream;
	uint8_t meta[BATCH_META_MAX]; /* of the payload that was made last */
};

void frames_init(struct frames *f, unsigned pages);
void frames_done(struct frames *f);

struct batch_head frames_batch(unsigned frame);
struct frame_head frames_head(unsigned frame, size_t meta_bytes);

/* The pieces that are used of @iov. */
int frames_payload(struct frames *f, unsigned frame,
		   struct iovec iov[FRAMES_IOVS]);
