/* SPDX-License-Identifier: MIT */
#include "host/shares.h"

#include <string.h>

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* @whole * @part / @of, however large. */
static uint64_t part_of(uint64_t whole, uint64_t part, uint64_t of)
{
	return of ? (uint64_t)((__uint128_t)whole * part / of) : 0;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* --- a part for each, by weight */

/* Those that want less than their part have what they want; true: there was
 * one. */
static bool settle(uint64_t *left, uint64_t *weights, unsigned n,
		   const unsigned *weight, const uint64_t *want, uint64_t *ret)
{
	const uint64_t budget = *left, all = *weights;
	bool any = false;

	for (unsigned i = 0; i < n; i++) {
		if (ret[i] != UINT64_MAX ||
		    want[i] > part_of(budget, weight[i], all))
			continue;
		ret[i] = want[i];
		*left -= want[i];
		*weights -= weight[i];
		any = true;
	}
	return any;
}

void shares_fill(uint64_t budget, unsigned n, const unsigned *weight,
		 const uint64_t *want, uint64_t *ret)
{
	uint64_t left = budget, weights = 0;

	for (unsigned i = 0; i < n; i++) {
		ret[i] = UINT64_MAX; /* not settled */
		weights += weight[i];
	}
	while (weights > 0 && settle(&left, &weights, n, weight, want, ret))
		;
	for (unsigned i = 0; i < n; i++)
		if (ret[i] == UINT64_MAX)
			ret[i] = part_of(left, weight[i], weights);
}

/* --- what a card takes */

static uint64_t amount_of(const struct network_amount *a, uint64_t takes)
{
	return a->percent ? part_of(takes, a->percent, 100) : a->rate;
}

static uint64_t least_of(const uint64_t window[SHARES_WINDOW])
{
	uint64_t v = SHARES_FREE;

	for (unsigned i = 0; i < SHARES_WINDOW; i++)
		v = least(v, window[i]);
	return v;
}

/* It has more to send, and sent less than its part all the time that was
 * measured. */
static bool is_short(const struct shares_move *m, const struct shares_use *u)
{
	const uint64_t part = least_of(u->part);

	return u->on && m->hungry && part > 0 &&
	       (part == SHARES_FREE || u->rate < part - part / SHARES_PROBE);
}

static uint64_t sent_over(const struct shares *s, unsigned c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->moves; i++)
		if (s->move[i].use[c].on)
			sum += s->move[i].use[c].rate;
	return sum;
}

/* What the moves on a card show of it. */
struct sight {
	uint64_t total;
	bool full;  /* it takes no more than that */
	bool grows; /* it takes more than was known */
	bool stuck; /* it takes more: whoever is short is so elsewhere */
};

static struct sight look_at(const struct shares *s, unsigned c)
{
	const uint64_t takes = s->card[c].takes;
	struct sight r = { .total = plus(sent_over(s, c), s->card[c].others) };
	unsigned hungry = 0, are_short = 0;
	bool free = false;

	for (unsigned i = 0; i < s->moves; i++) {
		const struct shares_move *m = &s->move[i];
		const struct shares_use *u = &m->use[c];

		if (!u->on || !m->hungry)
			continue;
		hungry++;
		are_short += is_short(m, u);
		free |= !is_short(m, u) && least_of(u->may) == SHARES_FREE;
	}
	r.full = free || (hungry > 0 && are_short == hungry);
	r.stuck = are_short < hungry && r.total < takes - takes / SHARES_PROBE;
	r.grows = r.total > takes + takes / SHARES_MARGIN;
	return r;
}

/* Short for a while beside others who are not, on a card that takes more: it is
 * slow elsewhere.  Now and then it is looked whether it still is. */
static void judge(struct shares_use *u, bool is, bool stuck, uint64_t now_us)
{
	/* One that has just begun has to become fast first. */
	if (u->on && u->part[SHARES_WINDOW - 1] == 0) {
		u->short_us = now_us + SHARES_SHORT_US;
		return;
	}
	if (!is) {
		u->short_us = 0;
		if (now_us >= u->slow_us + SHARES_SHORT_US)
			u->slow = 0;
		return;
	}
	if (u->short_us == 0)
		u->short_us = now_us;
	if (!stuck || now_us < u->slow_us ||
	    now_us < u->short_us + SHARES_SHORT_US)
		return;
	u->slow_us = now_us + (SHARES_SLOW_US << u->slow);
	u->slow += u->slow < SHARES_SLOW_MOST;
	u->short_us = 0;
}

static void judge_all(struct shares *s, unsigned c, const struct sight *sight)
{
	for (unsigned i = 0; i < s->moves; i++) {
		struct shares_use *u = &s->move[i].use[c];

		judge(u, is_short(&s->move[i], u), sight->stuck, s->now_us);
	}
}

