/* SPDX-License-Identifier: MIT */

/*
 * A source that makes versions of pages, and an imitation of the destination
 * that applies the answers: it always ends with the source's bytes.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/delta.h"
#include "pages/history.h"

enum { BLOCKS = 2, PAGES = 96, STEPS = 60000 };

static struct history h;
static uint8_t here[BLOCKS][PAGES][WIRE_PAGE];
static uint8_t there[BLOCKS][PAGES][WIRE_PAGE];
static struct history_delta delta;

static uint64_t dice = 1;

static uint32_t roll(uint32_t sides)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(dice >> 33) % sides;
}

static void noise(uint8_t page[WIRE_PAGE])
{
	for (size_t i = 0; i < WIRE_PAGE; i++)
		page[i] = (uint8_t)roll(256);
}

static void setup(uint64_t cache_pages)
{
	struct error e;

	dice = 1;
	memset(here, 0, sizeof(here));
	memset(there, 0x5a, sizeof(there));
	assert_int_equal(history_init(&h, cache_pages * WIRE_PAGE, &e), 0);
	for (unsigned i = 0; i < BLOCKS; i++)
		assert_int_equal(history_add_block(&h, i,
						   PAGES * (uint64_t)WIRE_PAGE,
						   &e),
				 0);
}

/* The page is sent as history_page() says. */
static enum history_answer carry(unsigned block, unsigned page, bool remember)
{
	const uint8_t *from = here[block][page];
	uint8_t *to = there[block][page];
	enum history_answer a =
		history_page(&h, block, page, from, remember, &delta);
	struct error e;

	if (a == HISTORY_DATA)
		memcpy(to, from, WIRE_PAGE);
	else if (a == HISTORY_DELTA)
		assert_int_equal(delta_apply(to, delta.bytes, delta.len, &e),
				 0);
	assert_memory_equal(to, from, WIRE_PAGE);
	return a;
}

/* --- one page */

static void a_page_is_unchanged_only_after_it_was_sent(void **state)
{
	(void)state;
	setup(4);
	noise(here[0][7]);
	assert_int_equal(carry(0, 7, true), HISTORY_DATA);
	assert_int_equal(carry(0, 7, true), HISTORY_SAME);
	assert_int_equal(carry(1, 7, true), HISTORY_DATA);
	here[0][7][99] ^= 1;
	assert_int_equal(carry(0, 7, true), HISTORY_DATA);
	assert_int_equal(carry(0, 7, true), HISTORY_SAME);
	history_done(&h);
}

static void a_page_that_was_sent_twice_is_sent_as_a_delta(void **state)
{
	(void)state;
	setup(4);
	noise(here[0][7]);
	carry(0, 7, true);
	here[0][7][99] ^= 1;
	assert_int_equal(carry(0, 7, true), HISTORY_DATA);
	for (int i = 0; i < 5; i++) {
		here[0][7][roll(WIRE_PAGE)] ^= 1;
		assert_int_equal(carry(0, 7, true), HISTORY_DELTA);
		assert_int_equal(delta.len, DELTA_HEAD + DELTA_WORD);
	}
	history_done(&h);
}

static void a_page_that_changed_much_is_sent_whole(void **state)
{
	(void)state;
	setup(4);
	noise(here[0][7]);
	for (int i = 0; i < 4; i++) {
		for (unsigned k = 0; k <= HISTORY_DELTA_MAX / DELTA_WORD; k++)
			here[0][7][(size_t)k * DELTA_WORD] ^= 1;
		assert_int_equal(carry(0, 7, true), HISTORY_DATA);
	}
	here[0][7][0] ^= 1;
	assert_int_equal(carry(0, 7, true), HISTORY_DELTA);
	history_done(&h);
}

static void what_was_zero_needs_no_cache_for_a_delta(void **state)
{
	(void)state;
	setup(0);
	history_filled(&h, 0, 7, 0, true);
	memset(there[0][7], 0, WIRE_PAGE);
	here[0][7][500] = 1;
	assert_int_equal(carry(0, 7, true), HISTORY_DELTA);
	here[0][7][500] = 2;
	assert_int_equal(carry(0, 7, true), HISTORY_DATA);
	history_done(&h);
}

static void a_page_that_was_forgotten_is_sent_whole(void **state)
{
	(void)state;
	setup(4);
	noise(here[0][7]);
	carry(0, 7, true);
	here[0][7][0] ^= 1;
	carry(0, 7, true);
	history_forget(&h, 0, 7);
	assert_int_equal(carry(0, 7, true), HISTORY_DATA);
	assert_int_equal(carry(0, 7, true), HISTORY_SAME);
	history_done(&h);
}

static void while_the_link_is_free_only_known_pages_are_looked_at(void **state)
{
	(void)state;
	setup(4);
	noise(here[0][7]);
	assert_int_equal(carry(0, 7, false), HISTORY_DATA);
	assert_int_equal(carry(0, 7, false), HISTORY_DATA);
	history_filled(&h, 0, 8, 0, false);
	assert_int_equal(h.block[0].sum[7], 0);
	assert_int_equal(h.block[0].sum[8], 0);

	carry(0, 7, true);
	assert_int_equal(carry(0, 7, false), HISTORY_SAME);
	here[0][7][0] ^= 1;
	/* Found out in vain once: not again. */
	assert_int_equal(carry(0, 7, false), HISTORY_DATA);
	assert_int_equal(h.block[0].sum[7], 0);
	history_done(&h);
}

