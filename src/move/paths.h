/* SPDX-License-Identifier: MIT */

/*
 * Over which networks a move travels: the mode that was asked for, the
 * networks that it may use, and how many connections.
 */
#pragma once

#include <stdbool.h>

#include "compress/client.h"
#include "nic/networks.h"
#include "nic/pairs.h"
#include "nic/rdma_policy.h"
#include "pages/history.h"

struct error;

struct move_mode {
	const char *name;
	bool all; /* all cards at once; one pair at a time otherwise */
	bool compresses;
};

/* -EINVAL for a name that is none. */
int move_mode_find(const struct move_mode **ret, const char *name,
		   struct error *e);

/* The name of the mode that asks for what is done: without compression when
 * @compresses is not set. */
const char *move_mode_got(const struct move_mode *m, bool compresses);

struct move_paths {
	const struct move_mode *mode;
	struct networks networks;  /* that may be used; empty: all */
	struct path_policy policy; /* `all` as the mode says */
	struct rdma_policy rdma;   /* pages by RDMA */
	bool never_press;          /* whatever the mode says */
	struct compressor_policy compressor_policy; /* otherwise */
	struct history_size repeat_cache;           /* likewise */
};

/* Whether pages are compressed. */
bool move_paths_press(const struct move_paths *p);

/* For the options of a relay; NULL when every page travels as it is.  Points
 * into @p. */
const struct history_size *move_paths_repeats(const struct move_paths *p);
