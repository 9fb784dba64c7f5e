/* SPDX-License-Identifier: MIT */

/*
 * The thread of a drain: puts the moves into the queue in their order, waits
 * for them, and places anew what has failed, until nothing is left that could
 * go.
 */
#include "host/drain_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/drain.h"
#include "host/drain_plan.h"
#include "host/drain_stop.h"
#include "host/hooks.h"
#include "host/host.h"
#include "host/jobs.h"
#include "host/machine_view.h"
#include "host/parts.h"
#include "host/registry.h"
#include "move/job_view.h"

enum {
	TRIES = 3,
	TURN_US = 200000,
	/* How long one that somebody holds is waited for, once nothing else
	 * moves: an update takes less. */
	HELD_US = 120000000,
};

struct run {
	struct host *host;
	struct drain_record record; /* a copy; the thread's */
	struct drain_wish wish;
	uint64_t held_until_us; /* those that are held are waited for */
};

static void run_free(struct run *r)
{
	drain_wish_done(&r->wish);
	drain_record_done(&r->record);
	free(r);
}

static bool goes_on(const struct run *r)
{
	return drain_goes_on(r->host, 0);
}

/* The disk may be full meanwhile: what runs goes on. */
static void note(struct run *r, const struct drain_machine *m)
{
	struct error e;

	if (drain_note(r->host->drain, m, &e) < 0)
		log_error("drain: machine %s: %s", m->name, e.text);
}

/* --- one machine */

static void stays(struct run *r, struct drain_machine *m, const char *why)
{
	m->fate = FATE_STAYS;
	m->job[0] = '\0';
	snprintf(m->why, sizeof(m->why), "%s", why);
	log_warning("drain: machine %s stays: %s", m->name, why);
	note(r, m);
}

/* Not for want of a host: what an administrator has cancelled, or nobody knows
 * of, is not for the drain to stop. */
static void stays_kept(struct run *r, struct drain_machine *m, const char *why)
{
	m->kept = true;
	stays(r, m, why);
}

/* It waits for the next plan, which has another host for it. */
static void failed(struct run *r, struct drain_machine *m, const char *why)
{
	struct error e;

	m->tries++;
	if (m->tries >= TRIES ||
	    drain_wish_refuse(&r->wish, m->uuid, m->to, why, &e) < 0) {
		stays(r, m, why);
		return;
	}
	m->fate = FATE_WAITS;
	m->job[0] = m->to[0] = '\0';
	snprintf(m->why, sizeof(m->why), "%s", why);
	note(r, m);
}

/* It runs, and its move was refused for another reason than a host's. */
static bool is_held(const struct run *r, const struct drain_machine *m,
		    const struct error *why)
{
	struct machine_view v;
	struct error ignored;
	bool held;

	if (why->code != EBUSY ||
	    machine_show(r->host, m->name, &v, &ignored) < 0)
		return false;
	held = v.pid > 0 && v.state != MACHINE_IN_DOUBT;
	machine_view_done(&v);
	return held;
}

/* One that is held is started at a later turn. */
static void start(struct run *r, struct drain_machine *m)
{
	const struct move_request of = { .host = m->to };
	struct job_view v;
	struct error e;

	if (machine_move(r->host, m->name, &of, &v, &e) < 0) {
		if (!is_held(r, m, &e))
			failed(r, m, e.text);
		else if (clock_us() >= r->held_until_us)
			stays_kept(r, m, e.text);
		return;
	}
	m->fate = FATE_MOVES;
	m->why[0] = '\0';
	snprintf(m->job, sizeof(m->job), "%s", v.id);
	shape_done(&job_view_shape, &v);
	note(r, m);
}

/* The job stays with it: it may end by itself. */
static void doubtful(struct run *r, struct drain_machine *m, const char *job)
{
	char why[sizeof(m->why)];

	snprintf(why, sizeof(why),
		 "job %s is in doubt: 'drover job show %s' says what to do",
		 job, job);
	stays_kept(r, m, why);
	snprintf(m->job, sizeof(m->job), "%s", job);
	note(r, m);
}

