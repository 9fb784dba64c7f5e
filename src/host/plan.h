/* SPDX-License-Identifier: MIT */

/* Over which pairs of cards a move to a peer would travel: docs/api.md,
 * "Plan". */
#pragma once

#include "base/shape.h"
#include "paths/report.h"
#include "session/session.h"

struct plan_view {
	char host[64], mode[24];
	char rdma[RDMA_WHY];        /* empty: it would be used; else why not */
	struct paths_report report; /* of the dialling side */
};

extern const struct shape plan_shape;
