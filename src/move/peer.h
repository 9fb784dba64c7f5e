/* SPDX-License-Identifier: MIT */

/* Sessions with the other host of a move, or of a relay. */
#pragma once

#include <stdint.h>

#include "session/session.h"

struct error;
struct message;
struct move_host;
struct move_paths;
struct move_peer;

/* The options of a session with @peer.  NULL for @p: one that only asks, over
 * one connection to the first address that answers.  Points into all that it is
 * given. */
struct session_options peer_session(const struct move_host *host,
				    const struct move_peer *peer,
				    const struct move_paths *p,
				    uint64_t outage_limit_us);

/* One question over a session of its own: 0 with the answer, which may be of
 * any type. */
int peer_ask(const struct move_host *host, const struct move_peer *peer,
	     const struct message *question, uint64_t limit_us,
	     struct message *ret, struct error *e);
