/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/pool.h"
#include "base/scope.h"
#include "frames/outbox.h"
#include "set_clock.h"
#include "waits.h"

static struct outbox *outbox_made(void)
{
	struct outbox *o = malloc(sizeof(*o));
	struct error e;

	assert_non_null(o);
	assert_int_equal(outbox_init(o, &e), 0);
	return o;
}

static void outbox_unmade(struct outbox *o)
{
	outbox_close(o);
	outbox_done(o);
	free(o);
}

static uint64_t put(struct outbox *o, enum frame_kind kind, uint16_t stream,
		    uint32_t len)
{
	struct frame_out *f = outbox_frame(o);
	uint64_t seq = 0;
	struct error e;

	assert_non_null(f);
	f->head.kind = kind;
	f->head.stream = stream;
	f->head.len = len;
	assert_int_equal(outbox_put(o, f, &seq, &e), 0);
	return seq;
}

static struct frame_out *take(struct outbox *o, unsigned channel)
{
	struct frame_out *f = NULL;

	if (outbox_take(o, channel, clock_us() + 1000, &f) != OUTBOX_FRAME)
		return NULL;
	return f;
}

static uint64_t backlog(struct outbox *o)
{
	struct outbox_stats st;

	outbox_stats(o, &st);
	return st.unacked_bytes;
}

static uint64_t send_one(struct outbox *o, unsigned channel)
{
	struct frame_out *f = take(o, channel);
	uint64_t seq;

	if (!f)
		return 0;
	seq = f->head.seq;
	outbox_sent(o, f);
	return seq;
}

static int ack_below(struct outbox *o, uint64_t below)
{
	const struct ack a = { .below = below };
	struct error e;

	return outbox_acked(o, &a, &e);
}

static int ack_one(struct outbox *o, uint64_t seq)
{
	const struct ack a = { .ranges = 1, .range = { { seq, 1 } } };
	struct error e;

	return outbox_acked(o, &a, &e);
}

static void frames_leave_in_the_order_of_their_numbers(void **state)
{
	struct outbox *o = outbox_made();

	(void)state;
	for (uint64_t i = 1; i <= 5; i++)
		assert_int_equal(put(o, FRAME_PAGES, 0, 100), i);
	for (uint64_t i = 1; i <= 5; i++)
		assert_int_equal(send_one(o, 0), i);
	assert_int_equal(send_one(o, 0), 0);
	outbox_unmade(o);
}

static void messages_leave_first_and_have_ordinals(void **state)
{
	struct outbox *o = outbox_made();
	struct frame_out *f;
	struct error e;

	(void)state;
	put(o, FRAME_PAGES, 0, 100);
	assert_int_equal(outbox_put_message(o, "{}", 2, &e), 0);
	f = take(o, 0);
	assert_int_equal(f->head.kind, FRAME_MESSAGE);
	assert_int_equal(f->head.offset, 0);
	outbox_sent(o, f);
	assert_int_equal(outbox_put_message(o, "{}", 2, &e), 0);
	f = take(o, 0);
	assert_int_equal(f->head.offset, 1);
	outbox_sent(o, f);
	outbox_unmade(o);
}

static void frames_of_a_dead_channel_leave_over_another_in_order(void **state)
{
	struct outbox *o = outbox_made();

	(void)state;
	for (int i = 0; i < 6; i++)
		put(o, FRAME_PAGES, 0, 100);
	for (int i = 0; i < 2; i++) { /* 1 3 over channel 0, 2 4 over 1 */
		send_one(o, 0);
		send_one(o, 1);
	}
	outbox_channel_stop(o, 0);
	outbox_channel_died(o, 0);
	assert_int_equal(send_one(o, 1), 1);
	assert_int_equal(send_one(o, 1), 3);
	assert_int_equal(send_one(o, 1), 5);
	assert_int_equal(send_one(o, 1), 6);
	assert_int_equal(send_one(o, 1), 0);
	outbox_unmade(o);
}

static void what_was_acknowledged_is_not_sent_again(void **state)
{
	struct outbox *o = outbox_made();

	(void)state;
	for (int i = 0; i < 3; i++)
		put(o, FRAME_PAGES, 0, 100);
	for (int i = 0; i < 3; i++)
		send_one(o, 0);
	assert_int_equal(ack_one(o, 2), 0);
	outbox_channel_died(o, 0);
	/* The copy that did arrive is acknowledged late. */
	assert_int_equal(ack_one(o, 1), 0);
	assert_int_equal(send_one(o, 1), 3);
	assert_int_equal(send_one(o, 1), 0);
	assert_true(outbox_is_acked(o, 1));
	assert_true(outbox_is_acked(o, 2));
	assert_false(outbox_is_acked(o, 3));
	outbox_unmade(o);
}

