/* SPDX-License-Identifier: MIT */

/*
 * The registry, where the system does not do what it is told: fsync() and
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

#include "base/error.h"
#include "base/scope.h"
#include "host/host.h"
#include "host/jobs.h"
#include "host/kept_copies.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/restore.h"
#include "host/settings.h"
#include "qemu/definition.h"
#include "scratch.h"

#define DEFINITION \
	"[machine]\nname = web\nmemory = 16M\nmachine = pc\n" \
	"accelerator = tcg\n"

static char folder[SCRATCH_CAP], run_directory[80], files[80];
static char own_name[] = "alpha", program[] = "/bin/true";
static struct settings settings;
static const struct settings_source nowhere = { .path = "" };
static struct host host;

static int sync_error, signal_error;
static bool synced_empty; /* the folder, with nothing of a machine in it */

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
	if (!strcmp(path, files) && !is_there(files, "web.machine") &&
	    !is_there(files, "web.json"))
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
	scratch_folder(folder);
	snprintf(files, sizeof(files), "%s/machines", folder);
	snprintf(run_directory, sizeof(run_directory), "%s/run", folder);
	settings = (struct settings){
		.host = { .name = own_name,
			  .qemu = program,
			  .state_directory = folder,
			  .run_directory = run_directory },
		.references = 2, /* it is never given back */
	};
	host = (struct host){ .settings = &settings.host };
	live_init(&host.live, settings_hold(&settings), &nowhere);
	host.jobs = jobs_new(own_name);
	host.registry = registry_new(&settings.host, host.jobs, NULL);
	host.kept = kept_copies_new(folder);
	sync_error = signal_error = 0;
	synced_empty = false;
	return 0;
}

static int gone(void **state)
{
	(void)state;
	registry_free(host.registry);
	kept_copies_free(host.kept);
	jobs_free(host.jobs);
	live_done(&host.live);
	return 0;
}

static void define(void)
{
	struct error e;
	struct machine_view shown;

	assert_int_equal(machine_define(&host, NULL, DEFINITION, &shown, &e),
			 0);
	machine_view_done(&shown);
	assert_true(is_there(files, "web.machine"));
	assert_true(is_there(files, "web.json"));
	assert_false(synced_empty);
}

static void assert_state(const char *wanted)
{
	struct error e;
	struct machine_view shown;

	assert_int_equal(machine_show(&host, "web", &shown, &e), 0);
	assert_string_equal(machine_state_names[shown.state], wanted);
	machine_view_done(&shown);
}

/* The machine "web", held by a job. */
static struct machine *take(void)
{
	struct machine *m = NULL;
	struct error e;

	if (machine_take(host.registry, "web", hold_by_job("1"), &m, &e) < 0)
		fail_msg("%s", e.text);
	return m;
}

static void a_forgotten_machine_is_off_the_disk(void **state)
{
	struct error e;
	struct machine_view shown;

	(void)state;
	define();
	assert_int_equal(machine_forget(&host, "web", false, &shown, &e), 0);
	machine_view_done(&shown);
	assert_true(synced_empty);
	assert_int_equal(registry_count(host.registry), 0);
}

static void a_machine_that_left_is_off_the_disk(void **state)
{
	(void)state;
	define();
	machine_remove(host.registry, take());
	assert_true(synced_empty);
	assert_int_equal(registry_count(host.registry), 0);
}

static void one_that_cannot_be_forgotten_stays(void **state)
{
	struct error e;
	char says[160];
	struct machine_view shown;

	(void)state;
	define();
	sync_error = EIO;
	assert_int_equal(machine_forget(&host, "web", false, &shown, &e), -EIO);
	snprintf(says, sizeof(says),
		 "machine web: sync folder %s: Input/output error", files);
	assert_string_equal(e.text, says);
	assert_state("stopped");
	sync_error = 0;
	assert_int_equal(machine_forget(&host, "web", false, &shown, &e), 0);
	machine_view_done(&shown);
	assert_true(synced_empty);
}

/* As if it had been started: a process that is no QEMU. */
static pid_t run(struct qemu_process *ret)
{
	pid_t pid = fork();
	struct machine *m;
	uint64_t start;
	struct error e;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	assert_int_equal(launch_start_time(&start, pid, &e), 0);
	m = take();
	assert_int_equal(launch_attach(ret, pid, start,
				       machine_record(m)->run_dir, &e),
			 0);
	machine_set_running(host.registry, m, ret, false);
	machine_release(host.registry, m);
	return pid;
}

static void make_socket(const struct qemu_process *p)
{
	char run_dir[160];
	char machines[96];
	FILE *f;

	assert_int_equal(mkdir(run_directory, 0700), 0);
	snprintf(machines, sizeof(machines), "%s/machines", run_directory);
	assert_int_equal(mkdir(machines, 0700), 0);
	snprintf(run_dir, sizeof(run_dir), "%s/web", machines);
	assert_int_equal(mkdir(run_dir, 0700), 0);
	f = fopen(p->qmp_path, "we");
	assert_non_null(f);
	fclose(f);
}

