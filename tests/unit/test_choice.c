/* SPDX-License-Identifier: MIT */

/* Which codec, by numbers. */
#include "unit.h"

#include <string.h>

#include "base/text.h"
#include "compress/choice.h"
#include "frames/outbox.h"

enum { LZ4, ZSTD1, ZSTD2, NONE = CHOICE_NONE };

static const double MB = 1e6;

/* MB/s of one processor, and the ratio. */
static struct choice_record record(double rate, double ratio)
{
	return (struct choice_record){ .in = 1e6,
				       .out = 1e6 / ratio,
				       .took_us = 1e6 / rate,
				       .frames = 9 };
}

/* In MB/s; what the best one should be. */
struct row {
	double link, workers, far;
	unsigned best;
};

static void check(const struct choice_record known[CHOICES],
		  const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct choice_case k = { .link = rows[i].link * MB,
					       .workers = rows[i].workers,
					       .far = rows[i].far * MB };
		struct choice_mix best;

		best = choice_best(known, &k);
		if (choice_mostly(&best) != rows[i].best)
			fail_msg("row %zu: %u, not %u", i, choice_mostly(&best),
				 rows[i].best);
	}
}

static void a_slower_link_gets_a_smaller_codec(void **state)
{
	const struct choice_record known[CHOICES] = { record(500, 2),
						      record(250, 3),
						      record(150, 3.3) };
	const struct row rows[] = {
		{ 12.5, 1, 0, ZSTD2 },
		{ 125, 1, 0, ZSTD1 },
		{ 1250, 1, 0, LZ4 },
		/* More processors. */
		{ 125, 4, 0, ZSTD2 },
		{ 1250, 6, 0, LZ4 },
		{ 1250, 32, 0, ZSTD2 },
		/* A busy host. */
		{ 125, 0.2, 0, LZ4 },
	};

	(void)state;
	check(known, rows, ARRAY_SIZE(rows));
}

static void a_slower_codec_has_to_be_worth_it(void **state)
{
	const struct choice_record known[CHOICES] = { record(500, 3),
						      record(250, 3.03),
						      record(150, 3.05) };
	const struct row rows[] = { { 12.5, 1, 0, LZ4 } };

	(void)state;
	check(known, rows, ARRAY_SIZE(rows));
}

static void a_link_that_is_faster_than_what_comes_out_gets_none(void **state)
{
	const struct choice_record known[CHOICES] = { record(400, 1.5),
						      record(180, 1.8),
						      record(140, 1.8) };
	const struct row rows[] = {
		{ 125, 2, 0, ZSTD1 },
		{ 2500, 2, 0, LZ4 },
		/* 400 (1 - 1/1.5) = 133, of 7000 less than 2 % */
		{ 7000, 1, 0, NONE },
		{ 7000, 2, 0, LZ4 },
		/* Nearly all processors are somebody else's. */
		{ 1250, 0.1, 0, NONE },
		{ 125, 0.01, 0, NONE },
		{ 125, 0, 0, NONE },
		/* Nothing is known of the link. */
		{ 0, 2, 0, LZ4 },
	};

	(void)state;
	check(known, rows, ARRAY_SIZE(rows));
}

static void what_hardly_presses_is_left_alone(void **state)
{
	const struct choice_record known[CHOICES] = { record(1200, 1.01),
						      record(640, 1.015),
						      record(340, 1.015) };
	const struct row rows[] = { { 12.5, 4, 0, NONE }, { 125, 4, 0, NONE } };

	(void)state;
	check(known, rows, ARRAY_SIZE(rows));
}

static void a_destination_that_is_behind_gets_a_lighter_codec_then_none(
	void **state)
{
	const struct choice_record known[CHOICES] = { record(500, 2),
						      record(250, 3),
						      record(200, 3.3) };
	const struct row rows[] = {
		{ 125, 4, 0, ZSTD2 }, /* it keeps up */
		{ 125, 4, 1000, ZSTD2 },
		{ 125, 4, 380, ZSTD1 }, /* 412 with the other */
		{ 125, 4, 250, LZ4 },
		{ 125, 4, 200, LZ4 },
		{ 125, 4, 127, NONE },
		{ 125, 4, 90, NONE },
	};

	(void)state;
	check(known, rows, ARRAY_SIZE(rows));
}

