/* SPDX-License-Identifier: MIT */

/* What is kept of a machine: what has to go for it, what its file holds, and
 * what of a damaged one is taken. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/kept_copies.h"
#include "move/back.h"
#include "pages/history.h"
#include "pages/kept.h"
#include "pages/memory.h"
#include "relay/divert.h"
#include "scratch.h"
#include "wire/message.h"

static void the_oldest_go_until_there_is_place(void **state)
{
	static const uint64_t has[] = { 10, 20, 30 };

	(void)state;
	assert_int_equal(kept_copies_excess(has, 3, 40, 100), 0);
	assert_int_equal(kept_copies_excess(has, 3, 41, 100), 1);
	assert_int_equal(kept_copies_excess(has, 3, 50, 100), 1);
	assert_int_equal(kept_copies_excess(has, 3, 51, 100), 2);
	assert_int_equal(kept_copies_excess(has, 3, 71, 100), 3);
	assert_int_equal(kept_copies_excess(has, 3, 100, 100), 3);
	assert_int_equal(kept_copies_excess(has, 3, 101, 100), -1);
	assert_int_equal(kept_copies_excess(NULL, 0, 0, 0), 0);
	assert_int_equal(kept_copies_excess(NULL, 0, 1, 0), -1);
}

/* --- what the destination tells */

#define SEED "00000000000000aa"
#define ONE "0000000000000001"
#define TWO "00000000000000ff"

static int take(struct history_known *k, unsigned block, uint64_t first,
		const char *seed, const char *sums)
{
	struct relay_block at[1] = { { .len_bytes = 4ULL * WIRE_PAGE } };
	const struct relay_blocks blocks = { .at = at, .n = 1 };
	struct message_copy told = { .block = block, .first = first };
	AUTO_FREE char *text = sums ? strdup(sums) : NULL;
	struct error e;

	snprintf(told.seed, sizeof(told.seed), "%s", seed);
	told.sums = text;
	return back_take(k, &told, &blocks, &e);
}

static void sums_are_taken_for_the_pages_that_there_are(void **state)
{
	struct history_known k = { 0 };

	(void)state;
	assert_int_equal(take(&k, 0, 0, "", NULL), 0);
	assert_int_equal(take(&k, 0, 2, SEED, ONE TWO), 0);
	assert_int_equal(k.seed, 0xaa);
	assert_int_equal(k.block[0].pages, 4);
	assert_int_equal(k.block[0].sum[0], 0);
	assert_int_equal(k.block[0].sum[2], 1);
	assert_int_equal(k.block[0].sum[3], 0xff);

	assert_int_equal(take(&k, 0, 3, SEED, ONE TWO), -EBADMSG);
	assert_int_equal(take(&k, 0, UINT64_MAX, SEED, ONE), -EBADMSG);
	assert_int_equal(take(&k, 1, 0, SEED, ONE), -EBADMSG);
	assert_int_equal(take(&k, 0, 0, TWO, ONE), -EBADMSG);
	assert_int_equal(take(&k, 0, 0, "aa", ONE), -EBADMSG);
	assert_int_equal(take(&k, 0, 0, SEED, "12"), -EBADMSG);
	assert_int_equal(take(&k, 0, 0, SEED, "000000000000000g"), -EBADMSG);
	assert_int_equal(k.block[0].sum[0], 0);
	history_known_done(&k);
}

/* --- the file */

enum { PAGES = 64, FILE_DATA = 1 << 21, SECOND = 1000000 };
#define BYTES ((uint64_t)PAGES * MEMORY_PAGE)
#define UUID "11111111-2222-4333-8444-555555555555"

static char folder[SCRATCH_CAP], path[PATH_MAX];

/* Every other page has something. */
static struct guest_memory *some_memory(uint8_t with)
{
	int fd = memfd_create("kept", MFD_CLOEXEC);
	uint8_t page[MEMORY_PAGE];
	struct guest_memory *m;
	struct error e;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	for (unsigned i = 0; i < PAGES; i += 2) {
		memset(page, with + (int)i, sizeof(page));
		assert_int_equal(pwrite(fd, page, sizeof(page),
					(off_t)i * MEMORY_PAGE),
				 sizeof(page));
	}
	if (memory_of_fd(&m, "pc.ram", fd, &e) < 0)
		fail_msg("%s", e.text);
	close(fd);
	return m;
}

