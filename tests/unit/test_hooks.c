/* SPDX-License-Identifier: MIT */

/* A hook is done when it has ended, whatever it leaves behind; and few wait. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "host/hooks.h"
#include "host/jobs.h"
#include "host/live.h"
#include "host/parts.h"
#include "scratch.h"

enum { PATH_CAP = SCRATCH_CAP + 40 };

static void write_file(const char *path, mode_t mode, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int run_hook(const char *text, struct error *e)
{
	char folder[SCRATCH_CAP], path[PATH_CAP];
	const struct hooks h = { .directory = folder,
				 .user = "nobody",
				 .limit_us = 20 * USEC_PER_SEC,
				 .stop_fd = -1 };

	scratch_folder(folder);
	assert_int_equal(chmod(folder, 0755), 0);
	snprintf(path, sizeof(path), "%s/10-hook", folder);
	write_file(path, 0755, text);
	return hooks_run(&h, "{}\n", e);
}

static void its_last_line_is_why(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(run_hook("#!/bin/sh\necho one; echo two; exit 1\n",
				  &e),
			 -EACCES);
	assert_non_null(strstr(e.text, "/10-hook refuses: two"));
}

/* It ends as soon as nobody reads any more. */
static void what_it_leaves_may_write_for_ever(void **state)
{
	struct error e;

	(void)state;
	if (run_hook("#!/bin/sh\nsetsid cat /dev/zero &\n"
		     "while [ \"$(cut -d' ' -f6 /proc/$!/stat)\" = $$ ]; do\n"
		     "	:\n"
		     "done\n"
		     "exit 0\n",
		     &e) < 0)
		fail_msg("%s", e.text);
}

/* --- what is told later */

enum { TOLD = 140, WAIT = 128 };

/* Each adds a byte to "told", and the first waits for somebody at "gate". */
static void begin_host(struct host *h, const char *folder)
{
	char path[PATH_CAP], text[4 * PATH_CAP];
	struct settings_source from = { .path = path };
	struct settings *first;
	struct error e;

	assert_int_equal(chmod(folder, 0755), 0);
	snprintf(path, sizeof(path), "%s/told", folder);
	write_file(path, 0666, "");
	snprintf(path, sizeof(path), "%s/gate", folder);
	assert_int_equal(mkfifo(path, 0644), 0);
	snprintf(text, sizeof(text),
		 "#!/bin/sh\nprintf . >> %s/told\nread -r line < %s/gate\n"
		 "exit 0\n",
		 folder, folder);
	snprintf(path, sizeof(path), "%s/10-hook", folder);
	write_file(path, 0755, text);
	snprintf(text, sizeof(text),
		 "[host]\nhooks-directory = %s\nhook-user = nobody\n", folder);
	snprintf(path, sizeof(path), "%s/some.conf", folder);
	write_file(path, 0644, text);
	assert_int_equal(settings_load(&first, &from, &e), 0);
	*h = (struct host){ .settings = &first->host, .stop_fd = -1 };
	live_init(&h->live, first, &from);
	h->jobs = jobs_new("alpha");
	h->hooks = hook_queue_new();
}

static void end_host(struct host *h)
{
	assert_true(jobs_wait_idle(h->jobs));
	hook_queue_free(h->hooks);
	jobs_free(h->jobs);
	live_done(&h->live);
}

/* Of what peers may cause, one program runs at a time, and few wait. */
static void what_is_told_later_is_bounded(void **state)
{
	const struct hook_event event = { .when = HOOK_AFTER_MOVE };
	char folder[SCRATCH_CAP], path[PATH_CAP];
	struct host h;
	struct stat st;
	int gate;

	(void)state;
	scratch_folder(folder);
	begin_host(&h, folder);
	for (int i = 0; i < TOLD; i++)
		hooks_tell_later(&h, &event);
	/* A line for each that may come; dash reads one byte at a time. */
	snprintf(path, sizeof(path), "%s/gate", folder);
	gate = open(path, O_RDWR | O_CLOEXEC);
	assert_true(gate >= 0);
	for (int i = 0; i < TOLD; i++)
		assert_int_equal(write(gate, "\n", 1), 1);
	end_host(&h);
	close(gate);
	snprintf(path, sizeof(path), "%s/told", folder);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, WAIT, WAIT + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_last_line_is_why),
		cmocka_unit_test(what_it_leaves_may_write_for_ever),
		cmocka_unit_test(what_is_told_later_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
