/* SPDX-License-Identifier: MIT */

/*
 * The source's actions of the table of decide.h: one function each, which
 * returns the event that it brings.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "frames/outbox.h"
#include "move/journal.h"
#include "move/source.h"
#include "pages/memory.h"
#include "qemu/monitor.h"
#include "qemu/qmp.h"
#include "relay/relay.h"
#include "session/session.h"

enum {
	MONITOR_US = 5000000,
	TAKE_BACK_US = 60000000, /* of QEMUs that wait for their disks */
	CONFIRM_US = 5000000,    /* for "running" after COMMIT */
};

static struct source *source_of(struct commit_side *c)
{
	return container_of(c, struct source, side);
}

static unsigned facts(struct commit_side *c)
{
	const struct source *m = source_of(c);
	char now[LAUNCH_IDENTITY_SIZE];
	const char *then = c->entry->guest;
	unsigned f = FACT_MACHINE;

	if (m->times.stopped_wall_us || m->resumed)
		f |= FACT_COMPLETE;
	launch_identity(now, sizeof(now), &m->machine->process);
	/* One that does not run has no other QEMU either; entries of before do
	 * not say which it was. */
	if (m->machine->process.pidfd < 0 || !then[0] || !strcmp(then, now))
		f |= FACT_SAME_QEMU;
	if (m->left)
		f |= FACT_LEFT;
	return f;
}

static enum decide_event act_store_commit(struct commit_side *c)
{
	struct source *m = source_of(c);
	enum decide_event event;

	fault_point("source:before-commit");
	/* Half of it was done while the guest still ran. */
	event = m->commit_prepared ? commit_publish(&m->side, STEP_COMMIT)
				   : commit_store(&m->side, STEP_COMMIT);
	m->commit_prepared = false;
	m->times.decided_wall_us = clock_wall_us();
	if (event == EVENT_NOT_STORED)
		error_set(&m->why, EIO, "%s", m->side.heard);
	return event;
}

static enum decide_event act_send_commit(struct commit_side *c)
{
	struct source *m = source_of(c);
	AUTO_MESSAGE struct message got = { 0 };
	struct error lost;

	if (!m->session)
		return NO_EVENT;
	fault_point("source:before-commit-sent");
	if (session_say(m->session, MESSAGE_COMMIT, &lost) == 0) {
		fault_point("source:commit-sent");
		if (source_await(m, MESSAGE_RUNNING, clock_us() + CONFIRM_US,
				 &got, &lost) == 0)
			return EVENT_HEARD_RUNNING;
		/* It tried, and has dropped the guest: ours again. */
		if (lost.code == EREMOTEIO) {
			m->why = lost;
			return EVENT_HEARD_DROPPED;
		}
	}
	log_warning("move %s: after COMMIT: %s", m->job->machine, lost.text);
	return NO_EVENT;
}

/* Why the guest is not given away any more. */
static void note_why(struct source *m)
{
	if (m->why.code)
		return;
	if (m->side.last == EVENT_HEARD_DROPPED)
		error_set(&m->why, EREMOTEIO, "host %s could not run the guest",
			  m->peer->name);
	else
		error_set(&m->why, EOWNERDEAD,
			  "the operator kept %s on this host", m->job->machine);
}

static enum decide_event act_store_aborted(struct commit_side *c)
{
	struct source *m = source_of(c);
	enum decide_event event;

	note_why(m);
	if (job_course(m->job) == SOURCE_SETTLING)
		fault_point("source:undone");
	event = commit_conclude(&m->side, STEP_ABORTED);
	/* That needs no room; the QEMU that lives is the record then. */
	return event == EVENT_STORED ? event : commit_remove(&m->side);
}

static enum decide_event act_store_left(struct commit_side *c)
{
	struct source *m = source_of(c);
	enum decide_event event = commit_store(&m->side, STEP_LEFT);

	m->left = event == EVENT_STORED;
	return event;
}

/* Where that fails the entry says the same. */
static enum decide_event act_record_left(struct commit_side *c)
{
	return commit_conclude(c, STEP_LEFT);
}

static enum decide_event act_remove(struct commit_side *c)
{
	if (job_course(c->job) == SOURCE_SETTLING)
		fault_point("source:undone");
	return commit_remove(c);
}

