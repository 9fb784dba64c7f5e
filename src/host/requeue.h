/* SPDX-License-Identifier: MIT */

/*
 * Moves that were in the queue when the last daemon ended: those that waited
 * wait as before, and those that had started and were undone by that are queued
 * again.  docs/queue.md, "Restarts".
 *
 * Owns those that had started until recovery (host/recovery.h) says what became
 * of them.  Any thread may call; the lock in here guards the list, and under it
 * only that of the jobs is taken.
 */
#pragma once

#include <stdbool.h>

struct error;
struct host;
struct job;
struct requeue;
struct waiter;

/* @h outlives it.  NULL: no memory. */
struct requeue *requeue_new(struct host *h);
void requeue_free(struct requeue *r); /* files stay; NULL is fine */

/* Before recovery; after it, for those that it does not know. */
int requeue_load(struct requeue *r, struct error *e);
void requeue_take_up(struct requeue *r);
/* One whose destination was started again in the middle, and which counts no
 * more: takes @one over. */
void requeue_again(struct requeue *r, struct waiter *one);
/* A move away of the journal has ended; @undone: by the restart. */
void requeue_ended(struct requeue *r, struct job *j, bool undone);
