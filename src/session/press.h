/* SPDX-License-Identifier: MIT */

/*
 * The press: workers that compress what waits in outboxes, with cycles that
 * nobody else wants.
 *
 *     outbox ──frame waits──► desk ──► worker (SCHED_IDLE) ──► desk ──► outbox
 *
 * One press serves all sessions of a host, with a worker per processor.  A
 * worker of the idle class may be stopped for a long time at any point, so it
 * never holds a lock and never allocates: the desk, a thread of the usual
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
#include "session/choice.h"
#include "session/stretch.h"

struct error;
struct outbox;
struct press;

struct press_policy {
	bool always; /* channels wait for the workers */
	/* Only this one, when @fixed. */
	bool fixed;
	struct codec_choice choice;
};

/* A session at the press.  The desk's from press_join() to press_leave(). */
struct press_client {
	struct outbox *outbox;
	struct press_policy policy;
	struct choice choice;
	struct stretches stretches;
	unsigned frames; /* that workers have now */
	struct press_client *next;
	atomic_uint_fast64_t processor_us; /* workers', and for looking */
};

/* @workers: 0 for one per processor. */
int press_new(struct press **ret, unsigned workers, struct error *e);
void press_free(struct press *p); /* no client is left; NULL is fine */

/* The client's outbox and policy are set; it outlives press_leave(). */
void press_join(struct press *p, struct press_client *c);
/* Waits until no worker reads a frame of it; its outbox is closed. */
void press_leave(struct press *p, struct press_client *c);

/* From any thread, with any lock: whether a worker is without a frame, and that
 * there may be one for it. */
bool press_wants(struct press *p);
void press_kick(struct press *p);

/* What has been used and why, see docs/api.md. */
json_t *press_json(struct press *p, struct press_client *c);
