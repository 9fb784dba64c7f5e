/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "micro.h"

enum { RUNS = 2, PITCH = WIRE_PAGE + 8 };

void frames_init(struct frames *f, unsigned pages)
{
	uint8_t *data = data_new(DATA_TRAVELLING, pages);

	f->n = pages / BATCH_MAX_PAGES;
	f->stream = micro_memory((uint64_t)pages * PITCH);
	for (size_t i = 0; i < pages; i++)
		memcpy(f->stream + i * PITCH, data + i * WIRE_PAGE, WIRE_PAGE);
	free(data);
}

void frames_done(struct frames *f)
{
	free(f->stream);
}

struct batch_head frames_batch(unsigned frame)
{
	const uint32_t half = BATCH_MAX_PAGES / RUNS;
	const uint64_t first = (uint64_t)frame * BATCH_MAX_PAGES;

	return (struct batch_head){ .runs = RUNS,
				    .pages = BATCH_MAX_PAGES,
				    .run = { { first, half, RUN_DATA },
					     { first + half + 1, half,
					       RUN_DATA } } };
}

struct frame_head frames_head(unsigned frame, size_t meta_bytes)
{
	return (struct frame_head){
		.kind = FRAME_PAGES,
		.len = (uint32_t)(meta_bytes + BATCH_MAX_PAGES * WIRE_PAGE),
		.seq = frame + 1
	};
}

int frames_payload(struct frames *f, unsigned frame,
		   struct iovec iov[FRAMES_IOVS])
{
	const struct batch_head head = frames_batch(frame);
	uint8_t *page = f->stream + (size_t)frame * BATCH_MAX_PAGES * PITCH;

	iov[0].iov_base = f->meta;
	iov[0].iov_len = batch_head_write(&head, NULL, f->meta);
	for (unsigned i = 1; i < FRAMES_IOVS; i++, page += PITCH)
		iov[i] = (struct iovec){ page, WIRE_PAGE };
	return FRAMES_IOVS;
}
