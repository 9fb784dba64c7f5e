/* SPDX-License-Identifier: MIT */

/*
 * What is measured of QEMU's rounds, and what is chosen by it, with a guest and
 * a QEMU that are played (play.h).
 */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "move/converge.h"
#include "move/rounds.h"
#include "play.h"

/* --- the limit */

static const struct guest guests[] = {
	{ .share = 0 },
	{ .share = 0.05, .hot = 1024 },
	{ .share = 0.2, .hot = 1024 },
	{ .share = 0.5, .hot = 1024 },
	{ .share = 0.8, .hot = 1024 },
	{ .share = 0.9, .hot = 2048 },
	{ .share = 0.2 },
	{ .share = 0.5 },
	{ .share = 0.8, .anywhere = true },
	{ .share = 0.5, .hot = 1024, .anywhere = true },
	{ .share = 2, .hot = 300 }, /* 20 MB, all the time */
	{ .share = 1.2, .hot = 512, .anywhere = true },
	{ .share = 0.9, .hot = 64 },
	{ .share = 0.6, .hot = 8192, .zeros = true },
};

static void less_than_the_whole_limit_costs_little(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
		struct outcome all = play(&guests[i], true, 0);
		struct outcome o = play(&guests[i], false, 0);

		assert_true(o.ended == all.ended);
		assert_true(o.total_s <= all.total_s * 1.05);
		assert_true(!o.ended ||
			    o.downtime_s * USEC_PER_SEC <= LIMIT_US);
		/* As much as a tick more: QEMU looks at other moments. */
		assert_true(o.downtime_s <= all.downtime_s + 0.01);
	}
}

/* What is little of a long move is much of a short one. */
static void nor_of_a_short_move(void **state)
{
	static const unsigned sizes[] = { UNITS / 4, UNITS / 8 };
	static const double shares[] = { 0, 0.05, 0.2, 0.5, 0.6 };
	static struct play p;

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(sizes); n++)
		for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
			struct outcome all, o;

			p = (struct play){ .guest = { .share = shares[i],
						      .hot = 1024 },
					   .units = sizes[n],
					   .full = true };
			all = play_with(&p);
			p.full = false;
			o = play_with(&p);
			/* QEMU looks 20 times a second. */
			assert_true(o.total_s <= all.total_s * 1.05 + 0.05);
			if (shares[i] <= 0.05)
				assert_true(o.downtime_s * USEC_PER_SEC <=
					    LIMIT_US / CONVERGE_FIRST);
		}
}

static void most_guests_stand_still_for_an_eighth(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct outcome o = play(&guests[i], false, 0);

		assert_true(o.downtime_s * USEC_PER_SEC <=
			    LIMIT_US / CONVERGE_FIRST);
	}
}

/* What a burst takes away nobody can foresee, but no more than one. */
static void bursts_cost_no_more_than_one_of_them(void **state)
{
	(void)state;
	for (unsigned share = 2; share <= 20; share += 3)
		for (uint64_t ms = 20; ms <= 2000; ms *= 3) {
			const struct guest g = { .share = share / 10.0,
						 .hot = 1024,
						 .burst_us = ms * 1000 };
			struct outcome all = play(&g, true, 0);
			struct outcome o = play(&g, false, 0);

			assert_true(o.ended == all.ended);
			assert_true(o.total_s <=
				    all.total_s * 1.05 +
					    2.0 * (double)ms / 1000);
			assert_true(!o.ended ||
				    o.downtime_s * USEC_PER_SEC <= LIMIT_US);
		}
}

static void any_guest_that_converges_is_held_to_its_limit(void **state)
{
	unsigned random = 7;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct guest g;
		struct outcome all, o;

		random = random * 1664525 + 1013904223;
		g = (struct guest){
			/* Above that the moment of a look decides. */
			.share = (random >> 8) % 85 / 100.0,
			.hot = 1 + (random >> 16) % UNITS,
			.anywhere = random >> 30 & 1
		};
		all = play(&g, true, 0);
		o = play(&g, false, 0);
		assert_true(o.ended == all.ended);
		assert_true(!o.ended ||
			    o.downtime_s * USEC_PER_SEC <= LIMIT_US);
		assert_true(o.total_s <= all.total_s * 1.05);
	}
}

/* It counts the bitmaps of its disks, which it does not send before it has
 * stopped the guest, or pages that travel as a few bytes. */