/* Falls over some ticks, for a moment of less is no other card. */
static void learn(struct shares_card *card, uint64_t total, bool full)
{
	if (total > card->takes)
		card->takes = total;
	else if (full)
		card->takes -= (card->takes - total) / 2;
}

/* What the moves may use of it together; SHARES_FREE: all that they get. */
static uint64_t budget_of(struct shares *s, unsigned c,
			  const struct sight *sight)
{
	struct shares_card *card = &s->card[c];
	const uint64_t takes = card->takes;
	uint64_t limit = amount_of(&card->limit, takes);
	uint64_t keeps = amount_of(&card->guarantee, takes);
	uint64_t room;

	if (limit == 0)
		limit = SHARES_FREE;
	if (!card->yields ||
	    card->others <= most(takes / SHARES_NOISE, SHARES_LEAST))
		return limit;
	if (sight->full || sight->total >= takes - takes / SHARES_FULL)
		card->yield_us = s->now_us;
	keeps = most(keeps, least(SHARES_LEAST, takes / SHARES_MATTER));
	room = takes - takes / SHARES_MARGIN;
	room = room > card->others ? room - card->others : 0;
	if (card->yield_us && s->now_us - card->yield_us < SHARES_HOLD_US)
		room = 0;
	return least(limit, most(room, keeps));
}

/* --- who comes first */

static bool is_on_any(const struct shares *s, unsigned i)
{
	for (unsigned c = 0; c < s->cards; c++)
		if (s->move[i].use[c].on)
			return true;
	return false;
}

/* The one whose switchover has been near for the longest, but not too long. */
static int first_near(const struct shares *s)
{
	int first = -1;

	for (unsigned i = 0; i < s->moves; i++) {
		const uint64_t since = s->move[i].near_us;

		if (since && is_on_any(s, i) &&
		    s->now_us - since < SHARES_NEAR_MOST_US &&
		    (first < 0 || since < s->move[first].near_us))
			first = (int)i;
	}
	return first;
}

/* --- one card */

struct division {
	const struct shares *s;
	unsigned card;
	int near; /* -1: none */
	struct sight sight[SHARES_CARDS];
	uint64_t budget[SHARES_CARDS];
	uint64_t ceiling[SHARES_MOVES]; /* of each move; SHARES_FREE: none */
	uint64_t cap[SHARES_MOVES][SHARES_CARDS];
	/* Without what is tried, and with it. */
	uint64_t part[SHARES_MOVES][SHARES_CARDS];
	uint64_t may[SHARES_MOVES][SHARES_CARDS];
};

/* Those on a card, as lists. */
struct table {
	unsigned n, hungry;
	unsigned move[SHARES_MOVES], weight[SHARES_MOVES];
	bool more[SHARES_MOVES]; /* it would send more, and can */
	uint64_t want[SHARES_MOVES], gets[SHARES_MOVES];
	int near; /* its place; -1: none */
};

static void sit_down(struct table *t, const struct division *d, unsigned c)
{
	const struct shares *s = d->s;

	t->n = t->hungry = 0;
	t->near = -1;
	for (unsigned i = 0; i < s->moves; i++) {
		const struct shares_move *m = &s->move[i];
		const struct shares_use *u = &m->use[c];

		if (!u->on)
			continue;
		if ((int)i == d->near)
			t->near = (int)t->n;
		t->move[t->n] = i;
		t->weight[t->n] = m->weight;
		/* Nobody is in the way of one that is near. */
		t->more[t->n] = m->hungry && s->now_us >= u->slow_us &&
				!((int)i == d->near && is_short(m, u));
		t->want[t->n] = d->cap[i][c];
		t->hungry += m->hungry;
		t->n++;
	}
}

/* One that would not send more, or cannot, has a quarter more than it sends: it
 * shows by that, should it be able to.  One that cannot keeps half of its part,
 * for it may be that others are in its way. */
static void take_wants(struct table *t, const struct division *d, unsigned c,
		       uint64_t basis)
{
	uint64_t weights = 0;

	for (unsigned i = 0; i < t->n; i++)
		weights += t->weight[i];
	for (unsigned i = 0; i < t->n; i++) {
		const struct shares_move *m = &d->s->move[t->move[i]];
		const uint64_t rate = m->use[c].rate;
		/* One that is near is free anyway. */
		const uint64_t more = rate / ((int)i == t->near ? 8 : 4);
		uint64_t want = most(plus(rate, more), SHARES_LEAST);

		if (t->more[i])
			continue;
		if (m->hungry)
			want = most(want,
				    part_of(basis, t->weight[i], weights) / 2);
		t->want[i] = least(t->want[i], want);
	}
}

