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
#include "scratch.h"

static char folder[SCRATCH_CAP], inner[80];

static int fresh(void **state)
{
	(void)state;
	scratch_folder(folder);
	snprintf(inner, sizeof(inner), "%s/journal", folder);
	return 0;
}

static struct journal_entry entry(const char *job)
{
	struct journal_entry j = { .role = ROLE_SOURCE, .machine = "web1" };

	snprintf(j.job, sizeof(j.job), "%s", job);
	return j;
}

static void write_entry(const char *job, enum journal_step step)
{
	struct journal_entry j = entry(job);
	struct error e;

	assert_int_equal(journal_write(folder, &j, step, &e), 0);
}

static char *text_of(const char *name)
{
	char path[128];
	char *text = NULL;
	size_t cap = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", inner, name);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_true(getdelim(&text, &cap, '\0', f) > 0);
	fclose(f);
	return text;
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
	struct journal_entries all = { 0 };
	struct journal_entry found;
	struct error e;

	(void)state;
	write_entry("0a", STEP_PREPARE);
	write_entry("0b", STEP_PREPARE);
	write_entry("0a", STEP_COMMIT);
	assert_int_equal(journal_find(folder, "0a", ROLE_SOURCE, &found, &e),
			 0);
	assert_int_equal(found.step, STEP_COMMIT);
	assert_string_equal(found.machine, "web1");
	assert_int_equal(journal_read(folder, &all, &e), 0);
	assert_int_equal(all.count, 2);
	/* Whatever the order of the folder. */
	assert_string_equal(all.at[0].job, "0a");
	journal_entries_done(&all);
}

static void a_removed_entry_is_gone(void **state)
{
	struct journal_entry found;
	struct error e;

	(void)state;
	write_entry("0a", STEP_PREPARE);
	assert_int_equal(journal_remove(folder, "0a", ROLE_SOURCE, &e), 0);
	assert_int_equal(journal_remove(folder, "0a", ROLE_SOURCE, &e), 0);
	assert_int_equal(journal_find(folder, "0a", ROLE_SOURCE, &found, &e),
			 -ENOENT);
}

static void a_record_is_no_entry(void **state)
{
	struct journal_entry j = entry("0a"), found;
	struct error e;

	(void)state;
	write_entry("0a", STEP_PREPARE);
	assert_int_equal(journal_conclude(folder, &j, STEP_ABORTED, &e), 0);
	assert_int_equal(journal_find(folder, "0a", ROLE_SOURCE, &found, &e),
			 -ENOENT);
	assert_int_equal(journal_find_record(folder, "0a", ROLE_SOURCE, &found,
					     &e),
			 0);
	assert_int_equal(found.step, STEP_ABORTED);
}

/* As the last release writes them, and reads them. */
#define OF_SOURCE \
	"{\n" \
	"  \"job\": \"3f9a12cd\",\n" \
	"  \"role\": \"source\",\n" \
	"  \"machine\": \"web1\",\n" \
	"  \"peer\": \"beta\",\n" \
	"  \"was_running\": true,\n" \
	"  \"paused\": false,\n" \
	"  \"guest\": \"b1-7-99\",\n" \
	"  \"step\": \"commit\"\n" \
	"}"
#define OF_DESTINATION \
	"{\n" \
	"  \"job\": \"3f9a12cd\",\n" \
	"  \"role\": \"destination\",\n" \
	"  \"machine\": \"web1\",\n" \
	"  \"peer\": \"alpha\",\n" \
	"  \"definition\": \"memory = 4G\\n\",\n" \
	"  \"paused\": true,\n" \
	"  \"guest\": \"b1-7-99\",\n" \
	"  \"pid\": 4711,\n" \
	"  \"start_time\": 123456789012,\n" \
	"  \"qemu\": \"b2-4711-123456789012\",\n" \
	"  \"step\": \"committed\"\n" \
	"}"

