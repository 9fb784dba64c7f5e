/* SPDX-License-Identifier: MIT */

/* Rings against all that was ever put into them. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "metrics/rings.h"

enum { SECONDS = 20 * 60 * 60 };

/* The same, by looking at each value that there was. */
static struct ring_point by_hand(const double *values, uint64_t from,
				 unsigned step)
{
	struct ring_point p = { NAN, NAN, NAN };
	double sum = 0;
	unsigned count = 0;

	for (uint64_t i = from; i < from + step; i++) {
		if (isnan(values[i]))
			continue;
		p.least = count && p.least < values[i] ? p.least
						       : (float)values[i];
		p.most =
			count && p.most > values[i] ? p.most : (float)values[i];
		sum += values[i];
		count++;
	}
	if (count)
		p.mean = (float)(sum / count);
	return p;
}

static void assert_same(float a, float b)
{
	assert_int_equal(isnan(a), isnan(b));
	if (!isnan(a))
		assert_true(fabsf(a - b) <= 1e-5f * fabsf(b));
}

static void compare(const struct series *s, const double *values, uint64_t now)
{
	static struct ring_point got[20000];
	struct ring_point want;
	uint64_t first;
	size_t n;

	for (int i = 0; i < RING_SPANS; i++) {
		const unsigned step = ring_kinds[i].step;

		n = series_read(s, i, now, got, ARRAY_SIZE(got), &first);
		assert_int_equal(first + n * step, now - now % step);
		assert_true(n < ring_kinds[i].slots);
		assert_true(n == ring_kinds[i].slots - 1 || first == 0);
		for (size_t k = 0; k < n; k++) {
			want = by_hand(values, first + k * step, step);
			assert_same(got[k].least, want.least);
			assert_same(got[k].mean, want.mean);
			assert_same(got[k].most, want.most);
		}
	}
}

/* Seconds one after the other, some of which nothing is known, and now and then
 * a pause of up to @longest of them. */
static void play(unsigned seed, unsigned longest)
{
	double *values = malloc(SECONDS * sizeof(*values));
	struct series *s = series_new();
	uint64_t look = 0;

	assert_non_null(values);
	assert_non_null(s);
	for (uint64_t i = 0; i < SECONDS; i++)
		values[i] = NAN;
	for (uint64_t i = seed * 7; i < SECONDS; i++) {
		if (rand_r(&seed) % 500 == 0)
			i += (unsigned)rand_r(&seed) % longest;
		if (i >= SECONDS)
			break;
		if (rand_r(&seed) % 10)
			values[i] = rand_r(&seed) % 100000 / 7.0;
		series_add(s, i, values[i]);
		if (i >= look) {
			compare(s, values, i + 1);
			look = i + 5000;
		}
	}
	compare(s, values, SECONDS);
	series_free(s);
	free(values);
}

static void they_agree_with_all_that_was_put_in(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 6; seed++)
		play(seed, seed % 2 ? 30 : 3000);
}

static void nothing_is_a_gap_and_not_nought(void **state)
{
	struct series *s = series_new();
	struct ring_point got[4];
	uint64_t first;

	(void)state;
	assert_int_equal(series_read(s, RING_SECONDS, 0, got, 4, &first), 0);
	series_add(s, 100, 0);
	series_add(s, 102, 5);
	assert_int_equal(series_read(s, RING_SECONDS, 103, got, 4, &first), 4);
	assert_int_equal(first, 99);
	assert_true(isnan(got[0].mean));
	assert_true(got[1].mean == 0 && got[1].least == 0);
	assert_true(isnan(got[2].mean) && isnan(got[2].most));
	assert_true(got[3].mean == 5);
	/* Time goes on without a sample. */
	assert_int_equal(series_read(s, RING_SECONDS, 200, got, 4, &first), 4);
	assert_true(isnan(got[0].mean) && isnan(got[3].mean));
	series_free(s);
}

