/* SPDX-License-Identifier: MIT */
#include "frames/queue.h"

#include <stdlib.h>

#include "base/pool.h"

void queue_release(struct outbox *o, struct frame_out *f)
{
	for (unsigned i = 0; i < f->buffers; i++)
		buffer_drop(f->buffer[i]);
	if (f->press == PRESS_DONE)
		o->pressed--;
	free(f->owned);
	if (!f->pooled) {
		free(f);
		return;
	}
	f->owned = NULL;
	f->buffers = 0;
	f->state = FRAME_FREE;
	f->next = o->free;
	o->free = f;
}

void queue_between(struct outbox *o, struct frame_out *before,
		   struct frame_out *f, struct frame_out *after)
{
	f->prev = before;
	f->next = after;
	*(before ? &before->next : &o->head) = f;
	*(after ? &after->prev : &o->tail) = f;
	f->state = FRAME_QUEUED;
}

void queue_remove(struct outbox *o, struct frame_out *f)
{
	*(f->prev ? &f->prev->next : &o->head) = f->next;
	*(f->next ? &f->next->prev : &o->tail) = f->prev;
	f->prev = f->next = NULL;
}

void queue_count_raw(struct outbox *o, struct frame_out *f)
{
	if (f->press != PRESS_WAITING && f->press != PRESS_BUSY)
		return;
	o->stats.press.free += f->weight;
	f->left_raw = true;
}

void queue_uncount_raw(struct outbox *o, struct frame_out *f)
{
	if (!f->left_raw ||
	    (f->press != PRESS_WAITING && f->press != PRESS_BUSY))
		return;
	o->stats.press.free -= f->weight;
	f->left_raw = false;
}