static void a_qemu_that_cannot_be_ended_still_runs(void **state)
{
	struct qemu_process p;
	struct error e;
	char says[160];
	struct machine_view shown;
	pid_t pid;

	(void)state;
	define();
	pid = run(&p);
	make_socket(&p);
	signal_error = EPERM;
	assert_int_equal(machine_stop(&host, "web", &shown, &e), -EPERM);
	assert_state("running");
	assert_int_equal(access(p.qmp_path, F_OK), 0);
	snprintf(says, sizeof(says),
		 "machine web: end QEMU, process %d: Operation not permitted",
		 (int)pid);
	assert_string_equal(e.text, says);

	signal_error = 0;
	assert_int_equal(machine_stop(&host, "web", &shown, &e), 0);
	machine_view_done(&shown);
	assert_state("stopped");
	assert_int_equal(access(p.qmp_path, F_OK), -1);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
}

/* --- identity */

#define ONE "123e4567-e89b-42d3-a456-426614174001"
#define TWO "123e4567-e89b-42d3-a456-426614174002"

static int define_text(const char *name, const char *lines, char *ret_uuid,
		       struct error *e)
{
	char text[400];
	struct machine_view shown;
	int r;

	snprintf(text, sizeof(text), "[machine]\nname = %s\nmemory = 16M\n%s\n",
		 name, lines);
	r = machine_define(&host, NULL, text, &shown, e);
	if (r < 0)
		return r;
	if (ret_uuid)
		strcpy(ret_uuid, shown.uuid);
	machine_view_done(&shown);
	return 0;
}

static void a_machine_has_a_uuid_and_keeps_it(void **state)
{
	char first[UUID_CAP], again[UUID_CAP], other[UUID_CAP], says[200];
	struct error e;

	(void)state;
	assert_int_equal(define_text("web", "", first, &e), 0);
	assert_int_equal(uuid_parse(again, first, &e), 0);
	assert_int_equal(define_text("web", "vcpus = 2", again, &e), 0);
	assert_string_equal(again, first);
	assert_int_equal(define_text("mail", "", other, &e), 0);
	assert_string_not_equal(other, first);

	assert_int_equal(define_text("web", "uuid = " TWO, NULL, &e), -EEXIST);
	snprintf(says, sizeof(says),
		 "machine web has the uuid %s: leave it as it is, or forget "
		 "that machine first",
		 first);
	assert_string_equal(e.text, says);
}

static void a_uuid_is_of_one_machine(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(define_text("web", "uuid = " ONE, NULL, &e), 0);
	assert_int_equal(define_text("mail", "arguments = -uuid " ONE, NULL,
				     &e),
			 -EEXIST);
	assert_string_equal(e.text,
			    "alpha has this machine already under the name "
			    "web, with the uuid " ONE
			    ": forget that one, or give this one another uuid");
}

