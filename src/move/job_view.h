/* SPDX-License-Identifier: MIT */

/*
 * A job as it was at one moment, for who looks: docs/api.md, "Job".  A copy:
 * whoever has it owns it, needs no lock, and frees it with shape_done().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "move/job.h"

struct error;

struct job_view {
	char id[JOB_ID_SIZE];
	enum job_kind kind;
	enum role role;
	char machine[JOB_NAME_SIZE], peer[JOB_NAME_SIZE];
	char after[JOB_ID_SIZE], again[JOB_ID_SIZE];
	int priority; /* -1: it has none */
	enum job_state state;
	char stage[24];
	bool waits; /* for its turn: what follows is meant */
	struct job_queue queue;
	uint64_t started_us, ended_us; /* since 1970; 0: it has not ended */
	char error[JOB_ERROR_SIZE], advice[JOB_ADVICE_SIZE];
	bool failed; /* what follows is meant */
	enum error_kind failure;
	/* Of a move away, from its pre-copy on: job_terms. */
	bool shares;
	unsigned weight;
	uint64_t rate_limit; /* 0: none */
	struct job_progress progress;
	bool has_report;
	struct job_report report;
};

struct job_views {
	struct job_view *at;
	size_t count;
};

/* Its paths with the flow of each channel, and the choice of the codec: as they
 * are, or as they were at its end. */
struct job_details {
	struct job_view job;
	struct session_report session;
};

extern const struct shape job_view_shape, job_views_shape, job_details_shape;

int job_view(struct job *j, struct job_view *ret, struct error *e);
int job_details(struct job *j, struct job_details *ret, struct error *e);
