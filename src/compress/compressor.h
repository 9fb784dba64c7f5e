/* SPDX-License-Identifier: MIT */

/*
 * The compressor: workers that compress what waits in outboxes, with cycles
 * that nobody else wants.
 *
 *     outbox ──frame waits──► dispatcher ──► worker (SCHED_IDLE)
 *        ▲                                          │
 *        └─────────────── dispatcher ◄──────────────┘
 *
 * One compressor serves all sessions of a host, with a worker per processor.  A
 * worker of the idle class may be stopped for a long time at any point, so it
 * never holds a lock and never allocates: the dispatcher, a thread of the usual
 * class, hands it one frame at a time and takes the result back, both by one
 * atomic word and semaphores.  The frame stays in its outbox meanwhile, where a
 * channel may take it raw; then the worker's result is dropped.
 *
 *     workers.h     who compress
 *     dispatcher.h  who hands out and takes back, for all sessions in turn
 *
 * Which codec, if any: choice.h.  How many processors they may use: idle.h.
 * What is not even looked at: stretch.h.
 */
#pragma once

#include "compress/client.h"
#include "compress/report.h"

struct compressor;
struct error;

/* @workers: 0 for one per processor. */
int compressor_new(struct compressor **ret, unsigned workers, struct error *e);
/* No client is left; NULL is fine. */
void compressor_free(struct compressor *c);

/* The client's outbox and policy are set; it outlives compressor_leave(). */
void compressor_join(struct compressor *c, struct compressor_client *who);
/* Waits until no worker reads a frame of it; its outbox is closed. */
void compressor_leave(struct compressor *c, struct compressor_client *who);

/* There may be a frame, or a buffer, for a worker; from any thread. */
void compressor_kick(struct compressor *c);

/* What it did for @who and why; from any thread. */
struct compressor_report compressor_report(struct compressor *c,
					   struct compressor_client *who);
