/* SPDX-License-Identifier: MIT */

/* What is asked of a job of QEMU's that stands, and when it is in step again.
 */
#include "unit.h"

#include "disks/standby.h"

enum { LATER_US = 1000000 };

static void test_without_a_path_nothing_is_asked(void **state)
{
	struct standby_job j = { .tries = 9 };

	(void)state;
	assert_int_equal(standby_act(&j, 5, true), STANDBY_WAIT);
	assert_int_equal(j.tries, 0);
	assert_true(j.stood);
}

static void test_a_resume_is_given_time_and_tried_again(void **state)
{
	struct standby_job j = { 0 };
	uint64_t now = 5;

	(void)state;
	assert_int_equal(standby_act(&j, now, false), STANDBY_RESUME);
	assert_int_equal(standby_act(&j, now + 1, false), STANDBY_WAIT);
	now += LATER_US;
	assert_int_equal(standby_act(&j, now, false), STANDBY_RESUME);
}

static void test_one_that_stands_with_a_path_is_given_up(void **state)
{
	struct standby_job j = { 0 };
	enum standby_act act = STANDBY_RESUME;
	unsigned resumes = 0;

	(void)state;
	for (uint64_t now = 0; act == STANDBY_RESUME; now += LATER_US) {
		act = standby_act(&j, now, false);
		resumes += act == STANDBY_RESUME;
	}
	assert_int_equal(act, STANDBY_GIVE_UP);
	assert_int_equal(resumes, 10);
	/* Without a path it counts from the begin. */
	assert_int_equal(standby_act(&j, 100 * LATER_US, true), STANDBY_WAIT);
	assert_int_equal(standby_act(&j, 101 * LATER_US, false),
			 STANDBY_RESUME);
}

static void test_what_never_stood_is_in_step(void **state)
{
	struct standby_job j = { 0 };

	(void)state;
	assert_true(standby_in_step(&j, 5, 1 << 30, 0));
}

static void test_what_stood_is_in_step_with_nothing_left(void **state)
{
	struct standby_job j = { 0 };

	(void)state;
	standby_act(&j, 5, false);
	assert_false(standby_in_step(&j, 6, 0, 0)); /* what came of it? */
	assert_false(standby_in_step(&j, LATER_US, 4097, 4096));
	assert_true(standby_in_step(&j, LATER_US, 4096, 4096));
	/* Of a guest that does not run nothing may be missing. */
	assert_false(standby_in_step(&j, LATER_US, 4096, 0));
	assert_true(standby_in_step(&j, LATER_US, 0, 0));
	assert_true(standby_in_step(&j, LATER_US, 4096, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_path_nothing_is_asked),
		cmocka_unit_test(test_a_resume_is_given_time_and_tried_again),
		cmocka_unit_test(test_one_that_stands_with_a_path_is_given_up),
		cmocka_unit_test(test_what_never_stood_is_in_step),
		cmocka_unit_test(test_what_stood_is_in_step_with_nothing_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