static void a_frame_acknowledged_while_it_is_written_lives_until_sent(
	void **state)
{
	struct outbox *o = outbox_made();
	struct frame_out *f;
	struct pool *p;
	struct buffer *b;
	struct error e;

	(void)state;
	assert_int_equal(pool_new(&p, 1, 4096, &e), 0);
	b = pool_take(p);
	f = outbox_frame(o);
	f->head.kind = FRAME_PAGES;
	f->buffer[f->buffers++] = b;
	assert_int_equal(outbox_put(o, f, NULL, &e), 0);
	f = take(o, 0);
	assert_int_equal(ack_below(o, 2), 0);
	assert_int_equal(b->refs, 1); /* its bytes are being read */
	assert_true(outbox_is_acked(o, 1));
	outbox_sent(o, f);
	assert_int_equal(b->refs, 0);
	outbox_unmade(o);
	pool_free(p);
}

static void *wait_for_a_frame(void *outbox)
{
	return outbox_frame(outbox);
}

/* A producer says so to the flow, under the lock that its wait lets go of. */
static bool somebody_waits(struct outbox *o)
{
	WITH_LOCK(&o->lock);

	return o->flow.sample_full;
}

static void the_last_frame_to_come_back_wakes_a_producer(void **state)
{
	struct outbox *o = outbox_made();
	struct frame_out *f, *kept[FRAME_POOL];
	pthread_t producer;
	void *got = NULL;

	(void)state;
	put(o, FRAME_PAGES, 0, 0);
	f = take(o, 0);
	for (int i = 1; i < FRAME_POOL; i++)
		kept[i] = outbox_frame(o);
	assert_int_equal(ack_below(o, 2), 0);
	pthread_create(&producer, NULL, wait_for_a_frame, o);
	while (!somebody_waits(o))
		sched_yield();
	outbox_sent(o, f);
	pthread_join(producer, &got);
	assert_ptr_equal(got, f);
	for (int i = 1; i < FRAME_POOL; i++)
		outbox_give_back(o, kept[i]);
	outbox_give_back(o, got);
	outbox_unmade(o);
}

static void nobody_may_acknowledge_what_was_never_numbered(void **state)
{
	struct outbox *o = outbox_made();

	(void)state;
	put(o, FRAME_PAGES, 0, 10);
	send_one(o, 0);
	assert_int_equal(ack_below(o, 3), -EBADMSG);
	assert_int_equal(ack_one(o, 2), -EBADMSG);
	assert_int_equal(ack_below(o, 2), 0);
	assert_int_equal(backlog(o), 0);
	outbox_unmade(o);
}

static void a_mark_is_reached_when_all_before_it_has_arrived(void **state)
{
	struct outbox *o = outbox_made();

	(void)state;
	for (int i = 0; i < 2; i++)
		put(o, FRAME_PAGES, 0, 100);
	outbox_mark(o);
	put(o, FRAME_PAGES, 0, 100);
	outbox_mark(o); /* of no effect */
	for (int i = 0; i < 3; i++)
		send_one(o, 0);
	assert_int_equal(ack_one(o, 2), 0);
	assert_int_equal(outbox_mark_acked_us(o), 0);
	assert_int_equal(ack_one(o, 1), 0);
	assert_true(outbox_mark_acked_us(o) > 0);
	outbox_unmade(o);
}

static void an_old_acknowledgement_changes_nothing(void **state)
{
	struct outbox *o = outbox_made();

	(void)state;
	for (int i = 0; i < 4; i++) {
		put(o, FRAME_PAGES, 0, 10);
		send_one(o, 0);
	}
	assert_int_equal(ack_below(o, 4), 0);
	assert_int_equal(ack_below(o, 2), 0);
	assert_int_equal(ack_one(o, 1), 0);
	assert_false(outbox_is_acked(o, 4));
	assert_int_equal(backlog(o), 10);
	outbox_unmade(o);
}

struct putter {
	struct outbox *o;
	int frames, result;
};

