/* SPDX-License-Identifier: MIT */

/*
 * An update's actions of the table of decide.h: one function each, which
 * returns the event that it brings.  What a peer would be told, or asked, is
 * the new QEMU's monitor's here.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "move/journal.h"
#include "move/update.h"
#include "qemu/qmp.h"

enum {
	MONITOR_US = 5000000,
	TAKE_BACK_US = 60000000, /* of QEMUs that wait for their disks */
	END_US = 100000,         /* of a QEMU that has not run the guest */
	LAST_MS = 1000,          /* of one that has closed its monitor */
};

static struct update *update_of(struct commit_side *c)
{
	return container_of(c, struct update, side);
}

static unsigned facts(struct commit_side *c)
{
	const struct update *u = update_of(c);
	const struct qemu_process *old = &u->machine->process;
	char now[LAUNCH_IDENTITY_SIZE];
	/* Not FACT_LEFT: nobody will ask for a record, so that the entry goes
	 * as any other does, and for certain. */
	unsigned f = FACT_MACHINE;

	launch_identity(now, sizeof(now), old);
	if (old->pidfd < 0 || !strcmp(c->entry->guest, now))
		f |= FACT_SAME_QEMU;
	return f;
}

static void hear(struct update *u, const struct error *e)
{
	snprintf(u->side.heard, sizeof(u->side.heard), "%.290s", e->text);
}

/* --- the new QEMU, in the place of the peer */

/* Nothing of it is left; negative: it lives. */
static int end_new(struct update *u, struct error *e)
{
	qmp_close(u->fresh.qmp);
	u->fresh.qmp = NULL;
	if (u->process.pidfd >= 0 &&
	    launch_end(&u->process, clock_us() + END_US, e) < 0)
		return error_code(e);
	launch_clean_all(u->side.entry->folder);
	return 0;
}

static enum decide_event dropped(struct update *u, const struct error *why)
{
	struct error e;

	u->why = *why;
	error_in(&u->why, "continue the guest in the new QEMU");
	if (end_new(u, &e) == 0)
		return EVENT_HEARD_DROPPED;
	hear(u, &e);
	return EVENT_SILENT;
}

/* A monitor that has missed a reply is opened anew. */
static int reach_new(struct update *u, struct error *e)
{
	if (u->fresh.qmp && u->side.last != EVENT_SILENT)
		return 0;
	qmp_close(u->fresh.qmp);
	u->fresh.qmp = NULL;
	return qmp_open(&u->fresh.qmp, u->process.qmp_path,
			clock_us() + MONITOR_US, e);
}

/* One that has been killed is asked first, so that it is not told. */
static int continue_new(struct update *u, struct error *e)
{
	bool running = false;
	int r = reach_new(u, e);

	if (r == 0)
		r = monitor_is_running(u->fresh.qmp, &running, e);
	if (r < 0 || running || u->side.entry->paused)
		return r;
	u->told = true;
	return monitor_continue(u->fresh.qmp, e);
}

/* A QEMU that is killed closes its monitor a moment before it is gone. */
static bool lives_on(const struct update *u)
{
	struct pollfd end = { .fd = u->process.pidfd, .events = POLLIN };

	return launch_alive(&u->process) && poll(&end, 1, LAST_MS) == 0;
}

/* Once it may have run the guest, one that has ended had it.  Only of the first
 * word a refusal is certain. */
static enum decide_event tell(struct update *u)
{
	bool first = !u->told;
	struct error e;
	int r = -EPIPE;

	if (launch_alive(&u->process))
		r = continue_new(u, &e);
	else
		error_set(&e, EPIPE, "it has ended");
	if (r == 0)
		return EVENT_HEARD_RUNNING;
	if ((r == -EREMOTEIO && first) || (!u->told && !lives_on(u)))
		return dropped(u, &e);
	hear(u, &e);
	return lives_on(u) ? EVENT_SILENT : EVENT_HEARD_RUNNING;
}

static enum decide_event act_send_commit(struct commit_side *c)
{
	struct update *u = update_of(c);
	enum decide_event event;

	fault_point("update:committed");
	event = tell(u);
	if (event != EVENT_HEARD_RUNNING)
		return event;
	u->times.running_wall_us = clock_wall_us();
	u->times.running_us = clock_us();
	return event;
}

static enum decide_event act_tell(struct commit_side *c)
{
	enum decide_event word = commit_word(c->job);

	return word == NO_EVENT ? tell(update_of(c)) : word;
}

static int ask_new(struct update *u, bool *ret_running, struct error *e)
{
	if (!launch_alive(&u->process))
		return error_set(e, EPIPE, "it has ended");
	if (reach_new(u, e) < 0)
		return error_code(e);
	return monitor_is_running(u->fresh.qmp, ret_running, e);
}

