/* SPDX-License-Identifier: MIT */
#include "host/seats.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "nic/address.h"
#include "nic/inventory.h"
#include "nic/networks.h"

enum {
	/* Producers that waited for this part of the time have more to send. */
	HUNGRY = 10,
	/* Of Ethernet, IPv4 and TCP with its time stamps, and what a packet
	 * holds besides. */
	HEADERS = 66,
	PACKET = 1448,
	TELL_US = 200000, /* what has changed */
	TELL_PART = 16,   /* and by how much at least */
};

static void shift(uint64_t window[SHARES_WINDOW])
{
	memmove(&window[1], &window[0],
		(SHARES_WINDOW - 1) * sizeof(window[0]));
	window[0] = 0;
}

static uint64_t sum_of(const uint64_t window[SHARES_WINDOW])
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SHARES_WINDOW; i++)
		sum += window[i];
	return sum;
}

void seats_begin(struct seats *s, uint64_t now_us)
{
	shift(s->took_us);
	s->took_us[0] = s->last_us ? now_us - s->last_us : 0;
	s->last_us = s->shares.now_us = now_us;
	for (unsigned c = 0; c < SHARES_CARDS; c++) {
		s->card[c].own = s->card[c].own_packets = 0;
		memmove(&s->card[c].others[1], &s->card[c].others[0],
			(SHARES_WINDOW - 1) * sizeof(s->card[c].others[0]));
		s->card[c].others[0] = 0;
	}
	for (unsigned i = 0; i < SHARES_MOVES; i++) {
		s->seat[i].seen = false;
		shift(s->seat[i].waited);
		for (unsigned c = 0; c < SHARES_CARDS; c++) {
			shift(s->seat[i].sent[c]);
			s->shares.move[i].use[c].on = false;
		}
	}
}

/* --- who sits where */

static int seat_of(struct seats *s, const char *job)
{
	int free = -1;

	for (int i = 0; i < SHARES_MOVES; i++) {
		if (!strcmp(s->seat[i].job, job))
			return i;
		if (free < 0 && !s->seat[i].job[0])
			free = i;
	}
	if (free < 0)
		return -1;
	s->seat[free] = (struct seat){ .job = "" };
	s->shares.move[free] = (struct shares_move){ .weight = 0 };
	snprintf(s->seat[free].job, sizeof(s->seat[free].job), "%s", job);
	return free;
}

static bool is_card(const struct seat_card *a, const struct seat_card *b)
{
	if (!a->used || a->far != b->far)
		return false;
	return a->far ? nic_address_equal(&a->address, &b->address)
		      : a->ifindex == b->ifindex;
}

static void forget_card(struct seats *s, unsigned c)
{
	s->shares.card[c] = (struct shares_card){ .others = 0 };
	for (unsigned i = 0; i < SHARES_MOVES; i++) {
		memset(s->seat[i].sent[c], 0, sizeof(s->seat[i].sent[c]));
		s->seat[i].told_us[c] = 0;
		s->shares.move[i].use[c] = (struct shares_use){ 0 };
	}
}

/* What is remembered of the card that was not used for the longest goes. */
static unsigned card_of(struct seats *s, const struct seat_card *like)
{
	unsigned oldest = 0;

	for (unsigned c = 0; c < SHARES_CARDS; c++) {
		if (is_card(&s->card[c], like))
			return c;
		if (s->card[oldest].used &&
		    (!s->card[c].used ||
		     s->card[c].last_us < s->card[oldest].last_us))
			oldest = c;
	}
	s->card[oldest] = *like;
	s->card[oldest].used = true;
	forget_card(s, oldest);
	return oldest;
}

static void set_congestion(struct seats *s, const struct lane_view *v,
			   const struct network_settings *w, struct lanes *l)
{
	const struct congestion_case k = {
		.wish = w ? w->share.congestion : "auto",
		.own = v->wire.own_congestion,
		.now = v->wire.congestion,
		.rtt_us = v->wire.rtt_us,
		.least_rtt_us = v->wire.least_rtt_us,
		.packets = v->wire.sent_packets,
		.again = v->wire.retransmissions,
	};
	const char *next = congestion_next(&k);
	struct error e;

	if (!k.now[0] || !strcmp(next, k.now) ||
	    lanes_congest(l, v->number, next, &e) == 0)
		return;
	/* Once, however many connections there are. */
	if (strcmp(s->refused, next) != 0)
		log_warning("[network %s]: %s", w ? w->name : "", e.text);
	snprintf(s->refused, sizeof(s->refused), "%s", next);
}

