/* SPDX-License-Identifier: MIT */

/* What a request asks for, and where peers may come in. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "channel/channel.h"
#include "host/parts.h"
#include "host/paths.h"
#include "host/requests.h"
#include "network.h"
#include "nic/address.h"
#include "nic/watch.h"
#include "parsed.h"

/* --- requests */

static struct move_paths asked(const char *settings,
			       const struct paths_request *of)
{
	struct settings *s = parsed(settings);
	struct move_paths p;
	struct error e;

	if (paths_asked(&p, s, of, &e) < 0)
		fail_msg("%s", e.text);
	settings_drop(s);
	return p;
}

static void assert_refused(const struct paths_request *of, const char *expected)
{
	struct settings *s = parsed("");
	struct move_paths p;
	struct error e;

	assert_int_equal(paths_asked(&p, s, of, &e), -EINVAL);
	assert_string_equal(e.text, expected);
	settings_drop(s);
}

/* Of one line, or of none. */
static struct words networks(char *line)
{
	static char *at[2];

	at[0] = line;
	return (struct words){ .at = at, .count = line != NULL };
}

static const char some[] = "[host]\n"
			   "networks = 10.0.0.0/24\n"
			   "           eth1\n"
			   "[move]\n"
			   "option = multichannel\n"
			   "connections = 8\n"
			   "connections-per-card = 2\n";

static void a_request_that_asks_for_nothing_gets_the_settings(void **state)
{
	struct move_paths p = asked(some, &(struct paths_request){ 0 });

	(void)state;
	assert_string_equal(p.mode->name, "multichannel");
	assert_true(p.policy.all);
	assert_int_equal(p.policy.most, 8);
	assert_int_equal(p.policy.per_card, 2);
	assert_int_equal(p.policy.per_rss_card, 4);
	assert_int_equal(p.networks.ranks, 2);
}

static void what_a_request_asks_for_goes_before_the_settings(void **state)
{
	char mode[] = "tcp", line[] = "eth2 eth3";
	const struct paths_request of = {
		.mode = mode,
		.has_networks = true,
		.networks = networks(line),
		.has_connections = true,
		.connections = 5,
	};
	struct move_paths p = asked(some, &of);

	(void)state;
	assert_string_equal(p.mode->name, "tcp");
	assert_false(p.policy.all);
	assert_int_equal(p.policy.most, 5);
	assert_int_equal(p.networks.ranks, 1);
	assert_int_equal(p.networks.count, 2);
}

static void wrong_requests_are_refused(void **state)
{
	char mode[] = "fast", line[] = "10.0.0/24";
	struct paths_request of = { .mode = mode };

	(void)state;
	assert_refused(&of, "'fast' is not a mode: use tcp, compression, "
			    "multichannel or auto");
	of = (struct paths_request){ .has_connections = true,
				     .connections = 33 };
	assert_refused(&of, "connections must be from 1 to 32");
	of.connections = 0;
	assert_refused(&of, "connections must be from 1 to 32");
	of = (struct paths_request){ .has_networks = true,
				     .networks = networks(line) };
	assert_refused(&of, "networks: '10.0.0/24' is not a network: write "
			    "10.0.0.0/24 or fd00::/64");
}

static void an_empty_list_of_networks_does_not_lift_the_restriction(
	void **state)
{
	char blank[] = " ";
	struct paths_request of = { .has_networks = true };

	(void)state;
	assert_refused(&of,
		       "'networks' names no network: leave it out to use all");
	of.networks = networks(blank);
	assert_refused(&of,
		       "'networks' names no network: leave it out to use all");
}

/* --- admission */

struct door {
	struct settings *settings;
	struct host host;
};

static void door_open(struct door *d, const char *settings)
{
	struct error e;

	*d = (struct door){ .settings = parsed(settings) };
	if (nic_watch_new(&d->host.nics, &e) < 0)
		fail_msg("%s", e.text);
}

static void door_close(struct door *d)
{
	nic_watch_free(d->host.nics);
	settings_drop(d->settings);
}

/* A connection that came in at "10.0.0.1:6600" or "[fd00::1]:6600". */
static struct channel came_in(const char *at)
{
	struct channel c = { 0 };
	char host[CHANNEL_NAME_MAX];
	bool v6 = at[0] == '[';

	snprintf(c.from, sizeof(c.from), "%s", at);
	snprintf(host, sizeof(host), "%.*s",
		 (int)strcspn(at + v6, v6 ? "]" : ":"), at + v6);
	assert_int_equal(nic_address_parse(&c.local, host), 0);
	return c;
}

static void assert_admitted(const struct door *d, const char *at)
{
	const struct channel c = came_in(at);
	struct error e;

	if (paths_admit(&d->host, &d->settings->networks, &c, &e) < 0)
		fail_msg("%s", e.text);
}

static void assert_kept_out(const struct door *d, const char *at,
			    const char *expected)
{
	const struct channel c = came_in(at);
	struct error e;

	assert_int_equal(paths_admit(&d->host, &d->settings->networks, &c, &e),
			 -EACCES);
	assert_string_equal(e.text, expected);
}

static void without_a_list_peers_come_in_anywhere(void **state)
{
	struct door d;

	(void)state;
	door_open(&d, "");
	assert_admitted(&d, "10.0.0.1:6600");
	assert_admitted(&d, "[fd00::1]:6600");
	door_close(&d);
}

static void with_a_list_peers_come_in_on_its_networks_only(void **state)
{
	struct door d;

	(void)state;
	MAKE("link add eth1 type veth peer name far1", "link set eth1 up",
	     "address add 10.1.0.1/24 dev eth1",
	     "address add fd00:1::1/64 dev eth1 nodad",
	     "link add eth2 type veth peer name far2", "link set eth2 up",
	     "address add 10.2.0.1/24 dev eth2",
	     "address add fd00:2::1/64 dev eth2 nodad");
	door_open(&d, "[host]\nnetworks = eth1\n  10.3.0.0/16 fd00:3::/64\n");
	assert_admitted(&d, "10.1.0.1:6600");
	assert_admitted(&d, "[fd00:1::1]:6600");
	assert_admitted(&d, "10.3.7.1:6600");
	assert_admitted(&d, "[fd00:3::1]:6600");
	assert_kept_out(&d, "10.2.0.1:6600",
			"takes moves on its networks eth1; 10.3.0.0/16, "
			"fd00:3::/64 only, and 10.2.0.1:6600 of eth2 is on "
			"none of them");
	assert_kept_out(&d, "[fd00:2::1]:6600",
			"takes moves on its networks eth1; 10.3.0.0/16, "
			"fd00:3::/64 only, and [fd00:2::1]:6600 of eth2 is on "
			"none of them");
	assert_kept_out(&d, "10.9.0.1:6600",
			"takes moves on its networks eth1; 10.3.0.0/16, "
			"fd00:3::/64 only, and 10.9.0.1:6600 is on none of "
			"them");
	door_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_request_that_asks_for_nothing_gets_the_settings),
		cmocka_unit_test(
			what_a_request_asks_for_goes_before_the_settings),
		cmocka_unit_test(wrong_requests_are_refused),
		cmocka_unit_test(
			an_empty_list_of_networks_does_not_lift_the_restriction),
		cmocka_unit_test(without_a_list_peers_come_in_anywhere),
		cmocka_unit_test(
			with_a_list_peers_come_in_on_its_networks_only),
	};

	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
