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
 * Which codec, if any: choice.h.  How many processors they may use: idle.h.
 * What is not even looked at: stretch.h.
 */
#pragma once

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/codec.h"
#include "compress/choice.h"
#include "compress/stretch.h"

struct error;
struct outbox;
struct compressor;

struct compressor_policy {
	bool always; /* channels wait for the workers */
	/* Only this one, when @fixed. */
	bool fixed;
	struct codec_choice choice;
};

/* A session at the compressor.  The dispatcher's from compressor_join() to
 * compressor_leave(). */
struct compressor_client {
	struct outbox *outbox;
	struct compressor_policy policy;
	struct choice choice;
	struct stretches stretches;
	unsigned frames; /* that workers have now */
	struct compressor_client *next;
	atomic_uint_fast64_t processor_us; /* workers', and for looking */
};

/* @workers: 0 for one per processor. */
int compressor_new(struct compressor **ret, unsigned workers, struct error *e);
void compressor_free(
	struct compressor *p); /* no client is left; NULL is fine */

/* The client's outbox and policy are set; it outlives compressor_leave(). */
void compressor_join(struct compressor *p, struct compressor_client *c);
/* Waits until no worker reads a frame of it; its outbox is closed. */
void compressor_leave(struct compressor *p, struct compressor_client *c);

/* From any thread, with any lock: whether a worker is without a frame, and that
 * there may be one for it. */
bool compressor_wants(struct compressor *p);
void compressor_kick(struct compressor *p);

/* What has been used and why, see docs/api.md. */
json_t *compressor_json(struct compressor *p, struct compressor_client *c);
