/* SPDX-License-Identifier: MIT */

/*
 * The peer port.  A thread accepts connections; each is greeted in a thread of
 * its own, because a peer may be slow or silent.  A connection that opens a
 * session keeps its thread: it answers what the peer asks for
 * (host/arrivals.h).
 *
 * All of them are counted.  Beyond their limits connections are closed at once
 * and sessions refused: whoever floods the port takes some memory and some
 * descriptors, and neither unknown hosts nor one peer can take those that are
 * left to others.
 *
 * service.c alone calls this.  The lock in here guards the list of connections.
 */
#pragma once

struct error;
struct host;
struct port;

struct port *port_new(struct host *h); /* NULL: no memory */
void port_free(struct port *p);        /* NULL is fine */
/* Opens the port, until @h's stop_fd is readable. */
int port_start(struct port *p, struct error *e);
void port_stop(struct port *p); /* waits; only after port_start() */
