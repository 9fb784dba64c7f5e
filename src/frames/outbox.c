/* SPDX-License-Identifier: MIT */
#include "frames/outbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/scope.h"
#include "frames/pick.h"
#include "frames/taker.h"

enum {
	MESSAGE_SLOTS = 256,    /* room that only messages may use, */
	SIDE_SLOTS = 1024,      /* and that side streams may not */
	PRESS_LEAST = 8 * 1024, /* less is not worth it */
	LATE_LOOK_US = 100000,  /* how often idle channels look */
	LATE_LOOK_SWITCHOVER_US = 4000,
};

int outbox_init(struct outbox *o, struct error *e)
{
	memset(o, 0, sizeof(*o));
	/* Zeros; memory appears as frames are used, so that a session that only
	 * asks something costs little. */
	o->pool = mmap(NULL, FRAME_POOL * sizeof(o->pool[0]),
		       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	if (o->pool == MAP_FAILED)
		return error_sys(e, "memory for frames");
	pthread_mutex_init(&o->lock, NULL);
	clock_cond_init(&o->work);
	clock_cond_init(&o->changed);
	o->next_seq = o->base = 1;
	o->phase = PHASE_NEAR_END;
	flow_init(&o->flow, clock_us());
	flow_init(&o->wire, clock_us());
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		flow_init(&o->channel[i].flow, clock_us());
	return 0;
}

void outbox_done(struct outbox *o)
{
	for (size_t i = 0; i < FRAME_WINDOW; i++)
		if (o->slot[i])
			queue_release(o, o->slot[i]);
	munmap(o->pool, FRAME_POOL * sizeof(o->pool[0]));
	pthread_cond_destroy(&o->changed);
	pthread_cond_destroy(&o->work);
	pthread_mutex_destroy(&o->lock);
}

void outbox_close(struct outbox *o)
{
	WITH_LOCK(&o->lock);

	o->closed = true;
	pthread_cond_broadcast(&o->work);
	pthread_cond_broadcast(&o->changed);
}

/* Used ones first, they are in the cache. */
static struct frame_out *take_free(struct outbox *o)
{
	struct frame_out *f = o->free;

	if (f) {
		o->free = f->next;
	} else if (o->fresh < FRAME_POOL) {
		f = &o->pool[o->fresh++];
		f->pooled = true;
	}
	return f;
}

static void hold_producer(struct outbox *o)
{
	uint64_t start = clock_us();

	pthread_cond_wait(&o->changed, &o->lock);
	atomic_fetch_add(&o->waited_us, clock_us() - start);
}

struct frame_out *outbox_frame(struct outbox *o)
{
	struct frame_out *f;

	WITH_LOCK(&o->lock);

	while (!o->free && o->fresh == FRAME_POOL && !o->closed) {
		flow_waited(&o->flow);
		hold_producer(o);
	}
	if (o->closed)
		return NULL;
	f = take_free(o);
	assert(f);
	f->head = (struct frame_head){ 0 };
	f->iovs = 0;
	f->press = PRESS_NOT;
	f->left_raw = false;
	atomic_store(&f->summed, false);
	f->acked = f->resent = false;
	f->writers = 0;
	f->pair = 0;
	f->next = f->prev = NULL;
	return f;
}

void outbox_give_back(struct outbox *o, struct frame_out *f)
{
	WITH_LOCK(&o->lock);

	queue_release(o, f);
	pthread_cond_broadcast(&o->changed);
}

static bool on_side_stream(const struct frame_out *f)
{
	return f->head.kind == FRAME_STREAM && f->head.stream > 0;
}

/* The count that @f weighs on. */
static uint64_t *bytes_of(struct outbox *o, const struct frame_out *f)
{
	return on_side_stream(f) ? &o->side_bytes[f->head.stream]
				 : &o->unacked_bytes;
}

static bool has_room(struct outbox *o, const struct frame_out *f)
{
	uint64_t used = *bytes_of(o, f);
	uint64_t limit = on_side_stream(f) ? pick_side_limit(o) : pick_limit(o);
	uint64_t numbers = FRAME_WINDOW - MESSAGE_SLOTS;

	if (on_side_stream(f))
		numbers -= SIDE_SLOTS;
	return o->next_seq - o->base < numbers &&
	       (used == 0 || used + f->head.len <= limit);
}

static void number(struct outbox *o, struct frame_out *f)
{
	f->head.seq = o->next_seq++;
	assert(!*queue_slot(o, f->head.seq));
	*queue_slot(o, f->head.seq) = f;
	f->weight = f->head.len;
	if (f->head.kind != FRAME_MESSAGE)
		*bytes_of(o, f) += f->weight;
	if (o->taker &&
	    (f->head.kind == FRAME_PAGES || f->head.kind == FRAME_BLOCKS) &&
	    f->head.len > f->iov[0].iov_len + PRESS_LEAST)
		f->press = PRESS_WAITING;
}

/* One will do, if any one can take it. */
static void wake_channel(struct outbox *o)
{
	if (o->limited > 0)
		pthread_cond_broadcast(&o->work);
	else
		pthread_cond_signal(&o->work);
}

/* Wakes the taker if there is a frame for it. */
static void offer(struct outbox *o)
{
	if (!o->taker || !o->taker->wants(o->taker) ||
	    clock_us() < o->taker_rest_us)
		return;
	if (pick_for_worker(o))
		o->taker->kick(o->taker);
}

int outbox_put(struct outbox *o, struct frame_out *f, uint64_t *ret_seq,
	       struct error *e)
{
	WITH_LOCK(&o->lock);

	while (!o->closed && !has_room(o, f)) {
		flow_waited(&o->flow);
		flow_waited(&o->wire);
		hold_producer(o);
	}
	if (o->closed) {
		queue_release(o, f);
		return error_set(e, EPIPE, "the session has ended");
	}
	number(o, f);
	if (ret_seq)
		*ret_seq = f->head.seq;
	queue_between(o, o->tail, f, NULL);
	wake_channel(o);
	if (f->press == PRESS_WAITING)
		offer(o);
	return 0;
}

int outbox_put_message(struct outbox *o, const void *data, size_t len,
		       struct error *e)
{
	struct frame_out *f = calloc(1, sizeof(*f));
	void *copy = malloc(len);

	assert(len <= MESSAGE_MAX_PAYLOAD);
	if (!f || !copy) {
		free(f);
		free(copy);
		return error_set(e, ENOMEM, "no memory for a message");
	}
	memcpy(copy, data, len);
	f->owned = copy;
	f->iov[0] = (struct iovec){ copy, len };
	f->iovs = 1;
	f->head.kind = FRAME_MESSAGE;
	f->head.len = (uint32_t)len;

	WITH_LOCK(&o->lock);

	if (o->closed || o->next_seq - o->base >= FRAME_WINDOW) {
		queue_release(o, f);
		return error_set(e, EPIPE, "the session has ended");
	}
	number(o, f);
	f->head.offset = o->next_message++;
	queue_between(o, NULL, f, o->head);
	wake_channel(o);
	return 0;
}

void outbox_set_phase(struct outbox *o, enum outbox_phase phase)
{
	WITH_LOCK(&o->lock);

	if (o->phase == phase || o->phase == PHASE_SWITCHOVER)
		return;
	o->phase = phase;
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		o->channel[i].flow.bulk = phase == PHASE_BULK;
	pthread_cond_broadcast(&o->changed);
	pthread_cond_broadcast(&o->work);
}

bool outbox_is_near_end(struct outbox *o, uint64_t *ret_rate)
{
	WITH_LOCK(&o->lock);

	*ret_rate = o->wire.rate;
	return o->phase == PHASE_NEAR_END && !o->closed;
}

/* Whether channels have a bound for it.  Side streams have one each already,
 * and may be read at the other end only when what stands in the main one has
 * arrived there, or the other way round. */
static bool is_bounded(const struct frame_out *f)
{
	return f->head.kind != FRAME_MESSAGE && !on_side_stream(f);
}

/* Whether nothing that was numbered before @f and has a bound is on its way. */
static bool is_lowest(const struct outbox *o, const struct frame_out *f)
{
	for (uint64_t s = o->base; s < f->head.seq; s++) {
		const struct frame_out *before = o->slot[s % FRAME_WINDOW];

		if (before && is_bounded(before))
			return false;
	}
	return true;
}

/* Pieces of stream 0 overtake pages that wait for a worker, take their room,
 * and are acknowledged only when the pages have arrived: what all others may
 * wait for leaves whatever is on its way. */
static bool holds_up_all(const struct outbox *o, const struct frame_out *f)
{
	return (pick_is_ready(f) || !o->taker_always ||
		o->phase == PHASE_SWITCHOVER) &&
	       is_lowest(o, f);
}

static bool is_held(const struct outbox_channel *c)
{
	return c->pace > 0 && clock_us() < c->next_us;
}

/* The first of the queue that @channel may take, or NULL. */
static struct frame_out *find_queued(const struct outbox *o, unsigned channel)
{
	const struct outbox_channel *c = &o->channel[channel];
	struct frame_out *f = pick_for_channel(o, channel);

	if (f && pick_has_room(c, f->weight) && !is_held(c))
		return f;
	f = o->head;
	while (f && is_bounded(f))
		f = f->next;
	if (!f && o->head && !is_held(c) && holds_up_all(o, o->head))
		return o->head;
	return f;
}

static void charge(struct outbox *o, unsigned channel,
		   const struct frame_out *f)
{
	if (is_bounded(f))
		o->channel[channel].bytes += f->weight;
}

static void uncharge(struct outbox *o, unsigned channel,
		     const struct frame_out *f)
{
	if (!is_bounded(f))
		return;
	assert(o->channel[channel].bytes >= f->weight);
	o->channel[channel].bytes -= f->weight;
}

/* No channel is charged with it any more. */
static void uncharge_all(struct outbox *o, const struct frame_out *f)
{
	if (f->state != FRAME_OUT)
		return;
	uncharge(o, f->channel, f);
	if (f->before != NO_CHANNEL)
		uncharge(o, f->before, f);
}

/* The next one has to wait for as long as this one takes at its pace. */
static void hold_to_pace(struct outbox_channel *c, const struct frame_out *f)
{
	uint64_t now_us;

	if (c->pace == 0)
		return;
	now_us = clock_us();
	if (c->next_us < now_us)
		c->next_us = now_us;
	c->next_us += f->head.len * USEC_PER_SEC / c->pace;
}

/* A frame for @channel, or NULL. */
static struct frame_out *take_frame(struct outbox *o, unsigned channel)
{
	struct frame_out *f = find_queued(o, channel);

	if (!f && o->head)
		return NULL;
	if (f) {
		queue_remove(o, f);
		queue_count_raw(o, f);
		f->before = NO_CHANNEL;
	} else if ((f = pick_late(o, channel))) {
		f->resent = true;
		f->before = f->channel; /* its socket is still full of it */
		o->stats.resent_frames++;
		o->stats.resent_bytes += f->head.len;
	} else {
		return NULL;
	}
	f->state = FRAME_OUT;
	f->writers++;
	f->channel = channel;
	f->sent_us = clock_us();
	charge(o, channel, f);
	hold_to_pace(&o->channel[channel], f);
	return f;
}

/* What is late comes about by time alone. */
static void wait_work(struct outbox *o, unsigned channel, uint64_t deadline_us)
{
	uint64_t until = clock_us() + (o->phase == PHASE_SWITCHOVER
					       ? LATE_LOOK_SWITCHOVER_US
					       : LATE_LOOK_US);
	struct outbox_channel *c = &o->channel[channel];
	/* A frame that comes now may be too much for it. */
	bool limited = o->head || !pick_has_room(c, FRAME_MAX_PAYLOAD) ||
		       (o->taker && !pick_is_lean(c));
	struct timespec t;

	if (o->base == o->next_seq || until > deadline_us)
		until = deadline_us;
	if (o->head && is_held(c) && c->next_us < until)
		until = c->next_us;
	t = clock_timespec(until);
	if (o->head)
		flow_waited(&c->flow);
	else
		flow_idled(&c->flow);
	o->limited += limited;
	pthread_cond_timedwait(&o->work, &o->lock, &t);
	o->limited -= limited;
}

enum outbox_work outbox_take(struct outbox *o, unsigned channel,
			     uint64_t deadline_us, struct frame_out **ret)
{
	WITH_LOCK(&o->lock);

	/* Its socket kept it busy until now. */
	flow_waited(&o->channel[channel].flow);
	for (;;) {
		if (o->closed || o->channel[channel].stopped)
			return OUTBOX_STOP;
		if (o->ack_due)
			break;
		*ret = take_frame(o, channel);
		if (*ret)
			return OUTBOX_FRAME;
		if (clock_us() >= deadline_us)
			break;
		wait_work(o, channel, deadline_us);
	}
	o->ack_due = false;
	return OUTBOX_ACK;
}

void outbox_sent(struct outbox *o, struct frame_out *f)
{
	WITH_LOCK(&o->lock);

	f->writers--;
	if (!f->acked || f->writers > 0)
		return;
	queue_release(o, f);
	pthread_cond_broadcast(&o->changed);
}

void outbox_ack_due(struct outbox *o)
{
	WITH_LOCK(&o->lock);

	o->ack_due = true;
	pthread_cond_signal(&o->work);
}

/* The usual delay is an average over about 4 frames. */
static void credit(struct outbox_channel *c, uint64_t bytes, uint64_t took_us,
		   uint64_t now_us)
{
	c->acked += bytes;
	flow_acked(&c->flow, bytes, took_us, now_us);
	if (took_us == UINT64_MAX)
		return;
	c->delay_us = c->delay_us ? (c->delay_us * 3 + took_us) / 4 : took_us;
}

/* Acknowledged: the number is free; the memory follows when no channel
 * reads it any more. */
static void acknowledge(struct outbox *o, uint64_t seq, uint64_t now_us)
{
	struct frame_out *f = *queue_slot(o, seq);
	uint64_t took = UINT64_MAX; /* not known */

	if (!f || f->head.seq != seq)
		return;
	*queue_slot(o, seq) = NULL;
	if (!f->resent && f->state == FRAME_OUT)
		took = now_us - f->sent_us;
	if (f->head.kind != FRAME_MESSAGE) {
		*bytes_of(o, f) -= f->weight;
		o->stats.acked_bytes += f->weight;
		flow_acked(&o->flow, f->weight, took, now_us);
		flow_acked(&o->wire, f->head.len, took, now_us);
	}
	if (f->state == FRAME_OUT)
		credit(&o->channel[f->channel], f->weight, took, now_us);
	uncharge_all(o, f);
	f->acked = true;
	if (f->state == FRAME_QUEUED) {
		queue_remove(o, f);
		queue_count_raw(o, f);
	}
	if (f->writers == 0)
		queue_release(o, f);
}

/* Acknowledgements may overtake each other. */
static void hear(struct outbox_far *far, const struct ack *a)
{
	if (a->placed >= far->placed)
		*far = (struct outbox_far){ a->backlog, a->placed, a->busy_us };
}

int outbox_acked(struct outbox *o, const struct ack *a, struct error *e)
{
	const struct ack_range *last =
		a->ranges ? &a->range[a->ranges - 1] : NULL;
	uint64_t now;

	WITH_LOCK(&o->lock);

	/* In here, so that time does not run backwards for the flow when two
	 * channels acknowledge at once. */
	now = clock_us();
	if (a->below > o->next_seq ||
	    (last && last->first + last->count > o->next_seq))
		return error_set(e, EBADMSG,
				 "acknowledges frames that were never sent");
	hear(&o->stats.far_end, a);
	o->acks++;
	for (uint64_t s = o->base; s < a->below; s++)
		acknowledge(o, s, now);
	for (unsigned i = 0; i < a->ranges; i++)
		for (uint64_t k = 0; k < a->range[i].count; k++)
			acknowledge(o, a->range[i].first + k, now);
	while (o->base < o->next_seq && !*queue_slot(o, o->base))
		o->base++;
	if (o->mark_seq > 0 && o->mark_us == 0 && o->base >= o->mark_seq)
		o->mark_us = now;
	pthread_cond_broadcast(&o->changed);
	if (o->limited > 0 && o->head)
		pthread_cond_broadcast(&o->work);
	/* The taker has its buffers back, and channels have room. */
	offer(o);
	return 0;
}

void outbox_mark(struct outbox *o)
{
	WITH_LOCK(&o->lock);

	if (o->mark_seq > 0)
		return;
	o->mark_seq = o->next_seq;
	if (o->base == o->next_seq)
		o->mark_us = clock_us();
}

uint64_t outbox_mark_acked_us(struct outbox *o)
{
	WITH_LOCK(&o->lock);

	return o->mark_us;
}

void outbox_channel_alive(struct outbox *o, unsigned channel)
{
	WITH_LOCK(&o->lock);

	o->channel[channel] = (struct outbox_channel){ .alive = true };
	flow_init(&o->channel[channel].flow, clock_us());
	o->channel[channel].flow.bulk = o->phase == PHASE_BULK;
	pthread_cond_broadcast(&o->changed);
}

void outbox_channel_stop(struct outbox *o, unsigned channel)
{
	WITH_LOCK(&o->lock);

	o->channel[channel].stopped = true;
	o->channel[channel].alive = false;
	pthread_cond_broadcast(&o->work);
}

uint64_t outbox_channel_acked(struct outbox *o, unsigned channel)
{
	WITH_LOCK(&o->lock);

	return o->channel[channel].acked;
}

struct outbox_flow outbox_channel_flow(struct outbox *o, unsigned channel)
{
	const struct outbox_channel *c = &o->channel[channel];

	WITH_LOCK(&o->lock);

	return (struct outbox_flow){ .rate = c->flow.rate,
				     .rtt_us = c->flow.rtt_us,
				     .limit = flow_limit(&c->flow),
				     .in_flight = c->bytes };
}

/* Of bytes as they leave, what @f, of bytes before they are pressed, is. */
static uint64_t on_wire(const struct outbox *o, const struct flow_control *f)
{
	if (o->flow.rate == 0)
		return f->rate;
	return (uint64_t)((double)f->rate * (double)o->wire.rate /
			  (double)o->flow.rate);
}

/* What was measured is not waited for to come down: QEMU goes by it, and so
 * does what may wait. */
static void slow_down(struct outbox *o, struct flow_control *f, uint64_t rate)
{
	const uint64_t now_us = clock_us(), is = on_wire(o, f);
	uint64_t before = 0, after = 0;

	if (is <= rate)
		return;
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		before += o->channel[i].alive ? o->channel[i].flow.rate : 0;
	after = before - f->rate;
	flow_slowed(f, (uint64_t)((double)f->rate * (double)rate / (double)is),
		    now_us);
	after += f->rate;
	if (before == 0)
		return;
	flow_slowed(&o->flow,
		    (uint64_t)((double)o->flow.rate * (double)after /
			       (double)before),
		    now_us);
	flow_slowed(&o->wire,
		    (uint64_t)((double)o->wire.rate * (double)after /
			       (double)before),
		    now_us);
}

void outbox_channel_pace(struct outbox *o, unsigned channel, uint64_t rate,
			 bool paced)
{
	struct outbox_channel *c = &o->channel[channel];

	WITH_LOCK(&o->lock);

	c->pace = paced || rate == UINT64_MAX ? 0 : rate;
	slow_down(o, &c->flow, rate);
	pthread_cond_broadcast(&o->work);
}

/* Back into the queue before the first frame with a higher number. */
static void requeue(struct outbox *o, struct frame_out *f)
{
	struct frame_out *after = o->head;

	uncharge_all(o, f);
	queue_uncount_raw(o, f);
	while (after && after->head.seq < f->head.seq)
		after = after->next;
	queue_between(o, after ? after->prev : o->tail, f, after);
	f->resent = true;
	o->stats.resent_frames++;
	o->stats.resent_bytes += f->head.len;
}

void outbox_channel_died(struct outbox *o, unsigned channel)
{
	WITH_LOCK(&o->lock);

	for (uint64_t s = o->next_seq; s-- > o->base;) {
		struct frame_out *f = *queue_slot(o, s);

		if (!f || f->state != FRAME_OUT)
			continue;
		if (f->channel == channel && f->pair) {
			uncharge_all(o, f);
			f->state = FRAME_HELD;
		} else if (f->channel == channel) {
			requeue(o, f);
		} else if (f->before == channel) {
			uncharge(o, channel, f);
			f->before = NO_CHANNEL;
		}
	}
	pthread_cond_broadcast(&o->work);
	offer(o);
}

bool outbox_hold(struct outbox *o, struct frame_out *f, uint32_t pair)
{
	WITH_LOCK(&o->lock);

	if (!pick_may_write(f))
		return false;
	f->pair = pair;
	return true;
}

void outbox_unhold(struct outbox *o, struct frame_out *f)
{
	WITH_LOCK(&o->lock);

	f->pair = 0;
}

void outbox_let_go(struct outbox *o, uint32_t pair)
{
	WITH_LOCK(&o->lock);

	for (uint64_t s = o->next_seq; s-- > o->base;) {
		struct frame_out *f = *queue_slot(o, s);

		if (!f || f->pair != pair)
			continue;
		f->pair = 0;
		requeue(o, f);
	}
	pthread_cond_broadcast(&o->work);
	offer(o);
}

static bool is_acked(struct outbox *o, uint64_t seq)
{
	return seq < o->base || !*queue_slot(o, seq);
}

bool outbox_is_acked(struct outbox *o, uint64_t seq)
{
	WITH_LOCK(&o->lock);

	return is_acked(o, seq);
}

int outbox_wait_acked(struct outbox *o, uint64_t seq, uint64_t deadline_us)
{
	const struct timespec until = clock_timespec(deadline_us);

	WITH_LOCK(&o->lock);

	while (!is_acked(o, seq)) {
		if (o->closed)
			return -EPIPE;
		if (pthread_cond_timedwait(&o->changed, &o->lock, &until))
			return -ETIMEDOUT;
	}
	return 0;
}

int outbox_wait_empty(struct outbox *o, uint64_t deadline_us)
{
	const struct timespec until = clock_timespec(deadline_us);

	WITH_LOCK(&o->lock);

	while (o->base != o->next_seq) {
		if (o->closed)
			return -EPIPE;
		if (pthread_cond_timedwait(&o->changed, &o->lock, &until))
			return -ETIMEDOUT;
	}
	return 0;
}

int outbox_wait_change(struct outbox *o)
{
	const struct timespec until =
		clock_timespec(clock_us() + 100 * USEC_PER_MS);

	WITH_LOCK(&o->lock);

	if (!o->closed)
		pthread_cond_timedwait(&o->changed, &o->lock, &until);
	return o->closed ? -EPIPE : 0;
}

int outbox_wait_acks(struct outbox *o, uint64_t *seen)
{
	const struct timespec until =
		clock_timespec(clock_us() + 100 * USEC_PER_MS);

	WITH_LOCK(&o->lock);

	while (!o->closed && *seen == o->acks)
		if (pthread_cond_timedwait(&o->changed, &o->lock, &until))
			break;
	*seen = o->acks;
	return o->closed ? -EPIPE : 0;
}

bool outbox_is_small(struct outbox *o)
{
	WITH_LOCK(&o->lock);

	return o->unacked_bytes < (pick_limit(o) + pick_travels(o)) / 2;
}

uint64_t outbox_waited_us(struct outbox *o)
{
	return atomic_load_explicit(&o->waited_us, memory_order_relaxed);
}

void outbox_stats(struct outbox *o, struct outbox_stats *ret)
{
	WITH_LOCK(&o->lock);

	*ret = o->stats;
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		ret->channels += o->channel[i].alive;
	ret->pressed = o->pressed;
	ret->unacked_bytes = o->unacked_bytes;
	ret->rate = o->flow.rate;
	ret->wire_rate = o->wire.rate;
	ret->rtt_us = o->flow.rtt_us;
}
