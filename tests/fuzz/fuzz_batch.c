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
	struct batch_body body;
	size_t meta;
	uint64_t count = 0;

	if (batch_head_read(&b, data, len, &body, &e) < 0) {
		assert(e.code != 0 && e.text[0]);
		return 0;
	}
	assert(b.runs >= 1 && b.runs <= BATCH_MAX_RUNS);
	assert(body.side >= data && body.side + b.side == body.data);
	assert(body.data + body.len == data + len);
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
		assert(body.len == count * WIRE_PAGE);
	else
		assert(count > 0 && body.len < count * WIRE_PAGE);
	meta = batch_head_write(&b, body.side, again);
	assert(meta + body.len == len);
	/* All but the byte that nobody looks at. */
	assert(!memcmp(again, data, 3) &&
	       !memcmp(again + 4, data + 4, meta - 4));
	return 0;
}