static void what_the_last_release_wrote_is_read(void **state)
{
	struct journal_entry found;
	struct error e;

	(void)state;
	write_file("3f9a12cd.source.json", OF_SOURCE);
	write_file("3f9a12cd.destination.json", OF_DESTINATION);
	assert_int_equal(journal_find(folder, "3f9a12cd", ROLE_SOURCE, &found,
				      &e),
			 0);
	assert_int_equal(found.step, STEP_COMMIT);
	assert_string_equal(found.peer, "beta");
	assert_string_equal(found.guest, "b1-7-99");
	assert_true(found.was_running && !found.paused);
	assert_int_equal(found.pid, 0);
	assert_null(found.definition);

	assert_int_equal(journal_find(folder, "3f9a12cd", ROLE_DESTINATION,
				      &found, &e),
			 0);
	assert_int_equal(found.step, STEP_COMMITTED);
	assert_int_equal(found.pid, 4711);
	assert_int_equal(found.start_time, 123456789012);
	assert_string_equal(found.qemu, "b2-4711-123456789012");
	assert_string_equal(found.definition, "memory = 4G\n");
	assert_true(found.paused);
	journal_entry_done(&found);
}

/* Every field of it that was set, and none that would say what is not known. */
static void the_last_release_reads_what_is_written(void **state)
{
	static const char *const lines[] = {
		"\"job\": \"0a\"",
		"\"role\": \"destination\"",
		"\"step\": \"prepare\"",
		"\"machine\": \"web1\"",
		"\"peer\": \"alpha\"",
		"\"paused\": true",
		"\"guest\": \"b1-7-99\"",
		"\"qemu\": \"b2-4711-5\"",
		"\"pid\": 4711",
		"\"start_time\": 5",
		"\"definition\": \"memory = 4G\\n\"",
	};
	static char definition[] = "memory = 4G\n";
	struct journal_entry j = entry("0a");
	struct error e;
	char *text;

	(void)state;
	assert_int_equal(journal_write(folder, &j, STEP_PREPARE, &e), 0);
	text = text_of("0a.source.json");
	assert_null(strstr(text, "guest"));
	assert_null(strstr(text, "pid"));
	free(text);
	j = (struct journal_entry){ .job = "0a",
				    .role = ROLE_DESTINATION,
				    .machine = "web1",
				    .peer = "alpha",
				    .paused = true,
				    .guest = "b1-7-99",
				    .qemu = "b2-4711-5",
				    .pid = 4711,
				    .start_time = 5,
				    .definition = definition };
	assert_int_equal(journal_write(folder, &j, STEP_PREPARE, &e), 0);
	text = text_of("0a.destination.json");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_non_null(strstr(text, lines[i]));
	free(text);
}

static void a_file_without_a_role_in_its_name_gets_one(void **state)
{
	struct journal_entries all = { 0 };
	struct journal_entry found;
	struct error e;

	(void)state;
	write_file("3f9a12cd.json", OF_SOURCE);
	assert_int_equal(journal_read(folder, &all, &e), 0);
	assert_int_equal(all.count, 1);
	journal_entries_done(&all);
	assert_int_equal(journal_find(folder, "3f9a12cd", ROLE_SOURCE, &found,
				      &e),
			 0);
}

static void no_folder_is_an_empty_journal(void **state)
{
	struct journal_entries all = { 0 };
	struct error e;

	(void)state;
	assert_int_equal(journal_read(folder, &all, &e), 0);
	assert_int_equal(all.count, 0);
}

static void a_journal_that_cannot_be_read_is_not_an_empty_one(void **state)
{
	FILE *f = fopen(inner, "we"); /* a file where the folder belongs */
	struct journal_entries all;
	struct error e;

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
		"{\"job\": \"0a\", \"step\": \"commit\"}",
		"{\"job\": \"0a\", \"role\": \"source\"}",
		"{\"job\": \"0a\", \"role\": \"source\", "
		"\"step\": \"dance\"}",
		"{\"job\": 7, \"role\": \"source\", "
		"\"step\": \"commit\"}",
		"{\"job\": \"0a\", \"role\": \"guest\", "
		"\"step\": \"commit\"}",
		"{\"job\": \"0a\", \"role\": \"destination\", "
		"\"step\": \"commit\", \"pid\": \"7\"}",
	};
	struct journal_entries all;
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file("0a.json", wrong[i]);
		assert_int_equal(journal_read(folder, &all, &e), -EBADMSG);
		assert_non_null(strstr(e.text, "0a.json"));
		assert_non_null(strstr(e.text, "look into it"));
	}
}

