/* SPDX-License-Identifier: MIT */

/*
 * The destination's actions of the table of decide.h: one function each, which
 * returns the event that it brings.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "frames/outbox.h"
#include "move/destination.h"
#include "pages/memory.h"
#include "qemu/monitor.h"
#include "session/session.h"

enum {
	END_US = 100000,
	REPORT_US = 1000000, /* for the source to hear why it failed */
	DONE_US = 10000000,
	TURN_US = 250000,
};

static struct destination *destination_of(struct commit_side *c)
{
	return container_of(c, struct destination, side);
}

static unsigned facts(struct commit_side *c)
{
	const struct destination *d = destination_of(c);

	return d->facts | (d->arrival.paused ? FACT_PAUSED : 0);
}

/* Until the source says "commit", or is not heard any more: not for longer than
 * it waits itself. */
static enum decide_event await_commit(struct destination *d)
{
	uint64_t silent_us = clock_us();
	struct session_stats st;
	struct message got;
	struct error e;
	int r;

	for (;;) {
		bool commit;

		if (atomic_load(&d->job->told_commit) ||
		    atomic_load(&d->job->verdict) != JOB_UNDECIDED)
			return commit_ask(&d->side);
		r = session_await(d->session, clock_us() + TURN_US, &got, &e);
		session_stats(d->session, &st);
		if (!st.outage)
			silent_us = clock_us();
		if (r == -ETIMEDOUT &&
		    clock_us() - silent_us < d->host->switchover_outage_us)
			continue;
		if (r < 0) {
			snprintf(d->side.heard, sizeof(d->side.heard), "%.290s",
				 r == -ETIMEDOUT ? "it is silent" : e.text);
			return EVENT_SILENT;
		}
		commit = got.type == MESSAGE_COMMIT;
		message_done(&got);
		if (commit)
			return EVENT_HEARD_COMMIT;
	}
}

static enum decide_event act_send_loaded(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct error e;

	fault_point("destination:loaded");
	/* All has come.  Who wrote now would write into a guest that may run,
	 * or into who has its process's id next. */
	memory_seal(d->memory);
	if (session_say(d->session, MESSAGE_LOADED, &e) < 0) {
		snprintf(d->side.heard, sizeof(d->side.heard), "%.290s",
			 e.text);
		return EVENT_SILENT;
	}
	fault_point("destination:loaded-sent");
	return await_commit(d);
}

static enum decide_event act_store_committed(struct commit_side *c)
{
	struct destination *d = destination_of(c);

	if (job_course(d->job) == DEST_NOTING)
		fault_point("destination:running-sent");
	else if (d->arrival.paused)
		fault_point("destination:commit-received");
	return commit_store(&d->side, STEP_COMMITTED);
}

static enum decide_event act_store_dropped(struct commit_side *c)
{
	return job_course(c->job) == DEST_NOTING_DROP
		       ? commit_store(c, STEP_DROPPED)
		       : commit_conclude(c, STEP_DROPPED);
}

static enum decide_event act_store_arrived(struct commit_side *c)
{
	return commit_conclude(c, STEP_ARRIVED);
}

static void end_qemu(struct destination *d)
{
	struct error e;

	/* From then on its id may be another's. */
	memory_seal(d->memory);
	if (d->started &&
	    launch_end(&d->arrival.process, clock_us() + END_US, &e) < 0)
		log_error("move %s: %s", d->job->machine, e.text);
}

static enum decide_event act_store_lost(struct commit_side *c)
{
	end_qemu(destination_of(c));
	return commit_conclude(c, STEP_LOST);
}

/* A QEMU that opens its disks on a slow storage is not a dead one. */
static int continue_guest(struct destination *d, struct error *e)
{
	bool running = false, certain = true;
	int r = monitor_continue(d->qmp, e);

	while (r == -ETIMEDOUT && launch_alive(&d->arrival.process) &&
	       atomic_load(&d->job->verdict) != JOB_GIVE_UP) {
		job_set_doubt(d->job, e->text,
			      "Drover keeps asking its QEMU whether the guest "
			      "runs, until 'drover job resolve %s --give-up'",
			      d->job->id);
		certain = false;
		r = monitor_is_running(d->qmp, &running, e);
		if (r == 0 && !running)
			r = monitor_continue(d->qmp, e);
	}
	/* That was the word that it was waited for. */
	if (r == -ETIMEDOUT)
		job_take_verdict(d->job);
	/* It may have run in between: no refusal of the first word. */
	return r == -EREMOTEIO && !certain ? error_as(e, EIO) : r;
}