static const struct kept_of whose = {
	.uuid = UUID, .machine = "web", .peer = "beta", .since_us = SECOND
};

static int write_one(uint64_t most)
{
	struct kept *k;
	struct error e;
	int r;

	assert_int_equal(kept_of_memory(&k, some_memory(1), &whose, &e), 0);
	r = kept_write(k, folder, most, &e);
	kept_free(k);
	return r;
}

static void flip(uint64_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

static int opens(void)
{
	struct kept *k = NULL;
	struct error e;
	int r = kept_open(&k, path, &e);

	kept_free(k);
	return r;
}

static int setup(void **state)
{
	(void)state;
	scratch_folder(folder);
	kept_path(path, sizeof(path), folder, UUID);
	return 0;
}

static void what_was_written_is_read(void **state)
{
	uint64_t sums[PAGES];
	uint8_t page[MEMORY_PAGE];
	struct kept *k;
	struct error e;

	(void)state;
	assert_int_equal(write_one(BYTES), 0);
	assert_int_equal(kept_open(&k, path, &e), 0);
	assert_true(kept_is_on_disk(k));
	assert_string_equal(kept_whose(k)->peer, "beta");
	assert_int_equal(kept_whose(k)->since_us, SECOND);
	assert_true(kept_sums(k, "pc.ram", 0, PAGES, sums));
	for (unsigned i = 0; i < PAGES; i++) {
		/* Of zeros there is no data, and at the end no file. */
		if (i % 2) {
			assert_int_equal(sums[i], 0);
			continue;
		}
		assert_true(kept_page(k, "pc.ram", i, page));
		assert_int_equal(page[7], 1 + i);
		assert_int_equal(sums[i], history_sum(page, kept_seed(k)));
	}
	assert_false(kept_sums(k, "pc.ram", 1, PAGES, sums));
	assert_false(kept_sums(k, "pc.ram", UINT64_MAX, 2, sums));
	assert_false(kept_page(k, "pc.ram", PAGES, page));
	assert_false(kept_page(k, "vga.vram", 0, page));
	assert_int_equal(kept_changed(k), 0);
	kept_free(k);
}

static void a_changed_page_is_none(void **state)
{
	uint64_t sums[PAGES];
	struct kept *k;
	struct error e;

	(void)state;
	assert_int_equal(write_one(BYTES), 0);
	flip(FILE_DATA + 4ULL * MEMORY_PAGE + 9);
	assert_int_equal(kept_open(&k, path, &e), 0);
	assert_true(kept_sums(k, "pc.ram", 0, PAGES, sums));
	assert_int_equal(sums[4], 0);
	assert_int_not_equal(sums[2], 0);
	assert_int_equal(kept_changed(k), 1);
	kept_free(k);
}

/* Where the file has the sum of its first page. */
static uint64_t first_sum_at(void)
{
	static uint8_t all[FILE_DATA];
	uint64_t sum;
	struct kept *k;
	struct error e;
	const uint8_t *at;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, all, sizeof(all), 0), sizeof(all));
	close(fd);
	assert_int_equal(kept_open(&k, path, &e), 0);
	assert_true(kept_sums(k, "pc.ram", 0, 1, &sum));
	kept_free(k);
	at = memmem(all, sizeof(all), &sum, sizeof(sum));
	assert_non_null(at);
	return (uint64_t)(at - all);
}

static void a_damaged_head_is_not_believed(void **state)
{
	uint64_t sum_at;

	(void)state;
	assert_int_equal(write_one(BYTES), 0);
	for (unsigned at = 0; at < 256; at++) {
		flip(at);
		assert_int_equal(opens(), -EBADMSG);
		flip(at);
	}
	assert_int_equal(opens(), 0);
	sum_at = first_sum_at();
	flip(sum_at);
	assert_int_equal(opens(), -EBADMSG);
	flip(sum_at);
	assert_int_equal(truncate(path, (off_t)sum_at + 8), 0);
	assert_int_equal(opens(), -EBADMSG);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(opens(), -EBADMSG);
}

static void one_that_takes_too_much_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(write_one(BYTES / 2 - 1), -EFBIG);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(write_one(BYTES / 2), 0);
	assert_int_equal(access(path, F_OK), 0);
}

/* --- the list */

