/* SPDX-License-Identifier: MIT */
#include "session/aside.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "frames/queue.h"
#include "lanes/lanes.h"
#include "nic/watch.h"

_Static_assert((int)RDMA_POLICY_WHY <= (int)RDMA_WHY, "a reason fits");

static bool may(const struct aside *a, const struct nic_address *at,
		char why[static RDMA_WHY])
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(a->watch);
	const struct nic *n = inventory_by_address(inv, at->family, at->bytes);

	return rdma_policy_may(&a->policy, n ? n->name : "", at, a->secured,
			       why);
}

static bool source_may(void *context, const struct lane_view *v,
		       char why[static RDMA_WHY])
{
	return may(context, &v->local, why);
}

static void source_news(void *context)
{
	const struct aside *a = context;

	a->news(a->context);
}

static bool sink_refuses(void *context, const struct nic_address *at,
			 char why[static RDMA_WHY])
{
	const struct aside *a = context;

	if (atomic_load(&a->admitted))
		return !may(a, at, why);
	snprintf(why, RDMA_WHY, "nothing was asked for that has pages");
	return true;
}

int aside_dials(struct aside *a, struct error *e)
{
	const struct rdma_source_options o = { .peer = a->peer,
					       .lanes = a->lanes,
					       .out = a->out,
					       .may = source_may,
					       .news = source_news,
					       .context = a };

	if (!a->used || !a->watch)
		return 0;
	if (rdma_source_new(&a->source, &o, e) < 0)
		return error_code(e);
	lanes_set_aside(a->lanes, rdma_source_aside(a->source));
	return 0;
}

int aside_accepts(struct aside *a, uint64_t session, struct error *e)
{
	const struct rdma_sink_options o = { .peer = a->peer,
					     .lanes = a->lanes,
					     .session = session,
					     .refuses = sink_refuses,
					     .context = a };

	if (!a->used || !a->watch)
		return 0;
	if (rdma_sink_new(&a->sink, &o, e) < 0)
		return error_code(e);
	lanes_set_aside(a->lanes, rdma_sink_aside(a->sink));
	return 0;
}

void aside_admit(struct aside *a)
{
	atomic_store(&a->admitted, true);
}

void aside_begin(struct aside *a, uint64_t session)
{
	if (a->source)
		rdma_source_begin(a->source, session);
}

void aside_tend(struct aside *a)
{
	if (a->source)
		rdma_source_tend(a->source);
	if (a->sink)
		rdma_sink_tend(a->sink);
}

void aside_view(struct aside *a, struct rdma_view *ret)
{
	*ret = (struct rdma_view){ 0 };
	if (a->source)
		rdma_source_view(a->source, ret);
}

bool aside_required(struct aside *a)
{
	struct lane_view lanes[CHANNELS_MAX];
	unsigned n = lanes_view(a->lanes, lanes);
	AUTO_INVENTORY struct inventory *inv = NULL;

	if (!a->used || !a->watch)
		return false;
	inv = nic_watch_get(a->watch);
	for (unsigned i = 0; i < n; i++) {
		const struct nic_address *at = &lanes[i].local;
		const struct nic *nic =
			inventory_by_address(inv, at->family, at->bytes);

		if (rdma_policy_requires(&a->policy, nic ? nic->name : "", at))
			return true;
	}
	return false;
}

void aside_end(struct aside *a)
{
	if (a->source)
		rdma_source_end(a->source);
	if (a->sink)
		rdma_sink_end(a->sink);
}

void aside_free(struct aside *a)
{
	rdma_source_free(a->source);
	rdma_sink_free(a->sink);
	a->source = NULL;
	a->sink = NULL;
}
