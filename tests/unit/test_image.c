/* SPDX-License-Identifier: MIT */

/* Whoever says that it has a file may change where its path leads. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/scope.h"
#include "qemu/image.h"
#include "qemu/process.h"
#include "scratch.h"

enum { PATH_CAP = SCRATCH_CAP + 16 };

static void put(char ret[static PATH_CAP], const char *folder, const char *name)
{
	AUTO_CLOSE int fd = -1;

	snprintf(ret, PATH_CAP, "%s/%s", folder, name);
	fd = open(ret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, name, strlen(name)), strlen(name));
}

static void a_path_that_leads_elsewhere_later_changes_nothing(void **state)
{
	char folder[SCRATCH_CAP], other[SCRATCH_CAP];
	char path[PATH_CAP], moved[PATH_CAP], secret[PATH_CAP], text[8] = "";
	struct stat st, own;
	struct image i;

	(void)state;
	scratch_folder(folder);
	scratch_folder(other);
	put(path, folder, "mine");
	put(secret, other, "secret");
	assert_int_equal(image_open(&i, path), 0);
	snprintf(moved, sizeof(moved), "%s/moved", folder);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(symlink(secret, path), 0);
	{
		AUTO_CLOSE int fd = image_read(&i), at = image_folder(&i);

		assert_int_equal(read(fd, text, sizeof(text)), 4);
		assert_string_equal(text, "mine");
		assert_int_equal(fstat(at, &st), 0);
		assert_int_equal(stat(folder, &own), 0);
		assert_int_equal(st.st_ino, own.st_ino);
	}
	assert_int_equal(unlink(moved), 0);
	assert_true(image_folder(&i) < 0);
	image_close(&i);
}

static void what_is_no_file_is_not_opened(void **state)
{
	char folder[SCRATCH_CAP], pipe[PATH_CAP];
	struct image i;

	(void)state;
	scratch_folder(folder);
	snprintf(pipe, sizeof(pipe), "%s/pipe", folder);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(image_open(&i, pipe), 0);
	assert_int_equal(image_read(&i), -EINVAL);
	image_close(&i);
	assert_int_equal(image_open(&i, "/dev/zero"), 0);
	assert_int_equal(image_read(&i), -EINVAL);
	image_close(&i);
	snprintf(pipe, sizeof(pipe), "%s/none", folder);
	assert_int_equal(image_open(&i, pipe), -ENOENT);
	image_close(&i);
}

static void anothers_file_is_looked_at_for_a_reason(void **state)
{
	static const mode_t modes[] = { S_IFREG, S_IFBLK, S_IFCHR, S_IFIFO,
					S_IFDIR };
	enum { OWN = 107, ROOTS = 0, WORLDS = 16 };

	(void)state;
	for (unsigned bits = 0; bits < WORLDS * 5; bits++) {
		const struct image_claim c = { .is_us = bits & 1,
					       .user = OWN,
					       .named = bits & 2,
					       .opened = bits & 4 };
		const struct stat st = { .st_mode = modes[bits / WORLDS],
					 .st_uid = bits & 8 ? OWN : ROOTS };

		assert_int_equal(image_believe(&c, &st),
				 bits / WORLDS < 2 && bits % WORLDS != 0);
	}
}

static bool has(const struct image *i, bool to_write)
{
	return process_has_open(getpid(), &i->st, to_write);
}

static void the_kernel_says_what_a_process_has_open(void **state)
{
	char folder[SCRATCH_CAP], path[PATH_CAP];
	struct image i;
	int fd;

	(void)state;
	scratch_folder(folder);
	put(path, folder, "x");
	/* That way anybody may open anything. */
	assert_int_equal(image_open(&i, path), 0);
	assert_false(has(&i, false));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(has(&i, false));
	assert_false(has(&i, true));
	close(fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_false(has(&i, false));
	assert_false(has(&i, true));
	close(fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(has(&i, false));
	assert_true(has(&i, true));
	close(fd);
	assert_false(has(&i, false));
	image_close(&i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_path_that_leads_elsewhere_later_changes_nothing),
		cmocka_unit_test(what_is_no_file_is_not_opened),
		cmocka_unit_test(anothers_file_is_looked_at_for_a_reason),
		cmocka_unit_test(the_kernel_says_what_a_process_has_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
