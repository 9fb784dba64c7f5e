/* SPDX-License-Identifier: MIT */

/*
 * The compressor and its side of the outbox.  The first tests play the workers
 * themselves: the compressor that they name to the outbox has no client, so
 * that nobody else takes what waits.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/scope.h"
#include "codec/codec.h"
#include "compress/compressor.h"
#include "frames/outbox.h"
#include "frames/taker.h"
#include "waits.h"

enum {
	PAGES = 4,    /* in a frame: more than what is not worth pressing */
	BUFFERS = 24, /* that the compressor has for one worker */
};

struct box {
	struct compressor *compressor;
	struct pool *raw, *pressed;
	struct outbox out;
	struct compressor_client client;
};

static bool wants_none(struct taker *t)
{
	(void)t;
	return false;
}

static void stays_asleep(struct taker *t)
{
	(void)t;
}

static struct taker nobody = { wants_none, stays_asleep };

/* No channel is alive yet, for which a worker would leave something. */
static struct box *box_made(struct compressor *p, bool always)
{
	struct box *d = calloc(1, sizeof(*d));
	struct error e;

	assert_non_null(d);
	d->compressor = p;
	assert_int_equal(pool_new(&d->raw, 64, (size_t)PAGES * WIRE_PAGE, &e),
			 0);
	assert_int_equal(pool_new(&d->pressed, 4, FRAME_MAX_PAYLOAD, &e), 0);
	assert_int_equal(outbox_init(&d->out, &e), 0);
	outbox_set_taker(&d->out, &nobody, 64, always);
	d->client.outbox = &d->out;
	d->client.policy.always = always;
	return d;
}

/* Every buffer has come back: pool_free() sees to it. */
static void box_unmade(struct box *d)
{
	outbox_close(&d->out);
	outbox_done(&d->out);
	pool_free(d->raw);
	pool_free(d->pressed);
	free(d);
}

static struct compressor *compressor_made(unsigned workers)
{
	struct compressor *p;
	struct error e;

	assert_int_equal(compressor_new(&p, workers, &e), 0);
	return p;
}

enum content { CONTENT_TEXT, CONTENT_NOISE };

static void fill(uint8_t *data, size_t len, enum content what, uint32_t seed)
{
	static const char words[] = "the herd goes over the old road at dusk, ";

	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = what == CONTENT_NOISE
				  ? (uint8_t)(seed >> 24)
				  : (uint8_t)words[(i + i / 512) %
						   (sizeof(words) - 1)];
	}
}

static uint64_t put(struct box *d, enum content what)
{
	struct batch_head b = { .runs = 1,
				.pages = PAGES,
				.run = { { 7, PAGES, RUN_DATA } } };
	struct frame_out *f = outbox_frame(&d->out);
	uint64_t seq;
	struct error e;

	assert_non_null(f);
	f->buffer[0] = pool_take(d->raw);
	f->buffers = 1;
	fill(f->buffer[0]->data, (size_t)PAGES * WIRE_PAGE, what, 1);
	f->iov[0] =
		(struct iovec){ f->meta, batch_head_write(&b, NULL, f->meta) };
	f->iov[1] =
		(struct iovec){ f->buffer[0]->data, (size_t)PAGES * WIRE_PAGE };
	f->iovs = 2;
	f->head.kind = FRAME_PAGES;
	f->head.len = (uint32_t)(f->iov[0].iov_len + f->iov[1].iov_len);
	assert_int_equal(outbox_put(&d->out, f, &seq, &e), 0);
	return seq;
}

static struct frame_out *take(struct box *d, unsigned channel)
{
	struct frame_out *f = NULL;

	if (outbox_take(&d->out, channel, clock_us() + 1000, &f) !=
	    OUTBOX_FRAME)
		return NULL;
	return f;
}

/* The number of the next frame, 0 for none. */
static uint64_t send_one(struct box *d, unsigned channel)
{
	struct frame_out *f = take(d, channel);
	uint64_t seq = f ? f->head.seq : 0;

	if (f)
		outbox_sent(&d->out, f);
	return seq;
}

static void ack(struct box *d, uint64_t seq)
{
	const struct ack a = { .ranges = 1, .range = { { seq, 1 } } };
	struct error e;

	assert_int_equal(outbox_acked(&d->out, &a, &e), 0);
}

