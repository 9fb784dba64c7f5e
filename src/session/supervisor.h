/* SPDX-License-Identifier: MIT */

/*
 * The supervisor: a thread of each session, on both sides.
 *
 * It alone takes the event "ended" of lanes: joins their threads, so that their
 * frames leave over the others, and accounts for them.  It tells the peer when
 * the cards here have changed, and ends the session when the peer was silent
 * for longer than the outage limit.  A peer that goes on talking to a session
 * that ended is cut off after LINGER_US.
 *
 * It holds no lock while it does any of this.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

struct error;
struct lanes;
struct life;
struct path_set;

struct supervisor {
	const char *peer;
	struct life *life;
	struct lanes *lanes;
	struct path_set *paths;
	/* Ends the session. */
	void (*fail)(void *context, const char *why);
	/* What else is to be looked at from time to time. */
	void (*tend)(void *context);
	void *context;
	pthread_t thread;
};

int supervisor_start(struct supervisor *s, struct error *e);
/* Joins it: no lane is left. */
void supervisor_stop(struct supervisor *s);
/* What the thread would do until then, by the calling one: for when there is no
 * thread, and the session has ended. */
void supervisor_finish(struct supervisor *s);

/* Since the last sign of life of the peer. */
uint64_t supervisor_silent_us(struct lanes *lanes);
