/* SPDX-License-Identifier: MIT */

/* What drover draws and prints, as strings. */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/output.h"
#include "cmd/progress.h"

static json_t *job_of(const char *text)
{
	json_error_t why;
	json_t *j = json_loads(text, 0, &why);

	if (!j)
		fail_msg("%s", why.text);
	return j;
}

static json_t *copying(double percent, double bytes, double rate, int round,
		       double left_ms)
{
	return json_pack("{s:s, s:s, s:s, s:{s:f, s:f, s:f, s:i, s:f, s:f, "
			 "s:f, s:f, s:f, s:b}}",
			 "machine", "web1", "peer", "beta", "stage", "pre-copy",
			 "progress", "percent", percent, "bytes_sent", bytes,
			 "rate", rate, "round", round, "dirty_rate", rate / 2,
			 "time_left_ms", left_ms, "time_left_least_ms",
			 left_ms * 0.9, "time_left_most_ms", left_ms * 1.2,
			 "downtime_estimate_ms", left_ms / 10, "outage", 0);
}

static void the_line_fits_every_width_whatever_the_figures(void **state)
{
	static const double figures[] = {
		-1,  0,   0.4,  1,   999,  999.6, 1023,  1024,  59e3,
		1e5, 6e5, 36e5, 1e9, 1e12, 1e18,  1e300, 99.96, 1048575,
	};
	char line[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		json_t *job = copying(figures[i], figures[i], figures[i],
				      (int)i * 7, figures[i]);

		for (int width = 1; width < 300; width++) {
			progress_line(line, sizeof(line), job, width);
			if ((int)strlen(line) >= width)
				fail_msg("%d columns: '%s'", width, line);
		}
		json_decref(job);
	}
}

static void eighty_columns_show_all_but_the_round(void **state)
{
	json_t *job = copying(47, 2254857830.0, 118 << 20, 3, 130000);
	char line[512];

	(void)state;
	progress_line(line, sizeof(line), job, 80);
	assert_string_equal(line, "[######--------]  47%  2.1G  118M/s  dirty  "
				  "59M/s  left 1m57s-2m36s  down   13s");
	progress_line(line, sizeof(line), job, 90);
	assert_non_null(strstr(line, "round  3  dirty"));
	json_decref(job);
}

static void a_rate_that_is_not_measured_yet_is_not_told(void **state)
{
	json_t *job = copying(7, 2254857830.0, 118 << 20, 1, 130000);
	char line[512];

	(void)state;
	json_object_set_new(json_object_get(job, "progress"), "dirty_rate",
			    json_integer(0));
	progress_line(line, sizeof(line), job, 90);
	assert_non_null(strstr(line, "round  1  dirty    ?/s"));
	json_decref(job);
}

static void what_may_not_end_is_told(void **state)
{
	json_t *job = copying(47, 2e9, 1e8, 3, 130000);
	json_t *p = json_object_get(job, "progress");
	char line[512];

	(void)state;
	json_object_set_new(p, "time_left_most_ms", json_null());
	progress_line(line, sizeof(line), job, 90);
	assert_non_null(strstr(line, "left     1m57s-?"));
	json_object_set_new(p, "ends", json_string("never"));
	progress_line(line, sizeof(line), job, 90);
	assert_non_null(strstr(line, "left       never"));
	json_decref(job);
}

/* As a service of before has it. */
static void a_time_without_a_range_is_told_alone(void **state)
{
	json_t *job = copying(47, 2e9, 1e8, 3, 130000);
	json_t *p = json_object_get(job, "progress");
	char line[512];

	(void)state;
	json_object_del(p, "time_left_least_ms");
	json_object_del(p, "time_left_most_ms");
	progress_line(line, sizeof(line), job, 90);
	assert_non_null(strstr(line, "left       2m10s"));
	json_decref(job);
}

static void the_bar_keeps_its_width_from_stage_to_stage(void **state)
{
	static const char *const stages[] = { "check", "pre-copy", "switchover",
					      "done" };
	json_t *job = copying(50, 1e9, 1e8, 3, 1000);
	char line[512];

	(void)state;
	for (int width = 20; width < 200; width++) {
		size_t first = 0;

		for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
			json_object_set_new(job, "stage",
					    json_string(stages[i]));
			progress_line(line, sizeof(line), job, width);
			if (i == 0)
				first = strcspn(line, "]");
			else
				assert_int_equal(strcspn(line, "]"), first);
		}
	}
	json_decref(job);
}

