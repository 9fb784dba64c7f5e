/* SPDX-License-Identifier: MIT */

/*
 * What a channel and a worker take, from queues that are written down as one
 * letter for each frame: w waits, b is busy, R is pressed, n is not for the
 * press, m is a message.
 */
#include "unit.h"

#include <string.h>

#include "frames/outbox.h"
#include "frames/pick.h"

enum { FRAMES = 80, NOTHING = -1 };

struct queue {
	struct outbox out; /* only what pick.h reads */
	struct frame_out frame[FRAMES];
};

static struct queue q;

static void add(size_t i, char kind, uint64_t seq)
{
	struct frame_out *f = &q.frame[i];

	f->head.kind = kind == 'm' ? FRAME_MESSAGE : FRAME_PAGES;
	f->head.seq = seq;
	f->head.len = f->weight = FRAME_MAX_PAYLOAD;
	f->press = kind == 'w'   ? PRESS_WAITING
		   : kind == 'b' ? PRESS_BUSY
		   : kind == 'R' ? PRESS_DONE
				 : PRESS_NOT;
	f->state = FRAME_QUEUED;
	f->prev = q.out.tail;
	*(q.out.tail ? &q.out.tail->next : &q.out.head) = f;
	q.out.tail = f;
}

/* Numbers from 1; @channels of them have room. */
static void made(const char *kinds, unsigned channels)
{
	memset(&q, 0, sizeof(q));
	q.out.phase = PHASE_NEAR_END;
	for (size_t i = 0; kinds[i]; i++)
		add(i, kinds[i], i + 1);
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		flow_init(&q.out.channel[i].flow, 0);
	for (unsigned i = 0; i < channels; i++)
		q.out.channel[i].alive = true;
}

static int place(const struct frame_out *f)
{
	return f ? (int)(f - q.frame) : NOTHING;
}

static int channel_takes(const char *kinds)
{
	made(kinds, 1);
	return place(pick_for_channel(&q.out, 0));
}

static int worker_takes(const char *kinds, unsigned channels)
{
	made(kinds, channels);
	return place(pick_for_worker(&q.out));
}

static void a_channel_takes_ready_before_waiting_before_busy(void **state)
{
	(void)state;
	assert_int_equal(channel_takes(""), NOTHING);
	assert_int_equal(channel_takes("wbRw"), 2);
	assert_int_equal(channel_takes("bwnR"), 2);
	assert_int_equal(channel_takes("bbww"), 2);
	assert_int_equal(channel_takes("bb"), 0);
}

static void a_channel_that_has_enough_waits_for_workers_that_work(void **state)
{
	struct outbox_channel *c = &q.out.channel[0];

	(void)state;
	assert_int_equal(channel_takes("bw"), 1);
	c->bytes = flow_lean(&c->flow);
	assert_null(pick_for_channel(&q.out, 0));
	c->bytes--;
	assert_int_equal(place(pick_for_channel(&q.out, 0)), 1);
	/* None has one now, but they had some. */
	made("w", 1);
	c->bytes = flow_lean(&c->flow);
	q.out.pressed = 1;
	assert_null(pick_for_channel(&q.out, 0));
	/* They do nothing for us. */
	q.out.pressed = 0;
	assert_int_equal(place(pick_for_channel(&q.out, 0)), 0);
	/* What is ready never waits. */
	made("bR", 1);
	c->bytes = flow_lean(&c->flow);
	assert_int_equal(place(pick_for_channel(&q.out, 0)), 1);
}

static void with_always_a_channel_takes_only_what_is_ready(void **state)
{
	(void)state;
	made("bw", 1);
	q.out.taker_always = true;
	assert_null(pick_for_channel(&q.out, 0));
	q.out.phase = PHASE_SWITCHOVER;
	assert_int_equal(place(pick_for_channel(&q.out, 0)), 1);
	made("bwR", 1);
	q.out.taker_always = true;
	assert_int_equal(place(pick_for_channel(&q.out, 0)), 2);
}

static void a_worker_leaves_what_channels_take_next_to_them(void **state)
{
	(void)state;
	assert_int_equal(worker_takes("www", 0), 0);
	assert_int_equal(worker_takes("www", 1), 1);
	assert_int_equal(worker_takes("www", 2), 2);
	assert_int_equal(worker_takes("www", 3), NOTHING);
	assert_int_equal(worker_takes("bwbww", 2), 4);
}

