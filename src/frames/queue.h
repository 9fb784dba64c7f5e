/* SPDX-License-Identifier: MIT */

/*
 * What an outbox holds: frames in a queue and in flight.  outbox.h says what
 * always holds, and has the calls for everybody else; here is what its parts
 * (outbox.c, taker.c, and pick.c, which only reads) share.
 *
 * Whoever calls holds the outbox's lock.
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
struct taker;

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
	FRAME_OUT,  /* a channel has it, or had it: not acknowledged */
	FRAME_HELD, /* its channel ended, and its pages may still arrive */
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
	/* Through which its pages were written; 0: none.  Until outbox_let_go()
	 * of that, no other channel has it. */
	uint32_t pair;
	struct frame_out *prev, *next;
};

/* How long what is in here may take: the time in which somebody would wait for
 * it. */
enum outbox_phase {
	PHASE_BULK,     /* nobody will soon: more may be on its way (flow.h) */
	PHASE_NEAR_END, /* QEMU may stop the guest at any moment */
	PHASE_SWITCHOVER, /* the guest is stopped, somebody waits for all */
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
	/* It takes frames no faster, bytes a second, and the next one not
	 * before; 0: as it can. */
	uint64_t pace, next_us;
};

struct outbox {
	pthread_mutex_t lock;
	pthread_cond_t work;    /* channels wait */
	pthread_cond_t changed; /* producers and waiters for acks wait */
	bool closed, ack_due;
	enum outbox_phase phase;
	unsigned
		limited; /* channels that wait and whose bound may be reached */
	struct outbox_channel channel[CHANNELS_MAX];
	uint64_t next_seq, base, next_message;
	uint64_t mark_seq, mark_us; /* outbox_mark(); 0: none, not yet */
	uint64_t acks;              /* that have come */
	uint64_t unacked_bytes; /* PAGES and stream 0, queued or in flight */
	uint64_t side_bytes[STREAMS_MAX];
	struct frame_out *head, *tail; /* queued */
	struct frame_out *slot[FRAME_WINDOW];
	struct frame_out *free;
	struct frame_out *pool;
	unsigned fresh;           /* first of the pool that was never used */
	struct flow_control flow; /* of all channels together: the rate */
	struct flow_control wire; /* the same in bytes as they were sent */
	struct taker *taker;      /* NULL: nothing is pressed */
	bool taker_always;        /* channels wait for the workers */
	unsigned taker_ahead;     /* frames that may wait for the workers */
	unsigned pressed;         /* frames whose payload is a worker's */
	uint64_t taker_rest_us;   /* until then no frame is for it */
	struct outbox_stats stats;
	atomic_uint_fast64_t waited_us; /* producers, all together */
};

/* Where it stands until it is acknowledged. */
static inline struct frame_out **queue_slot(struct outbox *o, uint64_t seq)
{
	return &o->slot[seq % FRAME_WINDOW];
}

/* --- for each frame, and so in here */

/* Between two that are queued; NULL: at that end. */
static inline void queue_between(struct outbox *o, struct frame_out *before,
				 struct frame_out *f, struct frame_out *after)
{
	f->prev = before;
	f->next = after;
	*(before ? &before->next : &o->head) = f;
	*(after ? &after->prev : &o->tail) = f;
	f->state = FRAME_QUEUED;
}

static inline void queue_remove(struct outbox *o, struct frame_out *f)
{
	*(f->prev ? &f->prev->next : &o->head) = f->next;
	*(f->next ? &f->next->prev : &o->tail) = f->prev;
	f->prev = f->next = NULL;
}

/* Each frame that a taker was meant to have counts once: as pressed, as
 * incompressible, or here, when it has left without the taker having been done
 * with it. */
static inline void queue_count_raw(struct outbox *o, struct frame_out *f)
{
	if (f->press != PRESS_WAITING && f->press != PRESS_BUSY)
		return;
	o->stats.press.free += f->weight;
	f->left_raw = true;
}

/* --- queue.c */

/* It is back, and a taker may have it yet. */
void queue_uncount_raw(struct outbox *o, struct frame_out *f);

/* Nobody reads it, and its number is acknowledged or was never given. */
void queue_release(struct outbox *o, struct frame_out *f);
