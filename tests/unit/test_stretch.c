/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "base/clock.h"
#include "compress/stretch.h"

enum {
	FRAME_PAGES_EACH = 64,
	STRETCH_FRAMES = 16,
};

static struct stretches all;

static const struct stretch here = { .block = 1, .page = 4096 };

static unsigned skipped(struct stretch s, uint64_t now_us)
{
	unsigned n = 0;

	while (stretch_skips(&all, s, now_us) && n < 1000)
		n++;
	return n;
}

static int fresh(void **state)
{
	(void)state;
	all = (struct stretches){ 0 };
	return 0;
}

static void two_signs_of_the_probe_skip_eight_frames(void **state)
{
	(void)state;
	assert_int_equal(skipped(here, 0), 0);
	stretch_found(&all, here, STRETCH_LOOKS_INCOMPRESSIBLE, 0);
	assert_int_equal(skipped(here, 0), 0);
	stretch_found(&all, here, STRETCH_LOOKS_INCOMPRESSIBLE, 0);
	assert_int_equal(skipped(here, 0), STRETCH_SKIP);
	/* Then one look is enough. */
	stretch_found(&all, here, STRETCH_LOOKS_INCOMPRESSIBLE, 0);
	assert_int_equal(skipped(here, 0), STRETCH_SKIP);
}

static void one_frame_that_was_pressed_in_vain_is_enough(void **state)
{
	(void)state;
	stretch_found(&all, here, STRETCH_IS_INCOMPRESSIBLE, 0);
	assert_int_equal(skipped(here, 0), STRETCH_SKIP);
}

static void what_presses_is_no_longer_skipped(void **state)
{
	(void)state;
	stretch_found(&all, here, STRETCH_IS_INCOMPRESSIBLE, 0);
	stretch_found(&all, here, STRETCH_PRESSES, 0);
	assert_int_equal(skipped(here, 0), 0);
	stretch_found(&all, here, STRETCH_LOOKS_INCOMPRESSIBLE, 0);
	assert_int_equal(skipped(here, 0), 0);
}

static void after_a_second_it_is_looked_at_again(void **state)
{
	(void)state;
	stretch_found(&all, here, STRETCH_IS_INCOMPRESSIBLE, 5);
	assert_true(stretch_skips(&all, here, 5 + USEC_PER_SEC));
	assert_false(stretch_skips(&all, here, 6 + USEC_PER_SEC));
	assert_false(stretch_skips(&all, here, 5));
}

static void a_stretch_is_four_mebibytes_of_one_block(void **state)
{
	struct stretch end = here, next = here, other = here;

	(void)state;
	end.page += 1023;
	next.page += 1024;
	other.block++;
	stretch_found(&all, here, STRETCH_IS_INCOMPRESSIBLE, 0);
	assert_false(stretch_skips(&all, next, 0));
	assert_false(stretch_skips(&all, other, 0));
	assert_true(stretch_skips(&all, end, 0));
}

static void random_memory_is_probed_in_three_of_sixteen_frames(void **state)
{
	const unsigned frames = 256 * STRETCH_FRAMES; /* 1 GiB */
	unsigned probed = 0;

	(void)state;
	for (unsigned i = 0; i < frames; i++) {
		struct stretch s = { 0, (uint64_t)i * FRAME_PAGES_EACH };

		if (stretch_skips(&all, s, i))
			continue;
		probed++;
		stretch_found(&all, s, STRETCH_LOOKS_INCOMPRESSIBLE, i);
	}
	assert_int_equal(probed, frames * 3 / STRETCH_FRAMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(two_signs_of_the_probe_skip_eight_frames,
				       fresh),
		cmocka_unit_test_setup(
			one_frame_that_was_pressed_in_vain_is_enough, fresh),
		cmocka_unit_test_setup(what_presses_is_no_longer_skipped,
				       fresh),
		cmocka_unit_test_setup(after_a_second_it_is_looked_at_again,
				       fresh),
		cmocka_unit_test_setup(a_stretch_is_four_mebibytes_of_one_block,
				       fresh),
		cmocka_unit_test_setup(
			random_memory_is_probed_in_three_of_sixteen_frames,
			fresh),
	};

	return cmocka_run_group_tests_name("stretch", tests, NULL, NULL);
}
