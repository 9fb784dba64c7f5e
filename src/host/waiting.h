/* SPDX-License-Identifier: MIT */

/*
 * Moves that wait for their turn, here and at other hosts: the lock, the thread
 * and the files around host/queue.h and host/admission.h.  docs/queue.md.
 *
 * Owns the waiters, each a move away from when it was asked for to its end: one
 * that waits is in the queue; one that runs is its thread's.  Any thread may
 * call everything; the lock in here guards the queue, the hosts that wait and
 * the counts, and is held for short times; under it those of the jobs are
 * taken.  The file of one that can be cancelled is written under it, and not
 * after its cancel was asked for; removed it is without it.
 */
#pragma once

#include <stdbool.h>

#include "host/queue.h"
#include "host/queue_file.h"

struct error;
struct host;
struct session;
struct waiting;

struct waiter {
	struct queue_item item;
	struct queue_file file;
	struct job *job;     /* a reference */
	bool waited;         /* it did not start when it was asked for */
	uint64_t refused_us; /* until then a refusal may be of before */
	struct waiter *next; /* host/requeue.h */
};

/* Starts one whose turn it is and that has waited: takes it over.  Called by
 * any thread, without a lock. */
typedef void waiting_start_one(struct host *h, struct waiter *one);

/* @h outlives it.  NULL: no memory. */
struct waiting *waiting_new(struct host *h, waiting_start_one *start);
void waiting_free(struct waiting *w); /* files stay; NULL is fine */

int waiting_start(struct waiting *w, struct error *e);
/* Nobody starts any more.  Files of moves that are cancelled from now on
 * stay. */
void waiting_stop(struct waiting *w);

/* --- moves away */

/* Takes what is in @f over, and a reference to @j. */
struct waiter *waiter_new(struct queue_file *f, struct job *j);
void waiter_free(struct waiter *one); /* NULL is fine */

/* A move that was asked for, whose machine its job holds.  0: it is on disk,
 * and
 * @ret_starts: it has its turn, and is the caller's until it gives it back; or
 * it has a place, and waits once the caller has let the machine go. */
int waiting_enter(struct waiting *w, struct waiter *one, bool *ret_starts,
		  struct error *e);
void waiting_wait(struct waiting *w, struct waiter *one);
/* One that has had its turn cannot start for @why, and holds nothing.  False:
 * its job was cancelled meanwhile. */
bool waiting_again(struct waiting *w, struct waiter *one, enum queue_why why);
/* Its destination may be away for a while: it has waited before. */
bool waiting_is_patient(struct waiting *w, struct waiter *one);
/* It counts no more, and is the caller's; likewise, and all is over. */
void waiting_leave(struct waiting *w, struct waiter *one);
/* Its move has ended; @undone: it was cancelled, or its destination was started
 * again: while the host stops it is left to the next start. */
void waiting_end(struct waiting *w, struct waiter *one, bool undone);
/* A job is to be cancelled, who has been asked to end: one that waits has ended
 * then; one that runs is not queued again. */
void waiting_cancel(struct waiting *w, const char *job);
/* One that waits; -EBUSY when it does not any more. */
int waiting_set_priority(struct waiting *w, const char *job, unsigned priority,
			 struct error *e);
/* Moves away that were found in the journal begin and end: they count. */
void waiting_found(struct waiting *w);
void waiting_found_ended(struct waiting *w);

/* A peer has a place for one of ours. */
void waiting_offered(struct waiting *w, const char *peer, bool *ret_takes,
		     bool *ret_more);

/* --- moves that come */

struct admission_ask;

/* May it come?  It counts until waiting_left().  One that cannot wait elsewhere
 * waits here, for a while, as long as its session lives. */
bool waiting_admits(struct waiting *w, const struct admission_ask *of,
		    struct session *s);
/* One that was found in the journal counts whatever the limit is. */
void waiting_counts(struct waiting *w);
void waiting_left(struct waiting *w, bool disks);
