/* SPDX-License-Identifier: MIT */
#include "rdma/fence.h"

bool fence_may_write(const struct fence_facts *f)
{
	return f->connected && f->promised && !f->over && !f->destroyed_there &&
	       !f->destroyed_here;
}

bool fence_may_leave(const struct fence_facts *f)
{
	return f->destroyed_there;
}

/* One that was never dialled has none that a card could read. */
bool fence_may_free(const struct fence_facts *f)
{
	return f->destroyed_here || !f->dialled;
}

enum fence_step fence_next(const struct fence_facts *f, bool stopped)
{
	const bool over = f->over || f->destroyed_there;

	if (!over)
		return f->offered && !f->dialled ? FENCE_DIAL : FENCE_WAIT;
	if (f->dialled && !f->destroyed_here && !stopped)
		return FENCE_STOP;
	if (fence_may_leave(f) && !f->released)
		return FENCE_RELEASE;
	return f->released && fence_may_free(f) ? FENCE_FORGET : FENCE_WAIT;
}
