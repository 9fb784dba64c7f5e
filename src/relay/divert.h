/* SPDX-License-Identifier: MIT */

/*
 * The source's reader of one connection: QEMU's bytes become PAGES and STREAM
 * frames in the outbox.
 *
 *   socket ─read─► buffer ─split─┬─ page: named by the open batch, not copied,
 *                                │        or what is shorter (history.h)
 *                                └─ the rest: copied behind the open stream
 *
 * A batch is sealed when it has 64 pages, when its block changes, when QEMU
 * has nothing more to say for a moment, and always before stream bytes that
 * came after its pages leave.  So a STREAM frame's number is higher than those
 * of all pages before it.
 *
 * The copies of a page on this host are two: socket to buffer, buffer to
 * socket.  A buffer is free again when the last frame that names it has been
 * acknowledged; that, and the outbox, hold QEMU back.
 *
 * To find out what is shorter costs processor time, which nobody misses while
 * the link is what holds this thread back.  So new pages are remembered only in
 * time that it has lately spent waiting: on a free link the pages pass as if
 * there were no history.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/words.h"
#include "pages/history.h"
#include "pages/track.h"
#include "qemu/split.h"
#include "relay/batch.h"
#include "relay/pace.h"
#include "relay/proofs.h"
#include "wire/frame.h"

struct error;
struct outbox;

/* A RAM block that the destination can place pages in. */
struct relay_block {
	char name[SPLIT_NAME_MAX + 1];
	uint64_t len_bytes;
	bool asks_proof; /* before the first (proofs.h) */
};

struct relay_blocks {
	struct relay_block *at; /* on the heap */
	unsigned n;
	struct words left_out; /* why others cannot be: "ram1: ..." */
};

struct divert {
	/* set before it runs */
	struct outbox *out;
	uint16_t stream;               /* number of the connection */
	bool (*alone)(void *context);  /* no other connection exists */
	void (*ending)(void *context); /* the guest has stopped; or NULL */
	/* The destination's QEMU must have taken (taken.h) what came before the
	 * first page and before the end, in turns; what QEMU has in its socket
	 * then is little. */
	bool waits;
	/* Bytes of the stream that leave; or NULL. */
	void (*sent)(void *context, const uint8_t *data, size_t len);
	/* QEMU has closed its connection: negative when it was too early; or
	 * NULL. */
	int (*closed)(void *context, struct error *e);
	void *context;

	struct proofs proofs;

	/* owned by the reading thread */
	struct pool *pool;
	struct buffer *buffer; /* being filled and fed */
	struct splitter *splitter;
	struct track track;
	struct history *history; /* NULL: every page travels as it is */
	int64_t slack_us;        /* waited and not yet spent on it */
	uint64_t waited_us;      /* of the outbox, when it was last asked */
	struct pace pace;
	struct batch batch;
	struct batch_page page; /* being described */
	uint8_t *stream_data;   /* the stream bytes being gathered */
	size_t stream_len;
	uint64_t stream_offset; /* of the first of them */
	uint64_t stream_seq;    /* frame of the last that left */
	int fd;                 /* QEMU's */
	bool end_waited;        /* before its first END */
	bool unproved[SPLIT_BLOCKS_MAX];

	/* counters */
	atomic_uint_fast64_t made[RUN_KINDS]; /* pages */
	atomic_uint_fast64_t delta_bytes, kept_pages, stream_bytes;
	atomic_uint_fast64_t ram_bytes, read_bytes;
	atomic_uint_fast64_t spared_pages; /* that the destination had kept */
	atomic_bool opaque, ram_done;
	/* clock_us() when all of RAM, and the last so far, was read; 0 before
	 */
	atomic_uint_fast64_t ram_us, last_us;
};

int divert_init(struct divert *d, struct outbox *out, uint16_t stream,
		const struct relay_block *blocks, unsigned n, struct error *e);
/* Blocks that were not known then; before it runs. */
int divert_add_blocks(struct divert *d, const struct relay_block *blocks,
		      unsigned n, struct error *e);
/* Pages are compared with earlier versions, with a cache of @size, as far as
 * there is memory for it.  Before it runs, after divert_init(). */
void divert_set_repeats(struct divert *d, const struct history_size *size,
			const struct relay_block *blocks, unsigned n);
/* What the destination has of them before the first; after that. */
void divert_set_known(struct divert *d, const struct history_known *known);
/* After divert_run() has returned and the outbox, whose frames name the
 * buffers, is gone. */
void divert_done(struct divert *d);

/* Reads @fd to its end.  0 at the end of the stream, everything before it is
 * in the outbox then; negative when the stream or the session broke. */
int divert_run(struct divert *d, int fd, struct error *e);

/* Makes divert_run() return when it waits for a buffer; any thread. */
void divert_stop(struct divert *d);

/* Records of pages so far, diverted or not. */
uint64_t divert_pages(const struct divert *d);
/* Everything was sent at least once: QEMU is in its second pass or later. */
bool divert_first_pass_done(const struct divert *d);
