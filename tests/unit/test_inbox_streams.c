/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "frames/inbox.h"

static uint8_t bytes[INBOX_ACK_BYTES];

static struct inbox *fresh(void)
{
	static struct inbox in;

	inbox_init(&in);
	return &in;
}

static void comes(struct inbox *in, uint64_t seq, uint16_t stream,
		  uint64_t offset, uint32_t len)
{
	const struct frame_head h = { .kind = FRAME_STREAM,
				      .stream = stream,
				      .len = len,
				      .seq = seq,
				      .offset = offset };
	struct error e;

	assert_int_equal(inbox_claim(in, seq, &e), 1);
	assert_int_equal(inbox_keep_stream(in, &h, bytes, &e), 0);
}

struct opener {
	struct inbox *in;
	int first;
};

static void *open_first(void *arg)
{
	struct opener *o = arg;

	o->first = inbox_next_stream(o->in);
	return NULL;
}

/* multifd's channels may send before the main connection does. */
static void streams_are_named_in_the_order_of_their_numbers(void **state)
{
	struct inbox *in = fresh();
	struct opener o = { .in = in, .first = -1 };
	pthread_t t;

	(void)state;
	comes(in, 1, 1, 0, 10);
	assert_int_equal(pthread_create(&t, NULL, open_first, &o), 0);
	comes(in, 2, 0, 0, 10);
	pthread_join(t, NULL);
	assert_int_equal(o.first, 0);
	assert_int_equal(inbox_next_stream(in), 1);
	inbox_done(in);
}

static void nobody_is_told_of_a_stream_before_those_below_it(void **state)
{
	struct inbox *in = fresh();

	(void)state;
	comes(in, 1, 1, 0, 10);
	inbox_close(in);
	assert_int_equal(inbox_next_stream(in), -EPIPE);
	inbox_done(in);
}

static void a_stream_without_bytes_is_opened(void **state)
{
	struct frame_head h = { .kind = FRAME_STREAM,
				.flags = STREAM_OPEN,
				.seq = 1 };
	struct inbox *in = fresh();
	struct ack ack;
	struct error e;

	(void)state;
	assert_int_equal(inbox_claim(in, 1, &e), 1);
	assert_int_equal(inbox_keep_stream(in, &h, NULL, &e), 0);
	assert_int_equal(inbox_next_stream(in), 0);
	inbox_ack(in, &ack);
	assert_int_equal(ack.below, 2);

	h.len = 1;
	h.seq = 2;
	assert_int_equal(inbox_claim(in, 2, &e), 1);
	assert_int_equal(inbox_keep_stream(in, &h, bytes, &e), -EBADMSG);
	inbox_done(in);
}

static bool write_next(struct inbox *in)
{
	struct piece *p = inbox_read(in, 0);

	assert_non_null(p);
	return inbox_written(in, p);
}

static void an_ack_is_due_when_nothing_more_can_be_written(void **state)
{
	struct inbox *in = fresh();

	(void)state;
	comes(in, 1, 0, 0, 10);
	comes(in, 2, 0, 10, 10);
	comes(in, 4, 0, 20, 10); /* 3 is still on its way */
	assert_false(write_next(in));
	assert_true(write_next(in));
	inbox_done(in);
}

static void an_ack_is_due_after_many_bytes(void **state)
{
	struct inbox *in = fresh();

	(void)state;
	comes(in, 1, 0, 0, INBOX_ACK_BYTES - 1);
	comes(in, 2, 0, INBOX_ACK_BYTES - 1, 1);
	comes(in, 3, 0, INBOX_ACK_BYTES, 10);
	assert_false(write_next(in));
	assert_true(write_next(in));
	inbox_done(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			streams_are_named_in_the_order_of_their_numbers),
		cmocka_unit_test(
			nobody_is_told_of_a_stream_before_those_below_it),
		cmocka_unit_test(a_stream_without_bytes_is_opened),
		cmocka_unit_test(
			an_ack_is_due_when_nothing_more_can_be_written),
		cmocka_unit_test(an_ack_is_due_after_many_bytes),
	};

	return cmocka_run_group_tests_name("inbox_streams", tests, NULL, NULL);
}
