/* SPDX-License-Identifier: MIT */

/* An outbox whose channel may send no more than so much. */
#include "unit.h"

#include <stdlib.h>

#include "base/error.h"
#include "frames/outbox.h"
#include "set_clock.h"

/* A tenth of a second each.  Rates are of whole microseconds: a thousandth. */
enum { FRAME = 100000, RATE = 1000000, ABOUT = RATE + RATE / 1000 };

static int make(void **state)
{
	struct outbox *o = malloc(sizeof(*o));
	struct error e;

	*state = o;
	return outbox_init(o, &e);
}

static int unmake(void **state)
{
	outbox_close(*state);
	outbox_done(*state);
	free(*state);
	return 0;
}

static void put(struct outbox *o)
{
	struct frame_out *f = outbox_frame(o);
	struct error e;

	f->head.kind = FRAME_PAGES;
	f->head.len = FRAME;
	assert_int_equal(outbox_put(o, f, NULL, &e), 0);
}

/* Its number; 0: the channel took none. */
static uint64_t take(struct outbox *o)
{
	struct frame_out *f;
	uint64_t seq;

	if (outbox_take(o, 0, clock_us() + 1000, &f) != OUTBOX_FRAME)
		return 0;
	seq = f->head.seq;
	outbox_sent(o, f);
	return seq;
}

static void ack_below(struct outbox *o, uint64_t below)
{
	const struct ack a = { .below = below };
	struct error e;

	assert_int_equal(outbox_acked(o, &a, &e), 0);
}

/* Also when all before has arrived; what is said does not wait for it. */
static void where_its_transport_cannot_be_paced_it_takes_no_more(void **state)
{
	struct outbox *o = *state;
	struct error e;

	for (int i = 0; i < 3; i++)
		put(o);
	outbox_channel_pace(o, 0, RATE, false);
	assert_int_equal(take(o), 1);
	ack_below(o, 2);
	assert_int_equal(take(o), 0);
	assert_int_equal(outbox_put_message(o, "{}", 2, &e), 0);
	assert_int_equal(take(o), 4);
	clock_pass(100000);
	assert_int_equal(take(o), 2);
	ack_below(o, 3);
	assert_int_equal(take(o), 0);
	/* One that paces itself takes what it has room for. */
	outbox_channel_pace(o, 0, RATE, true);
	assert_int_equal(take(o), 3);
}

/* It is what QEMU is told of its bandwidth. */
static void the_rate_that_is_known_falls_at_once(void **state)
{
	struct outbox *o = *state;
	struct outbox_stats st;

	outbox_channel_alive(o, 0);
	for (uint64_t i = 1; i < 40; i++) {
		put(o);
		assert_int_equal(take(o), i);
		clock_pass(20000);
		ack_below(o, i + 1);
	}
	outbox_stats(o, &st);
	assert_in_range(st.rate, 5 * FRAME * 8, 5 * FRAME * 12);
	outbox_channel_pace(o, 0, RATE, true);
	outbox_stats(o, &st);
	assert_in_range(st.rate, RATE * 8 / 10, ABOUT);
	assert_in_range(st.wire_rate, RATE * 8 / 10, ABOUT);
	/* More is measured, and not believed before. */
	outbox_channel_pace(o, 0, 10 * RATE, true);
	outbox_stats(o, &st);
	assert_in_range(st.rate, RATE * 8 / 10, ABOUT);
}

#define MADE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MADE(where_its_transport_cannot_be_paced_it_takes_no_more),
		MADE(the_rate_that_is_known_falls_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
