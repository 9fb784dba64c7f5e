/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/words.h"
#include "qemu.h"
#include "qemu/confine.h"
#include "qemu/files.h"
#include "qemu/process.h"
#include "qemu/qmp.h"
#include "qemu/spawn.h"
#include "scratch.h"

static int start_failing(struct guest *g, const char *lines, struct error *e)
{
	struct launch_options o = { .run_dir = g->dir };
	struct definition d;
	char text[1024];
	int r;

	o.default_qemu = qemu_for_tests();
	snprintf(text, sizeof(text),
		 "[machine]\nname = test\nmemory = 16M\nmachine = pc\n"
		 "accelerator = tcg\n%s",
		 lines);
	assert_int_equal(definition_parse(&d, "test", text, e), 0);
	r = launch_start(&g->process, &d, &o, e);
	definition_done(&d);
	return r;
}

static void a_started_qemu_is_detached(void **state)
{
	char name[128], target[256];
	struct guest g;
	struct stat st;
	ssize_t n;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start(&g, "memory = 16M\narguments = -nodefaults\n", false);
	assert_true(launch_alive(&g.process));
	assert_int_equal(getsid(g.process.pid), g.process.pid);
	snprintf(name, sizeof(name), "/proc/%d/fd/0", (int)g.process.pid);
	n = readlink(name, target, sizeof(target) - 1);
	assert_true(n > 0);
	target[n] = '\0';
	assert_string_equal(target, "/dev/null");
	assert_int_equal(stat(g.dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	guest_end(&g);
}

static void nothing_of_ours_is_inherited(void **state)
{
	char name[128], own[128], target[256];
	struct guest g;
	FILE *leaky;
	ssize_t n;

	(void)state;
	if (!qemu_for_tests())
		skip();
	leaky = fopen("/proc/self/status", "r");
	snprintf(own, sizeof(own), "/proc/%d/status", (int)getpid());
	guest_start(&g, "memory = 16M\narguments = -nodefaults\n", false);
	for (int fd = 0; fd < 64; fd++) {
		snprintf(name, sizeof(name), "/proc/%d/fd/%d",
			 (int)g.process.pid, fd);
		n = readlink(name, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		assert_string_not_equal(target, own);
	}
	fclose(leaky);
	guest_end(&g);
}

static void what_qemu_said_last_is_in_the_error(void **state)
{
	struct guest g;
	struct error e;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_folder(&g);
	assert_int_equal(start_failing(&g, "arguments = -device foo\n", &e),
			 -ECHILD);
	assert_string_equal(e.text, "QEMU ended at once: "
				    "-device foo: 'foo' is not a valid device "
				    "model name");
	/* The second failure is not the first one's last line. */
	assert_int_equal(start_failing(&g, "arguments = -device bar\n", &e),
			 -ECHILD);
	assert_non_null(strstr(e.text, "'bar' is not a valid device"));
	assert_int_equal(start_failing(&g, "qemu = /bin/true\n", &e), -ECHILD);
	assert_string_equal(e.text, "QEMU ended at once: it said nothing");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	guest_end(&g);
}

static void a_missing_program_is_named(void **state)
{
	struct guest g;
	struct error e;

	(void)state;
	guest_folder(&g);
	assert_int_equal(start_failing(&g, "qemu = /nonexistent/qemu\n", &e),
			 -ENOENT);
	assert_string_equal(e.text, "start /nonexistent/qemu in /: No such "
				    "file or directory");
	guest_end(&g);
}

static void a_silent_qemu_is_given_up(void **state)
{
	struct launch_options o = { .timeout_us = 100 * USEC_PER_MS };
	struct definition d = { 0 };
	struct guest g;
	struct error e;
	char program[96];
	FILE *f;

	(void)state;
	guest_folder(&g);
	snprintf(program, sizeof(program), "%s/ram", g.dir);
	f = fopen(program, "w");
	fputs("#!/bin/sh\nexec sleep 30\n", f);
	fclose(f);
	assert_int_equal(chmod(program, 0700), 0);
	o.run_dir = g.dir;
	o.default_qemu = program;
	assert_int_equal(definition_parse(&d, "t",
					  "[machine]\nname=t\nmemory=16M\n",
					  &e),
			 0);
	assert_int_equal(launch_start(&g.process, &d, &o, &e), -ETIMEDOUT);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	definition_done(&d);
	guest_end(&g);
}

static void a_qemu_is_found_again(void **state)
{
	struct qemu_process again;
	struct guest g;
	struct error e;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start(&g, "memory = 16M\narguments = -nodefaults\n", false);
	assert_int_equal(launch_attach(&again, g.process.pid,
				       g.process.start_time, g.dir, &e),
			 0);
	assert_true(launch_alive(&again));
	assert_string_equal(again.qmp_path, g.process.qmp_path);
	launch_forget(&again);
	assert_false(launch_alive(&again));
	assert_int_equal(launch_attach(&again, g.process.pid,
				       g.process.start_time + 1, g.dir, &e),
			 -ESRCH);
	guest_end(&g);
	assert_int_equal(launch_attach(&again, g.process.pid, 1, g.dir, &e),
			 -ESRCH);
}

static void a_run_directory_has_one_qemu(void **state)
{
	struct qemu_process first;
	struct guest g;
	struct error e;
	char says[160];
	struct qmp *q;
	int r;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start(&g, "memory = 16M\narguments = -nodefaults\n", false);
	first = g.process;
	r = start_failing(&g, "arguments = -nodefaults\n", &e);
	if (r == 0) { /* the one too many */
		kill(g.process.pid, SIGKILL);
		waitpid(g.process.pid, NULL, 0);
		launch_forget(&g.process);
	}
	g.process = first;
	assert_int_equal(r, -EEXIST);
	snprintf(says, sizeof(says),
		 "a QEMU runs in %s already, process %d: end it first", g.dir,
		 (int)first.pid);
	assert_string_equal(e.text, says);
	/* It still has its monitor, also when whoever failed cleans up. */
	launch_clean(g.dir);
	assert_int_equal(qmp_open(&q, first.qmp_path,
				  clock_us() + 5 * USEC_PER_SEC, &e),
			 0);
	qmp_close(q);
	guest_end(&g);
}

static void clean_nowhere(const char *root)
{
	FILE *f;

	if (chroot(root) < 0 || chdir("/") < 0)
		_exit(77);
	f = fopen("/qemu.log", "w");
	if (!f || fclose(f) != 0)
		_exit(2);
	launch_clean("");
	_exit(access("/qemu.log", F_OK) == 0 ? 0 : 1);
}

/* An update that is cancelled at once has no folder yet. */
static void without_a_folder_nothing_is_removed(void **state)
{
	char root[SCRATCH_CAP];
	int status;
	pid_t pid;

	(void)state;
	scratch_folder(root);
	pid = fork();
	if (pid == 0)
		clean_nowhere(root);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* only root may try */
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A line before the last one may be the one that says why. */
static void the_cause_is_in_the_error_with_its_consequence(void **state)
{
	struct guest g;
	struct error e;
	char program[96], line[128];
	FILE *f;

	(void)state;
	guest_folder(&g);
	snprintf(program, sizeof(program), "%s/ram", g.dir);
	f = fopen(program, "w");
	fputs("#!/bin/sh\n"
	      "echo \"failed to parse default acl file\" >&2\n"
	      "echo \"qemu-system-x86_64: -nic bridge: bridge helper "
	      "failed\" >&2\nexit 1\n",
	      f);
	fclose(f);
	assert_int_equal(chmod(program, 0700), 0);
	snprintf(line, sizeof(line), "qemu = %s\n", program);
	assert_int_equal(start_failing(&g, line, &e), -ECHILD);
	assert_string_equal(e.text, "QEMU ended at once: failed to parse "
				    "default acl file; -nic bridge: bridge "
				    "helper failed");
	guest_end(&g);
}

/* @program with the command line of a QEMU of ours; a shell that waits. */
static pid_t pretend(const char *program, uid_t user, const char *dir)
{
	char chardev[160];
	pid_t pid;
	int up[2];
	char c;

	snprintf(chardev, sizeof(chardev),
		 "socket,id=drover-qmp,path=%s/qmp.sock,server=on,wait=off",
		 dir);
	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		if (setresuid(user, user, user) < 0)
			_exit(1);
		dup2(up[1], 1);
		execl(program, program, "-c", "echo; read x </dev/zero",
		      "-name", "web", "-chardev", chardev, NULL);
		_exit(1);
	}
	assert_int_equal(read(up[0], &c, 1), 1);
	close(up[0]);
	close(up[1]);
	return pid;
}

static int found_running(const char *program, uid_t user, const char *dir)
{
	pid_t pid = pretend(program, user, dir);
	struct qemu_process p;
	struct error e;
	int r = launch_find(&p, dir, &e);

	if (r == 0)
		launch_forget(&p);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return r;
}

static void a_command_line_alone_makes_no_qemu_of_ours(void **state)
{
	char folder[SCRATCH_CAP], copy[96], command[224];
	struct guest g;

	(void)state;
	if (geteuid() != 0)
		skip();
	guest_folder(&g);
	scratch_folder(folder);
	snprintf(copy, sizeof(copy), "%s/qemu-system-x", folder);
	snprintf(command, sizeof(command), "cp /bin/sh %s && chmod 755 %s %s",
		 copy, folder, copy);
	assert_int_equal(system(command), 0);
	assert_int_equal(found_running(copy, 0, g.dir), 0);
	assert_int_equal(found_running("/bin/sh", 0, g.dir), -ESRCH);
	assert_int_equal(found_running(copy, 65534, g.dir), -ESRCH);
	guest_end(&g);
}

static void a_qemu_that_does_not_listen_is_killed(void **state)
{
	struct guest g;
	struct error e;

	(void)state;
	if (!qemu_for_tests())
		skip();
	guest_start(&g, "memory = 16M\narguments = -nodefaults\n", false);
	assert_int_equal(kill(g.process.pid, SIGSTOP), 0);
	assert_int_equal(launch_end(&g.process, clock_us() + 50000, &e), 0);
	assert_int_equal(access(g.process.qmp_path, F_OK), -1);
	g.running = false;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	guest_end(&g);
}

static int start_program(const struct spawn *with, struct error *e)
{
	char program[] = "/bin/true", *argv[] = { program, NULL };
	AUTO_CLOSE int log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const struct confinement nobody = { .on = false };
	const struct named_files none = { .reads = { 0 } };
	struct spawn s = *with;
	int status;
	pid_t pid;

	s.argv = argv;
	s.log_fd = log;
	s.directory = s.directory ? s.directory : "/";
	s.who = s.who ? s.who : &nobody;
	s.files = s.files ? s.files : &none;
	if (spawn_process(&pid, &s, e) < 0)
		return error_code(e);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return 0;
}

/* As one that somebody has stopped. */
static void one_that_hangs_on_its_way_is_ended(void **state)
{
	struct spawn hangs = { .limit_us = 50 * USEC_PER_MS };
	int pipes[2];
	struct error e;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(pipes[1], "full", 1) == 1)
		;
	assert_int_equal(fcntl(pipes[1], F_SETFL, 0), 0);
	hangs.cgroup_fd = pipes[1];
	for (int small = 0; small < 2; small++) {
		hangs.small_pages = small;
		assert_int_equal(start_program(&hangs, &e), -ETIMEDOUT);
		assert_non_null(strstr(e.text, "start /bin/true: it was not "
					       "the program within 50 ms"));
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		assert_int_equal(start_program(&(struct spawn){ .cgroup_fd =
									-1 },
					       &e),
				 0);
	}
	assert_int_equal(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
	close(pipes[0]);
	close(pipes[1]);
}

/* Who it will be sees them, not who starts it. */
static void files_are_tried_as_its_user(void **state)
{
	const struct confinement who = { .on = true,
					 .number = CONFINE_FIRST + 1,
					 .group = CONFINE_FIRST + 1 };
	struct spawn s = { .cgroup_fd = -1, .who = &who };
	char folder[SCRATCH_CAP];
	struct named_files files = { .reads = { 0 } };
	struct error e;

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root starts others */
	scratch_folder(folder);
	assert_int_equal(start_program(&s, &e), 0);
	s.directory = folder;
	assert_int_equal(start_program(&s, &e), -EACCES);
	assert_non_null(strstr(e.text, folder));
	assert_int_equal(chmod(folder, 0711), 0);
	assert_int_equal(start_program(&s, &e), 0);
	assert_int_equal(words_add(&files.reads, folder, &e), 0);
	s.files = &files;
	assert_true(start_program(&s, &e) < 0);
	assert_non_null(strstr(e.text, folder));
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(start_program(&s, &e), 0);
	words_done(&files.reads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_folder_nothing_is_removed),
		cmocka_unit_test(a_started_qemu_is_detached),
		cmocka_unit_test(nothing_of_ours_is_inherited),
		cmocka_unit_test(what_qemu_said_last_is_in_the_error),
		cmocka_unit_test(a_missing_program_is_named),
		cmocka_unit_test(a_silent_qemu_is_given_up),
		cmocka_unit_test(a_qemu_is_found_again),
		cmocka_unit_test(a_run_directory_has_one_qemu),
		cmocka_unit_test(
			the_cause_is_in_the_error_with_its_consequence),
		cmocka_unit_test(a_command_line_alone_makes_no_qemu_of_ours),
		cmocka_unit_test(a_qemu_that_does_not_listen_is_killed),
		cmocka_unit_test(one_that_hangs_on_its_way_is_ended),
		cmocka_unit_test(files_are_tried_as_its_user),
	};

	return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}
