/* SPDX-License-Identifier: MIT */
#include "paths/account.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "lanes/lanes.h"
#include "nic/address.h"
#include "paths/path_set.h"

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
	uint64_t sent, received, retransmissions;
};

/* The lanes that it has now, and those that it had. */
static struct sums sums_of(const struct path *p, const struct lanes_now *now)
{
	struct sums r = { .sent = p->sent,
			  .received = p->received,
			  .retransmissions = p->retransmissions };

	for (unsigned i = 0; i < now->count; i++) {
		const struct lane_view *v = &now->at[i];

		if (v->owner != p->number)
			continue;
		r.sent += v->sent;
		r.received += v->received;
		r.retransmissions += v->retransmissions;
	}
	return r;
}

static json_t *lane_json(const struct lane_view *v)
{
	return json_pack("{s:I,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:s?}",
			 "channel", (json_int_t)v->slot, "transport", v->kind,
			 "from", v->from, "to", v->to, "bytes",
			 (json_int_t)v->sent, "received",
			 (json_int_t)v->received, "rate",
			 (json_int_t)(v->age_us ? v->sent * USEC_PER_SEC /
							  v->age_us
						: 0),
			 "retransmissions", (json_int_t)v->retransmissions,
			 "connected_ms", (json_int_t)(v->age_us / USEC_PER_MS),
			 "why_ended", v->why[0] ? v->why : NULL);
}

/* --- lanes that end */

static void count_gone(struct path *p, const struct lane_view *v)
{
	p->sent += v->sent;
	p->received += v->received;
	p->retransmissions += v->retransmissions;
	if (json_array_size(p->channels) < PATH_CHANNELS_MAX)
		json_array_append_new(p->channels, lane_json(v));
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
			measure(set->path[i], sums_of(set->path[i], &now).sent,
				now_us);
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

/* Those of an owner, after those that it had. */
static json_t *channels_json(const struct lanes_now *now, unsigned owner,
			     json_t *gone)
{
	json_t *all = gone ? json_deep_copy(gone) : json_array();

	for (unsigned i = 0; i < now->count; i++)
		if (now->at[i].owner == owner)
			json_array_append_new(all, lane_json(&now->at[i]));
	return all;
}

static const char *state_of(const struct path *p)
{
	if (p->given)
		return "given";
	if (p->failed)
		return "failed";
	return p->use == PAIR_SPARE ? "spare" : "used";
}

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static json_t *speed_or_null(unsigned mbit)
{
	return mbit ? json_integer((json_int_t)mbit) : json_null();
}

static json_t *path_json(const struct path_set *set, const struct path *p,
			 const struct lanes_now *now)
{
	char from[NIC_ADDRESS_TEXT] = "", to[NIC_ADDRESS_TEXT] = "";
	const struct sums sums = sums_of(p, now);
	uint64_t age = clock_us() - set->opened_us;

	if (!p->given) {
		nic_address_host(from, &p->route[p->turn % p->routes].from);
		nic_address_host(to, &p->route[p->turn % p->routes].to);
	}
	return json_pack(
		"{s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:i,s:i,s:I,s:I,s:I,s:I,s:i,"
		"s:o,s:o,s:o}",
		"from_nic", text_or_null(p->near), "from", text_or_null(from),
		"to_nic", text_or_null(p->far), "to", text_or_null(to),
		"network", p->given ? json_null() : json_integer(p->rank),
		"speed_mbit", speed_or_null(p->speed_mbit), "state",
		state_of(p), "connections_asked", (int)p->wanted, "connections",
		(int)lanes_count_of(set->lanes, p->number).alive, "bytes",
		(json_int_t)sums.sent, "received", (json_int_t)sums.received,
		"rate", (json_int_t)(age ? sums.sent * USEC_PER_SEC / age : 0),
		"retransmissions", (json_int_t)sums.retransmissions, "drops",
		(int)p->drops, "why", text_or_null(p->why), "flows",
		text_or_null(p->flows), "channels",
		channels_json(now, p->number, p->channels));
}

/* As a path that never was. */
static json_t *spare_json(const struct path_set *set,
			  const struct plan_spare *s)
{
	const struct lanes_now none = { 0 };
	struct path p = { .number = PATHS_MAX + 1,
			  .routes = 1,
			  .route = { s->route },
			  .use = PAIR_SPARE,
			  .rank = s->rank,
			  .speed_mbit = s->speed_mbit };

	memcpy(p.near, s->near, sizeof(p.near));
	memcpy(p.far, s->far, sizeof(p.far));
	memcpy(p.why, s->why, sizeof(s->why));
	return path_json(set, &p, &none);
}

static json_t *idle_json(const struct plan *plan)
{
	json_t *all = json_array();

	for (unsigned i = 0; plan && i < plan->idles; i++)
		json_array_append_new(all, json_pack("{s:s,s:s,s:s}", "side",
						     plan->idle[i].far ? "there"
								       : "here",
						     "nic", plan->idle[i].name,
						     "why", plan->idle[i].why));
	return all;
}

static json_t *list_json(const struct path_set *set,
			 const struct lanes_now *now)
{
	json_t *all = json_array();

	for (unsigned k = 0; k <= PAIRS_MAX; k++)
		for (unsigned i = 0; i < set->paths; i++)
			if (set->path[i]->order == k)
				json_array_append_new(all,
						      path_json(set,
								set->path[i],
								now));
	for (unsigned i = 0; set->plan && i < set->plan->spares; i++)
		json_array_append_new(all,
				      spare_json(set, &set->plan->spare[i]));
	return all;
}

json_t *account_json(struct path_set *set)
{
	struct lanes_now now;
	json_t *r;

	WITH_LOCK(&set->lock);

	now.count = lanes_view(set->lanes, now.at);
	r = json_pack("{s:o,s:o}", "paths", list_json(set, &now), "cards",
		      idle_json(set->plan));
	if (!set->addresses)
		json_object_set_new(r, "channels",
				    channels_json(&now, LANE_NO_OWNER, NULL));
	return r;
}