static enum decide_event act_continue(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct error e;
	int r;

	/* It was given to another doubt. */
	(void)job_take_verdict(d->job);
	fault_point("destination:commit-received");
	/* Who could still write to its disks does so no more. */
	r = d->host->seal_copy(d->host->context, d->job->id, &e);
	if (r < 0)
		r = error_as(&e, EREMOTEIO);
	else
		r = continue_guest(d, &e);
	if (r >= 0)
		return EVENT_CONTINUED;
	d->why = e;
	error_in(&d->why, "continue the guest");
	/* A refusal is certain; of a QEMU that is gone nobody knows whether
	 * the guest ran for a moment, and wrote to its disks. */
	return r == -EREMOTEIO ? EVENT_REFUSED : EVENT_DIED;
}

static enum decide_event act_send_running(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct error e;

	fault_point("destination:running");
	if (d->session && session_say(d->session, MESSAGE_RUNNING, &e) < 0)
		log_debug("move %s: %s", d->job->machine, e.text);
	d->announces = true;
	return NO_EVENT;
}

static enum decide_event act_register(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	int saved;

	/* Once it is on disk who has it: a monitor may not answer for long. */
	if (d->announces && d->qmp)
		monitor_announce(d->qmp);
	d->announces = false;
	d->arrival.ended = d->resumed && !launch_alive(&d->arrival.process);
	if (d->arrival.ended)
		log_warning("machine %s: its QEMU has ended", d->job->machine);
	saved = d->host->arrived(d->host->context, &d->arrival);
	d->started = false;
	fault_point("destination:registered");
	if (saved < 0) {
		snprintf(d->side.heard, sizeof(d->side.heard),
			 "machine %s runs here, and cannot be written to the "
			 "disk of this host",
			 d->job->machine);
		return EVENT_NOT_STORED;
	}
	return EVENT_STORED;
}

/* The QEMU goes first: a source that hears "failed" may run the guest again,
 * also after COMMIT. */
static enum decide_event act_end_qemu(struct commit_side *c)
{
	struct destination *d = destination_of(c);

	if (!d->why.code)
		error_set(&d->why, ECANCELED, "%s",
			  d->side.last == EVENT_GIVE_UP ||
					  d->side.last == EVENT_STORED
				  ? "the operator has given it up on this host"
				  : "the source has taken the move back");
	end_qemu(d);
	fault_point("destination:dropped");
	return EVENT_ENDED;
}

static enum decide_event act_send_dropped(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct message m = { .type = MESSAGE_FAILED };
	struct error e;

	snprintf(m.failed.error, sizeof(m.failed.error), "%s", d->why.text);
	if (d->session && session_send(d->session, &m, &e) == 0)
		outbox_wait_empty(session_outbox(d->session),
				  clock_us() + REPORT_US);
	return NO_EVENT;
}

/* A source that had to ask for the outcome has no use for more words. */
static void await_done(struct destination *d)
{
	uint64_t deadline = clock_us() + DONE_US;
	AUTO_MESSAGE struct message got = { 0 };
	struct error e;
	int r = -ETIMEDOUT;

	while (r == -ETIMEDOUT && clock_us() < deadline &&
	       !atomic_load(&d->job->told_commit))
		r = session_await(d->session, clock_us() + TURN_US, &got, &e);
}

/* When the user is told, the machine can be used here. */
static enum decide_event act_send_registered(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct error e;

	d->host->release(d->host->context, d->job->machine);
	if (d->session && session_say(d->session, MESSAGE_REGISTERED, &e) == 0)
		await_done(d);
	return NO_EVENT;
}

static enum decide_event (*const actions[DECIDE_ACTIONS])(
	struct commit_side *c) = {
	[ACT_STORE_COMMITTED] = act_store_committed,
	[ACT_STORE_ARRIVED] = act_store_arrived,
	[ACT_STORE_DROPPED] = act_store_dropped,
	[ACT_STORE_LOST] = act_store_lost,
	[ACT_REMOVE] = commit_remove,
	[ACT_SEND_LOADED] = act_send_loaded,
	[ACT_SEND_RUNNING] = act_send_running,
	[ACT_SEND_REGISTERED] = act_send_registered,
	[ACT_SEND_DROPPED] = act_send_dropped,
	[ACT_PROBE] = commit_probe_source,
	[ACT_ASK] = commit_ask,
	[ACT_CONTINUE] = act_continue,
	[ACT_END_QEMU] = act_end_qemu,
	[ACT_REGISTER] = act_register,
	[ACT_REFUSE] = commit_refuse,
	[ACT_DOUBT] = commit_doubt,
};

void destination_begin(struct destination *d, struct journal_entry *entry)
{
	d->side = (struct commit_side){
		.job = d->job,
		.host = d->host,
		.peer = d->peer,
		.entry = entry,
		.facts = facts,
		.actions = actions,
		.last = NO_EVENT,
		.last_answer = NO_EVENT,
	};
}
