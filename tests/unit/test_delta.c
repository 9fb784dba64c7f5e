/* SPDX-License-Identifier: MIT */

/* Deltas make the new page of the old one, or change nothing. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/delta.h"

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

struct fenced {
	uint8_t before[GUARD];
	uint8_t page[WIRE_PAGE];
	uint8_t after[GUARD];
};

static uint8_t old[WIRE_PAGE], fresh[WIRE_PAGE], delta[DELTA_MAX];
static struct fenced target;

static uint64_t dice = 1;

static uint32_t roll(void)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(dice >> 32);
}

static void make_pages(int changes)
{
	for (size_t i = 0; i < WIRE_PAGE; i++)
		old[i] = (uint8_t)roll();
	memcpy(fresh, old, WIRE_PAGE);
	while (changes-- > 0)
		fresh[roll() % WIRE_PAGE] ^= (uint8_t)(1 + roll() % 255);
}

static int apply(const uint8_t *bytes, size_t len, struct error *e)
{
	static const uint8_t guard[GUARD] = { [0 ... GUARD - 1] = GUARD_BYTE };
	int r;

	memset(&target, GUARD_BYTE, sizeof(target));
	memcpy(target.page, old, WIRE_PAGE);
	*e = (struct error){ 0 };
	r = delta_apply(target.page, bytes, len, e);
	assert_memory_equal(target.before, guard, GUARD);
	assert_memory_equal(target.after, guard, GUARD);
	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		assert_true(e->text[0]);
		assert_memory_equal(target.page, old, WIRE_PAGE);
	}
	return r;
}

static void assert_round_trip(size_t most)
{
	size_t len = delta_encode(old, fresh, delta, sizeof(delta));
	struct error e;

	assert_in_range(len, DELTA_HEAD + DELTA_WORD, most);
	assert_int_equal(apply(delta, len, &e), 0);
	assert_memory_equal(target.page, fresh, WIRE_PAGE);
}

static void the_new_page_comes_of_the_old_one(void **state)
{
	static const int changes[] = { 1, 2, 10, 100, 500, 3000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		for (int again = 0; again < 50; again++) {
			make_pages(changes[i]);
			assert_round_trip(DELTA_MAX);
		}
}

static void a_change_anywhere_is_one_short_record(void **state)
{
	(void)state;
	make_pages(0);
	for (size_t i = 0; i < WIRE_PAGE; i++) {
		fresh[i] ^= 1;
		assert_round_trip(DELTA_HEAD + DELTA_WORD);
		fresh[i] ^= 1;
	}
}

static void the_bytes_are_as_documented(void **state)
{
	static const uint8_t want[] = { 0, 2, 0, 2, 9, 0, 0, 0, 0, 0, 0,
					0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0xfb,
					0, 1, 0, 0, 0, 0, 0, 0, 0, 7 };
	static uint8_t page[WIRE_PAGE], zeros[WIRE_PAGE];
	size_t len;

	(void)state;
	page[16] = 9;
	page[24] = 9;
	page[WIRE_PAGE - 1] = 7;
	len = delta_encode(zeros, page, delta, sizeof(delta));
	assert_int_equal(len, sizeof(want));
	assert_memory_equal(delta, want, sizeof(want));
}

static void equal_pages_give_a_delta_that_changes_nothing(void **state)
{
	(void)state;
	make_pages(0);
	assert_round_trip(DELTA_HEAD + DELTA_WORD);
}

static void pages_with_nothing_in_common_need_the_most(void **state)
{
	(void)state;
	make_pages(0);
	for (size_t i = 0; i < WIRE_PAGE; i++)
		fresh[i] = (uint8_t)~old[i];
	assert_int_equal(delta_encode(old, fresh, delta, sizeof(delta)),
			 DELTA_MAX);
	assert_int_equal(delta_encode(old, fresh, delta, WIRE_PAGE), 0);
	/* Every other word: no more than that either. */
	for (size_t i = 0; i < WIRE_PAGE; i += (size_t)2 * DELTA_WORD)
		memcpy(fresh + i, old + i, DELTA_WORD);
	assert_round_trip(DELTA_MAX);
}

