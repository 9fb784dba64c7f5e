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

/* Bits, so that a world is 12 bytes: millions of them are looked up. */
struct side {
	uint32_t state : 6, disk : 4, qemu : 2;
	uint32_t row : 8, at : 2; /* what it is about to do: 0 for nothing, else
				   * the row's number + 1 and the action's
				   * place */
	uint32_t up : 1, dead : 1, registered : 1;
	uint32_t finding : 1; /* an entry, not taken up yet */
	uint32_t unused : 6;
};

struct world {
	struct side of[2];          /* by enum role */
	uint32_t flight : 13;       /* a bit for each message */
	uint32_t cut : 1, trip : 1; /* one is left */
	uint32_t session : 1;       /* the move's own lives */
	uint32_t complete : 1, stays_paused : 1;
	uint32_t back_again : 1; /* the source's guest was continued after that
				  */
	uint32_t ran_there : 1;
	uint32_t told : 1; /* "commit", or by the operator */
	uint32_t disk_lost : 1;
	uint32_t another_run : 1; /* the machine is back at the source */
	uint32_t elsewhere : 1;   /* it runs on a third host */
	uint32_t obeyed : 1;      /* the operator's word decided */
	uint32_t ended : 1;       /* the guest has ended by itself */
	uint32_t excused : 1;     /* a record may be lost: a write failed */
	uint32_t exists : 1;      /* always: nothing else is zero */
	uint32_t unused : 4;
};

_Static_assert(sizeof(struct world) == 12, "no padding: compared as bytes");
_Static_assert(MESSAGES == 13 && DECIDE_STATES <= 64, "they fit");

/* --- the search */

struct search {
	struct decide_table table;
	struct decide_table part[DECIDE_STATES][DECIDE_EVENTS + 1];
	struct world *seen;  /* in the order in which they were found */
	struct world *slots; /* the same, to look up */
	size_t n, capacity, mask, next;
	struct world next_of[32]; /* found, and not looked up yet */
	unsigned nexts;
	struct world *single; /* instead: the first that is added */
	const char *wrong;
	bool full;
};

enum { SLOTS_LEAST = 1 << 14 };

/* Room for @capacity worlds. */
void search_init(struct search *s, size_t capacity);
void search_done(struct search *s);
/* From a move that copies, to what is wrong, or to the end. */
void search_explore(struct search *s, bool stays_paused);
void search_show(const struct world *w);
