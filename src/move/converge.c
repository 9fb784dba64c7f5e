/* SPDX-License-Identifier: MIT */
#include "move/converge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

/* Ratios of change and rate: above the first rounds do not get shorter; above
 * the second so little that a smaller limit is not worth its time; below the
 * third they certainly do.  The throttle aims at the last. */
static const double stuck_at = 0.95, knee = 0.65, well_below = 0.8, aim = 0.4;

/* A guest that changes the same pages again and again seems as fast as the
 * paths, and no faster: how fast it is shows only when it is slower. */
static const double seems = 1.1, may_be = 2;

/* Below that a guest of which much has been seen is none that is stuck. */
static const double suspect = 0.15;

static double seconds(uint64_t us)
{
	return (double)us / USEC_PER_SEC;
}

static double ratio_of(const struct converge_seen *s)
{
	return s->rate ? (double)s->dirty_rate / (double)s->rate : 0;
}

/* How long the rest takes once the guest has stopped. */
static double rest_s(const struct converge_seen *s)
{
	return (double)s->remaining / (double)s->rate;
}

/* --- the limit */

static uint64_t first_limit(const struct converge_rules *rules)
{
	uint64_t first = rules->limit_us / CONVERGE_FIRST;

	return first < USEC_PER_MS ? USEC_PER_MS : first;
}

/* When the move ends if QEMU is told @limit_us; negative: never. */
static double end_s(const struct converge_seen *s, uint64_t limit_us)
{
	double now = seconds(s->now_us), limit = seconds(limit_us);
	double rest = rest_s(s), ratio = ratio_of(s);

	if (rest <= limit)
		return now + rest;
	if (ratio >= stuck_at)
		return -1;
	return now + (rest - limit) / (1 - ratio) + limit;
}

/* When it would have ended with the whole one; negative: never. */
static double full_s(const struct converge *c,
		     const struct converge_rules *rules,
		     const struct converge_seen *s)
{
	return c->full_end_us ? seconds(c->full_end_us)
			      : end_s(s, rules->limit_us);
}

/* So long beyond @end QEMU is waited for: it looks at its limit ten times a
 * second, which says nothing. */
static double patience_s(double end)
{
	double part = end / CONVERGE_PATIENCE;

	return part > seconds(CONVERGE_PATIENCE_US)
		       ? part
		       : seconds(CONVERGE_PATIENCE_US);
}

/* Beyond @full, by a smaller limit.  Where the guest may be slowed down the
 * rates may soon be of another. */
static double spare_s(const struct converge_rules *rules, double full)
{
	return rules->steps & CONVERGE_THROTTLE ? patience_s(full)
						: full / CONVERGE_PATIENCE;
}

static bool is_in_time(const struct converge_seen *s, uint64_t limit_us,
		       double latest)
{
	double end = end_s(s, limit_us);

	return end >= 0 && end <= latest && ratio_of(s) < knee;
}

/* The least one with which it ends in time. */
static uint64_t least_limit(const struct converge_rules *rules,
			    const struct converge_seen *s, double full)
{
	uint64_t most = rules->limit_us, limit = first_limit(rules);
	double latest = full + spare_s(rules, full);

	while (limit < most && !is_in_time(s, limit, latest))
		limit = limit * 2 < most ? limit * 2 : most;
	return limit;
}

static bool is_past(uint64_t end_us, const struct converge_seen *s)
{
	double end = seconds(end_us);

	return end_us && seconds(s->now_us) > end + patience_s(end);
}

/* By what was measured it had ended long ago: QEMU reckons otherwise.  It may
 * count what is not memory, or take the paths for slower than they are. */
static bool is_overdue(struct converge *c, const struct converge_seen *s)
{
	if (s->remaining > 0 &&
	    (s->rate == 0 || rest_s(s) > seconds(c->limit_us)))
		c->fits_us = 0;
	else if (c->fits_us == 0)
		c->fits_us = s->now_us;
	return is_past(c->full_end_us, s) || is_past(c->fits_us, s);
}

static void choose_limit(struct converge *c, const struct converge_rules *rules,
			 const struct converge_seen *s)
{
	double full;

	if (c->limit_us == 0)
		c->limit_us = first_limit(rules);
	if (c->limit_us > rules->limit_us || is_overdue(c, s))
		c->limit_us = rules->limit_us;
	if (s->rate == 0 || s->rounds == 0 || !s->sure)
		return;
	if (c->full_end_us == 0 && rest_s(s) <= seconds(rules->limit_us))
		c->full_end_us =
			s->now_us + (uint64_t)(rest_s(s) * USEC_PER_SEC);
	full = full_s(c, rules, s);
	/* What ends now does not wait for less; nor does one that does not end
	 * change anything. */
	if (full >= 0 && rest_s(s) > seconds(c->limit_us))
		c->limit_us = least_limit(rules, s, full);
}

