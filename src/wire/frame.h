/* SPDX-License-Identifier: MIT */

/*
 * Frames: what travels on a channel after the hello.  Specified in
 * docs/wire.md; every parser here checks all of its input against the limits
 * below before anything is used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct error;

enum {
	WIRE_PAGE = 4096, /* bytes in a page, whatever backs it */

	FRAME_HEAD_SIZE = 40,
	BATCH_MAX_PAGES = 64, /* carried as data in one frame */
	BATCH_MAX_RUNS = 128,
	BATCH_HEAD_SIZE = 8,
	BATCH_RUN_SIZE = 16,
	BATCH_META_MAX = BATCH_HEAD_SIZE + BATCH_MAX_RUNS * BATCH_RUN_SIZE,
	FRAME_MAX_PAYLOAD = BATCH_META_MAX + BATCH_MAX_PAGES * WIRE_PAGE,
	STREAM_MAX_PAYLOAD = 128 * 1024,
	MESSAGE_MAX_PAYLOAD = 128 * 1024,
	BYE_MAX_PAYLOAD = 512,
	CARDS_MAX_PAYLOAD = 128 * 1024,
	ACK_MAX_RANGES = 62,
	ACK_MAX_PAYLOAD = 16 + ACK_MAX_RANGES * 16,

	/* Frames between the lowest unacknowledged number and the highest
	 * one sent.  A frame beyond is a protocol error. */
	FRAME_WINDOW = 4096,
	/* Bytes of STREAM payload that one stream may have unacknowledged. */
	STREAM_WINDOW = 16 * 1024 * 1024,
	STREAMS_MAX = 64, /* in one session, ever */
};

enum frame_kind {
	FRAME_PAGES = 1,
	FRAME_STREAM = 2,
	FRAME_MESSAGE = 3,
	FRAME_ACK = 4,   /* not numbered */
	FRAME_BYE = 5,   /* not numbered */
	FRAME_CARDS = 6, /* not numbered */
	FRAME_KINDS,
};

enum {
	STREAM_FIN = 1,   /* no bytes after these */
	STREAM_RESET = 2, /* the stream broke: close the connection at once */
	STREAM_OPEN = 4,  /* without bytes: QEMU has made the connection */
	BYE_FAILED = 1,   /* the session ends because something failed */
};

struct frame_head {
	enum frame_kind kind;
	uint8_t flags;
	uint16_t stream; /* STREAM: number of the connection */
	uint32_t len;    /* payload bytes */
	uint64_t seq;    /* from 1; 0 in frames that are not numbered */
	uint64_t offset; /* STREAM: of the first byte; MESSAGE: ordinal;
			  * CARDS: generation */
	uint64_t sum;    /* XXH3-64 of the payload */
};

/* @seed is the session's id: a frame that strayed in from another session
 * fails its checksum. */
void frame_head_write(const struct frame_head *h, uint64_t seed,
		      uint8_t buf[FRAME_HEAD_SIZE]);
int frame_head_read(struct frame_head *ret, const uint8_t buf[FRAME_HEAD_SIZE],
		    uint64_t seed, struct error *e);

/* Checksum of a payload that stands in pieces. */
uint64_t frame_sum(const struct iovec *iov, int n);

/* --- PAGES */

enum batch_run_kind { RUN_DATA = 0, RUN_ZERO = 1 };

struct batch_run {
	uint64_t first; /* page number inside the block */
	uint32_t count; /* pages */
	enum batch_run_kind kind;
};

enum {
	CODEC_RAW = 0,
	BATCH_CODEC_AT = 2, /* place of the codec's number in the payload */
};

struct batch_head {
	uint16_t block; /* number in the destination's block table */
	uint8_t codec;
	uint16_t runs;
	uint16_t pages; /* of all RUN_DATA runs together */
	struct batch_run run[BATCH_MAX_RUNS];
};

/* Bytes written to @buf: head and runs; the data follow in run order. */
size_t batch_head_write(const struct batch_head *b,
			uint8_t buf[BATCH_META_MAX]);

/* @ret_data: the encoded pages inside @payload, @ret_len bytes. */
int batch_head_read(struct batch_head *ret, const void *payload, size_t len,
		    const uint8_t **ret_data, size_t *ret_len, struct error *e);

/* --- ACK */

struct ack_range {
	uint64_t first, count;
};

struct ack {
	uint64_t below; /* every frame with a lower number is applied */
	unsigned ranges;
	struct ack_range range[ACK_MAX_RANGES]; /* and these, ascending */
};

size_t ack_write(const struct ack *a, uint8_t buf[ACK_MAX_PAYLOAD]);
int ack_read(struct ack *ret, const void *payload, size_t len, struct error *e);
