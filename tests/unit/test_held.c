/* SPDX-License-Identifier: MIT */

/* Frames whose pages another transport writes: what becomes of them. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "frames/outbox.h"
#include "frames/pick.h"
#include "set_clock.h"

enum { PAIR = 7, LEN = 4096 };

static struct outbox o;
static struct error e;

static int begin(void **state)
{
	(void)state;
	assert_int_equal(outbox_init(&o, &e), 0);
	outbox_channel_alive(&o, 0);
	outbox_channel_alive(&o, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	outbox_close(&o);
	outbox_done(&o);
	return 0;
}

static uint64_t put(void)
{
	static uint8_t page[LEN];
	struct frame_out *f = outbox_frame(&o);
	uint64_t seq = 0;

	assert_non_null(f);
	f->head.kind = FRAME_PAGES;
	f->head.len = LEN + 28;
	f->iov[0] = (struct iovec){ f->meta, 28 };
	f->iov[1] = (struct iovec){ page, LEN };
	f->iovs = 2;
	assert_int_equal(outbox_put(&o, f, &seq, &e), 0);
	return seq;
}

static struct frame_out *take(unsigned channel)
{
	struct frame_out *f = NULL;

	if (outbox_take(&o, channel, clock_us() + 1000, &f) != OUTBOX_FRAME)
		return NULL;
	return f;
}

static struct frame_out *hold(unsigned channel)
{
	struct frame_out *f = take(channel);

	assert_non_null(f);
	assert_true(outbox_hold(&o, f, PAIR));
	outbox_sent(&o, f);
	return f;
}

static void die(unsigned channel)
{
	outbox_channel_stop(&o, channel);
	outbox_channel_died(&o, channel);
}

static void one_is_held_when_its_channel_ends(void **state)
{
	uint64_t seq = put();
	struct frame_out *f = hold(0);

	(void)state;
	die(0);
	assert_null(take(1));
	assert_false(outbox_is_acked(&o, seq));
	/* Another queue pair's end is none of its business. */
	outbox_let_go(&o, PAIR + 1);
	assert_null(take(1));
	outbox_let_go(&o, PAIR);
	assert_ptr_equal(take(1), f);
	/* It left before: never again that way. */
	assert_false(outbox_hold(&o, f, PAIR + 1));
	outbox_sent(&o, f);
}

static void its_channel_may_live_on(void **state)
{
	struct frame_out *f;

	(void)state;
	put();
	f = hold(0);
	outbox_let_go(&o, PAIR);
	assert_ptr_equal(take(0), f);
	outbox_sent(&o, f);
}

static void what_arrives_while_it_is_held_is_done(void **state)
{
	const struct ack a = { .below = put() + 1 };

	(void)state;
	hold(0);
	die(0);
	outbox_channel_alive(&o, 0);
	assert_int_equal(outbox_acked(&o, &a, &e), 0);
	assert_int_equal(outbox_wait_empty(&o, 0), 0);
	outbox_let_go(&o, PAIR);
	assert_null(take(1));
}

/* An idle channel that has delivered something repeats what hangs; not this. */
static void it_is_never_late(void **state)
{
	struct frame_out *f;
	struct ack a;

	(void)state;
	a = (struct ack){ .below = put() + 1 };
	f = take(1);
	atomic_store(&f->summed, true);
	outbox_sent(&o, f);
	clock_pass(10000);
	assert_int_equal(outbox_acked(&o, &a, &e), 0);
	put();
	f = take(0);
	atomic_store(&f->summed, true);
	assert_true(outbox_hold(&o, f, PAIR));
	clock_pass(60 * USEC_PER_SEC);
	assert_null(pick_late(&o, 1));
	outbox_unhold(&o, f);
	assert_ptr_equal(pick_late(&o, 1), f);
	outbox_sent(&o, f);
}

static void only_raw_pages_that_never_left_may_be_written(void **state)
{
	struct frame_out f = { .head.kind = FRAME_PAGES,
			       .iovs = 2,
			       .state = FRAME_OUT };

	(void)state;
	assert_true(pick_may_write(&f));
	for (int i = 0; i < 7; i++) {
		struct frame_out g = f;

		g.head.kind = i == 0 ? FRAME_STREAM : FRAME_PAGES;
		g.iovs = i == 1 ? 1 : 2;
		g.press = i == 2 ? PRESS_DONE : PRESS_BUSY;
		g.state = i == 3 ? FRAME_QUEUED : FRAME_OUT;
		g.resent = i == 4;
		g.acked = i == 5;
		g.pair = i == 6 ? PAIR : 0;
		assert_false(pick_may_write(&g));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			one_is_held_when_its_channel_ends, begin, end),
		cmocka_unit_test_setup_teardown(its_channel_may_live_on, begin,
						end),
		cmocka_unit_test_setup_teardown(
			what_arrives_while_it_is_held_is_done, begin, end),
		cmocka_unit_test_setup_teardown(it_is_never_late, begin, end),
		cmocka_unit_test(only_raw_pages_that_never_left_may_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
