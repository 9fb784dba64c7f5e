/* SPDX-License-Identifier: MIT */

/*
 * How a command ends: its exit status, and the word for it in JSON.  The one
 * table of both is in outcome.c, and in drover(1), EXIT STATUS.
 */
#pragma once

#include <jansson.h>

enum status {
	STATUS_DONE,
	STATUS_FAILED,
	STATUS_USAGE,
	STATUS_CANCELLED,
	STATUS_IN_DOUBT,
	STATUS_TIMED_OUT,
	STATUS_NOT_FOUND,
	STATUS_AWAY, /* the service */
	STATUS_REFUSED,
};

struct outcome {
	enum status status;
	const char *kind; /* "not-found"; docs/api.md has those of the API */
};

/* What the service answered.  @kind: NULL from one of before. */
const struct outcome *outcome_of_reply(const char *kind, long http_status);

/* Of a job that has ended, or is in doubt. */
const struct outcome *outcome_of_job(const json_t *job);

/* A negative errno value of this program's own. */
const struct outcome *outcome_of_code(int r);
