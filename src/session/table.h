/* SPDX-License-Identifier: MIT */

/*
 * The sessions that others have opened with this host.
 *
 * Its lock is the first of all: whoever holds it may use any session in it,
 * which cannot be freed meanwhile.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct error;
struct identity;
struct lanes;
struct nic_address;
struct path_set;
struct session;

/* Embedded in a session; set before it is added. */
struct table_entry {
	struct session *session;
	const struct identity *who;
	struct lanes *lanes;
	struct path_set *paths;

	struct session_table *table; /* NULL: it is in none */
	bool kept; /* it has a place that is kept; set when it is added */
	struct table_entry *next; /* guarded by the table */
};

struct session_table {
	pthread_mutex_t lock;
	struct table_entry *first;
};

struct session_table *session_table_new(void);
void session_table_free(struct session_table *t); /* must be empty */

struct table_limits {
	unsigned most;         /* open at once, */
	unsigned most_of_host; /* those of one host; */
	/* and the places of each host that are kept for when there are so
	 * many, for sessions that end a doubt. */
	unsigned kept_of_host;
};

/* -EBUSY when there are so many already: in all, or of the same host. */
int table_add(struct session_table *t, struct table_entry *s,
	      const struct table_limits *l, struct error *e);
void table_remove(struct table_entry *s); /* may be in none */

/* Whether the peer of an open session has named a card with that address. */
bool session_table_knows(struct session_table *t, const struct nic_address *a);

/* Channels of all sessions with @peer.  The lock is held. */
unsigned table_channels(const struct session_table *t, const char *peer);
/* All that are not gone for good. */
unsigned table_channels_of(const struct table_entry *s);
