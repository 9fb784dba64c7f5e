/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/clock.h"
#include "frames/flow.h"

enum { MB = 1000 * 1000, RTT_US = 1000 };

/* @seconds of a link that delivers @rate, in steps of 10 ms. */
static uint64_t run(struct flow_control *f, uint64_t now, uint64_t rate, int ms)
{
	for (int t = 0; t < ms; t += 10) {
		now += 10000;
		flow_waited(f);
		flow_acked(f, rate / 100, RTT_US, now);
	}
	return now;
}

static void an_unmeasured_link_gets_the_least(void **state)
{
	struct flow_control f;

	(void)state;
	flow_init(&f, 5);
	assert_int_equal(flow_limit(&f), FLOW_LEAST);
}

static void the_bound_is_a_round_trip_and_the_queue(void **state)
{
	struct flow_control f;

	(void)state;
	flow_init(&f, 0);
	run(&f, 0, 120 * MB, 1000);
	assert_in_range(flow_limit(&f), 120 * MB / 1000 * 20,
			120 * MB / 1000 * 22);
}

static void the_bound_has_an_upper_end(void **state)
{
	struct flow_control f;

	(void)state;
	flow_init(&f, 0);
	run(&f, 0, 100000ULL * MB, 1000);
	assert_int_equal(flow_limit(&f), FLOW_MOST);
	f.rate = UINT64_MAX;
	assert_int_equal(flow_limit(&f), FLOW_MOST);
}

/* What waits here is sent while the guest stands still. */
static void what_waits_beyond_a_round_trip_has_an_upper_end(void **state)
{
	struct flow_control f;

	(void)state;
	flow_init(&f, 0);
	run(&f, 0, 1000ULL * MB, 1000);
	assert_in_range(flow_limit(&f), FLOW_QUEUE_MOST,
			FLOW_QUEUE_MOST + 1100 * MB / 1000);
}

static void far_from_the_end_more_may_wait(void **state)
{
	struct flow_control f;

	(void)state;
	flow_init(&f, 0);
	run(&f, 0, 60 * MB, 1000);
	f.bulk = true;
	assert_in_range(flow_limit(&f), 6 * MB, 6 * MB + MB / 10);
	/* On a short path it is no more than it takes to bridge them. */
	run(&f, 0, 3000ULL * MB, 1000);
	assert_int_equal(flow_limit(&f), FLOW_BULK_MOST);
}

static void a_long_path_holds_what_a_round_trip_takes(void **state)
{
	struct flow_control f;

	(void)state;
	flow_init(&f, 0);
	f.rate = 120 * MB;
	f.rtt_us = 300000;
	assert_int_equal(flow_travels(&f), 36 * MB);
	/* A quarter more for the rate to grow, and 4 MiB at most. */
	assert_int_equal(flow_limit(&f), 36 * MB + FLOW_QUEUE_MOST);
	f.bulk = true;
	assert_int_equal(flow_limit(&f), FLOW_MOST);
}

static void a_slower_link_lowers_the_bound_when_somebody_waits(void **state)
{
	struct flow_control f;
	uint64_t now;

	(void)state;
	flow_init(&f, 0);
	now = run(&f, 0, 400 * MB, 1000);
	run(&f, now, 100 * MB, 3000);
	assert_in_range(f.rate, 90 * MB, 110 * MB);
}

static void an_idle_sender_says_nothing_about_the_link(void **state)
{
	struct flow_control f;
	uint64_t now, before;

	(void)state;
	flow_init(&f, 0);
	now = run(&f, 0, 400 * MB, 1000);
	before = f.rate;
	for (int i = 0; i < 100; i++) /* nobody waits */
		flow_acked(&f, 1000, RTT_US, now += 20000);
	assert_true(f.rate >= before * 9 / 10);
}

static void the_least_round_trip_counts(void **state)
{
	struct flow_control f;

	(void)state;
	flow_init(&f, 0);
	flow_acked(&f, 1, 5000, 10);
	flow_acked(&f, 1, 300, 20);
	flow_acked(&f, 1, UINT64_MAX, 30); /* sent twice: not known */
	assert_int_equal(f.rtt_us, 300);
}

/* What was fast before says nothing of it, and what may wait is less at once.
 */
static void one_that_is_slowed_down_holds_less_at_once(void **state)
{
	struct flow_control f;
	uint64_t now;

	(void)state;
	flow_init(&f, 0);
	now = run(&f, 0, 120 * MB, 1000);
	flow_slowed(&f, 12 * MB, now);
	assert_int_equal(flow_limit(&f), FLOW_LEAST);
	run(&f, now, 12 * MB, 200);
	assert_in_range(f.rate, 11 * MB, 13 * MB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unmeasured_link_gets_the_least),
		cmocka_unit_test(one_that_is_slowed_down_holds_less_at_once),
		cmocka_unit_test(the_bound_is_a_round_trip_and_the_queue),
		cmocka_unit_test(the_bound_has_an_upper_end),
		cmocka_unit_test(
			what_waits_beyond_a_round_trip_has_an_upper_end),
		cmocka_unit_test(far_from_the_end_more_may_wait),
		cmocka_unit_test(a_long_path_holds_what_a_round_trip_takes),
		cmocka_unit_test(
			a_slower_link_lowers_the_bound_when_somebody_waits),
		cmocka_unit_test(an_idle_sender_says_nothing_about_the_link),
		cmocka_unit_test(the_least_round_trip_counts),
	};

	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
