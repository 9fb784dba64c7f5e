/* SPDX-License-Identifier: MIT */
#include "lanes/lane.h"

#include <stdio.h>

#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "frames/outbox.h"

/* The lock is held.  Whether somebody has to hear of it: one that is starting
 * is heard of when it has. */
static bool end_once(struct lane *c, const char *why)
{
	const bool was_alive = c->state == LANE_ALIVE;

	if (c->failed)
		return false;
	c->failed = true;
	if (was_alive)
		c->state = LANE_DYING;
	snprintf(c->why, sizeof(c->why), "%s", why);
	outbox_channel_stop(c->lanes->out, c->slot);
	c->channel->kind->shutdown(c->channel);
	return was_alive;
}

static void tell(struct lanes *l, bool ended)
{
	if (ended)
		l->calls.ended(l->calls.context);
}

void lane_fail(struct lane *c, const struct error *e)
{
	struct lanes *l = c->lanes;
	bool ended;

	{
		WITH_LOCK(&l->lock);

		ended = end_once(c, atomic_load(&l->closed) ? "done" : e->text);
	}
	tell(l, ended);
}

void lane_drop(struct lane *c, uint64_t number, bool let_go, const char *why)
{
	struct lanes *l = c->lanes;
	bool ended = false;

	{
		WITH_LOCK(&l->lock);

		if (c->state == LANE_ALIVE && c->number == number) {
			c->let_go = let_go;
			ended = end_once(c, why);
		}
	}
	tell(l, ended);
}
