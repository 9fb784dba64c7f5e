/* SPDX-License-Identifier: MIT */

/*
 * Into a new QEMU on this host: stages that are run in order, up to where both
 * QEMUs are complete.  QEMU's stream goes from one to the other; nothing of it
 * is read here.  Who has the guest then, and after a failure, the table of
 * decide.h says; update_acts.c does it.
 */
#include "move/update.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "move/compare.h"
#include "move/converge.h"
#include "move/disks.h"
#include "move/permit.h"
#include "pages/backends.h"
#include "qemu/definition.h"
#include "qemu/qmp.h"
#include "qemu/twice.h"

enum {
	MONITOR_US = 5000000,
	TURN_US = 250000,   /* at most, to what else there is */
	REASON_US = 500000, /* for the new QEMU to end, which says why */
	SLOWEST = 32 << 20, /* bytes per second from one to the other */
};

/* --- check */

static int check_guest(struct update *u, struct error *e)
{
	struct journal_entry *entry = u->side.entry;

	if (monitor_is_running(u->old.qmp, &entry->was_running, e) < 0 ||
	    monitor_migration(u->old.qmp, &u->info, e) < 0)
		return error_code(e);
	entry->paused = !entry->was_running;
	if (u->info.status == MIGRATION_ACTIVE)
		return error_set(e, EBUSY,
				 "its QEMU is already migrating: somebody else "
				 "is moving it");
	return 0;
}

/* As a compare finds it, of this host.  The definition is here already: nobody
 * brings it, and the program that it names is meant. */
static int check_here(struct update *u, const struct definition *d,
		      struct error *e)
{
	SCOPED(findings_done) struct findings found = { 0 };
	char *program[] = { d->qemu };
	const struct words named = { .at = program, .count = d->qemu != NULL };
	struct move_host here = *u->host;

	here.programs = &named;
	here.strict = false;
	if (compare_check(&here, &u->description, NULL, &found, e) < 0)
		return error_code(e);
	return compare_verdict(&found, e);
}

static int describe(struct update *u, struct definition *ret, struct error *e)
{
	struct disk_marks *marks = NULL;
	int r = compare_describe(u->old.qmp, u->machine, &u->description,
				 &marks, e);

	/* With the machine type that runs. */
	if (r == 0)
		r = compare_read_definition(ret, &u->description, e);
	if (r == 0)
		r = check_here(u, ret, e);
	disks_unmark(marks);
	return r;
}

/* --- prepare */

/* The file that is the old QEMU's memory: then none of it is copied. */
static int find_memory(struct update *u, const struct definition *d,
		       struct error *e)
{
	AUTO_FREE struct backend *all = calloc(BACKENDS_MAX, sizeof(*all));
	int n = all ? backends_find(all, u->machine->process.pid, e)
		    : error_set(e, ENOMEM, "no memory for a search");

	for (int i = 0; i < n; i++) {
		if (!strcmp(all[i].name, d->memory_id))
			u->memory_fd = take_fd(&all[i].fd);
		scope_close(&all[i].fd);
	}
	if (n < 0 || u->memory_fd >= 0)
		return n < 0 ? n : 0;
	return error_set(e, ENOENT,
			 "its memory is no file that can be handed over: "
			 "restart it, or move it");
}

static int start_qemu(struct update *u, const struct definition *d,
		      struct error *e)
{
	const struct launch_options o = {
		.default_qemu = u->host->qemu,
		.run_dir = u->side.entry->folder,
		.run_directory = u->host->run_directory,
		.memory_fd = u->memory_fd,
		.incoming = true,
		.beside = true,
		.small_pages = u->description.small_pages &&
			       d->huge_pages == HUGE_PAGES_AUTO,
		.user = u->host->qemu_user,
		.state_directory = u->host->state_directory,
		.image_directories = u->host->image_directories,
		.bridges = u->host->bridges,
	};
	struct journal_entry *entry = u->side.entry;

