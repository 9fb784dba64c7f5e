/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <string.h>

#include "base/text.h"
#include "disks/flight.h"

static struct flight flight;
static bool acked[4096];

static bool is_acked(void *context, uint64_t seq)
{
	(void)context;
	return acked[seq];
}

static int setup(void **state)
{
	(void)state;
	memset(&flight, 0, sizeof(flight));
	memset(acked, 0, sizeof(acked));
	return 0;
}

/* A request of @frames frames that begin with @seq. */
static void leave(uint64_t cookie, uint64_t offset, uint32_t len, uint64_t seq,
		  unsigned frames)
{
	const struct nbd_request q = { .cookie = cookie,
				       .offset = offset,
				       .len = len };
	struct flight_request *r;

	assert_true(flight_has_room(&flight, offset, len));
	r = flight_begin(&flight, &q);
	for (unsigned i = 0; i < frames; i++)
		flight_frame(r, seq + i);
	flight_end(r);
}

/* 0: none is done. */
static uint64_t next_done(void)
{
	uint64_t cookie = 0;

	return flight_next_done(&flight, is_acked, NULL, &cookie) ? cookie : 0;
}

static void a_block_is_never_in_flight_twice(void **state)
{
	(void)state;
	leave(1, 4096, 4096, 1, 1);
	assert_false(flight_has_room(&flight, 4096, 4096));
	assert_false(flight_has_room(&flight, 8191, 1));
	assert_false(flight_has_room(&flight, 0, 4097));
	assert_false(flight_has_room(&flight, 0, UINT64_MAX));
	assert_true(flight_has_room(&flight, 0, 4096));
	assert_true(flight_has_room(&flight, 8192, 1));
	acked[1] = true;
	/* Not before it has been answered. */
	assert_false(flight_has_room(&flight, 4096, 1));
	assert_int_equal(next_done(), 1);
	assert_true(flight_has_room(&flight, 4096, 4096));
}

static void it_is_done_when_all_its_frames_are(void **state)
{
	(void)state;
	leave(1, 0, 100, 10, 3);
	leave(2, 100, 100, 20, 1);
	acked[10] = acked[12] = true;
	assert_int_equal(next_done(), 0);
	acked[20] = true;
	assert_int_equal(next_done(), 2);
	acked[11] = true;
	assert_int_equal(next_done(), 1);
	assert_int_equal(next_done(), 0);
	assert_int_equal(flight.count, 0);
}

/* While its frames are still being made, those that have left may arrive. */
static void it_is_not_done_before_all_have_left(void **state)
{
	const struct nbd_request q = { .cookie = 7, .len = 600 };
	struct flight_request *r = flight_begin(&flight, &q);

	(void)state;
	flight_frame(r, 1);
	acked[1] = true;
	assert_int_equal(next_done(), 0);
	flight_frame(r, 2);
	flight_end(r);
	assert_int_equal(next_done(), 0);
	acked[2] = true;
	assert_int_equal(next_done(), 7);
}

/* Nor does it hold up a write anywhere. */
static void a_flush_waits_for_no_place(void **state)
{
	(void)state;
	leave(1, 0, 4096, 1, 1);
	leave(2, 0, 0, 2, 1);
	assert_true(flight_has_room(&flight, 4096, 4096));
	acked[2] = true;
	assert_int_equal(next_done(), 2);
}

static void there_are_so_many_at_most(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < FLIGHT_MOST; i++)
		leave(i + 1, i * 512, 512, i + 1, 1);
	assert_false(flight_has_room(&flight, 1 << 20, 512));
	assert_false(flight_has_room(&flight, 0, 0));
	acked[5] = true;
	assert_int_equal(next_done(), 5);
	assert_true(flight_has_room(&flight, 1 << 20, 512));
}

static void the_longest_write_has_room_for_its_frames(void **state)
{
	(void)state;
	leave(1, 0, NBD_WRITE_MOST, 1, FLIGHT_FRAMES_MOST);
	for (unsigned i = 1; i < FLIGHT_FRAMES_MOST; i++)
		acked[i] = true;
	assert_int_equal(next_done(), 0);
	acked[FLIGHT_FRAMES_MOST] = true;
	assert_int_equal(next_done(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_block_is_never_in_flight_twice, setup),
		cmocka_unit_test_setup(it_is_done_when_all_its_frames_are,
				       setup),
		cmocka_unit_test_setup(it_is_not_done_before_all_have_left,
				       setup),
		cmocka_unit_test_setup(a_flush_waits_for_no_place, setup),
		cmocka_unit_test_setup(there_are_so_many_at_most, setup),
		cmocka_unit_test_setup(
			the_longest_write_has_room_for_its_frames, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