/* The first one has what it wants; the others what is left, and at least a
 * little: nobody's connections shall die, and they are to be fast again soon
 * after it is through.  TCP, and BBR above all, finds its way back from what it
 * was held to: from a hundredth of its part that took a second, in which the
 * card stood still. */
static void serve_near(struct table *t, uint64_t budget)
{
	const uint64_t floor = budget / SHARES_KEPT / t->n;
	const uint64_t wanted = t->want[t->near];
	uint64_t keeps[SHARES_MOVES], floors = 0, first;

	t->want[t->near] = 0;
	for (unsigned i = 0; i < t->n; i++) {
		keeps[i] = least(t->want[i], floor);
		t->want[i] -= keeps[i];
		floors += keeps[i];
	}
	first = least(wanted, budget - floors);
	shares_fill(budget - floors - first, t->n, t->weight, t->want, t->gets);
	for (unsigned i = 0; i < t->n; i++)
		t->gets[i] += keeps[i];
	t->gets[t->near] = first;
	t->want[t->near] = wanted;
}

static bool is_stuck(const struct table *t, const struct division *d, int i)
{
	return d->s->move[t->move[i]].hungry && !t->more[i];
}

/* Who of them may have more. */
enum among { ALL, THE_SHORT, THE_OTHERS };

/* Who has the most of those that would send more, held back by @cap or not. */
static int most_of(const struct table *t, const struct division *d, unsigned c,
		   bool capped, enum among among)
{
	int best = -1;

	for (unsigned i = 0; i < t->n; i++) {
		const unsigned m = t->move[i];
		const bool is = is_short(&d->s->move[m], &d->s->move[m].use[c]);

		if (t->more[i] && (d->cap[m][c] != SHARES_FREE) == capped &&
		    (among == ALL || is == (among == THE_SHORT)) &&
		    (best < 0 || t->gets[i] > t->gets[best]))
			best = (int)i;
	}
	return best;
}

/* What nobody has asked for is there for who asks next. */
static void give_rest(struct table *t, uint64_t budget)
{
	uint64_t left = budget, all = 0;

	for (unsigned i = 0; i < t->n; i++) {
		left -= least(left, t->gets[i]);
		all += t->weight[i];
	}
	if (t->near >= 0)
		t->gets[t->near] = plus(t->gets[t->near], left);
	else
		for (unsigned i = 0; i < t->n; i++)
			t->gets[i] = plus(t->gets[i],
					  part_of(left, t->weight[i], all));
}

/* Somebody has more than the card is known to take, so that it shows when it
 * takes more: all that is left of @budget.  It is whoever has less than its
 * part, for the one that has all has more than its own then.  Beside one that
 * is near, and is not to wait in the card's queue, the others have only a
 * little more. */
static void probe(struct table *t, const struct division *d, unsigned c,
		  uint64_t budget, uint64_t basis)
{
	const uint64_t more =
		budget == SHARES_FREE ? SHARES_FREE : budget - basis;
	const bool alone = t->near < 0 || is_stuck(t, d, t->near);
	int most = most_of(t, d, c, false, THE_SHORT), who;

	if (most < 0)
		most = most_of(t, d, c, false, ALL);
	if (most < 0)
		most = most_of(t, d, c, true, ALL);
	if (!alone)
		most = t->near;
	who = most_of(t, d, c, false, THE_OTHERS);
	if (who >= 0 && who != most) {
		uint64_t little =
			d->sight[c].grows
				? basis / 2
				: (t->near >= 0 ? basis : t->gets[who]) /
					  SHARES_PROBE;

		t->gets[who] = plus(t->gets[who], least(more, little));
	}
	if (most >= 0)
		t->gets[most] = plus(t->gets[most], more);
	if (t->near >= 0 && t->near != most)
		t->gets[t->near] = plus(t->gets[t->near], more);
}

/* Of @budget, of which the card is known to take @takes. */
static void serve(struct table *t, struct division *d, unsigned c,
		  uint64_t budget, uint64_t takes)
{
	const uint64_t basis = least(budget, takes);

	take_wants(t, d, c, basis);
	if (t->near >= 0 && budget != SHARES_FREE)
		t->want[t->near] = most(t->want[t->near], basis / 2);
	if (t->near >= 0)
		serve_near(t, basis);
	else
		shares_fill(basis, t->n, t->weight, t->want, t->gets);
	give_rest(t, basis);
	for (unsigned i = 0; i < t->n; i++)
		d->part[t->move[i]][c] = t->gets[i];
	probe(t, d, c, budget, basis);
}