static int take_back(struct source *m, bool run, struct error *e)
{
	/* A monitor that has missed a reply is opened anew. */
	if (m->resumed || m->side.last == EVENT_REFUSED) {
		qmp_close(m->qmp);
		m->qmp = NULL;
	}
	if (!m->qmp && qmp_open(&m->qmp, m->machine->process.qmp_path,
				clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	return monitor_take_back(m->qmp, run, clock_us() + TAKE_BACK_US, e);
}

static enum decide_event act_continue(struct commit_side *c)
{
	struct source *m = source_of(c);
	struct error e;

	if (atomic_load(&m->job->verdict) != JOB_UNDECIDED &&
	    m->side.last == EVENT_REFUSED &&
	    job_take_verdict(m->job) == JOB_RUN_HERE)
		return EVENT_RUN_HERE;
	/* The other side can begin to clean up while this one does. */
	if (m->session)
		session_fail(m->session, m->why.text);
	if (m->relay)
		relay_stop(m->relay);
	if (!m->migrating && !m->resumed) {
		if (m->steer.converge.limit_us)
			monitor_reset_convergence(m->qmp);
		return EVENT_CONTINUED;
	}
	if (m->machine->process.pidfd < 0 || !(facts(c) & FACT_SAME_QEMU))
		return EVENT_ENDED;
	if (take_back(m, c->entry->was_running, &e) == 0) {
		monitor_reset_convergence(m->qmp);
		return EVENT_CONTINUED;
	}
	log_error("move %s: take the guest back: %s", m->job->machine, e.text);
	if (!launch_alive(&m->machine->process)) {
		m->why = e;
		return EVENT_ENDED;
	}
	snprintf(m->side.heard, sizeof(m->side.heard), "%.290s", e.text);
	return EVENT_REFUSED;
}

/* A move that was found in the journal has nothing to tell. */
static void set_report(struct source *m)
{
	struct job_report report;
	struct error e;

	if (!m->session || !m->relay)
		return;
	m->times.rounds = m->progress.round;
	m->times.limit_us = m->steer.converge.limit_us;
	m->times.throttle = m->steer.most;
	if (report_move(&report, m->session, m->relay, &m->times, m->o, &e) < 0)
		log_error("move %s: no report: %s", m->job->machine, e.text);
	else
		job_set_report(m->job, &report);
}

/* Its files, which are the guest's as it stopped: its QEMU runs it no more. */
static void take_behind(struct source *m)
{
	const struct qemu_process *p = &m->machine->process;
	struct error e;

	if (!m->host->keeps_copies || m->resumed || !m->uuid[0] ||
	    p->pidfd < 0 || !launch_alive(p))
		return;
	if (memory_of_process(&m->behind, p->pid, MEMORY_SHARED, &e) < 0)
		log_warning("move %s: no copy is kept: %s", m->job->machine,
			    e.text);
}

static enum decide_event act_end_qemu(struct commit_side *c)
{
	struct source *m = source_of(c);
	struct error e;

	m->times.running_wall_us = clock_wall_us();
	m->times.running_us = clock_us();
	fault_point("source:running");
	job_set_stage(m->job, "clean-up");
	set_report(m);
	qmp_close(m->qmp);
	m->qmp = NULL;
	take_behind(m);
	if (m->machine->process.pidfd >= 0 &&
	    launch_end(&m->machine->process, clock_us() + MONITOR_US, &e) < 0)
		log_error("move %s: end the source's QEMU: %s", m->job->machine,
			  e.text);
	fault_point("source:ended");
	return NO_EVENT;
}

static enum decide_event act_forget(struct commit_side *c)
{
	struct source *m = source_of(c);
	AUTO_MESSAGE struct message got = { 0 };
	struct error e;
	int left;

	/* When the user is told, the machine can be used there. */
	if (m->session)
		source_await(m, MESSAGE_REGISTERED, clock_us() + CONFIRM_US,
			     &got, &e);
	left = m->host->left(m->host->context, m->job->machine, m->peer->name,
			     &c->entry->disks);
	fault_point("source:left");
	m->forgotten = left == 0;
	if (m->forgotten)
		return EVENT_STORED;
	snprintf(m->side.heard, sizeof(m->side.heard),
		 "machine %s cannot be removed from the disk of this host",
		 m->job->machine);
	return EVENT_NOT_STORED;
}

static enum decide_event act_send_done(struct commit_side *c)
{
	struct source *m = source_of(c);
	struct error e;

	if (m->session && session_say(m->session, MESSAGE_DONE, &e) == 0)
		outbox_wait_empty(session_outbox(m->session),
				  clock_us() + SOURCE_REASON_US);
	return NO_EVENT;
}

static enum decide_event (*const actions[DECIDE_ACTIONS])(
	struct commit_side *c) = {
	[ACT_STORE_COMMIT] = act_store_commit,
	[ACT_STORE_ABORTED] = act_store_aborted,
	[ACT_STORE_LEFT] = act_store_left,
	[ACT_RECORD_LEFT] = act_record_left,
	[ACT_REMOVE] = act_remove,
	[ACT_SEND_COMMIT] = act_send_commit,
	[ACT_SEND_DONE] = act_send_done,
	[ACT_TELL] = commit_tell,
	[ACT_PROBE] = commit_probe_destination,
	[ACT_CONTINUE] = act_continue,
	[ACT_END_QEMU] = act_end_qemu,
	[ACT_FORGET] = act_forget,
	[ACT_REFUSE] = commit_refuse,
	[ACT_DOUBT] = commit_doubt,
};

void source_begin(struct source *m, struct journal_entry *entry)
{
	m->times.start_us = clock_us();
	progress_unknown(&m->progress);
	m->progress.downtime_limit_ms = -1;
	m->side = (struct commit_side){
		.job = m->job,
		.host = m->host,
		.peer = m->peer,
		.entry = entry,
		.facts = facts,
		.actions = actions,
		.last = NO_EVENT,
		.last_answer = NO_EVENT,
	};
}