static void what_is_ready_keeps_channels_busy_and_workers_at_the_head(
	void **state)
{
	(void)state;
	assert_int_equal(worker_takes("wRw", 1), 0);
	assert_int_equal(worker_takes("wRw", 2), 2);
	assert_int_equal(worker_takes("wRwnRR", 4), 0);
}

static void with_always_a_worker_takes_the_head(void **state)
{
	(void)state;
	made("bww", 4);
	q.out.taker_always = true;
	assert_int_equal(place(pick_for_worker(&q.out)), 1);
}

static void a_channel_without_room_takes_nothing_soon(void **state)
{
	(void)state;
	made("www", 2);
	q.out.channel[0].bytes = flow_limit(&q.out.channel[0].flow);
	assert_int_equal(place(pick_for_worker(&q.out)), 1);
	q.out.channel[1].bytes = flow_limit(&q.out.channel[1].flow);
	assert_int_equal(place(pick_for_worker(&q.out)), 0);
}

static void ready_frames_overtake_one_that_waits_only_so_far(void **state)
{
	static const char kinds[] = "wb";

	(void)state;
	for (size_t i = 0; kinds[i]; i++)
		for (int always = 0; always < 2; always++) {
			made("", 1);
			q.out.taker_always = always;
			add(0, kinds[i], 10);
			add(1, 'R', 10 + OVERTAKEN_MOST);
			assert_int_equal(place(pick_for_channel(&q.out, 0)), 1);
			q.frame[1].head.seq++;
			assert_int_equal(place(pick_for_channel(&q.out, 0)), 0);
		}
}

static void no_message_waits_for_an_old_frame(void **state)
{
	(void)state;
	made("", 1);
	add(0, 'b', 10);
	add(1, 'm', 10 + 2 * OVERTAKEN_MOST);
	assert_int_equal(place(pick_for_channel(&q.out, 0)), 1);
}

/* One worker never comes back; the other one and a channel go on for ever. */
static void the_oldest_number_moves_on_whatever_a_worker_does(void **state)
{
	const uint64_t last = 2 * OVERTAKEN_MOST;
	uint64_t seq = 1;

	(void)state;
	made("b", 1);
	while (q.out.head == &q.frame[0] && seq < last) {
		struct frame_out *f;

		q.frame[1] = (struct frame_out){ 0 };
		q.frame[0].next = NULL;
		q.out.tail = &q.frame[0];
		add(1, 'R', ++seq);
		f = pick_for_channel(&q.out, 0);
		if (f == &q.frame[0])
			q.out.head = f->next;
	}
	assert_int_equal(seq, OVERTAKEN_MOST + 2);
}

static void many_side_streams_share_what_the_other_side_has_room_for(
	void **state)
{
	enum { BEHIND = 255 };

	(void)state;
	made("", 1);
	assert_int_equal(pick_side_limit(&q.out), OUTBOX_SIDE_STREAM_LIMIT);
	q.out.side_bytes[1] = 1;
	assert_int_equal(pick_side_limit(&q.out), OUTBOX_SIDE_STREAM_LIMIT);
	for (unsigned i = 1; i <= BEHIND; i++)
		q.out.side_bytes[i] = 1;
	assert_in_range(BEHIND * pick_side_limit(&q.out), 1, OUTBOX_SIDE_MOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_channel_takes_ready_before_waiting_before_busy),
		cmocka_unit_test(
			a_channel_that_has_enough_waits_for_workers_that_work),
		cmocka_unit_test(
			with_always_a_channel_takes_only_what_is_ready),
		cmocka_unit_test(
			a_worker_leaves_what_channels_take_next_to_them),
		cmocka_unit_test(
			what_is_ready_keeps_channels_busy_and_workers_at_the_head),
		cmocka_unit_test(with_always_a_worker_takes_the_head),
		cmocka_unit_test(a_channel_without_room_takes_nothing_soon),
		cmocka_unit_test(
			ready_frames_overtake_one_that_waits_only_so_far),
		cmocka_unit_test(no_message_waits_for_an_old_frame),
		cmocka_unit_test(
			the_oldest_number_moves_on_whatever_a_worker_does),
		cmocka_unit_test(
			many_side_streams_share_what_the_other_side_has_room_for),
	};

	return cmocka_run_group_tests_name("pick", tests, NULL, NULL);
}
