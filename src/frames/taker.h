/* SPDX-License-Identifier: MIT */

/*
 * Who takes frames of pages that wait in an outbox and gives them back with a
 * shorter payload: the compressor.  The outbox knows nothing of it but these
 * two calls; the compressor knows nothing of an outbox but what is here, its
 * statistics, and how a frame looks (queue.h).
 *
 *     outbox ──kick: one waits──► taker ──take──► a worker reads it ──done──►
 * outbox
 *
 * A frame that was taken stays in its outbox, where a channel may take it as it
 * is; then what the worker made of it is dropped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct frame_out;
struct outbox;

/* Called by any thread, with the outbox's lock and maybe others: neither takes
 * a lock or waits.  The taker outlives the outbox. */
struct taker {
	bool (*wants)(struct taker *t); /* somebody is without a frame */
	void (*kick)(struct taker *t);  /* there may be one */
};

/* Frames of pages wait for workers from now on, @ahead of them besides what
 * the channels hold; @always: channels take nothing that is not ready. */
void outbox_set_taker(struct outbox *o, struct taker *t, unsigned ahead,
		      bool always);
/* The frame for a worker (pick.h), which is busy from now on; NULL. */
struct frame_out *outbox_taker_take(struct outbox *o);
/* The taker wants to hear of none until then. */
void outbox_taker_rest(struct outbox *o, uint64_t until_us);
/* Ends it.  @b holds the payload of @len bytes that the frame has instead from
 * now on; NULL: it leaves as it is.  Takes @b over.  Nothing happens to a frame
 * that a channel took meanwhile. */
void outbox_taker_done(struct outbox *o, struct frame_out *f, struct buffer *b,
		       size_t len);
