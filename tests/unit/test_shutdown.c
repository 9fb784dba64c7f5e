/* SPDX-License-Identifier: MIT */

/* What became of a guest that was asked to power off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "host/machine_view.h"
#include "host/shutdown.h"

enum { NOW = 1000, LATER = 2000 };

static enum shutdown_turn turn(enum machine_state state, const char *status,
			       uint64_t deadline_us)
{
	struct machine_view v = { .state = state };

	snprintf(v.status, sizeof(v.status), "%s", status);
	return shutdown_turn(&v, NOW, deadline_us);
}

static void test_a_guest_has_its_time(void **state)
{
	(void)state;
	assert_int_equal(turn(MACHINE_RUNNING, "running", LATER),
			 SHUTDOWN_WAITS);
	assert_int_equal(turn(MACHINE_RUNNING, "running", NOW),
			 SHUTDOWN_SILENT);
	/* One that somebody pauses, or that is updated meanwhile, likewise. */
	assert_int_equal(turn(MACHINE_PAUSED, "paused", LATER), SHUTDOWN_WAITS);
	assert_int_equal(turn(MACHINE_PAUSED, "paused", NOW), SHUTDOWN_SILENT);
}

static void test_its_end_counts_however_late_it_is_seen(void **state)
{
	(void)state;
	assert_int_equal(turn(MACHINE_STOPPED, "", NOW), SHUTDOWN_OFF);
	assert_int_equal(turn(MACHINE_STOPPED, "", LATER), SHUTDOWN_OFF);
	assert_int_equal(turn(MACHINE_LOST, "", LATER), SHUTDOWN_LOST);
	assert_int_equal(turn(MACHINE_PAUSED, "shutdown", LATER),
			 SHUTDOWN_HALTED);
	assert_int_equal(turn(MACHINE_PAUSED, "shutdown", NOW),
			 SHUTDOWN_HALTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_guest_has_its_time),
		cmocka_unit_test(test_its_end_counts_however_late_it_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
