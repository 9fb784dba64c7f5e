/* SPDX-License-Identifier: MIT */

/* Over which pairs of cards a move to a peer would travel: docs/api.md,
 * "Plan". */
#pragma once

#include "base/shape.h"
#include "paths/report.h"

struct plan_view {
	char host[64], mode[24];
	struct paths_report report; /* of the dialling side */
};

extern const struct shape plan_shape;
