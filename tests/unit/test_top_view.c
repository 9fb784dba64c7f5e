/* SPDX-License-Identifier: MIT */

/* What drover top shows, as lines. */
#include "unit.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/top_view.h"

static const char seen_text[] =
	"{\"host\": {\"name\": \"alpha\", \"machines\": 3, \"cpus\": 16,"
	"  \"memory\": {\"total\": 68719476736, \"available\": 21474836480}},"
	" \"hosts\": {\"asking\": false, \"hosts\": ["
	"  {\"name\": \"alpha\", \"here\": true, \"old\": false,"
	"   \"closed\": \"it is drained\", \"running\": 3, \"load\": 0.5,"
	"   \"memory\": {\"total\": 68719476736, \"available\": 1073741824}},"
	"  {\"name\": \"beta\", \"here\": false, \"old\": true,"
	"   \"why\": \"is not heard\", \"running\": 7, \"load\": 0,"
	"   \"memory\": {\"total\": 1073741824, \"available\": 0}}]},"
	" \"processors\": {\"service\": 0.25, \"guests\": 1.5},"
	" \"cards\": ["
	"  {\"name\": \"eth1\", \"up\": true, \"speed_mbit\": 1000,"
	"   \"transmit\": [null, 0, 62500000, 125000000],"
	"   \"receive\": [0, 0, 0, 125000]},"
	"  {\"name\": \"eth0\", \"up\": false, \"speed_mbit\": null,"
	"   \"transmit\": [0, 0, 0, 0], \"receive\": [0, 0, 0, null]}],"
	" \"jobs\": ["
	"  {\"machine\": \"old\", \"role\": \"source\", \"peer\": \"beta\","
	"   \"state\": \"failed\", \"started\": 100, \"ended\": 112,"
	"   \"error\": \"beta is away\", \"queue\": null},"
	"  {\"machine\": \"web\", \"role\": \"source\", \"peer\": \"beta\","
	"   \"state\": \"running\", \"stage\": \"pre-copy\", \"queue\": null,"
	"   \"limit\": 62500000, \"progress\": {\"percent\": 50,"
	"   \"rate\": 104857600, \"remaining\": 2147483648,"
	"   \"dirty_rate\": 1048576, \"time_left_ms\": 20000,"
	"   \"time_left_least_ms\": 18000, \"time_left_most_ms\": 25000,"
	"   \"downtime_estimate_ms\": 40, \"sure\": \"fair\","
	"   \"ends\": \"converges\", \"throttle\": 0, \"outage\": false}},"
	"  {\"machine\": \"db\", \"role\": \"destination\", \"peer\": "
	"\"gamma\","
	"   \"state\": \"running\", \"stage\": \"pre-copy\", \"queue\": null,"
	"   \"progress\": {\"percent\": 10, \"rate\": 209715200,"
	"   \"outage\": true}},"
	"  {\"machine\": \"later\", \"role\": \"source\", \"peer\": \"beta\","
	"   \"state\": \"running\", \"stage\": \"waiting\", \"priority\": 50,"
	"   \"queue\": {\"place\": 1, \"of\": 1,"
	"    \"why\": \"beta takes one at a time\"}}]}";

struct view {
	json_t *seen;
	struct top_state s;
	struct page p;
};

static void make(struct view *v, const char *text)
{
	json_error_t why;

	*v = (struct view){ .seen = json_loads(text, 0, &why) };
	if (!v->seen)
		fail_msg("%s", why.text);
	v->s = (struct top_state){ .seen = v->seen,
				   .clock = "12:00:01",
				   .interval = 1 };
}

static size_t draw(struct view *v, int width, int rows)
{
	page_done(&v->p);
	v->p.width = width;
	v->p.ascii = true;
	return top_draw(&v->p, &v->s, rows);
}

static void drop(struct view *v)
{
	page_done(&v->p);
	json_decref(v->seen);
}

/* The count where there is none. */
static size_t find(const struct view *v, const char *begin)
{
	for (size_t i = 0; i < v->p.count; i++)
		if (!strncmp(v->p.lines[i].text, begin, strlen(begin)))
			return i;
	return v->p.count;
}

static const struct page_line *line_at(const struct view *v, const char *begin)
{
	size_t i = find(v, begin);

	if (i == v->p.count)
		fail_msg("no line begins with '%s'", begin);
	return &v->p.lines[i];
}

static const char *text_at(const struct view *v, const char *begin)
{
	return line_at(v, begin)->text;
}

