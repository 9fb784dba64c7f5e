/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/clock.h"
#include "session/yield.h"

static void worked(struct yield *y, uint64_t got_us, uint64_t wall_us,
		   uint64_t now_us)
{
	yield_worked(y, got_us, wall_us);
	yield_rest(y, yield_gets_little(y), now_us);
}

/* Works for a second; each frame takes @got_us, and waits for @wait_us.  The
 * processor time of all. */
static uint64_t work(struct yield *y, uint64_t *now, uint64_t got_us,
		     uint64_t wait_us)
{
	uint64_t end = *now + USEC_PER_SEC, got = 0;

	while (*now < end) {
		if (yield_rests(y, *now)) {
			*now = y->until_us;
			continue;
		}
		*now += got_us + wait_us;
		got += got_us;
		worked(y, got_us, got_us + wait_us, *now);
	}
	return got;
}

static void an_idle_processor_is_used_all_the_time(void **state)
{
	struct yield y = { 0 };
	uint64_t now = 0;

	(void)state;
	assert_true(yield_share(&y, 0) == 1);
	assert_in_range(work(&y, &now, 1000, 0), 999000, 1001000);
	assert_true(yield_share(&y, 0) > 0.99);
}

static void short_interruptions_do_not_matter(void **state)
{
	struct yield y = { 0 };
	uint64_t now = 0;

	(void)state;
	assert_in_range(work(&y, &now, 1000, 400), 700000, 720000);
}

static void a_busy_processor_loses_less_than_a_hundredth(void **state)
{
	/* lz4, zstd */
	const uint64_t frame_us[] = { 700, 2500 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct yield y = { 0 };
		uint64_t now = 0;

		assert_true(work(&y, &now, frame_us[i], frame_us[i]) <
			    40000); /* until it knows */
		assert_true(work(&y, &now, frame_us[i], frame_us[i]) <= 10000);
		assert_float_equal(yield_share(&y, 0), 0.5, 0.01);
	}
}

static void a_processor_that_becomes_idle_is_used_within_a_second(void **state)
{
	struct yield y = { 0 };
	uint64_t now = 0, before;

	(void)state;
	work(&y, &now, 700, 3000);
	work(&y, &now, 700, 3000);
	before = now;
	while (y.rest_us > 0) {
		now = y.until_us + 700;
		worked(&y, 700, 700, now);
	}
	assert_true(now - before < USEC_PER_SEC);
}

static void one_long_wait_is_not_enough(void **state)
{
	struct yield y = { 0 };
	uint64_t now = 0;

	(void)state;
	work(&y, &now, 1000, 0);
	worked(&y, 1000, 10000, now);
	assert_false(yield_rests(&y, now));
	worked(&y, 1000, 10000, now);
	worked(&y, 1000, 10000, now);
	assert_true(yield_rests(&y, now));
	assert_true(work(&y, &now, 1000, 0) > 900000);
}

static void a_worker_that_does_not_come_back_counts_already(void **state)
{
	struct yield y = { 0 };

	(void)state;
	assert_true(yield_share(&y, 5000) == 1); /* nothing is known */
	worked(&y, 1000, 2000, 0);
	assert_float_equal(yield_share(&y, 0), 0.5, 0.01);
	assert_float_equal(yield_share(&y, 1900), 0.5, 0.01);
	assert_float_equal(yield_share(&y, 20000), 0.05, 0.001);
	assert_float_equal(yield_share(&y, 2000000), 0.0005, 0.00001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_processor_is_used_all_the_time),
		cmocka_unit_test(short_interruptions_do_not_matter),
		cmocka_unit_test(a_busy_processor_loses_less_than_a_hundredth),
		cmocka_unit_test(
			a_processor_that_becomes_idle_is_used_within_a_second),
		cmocka_unit_test(one_long_wait_is_not_enough),
		cmocka_unit_test(
			a_worker_that_does_not_come_back_counts_already),
	};

	return cmocka_run_group_tests_name("yield", tests, NULL, NULL);
}
