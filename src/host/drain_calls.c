/* SPDX-License-Identifier: MIT */

/* What users ask of a drain: the functions of host/host.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/drain.h"
#include "host/drain_plan.h"
#include "host/drain_run.h"
#include "host/hooks.h"
#include "host/host.h"
#include "host/parts.h"
#include "host/returns.h"
#include "move/job_view.h"

int host_drain_show(struct host *h, struct drain_record *ret, struct error *e)
{
	return drain_copy(h->drain, ret, e);
}

static int make_plan(struct host *h, const struct words *to, bool stop_the_rest,
		     struct drain_record *ret, struct error *e)
{
	SCOPED(drain_wish_done)
	struct drain_wish w = { .to = to, .spare = true };

	*ret = (struct drain_record){ .state = DRAIN_PLANNED,
				      .stop_the_rest = stop_the_rest };
	if (words_add_all(&ret->to, to, e) == 0 &&
	    drain_plan_make(h, &w, ret, e) == 0)
		return 0;
	drain_record_done(ret);
	return error_code(e);
}

int host_drain_plan(struct host *h, const struct drain_request *of,
		    struct drain_record *ret, struct error *e)
{
	return make_plan(h, &of->to, of->stop_the_rest, ret, e);
}

/* How one is that is not in the new plan: it has left, is about to, or FATES:
 * it is of no account any more.  Its daemon may have died while it moved. */
static enum drain_fate fate_now(struct host *h, struct drain_machine *m)
{
	struct job_view v;
	struct error ignored;

	if (m->fate == FATE_MOVED || m->fate == FATE_STOPPED)
		return m->fate;
	if (m->fate == FATE_COMES)
		return FATE_MOVED;
	if (m->fate == FATE_BACK)
		return FATES;
	if (drain_has_left(h->drain, m))
		return FATE_MOVED;
	if (m->asked)
		return FATE_STOPPED;
	if (!m->job[0] || job_show(h, m->job, &v, &ignored) < 0)
		return FATES;
	shape_done(&job_view_shape, &v);
	return FATE_MOVES;
}

/* What has left before, and is not back. */
static int keep_gone(struct host *h, struct drain_record *to,
		     const struct drain_record *before, struct error *e)
{
	for (size_t i = 0; i < before->n_machines; i++) {
		struct drain_machine m = before->machines[i];
		struct drain_machine *copy;

		copy = drain_machine(to, m.uuid);
		if (copy) {
			/* Its guest may take its time. */
			copy->asked = m.asked && m.fate == FATE_STAYS;
			continue;
		}
		m.fate = fate_now(h, &m);
		if (m.fate == FATES)
			continue;
		copy = drain_add(to, m.name, m.uuid);
		if (!copy)
			return error_set(e, ENOMEM, "no memory for a drain");
		*copy = m;
	}
	return 0;
}

/* @fresh: plan and state; it is taken over. */
static int begin(struct host *h, struct drain_record *fresh,
		 struct drain_record *ret, struct error *e)
{
	SCOPED(drain_record_done) struct drain_record r = *fresh;
	SCOPED(drain_record_done) struct drain_record before = { 0 };

	*fresh = (struct drain_record){ 0 };
	if (drain_copy(h->drain, &before, e) < 0 ||
	    keep_gone(h, &r, &before, e) < 0)
		return error_code(e);
	r.state = DRAIN_DRAINING;
	r.since_us = before.since_us ? before.since_us : clock_wall_us();
	*ret = (struct drain_record){ 0 };
	if (drain_begin(h->drain, &r, e) < 0 || drain_run(h, e) < 0)
		return error_code(e);
	log_info("drain: %zu machines are moved away",
		 r.n_machines - drain_count(&r, FATE_STAYS));
	*ret = r;
	r = (struct drain_record){ 0 };
	return 0;
}

int host_drain(struct host *h, const struct drain_request *of,
	       struct drain_record *ret, struct error *e)
{
	struct drain_record plan;

	if (hooks_ask_drain(h, e) < 0 ||
	    make_plan(h, &of->to, of->stop_the_rest, &plan, e) < 0)
		return error_code(e);
	return begin(h, &plan, ret, e);
}

