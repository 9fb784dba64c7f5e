/* SPDX-License-Identifier: MIT */

/*
 * The clock of a move, held against moves that are played (play.h): what it
 * says at each look, and when the move really ended.
 */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "move/converge.h"
#include "move/estimate.h"
#include "move/speed.h"
#include "play.h"

enum { TOLD_MOST = 4096, SAMPLES = 3 };

/* What the source does around estimate_make(), in the time of the play. */
struct clock {
	struct speed speed;
	struct estimate_change sampled[SAMPLES];
	unsigned samples;
	uint64_t over_us, begun_us; /* of the sample that is taken */
	struct estimate told;
	uint64_t told_us;
	struct {
		uint64_t at_us;
		struct estimate e;
	} all[TOLD_MOST];
	unsigned count;
};

static struct clock its;

static unsigned count(const uint8_t units[UNITS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < UNITS; i++)
		n += units[i];
	return n;
}

/* As QEMU does: MiB a second, over 1, 2, 4 ... seconds. */
static void take_sample(struct play *p)
{
	uint64_t mib;

	if (p->now_us < its.begun_us + its.over_us || p->syncs > 1)
		return;
	mib = (uint64_t)count(p->sampled) * UNIT * USEC_PER_SEC / its.over_us >>
	      20;
	memmove(its.sampled + 1, its.sampled,
		(SAMPLES - 1) * sizeof(its.sampled[0]));
	its.sampled[0] = (struct estimate_change){
		.over_us = its.over_us,
		.bytes = (mib << 20) * its.over_us / USEC_PER_SEC,
	};
	its.samples += its.samples < SAMPLES;
	its.over_us *= 2;
	its.begun_us = p->now_us;
	memset(p->sampled, 0, sizeof(p->sampled));
}

static struct estimate_seen seen_of(const struct play *p)
{
	uint64_t since_us = rounds_since_us(&p->rounds);
	struct estimate_seen s = {
		.total = (uint64_t)UNITS * UNIT,
		.used = (uint64_t)(UNITS - p->empty) * UNIT,
		.left = (uint64_t)p->known_count * UNIT,
		.first = p->syncs <= 1,
		.data = p->data,
		.zero = p->zero,
		.among = its.speed.among,
		.since_us = since_us == UINT64_MAX ? 0 : since_us,
		.rate = speed_rate(&its.speed),
		.rate_error = speed_error(&its.speed),
		.zero_rate = its.speed.zero_rate,
		.limit_us = LIMIT_US,
		.steps = p->steps,
		.elapsed_us = p->now_us,
	};

	while (s.changes < ESTIMATE_CHANGES - SAMPLES &&
	       rounds_change(&p->rounds, s.changes,
			     &s.change[s.changes].over_us,
			     &s.change[s.changes].bytes))
		s.changes++;
	for (unsigned i = 0; i < its.samples; i++)
		s.change[s.changes++] = its.sampled[i];
	return s;
}

static void on_asked(struct play *p)
{
	struct estimate_seen s;
	struct estimate next;

	take_sample(p);
	speed_add(&its.speed, &(struct speed_point){ .at_us = p->now_us,
						     .data = p->data,
						     .zero = p->zero });
	if (p->throttle > 1)
		its.samples = 0;
	s = seen_of(p);
	next = estimate_make(&s);
	its.told = estimate_follow(&its.told, &next, p->now_us - its.told_us);
	its.told_us = p->now_us;
	if (its.count < TOLD_MOST) {
		its.all[its.count].at_us = p->now_us;
		its.all[its.count++].e = its.told;
	}
}

/* Taken while the move was prepared. */
static void take_first(const struct guest *g, unsigned over_s)
{
	double all = (double)(g->hot ? g->hot : UNITS) * UNIT;
	double bytes = g->share * PLAY_RATE * over_s;

	bytes = g->anywhere ? all * (1 - exp(-bytes / all)) : fmin(bytes, all);
	its.sampled[0] = (struct estimate_change){
		.over_us = over_s * USEC_PER_SEC,
		.bytes = ((uint64_t)(bytes / over_s) >> 20 << 20) * over_s,
	};
	its.samples = 1;
	its.over_us = 2 * USEC_PER_SEC;
}