static void a_page_that_is_short_in_between_stays_known(void **state)
{
	(void)state;
	setup(4);
	noise(here[0][7]);
	carry(0, 7, true);
	history_filled(&h, 0, 7, 0, false);
	memset(here[0][7], 0, WIRE_PAGE);
	memset(there[0][7], 0, WIRE_PAGE);
	assert_int_equal(carry(0, 7, true), HISTORY_SAME);
	memset(here[0][7], 3, WIRE_PAGE);
	memset(there[0][7], 3, WIRE_PAGE);
	history_filled(&h, 0, 7, 0x0303030303030303, false);
	assert_int_equal(carry(0, 7, true), HISTORY_SAME);
	history_done(&h);
}

static void a_block_that_is_there_already_is_refused(void **state)
{
	struct error e;

	(void)state;
	setup(1);
	assert_int_equal(history_add_block(&h, 0, WIRE_PAGE, &e), -EINVAL);
	assert_int_equal(history_add_block(&h, HISTORY_BLOCKS_MAX, WIRE_PAGE,
					   &e),
			 -EINVAL);
	history_done(&h);
}

/* --- the cache */

/* The share of deltas, in per cent, when the first @hot pages of each block are
 * dirtied in turn, over the last of @rounds. */
static unsigned deltas_of(unsigned hot, unsigned rounds)
{
	unsigned n = 0;

	for (unsigned r = 0; r < rounds; r++) {
		n = 0;
		for (unsigned i = 0; i < hot * BLOCKS; i++) {
			here[i % BLOCKS][i / BLOCKS][roll(WIRE_PAGE)] ^= 1;
			n += carry(i % BLOCKS, i / BLOCKS, true) ==
			     HISTORY_DELTA;
		}
	}
	return 100 * n / (hot * BLOCKS);
}

static void a_hot_set_that_fits_is_all_deltas(void **state)
{
	(void)state;
	setup(BLOCKS * PAGES / 4);
	assert_int_equal(deltas_of(PAGES / 4, 3), 100);
	history_done(&h);
}

static void a_hot_set_larger_than_the_cache_does_not_empty_it(void **state)
{
	(void)state;
	setup(BLOCKS * PAGES / 4);
	assert_in_range(deltas_of(PAGES, 12), 20, 25);
	history_done(&h);
}

static void a_new_hot_set_drives_the_old_one_out(void **state)
{
	(void)state;
	setup(BLOCKS * PAGES / 4);
	deltas_of(PAGES, 12);
	assert_in_range(deltas_of(PAGES / 8, 60), 90, 100);
	history_done(&h);
}

/* --- any sequence */

static void change(uint8_t page[WIRE_PAGE])
{
	unsigned n = roll(8) == 0 ? roll(400) : roll(4);

	if (roll(50) == 0)
		noise(page);
	while (n-- > 0)
		page[roll(WIRE_PAGE)] ^= (uint8_t)roll(256);
}

static void step(unsigned counts[3])
{
	unsigned b = roll(BLOCKS), p = roll(roll(3) ? PAGES / 6 : PAGES);
	bool remember = roll(8) > 0;
	uint64_t word;

	switch (roll(12)) {
	case 0: /* short forms */
		word = roll(2) ? UINT64_C(0x0101010101010101) * roll(256) : 0;
		memset(here[b][p], (int)(word & 255), WIRE_PAGE);
		memset(there[b][p], (int)(word & 255), WIRE_PAGE);
		history_filled(&h, b, p, word, remember);
		return;
	case 1: /* some other way */
		history_forget(&h, b, p);
		change(here[b][p]);
		memcpy(there[b][p], here[b][p], WIRE_PAGE);
		return;
	default:
		change(here[b][p]);
		counts[carry(b, p, remember)]++;
	}
}

static void any_sequence_of_versions_arrives(void **state)
{
	static const unsigned caches[] = { 0, 1, 5, 40, 2 * BLOCKS * PAGES };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(caches); i++) {
		unsigned counts[3] = { 0 };

		setup(caches[i]);
		for (unsigned k = 0; k < STEPS; k++)
			step(counts);
		assert_true(counts[HISTORY_DATA] > 0);
		assert_true(counts[HISTORY_SAME] > 0);
		assert_true(counts[HISTORY_DELTA] > 0);
		history_done(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_unchanged_only_after_it_was_sent),
		cmocka_unit_test(a_page_that_was_sent_twice_is_sent_as_a_delta),
		cmocka_unit_test(a_page_that_changed_much_is_sent_whole),
		cmocka_unit_test(what_was_zero_needs_no_cache_for_a_delta),
		cmocka_unit_test(a_page_that_was_forgotten_is_sent_whole),
		cmocka_unit_test(
			while_the_link_is_free_only_known_pages_are_looked_at),
		cmocka_unit_test(a_page_that_is_short_in_between_stays_known),
		cmocka_unit_test(a_block_that_is_there_already_is_refused),
		cmocka_unit_test(a_hot_set_that_fits_is_all_deltas),
		cmocka_unit_test(
			a_hot_set_larger_than_the_cache_does_not_empty_it),
		cmocka_unit_test(a_new_hot_set_drives_the_old_one_out),
		cmocka_unit_test(any_sequence_of_versions_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
