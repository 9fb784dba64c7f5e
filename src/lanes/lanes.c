/* SPDX-License-Identifier: MIT */
#include "lanes/lanes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/thread.h"
#include "channel/channel.h"
#include "codec/codec.h"
#include "frames/outbox.h"
#include "lanes/lane.h"
#include "lanes/reader.h"
#include "lanes/writer.h"

int lanes_new(struct lanes **ret, const struct lanes_options *o,
	      struct error *e)
{
	struct lanes *l = calloc(1, sizeof(*l));

	if (!l)
		return error_set(e, ENOMEM, "no memory for channels");
	l->peer = o->peer;
	l->out = o->out;
	l->in = o->in;
	l->calls = o->calls;
	pthread_mutex_init(&l->lock, NULL);
	atomic_store(&l->heard_us, clock_us());
	for (unsigned i = 0; i < CHANNELS_MAX; i++) {
		l->lane[i].lanes = l;
		l->lane[i].slot = i;
	}
	*ret = l;
	return 0;
}

void lanes_free(struct lanes *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	for (unsigned i = 0; i < LANES_ANNOUNCE; i++)
		free(l->announcement[i]);
	free(l);
}

void lanes_set_session(struct lanes *l, uint64_t session)
{
	l->session = session;
}

/* --- adding */

static struct lane *free_slot(struct lanes *l)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (l->lane[i].state == LANE_FREE)
			return &l->lane[i];
	return NULL;
}

/* Without the lock: a reader that has to end again asks for it. */
static int start_threads(struct lane *c, struct error *e)
{
	int r;

	r = thread_create(&c->reader, "channel in", reader_main, c);
	if (r != 0)
		return error_set(e, r, "no thread for a channel");
	r = thread_create(&c->writer, "channel out", writer_main, c);
	if (r == 0)
		return 0;
	c->channel->kind->shutdown(c->channel);
	pthread_join(c->reader, NULL);
	return error_set(e, r, "no thread for a channel");
}

static struct lane *take_slot(struct lanes *l, struct channel *channel,
			      unsigned owner, struct error *e)
{
	struct lane *c;

	WITH_LOCK(&l->lock);

	c = atomic_load(&l->closed) ? NULL : free_slot(l);
	if (!c) {
		error_set(e, EBUSY,
			  "the session with %s takes no more channels",
			  l->peer);
		return NULL;
	}
	c->buffer = channel_buffer_new(channel, FRAME_MAX_PAYLOAD);
	if (!c->buffer) {
		error_set(e, ENOMEM, "no memory for a channel");
		return NULL;
	}
	c->channel = channel;
	c->number = ++l->numbers;
	c->owner = owner;
	memset(c->announced, 0, sizeof(c->announced));
	c->let_go = false;
	c->why[0] = '\0';
	c->failed = false;
	c->pace = CHANNEL_FREE;
	c->marks = (struct channel_marks){ -1, -1 };
	c->congestion[0] = '\0';
	c->connected_us = clock_us();
	atomic_store(&c->sent, 0);
	atomic_store(&c->received, 0);
	atomic_store(&c->aside, 0);
	outbox_channel_alive(l->out, c->slot);
	c->state = LANE_STARTING;
	return c;
}

static void slot_started(struct lane *c, bool started)
{
	struct lanes *l = c->lanes;
	bool ended = false;

	{
		WITH_LOCK(&l->lock);

		if (started) {
			ended = c->failed;
			c->state = ended ? LANE_DYING : LANE_ALIVE;
		} else {
			outbox_channel_stop(l->out, c->slot);
			channel_buffer_free(c->channel, c->buffer);
			c->channel = NULL;
			c->state = LANE_FREE;
		}
	}
	if (ended)
		l->calls.ended(l->calls.context);
}

int lanes_add(struct lanes *l, struct channel *channel, unsigned owner,
	      struct error *e)
{
	struct lane *c = take_slot(l, channel, owner, e);
	int r = c ? start_threads(c, e) : error_code(e);

	if (c)
		slot_started(c, r == 0);
	if (r < 0)
		channel_free(channel);
	return r;
}

