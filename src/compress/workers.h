/* SPDX-License-Identifier: MIT */

/*
 * The workers: threads of the idle class that compress one frame each.
 *
 * A worker owns its codecs.  Its job is the dispatcher's or its own, by the one
 * atomic word `turn`: worker_go() hands it over, and when the result is there
 * `turn` says so and the semaphore `done` is posted.  Between the two it takes
 * no lock, allocates nothing and waits for nothing.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/codec.h"

struct buffer;
struct compressor_client;
struct error;
struct frame_out;

/* Who may touch a worker's job. */
enum turn { TURN_DISPATCHER, TURN_WORKER, TURN_RESULT };

struct worker {
	/* set before the thread starts */
	pthread_t thread;
	sem_t go;
	sem_t *done;
	struct codec_state *codecs;

	atomic_int turn;
	atomic_bool stop;

	/* The dispatcher's, or in TURN_WORKER the worker's. */
	struct compressor_client *client;
	struct frame_out *frame;
	struct buffer *buffer;
	unsigned choice; /* CHOICE_NONE: the policy's */
	struct codec_choice how;
	size_t meta, in, out; /* bytes; out: 0 for not to be pressed */
	uint64_t processor_us;
};

/* @done: outlives it. */
int worker_start(struct worker *w, sem_t *done, struct error *e);
void worker_stop(struct worker *w); /* joins it */
/* The job is filled in. */
void worker_go(struct worker *w);

/* Processor time of the calling thread. */
uint64_t worker_processor_us(void);
