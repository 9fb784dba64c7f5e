/* SPDX-License-Identifier: MIT */

/*
 * A relay carries one migration between a socket on the source and a socket on
 * the destination, over a session.  It knows nothing about who
 * manages the machines.
 *
 *     source: listens, QEMU connects     destination: connects to QEMU
 *        QEMU ──► divert ──► outbox ════► inbox ──► place / writer ──► QEMU
 *        QEMU ◄── writer ◄── inbox  ◄════ outbox ◄── reader        ◄── QEMU
 *
 * Every connection that QEMU makes on the source is a stream of its own
 * number, and one connection on the destination; the first is number 0 and the
 * only one whose pages are diverted.  Each connection has two threads, one
 * that reads its socket and one that writes it.  A connection ends with an
 * empty STREAM frame that says FIN (half of it) or RESET (all of it, at once).
 *
 * The relay has ended when connection 0 has ended both ways, or when anything
 * broke; then the descriptor of relay_event_fd() is readable.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "relay/divert.h"
#include "relay/endpoint.h"

struct error;
struct guest_memory;
struct kept;
struct relay;
struct session;

struct relay_options {
	struct session *session;

	/* source: where QEMU connects to, made by relay_new(), and by whom
	 * (endpoint.h) */
	const char *listen_path;
	struct endpoint_owner owner;
	const struct relay_blocks *blocks; /* that the destination can place */
	bool blocks_follow; /* by relay_set_blocks(), which is waited for */
	/* a cache for finding what the destination has already; NULL: every
	 * page travels as it is */
	const struct history_size *repeats;

	/* What the destination has kept of an earlier stay, or NULL; without
	 * @repeats that alone is compared. */
	const struct history_known *known;

	/* Nobody asks the QEMUs how it ended: the relay finds out (ending.h),
	 * and one that ended otherwise than well has failed. */
	bool judges;

	/* Of the session, from when the guest has stopped; 0: as before. */
	uint64_t switchover_outage_us;

	/* destination: where QEMU listens, and its memory, which may be NULL */
	const char *connect_path;
	struct guest_memory *memory;
	/* What was kept of an earlier stay, or NULL; outlives the session. */
	struct kept *kept;
	/* or who finds it, by the socket of connection 0, and hands it over by
	 * relay_set_memory(); negative ends the relay.  May be NULL. */
	int (*connected)(void *context, struct relay *r, int fd,
			 struct error *e);
	void *context;
};

/* The session must outlive relay_stop(), and the memory session_free(): a
 * channel may still be writing a page. */
int relay_new(struct relay **ret, const struct relay_options *o,
	      struct error *e);

/* Ends the session, closes every connection and joins every thread.  NULL and
 * a second call are fine. */
void relay_stop(struct relay *r);
/* After relay_stop() and, because frames name its buffers, session_free(). */
void relay_free(struct relay *r);

/* Of the source: those that the destination can place, once. */
int relay_set_blocks(struct relay *r, const struct relay_blocks *blocks,
		     struct error *e);
/* Of the destination, before the source knows its blocks. */
void relay_set_memory(struct relay *r, struct guest_memory *memory);

int relay_event_fd(const struct relay *r);
/* 0: it goes on; 1: connection 0 has ended both ways; negative: it broke. */
int relay_check(struct relay *r, struct error *e);

/* Of guest memory, diverted (source) or placed (destination). */
struct relay_pages {
	uint64_t of[RUN_KINDS];
	uint64_t delta_bytes; /* that those of RUN_DELTA took; source */
};

struct relay_stats {
	uint64_t ram_bytes; /* of all blocks; source, once known */
	struct relay_pages pages;
	uint64_t kept_pages; /* left in the stream */
	/* Not sent, since the destination had kept them from an earlier stay;
	 * at the destination, taken from there. */
	uint64_t spared_pages;
	uint64_t stream_bytes;
	uint64_t read_bytes; /* from QEMU */
	bool connected;      /* QEMU's connection 0 is there, or about to be */
	bool opaque;         /* the splitter gave up; why below */
	bool ram_done;
	char why_opaque[80];
	/* Why pages of a block could not be placed; "": they could. */
	char why_kept[240];
	/* clock_us() when QEMU had sent all of RAM, when that had landed, and
	 * when QEMU last sent anything behind it; source, 0: not yet */
	uint64_t ram_us, landed_us, last_us;
};

void relay_stats(struct relay *r, struct relay_stats *ret);
/* Of all kinds. */
uint64_t relay_pages_sum(const struct relay_pages *p);
