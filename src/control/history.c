/* SPDX-License-Identifier: MIT */
#include "control/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/words.h"
#include "control/api.h"
#include "host/sample.h"

struct series_list {
	struct words series;
};

static const struct shape_field list_fields[] = {
	{ "series", SHAPE_WORDS, 0, SHAPE_AT(struct series_list, series) },
};

const struct shape series_list_shape = SHAPE(struct series_list, list_fields);

#define AT(member) SHAPE_AT(struct past_point, member)

static const struct shape_field point_fields[] = {
	{ "least", SHAPE_REAL, SHAPE_NULL, AT(least) },
	{ "mean", SHAPE_REAL, SHAPE_NULL, AT(mean) },
	{ "most", SHAPE_REAL, SHAPE_NULL, AT(most) },
};

#undef AT

static const struct shape point_shape = SHAPE(struct past_point, point_fields);

#define AT(member) SHAPE_AT(struct past, member)

static const struct shape_field series_fields[] = {
	{ "name", SHAPE_TEXT, 0, AT(name) },
	{ "step", SHAPE_NUMBER, 0, AT(step) },
	{ "begin", SHAPE_SECONDS, 0, AT(begin_us) },
	{ "points", SHAPE_LIST, 0, AT(points), SHAPE_COUNT(struct past, count),
	  .of = &point_shape },
};

#undef AT

const struct shape series_shape = SHAPE(struct past, series_fields);

int history_list(struct host *h, const struct api_call *c, char **ret,
		 struct error *e)
{
	struct series_list all = { 0 };
	int r;

	(void)c;
	r = host_past_names(h, &all.series, e);
	if (r == 0)
		r = api_text(ret, &series_list_shape, &all, e);
	shape_done(&series_list_shape, &all);
	return r;
}

int history_show(struct host *h, const struct api_call *c, char **ret,
		 struct error *e)
{
	enum ring_span span = RING_SECONDS;
	uint64_t last = ring_kinds[RING_SECONDS].slots;
	struct past p = { 0 };
	int r;

	while (c->step && span < RING_SPANS &&
	       strcmp(c->step, ring_kinds[span].name) != 0)
		span++;
	if (span == RING_SPANS)
		return error_set(e, EINVAL,
				 "'%.20s' is not a step of the history: use "
				 "1s, 10s or 1m",
				 c->step);
	if (c->last &&
	    text_parse_number(&last, c->last, 1, ring_kinds[span].slots, e) < 0)
		return error_in(e, "'last'");
	r = host_past(h, c->name, span, last, &p, e);
	if (r == 0)
		r = api_text(ret, &series_shape, &p, e);
	shape_done(&series_shape, &p);
	return r;
}
