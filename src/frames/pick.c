/* SPDX-License-Identifier: MIT */
#include "frames/pick.h"

#include "base/clock.h"
#include "frames/queue.h"

enum {
	LOOK_MOST = 64, /* frames of the queue that are looked at */
	LATE_US = 250000,
	LATE_MARGIN_US = 2000,
	LATE_OVER_US = 10000,
};

/* --- bounds */

/* For the workers, on top of what the channels need: so many frames, but no
 * more than leaves in the time of flow.h. */
static uint64_t ahead_bytes(const struct outbox *o)
{
	uint64_t frames = (uint64_t)o->taker_ahead * FRAME_MAX_PAYLOAD;
	uint64_t us =
		o->phase == PHASE_BULK ? FLOW_QUEUE_BULK_US : FLOW_QUEUE_US;
	uint64_t bytes = o->flow.rate * us / USEC_PER_SEC;

	if (o->flow.rate == 0 || bytes > frames)
		return frames;
	return bytes < FLOW_LEAST && FLOW_LEAST < frames ? FLOW_LEAST : bytes;
}

uint64_t pick_limit(const struct outbox *o)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (o->channel[i].alive)
			sum += flow_limit(&o->channel[i].flow) +
			       FRAME_MAX_PAYLOAD;
	if (sum < OUTBOX_LEAST)
		sum = OUTBOX_LEAST;
	sum += ahead_bytes(o);
	return sum < OUTBOX_MOST ? sum : OUTBOX_MOST;
}

uint64_t pick_side_limit(const struct outbox *o)
{
	uint64_t share, behind = 0;

	for (unsigned i = 1; i < STREAMS_MAX; i++)
		behind += o->side_bytes[i] > 0;
	share = behind > 0 ? OUTBOX_SIDE_MOST / behind : OUTBOX_SIDE_MOST;
	return share < OUTBOX_SIDE_STREAM_LIMIT ? share
						: OUTBOX_SIDE_STREAM_LIMIT;
}

uint64_t pick_travels(const struct outbox *o)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (o->channel[i].alive)
			sum += flow_travels(&o->channel[i].flow);
	return sum < OUTBOX_MOST ? sum : OUTBOX_MOST;
}

/* --- what is queued */

bool pick_is_ready(const struct frame_out *f)
{
	return f->press == PRESS_NOT || f->press == PRESS_DONE;
}

/* Messages go in front with the newest numbers, and nobody waits for them. */
static bool is_overtaken(const struct frame_out *f, const struct frame_out *by)
{
	return by->head.kind != FRAME_MESSAGE &&
	       by->head.seq > f->head.seq + OVERTAKEN_MOST;
}

bool pick_has_room(const struct outbox_channel *c, uint32_t len)
{
	return c->bytes == 0 || c->bytes + len <= flow_limit(&c->flow);
}

bool pick_is_lean(const struct outbox_channel *c)
{
	return c->bytes < flow_lean(&c->flow);
}

struct frame_out *pick_for_channel(const struct outbox *o, unsigned channel)
{
	struct frame_out *waiting = NULL, *f = o->head;
	bool pressing = o->pressed > 0;

	for (unsigned i = 0; f && i < LOOK_MOST; i++, f = f->next) {
		if (pick_is_ready(f))
			return is_overtaken(o->head, f) ? o->head : f;
		if (f->press == PRESS_BUSY)
			pressing = true;
		else if (!waiting)
			waiting = f;
	}
	if (o->taker_always && o->phase != PHASE_SWITCHOVER)
		return NULL;
	if (pressing && !pick_is_lean(&o->channel[channel]))
		return NULL;
	return waiting && !is_overtaken(o->head, waiting) ? waiting : o->head;
}

/* Channels that take a frame as it is as soon as their sockets have room. */
static unsigned lean_channels(const struct outbox *o)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (o->channel[i].alive && pick_is_lean(&o->channel[i]))
			n++;
	return n;
}

static unsigned ready_frames(const struct outbox *o, unsigned most)
{
	const struct frame_out *f = o->head;
	unsigned n = 0;

	for (unsigned i = 0; f && n < most && i < LOOK_MOST; i++, f = f->next)
		n += pick_is_ready(f);
	return n;
}

struct frame_out *pick_for_worker(const struct outbox *o)
{
	unsigned theirs = o->taker_always ? 0 : lean_channels(o);
	struct frame_out *f = o->head;

	theirs -= ready_frames(o, theirs);
	for (unsigned i = 0; f && i < LOOK_MOST; i++, f = f->next)
		if (f->press == PRESS_WAITING && theirs-- == 0)
			return f;
	return NULL;
}

/* --- what has left and is late */

/* How long @channel would take for a frame of @len bytes. */
static uint64_t expected_us(const struct outbox *o, unsigned channel,
			    uint32_t len)
{
	const struct outbox_channel *c = &o->channel[channel];
	const struct flow_control *flow = &c->flow;

	if (flow->rate > 0 && flow->rtt_us != UINT64_MAX)
		return flow->rtt_us +
		       (c->bytes + len) * USEC_PER_SEC / flow->rate;
	return c->delay_us;
}

static bool is_late(const struct outbox *o, const struct frame_out *f,
		    unsigned channel, uint64_t now_us)
{
	uint64_t age = now_us > f->sent_us ? now_us - f->sent_us : 0;
	uint64_t usual = o->channel[f->channel].delay_us;
	uint64_t mine;

	if (f->state != FRAME_OUT || f->channel == channel ||
	    f->before != NO_CHANNEL || f->pair || !atomic_load(&f->summed))
		return false;
	mine = expected_us(o, channel, f->head.len);
	if (age > LATE_US && age > 4 * usual)
		return mine < age;
	if (o->phase != PHASE_SWITCHOVER && f->head.kind != FRAME_MESSAGE)
		return false;
	if (age < usual)
		return usual - age > 2 * mine + LATE_MARGIN_US;
	/* Over its time: as soon as it would have been here long ago. */
	return age > 2 * mine + LATE_OVER_US;
}

/* It was never written anywhere: a copy of it that arrived elsewhere would be
 * acknowledged, and the page's next version sent, while this one may land. */
bool pick_may_write(const struct frame_out *f)
{
	return f->head.kind == FRAME_PAGES && f->iovs > 1 &&
	       f->press != PRESS_DONE && f->state == FRAME_OUT && !f->resent &&
	       !f->acked && !f->pair;
}

struct frame_out *pick_late(const struct outbox *o, unsigned channel)
{
	uint64_t now = clock_us();

	/* It may be one more connection of the card that is slow. */
	if (o->channel[channel].delay_us == 0)
		return NULL;
	for (uint64_t s = o->base; s < o->next_seq; s++) {
		struct frame_out *f = o->slot[s % FRAME_WINDOW];

		if (f && is_late(o, f, channel, now))
			return f;
	}
	return NULL;
}
