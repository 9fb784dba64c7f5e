/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "frames/inbox.h"

static struct inbox in;

static int fresh(void **state)
{
	(void)state;
	inbox_init(&in);
	return 0;
}

static int done(void **state)
{
	(void)state;
	inbox_done(&in);
	return 0;
}

static int claim(uint64_t seq)
{
	struct error e;

	return inbox_claim(&in, seq, &e);
}

static int keep(uint64_t seq, uint16_t stream, uint64_t offset,
		const char *text, uint8_t flags)
{
	const struct frame_head h = { .kind = FRAME_STREAM,
				      .flags = flags,
				      .stream = stream,
				      .len = (uint32_t)strlen(text),
				      .seq = seq,
				      .offset = offset };
	struct error e;

	assert_int_equal(claim(seq), 1);
	return inbox_keep_stream(&in, &h, text, &e);
}

static void pages(uint64_t seq)
{
	assert_int_equal(claim(seq), 1);
	inbox_pages_applied(&in, seq);
}

/* What a reader of @stream gets now; NULL when it would wait. */
static struct piece *ready(uint16_t stream)
{
	struct stream_in *s = &in.stream[stream];
	struct piece *p = s->pieces;

	if (!p || p->offset != s->next_offset || p->seq >= in.passed)
		return NULL;
	return inbox_read(&in, stream);
}

static void reads(uint16_t stream, const char *text)
{
	struct piece *p = ready(stream);

	assert_non_null(p);
	assert_int_equal(p->len, strlen(text));
	assert_memory_equal(p->data, text, p->len);
	inbox_written(&in, p);
}

static uint64_t acked_below(void)
{
	struct ack a;

	inbox_ack(&in, &a);
	return a.below;
}

static void the_second_copy_of_a_frame_is_dropped(void **state)
{
	struct inbox_stats st;

	(void)state;
	assert_int_equal(claim(1), 1);
	assert_int_equal(claim(1), 0); /* while the first is worked on */
	inbox_pages_applied(&in, 1);
	assert_int_equal(claim(1), 0); /* and after */
	inbox_stats(&in, &st);
	assert_int_equal(st.duplicates, 2);
	assert_int_equal(st.frames, 1);
}

static void a_frame_outside_of_the_window_is_refused(void **state)
{
	(void)state;
	assert_int_equal(claim(1 + FRAME_WINDOW), -EBADMSG);
	assert_int_equal(claim(UINT64_MAX), -EBADMSG);
	assert_int_equal(claim(FRAME_WINDOW), 1);
	pages(1);
	assert_int_equal(claim(1 + FRAME_WINDOW), 1);
	assert_int_equal(claim(2 + FRAME_WINDOW), -EBADMSG);
}

static void a_slot_serves_the_number_one_window_on(void **state)
{
	(void)state;
	for (uint64_t s = 1; s < 3 * FRAME_WINDOW; s++)
		pages(s);
	assert_int_equal(acked_below(), 3 * FRAME_WINDOW);
	assert_int_equal(claim(5), 0);
}

static void a_claimed_frame_is_not_acknowledged_before_it_is_applied(
	void **state)
{
	struct ack a;

	(void)state;
	assert_int_equal(claim(1), 1);
	pages(2);
	pages(3);
	pages(5);
	inbox_ack(&in, &a);
	assert_int_equal(a.below, 1);
	assert_int_equal(a.ranges, 2);
	assert_int_equal(a.range[0].first, 2);
	assert_int_equal(a.range[0].count, 2);
	assert_int_equal(a.range[1].first, 5);
	inbox_pages_applied(&in, 1);
	assert_int_equal(acked_below(), 4);
}

static void more_holes_than_an_ack_holds_are_left_for_the_next(void **state)
{
	struct ack a;

	(void)state;
	for (uint64_t s = 2; s <= 4 * ACK_MAX_RANGES; s += 2)
		pages(s);
	inbox_ack(&in, &a);
	assert_int_equal(a.ranges, ACK_MAX_RANGES);
	assert_int_equal(a.range[ACK_MAX_RANGES - 1].first, 2 * ACK_MAX_RANGES);
}