static struct outcome play_clocked(const struct guest *g, double uneven,
				   unsigned empty, unsigned steps)
{
	static struct play p;

	memset(&its, 0, sizeof(its));
	its.told = estimate_make(&(struct estimate_seen){ .rate = 0 });
	take_first(g, 1);
	p = (struct play){ .guest = *g,
			   .uneven = uneven,
			   .empty = empty,
			   .steps = steps,
			   .asked = on_asked };
	return play_with(&p);
}

/* What was told last before @at_us. */
static const struct estimate *told_at(uint64_t at_us, uint64_t *ret_us)
{
	unsigned i = 0;

	while (i + 1 < its.count && its.all[i + 1].at_us <= at_us)
		i++;
	*ret_us = its.all[i].at_us;
	return &its.all[i].e;
}

static unsigned random_of(unsigned *r)
{
	*r = *r * 1664525 + 1013904223;
	return *r >> 8;
}

/* The guests of the benchmark's course: idle to busy, in a small part of their
 * memory or a quarter of it, as the stress guest or anywhere; cards that others
 * use as well; and memory that holds nothing. */
struct course {
	struct guest guest;
	double uneven;
	unsigned empty;
};

enum { MOVES = 150 };

static struct course any_course(unsigned *r)
{
	bool anywhere = random_of(r) % 2;

	return (struct course){
		.guest = { .share = random_of(r) % 70 / 100.0,
			   .hot = UNITS >> (2 + random_of(r) % 6),
			   .anywhere = anywhere,
			   .strided = !anywhere },
		.uneven = random_of(r) % 20 / 100.0,
		.empty = random_of(r) % 2 * (random_of(r) % 24000),
	};
}

static struct outcome play_course(const struct course *c)
{
	return play_clocked(&c->guest, c->uneven, c->empty, 0);
}

static double seconds(uint64_t us)
{
	return us == ESTIMATE_NONE ? INFINITY : (double)us / USEC_PER_SEC;
}

/* --- while it goes on */

static void at_a_quarter_nine_of_ten_are_within_15_per_cent(void **state)
{
	unsigned r = 11, good = 0, covered = 0, moves = 0;

	(void)state;
	for (int i = 0; i < MOVES; i++) {
		const struct course c = any_course(&r);
		struct outcome o = play_course(&c);
		const struct estimate *e;
		uint64_t at_us;

		if (!o.ended)
			continue;
		e = told_at((uint64_t)(o.total_s * USEC_PER_SEC / 4), &at_us);
		moves++;
		good += fabs(seconds(at_us) + seconds(e->left.likely_us) -
			     o.total_s) <= 0.15 * o.total_s;
		covered += seconds(at_us) + seconds(e->left.least_us) <=
				   o.total_s * 1.02 &&
			   seconds(at_us) + seconds(e->left.most_us) >=
				   o.total_s * 0.98;
	}
	assert_true(moves > MOVES / 2);
	assert_true(good * 10 >= moves * 9);
	assert_true(covered * 10 >= moves * 9);
}

/* What is written over as a whole cannot be told from a part of it before it
 * has been written once: then the range says so. */
static void a_guest_that_writes_everywhere_is_within_the_range(void **state)
{
	(void)state;
	for (unsigned share = 5; share < 70; share += 5) {
		const struct guest g = { .share = share / 100.0,
					 .strided = true };
		struct outcome o = play_clocked(&g, 0.05, 0, 0);
		const struct estimate *e;
		uint64_t at_us;

		e = told_at((uint64_t)(o.total_s * USEC_PER_SEC / 4), &at_us);
		assert_true(o.ended);
		assert_true(seconds(at_us) + seconds(e->left.most_us) >=
			    o.total_s * 0.9);
	}
}

static void check_never_backwards(void)
{
	for (unsigned i = 1; i < its.count; i++) {
		const struct estimate_range *was = &its.all[i - 1].e.left;
		const struct estimate_range *is = &its.all[i].e.left;

		if (was->likely_us == ESTIMATE_NONE ||
		    is->likely_us == ESTIMATE_NONE)
			continue;
		assert_true(is->least_us <= is->likely_us &&
			    is->likely_us <= is->most_us);
		assert_true(seconds(its.all[i].at_us + is->likely_us) <=
			    fmax(seconds(its.all[i - 1].at_us) +
					 seconds(was->most_us),
				 seconds(its.all[i].at_us)) +
				    1e-3);
	}
}

