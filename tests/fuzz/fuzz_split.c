/* SPDX-License-Identifier: MIT */

/*
 * QEMU's stream in random pieces.  The first byte of the input seeds their
 * sizes; the second says whether pages are taken.  Checked: page numbers and
 * offsets, that pages and forwarded bytes account for what was fed, that
 * nothing diverted means nothing changed, and that the splitter always gets
 * on.  Two runs with other pieces must end alike.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "qemu/split.h"
#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { LEN = 64 * SPLIT_PAGE };

struct run {
	struct stream out;
	uint64_t pages, zero_pages, sum;
	bool takes, stays[2][LEN / SPLIT_PAGE];
	int result;
	bool opaque, ram_done;
};

static int on_stream(void *context, const uint8_t *data, size_t len,
		     struct error *e)
{
	struct run *r = context;

	(void)e;
	assert(len > 0);
	stream_bytes(&r->out, data, len);
	return 0;
}

static int on_page(void *context, unsigned block, uint64_t offset,
		   const uint8_t *data, struct error *e)
{
	struct run *r = context;

	(void)e;
	assert(block < 2 && offset % SPLIT_PAGE == 0 && offset < LEN);
	if (!r->takes || r->stays[block][offset / SPLIT_PAGE])
		return 0;
	r->sum = (r->sum + block + offset) * 31;
	for (unsigned i = 0; data && i < SPLIT_PAGE; i++)
		r->sum = r->sum * 31 + data[i];
	r->pages += data != NULL;
	r->zero_pages += data == NULL;
	return 1;
}

static void on_stays(void *context, unsigned block, uint64_t offset)
{
	struct run *r = context;

	assert(block < 2 && offset < LEN);
	r->stays[block][offset / SPLIT_PAGE] = true;
}

static bool may_divert(void *context)
{
	(void)context;
	return true;
}

static const struct split_ops ops = { on_stream, on_page, on_stays, may_divert,
				      NULL };

static int feed(struct splitter *s, const uint8_t *data, size_t len,
		uint32_t seed)
{
	size_t used = 0, have = 0;
	struct error e = { 0 };

	while (have < len) {
		uint8_t *piece;
		size_t n;
		ssize_t got;

		seed = seed * 1103515245 + 12345;
		n = 1 + (seed >> 16) % (seed & 0x8000 ? 9000 : 30);
		have = len - have < n ? len : have + n;
		piece = malloc(have - used);
		assert(piece);
		memcpy(piece, data + used, have - used);
		got = split_feed(s, piece, have - used, &e);
		free(piece);
		if (got < 0) {
			assert(e.code != 0 && e.text[0]);
			return -e.code;
		}
		assert((size_t)got <= have - used);
		used += (size_t)got;
		assert(have - used < SPLIT_RECORD_MAX);
	}
	return (int)(len - used);
}

static void split(struct run *r, const uint8_t *data, size_t len, uint32_t seed)
{
	const struct split_stats *st;
	struct splitter *s;
	struct error e;

	if (split_new(&s, &ops, r, &e) < 0)
		abort();
	if (split_divert(s, "pc.ram", LEN, 0, &e) < 0 ||
	    split_divert(s, "b", LEN, 1, &e) < 0)
		abort();
	r->result = feed(s, data, len, seed);
	st = split_stats(s);
	assert(st->pages == r->pages && st->zero_pages == r->zero_pages);
	assert(st->stream_bytes == r->out.len);
	r->opaque = st->opaque;
	r->ram_done = st->ram_done;
	split_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run a = { 0 }, b = { 0 };

	if (len < 2)
		return 0;
	a.takes = b.takes = data[1] & 1;
	split(&a, data + 2, len - 2, data[0]);
	split(&b, data + 2, len - 2, data[0] + 1000u);
	if (a.result >= 0) {
		assert(a.result == b.result && a.sum == b.sum);
		assert(a.out.len == b.out.len && a.opaque == b.opaque);
		assert(!a.out.len ||
		       !memcmp(a.out.data, b.out.data, a.out.len));
		/* A page record is 9 bytes at least. */
		assert(a.out.len <= len + 9 * (a.pages + a.zero_pages) +
					    a.out.len / 2 + 2 * SPLIT_PAGE);
	} else {
		assert(b.result < 0);
	}
	if (a.pages + a.zero_pages == 0 && a.result == 0) {
		/* Only CONTINUE may have been put where a name stood. */
		assert(a.out.len <= len - 2);
		if (!a.takes)
			assert(a.out.len > 0 || len == 2);
	}
	stream_free(&a.out);
	stream_free(&b.out);
	return 0;
}
