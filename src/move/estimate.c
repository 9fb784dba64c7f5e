/* SPDX-License-Identifier: MIT */
#include "move/estimate.h"

#include <math.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/text.h"
#include "move/converge.h"

enum {
	SIZES = 12, /* of what the guest changes, for either shape */
	CURVES = 2 * SIZES,
	ROUNDS = 64,
	LIMITS = 4, /* an eighth of it to the whole */
	/* The least bytes that a sample, or a round, tells apart. */
	GRAIN = 1 << 20,
	UNEVEN = 15, /* per cent */
	SETTLED = 2, /* rounds */
};

/* As in converge.c: from the first on rounds do not get shorter, above the
 * second a smaller limit is not worth its time, the throttle aims at the last.
 * And how much worse than the best a curve may fit. */
static const double stuck_at = 0.95, knee = 0.65, aim = 0.5, slack = 0.12,
		    small = 0.5, never_from = 0.7;
/* QEMU looks at its estimate so often; it has two rounds and two more seconds
 * behind it before it slows its guest down. */
static const double part_s = 0.025, throttle_s = 4;

const char *const estimate_sure_names[ESTIMATE_SURES] = {
	[ESTIMATE_LOW] = "low",
	[ESTIMATE_FAIR] = "fair",
	[ESTIMATE_HIGH] = "high",
};

const char *const estimate_end_names[ESTIMATE_ENDS] = {
	[ESTIMATE_UNKNOWN] = "unknown",     [ESTIMATE_CONVERGES] = "converges",
	[ESTIMATE_THROTTLED] = "throttled", [ESTIMATE_PAUSED] = "paused",
	[ESTIMATE_TIMED_OUT] = "timed-out", [ESTIMATE_NEVER] = "never",
};

static double seconds(uint64_t us)
{
	return (double)us / USEC_PER_SEC;
}

/* --- the guest */

/* It changes @w bytes a second within @h bytes: one after the other, or
 * anywhere. */
struct curve {
	double w, h, misfit;
	bool in_turn;
};

static double changed(const struct curve *c, double t)
{
	if (c->w <= 0 || t <= 0)
		return 0;
	if (c->in_turn)
		return fmin(c->w * t, c->h);
	return c->h * (1 - exp(-c->w * t / c->h));
}

/* The @w by which @c would go through the point; 0: through any that is great
 * enough. */
static double slope_to(const struct curve *c, double t, double bytes)
{
	if (bytes >= 0.97 * c->h || t <= 0)
		return 0;
	return c->in_turn ? bytes / t : -c->h * log(1 - bytes / c->h) / t;
}

/* The newest point counts twice as much as the one before it. */
static double weight_of(unsigned back)
{
	return 1.0 / (1U << back);
}

static void fit(struct curve *c, const struct estimate_seen *s)
{
	double sum = 0, weight = 0, least = 0;

	for (unsigned i = 0; i < s->changes; i++) {
		const struct estimate_change *p = &s->change[i];
		double t = seconds(p->over_us), one = weight_of(i);
		double w = slope_to(c, t, (double)p->bytes);

		if (w > 0) {
			sum += one * log(w);
			weight += one;
		} else if (p->bytes > 0 && t > 0) {
			least = fmax(least, (c->in_turn ? 1 : 3) * c->h / t);
		}
	}
	c->w = weight > 0 ? exp(sum / weight) : least;
	c->misfit = weight = 0;
	for (unsigned i = 0; i < s->changes; i++) {
		const struct estimate_change *p = &s->change[i];
		double t = seconds(p->over_us), one = weight_of(i);
		double off = log((changed(c, t) + GRAIN) /
				 ((double)p->bytes + GRAIN));

		c->misfit += one * off * off;
		weight += one;
	}
	c->misfit = weight > 0 ? sqrt(c->misfit / weight) : 0;
}

/* From what it was seen to change up to all that it has. */
static void fit_all(struct curve all[CURVES], const struct estimate_seen *s)
{
	double most = (double)(s->used ? s->used : s->total), least = GRAIN;

	for (unsigned i = 0; i < s->changes; i++)
		least = fmax(least, (double)s->change[i].bytes);
	most = fmax(most, least);
	for (unsigned i = 0; i < CURVES; i++) {
		unsigned size = i / 2;
		double part = (double)size / (SIZES - 1);

		all[i] = (struct curve){
			.h = least * 1.02 * pow(most / least, part),
			.in_turn = i % 2 == 0,
		};
		fit(&all[i], s);
	}
}

/* --- a move */

struct played {
	double end_s, rest; /* seconds from now; bytes when the guest stops */
	double ratio;
	bool stuck;
};

struct links {
	double rate, zero_rate;
};

/* What the pass that goes on has still to do. */
static void open_pass(const struct estimate_seen *s, const struct links *l,
		      double *ret_data, double *ret_looks_s)
{
	double left = (double)s->left, data = left;
	double sent = (double)(s->data + s->zero);
	double seen = (double)(s->data + s->among);

	/* Of what is there some pages hold nothing all the same: as many in
	 * what is left as in what was sent. */
	if (s->first && s->used)
		data = fmin(left,
			    fmax(0, (double)s->used - seen) *
				    (seen > 0 ? (double)s->data / seen : 1));
	else if (s->first && sent > 0)
		data = left * (double)s->data / sent;
	*ret_data = data;
	*ret_looks_s = (left - data) / l->zero_rate;
}