static void keep_one(struct kept_copies *all, uint8_t with, enum keep_copy how)
{
	const struct move_settings s = { .keep_copy = how,
					 .keep_copy_size = 1 << 30 };

	kept_copies_add(all, &whose, some_memory(with), &s);
}

static size_t listed(struct kept_copies *all)
{
	struct kept_views v;
	struct error e;
	size_t n;

	assert_int_equal(kept_copies_list(all, &v, &e), 0);
	n = v.count;
	shape_done(&kept_views_shape, &v);
	return n;
}

/* That a move uses is read to its end, and its end leaves the newer alone. */
static void a_newer_one_takes_the_place_of_one_in_use(void **state)
{
	struct kept_copies *all;
	struct kept *used, *newer;
	uint8_t page[MEMORY_PAGE];
	char file[PATH_MAX + 64];

	(void)state;
	all = kept_copies_new(folder);
	assert_non_null(all);
	snprintf(file, sizeof(file), "%s/copies/" UUID ".copy", folder);
	keep_one(all, 1, KEEP_COPY_DISK);
	assert_null(kept_copies_claim(all, UUID, "gamma"));
	used = kept_copies_claim(all, UUID, "beta");
	assert_non_null(used);
	keep_one(all, 101, KEEP_COPY_DISK);
	assert_int_equal(listed(all), 1);
	assert_true(kept_page(used, "pc.ram", 0, page));
	assert_int_equal(page[0], 1);
	kept_copies_give_back(all, used);
	assert_int_equal(listed(all), 1);
	assert_int_equal(access(file, F_OK), 0);
	newer = kept_copies_claim(all, UUID, "beta");
	assert_true(kept_page(newer, "pc.ram", 0, page));
	assert_int_equal(page[0], 101);
	kept_copies_give_back(all, newer);
	kept_copies_free(all);
}

static void one_that_was_wrong_goes_with_its_move(void **state)
{
	struct kept_copies *all;
	struct kept *used;
	char file[PATH_MAX + 64];

	(void)state;
	all = kept_copies_new(folder);
	assert_non_null(all);
	snprintf(file, sizeof(file), "%s/copies/" UUID ".copy", folder);
	for (int how = KEEP_COPY_MEMORY; how <= KEEP_COPY_DISK; how++) {
		keep_one(all, 1, how);
		used = kept_copies_claim(all, UUID, "beta");
		assert_non_null(used);
		kept_set_wrong(used);
		assert_int_equal(listed(all), 1);
		kept_copies_give_back(all, used);
		assert_int_equal(listed(all), 0);
		assert_int_equal(access(file, F_OK), -1);
		assert_null(kept_copies_claim(all, UUID, "beta"));
	}
	kept_copies_free(all);
}

static void memory_that_is_needed_is_given_back(void **state)
{
	struct kept_copies *all;
	struct kept *used;

	(void)state;
	all = kept_copies_new(folder);
	assert_non_null(all);
	keep_one(all, 1, KEEP_COPY_MEMORY);
	assert_true(kept_copies_spare(all) >= BYTES / 2);
	used = kept_copies_claim(all, UUID, "beta");
	assert_int_equal(kept_copies_spare(all), 0);
	kept_copies_make_room(all, 1);
	assert_int_equal(listed(all), 1);
	kept_copies_give_back(all, used);
	kept_copies_make_room(all, 0);
	assert_int_equal(listed(all), 1);
	kept_copies_make_room(all, 1);
	assert_int_equal(listed(all), 0);
	keep_one(all, 1, KEEP_COPY_DISK);
	kept_copies_make_room(all, UINT64_MAX);
	assert_int_equal(listed(all), 1);
	kept_copies_expire(all, 0);
	assert_int_equal(listed(all), 1);
	/* It went in 1970. */
	kept_copies_expire(all, SECOND);
	assert_int_equal(listed(all), 0);
	kept_copies_free(all);
}

#define IN_FOLDER(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_go_until_there_is_place),
		cmocka_unit_test(sums_are_taken_for_the_pages_that_there_are),
		IN_FOLDER(what_was_written_is_read),
		IN_FOLDER(a_changed_page_is_none),
		IN_FOLDER(a_damaged_head_is_not_believed),
		IN_FOLDER(one_that_takes_too_much_leaves_nothing),
		IN_FOLDER(a_newer_one_takes_the_place_of_one_in_use),
		IN_FOLDER(one_that_was_wrong_goes_with_its_move),
		IN_FOLDER(memory_that_is_needed_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
