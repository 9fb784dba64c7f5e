/* SPDX-License-Identifier: MIT */

/*
 * The table of move/decide.c, explored: every order of messages, crashes, cuts,
 * failed writes and commands of two hosts, within the bounds below.
 *
 * A world is two hosts and what travels between them.  What a host does is what
 * decide() says, one action at a time; between any two of them its daemon can
 * be killed.  A message that was sent may be delivered never, once, or again
 * and again, in any order: what is in flight is a set that only grows.  A write
 * fails with the old or with the new content on disk.
 *
 * The operator's word counts as what it claims to be.  Where the other side
 * can be heard it may be anything, at any time.  Where it cannot, a run-here at
 * the source says that the destination has no copy or is dead for good; at the
 * destination, that the source will not run it by itself; a give-up, that the
 * other side has a copy.  Sequences in which it was obeyed and false are not
 * followed: nobody can guard against those.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "move/decide.h"

enum disk {
	DISK_NONE,
	DISK_PREPARE,
	DISK_COMMIT,
	DISK_ABORTED,
	DISK_LEFT,
	DISK_COMMITTED,
	DISK_ARRIVED,
	DISK_DROPPED,
	DISK_LOST,
};

enum { QEMU_NONE, QEMU_RUNS, QEMU_PAUSED };

enum message {
	/* to the destination */
	MSG_RESOLVE, /* "commit", in a session of its own */
	MSG_PROBE,   /* how far are you? */
	MSG_IS_COMMIT,
	MSG_IS_ABORT,
	MSG_IS_UNDECIDED,
	MSG_IS_UNKNOWN,
	TO_DESTINATION,
	/* to the source */
	MSG_LOADED = TO_DESTINATION,
	MSG_ASK,
	MSG_RUNNING,
	MSG_DROPPED,
	MSG_WAITING,
	MSG_GONE,
	MSG_LOST,
	MESSAGES,
};

struct side {
	uint8_t state, disk, qemu;
	uint8_t row, at; /* what it is about to do: 0 for nothing, else the
			  * row's number + 1 and the action's place */
	uint8_t up, dead, registered;
	uint8_t finding; /* an entry, not taken up yet */
};

struct world {
	struct side of[2]; /* by enum decide_side */
	uint16_t flight;   /* a bit for each message */
	uint8_t cut, trip; /* one is left */
	uint8_t session;   /* the move's own lives */
	uint8_t complete, stays_paused;
	uint8_t back_again; /* the source's guest was continued after that */
	uint8_t ran_there;
	uint8_t told; /* "commit", or by the operator */
	uint8_t disk_lost;
	uint8_t another_run; /* the machine is back at the source */
	uint8_t elsewhere;   /* it runs on a third host */
	uint8_t obeyed;      /* the operator's word decided */
	uint8_t ended;       /* the guest has ended by itself */
	uint8_t excused;     /* a record may be lost: a write failed */
};

/* --- the search */

struct search {
	struct decide_table table;
	struct world *seen;
	uint32_t *slots;
	size_t n, capacity, mask, next;
	struct world *single; /* instead: the first that is added */
	const char *wrong;
	bool full;
};

/* Room for @capacity worlds. */
void search_init(struct search *s, size_t capacity);
void search_done(struct search *s);
/* From a move that copies, to what is wrong, or to the end. */
void search_explore(struct search *s, bool stays_paused);
void search_show(const struct world *w);
