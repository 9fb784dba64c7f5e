/* SPDX-License-Identifier: MIT */

/*
 * Jobs that have ended, with their reports, in STATE/history: a file each, the
 * job as docs/api.md has it, the last FINISHED_MAX of them.  They outlive the
 * service.  Any thread may call; a file is whole or not there.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "move/job.h"

struct error;
struct host;

enum { FINISHED_MAX = 1000 };

struct finished_job {
	char id[JOB_ID_SIZE];
	enum job_kind kind;
	enum role role;
	char machine[JOB_NAME_SIZE], peer[JOB_NAME_SIZE];
	enum job_state state;
	uint64_t started_us, ended_us; /* since 1970 */
	char error[JOB_ERROR_SIZE];    /* or empty */
};

struct finished_jobs {
	struct finished_job *at; /* the oldest first */
	size_t count;
};

extern const struct shape finished_job_shape, finished_jobs_shape;

/* @j has ended.  What fails is logged. */
void finished_note(const char *state_directory, struct job *j);

/* shape_done() frees it.  What cannot be read is left out. */
int host_finished(struct host *h, struct finished_jobs *ret, struct error *e);
/* The whole of one, as it was noted, on the heap.  -ENOENT. */
int host_finished_show(struct host *h, const char *id, char **ret_text,
		       struct error *e);
