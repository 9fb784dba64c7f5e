/* SPDX-License-Identifier: MIT */

/*
 * The arbiter: a thread that shares this host's cards out among its moves, ten
 * times a second while there are any: docs/shares.md.  It measures, has
 * shares.h decide, and tells the lanes how fast they may be.
 *
 * service.c alone calls this.
 */
#pragma once

struct arbiter;
struct error;
struct host;

struct arbiter *arbiter_new(struct host *h); /* NULL: no memory */
void arbiter_free(struct arbiter *a);        /* NULL is fine */
/* Until @h's stop_fd is readable. */
int arbiter_start(struct arbiter *a, struct error *e);
void arbiter_stop(struct arbiter *a); /* waits; only after arbiter_start() */
