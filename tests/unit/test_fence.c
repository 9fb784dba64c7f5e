/* SPDX-License-Identifier: MIT */

/* All that can be known of a queue pair, and what may be done then. */
#include "unit.h"

#include <stdbool.h>

#include "rdma/fence.h"

enum { FACTS = 8, ALL = 1 << FACTS };

static struct fence_facts facts_of(unsigned bits)
{
	return (struct fence_facts){
		.offered = bits & 1,
		.dialled = bits & 2,
		.connected = bits & 4,
		.promised = bits & 8,
		.over = bits & 16,
		.destroyed_there = bits & 32,
		.destroyed_here = bits & 64,
		.released = bits & 128,
	};
}

static void pages_are_written_only_while_both_sides_stand(void **state)
{
	unsigned may = 0;

	(void)state;
	for (unsigned i = 0; i < ALL; i++) {
		const struct fence_facts f = facts_of(i);

		if (!fence_may_write(&f))
			continue;
		may++;
		assert_true(f.connected && f.promised);
		assert_false(f.over || f.destroyed_there || f.destroyed_here);
	}
	/* Offered, dialled and released say nothing of it. */
	assert_int_equal(may, 8);
}

static void nothing_leaves_another_way_before_it_is_destroyed_there(
	void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALL; i++) {
		const struct fence_facts f = facts_of(i);

		assert_int_equal(fence_may_leave(&f), f.destroyed_there);
		assert_false(fence_may_leave(&f) && fence_may_write(&f));
		for (int stopped = 0; stopped < 2; stopped++)
			if (fence_next(&f, stopped) == FENCE_RELEASE)
				assert_true(f.destroyed_there);
	}
}

static void buffers_are_free_when_it_is_destroyed_here(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALL; i++) {
		const struct fence_facts f = facts_of(i);

		for (int stopped = 0; stopped < 2; stopped++)
			if (fence_next(&f, stopped) == FENCE_FORGET) {
				assert_true(f.destroyed_here || !f.dialled);
				assert_true(f.released);
			}
		assert_false(fence_may_free(&f) && f.dialled &&
			     !f.destroyed_here);
	}
}

static void one_that_is_over_is_never_dialled(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALL; i++) {
		const struct fence_facts f = facts_of(i);
		bool should = f.offered && !f.dialled && !f.over &&
			      !f.destroyed_there;

		for (int stopped = 0; stopped < 2; stopped++)
			assert_int_equal(fence_next(&f, stopped) == FENCE_DIAL,
					 should);
	}
}

/* The other side says at last that it is destroyed there, and its thread here
 * ends when it is told to: then it is gone after a few steps, whatever was. */
static void what_is_over_on_both_sides_is_forgotten(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALL; i++) {
		struct fence_facts f = facts_of(i);
		bool stopped = false, released = f.released;
		unsigned steps = 0;
		enum fence_step s;

		f.over = f.destroyed_there = true;
		while ((s = fence_next(&f, stopped)) != FENCE_FORGET) {
			assert_true(++steps <= 3);
			assert_int_not_equal(s, FENCE_WAIT);
			if (s == FENCE_STOP)
				stopped = f.destroyed_here = true;
			if (s == FENCE_RELEASE) {
				/* Once. */
				assert_false(released);
				released = f.released = true;
			}
		}
	}
}

/* A hung destination says nothing: what was written stays where it is. */
static void without_that_word_it_waits_for_ever(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ALL; i++) {
		struct fence_facts f = facts_of(i);

		f.over = true;
		f.destroyed_there = f.released = false;
		f.destroyed_here = f.dialled;
		assert_int_equal(fence_next(&f, /* stopped */ true),
				 FENCE_WAIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_written_only_while_both_sides_stand),
		cmocka_unit_test(
			nothing_leaves_another_way_before_it_is_destroyed_there),
		cmocka_unit_test(buffers_are_free_when_it_is_destroyed_here),
		cmocka_unit_test(one_that_is_over_is_never_dialled),
		cmocka_unit_test(what_is_over_on_both_sides_is_forgotten),
		cmocka_unit_test(without_that_word_it_waits_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