static void a_qemu_that_reckons_otherwise_is_told_the_whole_limit(void **state)
{
	static const struct {
		double adds, takes_for;
		bool old;
	} qemus[] = {
		{ .adds = 16.8e6 },
		{ .adds = 16.8e6, .old = true },
		{ .takes_for = 0.1 },
	};
	static struct play p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(qemus); i++)
		for (size_t g = 0; g < 4; g++) {
			struct outcome all, o;

			p = (struct play){ .guest = guests[g],
					   .full = true,
					   .adds = qemus[i].adds,
					   .takes_for = qemus[i].takes_for,
					   .old = qemus[i].old };
			all = play_with(&p);
			p.full = false;
			o = play_with(&p);
			assert_true(o.ended == all.ended);
			assert_true(o.total_s <= all.total_s * 1.1);
		}
}

/* Before it has looked at the memory at all, nothing has to fit. */
static void a_qemu_that_has_not_begun_is_not_late(void **state)
{
	const struct converge_rules rules = { LIMIT_US, 0 };
	const struct rounds r = { 0 };
	struct converge c = { 0 };

	(void)state;
	for (uint64_t s = 0; s < 10; s++)
		c = converge_next(&c, &rules,
				  &(struct converge_seen){
					  .now_us = s * USEC_PER_SEC,
					  .remaining = rounds_remaining(&r) });
	assert_int_equal(c.limit_us, LIMIT_US / CONVERGE_FIRST);
}

static void a_limit_is_never_above_the_users_nor_zero(void **state)
{
	static const uint64_t limits[] = { 1000, 2000,   7000,
					   9000, 300000, 60000000 };
	const struct converge none = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		for (uint64_t remaining = 1; remaining < 1ULL << 40;
		     remaining *= 7)
			for (unsigned dirty = 0; dirty < 4; dirty++) {
				const struct converge_rules rules = { limits[i],
								      0 };
				const struct converge_seen s = {
					.now_us = 1000000,
					.remaining = remaining,
					.rate = 100000000,
					.dirty_rate = dirty * 45000000ULL,
					.rounds = 3,
					.sure = true,
				};
				struct converge c =
					converge_next(&none, &rules, &s);

				assert_in_range(c.limit_us, 1000, limits[i]);
				c = converge_next(&c, &rules, &s);
				assert_in_range(c.limit_us, 1000, limits[i]);
			}
}

static void a_limit_that_the_user_lowers_counts_at_once(void **state)
{
	const struct converge was = { .limit_us = 300000 };
	const struct converge_rules rules = { 50000, 0 };
	const struct converge_seen nothing = { 0 };

	(void)state;
	assert_int_equal(converge_next(&was, &rules, &nothing).limit_us, 50000);
}

/* --- what is measured */

/* QEMU's answer may be of a sync whose event has not been heard yet. */
static void a_sync_that_was_not_heard_of_is_not_as_old_as_the_last(void **state)
{
	struct rounds r = { 0 };

	(void)state;
	rounds_add(&r, &(struct rounds_seen){ .at_us = 1000000,
					      .syncs = 1,
					      .pass = 1,
					      .pass_us = 1000000,
					      .remaining = 200000000 });
	rounds_add(&r, &(struct rounds_seen){ .at_us = 3010000,
					      .syncs = 2,
					      .pass = 2,
					      .pass_us = 3000000,
					      .data = 200000000,
					      .remaining = 100000000 });
	assert_int_equal(rounds_dirty_rate(&r), 50000000);
	rounds_add(&r, &(struct rounds_seen){ .at_us = 5000000,
					      .syncs = 3,
					      .pass = 2,
					      .pass_us = 3000000,
					      .data = 300000000,
					      .remaining = 100000000 });
	assert_int_equal(rounds_dirty_rate(&r), 50000000);
	assert_int_equal(rounds_since_us(&r), 0);
}

