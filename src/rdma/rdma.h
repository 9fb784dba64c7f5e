/* SPDX-License-Identifier: MIT */

/*
 * RDMA of a session: docs/rdma.md.
 *
 *     fence.h       when pages may be written, and when sent another way: pure
 *     source.c      the side that dials: asks, connects, writes
 *     sink.c        the other one: listens, accepts, places
 *     queue_pair.h  one queue pair, either side
 *     verbs.h       the libraries, where they are
 *
 * Lanes know of it what struct lane_aside says.
 *
 * Threads: one for each queue pair; besides these any may call.  The lock of
 * each side comes before those of the lanes and the outbox; nobody above is
 * called while it is held.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lanes/calls.h"
#include "wire/rdma.h"

struct error;
struct lane_view;
struct lanes;
struct outbox;
struct rdma_sink;
struct rdma_source;

struct rdma_view {
	unsigned open;      /* queue pairs through which pages go */
	uint64_t ended;     /* that were */
	char why[RDMA_WHY]; /* there is none, as far as one has failed */
	bool possible;      /* a card here does RDMA */
};

/* --- the side that dials */

struct rdma_source_options {
	const char *peer; /* in sentences; outlives it, as do these: */
	struct lanes *lanes;
	struct outbox *out;
	/* May pages leave by RDMA over this lane's cards?  False with a
	 * sentence in @why. */
	bool (*may)(void *context, const struct lane_view *v,
		    char why[static RDMA_WHY]);
	/* rdma_source_tend() has something to do. */
	void (*news)(void *context);
	void *context;
};

int rdma_source_new(struct rdma_source **ret,
		    const struct rdma_source_options *o, struct error *e);
const struct lane_aside *rdma_source_aside(struct rdma_source *s);
/* The peer can, and the session has its number: it is asked from now on. */
void rdma_source_begin(struct rdma_source *s, uint64_t session);
/* What has to be done next, of all queue pairs.  The supervisor's. */
void rdma_source_tend(struct rdma_source *s);
void rdma_source_view(struct rdma_source *s, struct rdma_view *ret);
/* Nothing is written any more. */
void rdma_source_end(struct rdma_source *s);
/* After that: its threads.  NULL is fine. */
void rdma_source_free(struct rdma_source *s);

/* --- the side that accepts */

struct rdma_sink_options {
	const char *peer;
	struct lanes *lanes;
	uint64_t session;
	/* Why this host takes no RDMA from the peer at its address @at; false:
	 * it does. */
	bool (*refuses)(void *context, const struct nic_address *at,
			char why[static RDMA_WHY]);
	void *context;
};

int rdma_sink_new(struct rdma_sink **ret, const struct rdma_sink_options *o,
		  struct error *e);
const struct lane_aside *rdma_sink_aside(struct rdma_sink *s);
/* The supervisor's: a queue pair ends with the lanes of its address. */
void rdma_sink_tend(struct rdma_sink *s);
void rdma_sink_end(struct rdma_sink *s);
void rdma_sink_free(struct rdma_sink *s); /* NULL is fine */
