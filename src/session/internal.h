/* SPDX-License-Identifier: MIT */

/* What the files of src/session share; nobody else includes it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "compress/compressor.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "nic/ports.h"
#include "nic/watch.h"
#include "session/session.h"

enum {
	HEARTBEAT_US = 200000,
	HELLO_TIMEOUT_US = 5000000,
	SILENT_US = 1000000,    /* a channel that says nothing is dead */
	LINGER_US = 3000000,    /* for the goodbyes of a session that ended */
	DAMAGED_MAX = 16,       /* frames with a wrong checksum in a session */
	PATHS_MAX = 64,         /* that one session ever tries */
	PATH_CHANNELS_MAX = 16, /* dead ones that a report shows of a path */
	/* The secret's first bytes prove who joins, the others who accepts: a
	 * host that was dialled by mistake learns only the former, and so
	 * cannot pass for the peer. */
	SECRET_JOINS = SECRET_SIZE / 2,
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
	struct path *path; /* NULL on the accepting side */
	pthread_t reader, writer;
	uint64_t connected_us;
	uint8_t *buffer; /* the reader's: one payload */
	uint8_t *pages;  /* the reader's: expanded; NULL until needed */
	struct codec_state *codecs; /* the same */
	uint64_t cards_sent;        /* the writer's: generation */

	/* guarded by the session */
	enum carrier_state state;
	bool failed;   /* one of its threads has ended */
	bool let_go;   /* because it was not needed any more */
	char why[252]; /* it ended */

	/* counters */
	atomic_uint_fast64_t bytes_sent, bytes_received;
};

/* A way to the other host, on the dialling side: a pair of cards, or the
 * addresses that the session was given.  Its thread dials whenever fewer
 * channels are there than wanted.  Paths are never removed: one that worked
 * once is tried again when nothing else is left, whatever the plan says. */
struct path {
	/* set before the thread starts */
	struct session *session;
	pthread_t thread;

	/* guarded by the session */
	bool given; /* no pair of cards is known */
	char near[IF_NAMESIZE], far[IF_NAMESIZE]; /* cards; empty when given */
	struct pair_addresses route[PAIR_ROUTES];
	unsigned routes, turn;    /* which of them is tried next */
	uint16_t port[PORTS_MAX]; /* to dial from, for the first route */
	unsigned ports;
	enum pair_use use;
	unsigned order; /* in the plan, the most preferred first */
	int rank;
	unsigned speed_mbit;
	char flows[NIC_REASON]; /* how a bond spreads them; empty: no bond */
	unsigned wanted;        /* channels */
	bool failed;            /* it did not work when last tried, and has no
				 * channel */
	bool proved;            /* it worked once: the other end is our peer */
	char why[252];          /* it failed, or is not used */
	unsigned failures;      /* since it worked, or since there was news */
	uint64_t next_us, pause_us;
	struct channel *greeting; /* its hello is awaited */

	/* of channels that are gone, guarded by the session */
	unsigned drops;
	uint64_t bytes_sent, bytes_received, retransmissions;
	json_t *channels;

	/* the keeper's */
	uint64_t peak_rate, sample_bytes, sample_us;
};

struct session {
	/* set before the threads start */
	uint64_t id;
	uint8_t secret[SECRET_SIZE];
	char own_name[64], peer[64];
	char **addresses; /* NULL on the accepting side */
	uint16_t port;
	struct nic_watch *watch; /* may be NULL */
	struct networks networks;
	struct path_policy policy; /* on the dialling side, with a watch */
	int event_fd;
	int end_fd;                    /* readable once the session has ended */
	struct session_table *table;   /* NULL on the dialling side */
	struct session *next_in_table; /* guarded by the table */
	uint64_t opened_us;
	pthread_t keeper;
	pthread_t planner; /* on the dialling side, with a watch */
	struct nic_listener listener;

	struct outbox out;
	struct inbox in;
	struct compressor *compressor; /* NULL: nothing is pressed */
	struct compressor_client client;
	_Atomic(const struct page_sink *) sink;