static void it_never_runs_backwards_by_more_than_its_range(void **state)
{
	static const struct guest others[] = {
		{ .share = 2, .hot = 4096, .burst_us = 3000000 },
		{ .share = 0.9, .hot = 2048, .burst_us = 500000 },
		{ .share = 1.5, .hot = 2048 },
		{ .share = 0.6, .hot = 8192, .zeros = true },
	};
	unsigned r = 5;

	(void)state;
	for (int i = 0; i < MOVES / 3; i++) {
		const struct course c = any_course(&r);

		play_course(&c);
		check_never_backwards();
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		play_clocked(&others[i], 0.3, 8000, CONVERGE_THROTTLE);
		check_never_backwards();
	}
}

/* Seen over all of a move: what was told as the latest end was it. */
static void the_latest_end_is_rarely_passed(void **state)
{
	unsigned r = 23, looks = 0, passed = 0;

	(void)state;
	for (int i = 0; i < MOVES / 3; i++) {
		const struct course c = any_course(&r);
		struct outcome o = play_course(&c);

		for (unsigned n = 0; o.ended && n < its.count; n++) {
			double most = seconds(its.all[n].at_us) +
				      seconds(its.all[n].e.left.most_us);

			looks++;
			passed += most < o.total_s * 0.98;
		}
	}
	assert_true(looks > 1000);
	assert_true(passed * 10 <= looks);
}

static void the_downtime_is_within_a_factor_of_two(void **state)
{
	unsigned r = 3, moves = 0, good = 0;

	(void)state;
	for (int i = 0; i < MOVES / 3; i++) {
		const struct course c = any_course(&r);
		struct outcome o = play_course(&c);
		double told;

		if (!o.ended || its.count < 2)
			continue;
		told = seconds(its.all[its.count - 1].e.downtime_us) -
		       ESTIMATE_SWITCH_US / 1e6;
		moves++;
		good += fabs(told - o.downtime_s) <= o.downtime_s + 0.03;
		assert_true(told * USEC_PER_SEC <= LIMIT_US * 1.1);
	}
	assert_true(good * 10 >= moves * 9);
}

/* --- how it ends */

static const struct estimate_seen fast = {
	.total = 1 << 30,
	.used = 1 << 30,
	.left = 1 << 29,
	.change = { { 5000000, 900000000 }, { 5000000, 900000000 } },
	.changes = 2,
	.rate = 100000000,
	.rate_error = 5,
	.limit_us = 300000,
	.elapsed_us = 10000000,
};

static void what_never_ends_is_said(void **state)
{
	struct estimate_seen s = fast;
	struct estimate e = estimate_make(&s);

	(void)state;
	assert_int_equal(e.end, ESTIMATE_NEVER);
	assert_true(e.left.likely_us == ESTIMATE_NONE);
	s.timeout_us = 60000000;
	assert_int_equal(estimate_make(&s).end, ESTIMATE_NEVER);
	s.steps = CONVERGE_PAUSE;
	e = estimate_make(&s);
	assert_int_equal(e.end, ESTIMATE_PAUSED);
	assert_in_range(e.left.likely_us, 50000000, 57000000);
	assert_in_range(e.downtime_us, 5000000, 6000000);
	s.steps = CONVERGE_THROTTLE;
	e = estimate_make(&s);
	assert_int_equal(e.end, ESTIMATE_THROTTLED);
	assert_in_range(e.left.likely_us, 5000000, 50000000);
}

static void what_takes_longer_than_it_may_is_said(void **state)
{
	struct estimate_seen s = fast;

	(void)state;
	s.change[0].bytes = s.change[1].bytes = 5000000;
	assert_int_equal(estimate_make(&s).end, ESTIMATE_CONVERGES);
	s.timeout_us = 12000000;
	assert_int_equal(estimate_make(&s).end, ESTIMATE_TIMED_OUT);
	s.timeout_us = 60000000;
	assert_int_equal(estimate_make(&s).end, ESTIMATE_CONVERGES);
}