static unsigned idle(struct pool *p, unsigned most)
{
	struct buffer *b[64];
	unsigned n = 0;

	while (n < most && (b[n] = pool_try(p)))
		n++;
	for (unsigned i = 0; i < n; i++)
		buffer_drop(b[i]);
	return n;
}

/* A worker ends: what it made has 100 bytes. */
static void worker_ends(struct box *d, struct frame_out *f)
{
	struct buffer *b = pool_take(d->pressed);

	memset(b->data, 'p', 100);
	outbox_taker_done(&d->out, f, b, 100);
}

static struct press_stats stats_of(struct box *d)
{
	struct outbox_stats st;

	outbox_stats(&d->out, &st);
	return st.press;
}

/* --- the outbox */

static void a_pressed_frame_goes_first(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, false);
	struct frame_out *first, *second, *f;

	(void)state;
	put(d, CONTENT_TEXT);
	put(d, CONTENT_TEXT);
	first = outbox_taker_take(&d->out);
	second = outbox_taker_take(&d->out);
	assert_int_equal(first->head.seq, 1);
	assert_int_equal(second->head.seq, 2);
	assert_null(outbox_taker_take(&d->out));
	worker_ends(d, second);
	f = take(d, 0);
	assert_ptr_equal(f, second);
	assert_int_equal(f->head.len, 100);
	assert_int_equal(f->iovs, 1);
	assert_memory_equal(f->iov[0].iov_base, "pppp", 4);
	outbox_sent(&d->out, f);
	worker_ends(d, first);
	assert_int_equal(send_one(d, 0), 1);
	assert_int_equal(stats_of(d).out, 200);
	assert_int_equal(stats_of(d).free, 0);
	box_unmade(d);
	compressor_free(p);
}

static void a_frame_that_waits_leaves_raw_when_nothing_is_ready(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, false);
	struct frame_out *busy, *f;

	(void)state;
	put(d, CONTENT_TEXT);
	put(d, CONTENT_TEXT);
	busy = outbox_taker_take(&d->out);
	/* Nobody works on the second one; then the first one's worker loses. */
	f = take(d, 0);
	assert_int_equal(f->head.seq, 2);
	assert_int_equal(f->iovs, 2);
	outbox_sent(&d->out, f);
	f = take(d, 0);
	assert_ptr_equal(f, busy);
	assert_int_equal(f->iovs, 2);
	outbox_sent(&d->out, f);
	worker_ends(d, busy);
	assert_int_equal(stats_of(d).in, 0);
	assert_int_equal(stats_of(d).free, 2 * busy->weight);
	assert_int_equal(stats_of(d).taken_back, busy->weight);
	assert_int_equal(idle(d->pressed, 4), 4);
	box_unmade(d);
	compressor_free(p);
}

static void a_frame_lives_until_its_worker_has_ended(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, false);
	struct frame_out *f;

	(void)state;
	put(d, CONTENT_TEXT);
	f = outbox_taker_take(&d->out);
	assert_int_equal(send_one(d, 0), 1);
	ack(d, 1);
	assert_true(outbox_is_acked(&d->out, 1));
	assert_int_equal(idle(d->raw, 64), 63); /* the worker reads one */
	worker_ends(d, f);
	assert_int_equal(idle(d->raw, 64), 64);
	assert_int_equal(idle(d->pressed, 4), 4);
	box_unmade(d);
	compressor_free(p);
}

static void a_requeued_frame_that_is_acknowledged_outlives_its_worker(
	void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, false);
	struct frame_out *f;

	(void)state;
	put(d, CONTENT_TEXT);
	f = outbox_taker_take(&d->out);
	assert_int_equal(send_one(d, 0), 1);
	outbox_channel_died(&d->out, 0);
	ack(d, 1); /* it had arrived, and the worker is still at it */
	assert_int_equal(send_one(d, 1), 0);
	assert_int_equal(idle(d->raw, 64), 63);
	worker_ends(d, f);
	assert_int_equal(idle(d->raw, 64), 64);
	box_unmade(d);
	compressor_free(p);
}

