/* SPDX-License-Identifier: MIT */

/*
 * The settings in force, and how others follow them
 *
 * Whoever needs some takes a reference to those of now, which never change, and
 * gives it back; a job keeps what it began with.  A reload, and `drover host
 * set`, load all files anew; only when everything in them is good does the
 * result take the place of what was.  Keys that need a restart count as they
 * were at the start until then.
 *
 * Any thread may call everything here.
 */
#pragma once

#include <pthread.h>

#include "host/settings.h"
#include "host/settings_view.h"

struct error;

struct live {
	/* set before the threads start */
	struct settings *first; /* of the start */
	struct settings_source from;

	pthread_mutex_t change; /* who reads and writes the files holds it */
	pthread_mutex_t lock;   /* never held while waiting; guards @now */
	struct settings *now;
};

/* Takes over the reference @first, which was loaded from @from; its path
 * outlives @l. */
void live_init(struct live *l, struct settings *first,
	       const struct settings_source *from);
void live_done(struct live *l);

/* A reference for the caller. */
struct settings *live_now(struct live *l);

/* The files are read again.  Negative: nothing has changed. */
int live_reload(struct live *l, struct error *e);

/* Gives @setting, "move.timeout" or "peer.beta.address", these values in the
 * file for that; none: takes it out of there.  @ret: what then counts, which
 * may be what a later file says.  Negative: nothing has changed. */
int live_set(struct live *l, const char *setting, const struct words *values,
	     struct settings_view *ret, struct error *e);

/* [peer NAME] in a file of its own, drover.d/peer-NAME.conf, with these
 * addresses, this port and tls = on; what else stands there stays.  Negative:
 * nothing has changed. */
int live_put_peer(struct live *l, const char *name,
		  const struct words *addresses, unsigned port,
		  struct error *e);
/* That file goes, if it is there. */
int live_drop_peer(struct live *l, const char *name, struct error *e);
bool live_has_peer_file(const struct live *l, const char *name);

/* All settings with where they come from. */
int live_view(struct live *l, struct settings_view *ret, struct error *e);