/* A quarter of what is there are pages of zeros, which the process has all the
 * same: so it is in what is left. */
static void zeros_among_content_are_expected_in_what_is_left(void **state)
{
	const struct estimate_seen s = {
		.total = 2000000000,
		.used = 1000000000,
		.left = 1600000000,
		.first = true,
		.data = 300000000,
		.zero = 100000000,
		.among = 100000000,
		.change = { { 1000000, 0 } },
		.changes = 1,
		.rate = 100000000,
		.rate_error = 5,
		.zero_rate = 100000000000,
		.limit_us = 300000,
	};
	struct estimate e = estimate_make(&s);

	(void)state;
	assert_in_range(e.left.likely_us, 4400000, 4700000);
}

static void nothing_is_told_of_paths_that_carry_nothing(void **state)
{
	struct estimate_seen s = fast;
	struct estimate e;

	(void)state;
	s.rate = 0;
	e = estimate_make(&s);
	assert_int_equal(e.end, ESTIMATE_UNKNOWN);
	assert_true(e.left.least_us == ESTIMATE_NONE);
	assert_true(e.downtime_us == ESTIMATE_NONE);
	assert_int_equal(e.sure, ESTIMATE_LOW);
}

/* --- before it begins */

static struct estimate_seen before_move(const struct course *c, double rate)
{
	struct estimate_seen s = {
		.total = (uint64_t)UNITS * UNIT,
		.used = (uint64_t)(UNITS - c->empty) * UNIT,
		.left = (uint64_t)UNITS * UNIT,
		.first = true,
		.rate = (uint64_t)rate,
		.rate_error = 15,
		.limit_us = LIMIT_US,
	};

	take_first(&c->guest, 4);
	s.change[0] = its.sampled[0];
	take_first(&c->guest, 1);
	s.change[1] = its.sampled[0];
	s.changes = 2;
	return s;
}

static void before_the_begin_nine_of_ten_are_within_30_per_cent(void **state)
{
	unsigned r = 31, good = 0, moves = 0;

	(void)state;
	for (int i = 0; i < MOVES; i++) {
		const struct course c = any_course(&r);
		struct outcome o = play_course(&c);
		/* A short look at the paths is off by so much. */
		double off = 0.9 + random_of(&r) % 20 / 100.0;
		struct estimate_seen s = before_move(&c, PLAY_RATE * off);
		struct estimate e = estimate_make(&s);

		if (!o.ended)
			continue;
		moves++;
		good += fabs(seconds(e.left.likely_us) - o.total_s) <=
			0.3 * o.total_s;
	}
	assert_true(good * 10 >= moves * 9);
}

static void what_stands_before_it_is_waited_for(void **state)
{
	const struct course c = { .guest = { .share = 0.1, .hot = 512 } };
	struct estimate_seen s = before_move(&c, PLAY_RATE);
	struct estimate alone = estimate_make(&s), e;

	(void)state;
	s.ahead = (struct estimate_range){ 1000000, 2000000, ESTIMATE_NONE };
	e = estimate_make(&s);
	assert_int_equal(e.left.least_us, alone.left.least_us + 1000000);
	assert_int_equal(e.left.likely_us, alone.left.likely_us + 2000000);
	assert_true(e.left.most_us == ESTIMATE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			at_a_quarter_nine_of_ten_are_within_15_per_cent),
		cmocka_unit_test(
			a_guest_that_writes_everywhere_is_within_the_range),
		cmocka_unit_test(
			it_never_runs_backwards_by_more_than_its_range),
		cmocka_unit_test(the_latest_end_is_rarely_passed),
		cmocka_unit_test(the_downtime_is_within_a_factor_of_two),
		cmocka_unit_test(what_never_ends_is_said),
		cmocka_unit_test(what_takes_longer_than_it_may_is_said),
		cmocka_unit_test(
			zeros_among_content_are_expected_in_what_is_left),
		cmocka_unit_test(nothing_is_told_of_paths_that_carry_nothing),
		cmocka_unit_test(
			before_the_begin_nine_of_ten_are_within_30_per_cent),
		cmocka_unit_test(what_stands_before_it_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