static void what_the_worker_gives_back_leaves_as_it_was_made(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, true);
	struct frame_out *f;

	(void)state;
	put(d, CONTENT_NOISE);
	f = outbox_taker_take(&d->out);
	outbox_taker_done(&d->out, f, NULL, 0);
	assert_null(outbox_taker_take(&d->out));
	f = take(d, 0);
	assert_int_equal(f->iovs, 2);
	assert_int_equal(stats_of(d).incompressible, f->head.len);
	assert_int_equal(stats_of(d).free, 0);
	outbox_sent(&d->out, f);
	box_unmade(d);
	compressor_free(p);
}

static void always_waits_for_workers_unless_it_is_urgent(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, true);
	struct frame_out *f;

	(void)state;
	for (int i = 0; i < 3; i++)
		put(d, CONTENT_TEXT);
	assert_int_equal(send_one(d, 0), 0);
	f = outbox_taker_take(&d->out);
	assert_int_equal(send_one(d, 0), 0);
	worker_ends(d, f);
	assert_int_equal(send_one(d, 0), 1);
	f = outbox_taker_take(&d->out);
	assert_int_equal(send_one(d, 0), 0);
	d->out.channel[1].delay_us = 1000; /* it has delivered before */
	outbox_set_phase(&d->out, PHASE_SWITCHOVER);
	assert_int_equal(send_one(d, 0), 3);
	assert_int_equal(send_one(d, 0), 2);
	worker_ends(d, f);
	box_unmade(d);
	compressor_free(p);
}

static void a_frame_of_a_dead_channel_is_pressed_after_all(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, false);
	struct frame_out *f;

	(void)state;
	put(d, CONTENT_TEXT);
	f = outbox_taker_take(&d->out);
	assert_int_equal(send_one(d, 0), 1);
	outbox_channel_died(&d->out, 0);
	worker_ends(d, f);
	f = take(d, 1);
	assert_int_equal(f->head.seq, 1);
	assert_int_equal(f->head.len, 100);
	assert_false(atomic_load(&f->summed));
	outbox_sent(&d->out, f);
	assert_int_equal(send_one(d, 1), 0);
	assert_int_equal(idle(d->raw, 64), 64);
	box_unmade(d);
	compressor_free(p);
}

static void a_frame_that_a_channel_still_writes_is_not_replaced(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, false);
	struct frame_out *f, *late;

	(void)state;
	put(d, CONTENT_TEXT);
	f = outbox_taker_take(&d->out);
	assert_ptr_equal(take(d, 0), f);
	atomic_store(&f->summed, true);
	d->out.channel[1].delay_us = 1000; /* it has delivered before */
	outbox_set_phase(&d->out, PHASE_SWITCHOVER);
	while (!(late = take(d, 1)))
		;
	assert_ptr_equal(late, f);
	outbox_sent(&d->out, late);
	outbox_channel_died(&d->out, 1);
	worker_ends(d, f); /* channel 0 has not ended */
	assert_int_equal(f->iovs, 2);
	assert_int_equal(stats_of(d).in, 0);
	assert_int_equal(stats_of(d).free, f->weight);
	outbox_sent(&d->out, f);
	assert_int_equal(send_one(d, 1), 1);
	assert_int_equal(stats_of(d).free, f->weight);
	box_unmade(d);
	compressor_free(p);
}

/* Whatever became of it: pressed, incompressible, or raw because the link was
 * free. */
static void each_frame_counts_once_however_often_it_is_sent(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, false);
	struct frame_out *first, *second;
	uint64_t weight, late;

	(void)state;
	put(d, CONTENT_TEXT);
	put(d, CONTENT_TEXT);
	late = put(d, CONTENT_TEXT);
	first = outbox_taker_take(&d->out);
	second = outbox_taker_take(&d->out);
	weight = first->weight;
	while (send_one(d, 0))
		;
	assert_int_equal(stats_of(d).free, 3 * weight);
	outbox_channel_died(&d->out, 0);
	assert_int_equal(stats_of(d).free, 0); /* all may be pressed yet */
	worker_ends(d, first);
	outbox_taker_done(&d->out, second, NULL, 0);
	ack(d, late); /* it had arrived */
	assert_int_equal(stats_of(d).in, weight);
	assert_int_equal(stats_of(d).incompressible, weight);
	assert_int_equal(stats_of(d).free, weight);
	while (send_one(d, 1))
		;
	outbox_channel_died(&d->out, 1);
	while (send_one(d, 0))
		;
	assert_int_equal(stats_of(d).in, weight);
	assert_int_equal(stats_of(d).incompressible, weight);
	assert_int_equal(stats_of(d).free, weight);
	assert_int_equal(stats_of(d).taken_back, 0);
	box_unmade(d);
	compressor_free(p);
}

