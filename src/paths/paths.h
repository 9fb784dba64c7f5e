/* SPDX-License-Identifier: MIT */

/*
 * The paths of a session: the ways to the other host, and what became of them.
 *
 *     card seen ──► planned ──► dialled ──greet──► up: a lane
 *                     ▲            ▲                 │
 *                     └── lost ────┴── tried again ──┘
 *
 *     plan.h        which paths, how many lanes: pure
 *     planner.h     the thread that finds the facts and carries the plan out
 *     dialler.h     a thread for each path
 *     peer_cards.h  what each side tells the other of its cards
 *     account.h     what became of each path, for plans and reports
 *
 * Paths know lanes by the owner's number that they gave them.  On the accepting
 * side there are no paths, only cards to tell and to hear of.
 *
 * Threads: any may call what does not say otherwise.  The set has a lock of its
 * own, before those of the lanes and frames; nobody in another folder above is
 * called while it is held (calls.h).
 */
#pragma once

#include <stdint.h>

#include "nic/pairs.h"
#include "paths/calls.h"

struct error;
struct lanes;
struct networks;
struct nic_watch;
struct path_set;

struct paths_options {
	const char *peer; /* outlives the paths */
	/* To dial; NULL-terminated.  NULL: on the accepting side. */
	const char *const *addresses;
	uint16_t port;
	/* Without a watch the first of the addresses that answers is the only
	 * path. */
	struct nic_watch *watch; /* outlives the paths; may be NULL */
	const struct networks *networks;
	struct path_policy policy;
	struct lanes *lanes; /* outlive the paths */
	struct path_calls calls;
	int stop_fd; /* readable: nothing is dialled any more */
};

int paths_new(struct path_set **ret, const struct paths_options *o,
	      struct error *e);
void paths_free(struct path_set *set); /* joined; NULL is fine */

/* --- beginning, in this order */

/* The first lane, over the given addresses, by the calling thread.
 * @lanes: how many that path shall have later.  -EHOSTUNREACH with the reason
 * of the last address tried. */
int paths_dial_first(struct path_set *set, unsigned lanes, struct error *e);
/* Hears of cards here from now on. */
void paths_listen(struct path_set *set);
/* Dials and plans from now on, on the dialling side.  @salt: two sessions dial
 * from other ports. */
int paths_start(struct path_set *set, uint64_t salt, struct error *e);

/* --- ending */

/* No more is dialled; who waits returns. */
void paths_end(struct path_set *set);
/* The threads, after paths_end(). */
void paths_join(struct path_set *set);
/* No call comes from the watch any more. */
void paths_leave(struct path_set *set);

/* --- the supervisor's */

/* Tells the peer of changed cards, drops lanes of those that are down,
 * measures.
 */
void paths_tend(struct path_set *set);
/* Paths that are not wanted may be needed now. */
void paths_wake(struct path_set *set);