static void *put_many(void *arg)
{
	struct putter *p = arg;
	struct error e;

	for (int i = 0; i < p->frames; i++) {
		struct frame_out *f = outbox_frame(p->o);

		if (!f)
			return NULL;
		f->head.kind = FRAME_PAGES;
		f->head.len = FRAME_MAX_PAYLOAD;
		p->result = outbox_put(p->o, f, NULL, &e);
		if (p->result < 0)
			return NULL;
	}
	return NULL;
}

static void a_producer_waits_for_room_and_the_end_wakes_it(void **state)
{
	struct outbox *o = outbox_made();
	struct putter p = { o, 100000, 0 };
	pthread_t producer;

	(void)state;
	pthread_create(&producer, NULL, put_many, &p);
	for (int i = 0; i < 200; i++) {
		uint64_t seq = send_one(o, 0);

		assert_true(backlog(o) <= FLOW_MOST);
		if (seq)
			assert_int_equal(ack_below(o, seq + 1), 0);
	}
	outbox_close(o);
	pthread_join(producer, NULL);
	assert_true(p.result == -EPIPE || p.result == 0);
	outbox_unmade(o);
}

static void one_full_stream_does_not_hold_up_another(void **state)
{
	struct outbox *o = outbox_made();

	(void)state;
	put(o, FRAME_STREAM, 1, OUTBOX_SIDE_STREAM_LIMIT);
	put(o, FRAME_STREAM, 2, 100);
	put(o, FRAME_PAGES, 0, 100);
	assert_int_equal(backlog(o), 100);
	outbox_unmade(o);
}

struct side {
	struct outbox *o;
	atomic_int tid;
	atomic_uint put;
};

/* QEMU writes little at a time, and nobody reads at the other end. */
static void *fill_side_streams(void *arg)
{
	struct side *s = arg;
	struct error e;
	int r = 0;

	atomic_store(&s->tid, gettid());
	for (unsigned i = 0; r == 0; i++) {
		struct frame_out *f = calloc(1, sizeof(*f));

		f->head.kind = FRAME_STREAM;
		f->head.stream = (uint16_t)(1 + i % (STREAMS_MAX - 1));
		f->head.len = 1;
		r = outbox_put(s->o, f, NULL, &e);
		s->put += r == 0;
	}
	return NULL;
}

static void small_pieces_of_side_streams_leave_numbers_to_others(void **state)
{
	struct outbox *o = outbox_made();
	struct side s = { .o = o };
	pthread_t t;

	(void)state;
	pthread_create(&t, NULL, fill_side_streams, &s);
	WAIT_UNTIL(atomic_load(&s.put) > 0 && is_asleep(s.tid));
	alarm(10); /* who waits here waits for ever */
	for (int i = 0; i < 500; i++)
		put(o, i % 2 ? FRAME_PAGES : FRAME_STREAM, 0, 1);
	alarm(0);
	outbox_close(o);
	pthread_join(t, NULL);
	outbox_unmade(o);
}

static void waits_end_at_their_deadline_and_with_the_session(void **state)
{
	struct outbox *o = outbox_made();
	uint64_t began = clock_us();

	(void)state;
	put(o, FRAME_PAGES, 0, 1);
	assert_int_equal(outbox_wait_acked(o, 1, began + 20000), -ETIMEDOUT);
	assert_int_equal(outbox_wait_empty(o, began + 20000), -ETIMEDOUT);
	assert_true(clock_us() - began >= 20000);
	outbox_close(o);
	assert_int_equal(outbox_wait_acked(o, 1, USEC_NEVER), -EPIPE);
	assert_int_equal(outbox_wait_empty(o, USEC_NEVER), -EPIPE);
	assert_null(outbox_frame(o));
	outbox_unmade(o);
}

static void an_idle_channel_acknowledges_at_its_deadline(void **state)
{
	struct outbox *o = outbox_made();
	struct frame_out *f;

	(void)state;
	assert_int_equal(outbox_take(o, 0, clock_us() + 2000, &f), OUTBOX_ACK);
	outbox_ack_due(o);
	put(o, FRAME_PAGES, 0, 1);
	assert_int_equal(outbox_take(o, 0, USEC_NEVER, &f), OUTBOX_ACK);
	assert_int_equal(outbox_take(o, 0, USEC_NEVER, &f), OUTBOX_FRAME);
	outbox_sent(o, f);
	outbox_channel_stop(o, 0);
	assert_int_equal(outbox_take(o, 0, USEC_NEVER, &f), OUTBOX_STOP);
	outbox_unmade(o);
}

/* Channel 0 takes a fifth of a second for a frame, channel 1 a millisecond. */
static struct outbox *slow_and_fast(void)
{
	struct outbox *o = outbox_made();

