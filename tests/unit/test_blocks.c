/* SPDX-License-Identifier: MIT */

/* BLOCKS frames: what stands in front of their data. */
#include "unit.h"

#include <errno.h>

#include "base/error.h"
#include "base/text.h"
#include "wire/frame.h"

static int blocks_read(const struct block_head *b, size_t data,
		       struct block_head *ret, struct error *e)
{
	static uint8_t buf[BLOCKS_MAX_PAYLOAD + 1];
	struct block_body body;

	block_head_write(b, buf);
	if (block_head_read(ret, buf, BLOCK_HEAD_SIZE + data, &body, e) < 0)
		return error_code(e);
	assert_ptr_equal(body.data, buf + BLOCK_HEAD_SIZE);
	assert_int_equal(body.len, data);
	return 0;
}

static void blocks_survive_being_written(void **state)
{
	static const struct {
		struct block_head head;
		size_t data;
	} cases[] = {
		{ { 3, CODEC_RAW, BLOCK_DATA, BLOCK_DATA_MAX, 1 << 20 },
		  BLOCK_DATA_MAX },
		{ { 0, CODEC_RAW, BLOCK_DATA, 1, UINT64_MAX - 1 }, 1 },
		{ { 0, 1, BLOCK_DATA, 4096, 0 }, 4095 },
		{ { 0, CODEC_RAW, BLOCK_ZERO, UINT32_MAX, 512 }, 0 },
		{ { 9, CODEC_RAW, BLOCK_FLUSH, 0, 0 }, 0 },
	};
	struct block_head got;
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct block_head *b = &cases[i].head;

		assert_int_equal(blocks_read(b, cases[i].data, &got, &e), 0);
		assert_int_equal(got.disk, b->disk);
		assert_int_equal(got.codec, b->codec);
		assert_int_equal(got.kind, b->kind);
		assert_int_equal(got.len, b->len);
		assert_int_equal(got.offset, b->offset);
	}
}

static void blocks_that_cannot_be_are_refused(void **state)
{
	static const struct {
		struct block_head head;
		size_t data;
	} cases[] = {
		{ { 0, CODEC_RAW, BLOCK_DATA, 0, 0 }, 0 },
		{ { 0, CODEC_RAW, BLOCK_DATA, 512, 0 }, 511 },
		{ { 0, CODEC_RAW, BLOCK_DATA, 512, 0 }, 513 },
		{ { 0, CODEC_RAW, BLOCK_DATA, 2, UINT64_MAX - 1 }, 2 },
		{ { 0, CODEC_RAW, BLOCK_DATA, BLOCK_DATA_MAX + 1, 0 },
		  BLOCK_DATA_MAX + 1 },
		/* pressed, and no shorter; to more than a unit */
		{ { 0, 1, BLOCK_DATA, 512, 0 }, 512 },
		{ { 0, 1, BLOCK_DATA, 512, 0 }, 0 },
		{ { 0, 1, BLOCK_DATA, BLOCK_DATA_MAX + 1, 0 }, 100 },
		{ { 0, CODEC_RAW, BLOCK_ZERO, 512, 0 }, 512 },
		{ { 0, CODEC_RAW, BLOCK_ZERO, 0, 0 }, 0 },
		{ { 0, 1, BLOCK_ZERO, 512, 0 }, 0 },
		{ { 0, CODEC_RAW, BLOCK_FLUSH, 1, 0 }, 0 },
		{ { 0, CODEC_RAW, BLOCK_FLUSH, 0, 1 }, 0 },
		{ { 0, CODEC_RAW, BLOCK_FLUSH, 0, 0 }, 1 },
		{ { 0, CODEC_RAW, BLOCK_KINDS, 512, 0 }, 512 },
	};
	uint8_t buf[BLOCK_HEAD_SIZE];
	struct block_body body;
	struct block_head got;
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(blocks_read(&cases[i].head, cases[i].data,
					     &got, &e),
				 -EBADMSG);
	/* cut short, and with what is not 0 in the gap */
	block_head_write(&(struct block_head){ .kind = BLOCK_FLUSH }, buf);
	assert_int_equal(block_head_read(&got, buf, sizeof(buf) - 1, &body, &e),
			 -EBADMSG);
	buf[8] = 1;
	assert_int_equal(block_head_read(&got, buf, sizeof(buf), &body, &e),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_survive_being_written),
		cmocka_unit_test(blocks_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
