/* SPDX-License-Identifier: MIT */

/*
 * Who did what: each call of the control API that changes something, once it
 * has been answered.
 *
 * A record goes two ways.  To the log, where the journal keeps it with a field
 * for each part; and to the file calls.log in the state directory, a line of
 * JSON each, which `drover log` reads on any host, with systemd or without, and
 * whoever may read the journal.  At CALLS_FILE_MAX the file becomes
 * calls.log.before, in whose place it comes: so much twice at most, and never
 * less than the last CALLS_FILE_MAX.  It is not synced: a loss of power may
 * take the last seconds, the end of droverd takes nothing.
 *
 * A call by somebody who may only look is refused and goes to the log alone:
 * in the file he could push out what others did.
 *
 * Any thread may call.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "control/caller.h"

struct calls;
struct error;

enum {
	CALLS_FILE_MAX = 512 << 10,
	CALLS_LAST = 100,      /* that are shown unless asked otherwise */
	CALLS_LAST_MAX = 1000, /* that are ever shown */
};

struct call_record {
	uint64_t time_us; /* of the answer, since 1970 */
	unsigned uid, status;
	int pid;
	struct caller_names by;
	char action[32];   /* "vm stop" */
	char name[64];     /* "web1"; "": it has none */
	char details[256]; /* "host=beta" */
	char error[256];   /* why it was not done, or "" */
};

struct call_records {
	struct call_record *at; /* the oldest first */
	size_t count;
};

extern const struct shape call_records_shape;

/* @folder is there, or will be; it stays the caller's. */
struct calls *calls_new(const char *folder);
void calls_free(struct calls *c); /* NULL is fine */

/* Adds "NAME=TEXT" to the details; NULL is fine, and adds nothing. */
void calls_add(struct call_record *r, const char *name, const char *text);

/* Completes @r with the time and who it was.  @c: NULL, for the log alone. */
void calls_note(struct calls *c, struct call_record *r,
		const struct caller *by);

/* The last @most. */
int calls_read(struct calls *c, struct call_records *ret, size_t most,
	       struct error *e);
void call_records_done(struct call_records *r);