	o->channel[0].delay_us = 200000;
	o->channel[1].delay_us = 1000;
	return o;
}

static struct frame_out *take_summed(struct outbox *o, unsigned channel)
{
	struct frame_out *f = take(o, channel);

	assert_non_null(f);
	atomic_store(&f->summed, true);
	return f;
}

/* The guest stands still, and @channel has the one frame that is missing. */
static struct frame_out *hurried(struct outbox *o, unsigned channel)
{
	outbox_set_phase(o, PHASE_SWITCHOVER);
	put(o, FRAME_PAGES, 0, 100);
	return take_summed(o, channel);
}

static void an_idle_channel_repeats_what_a_slow_one_holds(void **state)
{
	struct outbox *o = slow_and_fast();
	struct frame_out *f;

	(void)state;
	put(o, FRAME_PAGES, 0, 100);
	f = take_summed(o, 0);
	assert_null(take(o, 1));
	outbox_set_phase(o, PHASE_SWITCHOVER);
	assert_ptr_equal(take(o, 1), f);
	assert_null(take(o, 1));
	assert_null(take(o, 0));
	/* Two channels read it: it is nobody's to free before both are done. */
	outbox_sent(o, f);
	assert_int_equal(ack_below(o, 2), 0);
	assert_int_equal(f->state, FRAME_OUT);
	outbox_sent(o, f);
	assert_int_equal(f->state, FRAME_FREE);
	outbox_unmade(o);
}

static void a_slow_channel_repeats_nothing_of_a_fast_one(void **state)
{
	struct outbox *o = slow_and_fast();

	(void)state;
	outbox_sent(o, hurried(o, 1));
	assert_null(take(o, 0));
	outbox_unmade(o);
}

/* It may be one more connection of the same slow card. */
static void a_channel_that_delivered_nothing_yet_repeats_nothing(void **state)
{
	struct outbox *o = slow_and_fast();

	(void)state;
	o->channel[1].delay_us = 0;
	outbox_sent(o, hurried(o, 0));
	assert_null(take(o, 1));
	o->channel[1].delay_us = 1000;
	assert_non_null(take(o, 1));
	outbox_unmade(o);
}

static void what_is_over_its_usual_time_is_repeated_soon(void **state)
{
	struct outbox *o = slow_and_fast();
	struct frame_out *f;

	(void)state;
	f = hurried(o, 0);
	outbox_sent(o, f);
	clock_pass(250000); /* one and a quarter of it */
	assert_ptr_equal(take(o, 1), f);
	outbox_sent(o, f);
	outbox_unmade(o);
}

/* The copy may be no better off than the first one was. */
static void a_copy_is_repeated_once_the_first_channel_is_dead(void **state)
{
	struct outbox *o = slow_and_fast();
	struct frame_out *f;

	(void)state;
	o->channel[2] = o->channel[1];
	f = hurried(o, 0);
	outbox_sent(o, f);
	assert_ptr_equal(take(o, 1), f);
	outbox_sent(o, f);
	clock_pass(100000);
	assert_null(take(o, 2));
	outbox_channel_stop(o, 0);
	outbox_channel_died(o, 0);
	assert_ptr_equal(take(o, 2), f);
	outbox_sent(o, f);
	outbox_unmade(o);
}

static void messages_do_not_wait_for_a_slow_channel(void **state)
{
	struct outbox *o = slow_and_fast();
	struct frame_out *f;
	struct error e;

	(void)state;
	assert_int_equal(outbox_put_message(o, "{}", 2, &e), 0);
	f = take_summed(o, 0);
	outbox_sent(o, f);
	assert_ptr_equal(take(o, 1), f);
	outbox_sent(o, f);
	outbox_unmade(o);
}

static void what_hangs_is_repeated_also_without_hurry(void **state)
{
	struct outbox *o = slow_and_fast();
	struct frame_out *f;

	(void)state;
	o->channel[0].delay_us = 1000;
	put(o, FRAME_PAGES, 0, 100);
	f = take_summed(o, 0);
	outbox_sent(o, f);
	assert_null(take(o, 1));
	clock_pass(300000);
	assert_ptr_equal(take(o, 1), f);
	outbox_sent(o, f);
	outbox_unmade(o);
}

