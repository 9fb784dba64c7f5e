/* SPDX-License-Identifier: MIT */

/* A frame's header, and an acknowledgement, as its payload and by itself. */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "wire/frame.h"
#include "wire/reader.h"
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { SEED = 7 };

static void check_head(const uint8_t buf[FRAME_HEAD_SIZE])
{
	uint8_t again[FRAME_HEAD_SIZE];
	struct frame_head h;
	struct error e = { 0 };

	if (frame_head_read(&h, buf, SEED, &e) < 0) {
		assert(e.code != 0 && e.text[0]);
		return;
	}
	assert(h.kind >= FRAME_PAGES && h.kind < FRAME_KINDS);
	assert(h.len <= FRAME_MAX_PAYLOAD && h.stream < STREAMS_MAX);
	assert((h.kind <= FRAME_MESSAGE || h.kind == FRAME_BLOCKS) ==
	       (h.seq != 0));
	frame_head_write(&h, SEED, again);
	assert(!memcmp(again, buf, FRAME_HEAD_SIZE));
}

static void check_blocks(const uint8_t *data, size_t len)
{
	uint8_t again[BLOCK_HEAD_SIZE];
	struct block_head b;
	struct block_body body;
	struct error e = { 0 };

	if (block_head_read(&b, data, len, &body, &e) < 0) {
		assert(e.code != 0 && e.text[0]);
		return;
	}
	assert(b.kind < BLOCK_KINDS && b.offset <= UINT64_MAX - b.len);
	assert(body.len == len - BLOCK_HEAD_SIZE);
	assert((b.kind == BLOCK_DATA) == (body.len > 0));
	if (b.kind == BLOCK_DATA)
		assert(b.len <= BLOCK_DATA_MAX && body.len <= b.len);
	block_head_write(&b, again);
	assert(!memcmp(again, data, BLOCK_HEAD_SIZE));
}

static void check_ack(const uint8_t *data, size_t len)
{
	uint8_t again[ACK_MAX_PAYLOAD];
	uint64_t floor;
	struct error e = { 0 };
	struct ack a;

	if (ack_read(&a, data, len, &e) < 0) {
		assert(e.code != 0 && e.text[0]);
		return;
	}
	assert(a.ranges <= ACK_MAX_RANGES);
	floor = a.below;
	for (unsigned i = 0; i < a.ranges; i++) {
		assert(a.range[i].first >= floor && a.range[i].count > 0);
		floor = a.range[i].first + a.range[i].count;
		assert(floor > a.range[i].first);
	}
	assert(ack_write(&a, again) == len && !memcmp(again, data, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t summed[FRAME_HEAD_SIZE];
	struct writer w = writer_to(summed + FRAME_HEAD_SIZE - 8, 8);

	check_ack(data, len);
	check_blocks(data, len);
	if (len < FRAME_HEAD_SIZE)
		return 0;
	check_head(data);
	memcpy(summed, data, FRAME_HEAD_SIZE);
	write_u64(&w, XXH3_64bits_withSeed(summed, FRAME_HEAD_SIZE - 8, SEED));
	check_head(summed);
	return 0;
}