static void link_and_processors_are_filled_by_a_mix(void **state)
{
	const struct choice_record known[CHOICES] = { record(500, 2),
						      record(250, 3),
						      record(250, 3) };
	struct choice_case k = { .link = 125 * MB, .workers = 1 };
	struct choice_mix m = choice_best(known, &k);
	double in, pressing;

	(void)state;
	assert_int_equal(m.codec, LZ4);
	assert_int_equal(m.heavier, ZSTD1);
	in = m.through / MB;
	/* 250 by lz4 alone and 292 by zstd. */
	assert_true(in > 312 && in < 313);
	pressing = in * m.share / 250 + in * (1 - m.share) / 500;
	assert_true(pressing > 0.99 && pressing < 1.01);
	/* The destination places less: no need for more. */
	k.far = 280 * MB;
	assert_true(choice_best(known, &k).share == 0);
}

static void a_mix_is_kept_frame_by_frame(void **state)
{
	const struct choice_record known[CHOICES] = { record(500, 2),
						      record(250, 3),
						      record(250, 3) };
	const struct choice_case k = { .link = 125 * MB, .workers = 1 };
	struct choice c = { 0 };
	unsigned heavy = 0, row = 0, longest = 0;

	(void)state;
	memcpy(c.record, known, sizeof(c.record));
	for (int i = 0; i < 480; i++) {
		bool is_heavy = choice_next(&c, &k) == ZSTD1;

		choice_taken(&c, 0);
		heavy += is_heavy;
		row = is_heavy ? row + 1 : 0;
		longest = row > longest ? row : longest;
	}
	assert_in_range(heavy, 270, 300); /* 60 % */
	assert_in_range(longest, 1, 4);
	assert_non_null(strstr(choice_why(&c), "heavier"));
}

static void always_is_never_none(void **state)
{
	const struct choice_record known[CHOICES] = { record(400, 1.5),
						      record(180, 1.8),
						      record(140, 1.8) };
	struct choice_case k = { .link = 9000 * MB, .always = true };

	(void)state;
	assert_int_equal(choice_best(known, &k).codec, LZ4);
	k.workers = 1;
	assert_int_equal(choice_best(known, &k).codec, LZ4);
	k.far = 10 * MB;
	assert_int_equal(choice_best(known, &k).codec, LZ4);
}

/* --- what the case is made of */

static struct choice_case case_of(struct choice *c,
				  const struct outbox_stats *st)
{
	return choice_case(c, st, 2);
}

static void what_was_pressed_in_vain_says_nothing_of_the_rest(void **state)
{
	const struct choice_sample good = { 100, 50, 1000 };
	const struct choice_sample vain = { 100, 100, 1000 };
	struct choice c = { 0 };
	double ratio;

	(void)state;
	for (int i = 0; i < 3; i++)
		choice_learn(&c, LZ4, &good);
	ratio = c.record[LZ4].in / c.record[LZ4].out;
	choice_learn(&c, LZ4, &vain);
	assert_true(c.record[LZ4].in / c.record[LZ4].out == ratio);
	assert_int_equal(c.record[LZ4].frames, 3);
}

/* An acknowledgement with this backlog, after 100 ms of busy time. */
static struct choice_case hear(struct choice *c, struct outbox_stats *st,
			       uint32_t backlog)
{
	st->far_end.backlog = backlog;
	st->far_end.busy_us += 100000;
	st->far_end.placed += 20 * 1000000; /* 200 MB/s of a receiver */
	return case_of(c, st);
}

static void the_destination_is_a_limit_while_it_is_behind(void **state)
{
	/* 10 ms are 1 MB. */
	struct outbox_stats st = { .wire_rate = 100000000, .channels = 2 };
	struct choice_case k = { 0 };
	struct choice c = { 0 };

	(void)state;
	for (int i = 0; i < 50; i++)
		assert_true(hear(&c, &st, 500000).far == 0);
	assert_true(hear(&c, &st, 3000000).far == 0); /* one moment */
	for (int i = 0; i < 50; i++)
		k = hear(&c, &st, 3000000);
	assert_true(k.far > 399 * MB && k.far < 401 * MB);
	for (int i = 0; i < 50; i++)
		k = hear(&c, &st, 0);
	assert_true(k.far == 0);
}