	if (launch_start(&u->process, d, &o, e) < 0)
		return error_code(e);
	atomic_store(&u->job->fills, u->process.pid);
	fault_point("update:started");
	entry->pid = u->process.pid;
	entry->start_time = u->process.start_time;
	launch_identity(entry->qemu, sizeof(entry->qemu), &u->process);
	if (journal_write(u->host->state_directory, entry, STEP_PREPARE, e) < 0)
		return error_code(e);
	return permit_judges(u->host, d)
		       ? permit_opened(u->host, u->process.pid, entry->folder,
				       e)
		       : 0;
}

static int open_monitor(struct update_qemu *q, const char *path,
			struct error *e)
{
	if (qmp_open(&q->qmp, path, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	return monitor_capabilities(q->qmp, &q->capabilities, e);
}

/* A capability that one of them does not know is off in both. */
static int set_both(struct update *u, const char *name, bool on,
		    struct error *e)
{
	on = on && words_have(&u->old.capabilities.known, name) &&
	     words_have(&u->fresh.capabilities.known, name);
	if (monitor_set_capability(u->old.qmp, &u->old.capabilities, name, on,
				   e) < 0)
		return error_code(e);
	return monitor_set_capability(u->fresh.qmp, &u->fresh.capabilities,
				      name, on, e);
}

static int check_ignores(const struct update *u, struct error *e)
{
	static const char ignores[] = "x-ignore-shared";

	if (u->memory_fd <= 0 ||
	    (words_have(&u->old.capabilities.known, ignores) &&
	     words_have(&u->fresh.capabilities.known, ignores)))
		return 0;
	return error_set(e, EOPNOTSUPP,
			 "one of the two QEMUs cannot leave memory where it is "
			 "(%s): it is older than 4.0",
			 ignores);
}

static int set_capabilities(struct update *u, struct error *e)
{
	const struct {
		const char *name;
		bool on;
	} wanted[] = {
		{ "events", true },
		{ "return-path", true },
		{ "multifd", false },
		{ "postcopy-ram", false },
		{ "switchover-ack", false },
		/* Of each other's pages they must not send any. */
		{ "x-ignore-shared", u->memory_fd > 0 },
		{ "pause-before-switchover", false },
	};
	const struct words *named = &u->description.capabilities;

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (set_both(u, wanted[i].name, wanted[i].on, e) < 0)
			return error_code(e);
	for (size_t i = 0; i < named->count; i++)
		if (set_both(u, named->at[i], true, e) < 0)
			return error_code(e);
	return monitor_set_capability(u->fresh.qmp, &u->fresh.capabilities,
				      "late-block-activate", true, e);
}

static int set_up(struct update *u, struct error *e)
{
	if (open_monitor(&u->fresh, u->process.qmp_path, e) < 0 ||
	    check_ignores(u, e) < 0 || set_capabilities(u, e) < 0 ||
	    monitor_keep_quiet(u->fresh.qmp, e) < 0)
		return error_code(e);
	/* A daemon that died in a move has not done so. */
	monitor_reset_convergence(u->old.qmp);
	return steer_begin(&u->steer, u->old.qmp, NULL, &u->old.capabilities,
			   e);
}

/* Whichever of them noticed: the new QEMU says the reason, and ends. */
static int explain(struct update *u, struct error *e)
{
	struct pollfd end = { .fd = u->process.pidfd, .events = POLLIN };
	char how[64], last[200];

	if (e->code == ECANCELED || e->code == ETIMEDOUT ||
	    u->process.pidfd < 0 ||
	    poll(&end, 1, (int)(REASON_US / USEC_PER_MS)) <= 0)
		return error_code(e);
	(void)launch_died(&u->process, NULL, how, sizeof(how));
	launch_last_words(u->side.entry->folder, last, sizeof(last));
	return error_set(e, EPIPE, "the new QEMU %s: %s", how, last);
}

/* --- the stream */

static void show_progress(struct update *u)
{
	const struct migration_info *q = &u->info;
	struct job_progress *p = &u->progress;
	int percent =
		q->total ? (int)((q->total - q->remaining) * 100 / q->total)
			 : 0;

	p->percent = percent > 99 ? 99 : percent;
	p->bytes_sent = q->sent;
	p->ram_total = q->total;
	p->remaining = q->remaining;
	p->round = q->rounds;
	p->dirty_rate = q->dirty_rate;
	p->throttle = q->throttle;
	p->downtime_estimate_ms = q->expected_downtime_ms;
	p->downtime_limit_ms =
		(int64_t)(u->steer.converge.limit_us / USEC_PER_MS);
	job_set_progress(u->job, p);
}

static int check_deadline(struct update *u, struct error *e)
{
	char limit[32];

	if (u->deadline_us == 0 || clock_us() < u->deadline_us ||
	    u->times.stopped_wall_us)
		return 0;
	text_duration(limit, sizeof(limit), u->o->timeout_us);
	if (!(u->o->converge & CONVERGE_PAUSE))
		return error_set(e, ETIMEDOUT,
				 "the update was not done within the time-out "
				 "of %s: %s",
				 limit,
				 u->steer.stuck[0]
					 ? u->steer.stuck
					 : "the guest changes its memory "
					   "faster than it is copied");
	u->deadline_us = 0;
	u->times.forced = true;
	return monitor_pause(u->old.qmp, e);
}

/* The guest stands still: it is not waited for a QEMU that hangs. */
static void limit_load(struct update *u)
{
	if (u->o->outage_limit_us > 0)
		u->load_until_us = clock_us() + u->o->outage_limit_us +
				   u->info.remaining * USEC_PER_SEC / SLOWEST;
}

static int check_load(const struct update *u, struct error *e)
{
	if (u->load_until_us == 0 || clock_us() < u->load_until_us)
		return 0;
	return error_set(e, ETIMEDOUT,
			 "the new QEMU has not loaded the guest, which has "
			 "been "
			 "stopped for longer than the outage limit: that QEMU "
			 "hangs");
}

static int on_status(struct update_qemu *q, enum migration_status status,
		     const char *which, struct error *e)
{
	struct migration_info info = { .status = status };
	struct error ignored;

	q->complete |= status == MIGRATION_COMPLETED;
	if (status != MIGRATION_FAILED && status != MIGRATION_CANCELLED)
		return 0;
	(void)monitor_migration(q->qmp, &info, &ignored);
	return error_set(e, EIO, "the %s QEMU's migration %s%s%s", which,
			 status == MIGRATION_FAILED ? "failed"
						    : "was cancelled",
			 info.why[0] ? ": " : "", info.why);
}

static int drain(struct update *u, struct update_qemu *q, const char *which,
		 struct error *e)
{
	struct monitor_event event;
	int r = 0;

	for (int n = 0; n < MONITOR_EVENTS_AT_ONCE && !q->complete &&
			(r = monitor_event(q->qmp, 0, &event, e)) > 0;
	     n++) {
		if (event.kind == MONITOR_STOPPED && q == &u->old) {
			u->times.stopped_wall_us = event.wall_us;
			limit_load(u);
			job_set_stage(u->job, "switchover");
			fault_point("update:switchover");
		} else if (event.kind == MONITOR_PASS && q == &u->old) {
			steer_pass(&u->steer, event.pass);
		} else if (event.kind == MONITOR_MIGRATION &&
			   on_status(q, event.status, which, e) < 0) {
			return error_code(e);
		}
	}
	if (r == -EPIPE)
		return error_set(e, EPIPE, "the %s QEMU has ended", which);
	return r < 0 ? r : 0;
}

/* The old QEMU's monitor does not answer while it switches over. */
static int ask_progress(struct update *u, struct error *e)
{
	if (u->times.stopped_wall_us || !steer_is_due(&u->steer))
		return 0;
	if (monitor_migration(u->old.qmp, &u->info, e) < 0 ||
	    drain(u, &u->old, "old", e) < 0)
		return error_code(e);
	if (!u->times.stopped_wall_us && u->info.status == MIGRATION_ACTIVE &&
	    steer_round(&u->steer, &u->info, e) < 0)
		return error_code(e);
	steer_ask_on(&u->steer);
	show_progress(u);
	return 0;
}

static int turn_ms(const struct update *u)
{
	uint64_t turn = clock_us() + TURN_US, next = u->steer.next_us;

	return clock_poll_ms(!u->times.stopped_wall_us && next < turn ? next
								      : turn);
}

/* Until both say that everything is there. */
static int watch(struct update *u, struct error *e)
{
	for (;;) {
		struct pollfd p[] = {
			{ .fd = qmp_fd(u->old.qmp), .events = POLLIN },
			{ .fd = qmp_fd(u->fresh.qmp), .events = POLLIN },
			{ .fd = u->job->wake_fd, .events = POLLIN },
		};

		if (drain(u, &u->fresh, "new", e) < 0 ||
		    drain(u, &u->old, "old", e) < 0)
			return error_code(e);
		if (u->old.complete && u->fresh.complete)
			return 0;
		if (job_check_cancel(u->job, e) < 0 ||
		    check_deadline(u, e) < 0 || check_load(u, e) < 0 ||
		    ask_progress(u, e) < 0)
			return error_code(e);
		/* One that is complete may end: the other is waited for. */
		if (u->old.complete)
			p[0].fd = -1;
		if (u->fresh.complete)
			p[1].fd = -1;
		poll(p, ARRAY_SIZE(p), turn_ms(u));
	}
}

static int transfer(struct update *u, struct error *e)
{
	char path[PATH_MAX + 16];
	struct error why;

	snprintf(path, sizeof(path), "%s/incoming.sock", u->side.entry->folder);
	unlink(path);
	if (u->o->timeout_us > 0)
		u->deadline_us = clock_us() + u->o->timeout_us;
	if (monitor_receive(u->fresh.qmp, path, e) < 0)
		return error_code(e);
	fault_point("update:listening");
	/* The guest still runs; else the decision is written as a whole. */
	u->prepared = journal_prepare(u->host->state_directory, u->side.entry,
				      STEP_COMMIT, &why) == 0;
	u->migrating = true;
	u->times.migrate_us = u->steer.begun_us = clock_us();
	if (monitor_migrate(u->old.qmp, path, e) < 0)
		return error_code(e);
	fault_point("update:pre-copy");
	if (watch(u, e) < 0)
		return error_code(e);
	u->times.completed_us = clock_us();
	u->times.completed_wall_us = u->times.loaded_wall_us = clock_wall_us();
	return 0;
}

/* --- the whole */

static int st_check(struct update *u, struct definition *d, struct error *e)
{
	struct journal_entry *entry = u->side.entry;

	launch_identity(entry->guest, sizeof(entry->guest),
			&u->machine->process);
	u->machine->stays = true;
	launch_beside(entry->folder, u->machine->run_dir);
	if (open_monitor(&u->old, u->machine->process.qmp_path, e) < 0 ||
	    check_guest(u, e) < 0 || describe(u, d, e) < 0 ||
	    twice_check(d, entry->folder, e) < 0)
		return error_code(e);
	return journal_write(u->host->state_directory, entry, STEP_PREPARE, e);
}

static int st_prepare(struct update *u, struct definition *d, struct error *e)
{
	fault_point("update:prepare");
	if (definition_has_ram_file(d) && find_memory(u, d, e) < 0)
		return error_code(e);
	if (start_qemu(u, d, e) < 0)
		return error_code(e);
	return set_up(u, e) < 0 ? explain(u, e) : 0;
}

static int st_transfer(struct update *u, struct definition *d, struct error *e)
{
	(void)d;
	return transfer(u, e) < 0 ? explain(u, e) : 0;
}

static const struct {
	const char *name;
	int (*run)(struct update *u, struct definition *d, struct error *e);
} stages[] = {
	{ "check", st_check },
	{ "prepare", st_prepare },
	{ "pre-copy", st_transfer },
};

static int run_stages(struct update *u, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		job_set_stage(u->job, stages[i].name);
		if (job_check_cancel(u->job, e) == 0 &&
		    stages[i].run(u, &d, e) == 0)
			continue;
		if (e->code != ECANCELED)
			error_in(e, "%s", stages[i].name);
		return error_code(e);
	}
	job_set_stage(u->job, "commit");
	return job_check_cancel(u->job, e);
}

static int outcome(struct update *u, struct error *e)
{
	if (job_course(u->job) == SOURCE_GONE)
		return 0;
	*e = u->why;
	return error_code(e);
}

static void let_go(struct update *u)
{
	struct update_qemu *both[] = { &u->old, &u->fresh };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		qmp_close(both[i]->qmp);
		migration_capabilities_done(&both[i]->capabilities);
	}
	if (!u->forgotten)
		launch_forget(&u->process);
	shape_done(&machine_description_shape, &u->description);
	scope_close(&u->memory_fd);
}

