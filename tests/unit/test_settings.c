/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "host/settings_view.h"
#include "parsed.h"

static const char full[] = "[host]\n"
			   "name = alpha\n"
			   "listen = 10.77.0.1\n"
			   "listen = fd00::1\n"
			   "port = 7000\n"
			   "run-directory = /tmp/run\n"
			   "networks = 10.77.0.0/24, eth1\n"
			   "           fd00::/64\n"
			   "[move]\n"
			   "downtime-limit = 50ms\n"
			   "timeout = 10min\n"
			   "on-timeout = force\n"
			   "mode = auto\n"
			   "repeat-cache = 256M\n"
			   "connections = 8\n"
			   "connections-per-card = 2\n"
			   "connections-per-rss-card = 3\n"
			   "[peer beta]\n"
			   "address = 10.77.0.2\n"
			   "          10.78.0.2\n"
			   "tls = off\n"
			   "[peer gamma]\n"
			   "address = fd00::3\n"
			   "port = 6601\n";

static void assert_refused(const char *text, const char *expected)
{
	struct settings *s;
	struct error e;

	assert_int_equal(settings_parse(&s, "t", text, strlen(text), &e),
			 -EINVAL);
	assert_string_equal(e.text, expected);
}

static void assert_shown(const struct settings_view *v, const char *name,
			 const char *values, const char *from)
{
	char own[SETTING_NAME_CAP], text[200] = "", place[80] = "default";

	for (size_t i = 0; i < v->count; i++) {
		setting_view_name(own, &v->at[i]);
		if (strcmp(own, name) != 0)
			continue;
		for (size_t n = 0; n < v->at[i].values.count; n++)
			snprintf(text + strlen(text),
				 sizeof(text) - strlen(text), "%s|",
				 v->at[i].values.at[n]);
		if (v->at[i].file)
			snprintf(place, sizeof(place), "%s:%u", v->at[i].file,
				 v->at[i].line);
		assert_string_equal(text, values);
		assert_string_equal(place, from);
		return;
	}
	fail_msg("%s is not shown", name);
}

/* A newer version may have written the file. */
static void what_is_not_known_is_skipped_and_named(void **state)
{
	struct settings *s = parsed("[host]\n"
				    "prot = 6601\n"
				    "   prot = 6602\n"
				    "port = 6603\n"
				    "[queue]\n"
				    "length = 3\n"
				    "[peer beta]\n"
				    "colour = red\n"
				    "address = 10.77.0.2\n");

	(void)state;
	assert_int_equal(s->host.port, 6603);
	assert_string_equal(settings_peer(s, "beta")->addresses.at[0],
			    "10.77.0.2");
	assert_int_equal(s->unknown.count, 3);
	assert_string_equal(s->unknown.at[0],
			    "t:2:1: [host] has no key 'prot'; did you mean "
			    "'port'?");
	assert_string_equal(s->unknown.at[1],
			    "t:5:1: there is no section [queue]");
	assert_string_equal(s->unknown.at[2],
			    "t:8:1: [peer] has no key 'colour'");
	settings_drop(s);
}

/* Files of the last release have it. */
static void a_name_of_before_is_read_and_told(void **state)
{
	struct settings *s = parsed("[move]\noption = auto\n");

	(void)state;
	assert_string_equal(s->move.mode->name, "auto");
	assert_int_equal(s->unknown.count, 0);
	assert_int_equal(s->renamed.count, 1);
	assert_string_equal(s->renamed.at[0],
			    "t:2: the key 'option' of [move] is called 'mode' "
			    "now: the next version will not know it by its "
			    "old name");
	settings_drop(s);
	assert_refused("[move]\noption = auto\nmode = tcp\n",
		       "t:3:1: 'mode' is set twice");
}

