/* SPDX-License-Identifier: MIT */

/* What is taken in a tenth of a second must say what the next ones will be. */
#include "unit.h"

#include "base/clock.h"
#include "relay/pace.h"

enum { BATCH = 256 * 1024, MIB = 1 << 20 };

struct run {
	struct pace pace;
	uint64_t now_us;
};

/* Takes for @us what comes at @rate bytes a second, as fast as the pace
 * allows; returns the bytes a second that it was. */
static double take(struct run *r, double rate, uint64_t us)
{
	uint64_t began = r->now_us, bytes = 0, wait;

	while (r->now_us < began + us) {
		pace_took(&r->pace, BATCH, r->now_us);
		bytes += BATCH;
		r->now_us += (uint64_t)(BATCH / rate * USEC_PER_SEC);
		while ((wait = pace_wait_us(&r->pace, r->now_us)) > 0)
			r->now_us += wait;
	}
	return (double)bytes * USEC_PER_SEC / (double)(r->now_us - began);
}

/* For a long time, and nobody minded. */
static struct run at_rate(double rate)
{
	struct run r = { .now_us = USEC_PER_SEC };

	while (r.now_us < 10 * USEC_PER_SEC) {
		pace_took(&r.pace, BATCH, r.now_us);
		pace_forgive(&r.pace);
		r.now_us += (uint64_t)(BATCH / rate * USEC_PER_SEC);
	}
	return r;
}

static void a_steady_rate_is_not_held_back(void **state)
{
	struct run r = at_rate(100.0 * MIB);

	(void)state;
	assert_in_range(take(&r, 100.0 * MIB, USEC_PER_SEC), 95 * MIB,
			105 * MIB);
}

static void a_burst_is_spread_out(void **state)
{
	struct run r = at_rate(30.0 * MIB);

	(void)state;
	/* 100 times as fast: QEMU would expect to send 90 MB in 30 ms. */
	assert_in_range(take(&r, 3000.0 * MIB, USEC_PER_SEC / 10), 30 * MIB,
			70 * MIB);
}

static void a_rate_that_stays_is_followed(void **state)
{
	struct run r = at_rate(30.0 * MIB);

	(void)state;
	take(&r, 300.0 * MIB, 12 * USEC_PER_SEC);
	assert_in_range(take(&r, 300.0 * MIB, USEC_PER_SEC), 250 * MIB,
			305 * MIB);
}

static void what_the_link_takes_is_never_held_back(void **state)
{
	struct run r = { .pace.least = 100.0 * MIB, .now_us = USEC_PER_SEC };

	(void)state;
	assert_true(take(&r, 3000.0 * MIB, USEC_PER_SEC / 2) > 95.0 * MIB);
}

static void silence_does_not_count(void **state)
{
	struct run r = at_rate(100.0 * MIB);

	(void)state;
	r.now_us += 10 * USEC_PER_SEC;
	assert_in_range(take(&r, 100.0 * MIB, USEC_PER_SEC / 4), 90 * MIB,
			110 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_steady_rate_is_not_held_back),
		cmocka_unit_test(a_burst_is_spread_out),
		cmocka_unit_test(a_rate_that_stays_is_followed),
		cmocka_unit_test(what_the_link_takes_is_never_held_back),
		cmocka_unit_test(silence_does_not_count),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