static void what_is_older_than_the_last_is_not_taken(void **state)
{
	struct series *s = series_new();
	struct ring_point got[2];
	uint64_t first;

	(void)state;
	series_add(s, 50, 1);
	series_add(s, 49, 9);
	assert_int_equal(series_read(s, RING_SECONDS, 51, got, 2, &first), 2);
	assert_true(isnan(got[0].mean));
	assert_true(got[1].mean == 1);
	series_free(s);
}

/* Seconds from @first on, and what all but gaps have in sum. */
static double sum_of(const struct series *s, uint64_t now, unsigned *ret_gaps)
{
	static struct ring_point got[1000];
	uint64_t first;
	size_t n =
		series_read(s, RING_SECONDS, now, got, ARRAY_SIZE(got), &first);
	double sum = 0;

	*ret_gaps = 0;
	for (size_t i = 0; i < n; i++) {
		if (isnan(got[i].mean))
			++*ret_gaps;
		else
			sum += (double)got[i].mean;
	}
	return sum;
}

/* However late each look was, up to 5 s. */
static void what_a_counter_grew_by_is_the_sum_of_its_seconds(void **state)
{
	(void)state;
	for (unsigned round = 1; round <= 200; round++) {
		unsigned seed = round;
		struct series *s = series_new();
		uint64_t at_us = 1000000 + (uint64_t)rand_r(&seed) % 1000000,
			 next_us;
		double count = 0, next, edge = NAN;
		unsigned gaps;

		for (int i = 0; i < 100; i++) {
			next_us = at_us + 1 + (uint64_t)rand_r(&seed) % 5000000;
			next = count + rand_r(&seed) % 1000000;
			series_grow(s, at_us, count, next_us, next);
			/* Its first whole second. */
			if (isnan(edge) && next_us / 1000000 > at_us / 1000000)
				edge = count +
				       (next - count) *
					       (double)(1000000 -
							at_us % 1000000) /
					       (double)(next_us - at_us);
			at_us = next_us;
			count = next;
		}
		/* To the end of the last whole second. */
		series_grow(s, at_us, count, at_us + 1000000 - at_us % 1000000,
			    count);
		next_us = at_us / 1000000 + 1;
		assert_true(fabs(sum_of(s, next_us, &gaps) - (count - edge)) <
			    1e-5 * count);
		/* Before the first look, and its part of a second. */
		assert_int_equal(gaps, 2);
		series_free(s);
	}
}

static void a_silence_and_a_counter_that_began_again_are_gaps(void **state)
{
	struct series *s = series_new();
	unsigned gaps;

	(void)state;
	series_grow(s, 0, 0, 1000000, 10);
	series_grow(s, 1000000, 10, 2000000, 30);
	assert_true(fabs(sum_of(s, 2, &gaps) - 20) < 1e-3);
	assert_int_equal(gaps, 1);
	series_grow(s, 2000000, 30, 12000000, 1000);
	series_grow(s, 12000000, 1000, 13000000, 1007);
	assert_true(fabs(sum_of(s, 13, &gaps) - 27) < 1e-3);
	assert_int_equal(gaps, 11);
	series_grow(s, 13000000, 1007, 14000000, 3);
	series_grow(s, 14000000, 3, 15000000, 8);
	series_grow(s, 15000000, NAN, 16000000, 11);
	series_grow(s, 16000000, 11, 17000000, 12);
	series_grow(s, 17000000, 12, 18000000, 14);
	assert_true(fabs(sum_of(s, 18, &gaps) - 29) < 1e-3);
	assert_int_equal(gaps, 15);
	series_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_agree_with_all_that_was_put_in),
		cmocka_unit_test(nothing_is_a_gap_and_not_nought),
		cmocka_unit_test(what_is_older_than_the_last_is_not_taken),
		cmocka_unit_test(
			what_a_counter_grew_by_is_the_sum_of_its_seconds),
		cmocka_unit_test(
			a_silence_and_a_counter_that_began_again_are_gaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