static void a_narrow_line_keeps_per_cent_and_time_left(void **state)
{
	json_t *job = copying(47, 2e9, 1e8, 3, 130000);
	char line[512];

	(void)state;
	progress_line(line, sizeof(line), job, 45);
	assert_non_null(strstr(line, "47%"));
	assert_non_null(strstr(line, "left 1m57s-2m36s"));
	assert_null(strstr(line, "dirty"));
	progress_line(line, sizeof(line), job, 6);
	assert_string_equal(line, " 47%");
	json_decref(job);
}

static void an_outage_is_said(void **state)
{
	json_t *job = copying(47, 2e9, 1e8, 3, 130000);
	char line[512];

	(void)state;
	json_object_set_new(json_object_get(job, "progress"), "outage",
			    json_true());
	progress_line(line, sizeof(line), job, 80);
	assert_non_null(strstr(line, "no path to beta, waiting"));
	json_decref(job);
}

static void unknown_estimates_are_question_marks(void **state)
{
	json_t *job = copying(47, 2e9, 1e8, 3, 130000);
	char line[512];

	(void)state;
	json_object_set_new(json_object_get(job, "progress"), "time_left_ms",
			    json_null());
	json_object_set_new(json_object_get(job, "progress"),
			    "time_left_least_ms", json_null());
	progress_plain(line, sizeof(line), job);
	assert_non_null(strstr(line, "web1:  47%"));
	assert_non_null(strstr(line, "left           ?"));
	json_decref(job);
}

static void a_job_without_progress_does_no_harm(void **state)
{
	json_t *empty = job_of("{}"), *odd = job_of("{\"progress\":7,"
						    "\"stage\":[]}");
	char line[64];

	(void)state;
	progress_line(line, sizeof(line), empty, 80);
	assert_non_null(strstr(line, "0%"));
	progress_line(line, sizeof(line), odd, 80);
	assert_non_null(strstr(line, "0%"));
	progress_plain(line, sizeof(line), empty);
	json_decref(empty);
	json_decref(odd);
}