static void zeros_of_the_first_pass_say_nothing_of_the_links(void **state)
{
	struct rounds r = { 0 };
	struct rounds_seen s = { .at_us = USEC_PER_SEC,
				 .syncs = 1,
				 .remaining = 1000000000 };

	(void)state;
	rounds_add(&r, &s);
	s.at_us += USEC_PER_SEC;
	s.data += 100000000;
	s.zero += 800000000;
	s.remaining -= 900000000;
	rounds_add(&r, &s);
	assert_int_equal(rounds_rate(&r), 100000000);
	s.at_us += USEC_PER_SEC;
	s.syncs = s.pass = 2;
	s.pass_us = s.at_us;
	s.data += 50000000;
	s.zero += 50000000;
	s.remaining = 80000000;
	rounds_add(&r, &s);
	assert_int_equal(rounds_rate(&r), 50000000);
	/* Then they are of what was changed. */
	s.at_us += USEC_PER_SEC;
	s.zero += 80000000;
	s.remaining = 0;
	rounds_add(&r, &s);
	assert_int_equal(rounds_rate(&r), 80000000);
}

/* --- what does not converge */

static const struct guest too_fast[] = {
	{ .share = 1.5, .hot = 2048 },
	{ .share = 1.5 },
	{ .share = 1.1, .hot = 4096 },
	{ .share = 3, .hot = 1024 },
	{ .share = 3, .hot = 4096, .anywhere = true },
	{ .share = 10, .hot = 2048 },
};

static void a_guest_that_is_too_fast_is_named_after_the_second_round(
	void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(too_fast); i++) {
		struct outcome o = play(&too_fast[i], false, 0);

		assert_false(o.ended);
		assert_true(o.stuck);
		assert_false(o.said_late);
	}
}

static void one_that_converges_never_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < 9; i++)
		assert_false(play(&guests[i], false, 0).stuck);
	assert_false(play(&guests[ARRAY_SIZE(guests) - 1], false, 0).stuck);
}

static void a_throttle_brings_each_of_them_to_its_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(too_fast); i++) {
		struct outcome o = play(&too_fast[i], false, CONVERGE_THROTTLE);

		assert_true(o.ended);
		assert_in_range(o.throttle, 10, CONVERGE_THROTTLE_MOST);
		assert_true(o.downtime_s * USEC_PER_SEC <= LIMIT_US);
	}
}

/* Steps that are too small, or come too late, take time. */
static void a_throttle_is_hardly_slower_than_the_best_that_is_fixed(
	void **state)
{
	static const unsigned sizes[] = { UNITS, UNITS / 4, UNITS / 8 };
	static const unsigned fixed[] = { 50, 80, 99 };
	static struct play p;

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(sizes); n++)
		for (size_t i = 0; i < ARRAY_SIZE(too_fast); i++) {
			double best = GIVEN_UP_US;
			struct outcome o;

			p = (struct play){ .guest = too_fast[i],
					   .units = sizes[n],
					   .uneven = 0.05,
					   .full = true };
			for (size_t f = 0; f < ARRAY_SIZE(fixed); f++) {
				p.fixed = fixed[f];
				o = play_with(&p);
				if (o.ended && o.total_s < best)
					best = o.total_s;
			}
			p.full = false;
			p.fixed = 0;
			p.steps = CONVERGE_THROTTLE;
			o = play_with(&p);
			assert_true(o.ended);
			/* How much faster than the paths a guest is does not
			 * always show: one that is much so takes longer. */
			assert_true(o.total_s <=
				    best * (too_fast[i].share > 3   ? 1.8
					    : too_fast[i].share > 2 ? 1.5
								    : 1.3));
		}
}

static void one_that_converges_is_not_slowed_down(void **state)
{
	static struct play p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
		struct outcome o;

		p = (struct play){ .guest = guests[i],
				   .uneven = 0.05,
				   .steps = CONVERGE_THROTTLE };
		o = play_with(&p);
		if (!play(&guests[i], false, 0).stuck)
			assert_in_range(o.throttle, 0, 1);
	}
}

/* QEMU does not run out of pages meanwhile: it does not look either. */
static void an_outage_slows_no_guest_down(void **state)
{
	static struct play p;

	(void)state;
	for (uint64_t from = 18; from < 25; from++)
		for (uint64_t took = 2; took <= 16; took *= 2) {
			struct outcome o;

			p = (struct play){
				.guest = { .share = 0.6, .hot = 8192 },
				.steps = CONVERGE_THROTTLE,
				.silent_us = from * USEC_PER_SEC,
				.silent_until_us = (from + took) * USEC_PER_SEC,
			};
			o = play_with(&p);
			assert_true(o.ended);
			assert_in_range(o.throttle, 0, 1); /* QEMU's least */
		}
}

