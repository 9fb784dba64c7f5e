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
 *  - A frame whose pages another transport writes (outbox_hold()) is neither
 *    late nor requeued until that has said that nothing arrives any more.
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
 * channel usually takes.  In the switchover, when the guest is stopped, and for
 * messages always, it is what the idle channel would deliver in half the
 * time that the other one is expected to need.  A channel that has delivered
 * nothing yet writes none again: it may be as slow.
 *
 * Threads: any number of producers, one for each channel, acknowledgements
 * from any thread.  Everything is guarded by one lock, held for short times
 * and never across a call out of this folder but for the two of a taker, which
 * take no lock and wait for nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frames/queue.h"

struct error;

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

/* A switchover stays one, whatever is said later. */
void outbox_set_phase(struct outbox *o, enum outbox_phase phase);

/* QEMU may stop the guest at any moment.  @ret_rate: bytes a second that the
 * link takes. */
bool outbox_is_near_end(struct outbox *o, uint64_t *ret_rate);

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
/* The channel that took @f has its pages written into the other side's memory,
 * by @pair: until outbox_let_go() no other one takes it, whatever becomes of
 * the channel.  False: it may not leave that way (pick_may_write()). */
bool outbox_hold(struct outbox *o, struct frame_out *f, uint32_t pair);
/* Nothing was written after all. */
void outbox_unhold(struct outbox *o, struct frame_out *f);
/* Nothing that @pair wrote arrives any more: what is not acknowledged leaves
 * over the channels. */
void outbox_let_go(struct outbox *o, uint32_t pair);

/* How much it may have on its way, and has. */
struct outbox_flow {
	uint64_t rate;             /* bytes a second; 0: not measured yet */
	uint64_t rtt_us;           /* UINT64_MAX: likewise */
	uint64_t limit, in_flight; /* bytes */
};

struct outbox_flow outbox_channel_flow(struct outbox *o, unsigned channel);
/* Bytes of frames that it was the last to take, and that arrived. */
uint64_t outbox_channel_acked(struct outbox *o, unsigned channel);

/* It may send @rate bytes a second from now on; UINT64_MAX: any.  @paced: its
 * transport sees to that; where not, it takes frames no faster. */
void outbox_channel_pace(struct outbox *o, unsigned channel, uint64_t rate,
			 bool paced);

bool outbox_is_acked(struct outbox *o, uint64_t seq);
/* All frames so far are marked, once; when the last of them had been
 * acknowledged, 0: not yet. */
void outbox_mark(struct outbox *o);
uint64_t outbox_mark_acked_us(struct outbox *o);
/* 0, -ETIMEDOUT, or -EPIPE once the outbox is closed. */
int outbox_wait_acked(struct outbox *o, uint64_t seq, uint64_t deadline_us);
int outbox_wait_empty(struct outbox *o, uint64_t deadline_us);
/* Waits until frames were acknowledged, a tenth of a second at most; -EPIPE
 * once the outbox is closed. */
int outbox_wait_change(struct outbox *o);
/* Waits until acknowledgements have come since @seen was set by this call, so
 * that none is missed between two waits; a tenth of a second at most. */
int outbox_wait_acks(struct outbox *o, uint64_t *seen);
/* What waits takes less than half of what may; what travels does not wait. */
bool outbox_is_small(struct outbox *o);
/* How long producers have had to wait, all together: it grows while the
 * channels, and not the producers, are what is slow. */
uint64_t outbox_waited_us(struct outbox *o);
void outbox_stats(struct outbox *o, struct outbox_stats *ret);
