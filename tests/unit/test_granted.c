/* SPDX-License-Identifier: MIT */

/* What machines were given is known after whatever happened, and goes. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "qemu/confine.h"
#include "qemu/files.h"
#include "qemu/grant.h"
#include "qemu/granted.h"
#include "scratch.h"

enum { PATH_CAP = SCRATCH_CAP + 40 };

static const struct confinement one = { .on = true,
					.number = CONFINE_FIRST + 1 };

struct place {
	char state[SCRATCH_CAP];
	char disk[PATH_CAP], cd[PATH_CAP];
	struct named_files files;
};

static void put(char path[static PATH_CAP], const char *folder,
		const char *name)
{
	AUTO_CLOSE int fd = -1;

	snprintf(path, PATH_CAP, "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
}

/* Rights of others than root are given by root alone. */
static bool begin(struct place *p)
{
	struct error e;

	if (geteuid() != 0)
		return false;
	*p = (struct place){ .files = { .writes = { 0 } } };
	scratch_folder(p->state);
	put(p->disk, p->state, "disk");
	put(p->cd, p->state, "cd");
	assert_int_equal(words_add(&p->files.writes, p->disk, &e), 0);
	assert_int_equal(words_add(&p->files.reads, p->cd, &e), 0);
	return true;
}

static void give(const struct place *p)
{
	struct error e;

	if (granted_give(p->state, "web", &p->files, &one, &e) < 0)
		fail_msg("%s", e.text);
}

static bool has(const char *path, enum grant_use use)
{
	struct error e;
	int r = grant_is_needed(path, use, &one, &e);

	assert_true(r >= 0);
	return !r;
}

static bool is_noted(const struct place *p)
{
	char path[PATH_CAP];

	snprintf(path, sizeof(path), "%s/granted/%u.json", p->state,
		 (unsigned)one.number);
	return access(path, F_OK) == 0;
}

static bool keep_none(const void *arg, const char *machine)
{
	(void)arg;
	assert_string_equal(machine, "web");
	return false;
}

static bool keep_all(const void *arg, const char *machine)
{
	(void)arg, (void)machine;
	return true;
}

static void what_was_given_goes_with_its_record(void **state)
{
	struct place p;

	(void)state;
	if (!begin(&p))
		skip();
	give(&p);
	assert_true(has(p.disk, GRANT_WRITE) && has(p.cd, GRANT_READ));
	assert_true(is_noted(&p));
	granted_take_back(p.state, one.number);
	assert_false(has(p.disk, GRANT_READ) || has(p.cd, GRANT_READ));
	assert_false(is_noted(&p));
	files_done(&p.files);
}

/* By the same machine's host, on a storage that both share. */
static void what_it_had_before_stays(void **state)
{
	struct error e;
	struct place p;

	(void)state;
	if (!begin(&p))
		skip();
	assert_int_equal(grant_file(p.disk, GRANT_WRITE, &one, &e), 0);
	give(&p);
	granted_take_back(p.state, one.number);
	assert_true(has(p.disk, GRANT_WRITE));
	assert_false(has(p.cd, GRANT_READ));
	files_done(&p.files);
}

/* The path leads elsewhere by then. */
static void the_file_is_taken_back_and_not_the_path(void **state)
{
	char link[PATH_CAP];
	struct error e;
	struct place p;

	(void)state;
	if (!begin(&p))
		skip();
	snprintf(link, sizeof(link), "%s/link", p.state);
	assert_int_equal(symlink(p.disk, link), 0);
	words_done(&p.files.writes);
	assert_int_equal(words_add(&p.files.writes, link, &e), 0);
	give(&p);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(p.cd, link), 0);
	granted_take_back(p.state, one.number);
	assert_false(has(p.disk, GRANT_READ) || has(p.cd, GRANT_READ));
	files_done(&p.files);
}

/* A process of that user, which tells when it is. */
static pid_t start_as(uid_t user)
{
	int both[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(both, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (setresuid(user, user, user) == 0 &&
		    write(both[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(both[0], &byte, 1), 1);
	close(both[0]);
	close(both[1]);
	return pid;
}

static void a_machine_that_runs_keeps_what_it_has(void **state)
{
	siginfo_t info;
	struct place p;
	pid_t pid;

	(void)state;
	if (!begin(&p))
		skip();
	give(&p);
	pid = start_as(one.number);
	granted_sweep(p.state, keep_none, NULL);
	assert_true(has(p.disk, GRANT_WRITE) && is_noted(&p));
	kill(pid, SIGKILL);
	/* It has ended; that it is still to be asked after changes nothing. */
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	granted_take_back_unused(p.state, one.number);
	assert_false(has(p.disk, GRANT_READ) || is_noted(&p));
	waitpid(pid, NULL, 0);
	files_done(&p.files);
}

static void a_daemon_that_was_killed_leaves_nothing(void **state)
{
	struct place p;

	(void)state;
	if (!begin(&p))
		skip();
	give(&p);
	granted_sweep(p.state, keep_all, NULL);
	assert_true(has(p.disk, GRANT_WRITE));
	granted_sweep(p.state, keep_none, NULL);
	assert_false(has(p.disk, GRANT_READ) || has(p.cd, GRANT_READ));
	assert_false(is_noted(&p));
	files_done(&p.files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_given_goes_with_its_record),
		cmocka_unit_test(what_it_had_before_stays),
		cmocka_unit_test(the_file_is_taken_back_and_not_the_path),
		cmocka_unit_test(a_machine_that_runs_keeps_what_it_has),
		cmocka_unit_test(a_daemon_that_was_killed_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
