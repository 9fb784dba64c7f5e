/* SPDX-License-Identifier: MIT */

/* Over which pairs of cards a move to a peer would travel: docs/api.md,
 * "Plan". */
#pragma once

#include "base/shape.h"
#include "base/words.h"
#include "paths/report.h"
#include "session/session.h"
#include "tune/shaping.h"

struct inventory;

/* What the kernel may be told of a card's network. */
struct plan_tc {
	char nic[IF_NAMESIZE], network[INI_NAME_CAP];
	char why[SHAPING_WHY]; /* empty: there are commands; else why not */
	struct words commands;
	enum shaping_state state;
	bool known; /* the state */
};

struct plan_view {
	char host[64], mode[24];
	char rdma[RDMA_WHY];        /* empty: it would be used; else why not */
	struct paths_report report; /* of the dialling side */
	struct plan_tc *tc;
	size_t tc_count;
};

extern const struct shape plan_shape;

/* Of each card here that a path begins at, and whose network has a limit or a
 * guarantee: fills in @v->tc. */
int plan_add_tc(struct plan_view *v, const struct ini_list *networks,
		const struct inventory *cards, struct error *e);
