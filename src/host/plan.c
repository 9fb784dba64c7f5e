/* SPDX-License-Identifier: MIT */
#include "host/plan.h"

#define AT(member) SHAPE_AT(struct plan_view, member)

static const struct shape_field fields[] = {
	{ "host", SHAPE_TEXT, 0, AT(host) },
	{ "mode", SHAPE_TEXT, 0, AT(mode) },
	{ "option", SHAPE_TEXT, 0, AT(mode) }, /* as it was called before */
	{ "rdma", SHAPE_TEXT, SHAPE_NULL, AT(rdma) },
	{ "paths", SHAPE_LIST, 0, AT(report.paths),
	  SHAPE_COUNT(struct plan_view, report.paths_count),
	  .of = &path_report_shape },
	{ "cards", SHAPE_LIST, 0, AT(report.cards),
	  SHAPE_COUNT(struct plan_view, report.cards_count),
	  .of = &card_report_shape },
};

const struct shape plan_shape = SHAPE(struct plan_view, fields);
