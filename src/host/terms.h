/* SPDX-License-Identifier: MIT */

/*
 * What a job, or a question to a peer, works with from its beginning to its
 * end: the settings in force when it began, and the peer as they describe it.
 *
 * Any thread may call; no lock is held when a function returns.
 */
#pragma once

#include "base/scope.h"
#include "host/settings.h"
#include "move/move.h"

struct error;
struct host;

struct terms {
	struct settings *settings; /* a reference */
	struct move_host host;     /* points into them */
};

struct terms terms_of(struct host *h);

static inline void terms_done(struct terms *t)
{
	settings_drop(t->settings);
	t->settings = NULL;
}
#define AUTO_TERMS SCOPED(terms_done)

/* The peer of this name as a move takes it; points into @t.  -ENOENT; -EACCES
 * where it was removed, whatever its section says. */
int peer_of(const struct terms *t, const char *name, struct move_peer *ret,
	    struct error *e);
/* What a peer was asked has failed: it refuses, does not answer in time, or
 * -EHOSTUNREACH. */
int peer_failed(struct error *e);
