/* SPDX-License-Identifier: MIT */

/*
 * One disk on its way to another host: the socket that its QEMU mirrors into.
 *
 *     QEMU ──► reader ──► outbox ══► the other host applies it
 *          ◄── answers ◄── acknowledged ◄══
 *
 * The reader takes one request after the other, makes frames of it and leaves
 * it in flight (disks/flight.h); when the frames have been acknowledged the
 * other thread answers.  A request whose place is in flight waits, and all
 * behind it.
 *
 * One client at a time.  When it has gone, what it left in flight still
 * arrives, unanswered, before the next one is listened to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "relay/endpoint.h"

struct disk_server;
struct error;
struct session;

struct disk_server_options {
	struct session *session; /* outlives the server */
	unsigned disk;           /* its number in the session */
	const char *name;        /* of the export; outlives the server */
	uint64_t size;
	const char *path; /* of the socket, which is made */
	struct endpoint_owner owner;
};

int disk_server_new(struct disk_server **ret,
		    const struct disk_server_options *o, struct error *e);
/* @rests: nothing arrives.  A client that waits for an answer is let go, and so
 * is one that asks for something; none is taken.  A connection in which nothing
 * is asked stays. */
void disk_server_rest(struct disk_server *s, bool rests);
/* Ends the connection and joins the threads.  NULL and a second call are fine.
 */
void disk_server_stop(struct disk_server *s);
/* After session_free() too: frames name its buffers. */
void disk_server_free(struct disk_server *s);

struct disk_server_stats {
	uint64_t data_bytes; /* that left as they were written */
	uint64_t zero_bytes; /* of which only that was said */
	uint64_t flushes;
	uint64_t waits; /* requests for a place that was in flight */
	unsigned in_flight;
	bool connected;
	char why[160]; /* the last connection ended; "": as it should */
};

void disk_server_stats(struct disk_server *s, struct disk_server_stats *ret);
