/* SPDX-License-Identifier: MIT */
#include "play.h"

#include "unit.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

static unsigned any(struct play *p)
{
	p->random = p->random * 1664525 + 1013904223;
	return p->random >> 8;
}

/* Near the golden section, without a divisor in common. */
static uint64_t stride_of(unsigned hot)
{
	unsigned stride = (unsigned)(hot * 618ULL / 1000) + 1;
	unsigned a, b;

	for (;; stride++) {
		for (a = hot, b = stride; b; a ^= b, b ^= a, a ^= b)
			a %= b;
		if (a == 1)
			return stride;
	}
}

static unsigned units_of(const struct play *p)
{
	return p->units ? p->units : UNITS;
}

static void guest_runs(struct play *p)
{
	const struct guest *g = &p->guest;
	unsigned hot = g->hot && g->hot < units_of(p) ? g->hot : units_of(p);

	if (g->burst_us && p->now_us / g->burst_us % 2)
		return;
	p->owed += g->share * PLAY_RATE * TICK_US / USEC_PER_SEC / UNIT *
		   (100 - p->throttle) / 100;
	for (; p->owed >= 1; p->owed--) {
		unsigned at = p->next % hot;

		if (g->anywhere)
			at = any(p) % hot;
		else if (g->strided)
			at = (unsigned)(at * stride_of(hot) % hot);
		p->changed[at] = p->sampled[at] = 1;
		p->next++;
	}
}

/* Twice and a second apart. */
static void qemu_slows(struct play *p)
{
	uint64_t sent = p->data - p->found_data;
	uint64_t dirty = p->found_dirty * UNIT;
	unsigned trigger = p->fixed ? 1 : p->c.trigger;

	/* What QEMU can always do, 1 %, is left out where it may do no more. */
	if (p->now_us < p->found_us + FOUND_US || (!p->steps && !p->fixed))
		return;
	p->found_us = p->now_us;
	p->found_data = p->data;
	p->found_dirty = 0;
	if (dirty <= sent * trigger / 100 || ++p->too_fast < 2)
		return;
	p->too_fast = 0;
	p->throttle = p->fixed ? p->fixed : p->c.step;
}

static void qemu_syncs(struct play *p)
{
	for (unsigned i = 0; i < units_of(p); i++) {
		p->found_dirty += p->changed[i] && !p->known[i];
		p->known_count += p->changed[i] && !p->known[i];
		p->known[i] |= p->changed[i];
		p->changed[i] = 0;
	}
	p->syncs++;
	p->sync_us = p->now_us;
	qemu_slows(p);
}

static bool are_silent(const struct play *p, uint64_t at_us)
{
	return at_us >= p->silent_us && at_us < p->silent_until_us;
}

/* Units that hold nothing, in the first pass: the links wait. */
static bool sends_nothing(struct play *p)
{
	unsigned first = units_of(p) - p->empty;

	if (p->empty == 0 || p->at < first || p->syncs > 1)
		return false;
	for (unsigned n = 0; n < LOOKED_AT && p->at < units_of(p);
	     n++, p->at++) {
		p->known_count -= p->known[p->at];
		p->known[p->at] = 0;
		p->zero += UNIT;
	}
	p->room = 0;
	return p->at < units_of(p) || p->known_count > 0;
}

static void qemu_sends(struct play *p)
{
	if (are_silent(p, p->now_us))
		return;
	p->drift = 0.95 * p->drift + (any(p) % 2001 / 1000.0 - 1) * 0.05;
	p->room += PLAY_RATE *
		   (1 + p->uneven * fmax(-1, fmin(1, 4 * p->drift))) * TICK_US /
		   USEC_PER_SEC / UNIT;
	if (sends_nothing(p))
		return;
	for (; p->room >= 1; p->room--) {
		if (p->known_count == 0) {
			p->room = 0;
			return;
		}
		p->at %= units_of(p);
		while (!p->known[p->at])
			p->at = (p->at + 1) % units_of(p);
		if (sends_nothing(p))
			return;
		p->known[p->at] = 0;
		p->known_count--;
		if (p->guest.zeros && p->syncs > 1 && p->known_count % 2)
			p->zero += UNIT;
		else
			p->data += UNIT;
	}
}

