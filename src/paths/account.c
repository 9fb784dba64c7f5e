/* SPDX-License-Identifier: MIT */
#include "paths/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "lanes/lanes.h"
#include "nic/address.h"
#include "paths/path_set.h"
#include "paths/report.h"

enum {
	SAMPLE_US = 500000,
	SHORT_LIFE_US = 5000000,
	CARRIED_BYTES = 64 * 1024,         /* less is hellos and the like */
	REMEMBER_BYTES = 16 * 1024 * 1024, /* less says nothing of a path */
	PATH_CHANNELS_MAX = 16, /* dead ones that a report shows of a path */
};

/* The lanes that there are, at one moment. */
struct lanes_now {
	unsigned count;
	struct lane_view at[CHANNELS_MAX];
};

struct sums {
	uint64_t sent, received, rdma, retransmissions;
};

/* The lanes that it has now, and those that it had. */
static struct sums sums_of(const struct path *p, const struct lanes_now *now)
{
	struct sums r = { .sent = p->sent,
			  .received = p->received,
			  .rdma = p->rdma,
			  .retransmissions = p->retransmissions };

	for (unsigned i = 0; i < now->count; i++) {
		const struct lane_view *v = &now->at[i];

		if (v->owner != p->number)
			continue;
		r.sent += v->sent;
		r.received += v->received;
		r.rdma += v->aside;
		r.retransmissions += v->retransmissions;
	}
	return r;
}

static void put_channel(struct channel_report *r, const struct lane_view *v)
{
	r->slot = v->slot;
	r->sent = v->sent;
	r->received = v->received;
	r->rdma = v->aside;
	r->rate =
		v->age_us ? (v->sent + v->aside) * USEC_PER_SEC / v->age_us : 0;
	r->retransmissions = v->retransmissions;
	r->connected_ms = v->age_us / USEC_PER_MS;
	snprintf(r->transport, sizeof(r->transport), "%s", v->kind);
	memcpy(r->congestion, v->wire.congestion, sizeof(r->congestion));
	memcpy(r->from, v->from, sizeof(r->from));
	memcpy(r->to, v->to, sizeof(r->to));
	memcpy(r->why_ended, v->why, sizeof(r->why_ended));
	r->alive = !v->why[0];
	r->flow = v->flow;
	if (r->flow.rtt_us == UINT64_MAX)
		r->flow.rtt_us = 0;
}

static uint64_t carried(struct sums s)
{
	return s.sent + s.rdma;
}

/* --- lanes that end */

/* Without memory a report does not show it. */
static void note_gone(struct path *p, const struct lane_view *v)
{
	struct channel_report *grown;

	if (p->gone_count == PATH_CHANNELS_MAX)
		return;
	grown = reallocarray(p->gone, p->gone_count + 1, sizeof(*grown));
	if (!grown)
		return;
	p->gone = grown;
	put_channel(&p->gone[p->gone_count++], v);
}

static void count_gone(struct path *p, const struct lane_view *v)
{
	p->sent += v->sent;
	p->received += v->received;
	p->rdma += v->aside;
	p->retransmissions += v->retransmissions;
	note_gone(p, v);
}

static void note_drop(struct path *p, const struct lane_view *v)
{
	p->drops++;
	snprintf(p->why, sizeof(p->why), "%s", v->why);
	/* Where hellos pass and frames do not, say because a switch is without
	 * the cards' jumbo frames, every new lane would be a second lost.  One
	 * pause for all that ended together. */
	if (v->age_us >= SHORT_LIFE_US || v->acked >= CARRIED_BYTES)
		p->pause_us = 0;
	else if (p->next_us <= clock_us())
		path_pause(p);
	/* They were chosen beside this lane. */
	p->set->plan_due = p->set->plan_due || p->ports > 0;
	if (lanes_count_of(p->set->lanes, p->number).alive > 0 || p->failed)
		return;
	log_warning("session with %s: the path over %s is lost: %s",
		    p->set->peer, path_name(p), p->why);
	p->failed = p->set->plan_due = true;
}

void account_lost(struct path_set *set, const struct lane_view *v)
{
	WITH_LOCK(&set->lock);

	/* With the lock: no report counts it twice, or not at all. */
	lanes_bury(set->lanes, v->number);
	if (v->owner != LANE_NO_OWNER) {
		struct path *p = set->path[v->owner - 1];

		count_gone(p, v);
		if (!set->ended && !v->let_go)
			note_drop(p, v);
	}
	path_set_wake(set);
}

/* --- rates */

static bool is_due(const struct path *p, uint64_t now_us)
{
	return !p->sample_us || now_us - p->sample_us >= SAMPLE_US;
}

static bool any_due(const struct path_set *set, uint64_t now_us)
{
	for (unsigned i = 0; i < set->paths; i++)
		if (is_due(set->path[i], now_us))
			return true;
	return false;
}

static void measure(struct path *p, uint64_t sent, uint64_t now_us)
{
	uint64_t passed = now_us - p->sample_us;

	if (p->sample_us) {
		uint64_t rate =
			(sent - p->sample_bytes) * USEC_PER_SEC / passed;

		if (rate > p->peak_rate)
			p->peak_rate = rate;
	}
	p->sample_us = now_us;
	p->sample_bytes = sent;
}

void account_measure(struct path_set *set)
{
	uint64_t now_us = clock_us();
	struct lanes_now now;

	WITH_LOCK(&set->lock);

	if (!any_due(set, now_us))
		return;
	now.count = lanes_view(set->lanes, now.at);
	for (unsigned i = 0; i < set->paths; i++)
		if (is_due(set->path[i], now_us))
			measure(set->path[i],
				carried(sums_of(set->path[i], &now)), now_us);
}