	pthread_mutex_t lock;   /* guards what follows */
	pthread_cond_t changed; /* keeper, planner and paths wait */
	bool ended, failed, stopping;
	char why[252];
	uint64_t ended_us;
	uint64_t outage_limit_us;
	uint64_t bytes_sent, bytes_received; /* of channels that are gone */
	unsigned damaged;
	struct carrier carrier[CHANNELS_MAX];
	struct path *path[PATHS_MAX];
	unsigned paths;
	unsigned refusals; /* by the peer's host, since a channel was there */
	bool cards_due;    /* ours may have changed: the keeper looks */
	bool plan_due;     /* something that the plan rests on has changed */
	bool news;         /* of cards, here or there: try failed paths now */
	bool planning;     /* one is being made */
	bool planned;      /* once at least */
	char *cards_text;  /* ours, as JSON */
	struct cards *far_cards; /* the peer's; NULL: not heard of */
	uint64_t far_generation;
	json_t *spares; /* of the plan: pairs that are no path, */
	json_t *idle;   /* and cards that are in no pair */

	atomic_uint_fast64_t cards_generation; /* of cards_text; 0: none */

	atomic_uint abilities;         /* the peer's: bits of enum ability */
	atomic_bool introduced;        /* the first message has left */
	atomic_bool over;              /* as ended, for the readers */
	atomic_uint_fast64_t heard_us; /* last sign of life of the peer */
	atomic_uint_fast64_t placed, busy_us; /* as in struct ack */
};

/* session.c */
int session_new(struct session **ret, const char *own_name, const char *peer,
		uint64_t outage_limit_us, struct error *e);
void session_destroy(struct session *s); /* no thread runs any more */
void session_notify(struct session *s);
uint64_t session_silent_us(struct session *s); /* since the last sign of life */

/* carrier.c: takes @c over */
int carrier_start(struct session *s, struct channel *c, struct path *p,
		  struct error *e);
/* Joins dying carriers and frees their slots; the session's lock is held and
 * is let go of meanwhile. */
void carriers_reap(struct session *s);
unsigned carriers_alive(const struct session *s);
unsigned carriers_of(const struct session *s, const struct path *p);
bool carriers_dying(const struct session *s, const struct path *p);
/* Makes every thread of every carrier return. */
void carriers_shutdown(struct session *s);
/* Ends one: its frames leave over the others.  The lock is held. */
void carrier_drop(struct carrier *c, const char *why);
json_t *carrier_json(const struct carrier *c);

/* join.c: the keeper, and the accepting side */
int keeper_start(struct session *s, struct error *e);
void keeper_join(struct session *s); /* the session has ended */
void table_remove(struct session *s);
int hello_send(struct channel *c, const struct hello *h, struct error *e);
int hello_receive(struct channel *c, struct hello *ret, struct error *e);
struct hello hello_of(enum hello_kind kind, const char *text);

/* dial.c */
int path_start(struct session *s, struct path *p, struct error *e);
void paths_shutdown(struct session *s); /* what is being greeted; locked */
void paths_join(struct session *s);     /* the session has ended */
/* Its thread tries again at once; the lock is held. */
void path_retry(struct path *p);
/* It waits, twice as long as the last time; the lock is held. */
void path_pause(struct path *p);

/* paths.c */
struct path *path_new(struct session *s); /* locked; NULL: too many */
void *planner_main(void *session);
void paths_free(struct session *s);

/* account.c */
void path_lost(struct carrier *c);     /* its channel has ended; locked */
void paths_measure(struct session *s); /* of the keeper; locked */
void paths_remember(struct session *s);
json_t *path_json(const struct session *s, const struct path *p); /* locked */

/* cards.c */
void cards_refresh(struct session *s); /* not locked; of the keeper */
int cards_send_text(struct session *s, uint64_t *ret_generation, char **ret,
		    struct error *e);
int cards_received(struct session *s, uint64_t generation, const void *text,
		   size_t len, struct error *e);