int host_drain_resume(struct host *h, struct drain_record *ret, struct error *e)
{
	SCOPED(drain_record_done) struct drain_record before = { 0 };
	struct drain_record plan;

	if (drain_copy(h->drain, &before, e) < 0)
		return error_code(e);
	if (before.state != DRAIN_REMAINS &&
	    before.state != DRAIN_INTERRUPTED && before.state != DRAIN_DRAINED)
		return error_set(e, EBUSY,
				 "%s has no drain that could go on: its state "
				 "is '%s'",
				 h->settings->name,
				 drain_state_names[before.state]);
	if (hooks_ask_drain(h, e) < 0 ||
	    make_plan(h, &before.to, before.stop_the_rest, &plan, e) < 0)
		return error_code(e);
	return begin(h, &plan, ret, e);
}

static bool is_leaving(const struct drain_record *r, const char *name)
{
	for (size_t i = 0; i < r->n_machines; i++)
		if ((r->machines[i].fate == FATE_MOVES ||
		     r->machines[i].fate == FATE_WAITS) &&
		    !strcmp(r->machines[i].name, name))
			return true;
	return false;
}

/* Moves of the drain that the queue has kept, with nobody waiting for them. */
static int cancel_departures(struct host *h, struct drain_record *r,
			     struct error *e)
{
	struct job_views all;

	if (job_list(h, &all, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < all.count; i++) {
		const struct job_view *v = &all.at[i];
		struct error ignored;
		struct job_view now;

		if (v->kind != JOB_MOVE || v->role != ROLE_SOURCE ||
		    v->state != JOB_RUNNING || !is_leaving(r, v->machine))
			continue;
		if (job_cancel(h, v->id, &now, &ignored) == 0)
			shape_done(&job_view_shape, &now);
	}
	shape_done(&job_views_shape, &all);
	return 0;
}

int host_drain_cancel(struct host *h, struct drain_record *ret, struct error *e)
{
	struct drain_record before = { 0 };
	bool worked = drain_cancel_work(h->drain);

	if (drain_copy(h->drain, &before, e) < 0)
		return error_code(e);
	if (!worked && before.state == DRAIN_NONE)
		return error_set(e, EBUSY, "%s is not drained",
				 h->settings->name);
	if (cancel_departures(h, &before, e) < 0) {
		drain_record_done(&before);
		return error_code(e);
	}
	drain_ends(h->drain, DRAIN_NONE);
	hooks_tell_drain(h, drain_state_names[DRAIN_NONE]);
	log_info("drain: cancelled; machines come and start here again");
	*ret = before;
	ret->state = DRAIN_NONE;
	return 0;
}

int host_return(struct host *h, struct drain_record *ret, struct error *e)
{
	SCOPED(drain_record_done) struct drain_record r = { 0 };

	if (drain_copy(h->drain, &r, e) < 0)
		return error_code(e);
	if (r.state == DRAIN_NONE)
		return error_set(e, EBUSY,
				 "%s is not drained: there is nothing to bring "
				 "back",
				 h->settings->name);
	if (drain_known(h->drain, e) < 0)
		return error_code(e);
	r.state = DRAIN_RETURNING;
	*ret = (struct drain_record){ 0 };
	if (drain_begin(h->drain, &r, e) < 0)
		return error_code(e);
	if (cancel_departures(h, &r, e) < 0) {
		drain_ends(h->drain, DRAIN_AWAY);
		return error_code(e);
	}
	if (returns_run(h, e) < 0)
		return error_code(e);
	*ret = r;
	r = (struct drain_record){ 0 };
	return 0;
}

int host_capacity(struct host *h, struct drain_spare *ret, struct error *e)
{
	return drain_plan_spare(h, ret, e);
}

int machine_move_any(struct host *h, const char *name,
		     const struct move_request *of, struct job_view *ret_job,
		     struct error *e)
{
	SCOPED(drain_wish_done) struct drain_wish w = { .one = name };
	SCOPED(drain_record_done) struct drain_record plan = { 0 };
	struct move_request chosen = *of;

	if (drain_plan_make(h, &w, &plan, e) < 0)
		return error_code(e);
	if (plan.n_machines == 0)
		return error_set(e, ENOENT,
				 "no machine called %s runs on %s: 'drover vm "
				 "list' shows those that do",
				 name, h->settings->name);
	if (plan.machines[0].fate == FATE_STAYS)
		return error_set(e, EBUSY, "machine %s cannot go: %.180s", name,
				 plan.machines[0].why);
	if (plan.machines[0].fate == FATE_MOVES)
		return error_set(e, EBUSY, "machine %s moves already: job %s",
				 name, plan.machines[0].job);
	chosen.host = plan.machines[0].to;
	return machine_move(h, name, &chosen, ret_job, e);
}