/* --- the throttle */

static void choose_stuck(struct converge *c, const struct converge_rules *rules,
			 const struct converge_seen *s)
{
	if (s->rounds < CONVERGE_STUCK_ROUNDS || s->rate == 0 || !s->fresh)
		return;
	if (ratio_of(s) >= stuck_at && rest_s(s) > seconds(rules->limit_us))
		c->stuck = true;
	else if (ratio_of(s) < well_below)
		c->stuck = false;
}

/* So that what the guest still changes is to what travels as it should be. */
static unsigned throttle_for(const struct converge_seen *s)
{
	double ratio = ratio_of(s) > seems ? ratio_of(s) : may_be;
	double runs = (100 - s->throttle) * aim / ratio;
	unsigned throttle = runs < 99 ? 100 - (unsigned)runs : 1;

	if (throttle <= s->throttle)
		throttle = s->throttle + 1;
	return throttle < CONVERGE_THROTTLE_MOST ? throttle
						 : CONVERGE_THROTTLE_MOST;
}

/* QEMU has taken what it was told, or may take. */
static void note_taken(struct converge *c, const struct converge_rules *rules,
		       const struct converge_seen *s)
{
	if (s->throttle == c->taken)
		return;
	c->taken = s->throttle;
	c->taken_us = s->looked_us;
	/* What would have ended when counts for a guest that is slow. */
	c->full_end_us = 0;
	if (rules->steps & CONVERGE_THROTTLE && s->throttle > c->throttle)
		c->throttle = s->throttle;
}

static void choose_throttle(struct converge *c,
			    const struct converge_rules *rules,
			    const struct converge_seen *s)
{
	note_taken(c, rules, s);
	if (!(rules->steps & CONVERGE_THROTTLE)) {
		if (c->throttle > 1)
			c->throttle =
				s->throttle < 1 ? 0 : 1; /* QEMU's least */
		return;
	}
	/* What it was told has not taken effect yet, or too lately. */
	if (s->throttle < c->throttle) {
		c->untaken += s->fresh;
		c->calm = c->stuck ? 0 : c->calm + s->fresh;
		/* Rounds differ: what one of them says is not enough. */
		if (c->calm >= CONVERGE_CALM_ROUNDS)
			c->throttle = s->throttle;
		return;
	}
	if (s->rounds < CONVERGE_STUCK_ROUNDS || s->rate == 0 || !s->fresh)
		return;
	if (!c->stuck || ratio_of(s) < well_below)
		return;
	c->throttle = throttle_for(s);
	c->told_us = s->now_us;
	c->untaken = c->calm = 0;
}

static void tell(struct converge *c, unsigned step, unsigned trigger)
{
	c->step = step > 0 ? step : 1; /* QEMU's least */
	c->trigger = trigger;
}

/* One finding is had in any case, of the first pass or after a step.  With the
 * next one QEMU does what was chosen, or, before that, slows a guest down that
 * is stuck by its own reckoning. */
static void choose_step(struct converge *c, const struct converge_rules *rules,
			const struct converge_seen *s)
{
	if (!(rules->steps & CONVERGE_THROTTLE))
		tell(c, c->throttle,
		     s->throttle > 1 ? CONVERGE_TRIGGER_ALWAYS
				     : CONVERGE_TRIGGER_NONE);
	else if (s->throttle < c->throttle ||
		 s->looked_us < c->taken_us + CONVERGE_FINDING_US)
		tell(c, c->throttle, CONVERGE_TRIGGER_ALWAYS);
	else if (s->rounds == 0 || s->zeros || ratio_of(s) < suspect)
		tell(c, s->throttle, CONVERGE_TRIGGER_NONE);
	else if (s->fresh || c->trigger != CONVERGE_TRIGGER_STUCK)
		tell(c, throttle_for(s), CONVERGE_TRIGGER_STUCK);
}

struct converge converge_next(const struct converge *now,
			      const struct converge_rules *rules,
			      const struct converge_seen *seen)
{
	struct converge c = *now;

	choose_stuck(&c, rules, seen);
	choose_throttle(&c, rules, seen);
	choose_step(&c, rules, seen);
	choose_limit(&c, rules, seen);
	return c;
}

