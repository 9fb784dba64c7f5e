/* SPDX-License-Identifier: MIT */
#include "host/finished.h"

#define AT(member) SHAPE_AT(struct finished_job, member)

static const struct shape_field job_fields[] = {
	{ "id", SHAPE_TEXT, SHAPE_NEEDED, AT(id) },
	{ "kind", SHAPE_NAME, SHAPE_NEEDED, AT(kind), .names = job_kind_names,
	  .most = JOB_KINDS },
	{ "role", SHAPE_NAME, SHAPE_NEEDED, AT(role), .names = role_names,
	  .most = ROLES },
	{ "machine", SHAPE_TEXT, SHAPE_NEEDED, AT(machine) },
	{ "peer", SHAPE_TEXT, 0, AT(peer) },
	{ "state", SHAPE_NAME, SHAPE_NEEDED, AT(state),
	  .names = job_state_names, .most = JOB_STATES },
	{ "started", SHAPE_SECONDS, SHAPE_NEEDED, AT(started_us) },
	{ "ended", SHAPE_SECONDS, SHAPE_NEEDED, AT(ended_us) },
	{ "error", SHAPE_TEXT, SHAPE_NULL, AT(error) },
};

#undef AT

const struct shape finished_job_shape = SHAPE(struct finished_job, job_fields);

static const struct shape_field jobs_fields[] = {
	{ .kind = SHAPE_LIST,
	  SHAPE_AT(struct finished_jobs, at),
	  SHAPE_COUNT(struct finished_jobs, count),
	  .of = &finished_job_shape },
};

const struct shape finished_jobs_shape = {
	.bytes = sizeof(struct finished_jobs),
	.fields = jobs_fields,
	.count = 1,
	.form = SHAPE_BARE,
};
