/* SPDX-License-Identifier: MIT */

/*
 * The jobs of this host, moves and relays in both directions, and the threads
 * that the service has to wait for.
 *
 * Owns the list, which holds a reference to each job, and forgets the oldest
 * that have ended.  Any thread may call everything; the lock in here is held
 * for short times and never while waiting.  Whoever holds it takes no other
 * lock but that of a job.
 *
 * Moves away that wait for their turn (host/waiting.h) are in the list, and
 * have no thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "move/job.h"

struct error;
struct jobs;

/* @host_name outlives it.  NULL: no memory. */
struct jobs *jobs_new(const char *host_name);
void jobs_free(struct jobs *all); /* no thread may be left; NULL is fine */

/* @changed: as in struct job, of each that is added from now on. */
void jobs_watch(struct jobs *all, void (*changed)(void *context, struct job *j),
		void *context);
/* The list takes a reference.  Once jobs_cancel_all() was called, the job
 * hears of it here. */
void jobs_add(struct jobs *all, struct job *j);
/* One that has ended, of which the caller has a reference. */
void jobs_remove(struct jobs *all, struct job *j);
/* A reference for the caller; NULL when there is none.  On a test's single
 * host both sides of a move are here: the role tells them apart; ROLES: any. */
struct job *jobs_find(struct jobs *all, const char *id, enum role role);
/* In either role; -ENOENT, in words for the user, where there is none. */
struct job *jobs_must(struct jobs *all, const char *id, struct error *e);
/* Is a move of @machine by the job @id in doubt? */
bool jobs_in_doubt(struct jobs *all, const char *id, const char *machine);
/* Does a source's relay of this name run, to @peer? */
bool jobs_carry_relay(struct jobs *all, const char *name, const char *peer);
/* A reference to each that runs, for the caller, at most @cap; how many. */
unsigned jobs_hold_running(struct jobs *all, struct job **ret, unsigned cap);
/* Readable once one was added, for who reads it. */
int jobs_news_fd(const struct jobs *all);
unsigned jobs_running(struct jobs *all);
/* Moves in that role of which nobody knows who has the guest. */
unsigned jobs_doubtful(struct jobs *all, enum role role);
/* Of the moves away that run, the seconds that each has left, up to @most of
 * them: NAN where that is not known.  @ret_each: what one takes, by those that
 * have ended, or else by these. */
size_t jobs_time_left(struct jobs *all, double *ret, size_t most,
		      double *ret_each);

/* How it ended: done, cancelled or failed, by what its work returned. */
void job_settle(struct job *j, int r, const struct error *e);

/* Starts a detached thread that is counted; @arg is the thread's. */
int jobs_thread(struct jobs *all, const char *name, void *(*run)(void *),
		void *arg, struct error *e);

void jobs_cancel_all(struct jobs *all);
/* It was called: that a job was asked to end does not mean that a user did. */
bool jobs_stopping(struct jobs *all);
/* Waits, for a while, until only jobs in doubt have threads, which go on for
 * as long as it takes; the journal keeps them.  True when no thread is left. */
bool jobs_wait_idle(struct jobs *all);
