/* SPDX-License-Identifier: MIT */

/* What session.c, carrier.c and join.c share; nobody else includes it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "session/inbox.h"
#include "session/outbox.h"
#include "session/session.h"

enum {
	HEARTBEAT_US = 200000,
	SILENT_US = 1500000, /* a channel that says nothing is dead */
	LINGER_US = 3000000, /* for the goodbyes of a session that ended */
	DAMAGED_MAX = 16,    /* frames with a wrong checksum in a session */
	PATHS_MAX = 128,     /* channels that a report remembers */
};

enum carrier_state {
	CARRIER_FREE,
	CARRIER_STARTING, /* one of its threads may not exist yet */
	CARRIER_ALIVE,
	CARRIER_DYING, /* its threads end; the keeper joins them */
};

/* One channel and its two threads. */
struct carrier {
	/* set before the threads start */
	struct session *session;
	unsigned index;
	struct channel *channel;
	pthread_t reader, writer;
	uint64_t connected_us;
	uint8_t *buffer; /* the reader's: one payload */

	/* guarded by the session */
	enum carrier_state state;
	bool failed;   /* one of its threads has ended */
	char why[252]; /* it ended */

	/* counters */
	atomic_uint_fast64_t bytes_sent, bytes_received;
};

struct session {
	/* set before the threads start */
	uint64_t id;
	uint8_t secret[SECRET_SIZE];
	char own_name[64], peer[64];
	char **addresses; /* NULL on the accepting side */
	uint16_t port;
	unsigned wanted;
	int event_fd;
	struct session_table *table;   /* NULL on the dialling side */
	struct session *next_in_table; /* guarded by the table */
	int end_fd;                    /* readable once the session has ended */
	pthread_t keeper;
	pthread_t dialler; /* on the dialling side */

	struct outbox out;
	struct inbox in;
	_Atomic(const struct page_sink *) sink;

	pthread_mutex_t lock;   /* guards what follows */
	pthread_cond_t changed; /* the keeper waits */
	bool ended, failed, stopping;
	char why[252];
	uint64_t ended_us;
	uint64_t outage_limit_us;
	uint64_t bytes_sent, bytes_received; /* of channels that are gone */
	unsigned damaged;
	struct carrier carrier[CHANNELS_MAX];
	json_t *paths;            /* of channels that are gone */
	struct channel *greeting; /* the dialler waits for its hello */

	atomic_uint_fast64_t heard_us; /* last sign of life of the peer */
};

/* session.c */
int session_new(struct session **ret, const char *own_name, const char *peer,
		uint64_t outage_limit_us, struct error *e);
void session_destroy(struct session *s); /* no thread runs any more */
void session_notify(struct session *s);
uint64_t session_silent_us(struct session *s); /* since the last sign of life */

/* carrier.c: takes @c over */
int carrier_start(struct session *s, struct channel *c, struct error *e);
/* Joins dying carriers and frees their slots; the session's lock is held and
 * is let go of meanwhile. */
void carriers_reap(struct session *s);
unsigned carriers_alive(const struct session *s);
bool carriers_full(const struct session *s);
/* Makes every thread of every carrier return. */
void carriers_shutdown(struct session *s);
json_t *carrier_json(struct carrier *c);

/* join.c */
int keeper_start(struct session *s, struct error *e);
void keeper_join(struct session *s); /* the session has ended */
void table_remove(struct session *s);
