/* SPDX-License-Identifier: MIT */

/*
 * What the destination's QEMU has taken: pieces of connection 0 that are in its
 * socket are acknowledged once it has read them, and not before.
 *
 * A socket takes what nobody reads.  Were that acknowledged, a QEMU that
 * refuses, hangs or is stopped would push nobody back, because the pages do not
 * pass it: the source's would send its last byte and be done, and its guest
 * would be nowhere.
 *
 * Linux tells how much of what was sent nobody has read (SIOCOUTQ), but wakes
 * nobody: a thread asks again and again while anything is in the socket.  A
 * socket whose other end is gone looks empty, too; so its end is asked for
 * second, and what is in it then is given back only if the migration was at its
 * end.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ending;
struct error;
struct piece;
struct session;

struct taken {
	/* set before the thread starts */
	struct session *session;
	struct ending *ending;
	int fd;
	pthread_t thread;
	bool runs;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping;
	struct piece *first, *last; /* written, and not yet given back */
};

int taken_start(struct taken *t, struct session *s, struct ending *g, int fd,
		struct error *e);
/* @p was written.  Takes it over. */
void taken_put(struct taken *t, struct piece *p);
/* Nothing more is written; what is left is dropped.  Also without a start. */
void taken_stop(struct taken *t);
