/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <string.h>

#include "relay/ending.h"

/* A header, a footer, the end mark and a description of five bytes. */
static const uint8_t stream[] = { 'Q', 'E', 'V', 'M', '{', 0,  6,    0,
				  0,   0,   9,   '{', 0,   6,  0x7e, 0,
				  0,   0,   2,   0,   6,   0,  0,    0,
				  5,   '{', '"', 'a', '"', '}' };
enum { END_MARK_AT = 19 };

static const uint8_t pong[] = { 0, 2, 0, 4, 0, 0, 0, 1 };
static const uint8_t shut[] = { 0, 1, 0, 4, 0, 0, 0, 0 };
static const uint8_t shut_badly[] = { 0, 1, 0, 4, 0, 0, 0, 1 };

/* The first @len bytes, in pieces of @piece. */
static enum ending_kind after(size_t len, size_t piece)
{
	struct ending g;
	enum ending_kind r;

	ending_init(&g);
	for (size_t at = 0; at < len; at += piece)
		ending_sent(&g, stream + at,
			    len - at < piece ? len - at : piece);
	r = ending_of(&g);
	ending_done(&g);
	return r;
}

static void only_a_whole_stream_has_ended(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= sizeof(stream); piece++)
		for (size_t len = 0; len <= sizeof(stream); len++)
			assert_int_equal(after(len, piece),
					 len == sizeof(stream) ||
							 len == END_MARK_AT + 1
						 ? ENDING_WHOLE
						 : ENDING_SHORT);
}

static enum ending_kind answered(const uint8_t *last)
{
	struct ending g;
	enum ending_kind r;

	ending_init(&g);
	ending_sent(&g, stream, sizeof(stream));
	ending_answered(&g, pong, sizeof(pong));
	for (size_t i = 0; last && i < sizeof(shut); i++)
		ending_answered(&g, last + i, 1);
	r = ending_of(&g);
	ending_done(&g);
	return r;
}

static void on_a_return_path_qemu_says_how_it_ended(void **state)
{
	(void)state;
	assert_int_equal(answered(NULL), ENDING_SHORT);
	assert_int_equal(answered(pong), ENDING_SHORT);
	assert_int_equal(answered(shut), ENDING_LOADED);
	assert_int_equal(answered(shut_badly), ENDING_REFUSED);
}

static void what_is_encrypted_is_more_than_a_handshake(void **state)
{
	static uint8_t record[64 * 1024 + 1] = { 0x16, 3, 1 };
	struct ending g;

	(void)state;
	ending_init(&g);
	ending_sent(&g, record, sizeof(record) - 1);
	ending_answered(&g, shut, sizeof(shut));
	assert_int_equal(ending_of(&g), ENDING_SHORT);
	ending_sent(&g, record, 1);
	assert_int_equal(ending_of(&g), ENDING_SECRET);
	ending_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_whole_stream_has_ended),
		cmocka_unit_test(on_a_return_path_qemu_says_how_it_ended),
		cmocka_unit_test(what_is_encrypted_is_more_than_a_handshake),
	};

	return cmocka_run_group_tests_name("ending", tests, NULL, NULL);
}
