/* SPDX-License-Identifier: MIT */

/*
 * The inbox: what has arrived, each frame once, and in which order it may be
 * used.
 *
 * A channel's thread receives a whole frame, verifies it, then claims its
 * number; whoever comes second with the same number drops his copy.  A frame
 * goes through up to three marks:
 *
 *   CLAIMED  somebody works on it
 *   PASSED   nothing with a higher number has to wait for it: a PAGES frame
 *            whose pages stand in memory, a STREAM or MESSAGE frame that is
 *            kept here in its order
 *   APPLIED  acknowledged: PAGES as above, STREAM when its bytes have been
 *            written to their socket, or read from it, MESSAGE when it is kept
 *            here
 *
 * A piece of a stream may be written when every frame with a lower number has
 * PASSED and the pieces before it in the same stream have been written.  So
 * device state never overtakes a page, and a stream that nobody reads holds up
 * no other stream.
 *
 * Threads: any number of channel threads; one reader per stream; anyone for
 * messages.  One lock guards everything.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"

struct error;

enum {
	/* Bytes of all streams that may wait here, and messages likewise.  The
	 * sender stays far below; more is a hostile or broken peer. */
	INBOX_STREAM_BYTES = 64 * 1024 * 1024,
	/* Written bytes after which the sender hears of it at the latest. */
	INBOX_ACK_BYTES = 256 * 1024,
	INBOX_MESSAGE_BYTES = 4 * 1024 * 1024,
	INBOX_MESSAGES = 4096, /* as many: empty ones cost memory too */
};

/* Bytes of one stream, or one message (then stream and flags mean nothing). */
struct piece {
	struct piece *next;
	uint64_t seq, offset;
	uint16_t stream;
	uint8_t flags;
	uint32_t len;
	uint8_t data[];
};

struct stream_in {
	struct piece *pieces; /* in the order of their offsets */
	uint64_t next_offset; /* of the next piece to hand out */
	bool known;
};

struct inbox_stats {
	uint64_t frames, duplicates, stream_bytes;
};

struct inbox {
	pthread_mutex_t lock;
	/* A stream became known, a piece of one can be read, or closed. */
	pthread_cond_t changed;
	bool closed;
	uint64_t below;   /* lowest number not APPLIED */
	uint64_t passed;  /* lowest number not PASSED */
	uint64_t highest; /* highest number seen */
	uint8_t mark[FRAME_WINDOW];
	struct stream_in stream[STREAMS_MAX];
	unsigned announced; /* streams that inbox_next_stream() has named */
	unsigned pieces;    /* of streams, that nobody has read */
	uint64_t waiting_bytes;
	uint64_t unacked_bytes; /* written since an ack was last called due */
	struct piece *messages; /* in the order of their ordinals */
	uint64_t next_message;
	uint64_t message_bytes;
	unsigned messages_waiting;
	struct inbox_stats stats;
};

void inbox_init(struct inbox *in);
void inbox_done(struct inbox *in);
void inbox_close(struct inbox *in); /* everybody who waits returns */

/* 1: the caller has the frame now and ends with one of the calls below;
 * 0: a copy of one that came before; -EBADMSG outside of the window. */
int inbox_claim(struct inbox *in, uint64_t seq, struct error *e);

void inbox_pages_applied(struct inbox *in, uint64_t seq);
int inbox_keep_stream(struct inbox *in, const struct frame_head *h,
		      const void *data, struct error *e);
int inbox_keep_message(struct inbox *in, const struct frame_head *h,
		       const void *data, struct error *e);

/* Number of the next stream that nobody has been told of; waits for it.  They
 * are named in the order of their numbers, in which the connections were made
 * at the source, whichever of them speaks first: QEMU's destination takes its
 * first connection for the main one.  -EPIPE once the inbox is closed. */
int inbox_next_stream(struct inbox *in);

/* The next piece of @stream; waits.  NULL once the inbox is closed.  The
 * caller writes it out and gives it back with inbox_written().  That says
 * whether the other side should hear of it now, because it is much or because
 * nothing more can be written at the moment: the lane that read the frame
 * may be silent by now. */
struct piece *inbox_read(struct inbox *in, uint16_t stream);
/* The same with an end: -ETIMEDOUT, -EPIPE once the inbox is closed. */
int inbox_read_until(struct inbox *in, uint16_t stream, uint64_t deadline_us,
		     struct piece **ret);
bool inbox_written(struct inbox *in, struct piece *p);

/* The next message or NULL; never waits.  free() it. */
struct piece *inbox_message(struct inbox *in);

void inbox_ack(struct inbox *in, struct ack *ret);
void inbox_stats(struct inbox *in, struct inbox_stats *ret);
