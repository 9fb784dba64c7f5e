/* SPDX-License-Identifier: MIT */

/*
 * Who may run the guest: does what the table of decide.h says, in the order in
 * which it says it, and asks and answers the other side.  docs/commit.md.
 *
 * Each side brings a function for each action of its rows.  One that brings
 * news returns the event, and ends its row; the others return NO_EVENT.
 */
#pragma once

#include <stdbool.h>

#include "move/decide.h"
#include "wire/message.h"

struct job;
struct journal_entry;
struct move_host;
struct move_peer;

struct commit_side {
	struct job *job;
	const struct move_host *host;
	const struct move_peer *peer;
	struct journal_entry *entry; /* of the journal */
	unsigned (*facts)(struct commit_side *c);
	enum decide_event (*const *actions)(struct commit_side *c);

	/* kept here */
	enum decide_event last;        /* that brought the side where it is */
	enum decide_event last_answer; /* when it was last in doubt */
	char heard[300]; /* what was said, or why nothing was heard */
	uint64_t pause_us;
};

/* Until the side is over. */
void commit_run(struct commit_side *c, enum decide_event event);

/* The operator's word, taken; NO_EVENT: there is none. */
enum decide_event commit_word(struct job *job);

/* --- actions that both sides share */

/* Source: tells "commit" in a session of its own, and hears how far the
 * destination is.  The operator's word comes first. */
enum decide_event commit_tell(struct commit_side *c);
/* Destination: asks what was decided; likewise. */
enum decide_event commit_ask(struct commit_side *c);
/* Once more before the operator is obeyed; hands out nothing to a destination
 * that might have the guest. */
enum decide_event commit_probe_destination(struct commit_side *c);
enum decide_event commit_probe_source(struct commit_side *c);
/* Says what is not known, and waits a while. */
enum decide_event commit_doubt(struct commit_side *c);
enum decide_event commit_refuse(struct commit_side *c);
/* STORED or NOT_STORED. */
enum decide_event commit_store(struct commit_side *c, int step);
/* Of what journal_prepare() has written. */
enum decide_event commit_publish(struct commit_side *c, int step);
enum decide_event commit_conclude(struct commit_side *c, int step);
enum decide_event commit_remove(struct commit_side *c);

/* Destination, when the session is silent: has the source given up meanwhile?
 * Asks once, for some seconds at most. */
bool commit_was_aborted(struct commit_side *c);

/* The other side's answers; @job may be NULL, and @guest, the QEMU of before
 * the move, where the question does not name it.  False: @peer is not the one
 * that the move is with. */
bool commit_answer_ask(enum message_decision *ret, const struct move_host *host,
		       const char *peer, const struct message_ask *question,
		       struct job *job);
bool commit_answer_resolve(enum message_state *ret,
			   const struct move_host *host, const char *peer,
			   const struct message_resolve *question,
			   struct job *job);
