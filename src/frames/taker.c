/* SPDX-License-Identifier: MIT */
#include "frames/taker.h"

#include "base/pool.h"
#include "base/scope.h"
#include "frames/pick.h"
#include "frames/queue.h"

void outbox_set_taker(struct outbox *o, struct taker *t, unsigned ahead,
		      bool always)
{
	WITH_LOCK(&o->lock);

	o->taker = t;
	o->taker_ahead = ahead;
	o->taker_always = always;
}

struct frame_out *outbox_taker_take(struct outbox *o)
{
	struct frame_out *f;

	WITH_LOCK(&o->lock);

	if (o->closed)
		return NULL;
	f = pick_for_worker(o);
	if (f) {
		f->press = PRESS_BUSY;
		f->writers++;
	}
	return f;
}

void outbox_taker_rest(struct outbox *o, uint64_t until_us)
{
	WITH_LOCK(&o->lock);

	o->taker_rest_us = until_us;
}

/* Nobody else reads it: it is queued and was never taken, or all who took it
 * have ended. */
static void replace(struct outbox *o, struct frame_out *f, struct buffer *b,
		    size_t len)
{
	o->stats.press.in += f->head.len;
	o->stats.press.out += len;
	o->pressed++;
	for (unsigned i = 0; i < f->buffers; i++)
		buffer_drop(f->buffer[i]);
	f->buffer[0] = b;
	f->buffers = 1;
	f->iov[0] = (struct iovec){ b->data, len };
	f->iovs = 1;
	f->head.len = (uint32_t)len;
	f->press = PRESS_DONE;
	atomic_store(&f->summed, false);
}

/* What the worker has is of no use, or there is nothing. */
static void leave_raw(struct outbox *o, struct frame_out *f, bool in_vain)
{
	if (!in_vain)
		o->stats.press.taken_back += f->weight;
	if (!f->acked && f->state == FRAME_QUEUED) {
		if (in_vain)
			o->stats.press.incompressible += f->weight;
		else
			queue_count_raw(o, f);
	}
	/* It may be queued again, when its channel dies. */
	f->press = PRESS_NOT;
}

void outbox_taker_done(struct outbox *o, struct frame_out *f, struct buffer *b,
		       size_t len)
{
	struct buffer *unused = b;

	{
		WITH_LOCK(&o->lock);

		f->writers--;
		if (f->state == FRAME_QUEUED && !f->acked && f->writers == 0 &&
		    b) {
			replace(o, f, b, len);
			unused = NULL;
		} else {
			leave_raw(o, f, /* in_vain */ !b);
		}
		if (f->acked && f->writers == 0) {
			queue_release(o, f);
			pthread_cond_broadcast(&o->changed);
		}
		/* Who is not lean waits for this. */
		if (o->taker_always || o->limited > 0)
			pthread_cond_broadcast(&o->work);
	}
	buffer_drop(unused);
}
