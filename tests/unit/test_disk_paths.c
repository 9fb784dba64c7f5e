/* SPDX-License-Identifier: MIT */

/* Where disks go that go with a machine: what may be asked, and what the other
 * host is told of the machine then. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "move/disk_paths.h"
#include "wire/description.h"

static struct words two(const char *one, const char *other)
{
	struct words w = { 0 };
	struct error e;

	assert_int_equal(words_add(&w, one, &e), 0);
	assert_int_equal(words_add(&w, other, &e), 0);
	return w;
}

static void test_what_is_asked_is_found_by_the_name(void **state)
{
	struct words asked = two("root=/srv/a=b.raw", "data=/srv/d.raw");
	struct error e;

	(void)state;
	assert_int_equal(disk_paths_check(&asked, &e), 0);
	assert_string_equal(disk_paths_find(&asked, "root"), "/srv/a=b.raw");
	assert_string_equal(disk_paths_find(&asked, "data"), "/srv/d.raw");
	assert_null(disk_paths_find(&asked, "roo"));
	assert_null(disk_paths_find(&asked, "root=/srv/a"));
	assert_null(disk_paths_find(NULL, "root"));
	words_done(&asked);
}

static void test_what_cannot_be_asked_is_refused(void **state)
{
	static const struct {
		const char *line, *says;
	} wrong[] = {
		{ "/srv/a.raw", "write NAME=PATH" },
		{ "=/srv/a.raw", "write NAME=PATH" },
		{ "a-name-that-is-longer-than-any=/srv/a", "write NAME=PATH" },
		{ "data=a.raw", "disk data cannot go to 'a.raw'" },
		{ "data=/srv/a,format=qcow2", "without ','" },
		{ "data=", "disk data cannot go to" },
		{ "root=/srv/b.raw", "disk root has two paths" },
	};
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct words asked = two("root=/srv/a.raw", wrong[i].line);

		assert_int_equal(disk_paths_check(&asked, &e), -EINVAL);
		if (!strstr(e.text, wrong[i].says))
			fail_msg("%s: %s", wrong[i].line, e.text);
		words_done(&asked);
	}
}

static void test_a_pool_and_a_folder_keep_the_files_name(void **state)
{
	static const struct {
		const char *where, *pool, *made;
	} known[] = {
		{ "fast:", "fast", NULL },
		{ "/srv/a.raw", "", "/srv/a.raw" },
		{ "/srv/fast/", "", "/srv/fast/web.raw" },
		{ "/srv/fast:", "", "/srv/fast:" },
		{ ":", "", NULL },
		{ "fast", "", NULL },
		{ "fa:st:", "", NULL },
		{ "fa/st:", "", NULL },
		{ "a-name-that-is-longer-than-any-section-of-a-file-of-"
		  "settings-has:",
		  "", NULL },
	};
	char pool[DISK_POOL_CAP];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		char *made = disk_paths_make(known[i].where, "/here/web.raw");

		disk_paths_pool(pool, known[i].where);
		assert_string_equal(pool, known[i].pool);
		if (known[i].made)
			assert_string_equal(made, known[i].made);
		free(made);
	}
}

static void test_the_other_host_hears_of_the_new_path_only(void **state)
{
	struct disk_description disks[] = { { .path = strdup("/srv/a.raw") },
					    { .path = strdup("/srv/b.raw") } };
	struct machine_description m = {
		.full_definition = strdup("[machine]\nname = web\n"
					  "memory = 64M\n"
					  "disk root = path=/srv/a.raw,"
					  "format=raw\n"),
		.definition = strdup(""),
		.disks = disks,
		.n_disks = ARRAY_SIZE(disks),
	};
	struct error e;

	(void)state;
	/* Of the arguments. */
	assert_int_equal(disk_paths_set(&m, "/srv/b.raw", "/c.raw", &e),
			 -EINVAL);
	assert_int_equal(disk_paths_set(&m, "/srv/a.raw", "/srv/b.raw", &e),
			 -EINVAL);
	assert_non_null(strstr(e.text, "another disk of the machine"));
	assert_int_equal(disk_paths_set(&m, "/srv/a.raw", "/c.raw", &e), 0);
	assert_string_equal(disks[0].path, "/c.raw");
	assert_string_equal(disks[1].path, "/srv/b.raw");
	assert_non_null(strstr(m.full_definition, "path=/c.raw,"));
	assert_null(strstr(m.full_definition, "/srv/a.raw"));
	/* In the words that every version knows. */
	assert_non_null(strstr(m.definition, "file.filename=/c.raw"));
	assert_null(strstr(m.definition, "disk root"));
	free(m.definition);
	free(m.full_definition);
	free(disks[0].path);
	free(disks[1].path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_asked_is_found_by_the_name),
		cmocka_unit_test(test_what_cannot_be_asked_is_refused),
		cmocka_unit_test(test_a_pool_and_a_folder_keep_the_files_name),
		cmocka_unit_test(
			test_the_other_host_hears_of_the_new_path_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
