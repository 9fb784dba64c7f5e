/* SPDX-License-Identifier: MIT */

/* What the side that applies pages says of itself in its acknowledgements. */
#include "unit.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>

#include "base/error.h"
#include "ends.h"
#include "frames/outbox.h"
#include "set_clock.h"

enum { FRAME_BYTES = BATCH_MAX_PAGES * WIRE_PAGE, SLOW_US = 20000 };

/* A far end that takes a batch each time that somebody lets it. */
struct desk {
	struct ends ends;
	struct page_sink sink;
	sem_t may_apply;
	struct outbox *out;
};

static int apply(void *context, const struct batch_head *b,
		 const struct batch_body *body, struct error *e)
{
	struct desk *d = context;

	(void)body;
	while (sem_wait(&d->may_apply) < 0)
		;
	clock_pass(SLOW_US);
	if (b->block != 0)
		return error_set(e, EBADMSG, "no such block");
	return 0;
}

static void desk_open(struct desk *d)
{
	struct error e;

	*d = (struct desk){ .sink = { apply, d } };
	sem_init(&d->may_apply, 0, 0);
	ends_init(&d->ends, 1);
	assert_int_equal(ends_open(&d->ends, 1, 5 * USEC_PER_SEC, &e), 0);
	session_set_page_sink(d->ends.far, &d->sink);
	d->out = session_outbox(d->ends.near);
}

static void desk_close(struct desk *d)
{
	ends_close(&d->ends);
	ends_done(&d->ends);
	sem_destroy(&d->may_apply);
}

static void put_batch(struct desk *d, struct batch_head b, const uint8_t *side)
{
	static uint8_t data[FRAME_BYTES];
	struct frame_out *f = outbox_frame(d->out);
	struct error e;

	assert_non_null(f);
	f->iov[0].iov_base = f->meta;
	f->iov[0].iov_len = batch_head_write(&b, side, f->meta);
	f->iov[1] = (struct iovec){ data, (size_t)b.pages * WIRE_PAGE };
	f->iovs = 2;
	f->head.kind = FRAME_PAGES;
	f->head.len = (uint32_t)(f->iov[0].iov_len + f->iov[1].iov_len);
	assert_int_equal(outbox_put(d->out, f, NULL, &e), 0);
}

static void put_full_batch(struct desk *d)
{
	put_batch(d,
		  (struct batch_head){
			  .runs = 1,
			  .pages = BATCH_MAX_PAGES,
			  .run = { { 0, BATCH_MAX_PAGES, RUN_DATA } } },
		  NULL);
}

static void let_apply(struct desk *d, int batches)
{
	while (batches-- > 0)
		sem_post(&d->may_apply);
	assert_int_equal(outbox_wait_empty(d->out,
					   clock_us() + 5 * USEC_PER_SEC),
			 0);
}

static struct outbox_far heard(struct desk *d)
{
	struct outbox_stats st;

	outbox_stats(d->out, &st);
	return st.far_end;
}

static void pages_and_the_time_they_took_are_acknowledged(void **state)
{
	static const uint8_t side[] = { 0, 12, [10 + 12] = 0, 12, [43] = 0 };
	struct batch_head mixed = { .runs = 4,
				    .pages = 1,
				    .side = sizeof(side) + BATCH_FILL_SIZE,
				    .run = { { 0, 1, RUN_DATA },
					     { 1, 900, RUN_ZERO },
					     { 1000, 2, RUN_DELTA },
					     { 2000, 50, RUN_FILL } } };
	uint8_t sides[sizeof(side) + BATCH_FILL_SIZE] = { 0 };
	struct desk d;

	(void)state;
	memcpy(sides, side, sizeof(side));
	desk_open(&d);
	put_full_batch(&d);
	put_batch(&d, mixed, sides);
	let_apply(&d, 2);
	/* Only what comes as data says how fast that is. */
	assert_int_equal(heard(&d).placed, FRAME_BYTES + WIRE_PAGE);
	assert_in_range(heard(&d).busy_us, 2 * SLOW_US, USEC_PER_SEC);
	desk_close(&d);
}

static bool backlog_becomes(struct desk *d, uint32_t least, uint32_t most)
{
	uint64_t deadline = clock_us() + 20 * USEC_PER_SEC;
	uint32_t n = 0;

	while (clock_us() < deadline) {
		n = heard(d).backlog;
		if (n >= least && n <= most)
			return true;
		clock_hasten(0);
	}
	print_error("%u bytes wait, rather than %u to %u\n", n, least, most);
	return false;
}

static void what_waits_at_the_far_end_is_told_while_it_is_busy(void **state)
{
	struct desk d;

	(void)state;
	desk_open(&d);
	for (int i = 0; i < 3; i++)
		put_full_batch(&d);
	/* As much of it as the kernel has room for. */
	assert_true(backlog_becomes(&d, WIRE_PAGE, 2 * FRAME_BYTES + 4096));
	let_apply(&d, 3);
	assert_true(backlog_becomes(&d, 0, 0));
	assert_int_equal(heard(&d).placed, 3 * FRAME_BYTES);
	desk_close(&d);
}

static void an_older_acknowledgement_changes_nothing(void **state)
{
	const struct ack newer = {
		.below = 1, .placed = 1ULL << 40, .busy_us = 7, .backlog = 9
	};
	const struct ack older = { .below = 1, .placed = 5, .busy_us = 6 };
	struct desk d;
	struct error e;

	(void)state;
	desk_open(&d);
	assert_int_equal(outbox_acked(d.out, &newer, &e), 0);
	assert_int_equal(outbox_acked(d.out, &older, &e), 0);
	assert_int_equal(heard(&d).placed, 1ULL << 40);
	assert_int_equal(heard(&d).busy_us, 7);
	assert_int_equal(heard(&d).backlog, 9);
	desk_close(&d);
}

static void what_the_sink_refuses_names_its_frame(void **state)
{
	const struct batch_head wrong = { .block = 3,
					  .runs = 1,
					  .run = { { 0, 9, RUN_ZERO } } };
	uint64_t deadline = clock_us() + 3 * USEC_PER_SEC;
	struct desk d;
	struct error e = { 0 };

	(void)state;
	desk_open(&d);
	put_full_batch(&d);
	let_apply(&d, 2);
	put_batch(&d, wrong, NULL);
	while (session_check(d.ends.far, &e) == 0 && clock_us() < deadline)
		clock_hasten(0);
	assert_string_equal(e.text, "frame 2: no such block");
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_and_the_time_they_took_are_acknowledged),
		cmocka_unit_test(
			what_waits_at_the_far_end_is_told_while_it_is_busy),
		cmocka_unit_test(an_older_acknowledgement_changes_nothing),
		cmocka_unit_test(what_the_sink_refuses_names_its_frame),
	};

	return cmocka_run_group_tests_name("far end", tests, NULL, NULL);
}
