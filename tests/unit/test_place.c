/* SPDX-License-Identifier: MIT */

/* Batches become guest memory, by way of their bytes; a wrong one is an error
 * and leaves all alone that it does not name. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/delta.h"
#include "pages/memory.h"
#include "relay/place.h"
#include "wire/reader.h"

enum { PAGES = 24, BASE = 0x11, RAM = PAGES * WIRE_PAGE };

/* Guest memory, what should be in it, and a batch that is being written. */
struct scene {
	int fd;
	struct guest_memory *memory;
	struct place place;
	uint8_t want[PAGES][WIRE_PAGE];

	struct batch_head batch;
	uint8_t side[BATCH_SIDE_MAX], data[BATCH_MAX_PAGES * WIRE_PAGE];
	struct writer side_writer;
	struct error e;
};

static struct scene *scene_new(void)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(s->fd >= 0 && ftruncate(s->fd, RAM) == 0);
	assert_int_equal(memory_of_fd(&s->memory, "pc.ram", s->fd, &s->e), 0);
	place_init(&s->place, s->memory);
	s->side_writer = writer_to(s->side, sizeof(s->side));
	return s;
}

/* The pages up to @count have something in them, each its own. */
static struct scene *scene_with(unsigned count)
{
	struct scene *s = scene_new();

	for (unsigned i = 0; i < count; i++) {
		memset(s->want[i], (int)(BASE + i), WIRE_PAGE);
		assert_int_equal(memory_write(s->memory, 0,
					      (uint64_t)i * WIRE_PAGE,
					      s->want[i], WIRE_PAGE, &s->e),
				 0);
	}
	return s;
}

static void scene_free(struct scene *s)
{
	memory_free(s->memory);
	close(s->fd);
	free(s);
}

static void assert_memory_is_as_wanted(const struct scene *s)
{
	uint8_t had[WIRE_PAGE];

	for (int i = 0; i < PAGES; i++) {
		assert_int_equal(pread(s->fd, had, WIRE_PAGE,
				       (off_t)i * WIRE_PAGE),
				 WIRE_PAGE);
		if (memcmp(had, s->want[i], WIRE_PAGE) != 0)
			fail_msg("page %d is not what it should be", i);
	}
}

