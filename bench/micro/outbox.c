/* SPDX-License-Identifier: MIT */

/*
 * What the outbox costs: frames of 64 pages are put, taken by a channel, sent
 * and acknowledged, by one thread, so that nobody waits and no lock is fought
 * over.
 *
 *     build/bench/micro/outbox [--count]
 *
 * While it counts, clock_us() is a clock of its own: what the outbox does
 * depends on how long things take.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "frames/outbox.h"
#include "micro.h"

enum {
	CHANNELS = 2,
	LEN = BATCH_META_MAX + BATCH_MAX_PAGES * WIRE_PAGE,
	PRESSED_LEN = 16 * 1024,
	MANY = 16, /* short frames in flight */
	TICK_US = 5,
};

struct bench {
	struct outbox *out;
	unsigned frames, in_flight;
	uint32_t len;
};

/* The linker puts this in clock_us()'s place (--wrap). */
uint64_t __wrap_clock_us(void);
uint64_t __real_clock_us(void);

uint64_t __wrap_clock_us(void)
{
	static uint64_t now;

	return micro_counts() ? now += TICK_US : __real_clock_us();
}

static uint64_t put(const struct bench *b)
{
	struct frame_out *f = outbox_frame(b->out);
	uint64_t seq;
	struct error e;

	f->head.kind = FRAME_PAGES;
	f->head.len = b->len;
	f->iov[0].iov_len = BATCH_HEAD_SIZE;
	f->iovs = 1;
	if (outbox_put(b->out, f, &seq, &e) < 0)
		micro_fail(&e);
	return seq;
}

static void send(const struct bench *b, unsigned channel)
{
	struct frame_out *f;

	if (outbox_take(b->out, channel, 0, &f) != OUTBOX_FRAME) {
		fprintf(stderr, "channel %u got no frame\n", channel);
		exit(1);
	}
	outbox_sent(b->out, f);
}

static void through(void *context)
{
	const struct bench *b = context;
	struct error e;

	for (unsigned done = 0; done < b->frames; done += b->in_flight) {
		struct ack a = { 0 };

		for (unsigned i = 0; i < b->in_flight; i++)
			a.below = put(b) + 1;
		for (unsigned i = 0; i < b->in_flight; i++)
			send(b, i % CHANNELS);
		if (outbox_acked(b->out, &a, &e) < 0)
			micro_fail(&e);
	}
}

static void prepare_two(void *context)
{
	struct bench *b = context;

	b->len = LEN;
	b->in_flight = CHANNELS;
}

static void prepare_many(void *context)
{
	struct bench *b = context;

	b->len = PRESSED_LEN;
	b->in_flight = MANY;
}

static const struct micro_row rows[] = {
	{ "two frames at a time", prepare_two, through },
	{ "sixteen short frames at a time", prepare_many, through },
};

int main(int argc, char **argv)
{
	struct bench b = { 0 };
	struct error e;

	micro_begin(argc, argv, NULL);
	b.frames = micro_pages() / BATCH_MAX_PAGES;
	b.out = micro_memory(sizeof(*b.out) + WIRE_PAGE -
			     sizeof(*b.out) % WIRE_PAGE);
	if (outbox_init(b.out, &e) < 0)
		micro_fail(&e);
	for (unsigned i = 0; i < CHANNELS; i++)
		outbox_channel_alive(b.out, i);
	micro_run("outbox", rows, ARRAY_SIZE(rows), &b);
	outbox_close(b.out);
	outbox_done(b.out);
	free(b.out);
	return 0;
}