static void contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in '%s'", part, text);
}

static void eighty_columns_show_what_matters(void **state)
{
	struct view v;

	(void)state;
	make(&v, seen_text);
	draw(&v, 80, 0);
	assert_string_equal(v.p.lines[0].text,
			    "drover top  alpha  12:00:01  every 1 s");
	assert_string_equal(v.p.lines[1].text,
			    "3 machines  2 moving  1 waiting");
	contains(v.p.lines[2].text, "memory left 20G of 64G");
	contains(v.p.lines[2].text, "of 16: guests 1.50  service 0.25");
	contains(text_at(&v, "CARD"), "full 1.0Gbit/s");
	/* Half of the link, then all of it; of what came, a thousandth. */
	assert_string_equal(text_at(&v, "eth1"),
			    "eth1        1.0G   1.0G [########]          _=#"
			    "   1.0M [--------]         ___. ");
	contains(text_at(&v, "eth0"), " DOWN      0 ");
	contains(text_at(&v, "web "),
		 "web          to beta      pre-copy    50%  100M  2.0G "
		 "    18s-25s    1.0M ");
	contains(text_at(&v, "  limited"),
		 "limited to 500Mbit/s; it converges, sure: fair");
	contains(text_at(&v, "  NO PATH"), "NO PATH to gamma");
	assert_int_equal(line_at(&v, "  NO PATH")->look, PAGE_ALARM);
	contains(text_at(&v, "later "), "to beta          1       50");
	contains(text_at(&v, "  beta takes"), "one at a time");
	contains(text_at(&v, "old "), "failed        12s");
	contains(text_at(&v, "  beta is away"), "away");
	drop(&v);
}

static void hosts_that_do_not_answer_are_called_old(void **state)
{
	struct view v;

	(void)state;
	make(&v, seen_text);
	draw(&v, 80, 0);
	contains(text_at(&v, "alpha *"), "3   1.0G    64G   50%");
	contains(text_at(&v, "  it is drained"), "drained");
	contains(text_at(&v, "beta "), "7     0B   1.0G    0% OLD");
	assert_int_equal(line_at(&v, "beta ")->look, PAGE_FAINT);
	assert_int_equal(line_at(&v, "  is not heard")->look, PAGE_ALARM);
	drop(&v);
}

static void no_line_is_wider_or_there_are_more_at_any_size(void **state)
{
	struct view v;

	(void)state;
	make(&v, seen_text);
	for (int help = 0; help < 2; help++)
		for (int width = 1; width < 420; width += 1 + width / 20)
			for (int rows = 1; rows < 60; rows += 1 + rows / 8) {
				v.s.help = help;
				v.s.old = rows % 2 ? "of 12:00:00: away" : NULL;
				draw(&v, width, rows);
				assert_int_equal(v.p.count, rows);
				for (size_t i = 0; i < v.p.count; i++)
					if (v.p.lines[i].columns > width)
						fail_msg("%d x %d: '%s'", width,
							 rows,
							 v.p.lines[i].text);
			}
	drop(&v);
}

static void a_narrow_one_keeps_machine_share_phase_and_time(void **state)
{
	struct view v;

	(void)state;
	make(&v, seen_text);
	draw(&v, 40, 0);
	assert_string_equal(text_at(&v, "web "),
			    "web          pre-copy    50%     18s-25s");
	contains(text_at(&v, "eth1"), "1.0G   1.0G ");
	drop(&v);
}

static void a_wide_one_has_a_bar(void **state)
{
	struct view v;

	(void)state;
	make(&v, seen_text);
	draw(&v, 200, 0);
	contains(text_at(&v, "web "), "  40ms [####################---");
	contains(text_at(&v, "web "), "to beta");
	drop(&v);
}

static void sorted_as_asked(void **state)
{
	static const struct {
		enum top_sort by;
		bool reverse;
		const char *job, *card; /* the first */
	} rows[] = {
		{ TOP_BY_NAME, false, "db ", "eth0" },
		{ TOP_BY_NAME, true, "web ", "eth1" },
		{ TOP_BY_RATE, false, "db ", "eth1" },
		{ TOP_BY_RATE, true, "web ", "eth0" },
		/* Of db it is not known. */
		{ TOP_BY_LEFT, false, "web ", "eth0" },
	};
	struct view v;

	(void)state;
	make(&v, seen_text);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		v.s.sort = rows[i].by;
		v.s.reverse = rows[i].reverse;
		draw(&v, 80, 0);
		assert_int_equal(find(&v, rows[i].job), find(&v, "MOVE") + 1);
		assert_int_equal(find(&v, rows[i].card), find(&v, "CARD") + 1);
	}
	drop(&v);
}