static void a_repeated_frame_belongs_to_the_channel_that_took_it_last(
	void **state)
{
	struct outbox *o = slow_and_fast();
	struct frame_out *f;

	(void)state;
	f = hurried(o, 0);
	assert_ptr_equal(take(o, 1), f);
	outbox_sent(o, f);
	outbox_sent(o, f);
	outbox_channel_stop(o, 0);
	outbox_channel_died(o, 0);
	assert_int_equal(f->state, FRAME_OUT);
	outbox_channel_alive(o, 0);
	outbox_channel_died(o, 1);
	assert_int_equal(f->state, FRAME_QUEUED);
	assert_int_equal(send_one(o, 0), 1);
	outbox_unmade(o);
}

static struct frame_out *take_big(struct outbox *o, unsigned channel)
{
	put(o, FRAME_PAGES, 0, FRAME_MAX_PAYLOAD);
	return take(o, channel);
}

static void a_channel_takes_no_more_than_its_bound(void **state)
{
	struct outbox *o = outbox_made();
	struct frame_out *f[3];

	(void)state;
	outbox_channel_alive(o, 0);
	outbox_channel_alive(o, 1);
	for (int i = 0; i < 2; i++) {
		f[i] = take_big(o, 0);
		assert_non_null(f[i]);
		outbox_sent(o, f[i]);
	}
	f[2] = take_big(o, 0);
	assert_null(f[2]);
	/* Another one has its own, and messages have none. */
	assert_int_equal(send_one(o, 1), 3);
	assert_int_equal(outbox_put_message(o, "{}", 2, &(struct error){ 0 }),
			 0);
	assert_int_equal(send_one(o, 0), 4);
	put(o, FRAME_PAGES, 0, 100);
	assert_int_equal(send_one(o, 0), 0);
	assert_int_equal(ack_one(o, 1), 0);
	assert_int_equal(send_one(o, 0), 5);
	outbox_unmade(o);
}

/* The other end reads side streams when it has what stands in the main one: a
 * deadlock if either could keep the other from leaving. */
static void side_streams_that_nobody_reads_hold_up_no_channel(void **state)
{
	struct outbox *o = outbox_made();

	(void)state;
	outbox_channel_alive(o, 0);
	for (uint16_t stream = 1; stream <= 8; stream++) {
		uint64_t seq = put(o, FRAME_STREAM, stream, 131072);

		assert_int_equal(send_one(o, 0), seq);
	}
	assert_int_equal(put(o, FRAME_STREAM, 0, 131072), 9);
	assert_int_equal(send_one(o, 0), 9);
	outbox_unmade(o);
}

static void a_full_main_stream_does_not_hold_up_side_streams(void **state)
{
	struct outbox *o = outbox_made();
	uint64_t seq;

	(void)state;
	outbox_channel_alive(o, 0);
	for (int i = 0; i < 6; i++)
		put(o, FRAME_STREAM, 0, 131072);
	while (send_one(o, 0))
		;
	seq = put(o, FRAME_STREAM, 1, 100);
	assert_int_equal(send_one(o, 0), seq);
	assert_int_equal(send_one(o, 0), 0);
	assert_int_equal(ack_one(o, 1), 0);
	assert_int_equal(send_one(o, 0), 5);
	outbox_unmade(o);
}

struct taking {
	struct outbox *o;
	unsigned channel;
	struct frame_out *got;
	atomic_int tid;
};

static void *take_soon(void *arg)
{
	struct taking *t = arg;

	atomic_store(&t->tid, gettid());
	outbox_take(t->o, t->channel, clock_us() + 10 * USEC_PER_SEC, &t->got);
	return NULL;
}

/* Long before it would look by itself; on a busy host not at once either. */
static void wait_taken(const struct taking *t)
{
	for (int i = 0; i < 2000; i++) {
		wait_moment();

		WITH_LOCK(&t->o->lock);

		if (t->got)
			return;
	}
}

