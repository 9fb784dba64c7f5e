/* SPDX-License-Identifier: MIT */

/* One lane, and the set that it is in: for the two threads of a lane
 * (reader.c, writer.c) and for lanes.c. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel/channel.h"
#include "frames/queue.h"
#include "lanes/calls.h"

struct codec_state;
struct error;
struct inbox;

enum {
	SILENT_US = 1000000, /* a channel that says nothing is dead */
};

enum lane_state {
	LANE_FREE,
	LANE_STARTING, /* one of its threads may not exist yet */
	LANE_ALIVE,
	LANE_DYING, /* its threads end */
	LANE_ENDED, /* nothing of it runs */
};

struct lane {
	/* set before the threads start */
	struct lanes *lanes;
	unsigned slot;
	uint64_t number;
	unsigned owner;
	struct channel *channel;
	pthread_t reader, writer;
	uint64_t connected_us;

	/* the reader's */
	uint8_t *buffer; /* one payload */
	uint8_t *pages;  /* expanded; NULL until needed */
	struct codec_state *codecs;

	/* the writer's */
	uint64_t announced[LANES_ANNOUNCE]; /* generations */

	/* guarded by the set */
	enum lane_state state;
	bool failed;   /* one of its threads has ended */
	bool let_go;   /* because it was not needed any more */
	char why[252]; /* it ended */
	uint64_t pace; /* bytes a second; CHANNEL_FREE: any */
	struct channel_marks marks;
	char congestion[CONGESTION_NAME]; /* it was asked for */

	/* counters */
	atomic_uint_fast64_t sent, received;
	atomic_uint_fast64_t aside; /* of pages, either way, besides these */
};

struct lanes {
	/* set before the first lane */
	uint64_t session;
	const char *peer;
	struct outbox *out;
	struct inbox *in;
	struct lane_calls calls;
	const struct lane_aside *aside; /* NULL: there is none */

	pthread_mutex_t lock; /* guards what follows */
	struct lane lane[CHANNELS_MAX];
	uint64_t numbers; /* that were given */
	uint64_t sent_gone, received_gone,
		aside_gone; /* by lanes that are buried */
	unsigned damaged;
	char *announcement[LANES_ANNOUNCE];
	bool closed_failed; /* as the session ended */
	char closed_why[252];

	/* Generations; 0: nothing yet. */
	atomic_uint_fast64_t announced[LANES_ANNOUNCE];
	atomic_bool closed;            /* changes with the lock */
	atomic_uint_fast64_t heard_us; /* last sign of life of the peer */
	_Atomic(const struct page_sink *) sink;
	_Atomic(const struct block_sink *) blocks;
	atomic_uint_fast64_t placed, busy_us; /* as in struct ack */
};

/* One of its threads has come to its end. */
void lane_fail(struct lane *c, const struct error *e);
/* The same for another reason, of one that is alive. */
void lane_drop(struct lane *c, uint64_t number, bool let_go, const char *why);
