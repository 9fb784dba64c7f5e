/* SPDX-License-Identifier: MIT */
#include "move/job_view.h"

#include <stdio.h>

#include "base/error.h"
#include "base/scope.h"

static void show_kind(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s", error_kind_name(*(const enum error_kind *)at));
}

static const struct shape_code kind_word = { show_kind, NULL };

#define AT(member) SHAPE_AT(struct job_queue, member)

static const struct shape_field queue_fields[] = {
	{ "place", SHAPE_NUMBER, 0, AT(place) },
	{ "of", SHAPE_NUMBER, 0, AT(of) },
	{ "why", SHAPE_TEXT, 0, AT(why) },
	{ "expected_start", SHAPE_SECONDS, SHAPE_NULL, AT(expected_us) },
};

#undef AT

static const struct shape queue_shape = SHAPE(struct job_queue, queue_fields);

#define AT(member) SHAPE_AT(struct job_view, member)

static const struct shape_field view_fields[] = {
	{ "id", SHAPE_TEXT, 0, AT(id) },
	{ "kind", SHAPE_NAME, 0, AT(kind), .names = job_kind_names,
	  .most = JOB_KINDS },
	{ "role", SHAPE_NAME, 0, AT(role), .names = role_names, .most = ROLES },
	{ "machine", SHAPE_TEXT, 0, AT(machine) },
	{ "peer", SHAPE_TEXT, 0, AT(peer) },
	{ "priority", SHAPE_SIGNED, SHAPE_NULL, AT(priority) },
	{ "after", SHAPE_TEXT, SHAPE_NULL, AT(after) },
	{ "again", SHAPE_TEXT, SHAPE_NULL, AT(again) },
	{ "state", SHAPE_NAME, 0, AT(state), .names = job_state_names,
	  .most = JOB_STATES },
	{ "stage", SHAPE_TEXT, 0, AT(stage) },
	{ "queue", SHAPE_OBJECT, SHAPE_NULL, AT(queue),
	  SHAPE_HAS(struct job_view, waits), .of = &queue_shape },
	{ "started", SHAPE_SECONDS, 0, AT(started_us) },
	{ "ended", SHAPE_SECONDS, SHAPE_NULL, AT(ended_us) },
	{ "error", SHAPE_TEXT, SHAPE_NULL, AT(error) },
	{ "error_kind", SHAPE_CODE, SHAPE_NULL, AT(failure),
	  SHAPE_HAS(struct job_view, failed), .code = &kind_word },
	{ "advice", SHAPE_TEXT, SHAPE_NULL, AT(advice) },
	{ "weight", SHAPE_NUMBER, SHAPE_NULL, AT(weight),
	  SHAPE_HAS(struct job_view, shares) },
	{ "limit", SHAPE_NUMBER, SHAPE_NULL, AT(rate_limit),
	  SHAPE_HAS(struct job_view, shares) },
	{ "progress", SHAPE_OBJECT, 0, AT(progress),
	  .of = &job_progress_shape },
	{ "report", SHAPE_OBJECT, SHAPE_NULL, AT(report),
	  SHAPE_HAS(struct job_view, has_report), .of = &job_report_shape },
};

#undef AT

const struct shape job_view_shape = SHAPE(struct job_view, view_fields);

static const struct shape_field views_fields[] = {
	{ NULL, SHAPE_LIST, 0, SHAPE_AT(struct job_views, at),
	  SHAPE_COUNT(struct job_views, count), .of = &job_view_shape },
};

const struct shape job_views_shape = { sizeof(struct job_views), views_fields,
				       1, SHAPE_BARE };

static const struct shape_field details_fields[] = {
	{ "job", SHAPE_OBJECT, 0, SHAPE_AT(struct job_details, job),
	  .of = &job_view_shape },
	SESSION_REPORT_FIELDS(struct job_details, session),
};

const struct shape job_details_shape =
	SHAPE(struct job_details, details_fields);

/* Under the job's lock; the report is still the job's. */
static void look(struct job_view *v, const struct job *j)
{
	*v = (struct job_view){
		.kind = j->kind,
		.role = j->role,
		.priority = j->priority,
		.state = j->state,
		.waits = j->waits,
		.queue = j->queue,
		.started_us = j->started_us,
		.ended_us = j->ended_us,
		.failed = j->state == JOB_FAILED,
		.failure = j->failure,
		.shares = j->terms.weight > 0,
		.weight = j->terms.weight,
		.rate_limit = j->terms.rate,
		.progress = j->progress,
		.has_report = j->has_report,
		.report = j->report,
	};
	snprintf(v->id, sizeof(v->id), "%s", j->id);
	snprintf(v->machine, sizeof(v->machine), "%s", j->machine);
	snprintf(v->peer, sizeof(v->peer), "%s", j->peer);
	snprintf(v->after, sizeof(v->after), "%s", j->after);
	snprintf(v->again, sizeof(v->again), "%s", j->again);
	snprintf(v->stage, sizeof(v->stage), "%s", j->stage);
	snprintf(v->error, sizeof(v->error), "%s", j->error);
	snprintf(v->advice, sizeof(v->advice), "%s", j->advice);
}

int job_view(struct job *j, struct job_view *ret, struct error *e)
{
	struct job_view v;

	WITH_LOCK(&j->lock);

	look(&v, j);
	return shape_copy(&job_view_shape, ret, &v, e);
}

int job_details(struct job *j, struct job_details *ret, struct error *e)
{
	struct job_details d;

	WITH_LOCK(&j->lock);

	look(&d.job, j);
	d.session = j->report.session;
	if (!j->session)
		return shape_copy(&job_details_shape, ret, &d, e);
	if (shape_copy(&job_view_shape, &ret->job, &d.job, e) < 0)
		return error_code(e);
	if (session_report_fill(&ret->session, j->session, e) == 0)
		return 0;
	shape_done(&job_view_shape, &ret->job);
	return error_code(e);
}
