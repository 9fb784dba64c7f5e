/* SPDX-License-Identifier: MIT */

/*
 * Whether this host is drained, and what is asked of a drain: docs/drain.md.
 *
 * The part owns the record and the file that keeps it.  Any thread may call
 * everything; the lock in here is taken alone, and held while the file is
 * written, for nobody may move before that.  One thread at a time works on a
 * drain or on the way back (drain_run.c, returns.c): it alone changes machines
 * of the record, by drain_note() and drain_note_all().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "host/drain_record.h"

struct drain;
struct error;
struct host;

/* @state_directory and @host_name outlive it.  NULL: no memory. */
struct drain *drain_new(const char *state_directory, const char *host_name);
void drain_free(struct drain *d); /* NULL is fine */
/* What the last daemon left. */
int drain_restore(struct drain *d, struct error *e);
/* -EIO: what the last daemon left could not be read; so it is until something
 * is written in its place, which keeps it as drain.json.bad. */
int drain_known(struct drain *d, struct error *e);

/* Why this host takes and starts no machine; false, and empty: it does. */
bool drain_closed(struct drain *d, char *why, size_t cap);
/* -EBUSY likewise. */
int drain_check(struct drain *d, struct error *e);

/* A copy, for drain_record_done(). */
int drain_copy(struct drain *d, struct drain_record *ret, struct error *e);

/* --- for who works on it */

/* It becomes @r, on disk and here; -EBUSY: somebody else works on one.  From
 * then on @works: until drain_ends(). */
int drain_begin(struct drain *d, const struct drain_record *r, struct error *e);
/* A machine, found by its uuid, is as @m; one that was not there is added. */
int drain_note(struct drain *d, const struct drain_machine *m, struct error *e);
/* The work has ended, in this state; DRAIN_NONE: the file goes. */
void drain_ends(struct drain *d, enum drain_state state);
/* The work ends with the daemon: the next one finds it interrupted. */
void drain_breaks(struct drain *d);
/* Somebody has asked it to end. */
bool drain_cancelled(struct drain *d);
/* Has nobody, and does the service not end within @pause_ms? */
bool drain_goes_on(struct host *h, int pause_ms);
/* Is @m at a peer, as far as this host knows?  Then it says at which. */
bool drain_has_left(const struct drain *d, struct drain_machine *m);
/* Asks for that, and waits until it has; true: somebody works on one. */
bool drain_cancel_work(struct drain *d);