static void settle(struct run *r, struct drain_machine *m,
		   const struct job_view *v)
{
	if (v->state == JOB_DONE) {
		m->fate = FATE_MOVED;
		note(r, m);
	} else if (v->state == JOB_CANCELLED) {
		/* At its end the service cancels all. */
		if (host_stops(r->host, 0))
			return;
		stays_kept(r, m, "its move was cancelled");
	} else if (v->state == JOB_IN_DOUBT) {
		doubtful(r, m, v->id);
	} else if (v->state == JOB_FAILED && v->again[0]) {
		snprintf(m->job, sizeof(m->job), "%s", v->again);
		note(r, m);
	} else if (v->state == JOB_FAILED) {
		failed(r, m, v->error);
	}
}

/* --- all of them */

static void look(struct run *r, struct drain_machine *m)
{
	struct job_view v;
	struct error e;

	if (job_show(r->host, m->job, &v, &e) < 0) {
		failed(r, m, e.text);
		return;
	}
	settle(r, m, &v);
	shape_done(&job_view_shape, &v);
}

static void cancel_moves(struct run *r)
{
	for (size_t i = 0; i < r->record.n_machines; i++) {
		const struct drain_machine *m = &r->record.machines[i];
		struct job_view v;
		struct error ignored;

		if (m->fate == FATE_MOVES &&
		    job_cancel(r->host, m->job, &v, &ignored) == 0)
			shape_done(&job_view_shape, &v);
	}
}

static void pause_a_little(const struct run *r)
{
	host_stops(r->host, TURN_US / USEC_PER_MS);
}

static bool may_start(const struct drain_machine *m)
{
	return m->fate == FATE_WAITS && m->to[0];
}

/* Starts what may start, and looks at what runs; false: all have ended. */
static bool turn(struct run *r, bool starts)
{
	unsigned runs = 0;

	for (size_t i = 0; i < r->record.n_machines; i++) {
		struct drain_machine *m = &r->record.machines[i];

		if (m->fate == FATE_MOVES)
			look(r, m);
		runs += m->fate == FATE_MOVES;
	}
	if (runs > 0 || !r->held_until_us)
		r->held_until_us = clock_us() + HELD_US;
	for (size_t i = 0; i < r->record.n_machines; i++) {
		struct drain_machine *m = &r->record.machines[i];

		if (starts && may_start(m)) {
			start(r, m);
			runs += m->fate == FATE_MOVES || may_start(m);
		}
	}
	return runs > 0;
}

static void move_all(struct run *r)
{
	bool cancels = false;

	while (turn(r, goes_on(r))) {
		if (host_stops(r->host, 0))
			return;
		if (!cancels && drain_cancelled(r->host->drain)) {
			cancel_moves(r);
			cancels = true;
		}
		pause_a_little(r);
	}
}

/* --- what was coming when the host was closed */

static bool is_in_doubt(const struct machine_view *v)
{
	return v->comes && v->state == MACHINE_IN_DOUBT;
}

static int view_all(struct run *r, struct machine_views *ret)
{
	struct error e;

	if (registry_view(r->host->registry, "", ret, &e) == 0)
		return 0;
	log_error("drain: %s", e.text);
	return -1;
}

static bool anything_comes(struct run *r)
{
	SCOPED(machine_views_done) struct machine_views all = { 0 };

	if (view_all(r, &all) < 0)
		return false;
	for (size_t i = 0; i < all.count; i++)
		if (all.at[i].comes && !is_in_doubt(&all.at[i]))
			return true;
	return false;
}

/* Nothing new does: once this is over, the next plan has all of it. */
static void await_coming(struct run *r)
{
	while (goes_on(r) && anything_comes(r))
		pause_a_little(r);
}

/* Nobody knows whether they are here: that is not drained. */
static void name_doubtful(struct run *r)
{
	SCOPED(machine_views_done) struct machine_views all = { 0 };

	if (view_all(r, &all) < 0)
		return;
	for (size_t i = 0; i < all.count; i++) {
		const struct machine_view *v = &all.at[i];
		struct drain_machine *m;

		if (!is_in_doubt(v))
			continue;
		m = drain_machine(&r->record, v->uuid);
		if (!m)
			m = drain_add(&r->record, v->name, v->uuid);
		if (m)
			doubtful(r, m, v->job);
	}
}

