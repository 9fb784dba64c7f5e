/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "host/pools.h"
#include "host/settings.h"

static char folder[] = "/tmp/drover-pools-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char path[80];

	(void)state;
	snprintf(path, sizeof(path), "%s/a.raw", folder);
	unlink(path);
	return rmdir(folder);
}

static struct settings *with_pool(const char *limit)
{
	struct settings *s;
	struct error e;
	char text[200];
	int n = snprintf(text, sizeof(text),
			 "[pool fast]\npath = %s\nlimit = %s\n", folder, limit);

	if (settings_parse(&s, "x", text, (size_t)n, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static void a_pool_is_a_folder_for_images(void **state)
{
	AUTO_SETTINGS struct settings *s = with_pool("64M");
	const struct pool *p = s->pools.at[0];

	(void)state;
	assert_int_equal(s->pools.count, 1);
	assert_string_equal(p->name, "fast");
	assert_int_equal(p->limit, 64 << 20);
	assert_true(words_have(&s->image_folders, folder));
	assert_true(words_have(&s->image_folders, "/srv"));
	assert_false(words_have(&s->host.image_directories, folder));
}

static void a_pool_without_a_good_path_is_refused(void **state)
{
	static const char *const bad[] = {
		"[pool fast]\nlimit = 1G\n",
		"[pool fast]\npath = srv\n",
		"[pool fast]\npath = /srv/../etc\n",
		"[pool fast]\npath = /srv\nlimit = much\n",
	};
	struct settings *s;
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(settings_parse(&s, "x", bad[i], strlen(bad[i]),
						&e),
				 -EINVAL);
}

static struct pool_need in_folder(const char *name, uint64_t bytes)
{
	static char paths[4][80];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return (struct pool_need){ path, bytes };
}

static void a_limit_counts_files_promises_and_the_disks_before(void **state)
{
	AUTO_SETTINGS struct settings *s = with_pool("1M");
	const struct pool_need promised = in_folder("p.raw", 512 << 10);
	struct pool_need need[] = { in_folder("b.raw", 256 << 10),
				    in_folder("c.raw", 256 << 10) };
	struct error e;

	(void)state;
	assert_int_equal(pools_check_room(&s->pools,
					  (struct pool_needs){ need, 2 },
					  (struct pool_needs){ &promised, 1 },
					  "beta", &e),
			 0);
	need[1].bytes++;
	assert_int_equal(pools_check_room(&s->pools,
					  (struct pool_needs){ need, 2 },
					  (struct pool_needs){ &promised, 1 },
					  "beta", &e),
			 -ENOSPC);
	assert_non_null(strstr(e.text, "the pool fast on beta"));
	assert_non_null(strstr(e.text, need[1].path));
}

static void what_lies_there_counts_against_the_limit(void **state)
{
	AUTO_SETTINGS struct settings *s = with_pool("1M");
	struct pool_need need = in_folder("b.raw", (1 << 20) - 4096);
	char data[8192], path[80];
	struct error e;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/a.raw", folder);
	f = fopen(path, "we");
	assert_non_null(f);
	memset(data, 1, sizeof(data));
	assert_int_equal(fwrite(data, 1, sizeof(data), f), sizeof(data));
	assert_int_equal(fflush(f) || fsync(fileno(f)), 0);
	fclose(f);
	assert_int_equal(pools_check_room(&s->pools,
					  (struct pool_needs){ &need, 1 },
					  (struct pool_needs){ NULL, 0 },
					  "beta", &e),
			 -ENOSPC);
}

/* Half of what is left is promised: more than the other half does not fit. */
static void what_is_promised_is_not_there_for_others(void **state)
{
	const struct ini_list none = { .count = 0 };
	struct pool_need promised, need;
	struct statvfs fs;
	uint64_t left;
	struct error e;

	(void)state;
	assert_int_equal(statvfs(folder, &fs), 0);
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	promised = in_folder("p.raw", left / 2);
	need = in_folder("b.raw", left / 4 * 3);
	assert_int_equal(pools_check_room(&none,
					  (struct pool_needs){ &need, 1 },
					  (struct pool_needs){ &promised, 1 },
					  "beta", &e),
			 -ENOSPC);
	assert_non_null(strstr(e.text, "are promised"));
	need.bytes = left / 4;
	assert_int_equal(pools_check_room(&none,
					  (struct pool_needs){ &need, 1 },
					  (struct pool_needs){ &promised, 1 },
					  "beta", &e),
			 0);
}

static void pools_come_first_and_no_folder_twice(void **state)
{
	AUTO_SETTINGS struct settings *s = with_pool("1G");
	char gone[] = "/nowhere/images";
	char *both[] = { folder, gone, NULL };
	const struct words directories = { both, 2 };
	struct pool_views v;
	struct error e;

	(void)state;
	assert_int_equal(pools_look(&v, &directories, &s->pools, &e), 0);
	assert_int_equal(v.count, 2);
	assert_string_equal(v.at[0].name, "fast");
	assert_int_equal(v.at[0].limit, 1 << 30);
	assert_true(v.at[0].there && v.at[0].size > 0);
	assert_string_equal(v.at[1].path, gone);
	assert_false(v.at[1].there);
	pool_views_done(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_is_a_folder_for_images),
		cmocka_unit_test(a_pool_without_a_good_path_is_refused),
		cmocka_unit_test(
			a_limit_counts_files_promises_and_the_disks_before),
		cmocka_unit_test(what_is_promised_is_not_there_for_others),
		cmocka_unit_test(pools_come_first_and_no_folder_twice),
		cmocka_unit_test(what_lies_there_counts_against_the_limit),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
