/* SPDX-License-Identifier: MIT */

/*
 * Who may run the guest.
 *
 * The source decides, once, by writing COMMIT into its journal.  Before that
 * line is on disk the guest is the source's; from then on it is the
 * destination's, and the source never continues it by itself.  The destination
 * never decides: it continues the guest when it has heard COMMIT, drops it
 * when it has heard that the move was aborted, and waits, paused, otherwise.
 *
 * Whoever lost the other side keeps asking over sessions of their own, with a
 * "resolve" (source tells) or an "ask" (destination asks).  A source that knows
 * nothing of a move has aborted it, if it has the machine.  The operator may
 * cut this short; what the other side has said comes before that.
 *
 * docs/architecture.md, "Commit", has the table of all points where either
 * side can die.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct error;
struct job;
struct move_host;
struct move_peer;

/* Source, after COMMIT: tells the destination until it says that the guest
 * runs there: 0.  -EOWNERDEAD when the operator wants the guest here,
 * -EREMOTEIO when the destination tried, failed and has dropped it. */
int commit_press(struct job *job, const struct move_host *host,
		 const struct move_peer *peer, struct error *e);

/* Destination, loaded, out of contact: asks until it knows.  0: continue the
 * guest.  -ECANCELED: drop it. */
int commit_ask(struct job *job, const struct move_host *host,
	       const struct move_peer *peer, struct error *e);

/* Destination, before it has loaded everything, when the session is silent:
 * has the source given up meanwhile?  Asks once, for some seconds at most. */
bool commit_was_aborted(struct job *job, const struct move_host *host,
			const struct move_peer *peer);

/* The other side's answers to these two; @job may be NULL, and @machine where
 * the question does not name it. */
json_t *commit_answer_ask(const struct move_host *host, const char *id,
			  const char *machine, struct job *job);
json_t *commit_answer_resolve(const struct move_host *host, const char *id,
			      const char *decision, struct job *job);