/* One after the other, QEMU being told @limit_s. */
static struct played play(const struct estimate_seen *s, const struct links *l,
			  const struct curve *c, double limit_s)
{
	double fits = l->rate * limit_s, known, looks, before = INFINITY;
	double slept = seconds(s->since_us);
	struct played p = { .stuck = true };

	open_pass(s, l, &known, &looks);
	for (unsigned n = 0; n < ROUNDS; n++) {
		double rest = fmin(known, fmax(fits - part_s * l->rate, 0));
		double t = (known - rest) / l->rate + looks;
		double fresh = changed(c, t + slept);

		p.end_s += t;
		p.ratio = t + slept > 0 ? fresh / l->rate / (t + slept) : 0;
		known = fmin(rest + fresh, fmax(c->h, rest));
		p.rest = known;
		if (known <= fits || t < part_s / 4) {
			p.stuck = known > fits && p.ratio >= stuck_at;
			break;
		}
		/* It may take some to be seen. */
		if (n > SETTLED && t > stuck_at * before)
			break;
		before = t;
		looks = slept = 0;
	}
	p.end_s += p.rest / l->rate;
	return p;
}

/* A smaller limit may turn out to cost what converge.c lets it. */
static double patience_s(const struct estimate_seen *s, double end_s)
{
	return fmax(0.3, (end_s + seconds(s->elapsed_us)) / CONVERGE_PATIENCE);
}

/* The least limit that costs no more than converge.c lets it. */
static struct played play_limits(const struct estimate_seen *s,
				 const struct links *l, const struct curve *c)
{
	double limit = seconds(s->limit_us);
	struct played whole = play(s, l, c, limit);
	double over = whole.end_s + patience_s(s, whole.end_s);

	if (whole.stuck)
		return whole;
	for (unsigned part = CONVERGE_FIRST; part > 1; part /= 2) {
		struct played p = play(s, l, c, limit / part);

		if (!p.stuck && p.end_s <= over && p.ratio < knee)
			return p;
	}
	return whole;
}

/* What is stuck may be slowed down: then it changes half of what travels. */
static struct played play_throttled(const struct estimate_seen *s,
				    const struct links *l,
				    const struct curve *c,
				    const struct played *stuck)
{
	struct curve slow = *c;
	struct played p;

	slow.w *= aim / fmax(stuck->ratio, aim);
	p = play(s, l, &slow, seconds(s->limit_us));
	p.end_s += throttle_s;
	p.stuck = false;
	return p;
}

/* --- all of them */

/* Ends of all curves that fit. */
struct sum {
	double weight, stuck; /* of all; of those that do not end */
	double likely, least, most;
	double rest;
};

static void sum_add(struct sum *sum, const struct played *p, double weight)
{
	sum->weight += weight;
	if (p->stuck) {
		sum->stuck += weight;
		return;
	}
	sum->likely += weight * p->end_s;
	sum->rest += weight * p->rest;
}

static void sum_end(struct sum *sum, const struct estimate_seen *s,
		    const struct played *p)
{
	if (!p->stuck)
		sum->least = fmin(sum->least, p->end_s);
	sum->most =
		fmax(sum->most,
		     p->stuck ? INFINITY : p->end_s + patience_s(s, p->end_s));
}

static struct played end_of(const struct estimate_seen *s,
			    const struct links *l, const struct curve *c)
{
	struct played p = play_limits(s, l, c);

	if (p.stuck && s->steps & CONVERGE_THROTTLE)
		p = play_throttled(s, l, c, &p);
	return p;
}

static void sum_curve(struct sum *sum, const struct estimate_seen *s,
		      const struct curve *c, double weight)
{
	double zeros =
		s->zero_rate ? (double)s->zero_rate : ESTIMATE_ZERO_MB * 1e6;
	double error = s->rate_error / 100.0, rate = (double)s->rate;
	struct played p = end_of(s, &(struct links){ rate, zeros }, c);
	struct played fast =
		end_of(s, &(struct links){ rate * (1 + error), zeros }, c);
	struct played slow =
		end_of(s, &(struct links){ rate * (1 - error), zeros }, c);

	sum_add(sum, &p, weight);
	sum_end(sum, s, &p);
	sum_end(sum, s, &fast);
	sum_end(sum, s, &slow);
}

static struct sum sum_all(const struct estimate_seen *s,
			  const struct curve all[CURVES])
{
	struct sum sum = { .least = INFINITY };
	double best = INFINITY;

	for (unsigned i = 0; i < CURVES; i++)
		best = fmin(best, all[i].misfit);
	for (unsigned i = 0; i < CURVES; i++)
		if (all[i].misfit <= best + slack)
			sum_curve(&sum, s, &all[i],
				  exp(-(all[i].misfit - best) / slack) /
					  pow(all[i].h, small));
	if (sum.weight > sum.stuck) {
		sum.likely /= sum.weight - sum.stuck;
		sum.rest /= sum.weight - sum.stuck;
	}
	return sum;
}