static void an_empty_file_gives_the_defaults(void **state)
{
	struct settings *s = parsed("");

	(void)state;
	assert_true(strlen(s->host.name) > 0);
	assert_int_equal(s->host.listen.count, 1);
	assert_string_equal(s->host.listen.at[0], "0.0.0.0");
	assert_int_equal(s->host.port, 6600);
	assert_string_equal(s->host.state_directory, "/var/lib/drover");
	assert_string_equal(s->host.socket, "/run/drover/drover.sock");
	assert_string_equal(s->host.group, "drover");
	assert_string_equal(s->host.qemu, "/usr/bin/qemu-system-x86_64");
	assert_int_equal(s->move.downtime_limit_us, 300000);
	assert_int_equal(s->move.timeout_us, 0);
	assert_int_equal(s->move.on_timeout, ON_TIMEOUT_ABORT);
	assert_string_equal(s->move.mode->name, "compression");
	assert_true(s->move.repeat_cache.relative);
	assert_int_equal(s->move.repeat_cache.percent, 5);
	assert_int_equal(s->move.connections_per_rss_card, 4);
	assert_int_equal(s->move.connections_per_card, 1);
	assert_int_equal(s->move.connections, 32);
	assert_int_equal(s->networks.count, 0);
	assert_int_equal(s->move.outage_limit_us, 300000000);
	assert_int_equal(s->move.switchover_outage_limit_us, 5000000);
	assert_int_equal(s->peers.count, 0);
	settings_drop(s);
}

static void every_key_is_read(void **state)
{
	struct settings *s = parsed(full);

	(void)state;
	assert_string_equal(s->host.name, "alpha");
	assert_int_equal(s->host.listen.count, 2);
	assert_string_equal(s->host.listen.at[1], "fd00::1");
	assert_int_equal(s->host.port, 7000);
	assert_string_equal(s->host.socket, "/tmp/run/drover.sock");
	assert_int_equal(s->move.downtime_limit_us, 50000);
	assert_int_equal(s->move.timeout_us, 600000000);
	assert_int_equal(s->move.on_timeout, ON_TIMEOUT_FORCE);
	assert_string_equal(s->move.mode->name, "auto");
	assert_int_equal(s->move.repeat_cache.bytes, 256 << 20);
	assert_int_equal(s->move.connections, 8);
	assert_int_equal(s->move.connections_per_card, 2);
	assert_int_equal(s->move.connections_per_rss_card, 3);
	assert_int_equal(s->networks.count, 3);
	assert_int_equal(s->networks.ranks, 2);
	assert_int_equal(s->peers.count, 2);
	settings_drop(s);
}

static void an_option_says_whether_all_networks_are_used(void **state)
{
	static const struct {
		const char *asked, *got;
		bool all;
	} cases[] = {
		{ "tcp", "tcp", false },
		{ "compression", "compression", false },
		{ "multichannel", "multichannel", true },
		{ "auto", "auto", true },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct settings *s;
		struct move_paths p;

		snprintf(text, sizeof(text), "[move]\nmode = %s\n",
			 cases[i].asked);
		s = parsed(text);
		p = settings_paths(s);
		assert_string_equal(p.mode->name, cases[i].asked);
		assert_string_equal(move_mode_got(p.mode, move_paths_press(&p)),
				    cases[i].got);
		assert_int_equal(p.policy.all, cases[i].all);
		settings_drop(s);
	}
}

static void peers_are_found_by_name(void **state)
{
	struct settings *s = parsed(full);
	const struct peer *p = settings_peer(s, "beta");

	(void)state;
	assert_non_null(p);
	assert_int_equal(p->addresses.count, 2);
	assert_int_equal(p->port, 6600);
	assert_false(p->tls);
	p = settings_peer(s, "gamma");
	assert_true(p->tls);
	assert_int_equal(p->port, 6601);
	assert_null(settings_peer(s, "delta"));
	settings_drop(s);
}

static void wrong_settings_are_explained(void **state)
{
	(void)state;
	assert_refused("[move]\nconnections = 33\n",
		       "t:2:15: '33' is not a number from 1 to 32");
	assert_refused("[move]\nmode = rdma\n",
		       "t:2:8: 'rdma' is not a mode: use tcp, compression, "
		       "multichannel or auto");
	assert_refused("[host]\nnetworks = eth1 10.0.0.0/33\n",
		       "t:2:12: '10.0.0.0/33' is not a network: write "
		       "10.0.0.0/24 or fd00::/64");
	assert_refused("[host]\nnetworks = ,\n",
		       "t:2:12: 'networks' needs a value");
	assert_refused("[move]\ndowntime-limit = 0\n",
		       "t:2:18: 'downtime-limit' must be at least 1ms");
	assert_refused("[move]\non-timeout = stop\n",
		       "t:2:14: 'stop' is not a value of 'on-timeout': use "
		       "abort or force");
	assert_refused("[host]\nlisten = eth0\n",
		       "t:2:10: 'eth0' is not an address: write 10.0.0.2 or "
		       "fd00::2");
	assert_refused("[move]\nrepeat-cache = 101%\n",
		       "t:2:16: '101%' is neither a size nor a share of a "
		       "guest's "
		       "memory: write 256M, 5% or 0");
	assert_refused("[move]\nrepeat-cache = 5%M\n",
		       "t:2:16: '5%M' is neither a size nor a share of a "
		       "guest's "
		       "memory: write 256M, 5% or 0");
	assert_refused("[host]\nsocket = x\n",
		       "t:2:10: 'socket' must be a path that starts with '/'");
	assert_refused("[peer b]\n", "t:1:1: [peer b] has no address");
	assert_refused("[peer b]\naddress = ::1\n[peer b]\n",
		       "t:3:1: [peer b] is there twice");
	assert_refused("[peer ../b]\n",
		       "t:1:1: '../b' is not a name for a host: use 1 to 63 "
		       "characters, the first a letter or digit");
}