static bool fits(const struct play *p, double adds)
{
	double takes_for = p->takes_for > 0 ? p->takes_for : 1;

	return (double)p->known_count * UNIT + adds <=
	       PLAY_RATE * takes_for * (double)p->limit_us / USEC_PER_SEC;
}

static void source_asks(struct play *p)
{
	const struct converge_rules rules = { LIMIT_US, p->steps };
	const struct rounds_seen s = {
		.at_us = p->now_us,
		.syncs = p->syncs,
		.pass = p->syncs,
		.pass_us = p->sync_us,
		.data = p->data,
		.zero = p->zero,
		.remaining = (uint64_t)p->known_count * UNIT,
	};

	if ((are_silent(p, p->now_us) &&
	     are_silent(p, p->now_us - USEC_PER_SEC)) ||
	    (p->throttle != p->throttle_asked &&
	     (p->throttle > 1 || p->throttle_asked > 1)))
		rounds_restart(&p->rounds);
	p->throttle_asked = p->throttle;
	rounds_add(&p->rounds, &s);
	p->seen = (struct converge_seen){
		.now_us = p->now_us,
		.remaining = rounds_remaining(&p->rounds),
		.rate = rounds_rate(&p->rounds),
		.dirty_rate = rounds_dirty_rate(&p->rounds),
		.rounds = rounds_ended(&p->rounds),
		.sure = rounds_ended(&p->rounds) > 1 ||
			p->now_us - p->sync_us < ASKED_US,
		.fresh = rounds_are_fresh(&p->rounds),
		.zeros = rounds_have_zeros(&p->rounds),
		.looked_us = rounds_looked_us(&p->rounds),
		.throttle = p->throttle,
	};
	p->c = converge_next(&p->c, &rules, &p->seen);
	if (p->asked)
		p->asked(p);
	assert_in_range(p->c.limit_us, 1, LIMIT_US);
	if (p->c.stuck && !p->said_us)
		p->said_us = p->now_us;
	/* The first sync is before all rounds. */
	if (p->syncs > 3 + CONVERGE_STUCK_ROUNDS && !p->said_us)
		p->late = true;
}

/* True once QEMU has stopped the guest. */
static bool turn(struct play *p)
{
	p->now_us += TICK_US;
	guest_runs(p);
	qemu_sends(p);
	if (p->now_us - p->noticed_us >= NOTICED_US) {
		p->noticed_us = p->now_us;
		p->limit_us = p->full ? LIMIT_US : p->c.limit_us;
	}
	if (p->now_us % PART_US == 0 && fits(p, p->old ? 0 : p->adds)) {
		qemu_syncs(p);
		if (fits(p, p->adds))
			return true;
		p->asked_us = p->now_us + TICK_US;
	}
	if (p->now_us >= p->asked_us) {
		source_asks(p);
		p->asked_us = p->now_us + ASKED_US;
	}
	return false;
}

struct outcome play_with(const struct play *of)
{
	const struct converge_rules rules = { LIMIT_US, of->steps };
	const struct converge_seen nothing = { 0 };
	static struct play p;
	struct outcome o = { 0 };

	p = *of;
	p.random = 1;
	memset(p.known, 1, units_of(&p));
	p.known_count = units_of(&p);
	p.syncs = 1;
	p.c = converge_next(&p.c, &rules, &nothing);
	while (!o.ended && p.now_us < GIVEN_UP_US)
		o.ended = turn(&p);
	o.downtime_s = (double)p.known_count * UNIT / PLAY_RATE;
	o.total_s = (double)p.now_us / USEC_PER_SEC + o.downtime_s;
	o.throttle = p.throttle;
	o.stuck = p.said_us > 0;
	o.said_late = p.late;
	return o;
}

struct outcome play(const struct guest *guest, bool full, unsigned steps)
{
	static struct play p;

	p = (struct play){ .guest = *guest, .full = full, .steps = steps };
	return play_with(&p);
}