static void short_quantities_have_at_most_five_columns(void **state)
{
	static const struct {
		double bytes;
		const char *text;
	} sizes[] = {
		{ 0, "0B" },
		{ -5, "0B" },
		{ 999, "999B" },
		{ 1000, "1.0K" },
		{ 1024, "1.0K" },
		{ 10 * 1024, "10K" },
		{ 118.0 * (1 << 20), "118M" },
		{ 1023.0 * (1 << 20), "1.0G" },
		{ 2254857830.0, "2.1G" },
	};
	static const struct {
		double ms;
		const char *text;
	} times[] = {
		{ -1, "0ms" },        { 0, "0ms" },        { 84, "84ms" },
		{ 999, "999ms" },     { 999.7, "1.0s" },   { 9900, "9.9s" },
		{ 9970, "10s" },      { 99000, "99s" },    { 130000, "2m10s" },
		{ 599000, "9m59s" },  { 600000, "10m" },   { 5999000, "99m" },
		{ 7500000, "2h05m" }, { 36000000, "10h" }, { 1e300, ">100h" },
		{ DBL_MAX, ">100h" }, { 3e8, "83h" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		progress_bytes(buf, sizeof(buf), sizes[i].bytes);
		assert_string_equal(buf, sizes[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		progress_time(buf, sizeof(buf), times[i].ms);
		assert_string_equal(buf, times[i].text);
	}
	for (double v = 1; v < 1e15; v *= 1.01) {
		progress_bytes(buf, sizeof(buf), v);
		assert_in_range(strlen(buf), 2, 4);
		progress_time(buf, sizeof(buf), v);
		assert_in_range(strlen(buf), 3, 5);
	}
}

static const char done_job[] =
	"{\"id\":\"3f9a12cd\",\"kind\":\"move\",\"role\":\"source\","
	"\"machine\":\"web1\",\"peer\":\"beta\",\"state\":\"done\","
	"\"report\":{\"total_ms\":36400,\"downtime_ms\":84,"
	"\"pause\":{\"last_pass_ms\":24,\"backlog_ms\":21,\"device_ms\":0,"
	"\"load_ms\":34,\"commit_ms\":3,\"cont_ms\":2},\"setup_ms\":210,"
	"\"rounds\":1,\"bytes\":{\"zero\":2147483648,\"raw\":3221225472,"
	"\"stream\":4194304,\"wire\":1258291200,\"resent\":0,"
	"\"duplicates\":0},\"rate\":123731968,\"mode_asked\":\"tcp\","
	"\"mode_got\":\"tcp\",\"paths\":[{\"from_nic\":\"eth0\","
	"\"from\":\"10.0.0.1\",\"to_nic\":\"eth1\",\"to\":\"10.0.0.2\","
	"\"network\":0,\"speed_mbit\":1000,\"state\":\"used\","
	"\"connections_asked\":4,\"connections\":3,\"bytes\":1048576,"
	"\"received\":7,\"rate\":1024,\"retransmissions\":1,\"drops\":2,"
	"\"why\":\"it broke\",\"flows\":null,\"channels\":[]},"
	"{\"from_nic\":\"eth2\",\"from\":\"10.2.0.1\",\"to_nic\":\"eth3\","
	"\"to\":\"10.2.0.2\",\"network\":1,\"speed_mbit\":null,"
	"\"state\":\"spare\",\"connections_asked\":0,\"connections\":0,"
	"\"bytes\":0,\"received\":0,\"rate\":0,\"retransmissions\":0,"
	"\"drops\":0,\"why\":\"one is enough\",\"flows\":null,"
	"\"channels\":[]}],\"cards\":[{\"side\":\"here\",\"nic\":\"lo\","
	"\"why\":\"lo never leaves\"},{\"side\":\"there\",\"nic\":\"eth9\","
	"\"why\":\"no route\"}],"
	"\"reasons\":[\"first\",\"second\"]}}";

static void the_report_is_this_text(void **state)
{
	static const char want[] =
		"web1 moved to beta.\n"
		"Total time      36.4 s in 1 round, set-up 210 ms\n"
		"Downtime        84 ms: last pass 24 ms, backlog 21 ms, device "
		"state 0 ms, load\n"
		"                34 ms, commit 3 ms, cont 2 ms\n"
		"Bytes              2.0 GiB  zero pages\n"
		"                   3.0 GiB  other pages\n"
		"                   4.0 MiB  device state and the rest of "
		"QEMU's stream\n"
		"                   1.2 GiB  on the wire\n"
		"                       0 B  of that, sent again after a path "
		"failed\n"
		"                       0 B  received twice and dropped\n"
		"Rate            118 MiB/s\n"
		"Ratio           4.27 bytes of guest memory for one on the "
		"wire\n"
		"Mode            tcp\n"
		"Paths           eth0 10.0.0.1 to eth1 10.0.0.2\n"
		"                  3 of 4 connections, 1.0 MiB sent, "
		"1.0 KiB/s, 1 retransmission,\n"
		"                  2 drops\n"
		"                  it broke\n"
		"Not used        eth2 10.2.0.1 to eth3 10.2.0.2: one is "
		"enough\n"
		"                here: lo never leaves\n"
		"                there: eth9: no route\n"
		"Reasons         first\n"
		"                second\n";
	json_t *job = job_of(done_job);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	report_print(f, job);
	fclose(f);
	assert_string_equal(text, want);
	free(text);
	json_decref(job);
}

static void a_job_without_a_report_prints_nothing(void **state)
{
	json_t *job = job_of("{\"report\":null}");
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	report_print(f, job);
	fclose(f);
	assert_int_equal(len, 0);
	free(text);
	json_decref(job);
}

static void long_text_wraps_between_words(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	output_wrapped(f, "Why", 6, "one two  three averyveryverylongword x",
		       16);
	fclose(f);
	assert_string_equal(text, "Why   one two\n"
				  "      three\n"
				  "      averyveryverylongword\n"
				  "      x\n");
	free(text);
}

static void empty_text_is_a_line_with_its_title(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	output_wrapped(f, "Why", 6, "", 16);
	fclose(f);
	assert_string_equal(text, "Why   \n");
	free(text);
}

static void lists_that_are_too_long_are_cut(void **state)
{
	json_t *list = json_array();
	char cell[OUTPUT_CELL];

	(void)state;
	for (int i = 0; i < 100; i++)
		json_array_append_new(list, json_string("10.0.0.1"));
	format_list(cell, list);
	assert_int_equal(strlen(cell), OUTPUT_CELL - 1);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_line_fits_every_width_whatever_the_figures),
		cmocka_unit_test(eighty_columns_show_all_but_the_round),
		cmocka_unit_test(what_may_not_end_is_told),
		cmocka_unit_test(a_time_without_a_range_is_told_alone),
		cmocka_unit_test(a_rate_that_is_not_measured_yet_is_not_told),
		cmocka_unit_test(the_bar_keeps_its_width_from_stage_to_stage),
		cmocka_unit_test(a_narrow_line_keeps_per_cent_and_time_left),
		cmocka_unit_test(an_outage_is_said),
		cmocka_unit_test(unknown_estimates_are_question_marks),
		cmocka_unit_test(a_job_without_progress_does_no_harm),
		cmocka_unit_test(short_quantities_have_at_most_five_columns),
		cmocka_unit_test(the_report_is_this_text),
		cmocka_unit_test(a_job_without_a_report_prints_nothing),
		cmocka_unit_test(long_text_wraps_between_words),
		cmocka_unit_test(empty_text_is_a_line_with_its_title),
		cmocka_unit_test(lists_that_are_too_long_are_cut),
	};

	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