static void a_step_that_is_not_needed_any_more_is_taken_back(void **state)
{
	const struct converge_rules rules = { LIMIT_US, CONVERGE_THROTTLE };
	struct converge_seen s = { .now_us = 5000000,
				   .remaining = 200000000,
				   .rate = 100000000,
				   .dirty_rate = 50000000,
				   .rounds = 3,
				   .sure = true,
				   .fresh = true };
	struct converge c = { .throttle = 80, .stuck = true };

	(void)state;
	for (int i = 0; i < CONVERGE_CALM_ROUNDS; i++) {
		/* One round alone says little. */
		assert_int_equal(c.throttle, 80);
		c = converge_next(&c, &rules, &s);
		assert_false(c.stuck);
	}
	assert_int_equal(c.throttle, 0);
	s.throttle = 40;
	c = (struct converge){ .throttle = 80, .stuck = true };
	for (int i = 0; i < CONVERGE_CALM_ROUNDS; i++)
		c = converge_next(&c, &rules, &s);
	assert_int_equal(c.throttle, 40);
	/* And chosen again when it is. */
	s.dirty_rate = 100000000;
	s.fresh = false;
	c = converge_next(&c, &rules, &s);
	assert_int_equal(c.throttle, 40);
	s.fresh = true;
	c = converge_next(&c, &rules, &s);
	assert_int_equal(c.throttle, 88);
}

static void the_throttle_is_what_is_missing(void **state)
{
	const struct converge_rules rules = { LIMIT_US, CONVERGE_THROTTLE };
	struct converge_seen s = { .now_us = 5000000,
				   .remaining = 200000000,
				   .rate = 100000000,
				   .dirty_rate = 150000000,
				   .rounds = 2,
				   .sure = true,
				   .fresh = true };
	struct converge c = { 0 };

	(void)state;
	/* 26 of 150 is 40 of 100. */
	c = converge_next(&c, &rules, &s);
	assert_int_equal(c.throttle, 74);
	/* Not again before that has been measured. */
	assert_int_equal(converge_next(&c, &rules, &s).throttle, 74);
	s.throttle = 74;
	s.rounds = 1;
	assert_int_equal(converge_next(&c, &rules, &s).throttle, 74);
	s.rounds = 2;
	s.dirty_rate = 50000000;
	assert_int_equal(converge_next(&c, &rules, &s).throttle, 74);
	/* It had changed the same pages again and again. */
	s.dirty_rate = 100000000;
	c = converge_next(&(struct converge){ .stuck = true, .throttle = 74 },
			  &rules, &s);
	assert_int_equal(c.throttle, 95);
}

static void a_throttle_that_is_not_allowed_any_more_is_taken_back(void **state)
{
	const struct converge_rules rules = { LIMIT_US, 0 };
	const struct converge_seen nothing = { .throttle = 60 };
	const struct converge was = { .throttle = 60, .limit_us = 1000 };

	(void)state;
	assert_int_equal(converge_next(&was, &rules, &nothing).throttle, 1);
}

static void a_move_is_helpless_once_nothing_is_left_to_be_done(void **state)
{
	struct converge_rules rules = { LIMIT_US, 0 };
	struct converge_seen s = { .now_us = 5000000,
				   .remaining = 200000000,
				   .rate = 100000000,
				   .dirty_rate = 150000000,
				   .rounds = 2,
				   .sure = true,
				   .fresh = true };
	struct converge c = { 0 };

	(void)state;
	c = converge_next(&c, &rules, &s);
	assert_true(converge_is_helpless(&c, &rules, &s));
	/* The user follows the advice. */
	rules.steps = CONVERGE_THROTTLE;
	c = converge_next(&c, &rules, &s);
	assert_false(converge_is_helpless(&c, &rules, &s));
	/* QEMU does not. */
	for (int i = 0; i < CONVERGE_STEP_ROUNDS; i++) {
		assert_false(converge_is_helpless(&c, &rules, &s));
		s.now_us += 3000000;
		c = converge_next(&c, &rules, &s);
	}
	assert_true(converge_is_helpless(&c, &rules, &s));
	/* It does, and that is to be measured before more is said. */
	s.throttle = c.throttle = CONVERGE_THROTTLE_MOST;
	s.rounds = 0;
	assert_false(converge_is_helpless(&c, &rules, &s));
	s.rounds = 2;
	assert_true(converge_is_helpless(&c, &rules, &s));
	c.stuck = false;
	assert_false(converge_is_helpless(&c, &rules, &s));
}

