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
#include "frames.h"
#include "micro.h"
#include "wire/frame.h"

struct bench {
	struct frames frames;
	uint8_t *frame; /* one, as it arrives: head, runs, pages */
};

static void heads_written(void *context)
{
	struct bench *b = context;
	uint8_t head[FRAME_HEAD_SIZE];

	for (unsigned i = 0; i < b->frames.n; i++) {
		const struct batch_head batch = frames_batch(i);
		size_t meta = batch_head_write(&batch, NULL, b->frames.meta);
		struct frame_head h = frames_head(i, meta);

		frame_head_write(&h, FRAMES_SEED, head);
		micro_use(head[FRAME_HEAD_SIZE - 1]);
	}
}

static void frames_written(void *context)
{
	struct bench *b = context;
	struct iovec iov[FRAMES_IOVS];
	uint8_t head[FRAME_HEAD_SIZE];

	for (unsigned i = 0; i < b->frames.n; i++) {
		int n = frames_payload(&b->frames, i, iov);
		struct frame_head h = frames_head(i, iov[0].iov_len);

		h.sum = frame_sum(iov, n);
		frame_head_write(&h, FRAMES_SEED, head);
		micro_use(head[FRAME_HEAD_SIZE - 1]);
	}
}

/* --- as they arrive, all into the same buffer */

static void prepare_frame(void *context)
{
	struct bench *b = context;
	struct iovec iov[FRAMES_IOVS];
	int n = frames_payload(&b->frames, 0, iov);
	struct frame_head h = frames_head(0, iov[0].iov_len);
	uint8_t *at = b->frame + FRAME_HEAD_SIZE;

	h.sum = frame_sum(iov, n);
	frame_head_write(&h, FRAMES_SEED, b->frame);
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

	if (frame_head_read(h, b->frame, FRAMES_SEED, &e) < 0 ||
	    batch_head_read(&batch, payload, h->len, &body, &e) < 0)
		micro_fail(&e);
	micro_use(body.len + batch.pages);
}

static void heads_read(void *context)
{
	const struct bench *b = context;
	struct frame_head h;

	for (unsigned i = 0; i < b->frames.n; i++)
		read_heads(b, &h);
}

static void frames_read(void *context)
{
	const struct bench *b = context;
	struct frame_head h;

	for (unsigned i = 0; i < b->frames.n; i++) {
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

int main(int argc, char **argv)
{
	static struct bench b;

	micro_begin(argc, argv, NULL);
	frames_init(&b.frames, micro_pages());
	b.frame = micro_memory(FRAME_HEAD_SIZE + FRAME_MAX_PAYLOAD);
	micro_run("frame", rows, ARRAY_SIZE(rows), &b);
	frames_done(&b.frames);
	free(b.frame);
	return 0;
}
