/* SPDX-License-Identifier: MIT */

/*
 * Disks that come to this host, each list of them by a session of its own and
 * for one move (docs/disks.md).
 *
 * A copy has two owners: the thread of its session, and the move that brings
 * the machine, once that has come.  Who lets go last removes the files, unless
 * the machine is here.
 *
 * Any thread may call.
 */
#pragma once

#include <stdbool.h>

struct copies;
struct copy;
struct error;
struct host;
struct message;
struct session;

struct copies *copies_new(void);      /* NULL: no memory */
void copies_free(struct copies *all); /* none is left; NULL is fine */

/* Answers "disks", takes what follows, until the session ends, which it frees.
 */
void copies_serve(struct host *h, struct session *s,
		  const struct message *request);

/* That of the move @job of @peer, for the move; NULL: there is none. */
struct copy *copies_claim(struct copies *all, const char *job,
			  const char *peer);
/* @here: the machine is, and the files are its disks.  NULL is fine. */
void copies_drop(struct copies *all, struct copy *c, bool here);

/* Does the move @job bring the disk at @path? */
bool copies_have(struct copies *all, const char *job, const char *path);
/* Of that move nothing is written any more, and all is durable.  0 where it
 * brings none. */
int copies_seal(struct copies *all, const char *job, struct error *e);