/* Whichever of the two waits the longer and would be woken first. */
static void a_full_channel_keeps_no_frame_from_an_idle_one(void **state)
{
	(void)state;
	for (unsigned full = 0; full < 2; full++) {
		struct outbox *o = outbox_made();
		struct taking t[2] = { { o, 0, NULL, 0 }, { o, 1, NULL, 0 } };
		pthread_t thread[2];

		outbox_channel_alive(o, 0);
		outbox_channel_alive(o, 1);
		for (int i = 0; i < 2; i++) {
			put(o, FRAME_PAGES, 0, FRAME_MAX_PAYLOAD);
			outbox_sent(o, take(o, full));
		}
		for (int i = 0; i < 2; i++) {
			pthread_create(&thread[i], NULL, take_soon, &t[i]);
			WAIT_UNTIL(t[i].tid && is_asleep(t[i].tid));
		}
		put(o, FRAME_PAGES, 0, FRAME_MAX_PAYLOAD);
		wait_taken(&t[!full]);
		outbox_close(o);
		for (int i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		assert_null(t[full].got);
		assert_non_null(t[!full].got);
		outbox_sent(o, t[!full].got);
		outbox_unmade(o);
	}
}

static void a_new_channel_has_nothing_of_its_predecessors(void **state)
{
	struct outbox *o = outbox_made();

	(void)state;
	outbox_channel_alive(o, 0);
	for (int i = 0; i < 2; i++)
		outbox_sent(o, take_big(o, 0));
	outbox_channel_stop(o, 0);
	outbox_channel_died(o, 0);
	assert_int_equal(o->channel[0].bytes, 0);
	outbox_channel_alive(o, 0);
	assert_int_equal(send_one(o, 0), 1);
	assert_int_equal(send_one(o, 0), 2);
	assert_int_equal(ack_below(o, 3), 0);
	assert_int_equal(o->channel[0].bytes, 0);
	outbox_unmade(o);
}

/* Nor is it credited with what its predecessor was charged for. */
static void what_a_dead_channel_was_charged_is_forgotten(void **state)
{
	struct outbox *o = slow_and_fast();
	struct frame_out *f;

	(void)state;
	f = hurried(o, 0);
	assert_ptr_equal(take(o, 1), f);
	outbox_sent(o, f);
	outbox_sent(o, f);
	outbox_channel_stop(o, 0);
	outbox_channel_died(o, 0);
	outbox_channel_alive(o, 0);
	put(o, FRAME_PAGES, 0, 100);
	assert_int_equal(send_one(o, 0), 2);
	assert_int_equal(ack_one(o, 1), 0);
	assert_int_equal(o->channel[0].bytes, 100);
	outbox_unmade(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_leave_in_the_order_of_their_numbers),
		cmocka_unit_test(messages_leave_first_and_have_ordinals),
		cmocka_unit_test(
			frames_of_a_dead_channel_leave_over_another_in_order),
		cmocka_unit_test(what_was_acknowledged_is_not_sent_again),
		cmocka_unit_test(
			a_frame_acknowledged_while_it_is_written_lives_until_sent),
		cmocka_unit_test(the_last_frame_to_come_back_wakes_a_producer),
		cmocka_unit_test(
			nobody_may_acknowledge_what_was_never_numbered),
		cmocka_unit_test(an_old_acknowledgement_changes_nothing),
		cmocka_unit_test(
			a_mark_is_reached_when_all_before_it_has_arrived),
		cmocka_unit_test(
			a_producer_waits_for_room_and_the_end_wakes_it),
		cmocka_unit_test(one_full_stream_does_not_hold_up_another),
		cmocka_unit_test(
			small_pieces_of_side_streams_leave_numbers_to_others),
		cmocka_unit_test(
			waits_end_at_their_deadline_and_with_the_session),
		cmocka_unit_test(an_idle_channel_acknowledges_at_its_deadline),
		cmocka_unit_test(a_channel_takes_no_more_than_its_bound),
		cmocka_unit_test(
			side_streams_that_nobody_reads_hold_up_no_channel),
		cmocka_unit_test(
			a_full_main_stream_does_not_hold_up_side_streams),
		cmocka_unit_test(
			a_full_channel_keeps_no_frame_from_an_idle_one),
		cmocka_unit_test(what_a_dead_channel_was_charged_is_forgotten),
		cmocka_unit_test(a_new_channel_has_nothing_of_its_predecessors),
		cmocka_unit_test(an_idle_channel_repeats_what_a_slow_one_holds),
		cmocka_unit_test(a_slow_channel_repeats_nothing_of_a_fast_one),
		cmocka_unit_test(
			a_channel_that_delivered_nothing_yet_repeats_nothing),
		cmocka_unit_test(what_is_over_its_usual_time_is_repeated_soon),
		cmocka_unit_test(
			a_copy_is_repeated_once_the_first_channel_is_dead),
		cmocka_unit_test(messages_do_not_wait_for_a_slow_channel),
		cmocka_unit_test(what_hangs_is_repeated_also_without_hurry),
		cmocka_unit_test(
			a_repeated_frame_belongs_to_the_channel_that_took_it_last),
	};

	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
