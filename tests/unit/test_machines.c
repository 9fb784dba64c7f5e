/* SPDX-License-Identifier: MIT */

/*
 * The books, where the system does not do what it is told: fsync() and
 * pidfd_send_signal() are ours.
 */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "host/internal.h"

#define DEFINITION \
	"[machine]\nname = web\nmemory = 16M\nmachine = pc\n" \
	"accelerator = tcg\n"

static char folder[64], run_directory[80], books[80];
static char own_name[] = "alpha", program[] = "/bin/true";
static struct settings settings;
static struct host host;

static int sync_error, signal_error;
static bool synced_empty; /* the books, with nothing of a machine in them */

static bool is_there(const char *directory, const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

int fsync(int fd)
{
	char link[64], path[128];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (sync_error) {
		errno = sync_error;
		return -1;
	}
	if (!strcmp(path, books) && !is_there(books, "web.machine") &&
	    !is_there(books, "web.json"))
		synced_empty = true;
	return (int)syscall(SYS_fsync, fd);
}

int pidfd_send_signal(int pidfd, int number, siginfo_t *info,
		      unsigned int flags)
{
	if (signal_error) {
		errno = signal_error;
		return -1;
	}
	return (int)syscall(SYS_pidfd_send_signal, pidfd, number, info, flags);
}

static int fresh(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/drover-machines-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(books, sizeof(books), "%s/machines", folder);
	snprintf(run_directory, sizeof(run_directory), "%s/run", folder);
	settings = (struct settings){ .name = own_name,
				      .qemu = program,
				      .state_directory = folder,
				      .run_directory = run_directory };
	host = (struct host){ .settings = &settings };
	pthread_mutex_init(&host.lock, NULL);
	clock_cond_init(&host.changed);
	sync_error = signal_error = 0;
	synced_empty = false;
	return 0;
}

static int gone(void **state)
{
	char command[128];

	(void)state;
	while (host.machines)
		machine_remove(&host, host.machines);
	pthread_cond_destroy(&host.changed);
	pthread_mutex_destroy(&host.lock);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static void define(void)
{
	struct error e;
	json_t *shown;

	assert_int_equal(machine_define(&host, NULL, DEFINITION, &shown, &e),
			 0);
	json_decref(shown);
	assert_true(is_there(books, "web.machine"));
	assert_true(is_there(books, "web.json"));
	assert_false(synced_empty);
}

static void assert_state(const char *wanted)
{
	struct error e;
	json_t *shown;

	assert_int_equal(machine_show(&host, "web", &shown, &e), 0);
	assert_string_equal(json_string_value(json_object_get(shown, "state")),
			    wanted);
	json_decref(shown);
}

static void a_forgotten_machine_is_off_the_disk(void **state)
{
	struct error e;
	json_t *shown;

	(void)state;
	define();
	assert_int_equal(machine_forget(&host, "web", &shown, &e), 0);
	json_decref(shown);
	assert_true(synced_empty);
	assert_null(host.machines);
}

static void a_machine_that_left_is_off_the_disk(void **state)
{
	(void)state;
	define();
	machine_remove(&host, host.machines);
	assert_true(synced_empty);
	assert_null(host.machines);
}

static void one_that_cannot_be_forgotten_stays(void **state)
{
	struct error e;
	char says[160];
	json_t *shown;

	(void)state;
	define();
	sync_error = EIO;
	assert_int_equal(machine_forget(&host, "web", &shown, &e), -EIO);
	snprintf(says, sizeof(says),
		 "machine web: sync folder %s: Input/output error", books);
	assert_string_equal(e.text, says);
	assert_state("stopped");
	sync_error = 0;
	assert_int_equal(machine_forget(&host, "web", &shown, &e), 0);
	json_decref(shown);
	assert_true(synced_empty);
}

/* As if it had been started: a process that is no QEMU. */
static pid_t run(struct machine *m)
{
	pid_t pid = fork();
	uint64_t start;
	struct error e;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	assert_int_equal(launch_start_time(&start, pid, &e), 0);
	assert_int_equal(launch_attach(&m->process, pid, start, m->run_dir, &e),
			 0);
	m->started = true;
	return pid;
}

static void make_socket(const struct machine *m)
{
	char machines[96];
	FILE *f;

	assert_int_equal(mkdir(run_directory, 0700), 0);
	snprintf(machines, sizeof(machines), "%s/machines", run_directory);
	assert_int_equal(mkdir(machines, 0700), 0);
	assert_int_equal(mkdir(m->run_dir, 0700), 0);
	f = fopen(m->process.qmp_path, "we");
	assert_non_null(f);
	fclose(f);
}

static void a_qemu_that_cannot_be_ended_still_runs(void **state)
{
	struct machine *m;
	struct error e;
	char says[160];
	json_t *shown;
	pid_t pid;

	(void)state;
	define();
	m = host.machines;
	pid = run(m);
	make_socket(m);
	signal_error = EPERM;
	assert_int_equal(machine_stop(&host, "web", &shown, &e), -EPERM);
	assert_state("running");
	assert_true(is_there(m->run_dir, "qmp.sock"));
	snprintf(says, sizeof(says),
		 "machine web: end QEMU, process %d: Operation not permitted",
		 (int)pid);
	assert_string_equal(e.text, says);

	signal_error = 0;
	assert_int_equal(machine_stop(&host, "web", &shown, &e), 0);
	json_decref(shown);
	assert_state("stopped");
	assert_int_equal(access(m->run_dir, F_OK), -1);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_forgotten_machine_is_off_the_disk, fresh, gone),
		cmocka_unit_test_setup_teardown(
			a_machine_that_left_is_off_the_disk, fresh, gone),
		cmocka_unit_test_setup_teardown(
			one_that_cannot_be_forgotten_stays, fresh, gone),
		cmocka_unit_test_setup_teardown(
			a_qemu_that_cannot_be_ended_still_runs, fresh, gone),
	};

	return cmocka_run_group_tests_name("machines", tests, NULL, NULL);
}
