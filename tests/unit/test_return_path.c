/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <string.h>

#include "qemu/return_path.h"

/* SHUT, PONG with 4 bytes, an empty SWITCHOVER_ACK, PONG again */
static const uint8_t sample[] = {
	0, 1, 0, 4, 0, 0, 0, 0, 0, 2, 0, 4, 0, 7,
	0, 7, 0, 7, 0, 0, 0, 2, 0, 4, 9, 9, 9, 9,
};
enum { ACK_ENDS = 20 };

/* Feeds pieces of @chunk bytes; the offset behind which the acknowledgement's
 * header ended, -1 for never; asserts that it is found once. */
static int ack_offset(const uint8_t *data, size_t len, size_t chunk)
{
	struct return_path p = { 0 };
	int found = -1;

	for (size_t at = 0; at < len;) {
		size_t piece = len - at < chunk ? len - at : chunk;

		for (size_t done = 0; done < piece;) {
			size_t n = return_path_next(&p, data + at + done,
						    piece - done);

			assert_in_range(n, 1, piece - done);
			done += n;
			if (!return_path_is_switchover_ack(&p))
				continue;
			assert_int_equal(found, -1);
			found = (int)(at + done);
		}
		at += piece;
	}
	return found;
}

static void the_acknowledgement_is_found_in_pieces_of_any_size(void **state)
{
	(void)state;
	for (size_t chunk = 1; chunk <= sizeof(sample); chunk++)
		assert_int_equal(ack_offset(sample, sizeof(sample), chunk),
				 ACK_ENDS);
}

static void the_bytes_of_a_payload_are_no_header(void **state)
{
	static const uint8_t data[] = { 0, 2, 0, 8, 0, 7, 0, 0, 0, 7, 0, 0 };

	(void)state;
	for (size_t chunk = 1; chunk <= sizeof(data); chunk++)
		assert_int_equal(ack_offset(data, sizeof(data), chunk), -1);
}

static void after_a_post_copy_message_nothing_is_looked_at(void **state)
{
	(void)state;
	for (uint8_t type = 3; type <= 6; type++) {
		uint8_t data[4 + sizeof(sample)] = { 0, type, 0, 0 };

		memcpy(data + 4, sample, sizeof(sample));
		assert_int_equal(ack_offset(data, sizeof(data), 3), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_acknowledgement_is_found_in_pieces_of_any_size),
		cmocka_unit_test(the_bytes_of_a_payload_are_no_header),
		cmocka_unit_test(
			after_a_post_copy_message_nothing_is_looked_at),
	};

	return cmocka_run_group_tests_name("return path", tests, NULL, NULL);
}
