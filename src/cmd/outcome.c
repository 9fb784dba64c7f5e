/* SPDX-License-Identifier: MIT */
#include "cmd/outcome.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

static const struct {
	struct outcome outcome;
	long http; /* of a service that tells no kind */
	int code;  /* of this program */
} table[] = {
	{ { STATUS_FAILED, "failed" }, 500, 0 },
	{ { STATUS_DONE, "done" }, 200, 0 },
	{ { STATUS_USAGE, "invalid" }, 400, -EINVAL },
	{ { STATUS_CANCELLED, "cancelled" }, 0, 0 },
	{ { STATUS_IN_DOUBT, "in-doubt" }, 0, 0 },
	{ { STATUS_TIMED_OUT, "timed-out" }, 0, 0 },
	{ { STATUS_NOT_FOUND, "not-found" }, 404, -ENOENT },
	{ { STATUS_AWAY, "service-away" }, 0, -ENOTCONN },
	{ { STATUS_REFUSED, "refused" }, 409, 0 },
	{ { STATUS_REFUSED, "refused" }, 403, 0 },
	{ { STATUS_FAILED, "peer-unreachable" }, 502, 0 },
};

static const struct outcome *of_kind(const char *kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].outcome.kind, kind))
			return &table[i].outcome;
	return &table[0].outcome;
}

const struct outcome *outcome_of_reply(const char *kind, long http_status)
{
	if (kind)
		return of_kind(kind);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].http == http_status)
			return &table[i].outcome;
	return &table[0].outcome;
}

const struct outcome *outcome_of_job(const json_t *job)
{
	const char *state = json_string_value(json_object_get(job, "state"));
	const char *kind =
		json_string_value(json_object_get(job, "error_kind"));

	/* Of one that failed the kind says more. */
	if (!state || (kind && !strcmp(state, "failed")))
		state = kind ? kind : "failed";
	return of_kind(state);
}

const struct outcome *outcome_of_code(int r)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].code == r && r < 0)
			return &table[i].outcome;
	return &table[0].outcome;
}