/* Its worker has ended in vain: nobody else will make it ready. */
static void always_does_not_wait_for_a_worker_that_has_ended(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, true);
	struct frame_out *f;

	(void)state;
	put(d, CONTENT_TEXT);
	f = outbox_taker_take(&d->out);
	d->out.channel[1].delay_us = 1000; /* it has delivered before */
	outbox_set_phase(&d->out, PHASE_SWITCHOVER);
	assert_int_equal(send_one(d, 0), 1);
	d->out.phase = PHASE_NEAR_END;
	worker_ends(d, f);
	outbox_channel_died(&d->out, 0);
	assert_int_equal(send_one(d, 1), 1);
	box_unmade(d);
	compressor_free(p);
}

/* A piece of stream 0 as long as they are: it is read at the other end, and so
 * acknowledged, only after the pages in front of it. */
static void put_piece(struct box *d)
{
	enum { PIECE = PAGES * WIRE_PAGE };
	struct frame_out *f = outbox_frame(&d->out);
	struct error e;

	f->owned = calloc(1, PIECE);
	assert_non_null(f->owned);
	f->iov[0] = (struct iovec){ f->owned, PIECE };
	f->iovs = 1;
	f->head.kind = FRAME_STREAM;
	f->head.len = PIECE;
	assert_int_equal(outbox_put(&d->out, f, NULL, &e), 0);
}

/* Whatever a worker is doing with them: it may never come back. */
static void pages_leave_though_pieces_of_stream_took_all_room(void **state)
{
	struct compressor *p = compressor_made(1);

	(void)state;
	for (int busy = 0; busy < 2; busy++) {
		struct box *d = box_made(p, false);
		struct frame_out *f = NULL;
		uint64_t pages, seq, taken = 0;
		bool left = false;

		outbox_channel_alive(&d->out, 0);
		pages = put(d, CONTENT_TEXT);
		put(d, CONTENT_TEXT);
		while (taken < flow_limit(&d->out.channel[0].flow)) {
			put_piece(d);
			taken += PAGES * WIRE_PAGE;
		}
		if (busy)
			f = outbox_taker_take(&d->out);
		while ((seq = send_one(d, 0)))
			left = left || seq == pages;
		assert_true(left);
		if (f)
			outbox_taker_done(&d->out, f, NULL, 0);
		box_unmade(d);
	}
	compressor_free(p);
}

static void small_frames_and_those_without_pages_are_not_for_the_compressor(
	void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, true);
	struct frame_out *f = outbox_frame(&d->out);
	struct error e;

	(void)state;
	/* All of it is what comes before the pages, say sums of repeats. */
	f->iov[0] = (struct iovec){ f->meta, sizeof(f->meta) };
	f->iovs = 1;
	f->head.kind = FRAME_PAGES;
	f->head.len = sizeof(f->meta);
	assert_int_equal(outbox_put(&d->out, f, NULL, &e), 0);
	assert_null(outbox_taker_take(&d->out));
	assert_int_equal(send_one(d, 0), 1);
	assert_int_equal(stats_of(d).free, 0);
	box_unmade(d);
	compressor_free(p);
}

/* --- the compressor */

static uint64_t pressed(struct box *d)
{
	/* Frames: every one weighs the same. */
	return stats_of(d).in /
	       (BATCH_HEAD_SIZE + BATCH_RUN_SIZE + PAGES * WIRE_PAGE);
}

static void wait_pressed(struct box *d, uint64_t frames)
{
	uint64_t deadline = clock_us() + 20 * USEC_PER_SEC;

	while (pressed(d) < frames) {
		assert_true(clock_us() < deadline);
		wait_moment();
	}
}

