/* SPDX-License-Identifier: MIT */

/* What becomes of each path: for the plan, for reports, and for the next
 * session. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "nic/address.h"
#include "session/internal.h"

enum {
	SAMPLE_US = 500000,
	SHORT_LIFE_US = 5000000,
	CARRIED_BYTES = 64 * 1024,         /* less is hellos and the like */
	REMEMBER_BYTES = 16 * 1024 * 1024, /* less says nothing of a path */
};

struct sums {
	unsigned channels;
	uint64_t sent, received, retransmissions;
};

/* The channels that it has now, and those that it had. */
static struct sums sums_of(const struct session *s, const struct path *p)
{
	struct sums r = { .channels = carriers_of(s, p),
			  .sent = p->bytes_sent,
			  .received = p->bytes_received,
			  .retransmissions = p->retransmissions };

	for (unsigned i = 0; i < CHANNELS_MAX; i++) {
		const struct carrier *c = &s->carrier[i];
		struct channel_stats st;

		if (c->state == CARRIER_FREE || c->path != p)
			continue;
		c->channel->kind->stats(c->channel, &st);
		r.sent += atomic_load(&c->bytes_sent);
		r.received += atomic_load(&c->bytes_received);
		r.retransmissions += st.retransmissions;
	}
	return r;
}

void path_lost(struct carrier *c)
{
	struct session *s = c->session;
	struct path *p = c->path;
	struct channel_stats st;

	c->channel->kind->stats(c->channel, &st);
	p->bytes_sent += atomic_load(&c->bytes_sent);
	p->bytes_received += atomic_load(&c->bytes_received);
	p->retransmissions += st.retransmissions;
	if (json_array_size(p->channels) < PATH_CHANNELS_MAX)
		json_array_append_new(p->channels, carrier_json(c));
	if (s->ended || c->let_go)
		return;
	p->drops++;
	snprintf(p->why, sizeof(p->why), "%s", c->why);
	/* Where hellos pass and frames do not, say because a switch is without
	 * the cards' jumbo frames, every new channel would be a second lost.
	 * One pause for all that ended together. */
	if (clock_us() - c->connected_us >= SHORT_LIFE_US ||
	    outbox_channel_acked(&s->out, c->index) >= CARRIED_BYTES)
		p->pause_us = 0;
	else if (p->next_us <= clock_us())
		path_pause(p);
	if (carriers_of(s, p) > 0 || p->failed)
		return;
	log_warning("session with %s: the path over %s is lost: %s", s->peer,
		    p->given ? "the given addresses" : p->near, p->why);
	p->failed = s->plan_due = true;
}

void paths_measure(struct session *s)
{
	uint64_t now = clock_us();

	for (unsigned i = 0; i < s->paths; i++) {
		struct path *p = s->path[i];
		uint64_t passed = now - p->sample_us, sent;

		if (p->sample_us && passed < SAMPLE_US)
			continue;
		sent = sums_of(s, p).sent;
		if (p->sample_us) {
			uint64_t rate = (sent - p->sample_bytes) *
					USEC_PER_SEC / passed;

			if (rate > p->peak_rate)
				p->peak_rate = rate;
		}
		p->sample_us = now;
		p->sample_bytes = sent;
	}
}

/* Nothing of the session runs any more. */
void paths_remember(struct session *s)
{
	for (unsigned i = 0; s->watch && i < s->paths; i++) {
		const struct path *p = s->path[i];

		if (!p->given && p->bytes_sent > REMEMBER_BYTES)
			nic_watch_delivered(s->watch, &p->route[0].from,
					    &p->route[0].to, p->peak_rate);
	}
}

/* --- reports
 *
 * What is given out shares nothing with the session: its owner may free it
 * without the lock. */

/* Those of a path; on the accepting side, which has no paths, all (NULL). */
static json_t *channels_json(const struct session *s, const struct path *p)
{
	json_t *all =
		p && p->channels ? json_deep_copy(p->channels) : json_array();

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].state != CARRIER_FREE &&
		    s->carrier[i].path == p)
			json_array_append_new(all,
					      carrier_json(&s->carrier[i]));
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

json_t *path_json(const struct session *s, const struct path *p)
{
	char from[NIC_ADDRESS_TEXT] = "", to[NIC_ADDRESS_TEXT] = "";
	const struct sums sums = sums_of(s, p);
	uint64_t age = clock_us() - s->opened_us;

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
		(int)sums.channels, "bytes", (json_int_t)sums.sent, "received",
		(json_int_t)sums.received, "rate",
		(json_int_t)(age ? sums.sent * USEC_PER_SEC / age : 0),
		"retransmissions", (json_int_t)sums.retransmissions, "drops",
		(int)p->drops, "why", text_or_null(p->why), "flows",
		text_or_null(p->flows), "channels", channels_json(s, p));
}

json_t *session_paths(struct session *s)
{
	json_t *all = json_array(), *spare, *r;
	size_t i;

	WITH_LOCK(&s->lock);

	for (unsigned k = 0; k <= PAIRS_MAX; k++)
		for (i = 0; i < s->paths; i++)
			if (s->path[i]->order == k)
				json_array_append_new(all,
						      path_json(s, s->path[i]));
	json_array_foreach (s->spares, i, spare)
		json_array_append_new(all, json_deep_copy(spare));
	r = json_pack("{s:o,s:o}", "paths", all, "cards",
		      json_deep_copy(s->idle));
	if (!s->addresses)
		json_object_set_new(r, "channels", channels_json(s, NULL));
	return r;
}
