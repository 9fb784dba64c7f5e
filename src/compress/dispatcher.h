/* SPDX-License-Identifier: MIT */

/*
 * The dispatcher: a thread of the usual class that gives frames of all clients
 * to workers, in turn, and brings the results back.
 *
 * Its lock comes before those of the outboxes.  As their taker it is woken by a
 * semaphore, without any lock.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

#include "compress/client.h"
#include "compress/idle.h"
#include "compress/workers.h"
#include "frames/taker.h"

struct error;
struct pool;

enum { WORKERS_MAX = 64 };

struct dispatcher {
	/* set before the threads start */
	struct taker taker;
	struct pool *buffers;
	unsigned n_buffers;
	pthread_t thread;
	struct worker *worker;
	unsigned workers;

	sem_t wake;
	atomic_bool stop;
	/* From when on a worker may take a frame: never when all have one. */
	atomic_uint_fast64_t idle_us;

	pthread_mutex_t lock; /* guards what follows; never the workers' */
	pthread_cond_t left;
	struct compressor_client *clients;
	struct compressor_client *next; /* whose turn it is */
	struct idle idle;
	unsigned joined, always; /* clients; those that wait for workers */
};

/* @workers: of them, from 1 to WORKERS_MAX. */
int dispatcher_start(struct dispatcher *d, unsigned workers, struct error *e);
void dispatcher_stop(struct dispatcher *d); /* no client is left */
/* From any thread, with any lock. */
void dispatcher_kick(struct dispatcher *d);

/* As compressor_join() and compressor_leave(). */
void dispatcher_join(struct dispatcher *d, struct compressor_client *c);
void dispatcher_leave(struct dispatcher *d, struct compressor_client *c);
