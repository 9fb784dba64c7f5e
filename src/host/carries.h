/* SPDX-License-Identifier: MIT */

/*
 * A relay's destination hears nothing of its source: does that still carry it?
 *
 * A source that was cancelled while no path worked, or whose daemon was killed,
 * cannot say goodbye.  So while a session is silent, a thread here opens
 * another one to the source's host and asks; the session ends when the answer
 * is no, or nobody listens there any more.  While that host cannot be reached,
 * nobody can tell that from an outage: the outage limit counts.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "host/terms.h"
#include "move/move.h"

struct error;
struct host;
struct session;

struct carries {
	/* set before the thread starts */
	struct host *host;
	struct session *session; /* with the source */
	const char *name;        /* of the relay */
	struct terms terms;
	struct move_peer peer;
	int stop_fd;
	pthread_t thread;
};

/* -EOPNOTSUPP when the source is too old to be asked, or is no peer here. */
int carries_start(struct carries *c, struct host *h, struct session *s,
		  const char *name, struct error *e);
void carries_stop(struct carries *c); /* after a start that failed, too */

/* To a peer's "carries". */
bool carries_answer(struct host *h, const char *peer, const char *name);
