/* SPDX-License-Identifier: MIT */

/* Settings that follow one another while threads read them. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/live.h"
#include "scratch.h"

enum { READERS = 4, RELOADS = 100 };

static char folder[SCRATCH_CAP], config[96];
static struct live live;

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void write_config(const char *text)
{
	write_file(config, text);
}

static int begin(void **state)
{
	struct settings_source from = { .path = config };
	struct settings *first;
	struct error e;

	(void)state;
	scratch_folder(folder);
	snprintf(config, sizeof(config), "%s/some.conf", folder);
	write_config("[move]\ntimeout = 1s\noutage-limit = 1s\n");
	if (settings_load(&first, &from, &e) < 0)
		return -1;
	live_init(&live, first, &from);
	return 0;
}

static int end(void **state)
{
	(void)state;
	live_done(&live);
	return 0;
}

static uint64_t timeout_of(struct settings *s)
{
	const uint64_t us = s->move.timeout_us;

	settings_drop(s);
	return us;
}

/* --- readers beside a writer */

static bool over;

struct reader {
	pthread_t thread;
	unsigned long turns, broken;
};

/* Both numbers are of one file, and the peer is there for as long as somebody
 * holds it. */
static void *reader_main(void *arg)
{
	struct reader *r = arg;

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		AUTO_SETTINGS struct settings *s = live_now(&live);
		const struct peer *p = settings_peer(s, "beta");

		r->broken += s->move.timeout_us != s->move.outage_limit_us;
		r->broken += p && p->port != s->move.timeout_us / 1000000;
		r->turns++;
	}
	return NULL;
}

static void readers_never_see_half_of_a_change(void **state)
{
	struct reader all[READERS] = { 0 };
	unsigned long turns = 0;
	struct error e;
	char text[256];

	(void)state;
	over = false;
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&all[i].thread, NULL,
						reader_main, &all[i]),
				 0);
	for (unsigned i = 1; i <= RELOADS; i++) {
		snprintf(text, sizeof(text),
			 "[move]\ntimeout = %us\noutage-limit = %us\n%s"
			 "port = %u\n",
			 i, i,
			 i % 2 ? "[peer beta]\naddress = ::1\n"
			       : "[peer gamma]\naddress = ::1\n",
			 i);
		write_config(text);
		assert_int_equal(live_reload(&live, &e), 0);
		assert_int_equal(timeout_of(live_now(&live)), i * 1000000ULL);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(all[i].thread, NULL);
		assert_int_equal(all[i].broken, 0);
		turns += all[i].turns;
	}
	assert_true(turns > 0);
}

/* --- what changes, and what does not */

static void whoever_holds_settings_keeps_them(void **state)
{
	struct settings *held = live_now(&live);
	struct error e;

	(void)state;
	write_config("[move]\ntimeout = 2s\n");
	assert_int_equal(live_reload(&live, &e), 0);
	assert_int_equal(held->move.timeout_us, 1000000);
	assert_int_equal(timeout_of(live_now(&live)), 2000000);
	settings_drop(held);
}

static void a_bad_file_changes_nothing(void **state)
{
	struct settings *before = live_now(&live), *after;
	char expected[160];
	struct error e;

	(void)state;
	write_config("[move]\ntimeout = 2s\nconnections = 0\n");
	assert_int_equal(live_reload(&live, &e), -EINVAL);
	snprintf(expected, sizeof(expected),
		 "%s:3:15: '0' is not a number from 1 to 32", config);
	assert_string_equal(e.text, expected);
	after = live_now(&live);
	assert_ptr_equal(before, after);
	settings_drop(before);
	settings_drop(after);
}

static int set(const char *setting, const char *value,
	       struct settings_view *ret, struct error *e)
{
	SCOPED(words_done) struct words values = { 0 };

	if (value)
		assert_int_equal(words_add(&values, value, e), 0);
	return live_set(&live, setting, &values, ret, e);
}

static void what_needs_a_restart_waits(void **state)
{
	SCOPED(settings_view_done) struct settings_view v = { 0 };
	SCOPED(settings_view_done) struct settings_view back = { 0 };
	struct error e;

	(void)state;
	assert_int_equal(set("host.port", "7000", &v, &e), 0);
	assert_true(v.at[0].pending);
	assert_int_equal(live.first->host.port, 6600);
	assert_int_equal(set("host.port", NULL, &back, &e), 0);
	assert_false(back.at[0].pending);
	assert_null(back.at[0].file);
}

