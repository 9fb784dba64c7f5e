/* SPDX-License-Identifier: MIT */
#include "host/estimate_view.h"

#define AT(member) SHAPE_AT(struct estimate_view, member)

static const struct shape_field fields[] = {
	{ "machine", SHAPE_TEXT, 0, AT(machine) },
	{ "host", SHAPE_TEXT, 0, AT(host) },
	{ "mode", SHAPE_TEXT, 0, AT(mode) },
	{ "memory", SHAPE_NUMBER, 0, AT(memory) },
	{ "used", SHAPE_NUMBER, SHAPE_NULL, AT(used) },
	{ "dirty_rate", SHAPE_NUMBER, SHAPE_NULL, AT(dirty_rate),
	  SHAPE_HAS(struct estimate_view, has_dirty_rate) },
	{ "rate", SHAPE_NUMBER, SHAPE_NULL, AT(rate) },
	{ "rate_measured", SHAPE_BOOL, 0, AT(rate_measured) },
	{ "time_ms", SHAPE_SIGNED, SHAPE_NULL, AT(time_ms) },
	{ "time_least_ms", SHAPE_SIGNED, SHAPE_NULL, AT(time_least_ms) },
	{ "time_most_ms", SHAPE_SIGNED, SHAPE_NULL, AT(time_most_ms) },
	{ "downtime_ms", SHAPE_SIGNED, SHAPE_NULL, AT(downtime_ms) },
	{ "sure", SHAPE_NAME, 0, AT(sure), .names = estimate_sure_names,
	  .most = ESTIMATE_SURES },
	{ "ends", SHAPE_NAME, 0, AT(ends), .names = estimate_end_names,
	  .most = ESTIMATE_ENDS },
	{ "advice", SHAPE_TEXT, SHAPE_NULL, AT(advice) },
};

#undef AT

const struct shape estimate_view_shape = SHAPE(struct estimate_view, fields);
