/* SPDX-License-Identifier: MIT */

/* Who may open a session, and what the table of those that are open knows. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "ends.h"
#include "nic/address.h"
#include "session/session.h"
#include "session/table.h"
#include "waits.h"

static void a_peer_that_is_not_admitted_is_told_why(void **state)
{
	struct ends e;
	struct error err;

	(void)state;
	ends_init(&e, 1);
	e.refuse = "does not know host near";
	assert_int_equal(ends_open(&e, 1, USEC_PER_SEC, &err), -EBADE);
	assert_string_equal(err.text, "host far: does not know host near");
	ends_done(&e);
}

static void a_peer_without_addresses_is_an_error(void **state)
{
	static const char *const none[] = { NULL };
	struct session_options o = { .own_name = "near",
				     .peer = "far",
				     .channels = 1,
				     .outage_limit_us = USEC_PER_SEC };
	struct session *s;
	struct error e;

	(void)state;
	for (int i = 0; i < 2; i++) {
		o.addresses = i == 0 ? NULL : none;
		assert_int_equal(session_open(&s, &o, &e), -EHOSTUNREACH);
		assert_string_equal(e.text,
				    "host far has no address: [peer far] of "
				    "drover.conf is missing, or cannot be "
				    "used");
	}
}

static bool knows(struct ends *e, const char *text)
{
	struct nic_address a;

	assert_int_equal(nic_address_parse(&a, text), 0);
	return session_table_knows(e->table, &a);
}

static void addresses_of_the_peers_cards_are_known_while_it_lives(void **state)
{
	struct ends *e = malloc(sizeof(*e));
	uint64_t deadline = clock_us() + 10 * USEC_PER_SEC;
	struct error err;

	(void)state;
	ends_init_cards(e, 2);
	assert_false(knows(e, "10.99.2.1"));
	assert_int_equal(ends_open(e, 0, 30 * USEC_PER_SEC, &err), 0);
	while (!knows(e, "10.99.2.1") && clock_us() < deadline)
		wait_moment();
	assert_true(knows(e, "10.99.2.1"));
	assert_false(knows(e, "10.99.2.77"));
	ends_close(e);
	assert_false(knows(e, "10.99.2.1"));
	ends_done(e);
	free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_that_is_not_admitted_is_told_why),
		cmocka_unit_test(a_peer_without_addresses_is_an_error),
		cmocka_unit_test(
			addresses_of_the_peers_cards_are_known_while_it_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