int move_update(struct job *job, const struct move_host *host,
		struct move_machine *machine, const struct move_options *o,
		struct error *e)
{
	struct update u = { .job = job,
			    .host = host,
			    .machine = machine,
			    .o = o,
			    .process.pidfd = -1,
			    .memory_fd = -1,
			    .entry = journal_entry_of(job) };
	int r;

	update_begin(&u, &u.entry);
	job_begin(job, SOURCE_COPYING);
	commit_run(&u.side, run_stages(&u, &u.why) == 0 ? EVENT_BOTH_COMPLETE
							: EVENT_FAILED);
	r = outcome(&u, e);
	let_go(&u);
	return r;
}

/* --- after a restart */

/* Nobody knows whether it had been told to continue the guest, unless nothing
 * was decided. */
static void find_new_qemu(struct update *u)
{
	const struct journal_entry *entry = u->side.entry;
	struct qemu_process *p = &u->process;
	char now[LAUNCH_IDENTITY_SIZE];
	struct error e;

	u->told = entry->step != STEP_PREPARE;
	if (entry->pid == 0 ? launch_find(p, entry->folder, &e) < 0
			    : launch_attach(p, entry->pid, entry->start_time,
					    entry->folder, &e) < 0)
		return;
	launch_identity(now, sizeof(now), p);
	/* Process ids and start times begin anew when the host does. */
	if (entry->qemu[0] && strcmp(entry->qemu, now) != 0)
		launch_forget(p);
}

int move_update_resume(struct job *job, const struct move_host *host,
		       struct move_machine *machine,
		       struct journal_entry *entry, struct error *e)
{
	static const struct move_options none;
	enum journal_step step = entry->step;
	struct update u = { .job = job,
			    .host = host,
			    .machine = machine,
			    .o = &none,
			    .process.pidfd = -1,
			    .memory_fd = -1,
			    .resumed = true,
			    .left = step == STEP_LEFT };
	int r;

	update_begin(&u, entry);
	find_new_qemu(&u);
	if (step == STEP_PREPARE)
		error_set(&u.why, EOWNERDEAD,
			  "droverd ended in the middle of this update; the "
			  "guest goes on in the old QEMU");
	commit_run(&u.side, step == STEP_LEFT     ? EVENT_FOUND_LEFT
			    : step == STEP_COMMIT ? EVENT_FOUND_COMMIT
						  : EVENT_FOUND_PREPARE);
	r = outcome(&u, e);
	let_go(&u);
	return r;
}
