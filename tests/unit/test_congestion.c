/* SPDX-License-Identifier: MIT */

/* Which congestion control a connection has. */
#include "unit.h"

#include "channel/congestion.h"

/* Begun as cubic on a host with BBR, to the next rack. */
static const struct congestion_case in_a_rack = {
	.wish = "auto",
	.own = "bbr",
	.now = "cubic",
	.rtt_us = 450,
	.least_rtt_us = 60,
	.packets = 700000,
};

static void near_hosts_do_without_a_timer(void **state)
{
	struct congestion_case k = in_a_rack;

	(void)state;
	assert_string_equal(congestion_next(&k), "cubic");
	/* Before the first answer, and with what is lost at every beginning. */
	k.rtt_us = k.least_rtt_us = k.packets = 0;
	k.again = 8;
	assert_string_equal(congestion_next(&k), "cubic");
	k.now = "reno";
	assert_string_equal(congestion_next(&k), "reno");
}

static void who_is_far_has_the_hosts_own(void **state)
{
	struct congestion_case k = in_a_rack;

	(void)state;
	k.least_rtt_us = 999;
	k.rtt_us = 1500;
	assert_string_equal(congestion_next(&k), "cubic");
	k.least_rtt_us = 1000;
	assert_string_equal(congestion_next(&k), "bbr");
}

static void a_line_that_loses_has_it_too(void **state)
{
	struct congestion_case k = in_a_rack;

	(void)state;
	k.again = 78;
	assert_string_equal(congestion_next(&k), "cubic");
	k.again = 79;
	assert_string_equal(congestion_next(&k), "bbr");
}

static void and_one_where_packets_wait(void **state)
{
	struct congestion_case k = in_a_rack;

	(void)state;
	k.rtt_us = 19999;
	assert_string_equal(congestion_next(&k), "cubic");
	k.rtt_us = 20000;
	assert_string_equal(congestion_next(&k), "bbr");
}

/* The kernel goes on pacing what was BBR once. */
static void there_is_no_way_back(void **state)
{
	struct congestion_case k = in_a_rack;

	(void)state;
	k.now = "bbr";
	assert_string_equal(congestion_next(&k), "bbr");
}

static void only_what_paces_is_replaced(void **state)
{
	static const char *const stay[] = { "cubic", "reno", "dctcp", "" };
	struct congestion_case k = in_a_rack;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_null(congestion_first(stay[i])[0]);
		k.own = stay[i];
		k.now = stay[i];
		assert_string_equal(congestion_next(&k), stay[i]);
	}
	for (unsigned i = 0; i < 2; i++) {
		const char *const *first = congestion_first(i ? "bbr3" : "bbr");

		assert_string_equal(first[0], "cubic");
		assert_string_equal(first[1], "reno");
		assert_null(first[2]);
	}
}

static void what_is_said_is_done(void **state)
{
	struct congestion_case k = in_a_rack;

	(void)state;
	k.wish = "host";
	assert_string_equal(congestion_next(&k), "bbr");
	k.wish = "dctcp";
	assert_string_equal(congestion_next(&k), "dctcp");
	k.least_rtt_us = 50000;
	assert_string_equal(congestion_next(&k), "dctcp");
	/* From a name back to auto, on a host that does not pace. */
	k.wish = "auto";
	k.own = "cubic";
	k.now = "dctcp";
	assert_string_equal(congestion_next(&k), "cubic");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(near_hosts_do_without_a_timer),
		cmocka_unit_test(who_is_far_has_the_hosts_own),
		cmocka_unit_test(a_line_that_loses_has_it_too),
		cmocka_unit_test(and_one_where_packets_wait),
		cmocka_unit_test(there_is_no_way_back),
		cmocka_unit_test(only_what_paces_is_replaced),
		cmocka_unit_test(what_is_said_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
