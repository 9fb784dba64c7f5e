/* SPDX-License-Identifier: MIT */

/*
 * The keeper: a thread that keeps this host's certificate and its list of hosts
 * as they should be.
 *
 * Every few minutes, and at the start, it asks the CA's host for the list (any
 * other peer where that is not heard), renews the certificate a month before
 * its end, and says so in the log where that does not work.  When the list has
 * changed here it tells all peers.
 *
 * service.c alone calls this.
 */
#pragma once

struct error;
struct host;
struct keeper;

struct keeper *keeper_new(struct host *h); /* NULL: no memory */
void keeper_free(struct keeper *k);        /* NULL is fine */
/* Until @h's stop_fd is readable. */
int keeper_start(struct keeper *k, struct error *e);
void keeper_stop(struct keeper *k); /* waits; only after keeper_start() */
