/* SPDX-License-Identifier: MIT */

/*
 * The places for connections that come in: each is a thread.  There are so many
 * for those from addresses of peers, of which one peer cannot have all, and so
 * many for all others.
 *
 * Who does not say who it is cannot keep others out: where no place is left,
 * the connection that has been greeted longest gives its own up, so that a peer
 * with its few round trips is faster than who waits.  That is done so many
 * times a second only, since a new thread costs more than a connection that is
 * closed at once.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct channel;

enum {
	PLACES_UNKNOWN = 32,
	PLACES_KNOWN = 96,
	/* Of one peer; and those that it may have whatever the others do. */
	PLACES_PEER = 80,
	PLACES_PEER_KEPT = 8,
	PLACES_GIVEN_UP_US = 10000, /* apart */
};

/* One connection's; lives in whatever its thread has. */
struct place {
	struct channel *channel;
	/* Whose address it comes from; NULL: nobody's, or a peer's card's. */
	const char *peer;
	bool known;
	bool given_up; /* for another one; to be read after places_greeted() */

	/* guarded by the lock */
	bool greeted; /* it has said who it is */
	struct place *next;
};

struct places {
	pthread_mutex_t lock; /* guards what follows */
	struct place *first;  /* came first */
	uint64_t given_up_us; /* when a place was given up last */
};

void places_init(struct places *p);
void places_done(struct places *p);

/* @one says its channel, peer and whether it is known.  False: there is no
 * place, and the channel is to be closed.  The channel must live until
 * places_greeted(): it may be shut down before.  @now_us: clock_us(). */
bool places_take(struct places *p, struct place *one, uint64_t now_us);

/* The connection has said who it is, or is about to be closed: from now on it
 * keeps its place.  More than once is fine. */
void places_greeted(struct places *p, struct place *one);

/* Its thread ends. */
void places_leave(struct places *p, struct place *one);
