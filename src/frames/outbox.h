/* SPDX-License-Identifier: MIT */

/*
 * The outbox: numbered frames from the moment they are ready until the other
 * side has applied them.
 *
 *   producers ──put──► queue ──take──► a channel writes it ──sent──► in flight
 *                        ▲                  ▲                           │
 *                        │                  └──── late: another one ◄───┤
 *                        └────────── the channel died ◄─────────────────┤
 *                                                            acknowledged: gone
 *
 * Invariants:
 *  - A frame has its number from outbox_put() on and keeps it, whatever
 *    channel carries it and however often.
 *  - slot[seq % FRAME_WINDOW] holds every frame that is not acknowledged;
 *    `base` is the lowest of them (or the next number when there is none).
 *  - Queued frames are in the order of their numbers, apart from messages,
 *    which go in front; frames of a dead channel go back in order.
 *  - A frame that is late is written once more, by a channel that has nothing
 *    else to do; the first copy counts.  It is freed when it is acknowledged
 *    and no channel reads it.
 *  - A channel takes no frame beyond its flow_limit(), and producers wait while
 *    all channels have theirs and a frame for each is queued, so memory and
 *    time in here are bounded, but for the lowest frame that is not
 *    acknowledged: it always leaves.  Messages never wait.  Nor do frames of
 *    a side stream for a channel's bound: theirs is OUTBOX_SIDE_STREAM_LIMIT.
 *
 * With a compressor, a channel takes what is ready (pressed, or not for the
 * compressor) first, and what waits for a worker when there is nothing else and
 * it would run dry (pick.h): a worker holds no frame hostage.  Frames of pages
 * may overtake each other; what counts in all bounds is their weight, the bytes
 * before they were pressed.
 *
 * Late is what is not acknowledged after 0.25 s and four times as long as its
 * channel usually takes.  When the outbox is urgent (the guest is stopped), and
 * for messages always, it is what the idle channel would deliver in half the
 * time that the other one is expected to need.  A channel that has delivered
 * nothing yet writes none again: it may be as slow.
 *
 * Threads: any number of producers, one taker per channel, acknowledgements
 * from any thread.  Everything is guarded by one lock, held for short times
 * and never across a call out of the file.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "frames/flow.h"
#include "wire/frame.h"

struct buffer;
struct error;
struct compressor;

enum {
	FRAME_POOL = 512,
	FRAME_BUFFERS = 4, /* buffers whose bytes one frame may name */
	CHANNELS_MAX = 32,
	NO_CHANNEL = CHANNELS_MAX,
	/* Unacknowledged bytes of all but side streams, at least, */
	OUTBOX_LEAST = 768 * 1024,
	/* and at most: 10 Gbit/s for 80 ms. */
	OUTBOX_MOST = 96 * 1024 * 1024,
	/* Unacknowledged bytes of each stream but the first, and of all these,
	 * which the other side has room for (INBOX_STREAM_BYTES). */
	OUTBOX_SIDE_STREAM_LIMIT = 256 * 1024,
	OUTBOX_SIDE_MOST = 32 * 1024 * 1024,
};

enum frame_state {
	FRAME_FREE,
	FRAME_QUEUED,
	FRAME_OUT, /* a channel has it, or had it: not acknowledged */
};

/* Whether the compressor workers have to do with a frame of pages. */
enum frame_press {
	PRESS_NOT,     /* leaves as it was made */
	PRESS_WAITING, /* for a worker, or for a channel that has nothing better
			*/
	PRESS_BUSY,    /* a worker reads it */
	PRESS_DONE,    /* pressed */
};

struct frame_out {
	/* Filled in by the producer, then read only. */
	struct frame_head head; /* seq by outbox_put(), sum by the sender */
	struct iovec iov[1 + BATCH_MAX_PAGES]; /* the payload */
	int iovs;
	struct buffer *buffer[FRAME_BUFFERS]; /* held until acknowledged */
	unsigned buffers;
	uint8_t meta[BATCH_META_MAX];
	void *owned; /* malloc'ed payload, freed with the frame */

	atomic_bool summed; /* head.sum stands; set by the first writer */

	/* Guarded by the outbox. */
	enum frame_state state;
	bool pooled, acked;
	bool left_raw; /* counted so; a worker might have had it */
	enum frame_press press;
	uint32_t weight;  /* bytes that it counts for: as it was made */
	bool resent;      /* more than one channel had it */
	unsigned writers; /* channels and workers that read it */
	unsigned channel; /* the last that took it, in FRAME_OUT */
	unsigned before;  /* the one that had it when it was late */
	uint64_t sent_us; /* then */
	struct frame_out *prev, *next;
};

enum outbox_work {
	OUTBOX_FRAME,
	OUTBOX_ACK,  /* an acknowledgement is due */
	OUTBOX_STOP, /* this channel, or the outbox, is finished */
};

/* Bytes of pages and what became of them. */
struct press_stats {
	uint64_t in, out;        /* pressed: before and after */
	uint64_t incompressible; /* could not be pressed */
	uint64_t free; /* sent raw because a channel had nothing else */
	/* A worker's, dropped: a channel took them raw meanwhile. */
	uint64_t taken_back;
};

/* The other side's answer to how well it keeps up (struct ack). */
struct outbox_far {
	uint32_t backlog;
	uint64_t placed, busy_us;
};

struct outbox_stats {
	struct press_stats press;
	unsigned channels; /* alive */
	unsigned pressed;  /* frames that hold a buffer of the compressor */
	uint64_t acked_bytes, resent_frames, resent_bytes;
	uint64_t unacked_bytes, rate, rtt_us;
	uint64_t wire_rate; /* as rate, in bytes as they were sent */
	struct outbox_far far_end;
};