static uint64_t allocated(const struct scene *s)
{
	struct stat st;

	assert_int_equal(fstat(s->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void add_run(struct scene *s, enum batch_run_kind kind, uint64_t first,
		    uint32_t count)
{
	s->batch.run[s->batch.runs++] =
		(struct batch_run){ first, count, kind };
}

static void add_data(struct scene *s, uint64_t first, uint32_t count, int byte)
{
	memset(s->data + (size_t)s->batch.pages * WIRE_PAGE, byte,
	       (size_t)count * WIRE_PAGE);
	s->batch.pages = (uint16_t)(s->batch.pages + count);
	add_run(s, RUN_DATA, first, count);
}

static void add_fill(struct scene *s, uint64_t first, uint32_t count,
		     const char word[8])
{
	write_bytes(&s->side_writer, word, BATCH_FILL_SIZE);
	add_run(s, RUN_FILL, first, count);
}

static void add_delta(struct scene *s, const void *delta, size_t len,
		      uint64_t sum)
{
	write_u16(&s->side_writer, (uint16_t)len);
	write_u64(&s->side_writer, sum);
	write_bytes(&s->side_writer, delta, len);
}

/* What makes @byte of the first words of a page. */
static size_t delta_of_words(const uint8_t old[WIRE_PAGE], unsigned words,
			     int byte, uint8_t fresh[WIRE_PAGE],
			     uint8_t delta[DELTA_MAX])
{
	memcpy(fresh, old, WIRE_PAGE);
	memset(fresh, byte, (size_t)words * DELTA_WORD);
	return delta_encode(old, fresh, delta, DELTA_MAX);
}

/* By way of the wire, in memory of just the payload's size. */
static int place_batch(struct scene *s)
{
	static uint8_t meta[BATCH_META_MAX];
	size_t data = (size_t)s->batch.pages * WIRE_PAGE, len;
	struct batch_head b;
	struct batch_body body;
	uint8_t *payload;
	int r;

	assert_false(s->side_writer.bad);
	s->batch.side = (uint32_t)writer_used(&s->side_writer);
	len = batch_head_write(&s->batch, s->side, meta);
	payload = malloc(len + data);
	assert_non_null(payload);
	memcpy(payload, meta, len);
	memcpy(payload + len, s->data, data);
	r = batch_head_read(&b, payload, len + data, &body, &s->e);
	assert_int_equal(r, 0);
	r = s->place.sink.apply(s->place.sink.context, &b, &body, &s->e);
	free(payload);
	return r;
}

static uint64_t placed(struct scene *s, enum batch_run_kind kind)
{
	return atomic_load(&s->place.pages[kind]);
}

static void every_kind_of_run_is_placed_and_counted(void **state)
{
	struct scene *s = scene_with(12);
	uint8_t fresh[WIRE_PAGE], delta[DELTA_MAX];
	size_t len;

	(void)state;
	add_data(s, 3, 2, 'd');
	memset(s->want[3], 'd', WIRE_PAGE);
	memset(s->want[4], 'd', WIRE_PAGE);
	add_fill(s, 13, 3, "ABCDEFGH");
	for (int i = 0; i < 3 * WIRE_PAGE; i++)
		s->want[13 + i / WIRE_PAGE][i % WIRE_PAGE] =
			(uint8_t)('A' + i % 8);
	add_run(s, RUN_SAME, 9, 2);
	write_u64(&s->side_writer, page_sum(s->want[9]));
	write_u64(&s->side_writer, page_sum(s->want[10]));
	add_run(s, RUN_ZERO, 1, 2);
	memset(s->want[1], 0, WIRE_PAGE);
	memset(s->want[2], 0, WIRE_PAGE);
	add_run(s, RUN_DELTA, 7, 2);
	for (int i = 7; i < 9; i++) {
		len = delta_of_words(s->want[i], 5, 'x', fresh, delta);
		memcpy(s->want[i], fresh, WIRE_PAGE);
		add_delta(s, delta, len, page_sum(fresh));
	}
	add_data(s, 20, 1, 'e');
	memset(s->want[20], 'e', WIRE_PAGE);
	assert_int_equal(place_batch(s), 0);
	assert_memory_is_as_wanted(s);
	assert_int_equal(placed(s, RUN_DATA), 3);
	assert_int_equal(placed(s, RUN_ZERO), 2);
	assert_int_equal(placed(s, RUN_FILL), 3);
	assert_int_equal(placed(s, RUN_SAME), 2);
	assert_int_equal(placed(s, RUN_DELTA), 2);
	scene_free(s);
}

static void a_repeat_of_what_is_not_here_names_the_page(void **state)
{
	struct scene *s = scene_with(12);

	(void)state;
	add_run(s, RUN_SAME, 4, 3);
	write_u64(&s->side_writer, page_sum(s->want[4]));
	write_u64(&s->side_writer, page_sum(s->want[5]) ^ 1);
	write_u64(&s->side_writer, page_sum(s->want[6]));
	add_data(s, 0, 1, 'd');
	assert_int_equal(place_batch(s), -EBADMSG);
	assert_string_equal(s->e.text, "page 5 of RAM block pc.ram is not what "
				       "the source says it is");
	assert_memory_is_as_wanted(s);
	scene_free(s);
}

static void a_delta_that_gives_another_page_is_not_written(void **state)
{
	struct scene *s = scene_with(12);
	uint8_t fresh[WIRE_PAGE], delta[DELTA_MAX];
	size_t len = delta_of_words(s->want[8], 3, 'x', fresh, delta);

	(void)state;
	/* Made for page 8, of which page 2 is no copy. */
	add_run(s, RUN_DELTA, 2, 1);
	add_delta(s, delta, len, page_sum(fresh));
	assert_int_equal(place_batch(s), -EBADMSG);
	assert_string_equal(s->e.text, "page 2 of RAM block pc.ram is not what "
				       "the source says it is");
	assert_memory_is_as_wanted(s);
	scene_free(s);
}

static void wrong_deltas_name_the_page_and_write_nothing(void **state)
{
	static const struct {
		const char *delta;
		size_t len;
	} wrong[] = {
		{ "\0\0\0\0", 4 },              /* no words */
		{ "\0\0\0\1abcdefg", 11 },      /* cut short */
		{ "\0\0\0\1abcdefgh\0", 13 },   /* a byte behind its end */
		{ "\2\0\0\1abcdefgh", 12 },     /* the word behind the last */
		{ "\xff\xff\0\1abcdefgh", 12 }, /* far behind it */
		{ "\0\0\xff\xff"
		  "abcdefgh",
		  12 }, /* more than a page */
		{ "\1\xff\0\1abcdefgh\0\0\0\1abcdefgh", 24 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct scene *s = scene_with(PAGES);

		add_run(s, RUN_DELTA, 22, 1);
		add_delta(s, wrong[i].delta, wrong[i].len,
			  page_sum(s->want[22]));
		assert_int_equal(place_batch(s), -EBADMSG);
		if (!strstr(s->e.text, "page 22 of RAM block pc.ram: delta"))
			fail_msg("%s", s->e.text);
		assert_memory_is_as_wanted(s);
		scene_free(s);
	}
}

static void add_run_that_ends_outside(struct scene *s, enum batch_run_kind kind,
				      uint64_t first, uint32_t count)
{
	if (kind == RUN_DATA) {
		add_data(s, first, count, 'o');
		return;
	}
	add_run(s, kind, first, count);
	if (kind == RUN_FILL)
		write_bytes(&s->side_writer, "ABCDEFGH", BATCH_FILL_SIZE);
	for (uint32_t i = 0;
	     i < count && (kind == RUN_SAME || kind == RUN_PROOF); i++)
		write_u64(&s->side_writer, page_sum(s->want[PAGES - 1]));
	for (uint32_t i = 0; i < count && kind == RUN_DELTA; i++)
		add_delta(s, "\0\0\0\1abcdefgh", 12, 0);
}

static void runs_that_leave_the_block_write_nothing_at_all(void **state)
{
	static const struct {
		uint64_t first;
		uint32_t count;
	} outside[] = { { PAGES, 1 },
			{ PAGES - 1, 2 },
			{ 0, PAGES + 1 },
			{ 1ULL << 51, 1 } };

	(void)state;
	for (int kind = 0; kind < RUN_KINDS; kind++)
		for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
			struct scene *s;

			if (kind == RUN_PROOF && outside[i].count > 1)
				continue;
			s = scene_with(PAGES);
			/* All are looked at before this one is written. */
			add_data(s, 2, 1, 'd');
			add_run_that_ends_outside(s, (enum batch_run_kind)kind,
						  outside[i].first,
						  outside[i].count);
			assert_int_equal(place_batch(s), -EBADMSG);
			assert_non_null(
				strstr(s->e.text,
				       "of RAM block pc.ram, which has 24"));
			assert_memory_is_as_wanted(s);
			assert_int_equal(placed(s, RUN_DATA), 0);
			scene_free(s);
		}
}

static void a_block_that_is_not_there_is_refused(void **state)
{
	struct scene *s = scene_with(2);

	(void)state;
	s->batch.block = 1;
	add_data(s, 0, 1, 'd');
	assert_int_equal(place_batch(s), -EBADMSG);
	assert_string_equal(s->e.text, "pages of RAM block number 1");
	assert_memory_is_as_wanted(s);
	scene_free(s);
}

static void untouched_pages_are_zeros_that_cost_nothing(void **state)
{
	struct scene *s = scene_new();
	uint8_t fresh[WIRE_PAGE], delta[DELTA_MAX];
	size_t len = delta_of_words(s->want[9], 1, 'x', fresh, delta);

	(void)state;
	add_run(s, RUN_SAME, 0, 4);
	for (int i = 0; i < 4; i++)
		write_u64(&s->side_writer, page_sum(s->want[i]));
	add_fill(s, 5, 2, "\0\0\0\0\0\0\0\0");
	add_run(s, RUN_DELTA, 9, 1);
	memcpy(s->want[9], fresh, WIRE_PAGE);
	add_delta(s, delta, len, page_sum(fresh));
	assert_int_equal(place_batch(s), 0);
	assert_int_equal(allocated(s), WIRE_PAGE);
	assert_memory_is_as_wanted(s);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_run_is_placed_and_counted),
		cmocka_unit_test(a_repeat_of_what_is_not_here_names_the_page),
		cmocka_unit_test(
			a_delta_that_gives_another_page_is_not_written),
		cmocka_unit_test(wrong_deltas_name_the_page_and_write_nothing),
		cmocka_unit_test(
			runs_that_leave_the_block_write_nothing_at_all),
		cmocka_unit_test(a_block_that_is_not_there_is_refused),
		cmocka_unit_test(untouched_pages_are_zeros_that_cost_nothing),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
