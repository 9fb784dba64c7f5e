/* SPDX-License-Identifier: MIT */

/* The payload of a PAGES frame: whatever is accepted keeps all limits, and its
 * data lie inside of it. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[BATCH_META_MAX];
	struct batch_head b;
	struct error e = { 0 };
	const uint8_t *pages;
	size_t pages_len, meta;
	uint64_t count = 0;

	if (batch_head_read(&b, data, len, &pages, &pages_len, &e) < 0) {
		assert(e.code != 0 && e.text[0]);
		return 0;
	}
	assert(b.runs >= 1 && b.runs <= BATCH_MAX_RUNS);
	assert(pages >= data && pages + pages_len == data + len);
	for (unsigned i = 0; i < b.runs; i++) {
		const struct batch_run *r = &b.run[i];
		uint64_t end;

		assert(r->count > 0);
		assert(!__builtin_add_overflow(r->first, r->count, &end));
		assert(!__builtin_mul_overflow(end, WIRE_PAGE, &end));
		if (r->kind == RUN_DATA)
			count += r->count;
	}
	assert(count == b.pages && count <= BATCH_MAX_PAGES);
	if (b.codec == CODEC_RAW)
		assert(pages_len == count * WIRE_PAGE);
	else
		assert(count > 0 && pages_len < count * WIRE_PAGE);
	meta = batch_head_write(&b, again);
	assert(meta + pages_len == len);
	/* All but the byte that nobody looks at. */
	assert(!memcmp(again, data, 3) &&
	       !memcmp(again + 4, data + 4, meta - 4));
	return 0;
}