/* Cards that share a wire are one. */
static unsigned near_card(struct seats *s, const struct lane_view *v,
			  const struct inventory *cards, struct lanes *l)
{
	const struct nic *n =
		inventory_by_address(cards, v->local.family, v->local.bytes);
	const struct network_settings *w =
		networks_section(s->networks, n ? n->name : "", &v->local);
	const unsigned c =
		card_of(s,
			&(struct seat_card){
				.ifindex = n ? inventory_wire(cards, n)->ifindex
					     : 0,
				.address = v->local });
	struct shares_card *card = &s->shares.card[c];
	struct error e;

	card->limit = w ? w->share.limit : (struct network_amount){ 0 };
	card->guarantee = w ? w->share.guarantee : (struct network_amount){ 0 };
	card->yields = w && w->share.yield;
	set_congestion(s, v, w, l);
	/* Once for each lane. */
	if (w && lanes_mark(l, v->number,
			    &(struct channel_marks){ w->share.priority,
						     w->share.dscp },
			    &e) < 0)
		log_warning("[network %s]: %s", w->name, e.text);
	return c;
}

/* SHARES_CARDS: nothing was said of it. */
static unsigned far_card(struct seats *s, const struct lane_view *lane,
			 const struct seat_view *v)
{
	char address[NIC_ADDRESS_TEXT];
	struct shares_card *card;
	unsigned c;

	nic_address_host(address, &lane->remote);
	for (unsigned i = 0; i < v->busy_count; i++) {
		const struct message_busy *b = &v->busy[i];

		if (strcmp(b->address, address) != 0)
			continue;
		c = card_of(s, &(struct seat_card){ .far = true,
						    .address = lane->remote });
		card = &s->shares.card[c];
		card->others = b->others;
		card->yields = b->yield;
		card->limit =
			(struct network_amount){ b->limit, b->limit_percent };
		card->guarantee =
			(struct network_amount){ b->guarantee,
						 b->guarantee_percent };
		return c;
	}
	return SHARES_CARDS;
}

/* --- what is sent, or comes in */

