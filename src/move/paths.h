/* SPDX-License-Identifier: MIT */

/*
 * Over which networks a move travels: the option that was asked for, the
 * networks that it may use, and how many connections.
 */
#pragma once

#include <stdbool.h>

#include "nic/networks.h"
#include "nic/pairs.h"
#include "session/session.h"

struct error;
struct nic_watch;

struct move_option {
	const char *name;
	bool all;        /* every network at once; one at a time otherwise */
	bool compresses; /* what is asked for: this version never does */
};

/* -EINVAL for a name that is none. */
int move_option_find(const struct move_option **ret, const char *name,
		     struct error *e);

/* The name of the option that asks for what this version does of @o. */
const char *move_option_got(const struct move_option *o);

struct move_paths {
	const struct move_option *option;
	struct networks networks;  /* that may be used; empty: all */
	struct path_policy policy; /* `all` as the option says */
};

/* For the options of a session.  Points into @p. */
struct session_cards move_paths_cards(const struct move_paths *p,
				      struct nic_watch *watch);

/* Connections over an address that belongs to no known card. */
unsigned move_paths_channels(const struct move_paths *p);
