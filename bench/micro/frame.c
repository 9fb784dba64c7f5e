/* SPDX-License-Identifier: MIT */

/*
 * What framing costs: the sum of a batch's payload, the frame's header and the
 * batch's, written as by a channel's writer and read as by its reader.
 *
 *     build/bench/micro/frame [--count]
 *
 * Batches of 64 pages in two runs.  The sums are libxxhash's, which is not
 * counted: their instructions are those of the processor at hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "data.h"
#include "micro.h"
#include "wire/frame.h"

enum { SEED = 0x5eed, RUNS = 2, PITCH = WIRE_PAGE + 8 };

struct bench {
	unsigned frames;
	uint8_t *stream; /* the pages, as they stand in divert.c's buffers */
	uint8_t *frame;  /* one, as it arrives: head, runs, pages */
	uint8_t meta[BATCH_META_MAX];
};

static struct batch_head head_of(unsigned frame)
{
	const uint32_t half = BATCH_MAX_PAGES / RUNS;
	const uint64_t first = (uint64_t)frame * BATCH_MAX_PAGES;

	return (struct batch_head){ .runs = RUNS,
				    .pages = BATCH_MAX_PAGES,
				    .run = { { first, half, RUN_DATA },
					     { first + half + 1, half,
					       RUN_DATA } } };
}

static int payload_of(struct bench *b, unsigned frame,
		      struct iovec iov[1 + BATCH_MAX_PAGES])
{
	const struct batch_head head = head_of(frame);
	uint8_t *page = b->stream + (size_t)frame * BATCH_MAX_PAGES * PITCH;

	iov[0].iov_base = b->meta;
	iov[0].iov_len = batch_head_write(&head, NULL, b->meta);
	for (unsigned i = 1; i <= BATCH_MAX_PAGES; i++, page += PITCH)
		iov[i] = (struct iovec){ page, WIRE_PAGE };
	return 1 + BATCH_MAX_PAGES;
}

static struct frame_head frame_of(unsigned frame, size_t meta)
{
	return (struct frame_head){ .kind = FRAME_PAGES,
				    .len = (uint32_t)(meta + BATCH_MAX_PAGES *
								     WIRE_PAGE),
				    .seq = frame + 1 };
}

static void heads_written(void *context)
{
	struct bench *b = context;
	uint8_t head[FRAME_HEAD_SIZE];

	for (unsigned i = 0; i < b->frames; i++) {
		const struct batch_head batch = head_of(i);
		size_t meta = batch_head_write(&batch, NULL, b->meta);
		struct frame_head h = frame_of(i, meta);

		frame_head_write(&h, SEED, head);
		micro_use(head[FRAME_HEAD_SIZE - 1]);
	}
}

static void frames_written(void *context)
{
	struct bench *b = context;
	struct iovec iov[1 + BATCH_MAX_PAGES];
	uint8_t head[FRAME_HEAD_SIZE];

	for (unsigned i = 0; i < b->frames; i++) {
		int n = payload_of(b, i, iov);
		struct frame_head h = frame_of(i, iov[0].iov_len);

		h.sum = frame_sum(iov, n);
		frame_head_write(&h, SEED, head);
		micro_use(head[FRAME_HEAD_SIZE - 1]);
	}
}

/* --- as they arrive, all into the same buffer */

static void prepare_frame(void *context)
{
	struct bench *b = context;
	struct iovec iov[1 + BATCH_MAX_PAGES];
	int n = payload_of(b, 0, iov);
	struct frame_head h = frame_of(0, iov[0].iov_len);
	uint8_t *at = b->frame + FRAME_HEAD_SIZE;

	h.sum = frame_sum(iov, n);
	frame_head_write(&h, SEED, b->frame);
	for (int i = 0; i < n; i++) {
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
}

static void read_heads(const struct bench *b, struct frame_head *h)
{
	const uint8_t *payload = b->frame + FRAME_HEAD_SIZE;
	struct batch_head batch;
	struct batch_body body;
	struct error e;

	if (frame_head_read(h, b->frame, SEED, &e) < 0 ||
	    batch_head_read(&batch, payload, h->len, &body, &e) < 0)
		micro_fail(&e);
	micro_use(body.len + batch.pages);
}

static void heads_read(void *context)
{
	const struct bench *b = context;
	struct frame_head h;

	for (unsigned i = 0; i < b->frames; i++)
		read_heads(b, &h);
}

static void frames_read(void *context)
{
	const struct bench *b = context;
	struct frame_head h;

	for (unsigned i = 0; i < b->frames; i++) {
		struct iovec payload = { b->frame + FRAME_HEAD_SIZE, 0 };

		read_heads(b, &h);
		payload.iov_len = h.len;
		if (frame_sum(&payload, 1) != h.sum) {
			fprintf(stderr, "a frame has another sum\n");
			exit(1);
		}
	}
}

static const struct micro_row rows[] = {
	{ "headers, written", NULL, heads_written },
	{ "headers, read", prepare_frame, heads_read, .copy = MICRO_TO_MEMORY },
	{ "sum and headers, written", NULL, frames_written },
	{ "sum and headers, read", prepare_frame, frames_read,
	  .copy = MICRO_TO_MEMORY },
};

static uint8_t *stream_new(unsigned pages)
{
	uint8_t *stream = micro_memory((uint64_t)pages * PITCH);
	uint8_t *data = data_new(DATA_TRAVELLING, pages);

	for (size_t i = 0; i < pages; i++)
		memcpy(stream + i * PITCH, data + i * WIRE_PAGE, WIRE_PAGE);
	free(data);
	return stream;
}

int main(int argc, char **argv)
{
	static struct bench b;

	micro_begin(argc, argv, NULL);
	b.frames = micro_pages() / BATCH_MAX_PAGES;
	b.stream = stream_new(micro_pages());
	b.frame = micro_memory(FRAME_HEAD_SIZE + FRAME_MAX_PAYLOAD);
	micro_run("frame", rows, ARRAY_SIZE(rows), &b);
	free(b.stream);
	free(b.frame);
	return 0;
}
