/* SPDX-License-Identifier: MIT */

/* By a file that looks like /proc/stat. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "session/idle.h"

static char path[64];

/* Ticks of 10 ms since the host was started. */
static void says(unsigned idle, unsigned iowait)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "cpu  900 7 800 %u %u 3 4 0 0 0\ncpu0 1 2 3 4\n", idle,
		iowait);
	fclose(f);
}

static int made(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/drover-idle-%ld", (long)getpid());
	return 0;
}

static int unmade(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static void a_quarter_of_a_processor_is_to_spare(void **state)
{
	struct idle i = { .path = path };

	(void)state;
	says(1000, 10);
	assert_false(idle_spare(&i, 1000000)); /* since when? */
	says(1004, 11);
	assert_true(idle_spare(&i, 1200000)); /* 50 of 200 ms */
	says(1007, 12);
	assert_false(idle_spare(&i, 1400000));
}

static void it_is_looked_at_ten_times_a_second_at_most(void **state)
{
	struct idle i = { .path = path };

	(void)state;
	says(1000, 0);
	idle_spare(&i, 1000000);
	says(1100, 0);
	assert_false(idle_spare(&i, 1099999));
	assert_true(idle_spare(&i, 1100000));
	says(1100, 0);
	assert_true(idle_spare(&i, 1199999));
	assert_false(idle_spare(&i, 1200000));
}

static void what_was_long_ago_does_not_count(void **state)
{
	struct idle i = { .path = path };

	(void)state;
	says(1000, 0);
	idle_spare(&i, 1000000);
	says(9000, 0);
	assert_false(idle_spare(&i, 9000000));
	says(9100, 0);
	assert_true(idle_spare(&i, 9100000));
}

static void a_host_that_does_not_say_has_none_to_spare(void **state)
{
	struct idle i = { .path = "/nowhere/stat" };

	(void)state;
	assert_false(idle_spare(&i, 1000000));
	assert_false(idle_spare(&i, 1200000));
}

static void this_host_says(void **state)
{
	struct idle i = { 0 };

	(void)state;
	idle_spare(&i, 1000000);
	assert_true(i.ticks > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quarter_of_a_processor_is_to_spare),
		cmocka_unit_test(it_is_looked_at_ten_times_a_second_at_most),
		cmocka_unit_test(what_was_long_ago_does_not_count),
		cmocka_unit_test(a_host_that_does_not_say_has_none_to_spare),
		cmocka_unit_test(this_host_says),
	};

	return cmocka_run_group_tests_name("idle", tests, made, unmade);
}
