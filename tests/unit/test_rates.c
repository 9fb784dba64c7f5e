/* SPDX-License-Identifier: MIT */

/* How often a peer may ask. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "host/rates.h"

static void so_many_at_once_and_one_more_each_time(void **state)
{
	static const struct rate r = { .most = 3, .each_us = 100 };
	static const struct {
		uint64_t now_us;
		bool may;
		uint64_t wait_us;
	} rows[] = {
		{ 1000, true, 0 },    { 1000, true, 0 },  { 1010, true, 0 },
		{ 1010, false, 90 },  { 1099, false, 1 }, { 1100, true, 0 },
		{ 1100, false, 100 }, /* after a while all of them again */
		{ 9000, true, 0 },    { 9000, true, 0 },  { 9000, true, 0 },
		{ 9000, false, 100 },
	};
	uint64_t full_us = 0, wait_us = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(rate_take(&r, &full_us, rows[i].now_us,
					   &wait_us),
				 rows[i].may);
		if (!rows[i].may)
			assert_int_equal(wait_us, rows[i].wait_us);
	}
}

static int ask(struct rates *all, const char *peer, enum message_type what,
	       unsigned times, struct error *e)
{
	int r = 0;

	while (r == 0 && times-- > 0)
		r = rates_take(all, peer, what, e);
	return r;
}

static void each_peer_has_its_own_for_each_message(void **state)
{
	struct rates *all = rates_new();
	struct error e;

	(void)state;
	assert_non_null(all);
	assert_int_equal(ask(all, "beta", MESSAGE_RENEW, 10, &e), 0);
	assert_int_equal(ask(all, "beta", MESSAGE_RENEW, 1, &e), -EBUSY);
	assert_non_null(strstr(e.text, "host beta asks for 'renew' too often: "
				       "it may again in "));
	assert_int_equal(ask(all, "beta", MESSAGE_MEMBERS, 30, &e), 0);
	assert_int_equal(ask(all, "beta", MESSAGE_MEMBERS, 2, &e), -EBUSY);
	assert_int_equal(ask(all, "gamma", MESSAGE_RENEW, 10, &e), 0);
	/* What ends a doubt, and what needs a right, has no limit here. */
	assert_int_equal(ask(all, "beta", MESSAGE_ASK, 1000, &e), 0);
	assert_int_equal(ask(all, "beta", MESSAGE_COMPARE, 1000, &e), 0);
	rates_free(all);
}

static void more_peers_than_are_remembered_are_heard(void **state)
{
	struct rates *all = rates_new();
	char name[16];
	struct error e;

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "host%u", i);
		assert_int_equal(ask(all, name, MESSAGE_RENEW, 1, &e), 0);
	}
	rates_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_at_once_and_one_more_each_time),
		cmocka_unit_test(each_peer_has_its_own_for_each_message),
		cmocka_unit_test(more_peers_than_are_remembered_are_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