/* --- what is told */

static uint64_t microseconds(double s)
{
	return s < 1e9 ? (uint64_t)(s * USEC_PER_SEC) : ESTIMATE_NONE;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a == ESTIMATE_NONE || b == ESTIMATE_NONE ? ESTIMATE_NONE : a + b;
}

static enum estimate_sure sure_of(const struct estimate_seen *s)
{
	if (s->guessed || s->changes == 0)
		return ESTIMATE_LOW;
	return s->first || s->rate_error > UNEVEN ? ESTIMATE_FAIR
						  : ESTIMATE_HIGH;
}

/* At the time-out: the guest is paused, or the move taken back. */
static void end_by_time(struct estimate *e, const struct estimate_seen *s,
			double rest_s)
{
	uint64_t until = s->timeout_us > s->elapsed_us
				 ? s->timeout_us - s->elapsed_us
				 : 0;

	if (s->timeout_us == 0)
		return;
	if (e->left.likely_us != ESTIMATE_NONE && e->left.likely_us <= until)
		return;
	if (!(s->steps & CONVERGE_PAUSE)) {
		if (e->end == ESTIMATE_CONVERGES ||
		    e->end == ESTIMATE_THROTTLED)
			e->end = ESTIMATE_TIMED_OUT;
		return;
	}
	e->end = ESTIMATE_PAUSED;
	e->downtime_us = microseconds(rest_s) + ESTIMATE_SWITCH_US;
	e->left = (struct estimate_range){ until, until + e->downtime_us,
					   until + 2 * e->downtime_us };
}

static const struct estimate nothing = {
	.left = { ESTIMATE_NONE, ESTIMATE_NONE, ESTIMATE_NONE },
	.downtime_us = ESTIMATE_NONE,
};

/* Before the guest was looked at: as if it changed little, but it may not. */
static void assume_guest(struct curve all[CURVES],
			 const struct estimate_seen *s)
{
	static const double parts[] = { 0, 0.05, 0.3 };

	for (unsigned i = 0; i < CURVES; i++)
		all[i].w = parts[i % ARRAY_SIZE(parts)] * (double)s->rate;
}

static void tell(struct estimate *e, const struct estimate_seen *s,
		 const struct sum *sum)
{
	if (sum->stuck > sum->weight * never_from) {
		e->end = ESTIMATE_NEVER;
		return;
	}
	e->end = ESTIMATE_CONVERGES;
	e->left = (struct estimate_range){
		.least_us = microseconds(sum->least) + ESTIMATE_SWITCH_US,
		.likely_us = microseconds(sum->likely) + ESTIMATE_SWITCH_US,
		.most_us = plus(microseconds(sum->most), ESTIMATE_SWITCH_US),
	};
	e->downtime_us =
		microseconds(sum->rest / (double)s->rate) + ESTIMATE_SWITCH_US;
}

static uint64_t rate_of(const struct estimate_change *p)
{
	return p->over_us ? (uint64_t)((double)p->bytes / seconds(p->over_us))
			  : 0;
}

struct estimate estimate_make(const struct estimate_seen *s)
{
	struct curve all[CURVES];
	struct estimate e = nothing;
	struct estimate_seen alone = *s;
	struct sum sum, unaided;

	if (s->rate == 0)
		return e;
	fit_all(all, s);
	if (s->changes == 0)
		assume_guest(all, s);
	else
		e.dirty_rate = rate_of(&s->change[0]);
	sum = sum_all(s, all);
	e.sure = sure_of(s);
	tell(&e, s, &sum);
	if (e.end == ESTIMATE_CONVERGES && s->steps & CONVERGE_THROTTLE) {
		alone.steps &= ~(unsigned)CONVERGE_THROTTLE;
		unaided = sum_all(&alone, all);
		if (unaided.stuck > unaided.weight * never_from)
			e.end = ESTIMATE_THROTTLED;
	}
	end_by_time(&e, s, (double)s->left / (double)s->rate);
	e.left.least_us = plus(e.left.least_us, s->ahead.least_us);
	e.left.likely_us = plus(e.left.likely_us, s->ahead.likely_us);
	e.left.most_us = plus(e.left.most_us, s->ahead.most_us);
	return e;
}

struct estimate estimate_follow(const struct estimate *before,
				const struct estimate *next, uint64_t past_us)
{
	struct estimate e = *next;
	uint64_t latest = before->left.most_us;

	if (before->left.likely_us == ESTIMATE_NONE ||
	    e.left.likely_us == ESTIMATE_NONE || latest == ESTIMATE_NONE)
		return e;
	latest = latest > past_us ? latest - past_us : 0;
	if (e.left.likely_us > latest)
		e.left.likely_us = latest;
	if (e.left.least_us > e.left.likely_us)
		e.left.least_us = e.left.likely_us;
	return e;
}