void lanes_drop(struct lanes *l, uint64_t number, bool let_go, const char *why)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		lane_drop(&l->lane[i], number, let_go, why);
}

/* Locked. */
static struct lane *living(struct lanes *l, uint64_t number)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (l->lane[i].state == LANE_ALIVE &&
		    l->lane[i].number == number)
			return &l->lane[i];
	return NULL;
}

void lanes_pace(struct lanes *l, uint64_t number, uint64_t rate)
{
	struct channel *channel;
	struct error ignored;
	struct lane *c;
	bool paced;

	WITH_LOCK(&l->lock);

	c = living(l, number);
	if (!c || c->pace == rate)
		return;
	c->pace = rate;
	channel = c->channel;
	paced = channel->kind->pace &&
		channel->kind->pace(channel, rate, &ignored) == 0;
	outbox_channel_pace(l->out, c->slot, rate, paced);
}

int lanes_mark(struct lanes *l, uint64_t number,
	       const struct channel_marks *marks, struct error *e)
{
	struct lane *c;

	WITH_LOCK(&l->lock);

	c = living(l, number);
	if (!c || !c->channel->kind->mark ||
	    memcmp(&c->marks, marks, sizeof(*marks)) == 0)
		return 0;
	c->marks = *marks;
	return c->channel->kind->mark(c->channel, marks, e);
}

int lanes_congest(struct lanes *l, uint64_t number, const char *name,
		  struct error *e)
{
	struct lane *c;

	WITH_LOCK(&l->lock);

	c = living(l, number);
	if (!c || !c->channel->kind->congest || !strcmp(c->congestion, name))
		return 0;
	snprintf(c->congestion, sizeof(c->congestion), "%s", name);
	return c->channel->kind->congest(c->channel, name, e);
}

/* --- looking */

static void count_one(struct lanes_count *n, const struct lane *c)
{
	n->alive += c->state == LANE_ALIVE || c->state == LANE_STARTING;
	n->starting += c->state == LANE_STARTING;
	n->dying += c->state == LANE_DYING || c->state == LANE_ENDED;
}

struct lanes_count lanes_count_of(struct lanes *l, unsigned owner)
{
	struct lanes_count n = { 0 };

	WITH_LOCK(&l->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (l->lane[i].owner == owner)
			count_one(&n, &l->lane[i]);
	return n;
}

struct lanes_count lanes_count(struct lanes *l)
{
	struct lanes_count n = { 0 };