static void too_little_room_is_no_delta_and_is_not_overrun(void **state)
{
	size_t whole;

	(void)state;
	make_pages(20);
	whole = delta_encode(old, fresh, delta, sizeof(delta));
	for (size_t cap = 0; cap < whole; cap++) {
		memset(delta, GUARD_BYTE, sizeof(delta));
		assert_int_equal(delta_encode(old, fresh, delta, cap), 0);
		for (size_t i = cap; i < whole + GUARD; i++)
			assert_int_equal(delta[i], GUARD_BYTE);
	}
	assert_int_equal(delta_encode(old, fresh, delta, whole), whole);
}

static void a_delta_cut_inside_a_record_changes_nothing(void **state)
{
	size_t whole, len;
	int taken = 0;
	struct error e;

	(void)state;
	make_pages(6);
	whole = delta_encode(old, fresh, delta, sizeof(delta));
	for (len = 0; len < whole; len++) {
		/* Exactly as long, so that a checker sees what reads on. */
		uint8_t *piece = malloc(len ? len : 1);

		assert_non_null(piece);
		memcpy(piece, delta, len);
		taken += apply(piece, len, &e) == 0;
		free(piece);
	}
	/* Cut between two records it is a shorter delta; the batch that holds
	 * it knows its length. */
	assert_in_range(taken, 0, 5);
}

static void flipped_bits_never_write_outside_of_the_page(void **state)
{
	size_t len;
	struct error e;

	(void)state;
	make_pages(10);
	len = delta_encode(old, fresh, delta, sizeof(delta));
	for (size_t bit = 0; bit < len * 8; bit++) {
		delta[bit / 8] ^= (uint8_t)(1 << bit % 8);
		apply(delta, len, &e);
		delta[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void records_that_leave_the_page_change_nothing(void **state)
{
	static const uint8_t wrong[][DELTA_HEAD] = {
		{ 0, 0, 0, 0 },   /* no words */
		{ 2, 0, 0, 1 },   /* behind the last word */
		{ 1, 255, 0, 2 }, /* over the end */
		{ 255, 255, 0, 1 },     { 0, 0, 2, 1 },
		{ 255, 255, 255, 255 }, { 0, 1, 255, 255 },
	};
	uint8_t bytes[(size_t)2 * DELTA_MAX] = { 0 };
	struct error e;

	(void)state;
	make_pages(0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		memcpy(bytes, wrong[i], DELTA_HEAD);
		for (size_t len = 0; len <= sizeof(bytes); len += 4)
			assert_int_equal(apply(bytes, len, &e), -EBADMSG);
	}
}

static void a_wrong_record_behind_good_ones_changes_nothing(void **state)
{
	/* Word 0, then 511 words, then one more than there are. */
	uint8_t bytes[DELTA_HEAD * 3 + DELTA_WORD * 513] = { 0, 0, 0, 1 };
	uint8_t *second = bytes + DELTA_HEAD + DELTA_WORD;
	uint8_t *third = second + DELTA_HEAD + (size_t)DELTA_WORD * 511;
	struct error e;

	(void)state;
	make_pages(0);
	memcpy(second, "\x00\x00\x01\xff", DELTA_HEAD);
	memcpy(third, "\x00\x00\x00\x01", DELTA_HEAD);
	assert_int_equal(apply(bytes, sizeof(bytes), &e), -EBADMSG);
	assert_string_equal(e.text, "delta of 4116 bytes: wrong record behind "
				    "word 512 of the page");
	assert_int_equal(apply(bytes, (size_t)(third - bytes), &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_new_page_comes_of_the_old_one),
		cmocka_unit_test(a_change_anywhere_is_one_short_record),
		cmocka_unit_test(the_bytes_are_as_documented),
		cmocka_unit_test(equal_pages_give_a_delta_that_changes_nothing),
		cmocka_unit_test(pages_with_nothing_in_common_need_the_most),
		cmocka_unit_test(
			too_little_room_is_no_delta_and_is_not_overrun),
		cmocka_unit_test(a_delta_cut_inside_a_record_changes_nothing),
		cmocka_unit_test(flipped_bits_never_write_outside_of_the_page),
		cmocka_unit_test(records_that_leave_the_page_change_nothing),
		cmocka_unit_test(
			a_wrong_record_behind_good_ones_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