void account_remember(struct path_set *set)
{
	for (unsigned i = 0; set->watch && i < set->paths; i++) {
		const struct path *p = set->path[i];

		if (!p->given && p->sent > REMEMBER_BYTES)
			nic_watch_delivered(set->watch, &p->route[0].from,
					    &p->route[0].to, p->peak_rate);
	}
}

/* --- reports */

/* Those of an owner, after the @gone ones that it had. */
static int put_channels(struct channel_report **ret, size_t *ret_count,
			const struct lanes_now *now, unsigned owner,
			const struct path *p)
{
	unsigned gone = p ? p->gone_count : 0;
	struct channel_report *all =
		calloc(gone + now->count + 1, sizeof(*all));
	size_t count = gone;

	if (!all)
		return -ENOMEM;
	if (gone > 0)
		memcpy(all, p->gone, gone * sizeof(*all));
	for (unsigned i = 0; i < now->count; i++)
		if (now->at[i].owner == owner)
			put_channel(&all[count++], &now->at[i]);
	*ret = all;
	*ret_count = count;
	return 0;
}

static enum path_state state_of(const struct path *p)
{
	if (p->given)
		return PATH_GIVEN;
	if (p->failed)
		return PATH_FAILED;
	return p->use == PAIR_SPARE ? PATH_SPARE : PATH_USED;
}

static void put_names(struct path_report *r, const struct path *p)
{
	memcpy(r->near, p->near, sizeof(r->near));
	memcpy(r->far, p->far, sizeof(r->far));
	memcpy(r->why, p->why, sizeof(r->why));
	memcpy(r->flows, p->flows, sizeof(r->flows));
	memcpy(r->reason, p->reason, sizeof(r->reason));
	if (p->given)
		return;
	nic_address_host(r->from, &p->route[p->turn % p->routes].from);
	nic_address_host(r->to, &p->route[p->turn % p->routes].to);
}

static int put_path(struct path_report *r, const struct path_set *set,
		    const struct path *p, const struct lanes_now *now)
{
	const struct sums sums = sums_of(p, now);
	uint64_t age = clock_us() - set->opened_us;

	put_names(r, p);
	r->rank = p->given ? -1 : p->rank;
	r->speed_mbit = p->speed_mbit;
	r->order = p->given || p->order >= PAIRS_MAX ? 0 : p->order + 1;
	r->delivered = p->peak_rate ? p->peak_rate : p->delivered;
	r->state = state_of(p);
	r->connections_asked = p->wanted;
	r->connections = lanes_count_of(set->lanes, p->number).alive;
	r->drops = p->drops;
	r->sent = sums.sent;
	r->received = sums.received;
	r->rdma = sums.rdma;
	r->rate = age ? carried(sums) * USEC_PER_SEC / age : 0;
	r->retransmissions = sums.retransmissions;
	return put_channels(&r->channels, &r->channels_count, now, p->number,
			    p);
}

/* As a path that never was. */
static int put_spare(struct path_report *r, const struct path_set *set,
		     const struct plan_spare *s)
{
	const struct lanes_now none = { 0 };
	struct path p = { .number = PATHS_MAX + 1,
			  .routes = 1,
			  .route = { s->route },
			  .use = PAIR_SPARE,
			  .order = PAIRS_MAX,
			  .rank = s->rank,
			  .speed_mbit = s->speed_mbit };

	memcpy(p.near, s->near, sizeof(p.near));
	memcpy(p.far, s->far, sizeof(p.far));
	memcpy(p.why, s->why, sizeof(s->why));
	return put_path(r, set, &p, &none);
}

/* In the plan's order, then those that are none. */
static int put_paths(struct paths_report *r, const struct path_set *set,
		     const struct lanes_now *now)
{
	unsigned spares = set->plan ? set->plan->spares : 0;

	r->paths = calloc(set->paths + spares + 1, sizeof(*r->paths));
	if (!r->paths)
		return -ENOMEM;
	for (unsigned k = 0; k <= PAIRS_MAX; k++)
		for (unsigned i = 0; i < set->paths; i++)
			if (set->path[i]->order == k &&
			    put_path(&r->paths[r->paths_count++], set,
				     set->path[i], now) < 0)
				return -ENOMEM;
	for (unsigned i = 0; i < spares; i++)
		if (put_spare(&r->paths[r->paths_count++], set,
			      &set->plan->spare[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int put_cards(struct paths_report *r, const struct plan *plan)
{
	unsigned idles = plan ? plan->idles : 0;

	r->cards = calloc(idles + 1, sizeof(*r->cards));
	if (!r->cards)
		return -ENOMEM;
	for (unsigned i = 0; i < idles; i++) {
		const struct plan_idle *from = &plan->idle[i];
		struct card_report *to = &r->cards[r->cards_count++];

		to->side = from->far ? CARD_THERE : CARD_HERE;
		memcpy(to->nic, from->name, sizeof(to->nic));
		memcpy(to->why, from->why, sizeof(to->why));
	}
	return 0;
}

int account_report(struct path_set *set, struct paths_report *ret,
		   struct error *e)
{
	struct paths_report r = { .accepting = !set->addresses };
	struct lanes_now now;

	WITH_LOCK(&set->lock);

	now.count = lanes_view(set->lanes, now.at);
	if (put_paths(&r, set, &now) < 0 || put_cards(&r, set->plan) < 0 ||
	    (r.accepting && put_channels(&r.channels, &r.channels_count, &now,
					 LANE_NO_OWNER, NULL) < 0)) {
		shape_done(&paths_report_shape, &r);
		return error_set(e, ENOMEM, "no memory for a report of paths");
	}
	*ret = r;
	return 0;
}