bool converge_is_helpless(const struct converge *c,
			  const struct converge_rules *rules,
			  const struct converge_seen *s)
{
	if (!c->stuck || !(rules->steps & CONVERGE_THROTTLE))
		return c->stuck;
	if (s->throttle < c->throttle)
		return c->untaken >= CONVERGE_STEP_ROUNDS &&
		       s->now_us > c->told_us + CONVERGE_STEP_US;
	return s->throttle >= CONVERGE_THROTTLE_MOST &&
	       s->rounds >= CONVERGE_STUCK_ROUNDS;
}

/* --- words */

/* What would be enough if the rest stays as it is. */
static bool limit_would_do(const struct converge_rules *rules,
			   const struct converge_seen *s, uint64_t *ret_us)
{
	*ret_us = s->rate ? (uint64_t)(rest_s(s) * 1.1 * USEC_PER_SEC) : 0;
	return *ret_us > rules->limit_us && *ret_us < 60 * USEC_PER_SEC;
}

void converge_say(char *buf, size_t cap, const struct converge_rules *rules,
		  const struct converge_seen *s, const char *spare)
{
	char dirty[32], rate[32], limit[32], helps[4][120];
	uint64_t limit_us;
	size_t n = 0, used;

	text_bytes(dirty, sizeof(dirty), s->dirty_rate);
	text_bytes(rate, sizeof(rate), s->rate);
	if (spare[0])
		snprintf(helps[n++], sizeof(helps[0]),
			 "add %.60s (--mode auto)", spare);
	if (!(rules->steps & CONVERGE_THROTTLE))
		snprintf(helps[n++], sizeof(helps[0]), "--converge throttle");
	if (limit_would_do(rules, s, &limit_us)) {
		text_duration(limit, sizeof(limit), limit_us);
		snprintf(helps[n++], sizeof(helps[0]),
			 "a downtime limit of about %s", limit);
	}
	if (!(rules->steps & CONVERGE_PAUSE))
		snprintf(helps[n++], sizeof(helps[0]),
			 "--converge pause with a time-out");
	used = (size_t)snprintf(buf, cap,
				"it does not converge: the guest dirties "
				"%s/s, the paths carry %s/s",
				dirty, rate);
	for (size_t i = 0; i < n && used < cap; i++)
		used += (size_t)snprintf(buf + used, cap - used, "%s%s",
					 i == 0       ? ": "
					 : i + 1 == n ? ", or "
						      : ", ",
					 helps[i]);
}

static int refuse(const char *word, struct error *e)
{
	if (!strcmp(word, "postcopy") || !strcmp(word, "post-copy"))
		return error_set(
			e, EINVAL,
			"a move does no post-copy: from its begin on the "
			"guest's memory is on two hosts, and pages that were "
			"written into the destination's memory cannot be "
			"placed again after a break, which would cost the "
			"guest; 'drover relay' carries one of your own");
	return error_set(e, EINVAL,
			 "'%.64s' is not a step of converge: use none, or "
			 "throttle, pause or both in this order",
			 word);
}

int converge_parse(unsigned *ret_steps, const struct words *of, struct error *e)
{
	unsigned steps = 0;

	for (size_t i = 0; i < of->count; i++) {
		const char *word = of->at[i];
		unsigned step = 0;

		if (!strcmp(word, "throttle"))
			step = CONVERGE_THROTTLE;
		else if (!strcmp(word, "pause"))
			step = CONVERGE_PAUSE;
		else if (strcmp(word, "none") != 0)
			return refuse(word, e);
		if (step == 0 && of->count > 1)
			return error_set(e, EINVAL,
					 "converge is none, or what is "
					 "allowed: not both");
		if (steps & step)
			return error_set(e, EINVAL, "converge names %s twice",
					 word);
		if (step == CONVERGE_THROTTLE && steps != 0)
			return error_set(e, EINVAL,
					 "converge: a guest that is paused is "
					 "not throttled any more: write "
					 "throttle before pause");
		steps |= step;
	}
	if (of->count == 0)
		return error_set(e, EINVAL,
				 "converge needs a word: none, throttle or "
				 "pause");
	*ret_steps = steps;
	return 0;
}

int converge_check(unsigned steps, uint64_t timeout_us, struct error *e)
{
	if (steps & CONVERGE_PAUSE && timeout_us == 0)
		return error_set(e, EINVAL,
				 "converge 'pause' pauses the guest at the "
				 "time-out, and there is none: give one as "
				 "well");
	return 0;
}

int converge_names(struct words *to, unsigned steps, struct error *e)
{
	if (steps == 0)
		return words_add(to, "none", e);
	if (steps & CONVERGE_THROTTLE && words_add(to, "throttle", e) < 0)
		return error_code(e);
	return steps & CONVERGE_PAUSE ? words_add(to, "pause", e) : 0;
}