static struct seat_lane look_at_lane(const struct seats *s,
				     const struct lane_view *v)
{
	const struct channel_stats *w = &v->wire;
	struct seat_lane r = {
		.number = v->number,
		.bytes = s->in ? w->received_bytes : w->sent_bytes,
		.packets = s->in ? w->received_packets : w->sent_packets
	};

	r.left = s->in ? r.bytes : w->left_bytes;
	/* Another transport. */
	if (r.bytes == 0)
		r.bytes = s->in ? v->received : v->sent;
	if (r.left == 0)
		r.left = r.bytes;
	if (r.packets == 0)
		r.packets = r.bytes / PACKET;
	return r;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Since the last turn; all of one that is new. */
static void since(struct seat_lane *r, const struct seat *was)
{
	for (unsigned i = 0; i < was->lanes; i++) {
		const struct seat_lane *before = &was->lane[i];

		if (before->number != r->number)
			continue;
		r->bytes -= less(before->bytes, r->bytes);
		r->packets -= less(before->packets, r->packets);
		r->left -= less(before->left, r->left);
	}
}

static void use_card(struct seats *s, int i, unsigned c,
		     const struct seat_lane *sent)
{
	if (c == SHARES_CARDS)
		return;
	s->card[c].last_us = s->last_us;
	s->card[c].own += sent->left;
	s->card[c].own_packets += sent->packets;
	s->shares.move[i].use[c].on = true;
	s->seat[i].sent[c][0] += sent->bytes;
}

static void look_at_lanes(struct seats *s, int i, const struct seat_view *v)
{
	struct lane_view view[CHANNELS_MAX];
	const unsigned n = lanes_view(v->lanes, view);
	struct seat *seat = &s->seat[i], was = *seat;

	seat->lanes = 0;
	for (unsigned k = 0; k < n; k++) {
		struct seat_lane lane = look_at_lane(s, &view[k]), sent = lane;

		if (!view[k].alive)
			continue;
		since(&sent, &was);
		lane.near = near_card(s, &view[k], v->cards, v->lanes);
		lane.far = far_card(s, &view[k], v);
		use_card(s, i, lane.near, &sent);
		use_card(s, i, lane.far, &sent);
		seat->lane[seat->lanes++] = lane;
	}
}

int seats_look(struct seats *s, const struct seat_view *v)
{
	const int i = seat_of(s, v->job);
	struct shares_move *m;
	struct seat *seat;

	if (i < 0)
		return -1;
	m = &s->shares.move[i];
	seat = &s->seat[i];
	seat->seen = true;
	if (v->waited_us > seat->waited_us)
		seat->waited[0] = v->waited_us - seat->waited_us;
	seat->waited_us = v->waited_us;
	m->weight = v->share->weight ? v->share->weight : SHARES_WEIGHT;
	m->ceiling = v->share->rate;
	m->near_us = v->share->near_us;
	look_at_lanes(s, i, v);
	return i;
}

/* What a card carried and is not ours, which also passed it where it was lost
 * later and sent again: ours has headers as well, but where a
 * card counts a segmented packet as one, only those of that. */
static int64_t others_of(const struct seats *s, const struct seat_card *card,
			 const struct counter *now)
{
	const struct counter *was = &card->count;
	uint64_t bytes = now->tx_bytes - was->tx_bytes;
	uint64_t packets = now->tx_packets - was->tx_packets;

	if (s->in) {
		bytes = now->rx_bytes - was->rx_bytes;
		packets = now->rx_packets - was->rx_packets;
	}
	if (packets > card->own_packets)
		packets = card->own_packets;
	return (int64_t)bytes - (int64_t)(card->own + packets * HEADERS);
}

void seats_count(struct seats *s, const struct counter *all, unsigned n)
{
	for (unsigned c = 0; c < SHARES_CARDS; c++) {
		struct seat_card *card = &s->card[c];

		if (!card->used || card->far)
			continue;
		for (unsigned k = 0; k < n; k++) {
			if (all[k].ifindex != card->ifindex)
				continue;
			if (card->count.ifindex)
				card->others[0] = others_of(s, card, &all[k]);
			card->count = all[k];
		}
	}
}

static uint64_t rate_of(uint64_t bytes, uint64_t took_us)
{
	return took_us ? bytes * USEC_PER_SEC / took_us : 0;
}

static void end_card(struct seats *s, unsigned c, uint64_t took_us)
{
	int64_t sum = 0;

	if (!s->card[c].used)
		return;
	s->shares.cards = c + 1;
	if (s->card[c].far)
		return;
	/* What was counted late makes another turn's less than nothing. */
	for (unsigned i = 0; i < SHARES_WINDOW; i++)
		sum += s->card[c].others[i];
	s->shares.card[c].others =
		rate_of(sum > 0 ? (uint64_t)sum : 0, took_us);
}

void seats_end(struct seats *s)
{
	const uint64_t took_us = sum_of(s->took_us);

	s->shares.moves = s->shares.cards = 0;
	for (unsigned i = 0; i < SHARES_MOVES; i++) {
		struct seat *seat = &s->seat[i];
		struct shares_move *m = &s->shares.move[i];

		if (!seat->seen) {
			seat->job[0] = '\0';
			continue;
		}
		s->shares.moves = i + 1;
		m->hungry = sum_of(seat->waited) * HUNGRY >= took_us;
		for (unsigned c = 0; c < SHARES_CARDS; c++)
			m->use[c].rate =
				rate_of(sum_of(seat->sent[c]), took_us);
	}
	for (unsigned c = 0; c < SHARES_CARDS; c++)
		end_card(s, c, took_us);
}

/* --- what they may */

static uint64_t part_of_lane(const struct seats *s, int i, unsigned c)
{
	const struct seat *seat = &s->seat[i];
	uint64_t may;
	unsigned n = 0;

	if (c == SHARES_CARDS)
		return SHARES_FREE;
	may = s->shares.move[i].use[c].may[0];
	for (unsigned k = 0; k < seat->lanes; k++)
		n += seat->lane[k].near == c || seat->lane[k].far == c;
	return may == SHARES_FREE ? may : may / n + 1;
}

void seats_pace(const struct seats *s, int i, struct lanes *l)
{
	const struct seat *seat = &s->seat[i];

	for (unsigned k = 0; k < seat->lanes; k++) {
		const struct seat_lane *lane = &seat->lane[k];
		const uint64_t near = part_of_lane(s, i, lane->near);
		const uint64_t far = part_of_lane(s, i, lane->far);

		lanes_pace(l, lane->number, near < far ? near : far);
	}
}

/* Of a card that is as any other nothing is said. */
bool seats_tell(struct seats *s, int i, unsigned c, struct message_busy *ret)
{
	const struct shares_card *card = &s->shares.card[c];
	struct seat *seat = &s->seat[i];
	const uint64_t told = seat->told[c], now = card->others;
	const uint64_t change = now > told ? now - told : told - now;

	if (!s->shares.move[i].use[c].on || s->card[c].far ||
	    (!card->yields && !card->limit.rate && !card->limit.percent))
		return false;
	if (seat->told_us[c] && (s->last_us - seat->told_us[c] < TELL_US ||
				 change <= told / TELL_PART))
		return false;
	seat->told[c] = now;
	seat->told_us[c] = s->last_us;
	*ret = (struct message_busy){
		.others = now,
		.yield = card->yields,
		.limit = card->limit.rate,
		.limit_percent = card->limit.percent,
		.guarantee = card->guarantee.rate,
		.guarantee_percent = card->guarantee.percent,
	};
	nic_address_host(ret->address, &s->card[c].address);
	return true;
}
