/* SPDX-License-Identifier: MIT */

/*
 * Which frame is next: for a channel, and for a compressor worker.
 *
 *     head                                                          tail
 *     waiting  waiting  READY  busy  READY  waiting  waiting  waiting
 *        3        4       1      5     2        6        7       8
 *                                           (in which channels take them)
 *
 * A channel takes the first that is ready (pressed, or not for the compressor),
 * else the first that waits, else the first that a worker has.  What is not
 * ready it takes only when it may run dry before a worker is done
 * (flow_lean()), or when the workers do nothing for this outbox: the sooner,
 * the more would leave as it is.  A worker leaves what such channels will take
 * next to them and takes the first that waits behind that: so it is seldom
 * overtaken, and the oldest are pressed first all the same when channels have
 * enough that is ready.
 *
 * Ready frames overtake others, but only so far: one that OVERTAKEN_MOST
 * numbers are ahead of leaves before them as it is, whatever a worker is doing
 * with it. So what the other side holds back, because a lower number is
 * missing, is bounded, and so is the window of numbers.
 *
 * Read only; the outbox's lock guards it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct frame_out;
struct outbox;
struct outbox_channel;

enum { OVERTAKEN_MOST = 64 };

/* Bytes that may be unacknowledged, of all but side streams: what the channels
 * may have, a frame for each, and what the workers are ahead. */
uint64_t pick_limit(const struct outbox *o);
/* The same of one side stream: less when many of them are behind. */
uint64_t pick_side_limit(const struct outbox *o);
/* Of pick_limit(), what a round trip delivers. */
uint64_t pick_travels(const struct outbox *o);
/* Whether @c may have @len bytes more. */
bool pick_has_room(const struct outbox_channel *c, uint32_t len);

/* It is pressed, or not for the compressor. */
bool pick_is_ready(const struct frame_out *f);
/* Whether @c may run dry soon. */
bool pick_is_lean(const struct outbox_channel *c);

/* NULL: nothing is queued, or what is has to wait for the workers. */
struct frame_out *pick_for_channel(const struct outbox *o, unsigned channel);
/* NULL: nothing that would be ready before a channel wants it. */
struct frame_out *pick_for_worker(const struct outbox *o);
/* @f, which a channel has just taken, may have its pages written into the other
 * side's memory: docs/rdma.md, 1. */
bool pick_may_write(const struct frame_out *f);
/* The first that another channel has and that @channel, which has nothing else
 * to do, should write once more: see "late" in outbox.h.  NULL. */
struct frame_out *pick_late(const struct outbox *o, unsigned channel);
