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
 * Which codec: for a link that delivers L bytes a second, a codec that presses
 * P bytes a second to 1/r lets min(L r, L + P (1 - 1/r)) bytes a second
 * through; the one with the most is used.  P and r are measured all the time,
 * for the others by a batch now and then; P by the clock, so it falls when the
 * processors are busy.
 */
#pragma once

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/codec.h"

struct error;
struct outbox;
struct press;

enum { PRESS_CHOICES = 3 };

struct press_policy {
	bool always; /* channels wait for the workers */
	/* Only this one, when @fixed. */
	bool fixed;
	struct codec_choice choice;
};

/* What is known of one codec and level, in one session. */
struct press_record {
	double in, out;  /* bytes before and after, of about 16 frames */
	double took_us;  /* one worker's time for them */
	uint64_t frames; /* pressed so */
};

/* A session at the press.  The desk's from press_join() to press_leave(). */
struct press_client {
	struct outbox *outbox;
	struct press_policy policy;
	struct press_record record[PRESS_CHOICES];
	unsigned turn, best;
	unsigned frames; /* that workers have now */
	struct press_client *next;
	atomic_uint_fast64_t processor_us; /* of the workers */
};

/* @workers: 0 for one per processor. */
int press_new(struct press **ret, unsigned workers, struct error *e);
void press_free(struct press *p); /* no client is left; NULL is fine */

/* The client's outbox and policy are set; it outlives press_leave(). */
void press_join(struct press *p, struct press_client *c);
/* Waits until no worker reads a frame of it; its outbox is closed. */
void press_leave(struct press *p, struct press_client *c);

/* A frame waits.  From any thread, with any lock. */
void press_kick(struct press *p);

/* The choice with the most bytes a second over a link that delivers @link of
 * them; every record has frames. */
unsigned press_best(const struct press_record record[PRESS_CHOICES],
		    double link, unsigned workers);

/* What has been used and why, see docs/api.md. */
json_t *press_json(struct press *p, struct press_client *c);
