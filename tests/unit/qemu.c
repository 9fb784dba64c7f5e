/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "qemu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "qemu/qmp.h"

const char *qemu_for_tests(void)
{
	static const char *const known[] = { "/usr/bin/qemu-system-x86_64",
					     "/usr/local/bin/"
					     "qemu-system-x86_64" };
	const char *set = getenv("DROVER_TEST_QEMU");

	if (set)
		return set;
	for (size_t i = 0; i < 2; i++)
		if (access(known[i], X_OK) == 0)
			return known[i];
	print_message("no qemu-system-x86_64 is installed: skipped\n");
	return NULL;
}

void guest_folder(struct guest *g)
{
	*g = (struct guest){ .process = { .pidfd = -1 } };
	scratch_folder(g->dir);
}

void guest_start(struct guest *g, const char *definition, bool incoming)
{
	struct launch_options o = { .incoming = incoming, .shared = incoming };
	struct definition d;
	char text[2048];
	struct error e;

	guest_folder(g);
	o.default_qemu = qemu_for_tests();
	o.run_dir = g->dir;
	snprintf(text, sizeof(text),
		 "[machine]\nname = test\nmachine = pc\naccelerator = tcg\n%s",
		 definition);
	if (definition_parse(&d, "test", text, &e) < 0 ||
	    launch_start(&g->process, &d, &o, &e) < 0)
		fail_msg("%s", e.text);
	definition_done(&d);
	g->running = true;
}

void guest_start_plain(struct guest *g, const char *command)
{
	struct words w = { 0 };
	struct error e;
	char path[128];
	struct qmp *q;
	pid_t pid;

	guest_folder(g);
	assert_int_equal(words_add(&w, qemu_for_tests(), &e), 0);
	assert_int_equal(words_split(&w, command, &e), 0);
	pid = fork();
	if (pid == 0) {
		if (chdir(g->dir) == 0 && freopen("qemu.log", "a", stdout) &&
		    dup2(1, 2) == 2)
			execv(w.at[0], w.at);
		_exit(127);
	}
	words_done(&w);
	snprintf(path, sizeof(path), "%s/qmp.sock", g->dir);
	if (qmp_open(&q, path, clock_us() + 10 * USEC_PER_SEC, &e) < 0) {
		kill(pid, SIGKILL);
		fail_msg("%s", e.text);
	}
	qmp_close(q);
	assert_int_equal(launch_start_time(&g->process.start_time, pid, &e), 0);
	assert_int_equal(launch_attach(&g->process, pid, g->process.start_time,
				       g->dir, &e),
			 0);
	g->running = true;
}

void guest_end(struct guest *g)
{
	static const char *const files[] = { "qmp.sock", "qemu.log", "ram" };
	struct error e;
	char path[128];

	if (g->running &&
	    launch_end(&g->process, clock_us() + 5 * USEC_PER_SEC, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", g->dir, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(g->dir), 0);
}
