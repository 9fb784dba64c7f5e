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

void queue_uncount_raw(struct outbox *o, struct frame_out *f)
{
	if (!f->left_raw ||
	    (f->press != PRESS_WAITING && f->press != PRESS_BUSY))
		return;
	o->stats.press.free -= f->weight;
	f->left_raw = false;
}