/* One that was never told and has ended has not had the guest. */
static enum decide_event act_probe(struct commit_side *c)
{
	struct update *u = update_of(c);
	bool running = false;
	struct error e;

	if (ask_new(u, &running, &e) == 0)
		return running ? EVENT_HEARD_RUNNING : EVENT_HEARD_WAITING;
	hear(u, &e);
	if (lives_on(u))
		return EVENT_SILENT;
	return u->told ? EVENT_HEARD_RUNNING : dropped(u, &e);
}

/* What is known without a word from it. */
static enum decide_event act_refuse(struct commit_side *c)
{
	const struct update *u = update_of(c);
	char why[100];

	if (launch_alive(&u->process))
		return commit_refuse(c);
	snprintf(why, sizeof(why), "the new QEMU has ended, %s",
		 u->told ? "and the guest may have run there"
			 : "and the guest has never run there");
	log_warning("update %s (%s): the operator's word is not obeyed: %s",
		    c->job->machine, c->job->id, why);
	job_refuse_verdict(c->job, why);
	return NO_EVENT;
}

/* --- the journal */

static enum decide_event act_store_commit(struct commit_side *c)
{
	struct update *u = update_of(c);
	enum decide_event event;

	fault_point("update:before-commit");
	event = u->prepared ? commit_publish(c, STEP_COMMIT)
			    : commit_store(c, STEP_COMMIT);
	if (event == EVENT_NOT_STORED)
		error_set(&u->why, EIO, "%s", c->heard);
	return event;
}

/* Nobody else will ask.  The guest is not continued yet: a daemon that starts
 * undoes it all then.  The new QEMU lives until "commit" is off the disk, where
 * its end would mean that the guest had run in it; so what knows of it is tried
 * again with the room that "commit" had. */
static enum decide_event act_store_aborted(struct commit_side *c)
{
	struct update *u = update_of(c);
	enum decide_event event;

	if (job_course(c->job) == SOURCE_SETTLING)
		return commit_remove(c);
	if (!u->why.code)
		error_set(&u->why, EOWNERDEAD,
			  "the operator kept %s in its old QEMU",
			  c->job->machine);
	if (commit_store(c, STEP_PREPARE) == EVENT_STORED)
		return EVENT_STORED;
	event = commit_remove(c);
	if (event == EVENT_STORED)
		(void)commit_store(c, STEP_PREPARE);
	return event;
}

static enum decide_event act_store_left(struct commit_side *c)
{
	struct update *u = update_of(c);
	enum decide_event event = commit_store(c, STEP_LEFT);

	u->left = event == EVENT_STORED;
	return event;
}

/* --- the guest stays */