struct outbox_channel {
	uint64_t acked; /* of frames that it was the last to take */
	bool alive, stopped;
	uint64_t bytes;    /* of PAGES and stream 0 that it took and nobody
			    * acknowledged */
	uint64_t delay_us; /* usual, 0: not known */
	struct flow_control flow;
};

struct outbox {
	pthread_mutex_t lock;
	pthread_cond_t work;    /* takers wait */
	pthread_cond_t changed; /* producers and waiters for acks wait */
	bool closed, ack_due, urgent, far;
	unsigned limited; /* takers that wait and whose bound may be reached */
	struct outbox_channel channel[CHANNELS_MAX];
	uint64_t next_seq, base, next_message;
	uint64_t unacked_bytes; /* PAGES and stream 0, queued or in flight */
	uint64_t side_bytes[STREAMS_MAX];
	struct frame_out *head, *tail; /* queued */
	struct frame_out *slot[FRAME_WINDOW];
	struct frame_out *free;
	struct frame_out *pool;
	unsigned fresh;           /* first of the pool that was never used */
	struct flow_control flow; /* of all channels together: the rate */
	struct flow_control wire; /* the same in bytes as they were sent */
	struct compressor *compressor; /* NULL: nothing is pressed */
	bool press_always;             /* channels wait for the workers */
	unsigned press_ahead;   /* frames that may wait for the workers */
	unsigned pressed;       /* frames whose payload is a worker's */
	uint64_t press_rest_us; /* until then no frame is for the compressor */
	struct outbox_stats stats;
	atomic_uint_fast64_t waited_us; /* producers, all together */
};

int outbox_init(struct outbox *o, struct error *e);
void outbox_done(struct outbox *o);
/* Everybody who waits returns; frames in flight are dropped by outbox_done().
 */
void outbox_close(struct outbox *o);

/* An empty frame to fill in; NULL once the outbox is closed.  There are
 * FRAME_POOL of them, which side streams that nobody reads would use up: theirs
 * are calloc'ed. */
struct frame_out *outbox_frame(struct outbox *o);
void outbox_give_back(struct outbox *o, struct frame_out *f);

/* Takes @f over.  Returns -EPIPE once the outbox is closed. */
int outbox_put(struct outbox *o, struct frame_out *f, uint64_t *ret_seq,
	       struct error *e);

/* Copies @len bytes; never waits. */
int outbox_put_message(struct outbox *o, const void *data, size_t len,
		       struct error *e);

/* Nobody is going to wait for all that is in here soon: more may be on its way
 * (flow.h). */
void outbox_set_far(struct outbox *o, bool far);

/* QEMU may stop the guest at any moment: neither far nor urgent yet.
 * @ret_rate: bytes a second that the link takes. */
bool outbox_is_near(struct outbox *o, uint64_t *ret_rate);

/* Somebody waits for all that is in here: see "late" above. */
void outbox_set_urgent(struct outbox *o, bool urgent);

/* Waits until there is something for @channel to write, at most until
 * @deadline_us, when OUTBOX_ACK is the answer. */
enum outbox_work outbox_take(struct outbox *o, unsigned channel,
			     uint64_t deadline_us, struct frame_out **ret);
void outbox_sent(struct outbox *o, struct frame_out *f);

void outbox_ack_due(struct outbox *o);
/* -EBADMSG when it acknowledges what was never sent. */
int outbox_acked(struct outbox *o, const struct ack *a, struct error *e);

void outbox_channel_alive(struct outbox *o, unsigned channel);
/* The taker of @channel returns OUTBOX_STOP. */
void outbox_channel_stop(struct outbox *o, unsigned channel);
/* Neither thread of @channel runs any more: its frames leave over the others.
 */
void outbox_channel_died(struct outbox *o, unsigned channel);
/* Bytes of frames that it was the last to take, and that arrived. */
uint64_t outbox_channel_acked(struct outbox *o, unsigned channel);

/* --- for the compressor (press.h) */

/* Frames of pages wait for workers from now on, @ahead of them besides what
 * the channels hold; @always: channels take nothing that is not ready. */
void outbox_set_taker(struct outbox *o, struct compressor *p, unsigned ahead,
		      bool always);
/* The frame for a worker (pick.h), which is busy from now on; NULL. */
struct frame_out *outbox_taker_take(struct outbox *o);
/* The compressor wants to hear of none until then. */
void outbox_taker_rest(struct outbox *o, uint64_t until_us);
/* Ends it.  @b holds the payload of @len bytes that the frame has instead from
 * now on; NULL: it leaves as it is.  Takes @b over.  Nothing happens to a frame
 * that a channel took meanwhile. */
void outbox_taker_done(struct outbox *o, struct frame_out *f, struct buffer *b,
		       size_t len);

bool outbox_is_acked(struct outbox *o, uint64_t seq);
/* 0, -ETIMEDOUT, or -EPIPE once the outbox is closed. */
int outbox_wait_acked(struct outbox *o, uint64_t seq, uint64_t deadline_us);
int outbox_wait_empty(struct outbox *o, uint64_t deadline_us);
/* Waits until frames were acknowledged, a tenth of a second at most; -EPIPE
 * once the outbox is closed. */
int outbox_wait_change(struct outbox *o);
/* What waits takes less than half of what may; what travels does not wait. */
bool outbox_is_small(struct outbox *o);
/* How long producers have had to wait, all together: it grows while the
 * channels, and not the producers, are what is slow. */
uint64_t outbox_waited_us(struct outbox *o);
void outbox_stats(struct outbox *o, struct outbox_stats *ret);
