/* SPDX-License-Identifier: MIT */

/* Sessions with the other host of a move, or of a relay. */
#pragma once

#include <stdint.h>

#include "session/session.h"
#include "wire/message.h"

struct error;
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

/* -EREMOTEIO: what the other side says has failed, of the kind that it names.
 */
int peer_error(const struct message_failed *f, const char *peer,
	       struct error *e);
/* 0 when it is what was asked for; else as above, -EUSERS for "full", or
 * -EBADMSG. */
int peer_check_answer(const struct message *answer, enum message_type wanted,
		      const char *peer, struct error *e);

/* One question over a session of its own: 0 with the answer, which may be of
 * any type. */
int peer_ask(const struct move_host *host, const struct move_peer *peer,
	     const struct message *question, uint64_t limit_us,
	     struct message *ret, struct error *e);