static void a_cache_is_a_share_of_the_guest_or_a_size(void **state)
{
	static const struct {
		const char *text, *shown;
		uint64_t ram, bytes;
	} cases[] = {
		{ "", "5%|", 1ULL << 30, (1ULL << 30) / 100 * 5 },
		{ "repeat-cache = 5%", "5%|", 1ULL << 40, 512ULL << 20 },
		{ "repeat-cache = 0%", "0%|", 1ULL << 30, 0 },
		{ "repeat-cache = 0", "0|", 1ULL << 30, 0 },
		{ "repeat-cache = 2G", "2G|", 1ULL << 30, 2ULL << 30 },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct settings *s;
		struct move_paths p;
		struct settings_view v;
		struct error e;

		snprintf(text, sizeof(text), "[move]\nmode = auto\n%s\n",
			 cases[i].text);
		s = parsed(text);
		p = settings_paths(s);
		assert_int_equal(history_size_bytes(move_paths_repeats(&p),
						    cases[i].ram),
				 cases[i].bytes);
		assert_int_equal(settings_view_all(&v, s, s, &e), 0);
		assert_shown(&v, "move.repeat-cache", cases[i].shown,
			     cases[i].text[0] ? "t:3" : "default");
		settings_view_done(&v);
		settings_drop(s);
	}
}

static void without_compression_nothing_is_repeated(void **state)
{
	static const char *const texts[] = {
		"[move]\nmode = tcp\n",
		"[move]\nmode = auto\ncompress = never\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct settings *s = parsed(texts[i]);
		struct move_paths p = settings_paths(s);

		assert_null(move_paths_repeats(&p));
		settings_drop(s);
	}
}

static void all_are_shown_as_a_file_has_them(void **state)
{
	struct settings *s = parsed(full);
	struct settings_view v;
	struct error e;

	(void)state;
	assert_int_equal(settings_view_all(&v, s, s, &e), 0);
	assert_shown(&v, "host.listen", "10.77.0.1|fd00::1|", "t:3");
	assert_shown(&v, "host.networks", "10.77.0.0/24, eth1|fd00::/64|",
		     "t:7");
	assert_shown(&v, "host.group", "drover|", "default");
	assert_shown(&v, "host.allow-qemu", "", "default");
	assert_shown(&v, "move.downtime-limit", "50ms|", "t:10");
	assert_shown(&v, "move.timeout", "10min|", "t:11");
	assert_shown(&v, "move.on-timeout", "force|", "t:12");
	assert_shown(&v, "move.mode", "auto|", "t:13");
	assert_shown(&v, "move.repeat-cache", "256M|", "t:14");
	assert_shown(&v, "move.weight", "100|", "default");
	assert_shown(&v, "move.limit", "0|", "default");
	assert_shown(&v, "move.outage-limit", "5min|", "default");
	assert_shown(&v, "peer.beta.tls", "off|", "t:21");
	assert_shown(&v, "peer.gamma.port", "6601|", "t:24");
	settings_view_done(&v);
	settings_drop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_known_is_skipped_and_named),
		cmocka_unit_test(a_name_of_before_is_read_and_told),
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(an_option_says_whether_all_networks_are_used),
		cmocka_unit_test(peers_are_found_by_name),
		cmocka_unit_test(wrong_settings_are_explained),
		cmocka_unit_test(a_cache_is_a_share_of_the_guest_or_a_size),
		cmocka_unit_test(without_compression_nothing_is_repeated),
		cmocka_unit_test(all_are_shown_as_a_file_has_them),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