static void divide_card(struct division *d, unsigned c)
{
	const uint64_t budget = d->budget[c], takes = d->s->card[c].takes;
	struct table t;

	sit_down(&t, d, c);
	if (t.n == 0)
		return;
	/* Nobody keeps it full, or nobody knows what that would be. */
	if (budget == SHARES_FREE && (takes == 0 || t.hungry == 0))
		for (unsigned i = 0; i < t.n; i++)
			d->part[t.move[i]][c] = t.gets[i] = SHARES_FREE;
	else
		serve(&t, d, c, budget, takes ? takes : budget);
	for (unsigned i = 0; i < t.n; i++)
		d->may[t.move[i]][c] = least(t.gets[i], d->cap[t.move[i]][c]);
}

/* --- all cards, and what a move may use of them together */

/* By what it sends over each: an unused one has a little, to be used. */
static void cap_move(struct division *d, unsigned i)
{
	const struct shares_move *m = &d->s->move[i];
	uint64_t sum = 0, cards = 0;

	for (unsigned c = 0; c < d->s->cards; c++) {
		sum += m->use[c].on ? m->use[c].rate : 0;
		cards += m->use[c].on;
	}
	for (unsigned c = 0; c < d->s->cards; c++) {
		if (!m->use[c].on)
			continue;
		d->cap[i][c] = least(d->cap[i][c],
				     part_of(d->ceiling[i],
					     m->use[c].rate + sum / 16 + 1,
					     sum + cards * (sum / 16 + 1)));
	}
}

static bool is_above(const struct division *d, unsigned i)
{
	uint64_t sum = 0;

	for (unsigned c = 0; c < d->s->cards; c++)
		if (d->s->move[i].use[c].on)
			sum = plus(sum, d->may[i][c]);
	return sum > d->ceiling[i];
}

static void divide(struct division *d)
{
	bool capped[SHARES_MOVES] = { false }, again = true;

	/* Whoever is held back leaves something to the others, who may then be
	 * above theirs: once each. */
	while (again) {
		again = false;
		for (unsigned c = 0; c < d->s->cards; c++)
			divide_card(d, c);
		for (unsigned i = 0; i < d->s->moves; i++) {
			if (capped[i] || !is_above(d, i))
				continue;
			cap_move(d, i);
			capped[i] = again = true;
		}
	}
}

/* A ceiling over all moves is one for each: their parts of it. */
static void share_ceiling(struct division *d, const struct shares *s)
{
	struct table t = { .n = s->moves, .near = d->near };

	for (unsigned i = 0; i < s->moves; i++) {
		uint64_t sent = 0;

		for (unsigned c = 0; c < s->cards; c++)
			sent += s->move[i].use[c].on ? s->move[i].use[c].rate
						     : 0;
		t.weight[i] = s->move[i].weight;
		t.want[i] = s->move[i].hungry
				    ? SHARES_FREE
				    : most(sent + sent / 4, SHARES_LEAST);
		t.want[i] = least(t.want[i], d->ceiling[i]);
	}
	if (t.near >= 0) {
		t.want[t.near] = least(most(t.want[t.near], s->ceiling / 2),
				       d->ceiling[t.near]);
		serve_near(&t, s->ceiling);
	} else {
		shares_fill(s->ceiling, t.n, t.weight, t.want, t.gets);
	}
	give_rest(&t, s->ceiling);
	for (unsigned i = 0; i < s->moves; i++)
		d->ceiling[i] = least(d->ceiling[i], t.gets[i]);
}

static void begin(struct division *d, struct shares *s)
{
	d->s = s;
	d->near = first_near(s);
	for (unsigned c = 0; c < s->cards; c++) {
		d->sight[c] = look_at(s, c);
		judge_all(s, c, &d->sight[c]);
		learn(&s->card[c], d->sight[c].total, d->sight[c].full);
		d->budget[c] = budget_of(s, c, &d->sight[c]);
	}
	for (unsigned i = 0; i < s->moves; i++) {
		const struct shares_move *m = &s->move[i];

		d->ceiling[i] = m->ceiling ? m->ceiling : SHARES_FREE;
		for (unsigned c = 0; c < s->cards; c++)
			d->cap[i][c] = m->use[c].ceiling ? m->use[c].ceiling
							 : SHARES_FREE;
	}
	if (s->ceiling && s->moves > 0)
		share_ceiling(d, s);
}

static void note(uint64_t window[SHARES_WINDOW], uint64_t value)
{
	memmove(&window[1], &window[0],
		(SHARES_WINDOW - 1) * sizeof(window[0]));
	window[0] = value;
}

void shares_next(struct shares *s)
{
	struct division d;

	begin(&d, s);
	divide(&d);
	for (unsigned i = 0; i < s->moves; i++)
		for (unsigned c = 0; c < s->cards; c++) {
			struct shares_use *u = &s->move[i].use[c];
			const uint64_t part = least(d.part[i][c], d.cap[i][c]);

			note(u->may, u->on ? most(d.may[i][c], 1) : 0);
			note(u->part, u->on ? most(part, 1) : 0);
		}
}
