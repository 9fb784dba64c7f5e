/* SPDX-License-Identifier: MIT */

/* Whose an image is, of two machines that name it. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/belongings.h"
#include "host/host_settings.h"
#include "host/registry.h"
#include "qemu/definition.h"
#include "scratch.h"

enum { PATH_CAP = SCRATCH_CAP + 16 };

struct place {
	char folder[SCRATCH_CAP];
	struct host_settings settings;
	struct registry *registry;
};

static void begin(struct place *p)
{
	static char name[] = "alpha";

	*p = (struct place){ .registry = NULL };
	scratch_folder(p->folder);
	p->settings.name = name;
	p->settings.run_directory = p->folder;
	p->registry = registry_new(&p->settings, NULL, NULL);
	assert_non_null(p->registry);
}

static void parse(struct definition *d, const char *name, const char *words)
{
	char text[1024];
	struct error e;

	snprintf(text, sizeof(text),
		 "[machine]\nname = %s\nmemory = 16M\narguments = %s\n", name,
		 words);
	if (definition_parse(d, name, text, &e) < 0 ||
	    definition_check(d, &e) < 0)
		fail_msg("%s", e.text);
}

static void add(struct place *p, const char *name, const char *words)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct machine *m;
	struct error e;

	parse(&d, name, words);
	assert_int_equal(machine_reserve(p->registry, &d,
					 (struct hold){ .kind = HOLD_DEFINE },
					 &m, &e),
			 0);
	assert_int_equal(machine_set_definition(p->registry, m, &d, &e), 0);
	machine_release(p->registry, m);
}

static void image(struct place *p, const char *name, const void *head,
		  size_t len)
{
	AUTO_CLOSE int fd = -1;
	char path[PATH_CAP];

	snprintf(path, sizeof(path), "%s/%s", p->folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, head, len) == (ssize_t)len);
}

/* @option: with FILE for the folder. */
static void words(char ret[static 256], const struct place *p,
		  const char *option, const char *file)
{
	snprintf(ret, 256, "-drive file=%s/%s,if=none,id=x,%s", p->folder, file,
		 option);
}

static int check(const struct place *p, const char *option, const char *file,
		 bool own, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	char text[256];

	words(text, p, option, file);
	parse(&d, "comes", text);
	return belongings_check(p->registry, &d, "/run/comes", own, e);
}

static void end(struct place *p)
{
	registry_free(p->registry);
}

static void files_clash_when_one_writes(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 16; bits++) {
		const struct file_use one = { 1, 2, bits & 1 };
		const struct file_use other = { bits & 4 ? 3 : 1,
						bits & 8 ? 4 : 2, bits & 2 };

		assert_int_equal(belongings_clash(&one, &other),
				 !(bits & 12) && (bits & 3));
	}
}

static void a_stopped_machines_image_is_no_peers(void **state)
{
	char text[256];
	struct place p;
	struct error e;

	(void)state;
	begin(&p);
	image(&p, "web.raw", "x", 1);
	image(&p, "own.raw", "x", 1);
	image(&p, "cd", "x", 1);
	words(text, &p, "format=raw", "web.raw");
	add(&p, "web", text);
	words(text, &p, "format=raw,readonly=on", "cd");
	add(&p, "db", text);
	assert_int_equal(check(&p, "format=raw", "own.raw", false, &e), 0);
	assert_int_equal(check(&p, "format=raw", "none.raw", false, &e), 0);
	assert_int_equal(check(&p, "format=raw,readonly=on", "cd", false, &e),
			 0);
	assert_int_equal(check(&p, "format=raw", "cd", false, &e), -EPERM);
	assert_int_equal(check(&p, "format=raw,readonly=on", "web.raw", false,
			       &e),
			 -EPERM);
	assert_int_equal(check(&p, "format=raw", "web.raw", false, &e), -EPERM);
	assert_non_null(strstr(e.text, "/web.raw is an image of machine web "
				       "here, and one of them writes to it"));
	/* His two machines take turns. */
	assert_int_equal(check(&p, "format=raw", "web.raw", true, &e), 0);
	end(&p);
}

/* A QEMU that was taken over writes the header of its image. */
static void an_image_that_names_anothers_is_no_word_of_anybody(void **state)
{
	static const char below[] = "web.raw";
	unsigned char head[64] = { 'Q', 'F', 'I', 0xfb, 0, 0, 0, 2 };
	char text[256];
	struct place p;
	struct error e;

	(void)state;
	begin(&p);
	head[15] = 48;
	head[19] = sizeof(below) - 1;
	memcpy(head + 48, below, sizeof(below) - 1);
	image(&p, "top.qcow2", head, sizeof(head));
	image(&p, "web.raw", "x", 1);
	assert_int_equal(check(&p, "format=qcow2", "top.qcow2", true, &e), 0);
	words(text, &p, "format=raw", "web.raw");
	add(&p, "web", text);
	assert_int_equal(check(&p, "format=qcow2", "top.qcow2", true, &e),
			 -EPERM);
	assert_non_null(strstr(e.text, "/web.raw is an image of machine web"));
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_clash_when_one_writes),
		cmocka_unit_test(a_stopped_machines_image_is_no_peers),
		cmocka_unit_test(
			an_image_that_names_anothers_is_no_word_of_anybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