static void write_file(const char *name, const char *text)
{
	char path[160];
	FILE *f;

	mkdir(files, 0700);
	snprintf(path, sizeof(path), "%s/%s", files, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void restore(void)
{
	struct error e;

	if (restore_machines(&host, &e) < 0)
		fail_msg("%s", e.text);
}

static void one_of_before_gets_a_uuid_that_stays(void **state)
{
	char first[UUID_CAP];
	struct machine *m;

	(void)state;
	write_file("web.machine", DEFINITION);
	write_file("web.json", "{\"started\": false, \"arrived\": \"\"}");
	restore();
	m = take();
	strcpy(first, machine_record(m)->uuid);
	assert_int_equal(strlen(first), 36);
	machine_unlist(host.registry, m);
	restore();
	assert_string_equal(machine_record(take())->uuid, first);
}

static void one_that_cannot_be_read_any_more_is_listed(void **state)
{
	SCOPED(machine_views_done) struct machine_views all = { 0 };
	struct error e;

	(void)state;
	write_file("web.machine", DEFINITION "arguments = \xff\n");
	restore();
	assert_int_equal(machine_list(&host, &all, &e), 0);
	assert_int_equal(all.count, 1);
	assert_string_equal(all.at[0].name, "web");
	assert_null(all.at[0].definition);
}

/* What a daemon of before has written: with fields of then, and not all of
 * today's. */
static void how_a_qemu_was_lost_is_read_again(void **state)
{
	struct machine_view shown;
	struct error e;

	(void)state;
	write_file("web.machine", DEFINITION);
	write_file("web.json", "{\"started\": false, \"lost\": \"its QEMU "
			       "was killed\", \"of_then\": [1]}");
	restore();
	assert_int_equal(machine_show(&host, "web", &shown, &e), 0);
	assert_int_equal(shown.state, MACHINE_LOST);
	assert_string_equal(shown.lost, "its QEMU was killed");
	machine_view_done(&shown);
}

/* The other side of a move that was taken back may ask after an update. */
static void a_guest_lives_on_in_the_qemu_that_it_went_on_in(void **state)
{
	char first[LAUNCH_IDENTITY_SIZE], second[LAUNCH_IDENTITY_SIZE];
	struct qemu_process p, other;
	struct machine *m;
	struct error e;
	pid_t pid;

	(void)state;
	define();
	pid = run(&p);
	launch_identity(first, sizeof(first), &p);
	run(&other);
	launch_identity(second, sizeof(second), &other);
	m = take();
	machine_set_running(host.registry, m, &p, false);
	machine_set_updated(host.registry, m, &other, false);
	assert_int_equal(machine_save(host.registry, m, &e), 0);
	machine_release(host.registry, m);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int again = 0; again < 2; again++) {
		assert_true(registry_guest_lives(host.registry, "web", second));
		assert_true(registry_guest_lives(host.registry, "web", first));
		first[strlen(first) - 1]++;
		assert_false(registry_guest_lives(host.registry, "web", first));
		first[strlen(first) - 1]--;
		if (again == 0) {
			registry_free(host.registry);
			host.registry =
				registry_new(&settings.host, host.jobs, NULL);
			restore();
		}
	}
	m = take();
	machine_set_running(host.registry, m, &p, false);
	assert_string_equal(machine_record(m)->before, "");
	machine_release(host.registry, m);
}

static struct machine *expect(const char *uuid, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct machine *m = NULL;
	char text[200];

	snprintf(text, sizeof(text),
		 "[machine]\nname = web\nmemory = 32M\n%s%s",
		 uuid ? "uuid = " : "", uuid ? uuid : "");
	assert_int_equal(definition_parse(&d, "x", text, e), 0);
	return machine_expect(host.registry, &d, hold_by_job("1"), &m, e) == 0
		       ? m
		       : NULL;
}

static void only_the_same_machine_gives_way_to_one_that_comes(void **state)
{
	struct qemu_process p;
	struct machine *m;
	struct error e;
	pid_t pid;

	(void)state;
	assert_int_equal(define_text("web", "uuid = " ONE, NULL, &e), 0);
	assert_null(expect(TWO, &e));
	assert_string_equal(e.text,
			    "alpha has a machine called web already, another "
			    "one, its uuid is " ONE ": forget it there, or "
			    "define this one under another name");
	assert_null(expect(NULL, &e));
	m = expect(ONE, &e);
	assert_non_null(m);
	assert_state("incoming");
	assert_null(expect(ONE, &e));
	assert_int_equal(e.code, EBUSY);
	machine_did_not_come(host.registry, m);
	assert_state("stopped");

	pid = run(&p);
	assert_null(expect(ONE, &e));
	assert_non_null(strstr(e.text, "already, and runs it: "));
	launch_forget(&p);
	m = take();
	machine_set_stopped(host.registry, m, "");
	machine_release(host.registry, m);
	assert_int_equal(kill(pid, SIGKILL), 0);
	waitpid(pid, NULL, 0);
}

static void one_that_comes_shows_what_it_is(void **state)
{
	struct error e;
	struct machine *m = expect(ONE, &e);
	struct machine_view shown;

	(void)state;
	assert_non_null(m);
	assert_int_equal(machine_show(&host, "web", &shown, &e), 0);
	assert_int_equal(shown.memory_bytes, 32 << 20);
	assert_int_equal(shown.vcpus, 1);
	assert_true(shown.comes);
	machine_view_done(&shown);
	machine_did_not_come(host.registry, m);
	assert_int_equal(registry_count(host.registry), 0);
}

static void assert_comes(bool comes)
{
	struct machine_view shown;
	struct error e;

	assert_int_equal(machine_show(&host, "web", &shown, &e), 0);
	assert_int_equal(shown.comes, comes);
	machine_view_done(&shown);
}

static void one_that_is_held_may_be_about_to_start(void **state)
{
	struct machine *m;

	(void)state;
	define();
	assert_comes(false);
	m = take();
	assert_comes(true);
	machine_release(host.registry, m);
	assert_comes(false);
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
		cmocka_unit_test_setup_teardown(
			a_machine_has_a_uuid_and_keeps_it, fresh, gone),
		cmocka_unit_test_setup_teardown(a_uuid_is_of_one_machine, fresh,
						gone),
		cmocka_unit_test_setup_teardown(
			one_of_before_gets_a_uuid_that_stays, fresh, gone),
		cmocka_unit_test_setup_teardown(
			one_that_cannot_be_read_any_more_is_listed, fresh,
			gone),
		cmocka_unit_test_setup_teardown(
			how_a_qemu_was_lost_is_read_again, fresh, gone),
		cmocka_unit_test_setup_teardown(
			a_guest_lives_on_in_the_qemu_that_it_went_on_in, fresh,
			gone),
		cmocka_unit_test_setup_teardown(
			only_the_same_machine_gives_way_to_one_that_comes,
			fresh, gone),
		cmocka_unit_test_setup_teardown(one_that_comes_shows_what_it_is,
						fresh, gone),
		cmocka_unit_test_setup_teardown(
			one_that_is_held_may_be_about_to_start, fresh, gone),
	};

	return cmocka_run_group_tests_name("machines", tests, NULL, NULL);
}
