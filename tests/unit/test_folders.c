/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/folders.h"
#include "host/registry.h"
#include "qemu/definition.h"
#include "scratch.h"

#define HEAD "[machine]\nname = a\nmemory = 64M\narguments = "

static bool is_line(const char *arguments, const char *name)
{
	SCOPED(definition_done) struct definition d = { 0 };
	char text[512];
	struct error e;

	snprintf(text, sizeof(text), HEAD "%s\n", arguments);
	if (definition_parse(&d, "a", text, &e) < 0)
		fail_msg("%s", e.text);
	return folder_is_line(&d, "/run/a", name);
}

static void lines_are_told_from_images(void **state)
{
	(void)state;
	assert_true(is_line("-serial file:${dir}/x", "x"));
	assert_true(is_line("-serial file:/run/a/x", "x"));
	assert_true(is_line("-debugcon file:${dir}/x", "x"));
	assert_true(is_line("-chardev file,id=c,path=${dir}/x", "x"));
	assert_false(is_line("-chardev file,id=c,path=${dir}/x", "y"));
	assert_false(is_line("-chardev socket,id=c,path=${dir}/x", "x"));
	assert_false(is_line("-serial unix:${dir}/x", "x"));
	assert_false(is_line("-serial file:/run/b/x", "x"));
	assert_false(is_line("-drive file=${dir}/x,format=raw", "x"));
	assert_false(is_line("-nodefaults -hda ${dir}/x -serial null", "x"));
}

/* A large one with something at its end. */
static void put(const char *folder, const char *name)
{
	AUTO_CLOSE int fd = -1;
	char path[SCRATCH_CAP + 16];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, FOLDER_LINE_MOST + BUFSIZ), 0);
	assert_int_equal(pwrite(fd, "end", 3, FOLDER_LINE_MOST + BUFSIZ), 3);
}

static void look(const char *folder, const char *name, struct stat *ret)
{
	AUTO_CLOSE int fd = -1;
	char path[SCRATCH_CAP + 16], end[4] = "";

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, ret), 0);
	assert_int_equal(ret->st_size, FOLDER_LINE_MOST + BUFSIZ + 3);
	assert_int_equal(pread(fd, end, 3, FOLDER_LINE_MOST + BUFSIZ), 3);
	assert_string_equal(end, "end");
}

static void a_line_that_prints_without_end_is_bounded(void **state)
{
	static char text[] = HEAD "-serial file:${dir}/line -hda ${dir}/disk\n";
	struct registry_text m = { .name = "a", .text = text };
	struct stat st;

	(void)state;
	scratch_folder(m.run_dir);
	put(m.run_dir, "line");
	put(m.run_dir, "disk");
	folder_bound(&m);
	look(m.run_dir, "line", &st);
	assert_true(st.st_blocks <= 2 * FOLDER_LINE_KEPT / 512);
	look(m.run_dir, "disk", &st);
	assert_true(st.st_blocks >= FOLDER_LINE_MOST / 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_told_from_images),
		cmocka_unit_test(a_line_that_prints_without_end_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
