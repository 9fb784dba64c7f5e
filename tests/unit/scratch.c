/* SPDX-License-Identifier: MIT */

/* All stand in one folder, and beside the program stands a shell that removes
 * that one as soon as nobody can write into its pipe any more: a test that
 * fails, aborts or is killed cleans up no less than one that passes.  What the
 * program has started since then carries the folder's name in its environment,
 * and is ended first. */
#include "unit.h"

#include "scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK "DROVER_SCRATCH"

static char all[] = "/tmp/drover-unit-XXXXXX";

/* Takes its stdin away from it, for sh gives none to what it runs beside it. */
static const char sweep[] =
	"exec 3<&0; { read -r end; grep -ls \"" MARK
	"=$0\" /proc/[0-9]*/environ |"
	" while IFS=/ read -r root proc pid file; do kill -9 \"$pid\"; done;"
	" rm -rf \"$0\"; } <&3 &";

/* In a session of its own, for ^C and what ends a whole group are not meant
 * for it; without the environment, by which tests/run finds what is left over;
 * and with no file of the test but its output, for which a runner waits. */
static void become_sweeper(int fd)
{
	char *const environment[] = { NULL };

	setsid();
	dup2(fd, 0);
	close_range(3, ~0U, 0);
	execle("/bin/sh", "sh", "-c", sweep, all, NULL, environment);
	_exit(127);
}

static void make_all(void)
{
	sigset_t ending, before;
	int ends[2], status = -1;
	pid_t pid;

	/* Not between the folder and the shell; nor are they for the shell. */
	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	sigprocmask(SIG_BLOCK, &ending, &before);
	assert_non_null(mkdtemp(all));
	assert_int_equal(chmod(all, 0711), 0); /* a QEMU has another user */
	assert_int_equal(setenv(MARK, all, 1), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		become_sweeper(ends[0]);
	close(ends[0]); /* the other one stays open */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void scratch_folder(char ret[static SCRATCH_CAP])
{
	static bool made;

	if (!made)
		make_all();
	made = true;
	snprintf(ret, SCRATCH_CAP, "%s/XXXXXX", all);
	assert_non_null(mkdtemp(ret));
}
