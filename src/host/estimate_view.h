/* SPDX-License-Identifier: MIT */

/*
 * What a move would take, before anything starts: docs/estimate.md, and
 * docs/api.md, "Estimate".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/shape.h"
#include "move/estimate.h"
#include "move/job.h"

struct estimate_view {
	char machine[64], host[64], mode[24];
	uint64_t memory, used; /* bytes; all of it, and what holds something */
	uint64_t dirty_rate;   /* bytes a second; has_dirty_rate: it is known */
	bool has_dirty_rate;
	uint64_t rate;      /* of the paths, bytes a second; 0: not known */
	bool rate_measured; /* by moves before, not what cards can do */
	/* -1: not known, or the move does not end as it goes */
	int64_t time_ms, time_least_ms, time_most_ms, downtime_ms;
	enum estimate_sure sure;
	enum estimate_end ends;
	char advice[JOB_ADVICE_SIZE]; /* where it would not end */
};

extern const struct shape estimate_view_shape;