static int take_back(struct update *u, struct error *e)
{
	const char *path = u->machine->process.qmp_path;

	if (u->resumed || u->side.last == EVENT_REFUSED) {
		qmp_close(u->old.qmp);
		u->old.qmp = NULL;
	}
	if (!u->old.qmp &&
	    qmp_open(&u->old.qmp, path, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	return monitor_take_back(u->old.qmp, u->side.entry->was_running,
				 clock_us() + TAKE_BACK_US, e);
}

static enum decide_event act_continue(struct commit_side *c)
{
	struct update *u = update_of(c);
	struct error e;

	if (atomic_load(&c->job->verdict) != JOB_UNDECIDED &&
	    c->last == EVENT_REFUSED &&
	    job_take_verdict(c->job) == JOB_RUN_HERE)
		return EVENT_RUN_HERE;
	if (end_new(u, &e) < 0) {
		hear(u, &e);
		return EVENT_REFUSED;
	}
	fault_point("update:undone");
	if (launch_alive(&u->machine->process) &&
	    ((!u->migrating && !u->resumed) || take_back(u, &e) == 0)) {
		if (u->steer.converge.limit_us || u->resumed)
			monitor_reset_convergence(u->old.qmp);
		return EVENT_CONTINUED;
	}
	if (!launch_alive(&u->machine->process)) {
		/* A daemon that started left them to the new one. */
		launch_withdraw(u->host->state_directory, c->job->machine,
				u->machine->definition, u->machine->run_dir);
		error_set(&u->why, ESRCH,
			  "the old QEMU has ended in the middle of the update, "
			  "and the guest with it");
		return EVENT_ENDED;
	}
	log_error("update %s: take the guest back: %s", c->job->machine,
		  e.text);
	hear(u, &e);
	return EVENT_REFUSED;
}

/* --- the guest has gone over */

static void set_report(struct update *u)
{
	struct job_report report;
	struct error e;

	if (u->resumed || monitor_migration(u->old.qmp, &u->info, &e) < 0)
		return;
	u->times.rounds = u->info.rounds;
	u->times.limit_us = u->steer.converge.limit_us;
	u->times.throttle = u->steer.most;
	report = report_update(&u->info, &u->times);
	job_set_report(u->job, &report);
}

/* Given up unheard: it may still wait to be told, which is safe only once the
 * old one is gone for certain. */
static void continue_given_up(struct update *u)
{
	struct error e;

	qmp_close(u->fresh.qmp);
	u->fresh.qmp = NULL;
	if (launch_alive(&u->machine->process))
		error_set(&e, EBUSY, "the old one cannot be ended");
	else if (!launch_alive(&u->process) || continue_new(u, &e) == 0)
		return;
	u->unheard = true;
	log_warning("update %s: whether its new QEMU runs the guest is not "
		    "known, and it is shown as paused: %s.  'drover vm resume "
		    "%s' continues it",
		    u->job->machine, e.text, u->job->machine);
}

static enum decide_event act_end_qemu(struct commit_side *c)
{
	struct update *u = update_of(c);
	struct error e;

	fault_point("update:running");
	if (u->fresh.qmp && c->last == EVENT_HEARD_RUNNING && !c->entry->paused)
		monitor_announce(u->fresh.qmp);
	job_set_stage(c->job, "clean-up");
	set_report(u);
	qmp_close(u->old.qmp);
	u->old.qmp = NULL;
	if (u->machine->process.pidfd >= 0 &&
	    launch_end(&u->machine->process, clock_us() + MONITOR_US, &e) < 0)
		log_error("update %s: end the old QEMU: %s", c->job->machine,
			  e.text);
	fault_point("update:ended");
	if (u->left)
		continue_given_up(u);
	return NO_EVENT;
}

/* Of the QEMU that has ended; what the guest wrote there by it stays. */
static void clean_old(const struct update *u)
{
	char folder[PATH_MAX];

	launch_beside(folder, u->side.entry->folder);
	launch_clean(folder);
}

static enum decide_event act_forget(struct commit_side *c)
{
	struct update *u = update_of(c);
	int r;

	qmp_close(u->fresh.qmp);
	u->fresh.qmp = NULL;
	r = u->host->updated(u->host->context, c->job->machine, &u->process,
			     c->entry->paused || u->unheard);
	u->forgotten = true;
	fault_point("update:registered");
	if (r == 0) {
		clean_old(u);
		return EVENT_STORED;
	}
	snprintf(c->heard, sizeof(c->heard),
		 "machine %s runs in its new QEMU, which cannot be written to "
		 "the disk of this host",
		 c->job->machine);
	return EVENT_NOT_STORED;
}

/* A daemon that died here has registered it, and no more. */
static enum decide_event act_clean(struct commit_side *c)
{
	clean_old(update_of(c));
	return NO_EVENT;
}

static enum decide_event (*const actions[DECIDE_ACTIONS])(
	struct commit_side *c) = {
	[ACT_STORE_COMMIT] = act_store_commit,
	[ACT_STORE_ABORTED] = act_store_aborted,
	[ACT_STORE_LEFT] = act_store_left,
	[ACT_RECORD_LEFT] = commit_remove,
	[ACT_REMOVE] = commit_remove,
	[ACT_SEND_COMMIT] = act_send_commit,
	[ACT_SEND_DONE] = act_clean,
	[ACT_TELL] = act_tell,
	[ACT_PROBE] = act_probe,
	[ACT_CONTINUE] = act_continue,
	[ACT_END_QEMU] = act_end_qemu,
	[ACT_FORGET] = act_forget,
	[ACT_REFUSE] = act_refuse,
	[ACT_DOUBT] = commit_doubt,
};

void update_begin(struct update *u, struct journal_entry *entry)
{
	static const struct move_peer none = { .name = "the new QEMU" };

	u->times.start_us = clock_us();
	progress_unknown(&u->progress);
	u->steer = (struct steer){
		.rules = { .limit_us = u->o->downtime_limit_us,
			   .steps = u->o->converge },
		.job = u->job,
		.what = "update",
	};
	u->progress.downtime_limit_ms =
		u->o->downtime_limit_us
			? (int64_t)(u->o->downtime_limit_us / USEC_PER_MS)
			: -1;
	u->side = (struct commit_side){
		.job = u->job,
		.host = u->host,
		.peer = &none,
		.entry = entry,
		.facts = facts,
		.actions = actions,
		.last = NO_EVENT,
		.last_answer = NO_EVENT,
	};
}
