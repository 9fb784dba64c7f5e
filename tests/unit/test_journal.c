/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "move/journal.h"

static char folder[64], inner[80];

static int fresh(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/drover-journal-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(inner, sizeof(inner), "%s/journal", folder);
	return 0;
}

static int gone(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static json_t *entry(const char *job)
{
	return json_pack("{s:s,s:s,s:s}", "job", job, "role", "source",
			 "machine", "web1");
}

static void write_entry(const char *job, enum journal_step step)
{
	json_t *j = entry(job);
	struct error e;

	assert_int_equal(journal_write(folder, j, step, &e), 0);
	json_decref(j);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	mkdir(inner, 0700);
	snprintf(path, sizeof(path), "%s/%s", inner, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void an_entry_is_found_as_it_was_written_last(void **state)
{
	struct error e;
	json_t *found;

	(void)state;
	write_entry("0a", STEP_PREPARE);
	write_entry("0b", STEP_PREPARE);
	write_entry("0a", STEP_COMMIT);
	assert_int_equal(journal_find(folder, "0a", "source", &found, &e), 0);
	assert_int_equal(journal_step_of(found), STEP_COMMIT);
	assert_string_equal(json_string_value(
				    json_object_get(found, "machine")),
			    "web1");
	json_decref(found);
	assert_int_equal(journal_read(folder, &found, &e), 0);
	assert_int_equal(json_array_size(found), 2);
	json_decref(found);
}

static void a_removed_entry_is_gone(void **state)
{
	struct error e;
	json_t *found;

	(void)state;
	write_entry("0a", STEP_PREPARE);
	assert_int_equal(journal_remove(folder, "0a", "source", &e), 0);
	assert_int_equal(journal_remove(folder, "0a", "source", &e), 0);
	assert_int_equal(journal_find(folder, "0a", "source", &found, &e),
			 -ENOENT);
}

static void no_folder_is_an_empty_journal(void **state)
{
	struct error e;
	json_t *all;

	(void)state;
	assert_int_equal(journal_read(folder, &all, &e), 0);
	assert_int_equal(json_array_size(all), 0);
	json_decref(all);
}

static void a_journal_that_cannot_be_read_is_not_an_empty_one(void **state)
{
	struct error e;
	json_t *all;
	FILE *f = fopen(inner, "we"); /* a file where the folder belongs */

	(void)state;
	assert_non_null(f);
	fclose(f);
	assert_true(journal_read(folder, &all, &e) < 0);
	assert_non_null(strstr(e.text, inner));
}

static void what_is_no_entry_is_told_not_skipped(void **state)
{
	static const char *const wrong[] = {
		"",
		"{",
		"[]",
		"{\"job\": \"0a\"}",
		"{\"step\": \"commit\"}",
		"{\"job\": \"0a\", \"step\": \"dance\"}",
		"{\"job\": 7, \"step\": \"commit\"}",
	};
	struct error e;
	json_t *all;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file("0a.json", wrong[i]);
		assert_int_equal(journal_read(folder, &all, &e), -EBADMSG);
		assert_non_null(strstr(e.text, "0a.json"));
	}
}

static void half_written_files_are_not_read(void **state)
{
	struct error e;
	json_t *all;

	(void)state;
	write_file(".0a.json.new", "{\"jo");
	write_file("notes.txt", "by hand");
	assert_int_equal(journal_read(folder, &all, &e), 0);
	assert_int_equal(json_array_size(all), 0);
	json_decref(all);
}

static void a_disk_that_fills_up_leaves_the_old_entry(void **state)
{
	const struct rlimit small = { 20, RLIM_INFINITY };
	struct rlimit before;
	struct error e;
	json_t *found, *j = entry("0a");
	int r;

	(void)state;
	write_entry("0a", STEP_PREPARE);
	getrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	errno = 0;
	r = journal_write(folder, j, STEP_COMMIT, &e);
	setrlimit(RLIMIT_FSIZE, &before);
	json_decref(j);
	assert_int_equal(r, -EFBIG);
	assert_non_null(strstr(e.text, "File too large"));
	assert_int_equal(journal_find(folder, "0a", "source", &found, &e), 0);
	assert_int_equal(journal_step_of(found), STEP_PREPARE);
	json_decref(found);
}

#define journal_test(f) cmocka_unit_test_setup_teardown(f, fresh, gone)

static void what_was_not_finished_is_removed(void **state)
{
	char aside[128], whole[128];
	struct error e;
	json_t *all;

	(void)state;
	write_entry("b1", STEP_PREPARE);
	write_file(".b2.json.new", "{\"job\"");
	snprintf(aside, sizeof(aside), "%s/.b2.json.new", inner);
	snprintf(whole, sizeof(whole), "%s/b1.source.json", inner);
	folder_remove_unfinished(inner);
	assert_int_equal(access(aside, F_OK), -1);
	assert_int_equal(access(whole, F_OK), 0);
	assert_int_equal(journal_read(folder, &all, &e), 0);
	assert_int_equal(json_array_size(all), 1);
	json_decref(all);
	folder_remove_unfinished("/nonexistent/folder");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		journal_test(an_entry_is_found_as_it_was_written_last),
		journal_test(a_removed_entry_is_gone),
		journal_test(no_folder_is_an_empty_journal),
		journal_test(a_journal_that_cannot_be_read_is_not_an_empty_one),
		journal_test(what_is_no_entry_is_told_not_skipped),
		journal_test(half_written_files_are_not_read),
		journal_test(what_was_not_finished_is_removed),
		journal_test(a_disk_that_fills_up_leaves_the_old_entry),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