static void what_has_no_room_is_scrolled_to(void **state)
{
	struct view v;
	size_t end;

	(void)state;
	make(&v, seen_text);
	end = draw(&v, 80, 10);
	contains(v.p.lines[9].text, "more below");
	assert_int_equal(find(&v, "  is not heard"), v.p.count);
	v.s.first = end + 100;
	assert_int_equal(draw(&v, 80, 10), end);
	assert_int_equal(find(&v, "  is not heard"), 8);
	assert_null(strstr(v.p.lines[9].text, "more below"));
	contains(v.p.lines[0].text, "drover top");
	drop(&v);
}

static void what_is_old_says_so(void **state)
{
	struct view v;

	(void)state;
	make(&v, seen_text);
	v.s.old = "of 12:00:00: droverd is away";
	draw(&v, 80, 24);
	assert_string_equal(v.p.lines[3].text,
			    "OLD: of 12:00:00: droverd is away");
	assert_int_equal(v.p.lines[3].look, PAGE_ALARM);
	assert_int_equal(line_at(&v, "eth1")->look, PAGE_FAINT);
	drop(&v);
}

static void bytes_on_request(void **state)
{
	struct view v;

	(void)state;
	make(&v, seen_text);
	v.s.bytes = true;
	draw(&v, 80, 0);
	contains(text_at(&v, "CARD"), "full 119MB/s");
	contains(text_at(&v, "eth1"), "119M");
	drop(&v);
}

static void nothing_from_outside_reaches_the_terminal_raw(void **state)
{
	struct view v;

	(void)state;
	make(&v, "{\"host\": {\"name\": \"a\\u001b[2Jb\"}, \"cards\": [],"
		 " \"jobs\": [{\"machine\": \"m\\u00e4\\u0007\","
		 " \"state\": \"running\", \"error\": \"x\\ny\"}]}");
	draw(&v, 80, 24);
	contains(v.p.lines[0].text, "a?[2Jb");
	contains(text_at(&v, "m???"), "m???");
	contains(text_at(&v, "  x?y"), "x?y");
	drop(&v);
}

/* A service of before, or of after, or one that answers nonsense. */
static void what_is_missing_is_a_dash(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"{\"host\": [], \"cards\": {}, \"jobs\": 7}",
		"{\"cards\": [1, null, {\"transmit\": 3}], \"jobs\": [null, "
		"{}, {\"queue\": {}}, {\"progress\": [], \"state\": 4}]}",
	};
	struct view v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		make(&v, texts[i]);
		draw(&v, 80, 24);
		assert_int_equal(v.p.count, 24);
		contains(v.p.lines[0].text, "drover top  -");
		drop(&v);
	}
}

static void a_past_has_gaps_and_what_is_little_is_seen(void **state)
{
	static const double shares[] = { 0, 0.001, 0.5, 1, 7, NAN, -1 };
	static const char *const with[] = { "_.=## _", "▁▂▅██ ▁" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct page p = { .width = 80, .ascii = i == 0 };

		page_line(&p, PAGE_PLAIN);
		for (size_t n = 0; n < ARRAY_SIZE(shares); n++)
			page_height(&p, shares[n]);
		assert_string_equal(p.lines[0].text, with[i]);
		assert_int_equal(p.lines[0].columns, 7);
		page_bar(&p, 6, 0.5);
		page_bar(&p, 6, NAN);
		page_bar(&p, 6, 70);
		contains(p.lines[0].text, "[##--][----][####]");
		page_done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eighty_columns_show_what_matters),
		cmocka_unit_test(hosts_that_do_not_answer_are_called_old),
		cmocka_unit_test(
			no_line_is_wider_or_there_are_more_at_any_size),
		cmocka_unit_test(
			a_narrow_one_keeps_machine_share_phase_and_time),
		cmocka_unit_test(a_wide_one_has_a_bar),
		cmocka_unit_test(sorted_as_asked),
		cmocka_unit_test(what_has_no_room_is_scrolled_to),
		cmocka_unit_test(what_is_old_says_so),
		cmocka_unit_test(bytes_on_request),
		cmocka_unit_test(nothing_from_outside_reaches_the_terminal_raw),
		cmocka_unit_test(what_is_missing_is_a_dash),
		cmocka_unit_test(a_past_has_gaps_and_what_is_little_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