static void a_stream_waits_for_all_pages_before_it(void **state)
{
	(void)state;
	assert_int_equal(keep(3, 0, 0, "state", 0), 0);
	pages(1);
	assert_null(ready(0));
	assert_int_equal(claim(2), 1);
	assert_null(ready(0)); /* claimed is not applied */
	inbox_pages_applied(&in, 2);
	reads(0, "state");
	assert_int_equal(acked_below(), 4);
}

static void a_stream_comes_in_the_order_of_its_offsets(void **state)
{
	(void)state;
	assert_int_equal(keep(3, 0, 6, "last", 0), 0);
	assert_int_equal(keep(4, 0, 10, "", STREAM_FIN), 0);
	assert_int_equal(keep(2, 0, 3, "two", 0), 0);
	assert_null(ready(0));
	assert_int_equal(keep(1, 0, 0, "one", 0), 0);
	reads(0, "one");
	reads(0, "two");
	reads(0, "last");
	reads(0, "");
	assert_int_equal(acked_below(), 5);
}

static void a_stream_that_nobody_reads_holds_up_no_other(void **state)
{
	(void)state;
	assert_int_equal(keep(1, 0, 0, "unread", 0), 0);
	assert_int_equal(keep(2, 1, 0, "read", 0), 0);
	reads(1, "read");
	assert_int_equal(acked_below(), 1); /* not written yet */
	reads(0, "unread");
	assert_int_equal(acked_below(), 3);
}

static void pieces_may_not_overlap(void **state)
{
	(void)state;
	assert_int_equal(keep(1, 0, 10, "abcd", 0), 0);
	assert_int_equal(keep(2, 0, 10, "xyz", 0), -EBADMSG);
	assert_int_equal(keep(3, 0, 12, "xyz", 0), -EBADMSG);
	assert_int_equal(keep(4, 0, 8, "xyz", 0), -EBADMSG);
	assert_int_equal(keep(5, 0, 5, "0123456789", 0), -EBADMSG);
	assert_int_equal(keep(6, 0, 7, "xyz", 0), 0);
	assert_int_equal(keep(7, 0, 14, "xyz", 0), 0);
	assert_int_equal(keep(8, 0, UINT64_MAX - 1, "xyz", 0), -EBADMSG);
}

static void no_bytes_come_behind_the_end_of_a_stream(void **state)
{
	(void)state;
	assert_int_equal(keep(1, 0, 4, "", STREAM_FIN), 0);
	assert_int_equal(keep(2, 0, 0, "data", 0), 0);
	assert_int_equal(keep(3, 0, 4, "more", 0), -EBADMSG);
	assert_int_equal(keep(4, 0, 9, "more", 0), -EBADMSG);
	reads(0, "data");
	reads(0, "");
}

static void pieces_without_bytes_keep_their_order(void **state)
{
	(void)state;
	assert_int_equal(keep(4, 0, 4, "", STREAM_FIN), 0);
	assert_int_equal(keep(3, 0, 4, "", 0), 0);
	assert_int_equal(keep(2, 0, 0, "data", 0), 0);
	assert_int_equal(keep(1, 0, 0, "", 0), 0);
	reads(0, "");
	reads(0, "data");
	reads(0, "");
	reads(0, "");
	assert_int_equal(acked_below(), 5);
	assert_int_equal(keep(5, 0, 4, "", 0), 0); /* unread, for ever */
}

static void bytes_that_were_handed_out_do_not_come_again(void **state)
{
	(void)state;
	assert_int_equal(keep(1, 0, 0, "data", 0), 0);
	reads(0, "data");
	assert_int_equal(keep(2, 0, 0, "data", 0), -EBADMSG);
	assert_int_equal(keep(3, 0, 2, "ta", 0), -EBADMSG);
}

static void unread_bytes_have_a_limit(void **state)
{
	static char big[STREAM_MAX_PAYLOAD + 1];
	uint64_t seq = 1, offset = 0;
	int r;

	(void)state;
	memset(big, 'x', STREAM_MAX_PAYLOAD);
	while ((r = keep(seq++, 0, offset, big, 0)) == 0)
		offset += STREAM_MAX_PAYLOAD;
	assert_int_equal(r, -EBADMSG);
	assert_int_equal(offset, INBOX_STREAM_BYTES);
}