static void check_frame(struct box *d, struct frame_out *f)
{
	static uint8_t want[PAGES * WIRE_PAGE], got[PAGES * WIRE_PAGE];
	struct codec_state *codecs;
	struct batch_head b;
	struct batch_body body;
	struct error e;

	(void)d;
	fill(want, sizeof(want), CONTENT_TEXT, 1);
	assert_int_equal(f->iovs, 1);
	assert_int_equal(batch_head_read(&b, f->iov[0].iov_base,
					 f->iov[0].iov_len, &body, &e),
			 0);
	assert_int_equal(b.pages, PAGES);
	assert_int_equal(b.run[0].first, 7);
	assert_int_equal(codec_state_new(&codecs, &e), 0);
	assert_int_equal(codec_expand(codecs,
				      (struct codec_unit){ b.codec, body.data,
							   body.len },
				      got, sizeof(got), &e),
			 0);
	assert_memory_equal(got, want, sizeof(want));
	codec_state_free(codecs);
}

static void workers_press_what_waits_and_all_codecs_are_tried(void **state)
{
	struct compressor *p = compressor_made(2);
	struct box *d = box_made(p, true);
	struct compressor_report said;
	struct frame_out *f;

	(void)state;
	compressor_join(p, &d->client);
	for (int i = 0; i < 12; i++)
		put(d, CONTENT_TEXT);
	for (int i = 0; i < 12; i++) {
		while (!(f = take(d, 0)))
			;
		check_frame(d, f);
		outbox_sent(&d->out, f);
	}
	said = compressor_report(p, &d->client);
	assert_int_equal(said.n_tried, CHOICES);
	for (size_t i = 0; i < said.n_tried; i++)
		assert_true(said.tried[i].frames > 0 &&
			    said.tried[i].ratio > 1);
	assert_true(said.did.in > 0 && said.ratio > 1);
	assert_true(said.always);
	outbox_close(&d->out);
	compressor_leave(p, &d->client);
	box_unmade(d);
	compressor_free(p);
}

static void a_codec_that_the_settings_name_is_the_only_one(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, true);
	struct compressor_report said;
	struct frame_out *f;

	(void)state;
	d->client.policy.fixed = true;
	d->client.policy.choice = (struct codec_choice){ CODEC_ZSTD, 5 };
	compressor_join(p, &d->client);
	for (int i = 0; i < 6; i++) {
		put(d, CONTENT_TEXT);
		while (!(f = take(d, 0)))
			;
		assert_int_equal(((uint8_t *)f->iov[0]
					  .iov_base)[BATCH_CODEC_AT],
				 CODEC_ZSTD);
		outbox_sent(&d->out, f);
	}
	said = compressor_report(p, &d->client);
	assert_int_equal(said.used.id, CODEC_ZSTD);
	assert_int_equal(said.used.level, 5);
	outbox_close(&d->out);
	compressor_leave(p, &d->client);
	box_unmade(d);
	compressor_free(p);
}

static void nothing_has_no_ratio(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, false);
	struct compressor_report said;
	AUTO_FREE char *text = NULL;

	(void)state;
	compressor_join(p, &d->client);
	said = compressor_report(p, &d->client);
	text = shape_text(&compressor_report_shape, &said);
	assert_non_null(strstr(text, "\"compress\":\"idle\""));
	assert_non_null(strstr(text, "\"ratio\":null"));
	assert_non_null(strstr(text, "\"share_raw_link_free\":null"));
	assert_non_null(strstr(text, "\"tried\":[]"));
	outbox_close(&d->out);
	compressor_leave(p, &d->client);
	box_unmade(d);
	compressor_free(p);
}

static void incompressible_frames_leave_as_they_are(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *d = box_made(p, true);
	struct frame_out *f;

	(void)state;
	compressor_join(p, &d->client);
	for (int i = 0; i < 4; i++) {
		put(d, CONTENT_NOISE);
		while (!(f = take(d, 0)))
			;
		assert_int_equal(f->iovs, 2);
		outbox_sent(&d->out, f);
	}
	assert_int_equal(stats_of(d).in, 0);
	assert_int_equal(stats_of(d).incompressible, 4 * f->head.len);
	outbox_close(&d->out);
	compressor_leave(p, &d->client);
	box_unmade(d);
	compressor_free(p);
}