/* --- words */

static void what_would_help_is_said(void **state)
{
	struct converge_rules rules = { LIMIT_US, 0 };
	const struct converge_seen s = { .remaining = 100 << 20,
					 .rate = 110 << 20,
					 .dirty_rate = 140 << 20 };
	char text[400];

	(void)state;
	converge_say(text, sizeof(text), &rules, &s, "lan2");
	assert_string_equal(
		text, "it does not converge: the guest dirties 140 MiB/s, the "
		      "paths carry 110 MiB/s: add lan2 (--mode auto), "
		      "--converge throttle, a downtime limit of about 1.0 s, "
		      "or --converge pause with a time-out");
	rules.steps = CONVERGE_THROTTLE | CONVERGE_PAUSE;
	converge_say(text, sizeof(text), &rules, &s, "");
	assert_string_equal(
		text, "it does not converge: the guest dirties 140 MiB/s, the "
		      "paths carry 110 MiB/s: a downtime limit of about 1.0 s");
}

static int parse(unsigned *steps, const char *text, struct error *e)
{
	struct words w = { 0 };
	int r;

	assert_int_equal(words_split(&w, text, e), 0);
	r = converge_parse(steps, &w, e);
	words_done(&w);
	return r;
}

static void steps_are_read_and_refused_in_words(void **state)
{
	static const struct {
		const char *text;
		unsigned steps;
		const char *why;
	} rows[] = {
		{ "none", 0, NULL },
		{ "throttle", CONVERGE_THROTTLE, NULL },
		{ "pause", CONVERGE_PAUSE, NULL },
		{ "throttle pause", CONVERGE_THROTTLE | CONVERGE_PAUSE, NULL },
		{ "pause throttle", 0, "write throttle before pause" },
		{ "pause pause", 0, "names pause twice" },
		{ "none pause", 0, "not both" },
		{ "postcopy", 0, "'drover relay' carries one" },
		{ "slow", 0, "'slow' is not a step of converge" },
		{ "", 0, "needs a word" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned steps = 99;
		struct error e = { 0 };
		int r = parse(&steps, rows[i].text, &e);

		assert_int_equal(r, rows[i].why ? -EINVAL : 0);
		if (rows[i].why)
			assert_non_null(strstr(e.text, rows[i].why));
		else
			assert_int_equal(steps, rows[i].steps);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(less_than_the_whole_limit_costs_little),
		cmocka_unit_test(nor_of_a_short_move),
		cmocka_unit_test(most_guests_stand_still_for_an_eighth),
		cmocka_unit_test(bursts_cost_no_more_than_one_of_them),
		cmocka_unit_test(any_guest_that_converges_is_held_to_its_limit),
		cmocka_unit_test(
			a_qemu_that_reckons_otherwise_is_told_the_whole_limit),
		cmocka_unit_test(a_qemu_that_has_not_begun_is_not_late),
		cmocka_unit_test(a_limit_is_never_above_the_users_nor_zero),
		cmocka_unit_test(a_limit_that_the_user_lowers_counts_at_once),
		cmocka_unit_test(
			a_sync_that_was_not_heard_of_is_not_as_old_as_the_last),
		cmocka_unit_test(
			zeros_of_the_first_pass_say_nothing_of_the_links),
		cmocka_unit_test(
			a_guest_that_is_too_fast_is_named_after_the_second_round),
		cmocka_unit_test(one_that_converges_never_is),
		cmocka_unit_test(a_throttle_brings_each_of_them_to_its_end),
		cmocka_unit_test(
			a_throttle_is_hardly_slower_than_the_best_that_is_fixed),
		cmocka_unit_test(one_that_converges_is_not_slowed_down),
		cmocka_unit_test(an_outage_slows_no_guest_down),
		cmocka_unit_test(
			a_step_that_is_not_needed_any_more_is_taken_back),
		cmocka_unit_test(the_throttle_is_what_is_missing),
		cmocka_unit_test(
			a_throttle_that_is_not_allowed_any_more_is_taken_back),
		cmocka_unit_test(
			a_move_is_helpless_once_nothing_is_left_to_be_done),
		cmocka_unit_test(what_would_help_is_said),
		cmocka_unit_test(steps_are_read_and_refused_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