static void half_written_files_are_not_read(void **state)
{
	struct journal_entries all = { 0 };
	struct error e;

	(void)state;
	write_file(".0a.json.new", "{\"jo");
	write_file("notes.txt", "by hand");
	assert_int_equal(journal_read(folder, &all, &e), 0);
	assert_int_equal(all.count, 0);
}

static void a_disk_that_fills_up_leaves_the_old_entry(void **state)
{
	const struct rlimit small = { 20, RLIM_INFINITY };
	struct journal_entry j = entry("0a"), found;
	struct rlimit before;
	struct error e;
	int r;

	(void)state;
	write_entry("0a", STEP_PREPARE);
	getrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	errno = 0;
	r = journal_write(folder, &j, STEP_COMMIT, &e);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(r, -EFBIG);
	assert_non_null(strstr(e.text, "File too large"));
	assert_int_equal(journal_find(folder, "0a", ROLE_SOURCE, &found, &e),
			 0);
	assert_int_equal(found.step, STEP_PREPARE);
}

#define journal_test(f) cmocka_unit_test_setup(f, fresh)

static void what_was_not_finished_is_removed(void **state)
{
	struct journal_entries all = { 0 };
	char aside[128], whole[128];
	struct error e;

	(void)state;
	write_entry("b1", STEP_PREPARE);
	write_file(".b2.json.new", "{\"job\"");
	snprintf(aside, sizeof(aside), "%s/.b2.json.new", inner);
	snprintf(whole, sizeof(whole), "%s/b1.source.json", inner);
	folder_remove_unfinished(inner);
	assert_int_equal(access(aside, F_OK), -1);
	assert_int_equal(access(whole, F_OK), 0);
	assert_int_equal(journal_read(folder, &all, &e), 0);
	assert_int_equal(all.count, 1);
	journal_entries_done(&all);
	folder_remove_unfinished("/nonexistent/folder");
}

static void what_is_prepared_counts_when_it_is_published(void **state)
{
	struct journal_entry j = entry("two"), found = { .pid = 0 };
	struct error e;

	(void)state;
	write_entry("two", STEP_PREPARE);
	assert_int_equal(journal_prepare(folder, &j, STEP_COMMIT, &e), 0);
	assert_int_equal(journal_find(folder, "two", ROLE_SOURCE, &found, &e),
			 0);
	assert_int_equal(found.step, STEP_PREPARE);
	journal_entry_done(&found);
	assert_int_equal(journal_publish(folder, &j, STEP_COMMIT, &e), 0);
	assert_int_equal(j.step, STEP_COMMIT);
	assert_int_equal(journal_find(folder, "two", ROLE_SOURCE, &found, &e),
			 0);
	assert_int_equal(found.step, STEP_COMMIT);
	assert_string_equal(found.machine, "web1");
	journal_entry_done(&found);
}

static void a_start_and_a_removal_take_away_what_is_only_prepared(void **state)
{
	struct journal_entry j = entry("three");
	struct error e;

	(void)state;
	write_entry("three", STEP_PREPARE);
	assert_int_equal(journal_prepare(folder, &j, STEP_COMMIT, &e), 0);
	folder_remove_unfinished(inner);
	assert_int_equal(journal_publish(folder, &j, STEP_COMMIT, &e), -ENOENT);
	assert_int_equal(journal_prepare(folder, &j, STEP_COMMIT, &e), 0);
	assert_int_equal(journal_remove(folder, "three", ROLE_SOURCE, &e), 0);
	assert_int_equal(journal_publish(folder, &j, STEP_COMMIT, &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		journal_test(an_entry_is_found_as_it_was_written_last),
		journal_test(a_removed_entry_is_gone),
		journal_test(a_record_is_no_entry),
		journal_test(what_the_last_release_wrote_is_read),
		journal_test(the_last_release_reads_what_is_written),
		journal_test(a_file_without_a_role_in_its_name_gets_one),
		journal_test(no_folder_is_an_empty_journal),
		journal_test(a_journal_that_cannot_be_read_is_not_an_empty_one),
		journal_test(what_is_no_entry_is_told_not_skipped),
		journal_test(half_written_files_are_not_read),
		journal_test(what_is_prepared_counts_when_it_is_published),
		journal_test(
			a_start_and_a_removal_take_away_what_is_only_prepared),
		journal_test(what_was_not_finished_is_removed),
		journal_test(a_disk_that_fills_up_leaves_the_old_entry),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
