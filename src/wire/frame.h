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
	/* Pages of all runs together: a short frame may stand for many, and the
	 * other side writes all of them before it reads on. */
	BATCH_PAGES_MOST = 4096,
	BATCH_HEAD_SIZE = 12,
	BATCH_RUN_SIZE = 16,
	BATCH_SIDE_MAX = 32 * 1024,
	BATCH_FILL_SIZE = 8, /* side bytes of a RUN_FILL */
	BATCH_SUM_SIZE = 8,  /* of each page of a RUN_SAME, of a RUN_PROOF */
	BATCH_DELTA_HEAD =
		10, /* of each page of a RUN_DELTA, before its delta */
	BATCH_DELTA_LEAST = 4,
	BATCH_DELTA_MOST = 4 + WIRE_PAGE,
	BATCH_META_MAX = BATCH_HEAD_SIZE + BATCH_MAX_RUNS * BATCH_RUN_SIZE +
			 BATCH_SIDE_MAX,
	FRAME_MAX_PAYLOAD = BATCH_META_MAX + BATCH_MAX_PAGES * WIRE_PAGE,
	STREAM_MAX_PAYLOAD = 128 * 1024,
	MESSAGE_MAX_PAYLOAD = 128 * 1024,
	BYE_MAX_PAYLOAD = 512,
	CARDS_MAX_PAYLOAD = 128 * 1024,
	RDMA_MAX_PAYLOAD = 64 * 1024,
	BLOCK_HEAD_SIZE = 20,
	BLOCK_DATA_MAX = BATCH_MAX_PAGES * WIRE_PAGE, /* as they are pressed */
	BLOCKS_MAX_PAYLOAD = BLOCK_HEAD_SIZE + BLOCK_DATA_MAX,
	ACK_MAX_RANGES = 62,
	ACK_MAX_PAYLOAD = 32 + ACK_MAX_RANGES * 16,

	/* Frames between the lowest unacknowledged number and the highest
	 * one sent.  A frame beyond is a protocol error. */
	FRAME_WINDOW = 4096,
	/* Bytes of STREAM payload that one stream may have unacknowledged. */
	STREAM_WINDOW = 16 * 1024 * 1024,
	/* In one session, ever: QEMU's main connection, 255 of multifd, one of
	 * post-copy.  Who does not name CAN_STREAMS knows fewer. */
	STREAMS_MAX = 260,
	STREAMS_OLD = 64,
};

enum frame_kind {
	FRAME_PAGES = 1,
	FRAME_STREAM = 2,
	FRAME_MESSAGE = 3,
	FRAME_ACK = 4,   /* not numbered */
	FRAME_BYE = 5,   /* not numbered */
	FRAME_CARDS = 6, /* not numbered */
	FRAME_RDMA = 7,  /* not numbered; only to who can */
	FRAME_BLOCKS = 8,
	FRAME_KINDS,
};

enum {
	STREAM_FIN = 1,    /* no bytes after these */
	STREAM_RESET = 2,  /* the stream broke: close the connection at once */
	STREAM_OPEN = 4,   /* without bytes: QEMU has made the connection */
	PAGES_WRITTEN = 1, /* its data come by RDMA */
	BYE_FAILED = 1,    /* the session ends because something failed */
};

struct frame_head {
	enum frame_kind kind;
	uint8_t flags;
	uint16_t stream; /* STREAM: number of the connection */
	uint32_t len;    /* payload bytes */
	uint64_t seq;    /* from 1; 0 in frames that are not numbered */
	uint64_t offset; /* STREAM: of the first byte; MESSAGE: ordinal;
			  * CARDS, RDMA: generation; PAGES_WRITTEN: place
			  * (wire/rdma.h) */
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

/* What a run's pages are, and what stands for them in the side bytes. */
enum batch_run_kind {
	RUN_DATA,  /* in the data; no side bytes */
	RUN_ZERO,  /* zeros; none */
	RUN_FILL,  /* one word again and again: the word as it stands in memory
		    */
	RUN_SAME,  /* what the destination has: page_sum() of each */
	RUN_DELTA, /* that, changed: of each its delta's length (2), page_sum()
		    * of what it becomes (8), the delta (codec/delta.h) */
	RUN_PROOF, /* one page that stays in the stream, by which a block's
		    * address is proved: its page_sum() */
	RUN_KINDS,
};

struct batch_run {
	uint64_t first; /* page number inside the block */
	uint32_t count; /* pages */
	enum batch_run_kind kind;
};

enum {
	CODEC_RAW = 0,
	BATCH_CODEC_AT = 2, /* place of the codec's number in the payload, */
	BATCH_PAGES_AT = 6, /* and of the number of pages */
};

struct batch_head {
	uint16_t block; /* number in the destination's block table */
	uint8_t codec;
	uint16_t runs;
	uint16_t pages; /* of all RUN_DATA runs together */
	uint32_t side;  /* bytes of all runs together */
	struct batch_run run[BATCH_MAX_RUNS];
};

/* Bytes written to @buf: head, runs and the @b->side bytes at @side, which may
 * be NULL when there are none; the data follow in run order. */
size_t batch_head_write(const struct batch_head *b, const uint8_t *side,
			uint8_t buf[BATCH_META_MAX]);

/* What follows the runs, inside of the payload. */
struct batch_body {
	const uint8_t
		*side; /* of each run what its kind has, just filling it */
	const uint8_t *data; /* the encoded pages */
	size_t len;          /* of data */
};

int batch_head_read(struct batch_head *ret, const void *payload, size_t len,
		    struct batch_body *ret_body, struct error *e);

/* The same of one whose data, the @len bytes at @data, stand elsewhere: pages
 * as they are. */
int batch_apart_read(struct batch_head *ret, const void *meta, size_t meta_len,
		     const void *data, size_t len, struct batch_body *ret_body,
		     struct error *e);

/* Of WIRE_PAGE bytes.  It proves that both sides mean the same page; that the
 * frame is intact, its own sum does. */
uint64_t page_sum(const void *page);

/* --- BLOCKS */

enum block_kind {
	BLOCK_DATA,  /* the bytes of a place of a disk */
	BLOCK_ZERO,  /* zeros there; no data */
	BLOCK_FLUSH, /* all that was applied is to be durable; no place */
	BLOCK_KINDS,
};

struct block_head {
	uint16_t disk; /* by its place in the list of "disks" */
	uint8_t codec; /* stands where that of a batch does */
	enum block_kind kind;
	uint32_t len; /* bytes of the place */
	uint64_t offset;
};

/* What follows, as it came. */
struct block_body {
	const uint8_t *data;
	size_t len;
};

void block_head_write(const struct block_head *b, uint8_t buf[BLOCK_HEAD_SIZE]);
int block_head_read(struct block_head *ret, const void *payload, size_t len,
		    struct block_body *ret_body, struct error *e);

/* --- ACK */

struct ack_range {
	uint64_t first, count;
};

struct ack {
	uint64_t below;   /* every frame with a lower number is applied */
	uint64_t placed;  /* bytes of RUN_DATA pages that stand in memory, since
			   * the session began */
	uint64_t busy_us; /* that all readers took for frames with such pages */
	uint32_t backlog; /* bytes that have arrived and nobody has read */
	unsigned ranges;
	struct ack_range range[ACK_MAX_RANGES]; /* and these, ascending */
};

size_t ack_write(const struct ack *a, uint8_t buf[ACK_MAX_PAYLOAD]);
int ack_read(struct ack *ret, const void *payload, size_t len, struct error *e);
