/* SPDX-License-Identifier: MIT */

/*
 * Over which networks a move travels: the mode that was asked for, the
 * networks that it may use, and how many connections.
 */
#pragma once

#include <stdbool.h>

#include "nic/networks.h"
#include "nic/pairs.h"
#include "pages/history.h"
#include "session/session.h"

struct error;
struct move_host;
struct move_peer;

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
	bool never_press;          /* whatever the mode says */
	struct compressor_policy compressor_policy; /* otherwise */
	struct history_size repeat_cache;           /* likewise */
};

/* Whether pages are compressed. */
bool move_paths_press(const struct move_paths *p);

/* For the options of a relay; NULL when every page travels as it is.  Points
 * into @p. */
const struct history_size *move_paths_repeats(const struct move_paths *p);

/* The options of a session with @peer.  NULL for @p: one that only asks, over
 * one connection to the first address that answers.  Points into all that it is
 * given. */
struct session_options move_session(const struct move_host *host,
				    const struct move_peer *peer,
				    const struct move_paths *p,
				    uint64_t outage_limit_us);
