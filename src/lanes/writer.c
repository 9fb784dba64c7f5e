/* SPDX-License-Identifier: MIT */
#include "lanes/writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "lanes/lane.h"
#include "wire/frame.h"

/* What is left of a frame whose pages travel aside: the part before them. */
static int write_head_of(struct lane *c, const struct frame_out *f,
			 struct frame_head *h, struct error *e)
{
	uint8_t head[FRAME_HEAD_SIZE];
	struct iovec iov[2] = { { head, sizeof(head) }, f->iov[0] };

	h->sum = frame_sum(&f->iov[0], 1);
	frame_head_write(h, c->lanes->session, head);
	if (c->channel->kind->write(c->channel, iov, 2, e) < 0)
		return error_code(e);
	atomic_fetch_add(&c->sent, sizeof(head) + h->len);
	atomic_fetch_add(&c->aside, f->head.len - h->len);
	return 0;
}

static int write_frame(struct lane *c, struct frame_out *f, struct error *e)
{
	const struct lane_aside *aside = c->lanes->aside;
	struct frame_head apart = f->head;
	struct iovec iov[2 + BATCH_MAX_PAGES];
	uint8_t head[FRAME_HEAD_SIZE];

	if (aside && f->head.kind == FRAME_PAGES && f->iovs > 1 &&
	    aside->write(aside->context, c->number, f, &apart))
		return write_head_of(c, f, &apart, e);
	if (!atomic_load(&f->summed)) {
		f->head.sum = frame_sum(f->iov, f->iovs);
		atomic_store(&f->summed, true);
	}
	frame_head_write(&f->head, c->lanes->session, head);
	iov[0] = (struct iovec){ head, sizeof(head) };
	memcpy(&iov[1], f->iov, (size_t)f->iovs * sizeof(iov[0]));
	if (c->channel->kind->write(c->channel, iov, f->iovs + 1, e) < 0)
		return error_code(e);
	atomic_fetch_add(&c->sent, sizeof(head) + f->head.len);
	return 0;
}

static int write_plain(struct lane *c, struct frame_head *h,
		       const void *payload, struct error *e)
{
	uint8_t head[FRAME_HEAD_SIZE];
	struct iovec iov[2] = { { head, sizeof(head) },
				{ (void *)(uintptr_t)payload, h->len } };

	h->sum = frame_sum(&iov[1], 1);
	frame_head_write(h, c->lanes->session, head);
	if (c->channel->kind->write(c->channel, iov, 2, e) < 0)
		return error_code(e);
	atomic_fetch_add(&c->sent, sizeof(head) + h->len);
	return 0;
}

/* What waits in the channels' sockets for their readers.  It is asked for pages
 * only, and a socket is not asked five times a second for nothing. */
static uint32_t backlog(struct lanes *l)
{
	uint64_t sum = 0;

	if (!atomic_load(&l->sink))
		return 0;

	WITH_LOCK(&l->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (l->lane[i].channel)
			sum += l->lane[i].channel->kind->unread(
				l->lane[i].channel);
	return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

static int write_ack(struct lane *c, struct error *e)
{
	uint8_t payload[ACK_MAX_PAYLOAD];
	struct frame_head h = { .kind = FRAME_ACK };
	struct lanes *l = c->lanes;
	struct ack a;

	inbox_ack(l->in, &a);
	a.backlog = backlog(l);
	a.placed = atomic_load(&l->placed);
	a.busy_us = atomic_load(&l->busy_us);
	h.len = (uint32_t)ack_write(&a, payload);
	return write_plain(c, &h, payload, e);
}

static void write_bye(struct lane *c)
{
	struct lanes *l = c->lanes;
	struct frame_head h = { .kind = FRAME_BYE };
	char why[sizeof(l->closed_why)];
	struct error ignored;

	{
		WITH_LOCK(&l->lock);

		if (!atomic_load(&l->closed) || c->failed)
			return;
		h.flags = l->closed_failed ? BYE_FAILED : 0;
		snprintf(why, sizeof(why), "%s", l->closed_why);
	}
	h.len = (uint32_t)strlen(why);
	/* What was applied counts, also when the session ends now. */
	if (write_ack(c, &ignored) == 0)
		write_plain(c, &h, why, &ignored);
	c->channel->kind->finish(c->channel);
}

/* What is announced, with its generation. */
static int announcement(struct lanes *l, enum lanes_announce what,
			uint64_t *ret_generation, char **ret, struct error *e)
{
	WITH_LOCK(&l->lock);

	*ret_generation = atomic_load(&l->announced[what]);
	*ret = strdup(l->announcement[what]);
	return *ret ? 0 : error_set(e, ENOMEM, "no memory to tell the peer");
}

static int write_announced(struct lane *c, enum lanes_announce what,
			   struct error *e)
{
	static const enum frame_kind kind[LANES_ANNOUNCE] = {
		[LANES_CARDS] = FRAME_CARDS,
		[LANES_RDMA] = FRAME_RDMA,
	};
	struct frame_head h = { .kind = kind[what] };
	AUTO_FREE char *text = NULL;

	if (announcement(c->lanes, what, &h.offset, &text, e) < 0)
		return error_code(e);
	c->announced[what] = h.offset;
	h.len = (uint32_t)strlen(text);
	return write_plain(c, &h, text, e);
}

static int write_next(struct lane *c, struct error *e)
{
	struct outbox *o = c->lanes->out;
	struct frame_out *f;
	int r;

	for (unsigned i = 0; i < LANES_ANNOUNCE; i++)
		if (c->announced[i] != atomic_load(&c->lanes->announced[i]))
			return write_announced(c, (enum lanes_announce)i, e);
	switch (outbox_take(o, c->slot, clock_us() + HEARTBEAT_US, &f)) {
	case OUTBOX_ACK:
		return write_ack(c, e);
	case OUTBOX_FRAME:
		r = write_frame(c, f, e);
		outbox_sent(o, f);
		return r;
	case OUTBOX_STOP:
		break;
	}
	write_bye(c);
	return error_set(e, ESHUTDOWN, "done");
}

void *writer_main(void *lane)
{
	struct lane *c = lane;
	struct error e;

	while (write_next(c, &e) == 0)
		;
	if (e.code != ESHUTDOWN)
		lane_fail(c, &e);
	return NULL;
}
