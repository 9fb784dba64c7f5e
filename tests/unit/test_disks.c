/* SPDX-License-Identifier: MIT */

/* Every combination of what a destination can know of a disk. */
#include "unit.h"

#include "move/disks.h"

enum { FACTS = 14, WORLDS = 1 << FACTS };

static struct disk_facts facts_of(unsigned bits)
{
	return (struct disk_facts){
		.network = bits & 1 << 0,
		.absent = bits & 1 << 1,
		.hidden = bits & 1 << 2,
		.lock_seen = bits & 1 << 3,
		.marked = bits & 1 << 4,
		.mark_seen = bits & 1 << 5,
		.same_inode = bits & 1 << 6,
		.has_ids = bits & 1 << 7,
		.same_id = bits & 1 << 8,
		.read_only = bits & 1 << 9,
		.same_size = bits & 1 << 10,
		.has_sums = bits & 1 << 11,
		.same_sum = bits & 1 << 12,
		.unique_id = bits & 1 << 13,
	};
}

static void test_shared_is_said_of_what_is_proved(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < WORLDS; bits++) {
		const struct disk_facts f = facts_of(bits);

		if (disk_judge(&f) == DISK_SHARED)
			assert_true(f.network || f.lock_seen ||
				    (f.has_ids && f.same_id && f.unique_id &&
				     f.same_size) ||
				    (f.mark_seen && f.same_inode));
		if (disk_judge(&f) == DISK_EQUAL)
			assert_true(f.read_only && f.same_sum);
	}
}

static void test_a_word_counts_where_nothing_is_known(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < WORLDS; bits++) {
		struct disk_facts f = facts_of(bits);
		enum disk_outcome alone;

		/* It may have grown since the source looked. */
		if (!f.read_only && !f.has_ids)
			f.same_size = true;
		alone = disk_judge(&f);
		assert_int_not_equal(alone, DISK_TRUSTED);
		f.said_shared = true;
		assert_int_equal(disk_judge(&f),
				 alone == DISK_UNKNOWN ? DISK_TRUSTED : alone);
		if (!f.read_only && !f.has_ids) {
			f.same_size = false;
			assert_true(disk_judge(&f) == DISK_TRUSTED ||
				    alone != DISK_UNKNOWN);
		}
	}
}

static void test_flash_memory_may_differ_in_content_only(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < WORLDS; bits++) {
		struct disk_facts f = facts_of(bits);

		f.firmware = true;
		if (disk_judge(&f) == DISK_FLASH)
			assert_true(f.read_only && f.same_size && !f.absent);
	}
}

static void test_a_clone_is_not_proved_by_its_name(void **state)
{
	struct disk_facts f = { .has_ids = true,
				.same_id = true,
				.same_size = true };

	(void)state;
	assert_int_equal(disk_judge(&f), DISK_UNKNOWN);
	f.unique_id = true;
	assert_int_equal(disk_judge(&f), DISK_SHARED);
	f.same_size = false;
	assert_int_equal(disk_judge(&f), DISK_OTHER);
}

static void test_what_differs_is_never_taken_for_the_disk(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < WORLDS; bits++) {
		struct disk_facts f = facts_of(bits);

		/* Written to, and neither the lock nor the file beside it is
		 * seen. */
		f.network = f.lock_seen = f.mark_seen = f.read_only = false;
		f.has_ids = false;
		f.said_shared = true;
		if (f.marked && !f.hidden)
			assert_true(disk_judge(&f) == DISK_OTHER ||
				    disk_judge(&f) == DISK_MISSING);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_is_said_of_what_is_proved),
		cmocka_unit_test(test_a_word_counts_where_nothing_is_known),
		cmocka_unit_test(test_flash_memory_may_differ_in_content_only),
		cmocka_unit_test(test_a_clone_is_not_proved_by_its_name),
		cmocka_unit_test(test_what_differs_is_never_taken_for_the_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