static void looks_between_two_acknowledgements_count_once(void **state)
{
	struct outbox_stats st = { .wire_rate = 100000000, .channels = 2 };
	struct choice c = { 0 };

	(void)state;
	hear(&c, &st, 3000000);
	for (int i = 0; i < 50; i++)
		assert_true(case_of(&c, &st).far == 0);
}

/* --- one frame after the other */

static struct choice learnt(const struct choice_record known[CHOICES])
{
	struct choice c = { 0 };

	memcpy(c.record, known, sizeof(c.record));
	return c;
}

static void each_codec_is_tried_first(void **state)
{
	const struct choice_sample s = { 1e6, 5e5, 1000 };
	struct outbox_stats st = { .wire_rate = 100000000 };
	struct choice c = { 0 };
	struct choice_case k = case_of(&c, &st);

	(void)state;
	for (unsigned i = 0; i < CHOICES; i++) {
		assert_int_equal(choice_next(&c, &k), i);
		choice_taken(&c, 0);
		choice_learn(&c, i, &s);
	}
	assert_int_equal(choice_next(&c, &k), LZ4);
}

static void others_are_measured_now_and_then(void **state)
{
	const struct choice_record known[CHOICES] = { record(500, 2),
						      record(250, 2),
						      record(150, 2) };
	struct outbox_stats st = { .wire_rate = 100000000 };
	struct choice c = learnt(known);
	const struct choice_case k = case_of(&c, &st);
	unsigned count[CHOICES] = { 0 };

	(void)state;
	for (int i = 0; i < 48 * 9; i++) {
		count[choice_next(&c, &k)]++;
		choice_taken(&c, 0);
	}
	assert_int_equal(count[ZSTD1], 3);
	assert_int_equal(count[ZSTD2], 3);
}

static void with_none_one_frame_is_tried_each_tenth_of_a_second(void **state)
{
	const struct choice_record known[CHOICES] = { record(500, 1.01),
						      record(250, 1.01),
						      record(150, 1.01) };
	struct outbox_stats st = { .wire_rate = 100000000 };
	struct choice c = learnt(known);
	struct choice_case k = case_of(&c, &st);
	unsigned count[CHOICES] = { 0 };

	(void)state;
	for (k.now_us = 0; k.now_us <= 900000; k.now_us += 1000) {
		unsigned which = choice_next(&c, &k);

		if (which == NONE)
			continue;
		count[which]++;
		choice_taken(&c, k.now_us);
	}
	assert_int_equal(count[LZ4], 3);
	assert_int_equal(count[ZSTD1], 3);
	assert_int_equal(count[ZSTD2], 3);
	assert_non_null(strstr(choice_why(&c), "would not"));
	k.now_us = c.tried_us + 99999;
	assert_int_equal(choice_next(&c, &k), NONE);
	k.now_us++;
	assert_int_not_equal(choice_next(&c, &k), NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slower_link_gets_a_smaller_codec),
		cmocka_unit_test(a_slower_codec_has_to_be_worth_it),
		cmocka_unit_test(
			a_link_that_is_faster_than_what_comes_out_gets_none),
		cmocka_unit_test(what_hardly_presses_is_left_alone),
		cmocka_unit_test(
			a_destination_that_is_behind_gets_a_lighter_codec_then_none),
		cmocka_unit_test(link_and_processors_are_filled_by_a_mix),
		cmocka_unit_test(a_mix_is_kept_frame_by_frame),
		cmocka_unit_test(always_is_never_none),
		cmocka_unit_test(
			what_was_pressed_in_vain_says_nothing_of_the_rest),
		cmocka_unit_test(the_destination_is_a_limit_while_it_is_behind),
		cmocka_unit_test(looks_between_two_acknowledgements_count_once),
		cmocka_unit_test(each_codec_is_tried_first),
		cmocka_unit_test(others_are_measured_now_and_then),
		cmocka_unit_test(
			with_none_one_frame_is_tried_each_tenth_of_a_second),
	};

	return cmocka_run_group_tests_name("choice", tests, NULL, NULL);
}
