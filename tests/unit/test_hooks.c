/* SPDX-License-Identifier: MIT */

/* A hook is done when it has ended, whatever it leaves behind. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "host/hooks.h"
#include "scratch.h"

enum { PATH_CAP = SCRATCH_CAP + 40 };

static int run_hook(const char *text, struct error *e)
{
	char folder[SCRATCH_CAP], path[PATH_CAP];
	const struct hooks h = { .directory = folder,
				 .user = "nobody",
				 .limit_us = 20 * USEC_PER_SEC,
				 .stop_fd = -1 };
	FILE *f;

	scratch_folder(folder);
	assert_int_equal(chmod(folder, 0755), 0);
	snprintf(path, sizeof(path), "%s/10-hook", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s", text);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
	return hooks_run(&h, "{}\n", e);
}

static void its_last_line_is_why(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(run_hook("echo one; echo two; exit 1\n", &e), -EACCES);
	assert_non_null(strstr(e.text, "/10-hook refuses: two"));
}

/* It ends as soon as nobody reads any more. */
static void what_it_leaves_may_write_for_ever(void **state)
{
	struct error e;

	(void)state;
	if (run_hook("setsid cat /dev/zero &\n"
		     "while [ \"$(cut -d' ' -f6 /proc/$!/stat)\" = $$ ]; do\n"
		     "	:\n"
		     "done\n"
		     "exit 0\n",
		     &e) < 0)
		fail_msg("%s", e.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_last_line_is_why),
		cmocka_unit_test(what_it_leaves_may_write_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