static unsigned count_files(const char *path)
{
	AUTO_CLOSEDIR DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	return n;
}

/* Nothing is left of an attempt, not even aside. */
static void what_cannot_be_written_is_not_taken(void **state)
{
	struct settings_view v;
	char path[128];
	struct error e;

	(void)state;
	snprintf(path, sizeof(path), "%s/some.d", folder);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/some.d/90-set.conf", folder);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_true(set("move.timeout", "2s", &v, &e) < 0);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(timeout_of(live_now(&live)), 1000000);
	snprintf(path, sizeof(path), "%s/some.d", folder);
	assert_int_equal(count_files(path), 3);
}

static void a_section_that_is_gone_has_no_value(void **state)
{
	SCOPED(settings_view_done) struct settings_view v = { 0 };
	SCOPED(settings_view_done) struct settings_view gone = { 0 };
	char name[SETTING_NAME_CAP];
	struct error e;

	(void)state;
	assert_int_equal(set("peer.a.b.address", "::1", &v, &e), 0);
	setting_view_name(name, &v.at[0]);
	assert_string_equal(name, "peer.a.b.address");
	assert_string_equal(v.at[0].values.at[0], "::1");
	assert_int_equal(set("peer.a.b.address", NULL, &gone, &e), 0);
	setting_view_name(name, &gone.at[0]);
	assert_string_equal(name, "peer.a.b.address");
	assert_int_equal(gone.at[0].values.count, 0);
}

/* What the file for a peer says. */
static char *peer_text(void)
{
	char path[160];
	struct error e;
	char *text;
	size_t len;

	snprintf(path, sizeof(path), "%s/some.d/peer-beta.conf", folder);
	return ini_load(&text, &len, path, INI_TEXT_MAX, &e) < 0 ? NULL : text;
}

static void a_peer_has_a_file_whose_other_lines_stay(void **state)
{
	char one[] = "10.0.0.2", two[] = "10.0.0.3";
	char *both[] = { one, two, NULL }, *bad[] = { folder, NULL };
	AUTO_FREE char *text = NULL, *again = NULL;
	const struct peer *p;
	struct settings *now;
	char path[160];
	struct error e;

	(void)state;
	assert_int_equal(live_put_peer(&live, "beta",
				       &(struct words){ both, 2 }, 6601, &e),
			 0);
	now = live_now(&live);
	p = settings_peer(now, "beta");
	assert_non_null(p);
	assert_int_equal(p->addresses.count, 2);
	assert_int_equal(p->port, 6601);
	assert_true(p->tls);
	settings_drop(now);
	assert_true(live_has_peer_file(&live, "beta"));
	text = peer_text();
	assert_non_null(strstr(text, "[peer beta]\naddress = 10.0.0.2\n"
				     "address = 10.0.0.3\nport = 6601\n"
				     "tls = on\n"));
	snprintf(path, sizeof(path), "%s/some.d/peer-beta.conf", folder);
	write_file(path, "[peer beta]\n# mine\naddress = 10.0.0.9\n");
	assert_int_equal(live_put_peer(&live, "beta",
				       &(struct words){ both, 1 }, 6600, &e),
			 0);
	again = peer_text();
	assert_string_equal(again, "[peer beta]\n# mine\naddress = 10.0.0.2\n"
				   "port = 6600\ntls = on\n");
	/* What is no address changes nothing. */
	assert_int_equal(live_put_peer(&live, "beta", &(struct words){ bad, 1 },
				       6600, &e),
			 -EINVAL);
	assert_int_equal(live_drop_peer(&live, "beta", &e), 0);
	assert_int_equal(live_drop_peer(&live, "beta", &e), 0);
	assert_false(live_has_peer_file(&live, "beta"));
	now = live_now(&live);
	assert_null(settings_peer(now, "beta"));
	settings_drop(now);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(readers_never_see_half_of_a_change),
		TEST(whoever_holds_settings_keeps_them),
		TEST(a_bad_file_changes_nothing),
		TEST(what_needs_a_restart_waits),
		TEST(what_cannot_be_written_is_not_taken),
		TEST(a_section_that_is_gone_has_no_value),
		TEST(a_peer_has_a_file_whose_other_lines_stay),
	};

	return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