/* One worker has buffers for so many frames: half of them for each. */
static void no_client_keeps_the_buffers_of_another(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *a = box_made(p, true), *b = box_made(p, true);
	struct frame_out *f;

	(void)state;
	for (int i = 0; i < 2 * BUFFERS; i++) {
		put(a, CONTENT_TEXT);
		if (i < BUFFERS)
			put(b, CONTENT_TEXT);
	}
	compressor_join(p, &a->client);
	compressor_join(p, &b->client);
	compressor_kick(p);
	wait_pressed(a, BUFFERS / 2);
	wait_pressed(b, BUFFERS / 2);
	/* What comes back is for the one that it came from: the other has its
	 * half, and sends nothing. */
	for (int i = 0; i < BUFFERS; i++) {
		wait_pressed(a, (uint64_t)i + 1);
		while (!(f = take(a, 0)))
			;
		outbox_sent(&a->out, f);
		ack(a, f->head.seq);
	}
	wait_pressed(a, BUFFERS + BUFFERS / 2);
	assert_int_equal(pressed(b), BUFFERS / 2);
	/* All, for the one that is left. */
	outbox_close(&a->out);
	compressor_leave(p, &a->client);
	box_unmade(a);
	compressor_kick(p);
	wait_pressed(b, BUFFERS);
	outbox_close(&b->out);
	compressor_leave(p, &b->client);
	box_unmade(b);
	compressor_free(p);
}

static void more_clients_than_buffers_are_served_as_well(void **state)
{
	struct compressor *p = compressor_made(1);
	struct box *all[BUFFERS + 1];

	(void)state;
	for (int i = 0; i <= BUFFERS; i++) {
		all[i] = box_made(p, true);
		compressor_join(p, &all[i]->client);
	}
	put(all[0], CONTENT_TEXT);
	put(all[BUFFERS], CONTENT_TEXT);
	wait_pressed(all[0], 1);
	wait_pressed(all[BUFFERS], 1);
	for (int i = 0; i <= BUFFERS; i++) {
		outbox_close(&all[i]->out);
		compressor_leave(p, &all[i]->client);
		box_unmade(all[i]);
	}
	compressor_free(p);
}

static void a_client_leaves_while_workers_have_its_frames(void **state)
{
	struct compressor *p = compressor_made(3);

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct box *d = box_made(p, round % 2);

		compressor_join(p, &d->client);
		for (int i = 0; i < 8; i++)
			put(d, CONTENT_TEXT);
		for (int i = 0; i < round % 4; i++)
			send_one(d, 0);
		outbox_close(&d->out);
		compressor_leave(p, &d->client);
		assert_int_equal(d->client.frames, 0);
		box_unmade(d);
	}
	compressor_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pressed_frame_goes_first),
		cmocka_unit_test(
			a_frame_that_waits_leaves_raw_when_nothing_is_ready),
		cmocka_unit_test(a_frame_lives_until_its_worker_has_ended),
		cmocka_unit_test(
			a_requeued_frame_that_is_acknowledged_outlives_its_worker),
		cmocka_unit_test(
			what_the_worker_gives_back_leaves_as_it_was_made),
		cmocka_unit_test(always_waits_for_workers_unless_it_is_urgent),
		cmocka_unit_test(
			a_frame_of_a_dead_channel_is_pressed_after_all),
		cmocka_unit_test(
			a_frame_that_a_channel_still_writes_is_not_replaced),
		cmocka_unit_test(
			each_frame_counts_once_however_often_it_is_sent),
		cmocka_unit_test(
			always_does_not_wait_for_a_worker_that_has_ended),
		cmocka_unit_test(
			pages_leave_though_pieces_of_stream_took_all_room),
		cmocka_unit_test(
			small_frames_and_those_without_pages_are_not_for_the_compressor),
		cmocka_unit_test(
			workers_press_what_waits_and_all_codecs_are_tried),
		cmocka_unit_test(
			a_codec_that_the_settings_name_is_the_only_one),
		cmocka_unit_test(nothing_has_no_ratio),
		cmocka_unit_test(incompressible_frames_leave_as_they_are),
		cmocka_unit_test(no_client_keeps_the_buffers_of_another),
		cmocka_unit_test(more_clients_than_buffers_are_served_as_well),
		cmocka_unit_test(a_client_leaves_while_workers_have_its_frames),
	};

	return cmocka_run_group_tests_name("compressor", tests, NULL, NULL);
}