	WITH_LOCK(&l->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		count_one(&n, &l->lane[i]);
	return n;
}

static void view_one(struct lane_view *v, const struct lane *c)
{
	const struct channel *channel = c->channel;
	struct channel_stats st;

	channel->kind->stats(c->channel, &st);
	*v = (struct lane_view){
		.number = c->number,
		.slot = c->slot,
		.owner = c->owner,
		.alive = c->state == LANE_ALIVE,
		.starting = c->state == LANE_STARTING,
		.let_go = c->let_go,
		.kind = channel->kind->name,
		.local = channel->local,
		.remote = channel->remote,
		.local_port = channel->local_port,
		.remote_port = channel->remote_port,
		.queue = st.queue,
		.sent = atomic_load(&c->sent),
		.received = atomic_load(&c->received),
		.aside = atomic_load(&c->aside),
		.acked = outbox_channel_acked(c->lanes->out, c->slot),
		.flow = outbox_channel_flow(c->lanes->out, c->slot),
		.retransmissions = st.retransmissions,
		.wire = st,
		.pace = c->pace,
		.age_us = clock_us() - c->connected_us,
	};
	memcpy(v->from, channel->from, sizeof(v->from));
	memcpy(v->to, channel->to, sizeof(v->to));
	memcpy(v->why, c->why, sizeof(v->why));
}

unsigned lanes_view(struct lanes *l, struct lane_view *ret)
{
	unsigned n = 0;

	WITH_LOCK(&l->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (l->lane[i].state != LANE_FREE)
			view_one(&ret[n++], &l->lane[i]);
	return n;
}

bool lanes_use_port(struct lanes *l, uint16_t local_port)
{
	WITH_LOCK(&l->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (l->lane[i].state != LANE_FREE &&
		    l->lane[i].channel->local_port == local_port)
			return true;
	return false;
}

struct lanes_sums lanes_sums(struct lanes *l)
{
	struct lanes_sums r;

	WITH_LOCK(&l->lock);

	r = (struct lanes_sums){ l->sent_gone, l->received_gone, l->aside_gone,
				 l->damaged };
	for (unsigned i = 0; i < CHANNELS_MAX; i++) {
		if (l->lane[i].state == LANE_FREE)
			continue;
		r.sent += atomic_load(&l->lane[i].sent);
		r.received += atomic_load(&l->lane[i].received);
		r.aside += atomic_load(&l->lane[i].aside);
	}
	return r;
}

uint64_t lanes_heard_us(struct lanes *l)
{
	return atomic_load(&l->heard_us);
}

void lanes_heard(struct lanes *l)
{
	atomic_store(&l->heard_us, clock_us());
}

/* --- what they carry */

void lanes_set_page_sink(struct lanes *l, const struct page_sink *sink)
{
	atomic_store(&l->sink, sink);
}

void lanes_set_block_sink(struct lanes *l, const struct block_sink *sink)
{
	atomic_store(&l->blocks, sink);
}

void lanes_announce(struct lanes *l, enum lanes_announce what, char *text)
{
	{
		WITH_LOCK(&l->lock);

		if (l->announcement[what] &&
		    !strcmp(l->announcement[what], text)) {
			free(text);
			return;
		}
		free(l->announcement[what]);
		l->announcement[what] = text;
		atomic_fetch_add(&l->announced[what], 1);
	}
	/* One writer looks at once; the others do within HEARTBEAT_US. */
	outbox_ack_due(l->out);
}

void lanes_set_aside(struct lanes *l, const struct lane_aside *aside)
{
	l->aside = aside;
}

int lanes_place(struct lanes *l, uint64_t seq, const struct iovec *meta,
		const struct iovec *data, struct error *e)
{
	return reader_place(l, seq, meta, data, e);
}

void lanes_broken(struct lanes *l, const char *why)
{
	l->calls.broken(l->calls.context, why);
}

/* --- ending */

void lanes_close(struct lanes *l, bool failed, const char *why)
{
	WITH_LOCK(&l->lock);

	l->closed_failed = failed;
	snprintf(l->closed_why, sizeof(l->closed_why), "%s", why);
	atomic_store(&l->closed, true);
}

void lanes_cut(struct lanes *l)
{
	WITH_LOCK(&l->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (l->lane[i].state != LANE_FREE)
			l->lane[i].channel->kind->shutdown(l->lane[i].channel);
}

static struct lane *first_dying(struct lanes *l)
{
	WITH_LOCK(&l->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (l->lane[i].state == LANE_DYING)
			return &l->lane[i];
	return NULL;
}

bool lanes_next_ended(struct lanes *l, struct lane_view *ret)
{
	struct lane *c = first_dying(l);

	if (!c)
		return false;
	pthread_join(c->reader, NULL);
	pthread_join(c->writer, NULL);
	outbox_channel_died(l->out, c->slot);

	WITH_LOCK(&l->lock);

	c->state = LANE_ENDED;
	view_one(ret, c);
	return true;
}

void lanes_bury(struct lanes *l, uint64_t number)
{
	WITH_LOCK(&l->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++) {
		struct lane *c = &l->lane[i];

		if (c->state != LANE_ENDED || c->number != number)
			continue;
		l->sent_gone += atomic_load(&c->sent);
		l->received_gone += atomic_load(&c->received);
		l->aside_gone += atomic_load(&c->aside);
		channel_buffer_free(c->channel, c->buffer);
		channel_free(c->channel);
		free(c->pages);
		codec_state_free(c->codecs);
		c->pages = NULL;
		c->codecs = NULL;
		c->channel = NULL;
		c->owner = LANE_NO_OWNER;
		c->state = LANE_FREE;
	}
}