/* --- once more */

/* It was gone, and may be here again by a move or a start that had begun before
 * the host was closed. */
static bool may_be_here_again(enum drain_fate fate)
{
	return fate == FATE_MOVED || fate == FATE_STOPPED ||
	       fate == FATE_COMES || fate == FATE_BACK;
}

/* What the new plan says of those that wait, and of any that have come. */
static void take_plan(struct run *r, const struct drain_record *plan)
{
	for (size_t i = 0; i < plan->n_machines; i++) {
		const struct drain_machine *p = &plan->machines[i];
		struct drain_machine *m = drain_machine(&r->record, p->uuid);

		if (!m)
			m = drain_add(&r->record, p->name, p->uuid);
		if (m && may_be_here_again(m->fate))
			m->fate = FATE_WAITS;
		if (!m || m->fate != FATE_WAITS)
			continue;
		snprintf(m->job, sizeof(m->job), "%s", p->job);
		m->fate = p->fate;
		if (p->fate == FATE_STAYS)
			stays(r, m, p->why);
		else
			snprintf(m->to, sizeof(m->to), "%s", p->to);
	}
}

static bool anything_to_do(const struct run *r)
{
	for (size_t i = 0; i < r->record.n_machines; i++)
		if (r->record.machines[i].fate == FATE_MOVES ||
		    may_start(&r->record.machines[i]))
			return true;
	return false;
}

/* It has left by a job that is not known any more, or was stopped. */
static void runs_no_more(struct run *r, struct drain_machine *m)
{
	if (drain_has_left(r->host->drain, m)) {
		m->fate = FATE_MOVED;
	} else if (m->asked) {
		m->fate = FATE_STOPPED;
	} else {
		stays_kept(r, m, "does not run");
		return;
	}
	note(r, m);
}

/* True: there is something to be moved again. */
static bool plan_again(struct run *r)
{
	SCOPED(drain_record_done) struct drain_record plan = { 0 };
	struct error e;

	if (!goes_on(r))
		return false;
	if (drain_plan_make(r->host, &r->wish, &plan, &e) < 0) {
		log_error("drain: %s", e.text);
		return false;
	}
	take_plan(r, &plan);
	for (size_t i = 0; i < r->record.n_machines; i++)
		if (r->record.machines[i].fate == FATE_WAITS &&
		    !r->record.machines[i].to[0])
			runs_no_more(r, &r->record.machines[i]);
	return anything_to_do(r);
}

static void end(struct host *h, enum drain_state state)
{
	drain_ends(h->drain, state);
	hooks_tell_drain(h, drain_state_names[state]);
}

static void *run_main(void *arg)
{
	struct run *r = arg;
	struct drain *d = r->host->drain;
	unsigned left;

	do {
		move_all(r);
		await_coming(r);
	} while (plan_again(r));
	name_doubtful(r);
	if (r->record.stop_the_rest && goes_on(r))
		drain_stop_rest(r->host, &r->record);
	left = drain_count(&r->record, FATE_STAYS) +
	       drain_count(&r->record, FATE_WAITS);
	log_info("drain: %u machines have left, %u stay",
		 drain_count(&r->record, FATE_MOVED), left);
	if (host_stops(r->host, 0))
		drain_breaks(d);
	else
		end(r->host, left > 0 ? DRAIN_REMAINS : DRAIN_DRAINED);
	run_free(r);
	return NULL;
}

int drain_run(struct host *h, struct error *e)
{
	struct run *r = calloc(1, sizeof(*r));

	if (!r || drain_copy(h->drain, &r->record, e) < 0) {
		free(r);
		drain_ends(h->drain, DRAIN_REMAINS);
		return error_set(e, ENOMEM, "no memory for a drain");
	}
	r->host = h;
	r->wish.to = &r->record.to;
	if (jobs_thread(h->jobs, "drain", run_main, r, e) == 0)
		return 0;
	run_free(r);
	drain_ends(h->drain, DRAIN_REMAINS);
	return error_code(e);
}
