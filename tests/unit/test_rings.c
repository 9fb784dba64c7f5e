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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_agree_with_all_that_was_put_in),
		cmocka_unit_test(nothing_is_a_gap_and_not_nought),
		cmocka_unit_test(what_is_older_than_the_last_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