static int message(uint64_t seq, uint64_t ordinal, const char *text)
{
	const struct frame_head h = { .kind = FRAME_MESSAGE,
				      .len = (uint32_t)strlen(text),
				      .seq = seq,
				      .offset = ordinal };
	struct error e;

	assert_int_equal(claim(seq), 1);
	return inbox_keep_message(&in, &h, text, &e);
}

static void messages_come_once_and_in_order(void **state)
{
	struct piece *p;

	(void)state;
	assert_int_equal(message(5, 1, "b"), 0);
	assert_null(inbox_message(&in));
	assert_int_equal(message(6, 0, "a"), 0);
	assert_int_equal(message(7, 1, "again"), -EBADMSG);
	p = inbox_message(&in);
	assert_memory_equal(p->data, "a", 1);
	free(p);
	p = inbox_message(&in);
	assert_memory_equal(p->data, "b", 1);
	free(p);
	assert_null(inbox_message(&in));
	assert_int_equal(message(8, 0, "late"), -EBADMSG);
}

static void unread_messages_have_a_limit(void **state)
{
	static char big[MESSAGE_MAX_PAYLOAD + 1];
	uint64_t n = 0;

	(void)state;
	memset(big, ' ', MESSAGE_MAX_PAYLOAD);
	while (message(n + 1, n, big) == 0)
		n++;
	assert_int_equal(n * MESSAGE_MAX_PAYLOAD, INBOX_MESSAGE_BYTES);
}

static void unread_empty_messages_have_a_limit(void **state)
{
	uint64_t n = 0;

	(void)state;
	while (n <= INBOX_MESSAGES && message(n + 1, n, "") == 0)
		n++;
	assert_int_equal(n, INBOX_MESSAGES);
	free(inbox_message(&in));
	assert_int_equal(message(n + 2, n, ""), 0);
}

static void *read_zero(void *unused)
{
	(void)unused;
	return inbox_read(&in, 0);
}

static void closing_wakes_the_readers(void **state)
{
	pthread_t reader;
	void *got = &in;

	(void)state;
	pthread_create(&reader, NULL, read_zero, NULL);
	inbox_close(&in);
	pthread_join(reader, &got);
	assert_null(got);
	assert_int_equal(inbox_next_stream(&in), -EPIPE);
}

static void each_stream_is_announced_once(void **state)
{
	(void)state;
	assert_int_equal(keep(1, 0, 0, "a", 0), 0);
	assert_int_equal(inbox_next_stream(&in), 0);
	assert_int_equal(keep(2, 0, 1, "b", 0), 0);
	assert_int_equal(keep(3, 1, 0, "c", 0), 0);
	assert_int_equal(inbox_next_stream(&in), 1);
}

#define inbox_test(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		inbox_test(the_second_copy_of_a_frame_is_dropped),
		inbox_test(a_frame_outside_of_the_window_is_refused),
		inbox_test(a_slot_serves_the_number_one_window_on),
		inbox_test(
			a_claimed_frame_is_not_acknowledged_before_it_is_applied),
		inbox_test(more_holes_than_an_ack_holds_are_left_for_the_next),
		inbox_test(a_stream_waits_for_all_pages_before_it),
		inbox_test(a_stream_comes_in_the_order_of_its_offsets),
		inbox_test(a_stream_that_nobody_reads_holds_up_no_other),
		inbox_test(pieces_may_not_overlap),
		inbox_test(no_bytes_come_behind_the_end_of_a_stream),
		inbox_test(pieces_without_bytes_keep_their_order),
		inbox_test(bytes_that_were_handed_out_do_not_come_again),
		inbox_test(unread_bytes_have_a_limit),
		inbox_test(messages_come_once_and_in_order),
		inbox_test(unread_messages_have_a_limit),
		inbox_test(unread_empty_messages_have_a_limit),
		inbox_test(closing_wakes_the_readers),
		inbox_test(each_stream_is_announced_once),
	};

	return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
