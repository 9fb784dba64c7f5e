/* SPDX-License-Identifier: MIT */

/* What paths ask of their session. */
#pragma once

#include <errno.h>

struct channel;
struct error;

enum {
	/* What the peer's droverd said itself, as an error of greet(): no
	 * system call says it, while ECONNABORTED may be our own kernel's. */
	PATH_REFUSED_THERE = EBADE,
};

/* All are called without a lock of the paths. */
struct path_calls {
	/* Says hello on a new connection, by the thread that dialled: 0 when
	 * the peer, and nobody else, is at the other end.  @c may become
	 * another one, which stands on it. */
	int (*greet)(void *context, struct channel **c, struct error *e);
	/* The session cannot go on.  By a dialler. */
	void (*fail)(void *context, const char *why);
	/* paths_tend() has something to do.  By the watch of cards. */
	void (*news)(void *context);
	void *context;
};
