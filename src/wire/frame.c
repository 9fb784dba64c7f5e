/* SPDX-License-Identifier: MIT */
#include "wire/frame.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/error.h"
#include "base/text.h"
#include "wire/reader.h"
#include "wire/sum.h"

static const struct {
	const char *name;
	uint32_t max_payload;
	bool numbered;
} kinds[FRAME_KINDS] = {
	[FRAME_PAGES] = { "PAGES", FRAME_MAX_PAYLOAD, true },
	[FRAME_STREAM] = { "STREAM", STREAM_MAX_PAYLOAD, true },
	[FRAME_MESSAGE] = { "MESSAGE", MESSAGE_MAX_PAYLOAD, true },
	[FRAME_ACK] = { "ACK", ACK_MAX_PAYLOAD, false },
	[FRAME_BYE] = { "BYE", BYE_MAX_PAYLOAD, false },
	[FRAME_CARDS] = { "CARDS", CARDS_MAX_PAYLOAD, false },
	[FRAME_RDMA] = { "RDMA", RDMA_MAX_PAYLOAD, false },
	[FRAME_BLOCKS] = { "BLOCKS", BLOCKS_MAX_PAYLOAD, true },
};

_Static_assert(ARRAY_SIZE(kinds) == FRAME_KINDS, "a limit for every kind");

enum {
	SUMMED = FRAME_HEAD_SIZE - 8,
	/* Apart from the frames' sums, which have none. */
	PAGE_SUM_SEED = 0x50414745,
};

void frame_head_write(const struct frame_head *h, uint64_t seed,
		      uint8_t buf[FRAME_HEAD_SIZE])
{
	struct writer w = writer_to(buf, FRAME_HEAD_SIZE);

	write_u8(&w, (uint8_t)h->kind);
	write_u8(&w, h->flags);
	write_u16(&w, h->stream);
	write_u32(&w, h->len);
	write_u64(&w, h->seq);
	write_u64(&w, h->offset);
	write_u64(&w, h->sum);
	write_u64(&w, XXH3_64bits_withSeed(buf, SUMMED, seed));
	assert(!w.bad);
}

int frame_head_read(struct frame_head *ret, const uint8_t buf[FRAME_HEAD_SIZE],
		    uint64_t seed, struct error *e)
{
	struct reader r = reader_of(buf, FRAME_HEAD_SIZE);
	uint64_t sum;
	uint8_t kind;

	kind = read_u8(&r);
	ret->flags = read_u8(&r);
	ret->stream = read_u16(&r);
	ret->len = read_u32(&r);
	ret->seq = read_u64(&r);
	ret->offset = read_u64(&r);
	ret->sum = read_u64(&r);
	sum = read_u64(&r);
	if (sum != XXH3_64bits_withSeed(buf, SUMMED, seed))
		return error_set(e, EILSEQ, "frame header damaged on the way");
	if (kind >= FRAME_KINDS || !kinds[kind].name)
		return error_set(e, EBADMSG, "frame of unknown kind %u", kind);
	ret->kind = kind;
	if (ret->len > kinds[kind].max_payload)
		return error_set(e, EBADMSG, "%s frame of %u bytes",
				 kinds[kind].name, ret->len);
	if (kinds[kind].numbered != (ret->seq != 0))
		return error_set(e, EBADMSG, "%s frame number %" PRIu64,
				 kinds[kind].name, ret->seq);
	if (ret->stream >= STREAMS_MAX)
		return error_set(e, EBADMSG, "stream number %u", ret->stream);
	return 0;
}

uint64_t frame_sum(const struct iovec *iov, int n)
{
	XXH3_state_t state;

	if (n == 1)
		return XXH3_64bits(iov[0].iov_base, iov[0].iov_len);
	XXH3_64bits_reset(&state);
	for (int i = 0; i < n; i++)
		XXH3_64bits_update(&state, iov[i].iov_base, iov[i].iov_len);
	return XXH3_64bits_digest(&state);
}

uint64_t page_sum(const void *page)
{
	return XXH3_64bits_withSeed(page, WIRE_PAGE, PAGE_SUM_SEED);
}

size_t batch_head_write(const struct batch_head *b, const uint8_t *side,
			uint8_t buf[BATCH_META_MAX])
{
	struct writer w = writer_to(buf, BATCH_META_MAX);

	write_u16(&w, b->block);
	write_u8(&w, b->codec);
	write_u8(&w, 0);
	write_u16(&w, b->runs);
	write_u16(&w, b->pages);
	write_u32(&w, b->side);
	for (unsigned i = 0; i < b->runs; i++) {
		write_u64(&w, b->run[i].first);
		write_u32(&w, b->run[i].count);
		write_u32(&w, (uint32_t)b->run[i].kind);
	}
	assert(b->side <= BATCH_SIDE_MAX);
	write_bytes(&w, side, b->side);
	assert(!w.bad);
	return writer_used(&w);
}

static int batch_run_read(struct batch_run *ret, struct reader *r,
			  struct error *e)
{
	uint32_t kind;

	ret->first = read_u64(r);
	ret->count = read_u32(r);
	kind = read_u32(r);
	if (r->bad)
		return error_set(e, EBADMSG, "batch cut short");
	if (kind >= RUN_KINDS)
		return error_set(e, EBADMSG, "run of unknown kind %u", kind);
	if (ret->count == 0 || ret->first > UINT64_MAX / WIRE_PAGE - ret->count)
		return error_set(e, EBADMSG,
				 "run of %u pages at page %#" PRIx64,
				 ret->count, ret->first);
	if (kind == RUN_PROOF && ret->count != 1)
		return error_set(e, EBADMSG, "a proof by %u pages", ret->count);
	ret->kind = kind;
	return 0;
}

static void skip_deltas(struct reader *r, uint32_t count)
{
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		uint16_t len = read_u16(r);

		reader_take(r, BATCH_SUM_SIZE);
		if (len < BATCH_DELTA_LEAST || len > BATCH_DELTA_MOST)
			r->bad = true;
		reader_take(r, len);
	}
}

/* Whether the side bytes are just what the runs say. */
static int check_side(const struct batch_head *b, const uint8_t *side,
		      struct error *e)
{
	struct reader r = reader_of(side, b->side);

	for (unsigned i = 0; i < b->runs && !r.bad; i++) {
		const struct batch_run *run = &b->run[i];

		if (run->kind == RUN_FILL)
			reader_take(&r, BATCH_FILL_SIZE);
		else if (run->kind == RUN_SAME || run->kind == RUN_PROOF)
			reader_take(&r, (size_t)run->count * BATCH_SUM_SIZE);
		else if (run->kind == RUN_DELTA)
			skip_deltas(&r, run->count);
	}
	if (!reader_done(&r))
		return error_set(e, EBADMSG,
				 "batch whose runs do not have the %u side "
				 "bytes that it has",
				 b->side);
	return 0;
}

static int check_data(const struct batch_head *b, size_t len, struct error *e)
{
	/* A codec's own reader knows what its bytes should be. */
	if (b->codec != CODEC_RAW &&
	    (b->pages == 0 || len >= (size_t)b->pages * WIRE_PAGE))
		return error_set(e, EBADMSG,
				 "batch of %u pages pressed into %zu bytes",
				 b->pages, len);
	if (b->codec == CODEC_RAW && len != (size_t)b->pages * WIRE_PAGE)
		return error_set(e, EBADMSG, "batch of %u pages in %zu bytes",
				 b->pages, len);
	return 0;
}

static int batch_runs_read(struct batch_head *ret, struct reader *r,
			   struct error *e)
{
	uint64_t data = 0, all = 0;

	for (unsigned i = 0; i < ret->runs; i++) {
		if (batch_run_read(&ret->run[i], r, e) < 0)
			return error_code(e);
		all += ret->run[i].count;
		if (ret->run[i].kind == RUN_DATA)
			data += ret->run[i].count;
	}
	if (all > BATCH_PAGES_MOST)
		return error_set(e, EBADMSG,
				 "batch that stands for %" PRIu64
				 " pages, of at most %d",
				 all, BATCH_PAGES_MOST);
	if (data != ret->pages || data > BATCH_MAX_PAGES)
		return error_set(e, EBADMSG,
				 "batch of %u pages whose runs have %" PRIu64,
				 ret->pages, data);
	return 0;
}

/* All but the data, which @r is left at. */
static int meta_read(struct batch_head *ret, struct reader *r,
		     struct batch_body *ret_body, struct error *e)
{
	ret->block = read_u16(r);
	ret->codec = read_u8(r);
	read_u8(r);
	ret->runs = read_u16(r);
	ret->pages = read_u16(r);
	ret->side = read_u32(r);
	if (r->bad || ret->runs == 0 || ret->runs > BATCH_MAX_RUNS)
		return error_set(e, EBADMSG, "batch of %u runs", ret->runs);
	if (batch_runs_read(ret, r, e) < 0)
		return error_code(e);
	if (ret->side > BATCH_SIDE_MAX || ret->side > reader_left(r))
		return error_set(e, EBADMSG, "batch of %u side bytes",
				 ret->side);
	ret_body->side = reader_take(r, ret->side);
	return check_side(ret, ret_body->side, e);
}

int batch_head_read(struct batch_head *ret, const void *payload, size_t len,
		    struct batch_body *ret_body, struct error *e)
{
	struct reader r = reader_of(payload, len);
	struct batch_body body;

	if (meta_read(ret, &r, &body, e) < 0)
		return error_code(e);
	body.data = r.at;
	body.len = reader_left(&r);
	if (check_data(ret, body.len, e) < 0)
		return error_code(e);
	*ret_body = body;
	return 0;
}

/* NOLINTNEXTLINE(readability-function-size): as batch_read(), in two parts */
int batch_apart_read(struct batch_head *ret, const void *meta, size_t meta_len,
		     const void *data, size_t len, struct batch_body *ret_body,
		     struct error *e)
{
	struct reader r = reader_of(meta, meta_len);
	struct batch_body body = { .data = data };

	if (meta_read(ret, &r, &body, e) < 0)
		return error_code(e);
	body.len = (size_t)ret->pages * WIRE_PAGE;
	if (!reader_done(&r) || ret->codec != CODEC_RAW || ret->pages == 0 ||
	    body.len > len)
		return error_set(e, EBADMSG,
				 "batch of %u pages, codec %u, written into "
				 "%zu bytes",
				 ret->pages, ret->codec, len);
	*ret_body = body;
	return 0;
}

void block_head_write(const struct block_head *b, uint8_t buf[BLOCK_HEAD_SIZE])
{
	struct writer w = writer_to(buf, BLOCK_HEAD_SIZE);

	write_u16(&w, b->disk);
	write_u8(&w, b->codec);
	write_u8(&w, (uint8_t)b->kind);
	write_u32(&w, b->len);
	write_u32(&w, 0);
	write_u64(&w, b->offset);
	assert(!w.bad && writer_used(&w) == BLOCK_HEAD_SIZE);
}

static bool is_block(const struct block_head *b, size_t data)
{
	bool raw = b->codec == CODEC_RAW;

	if (b->kind == BLOCK_FLUSH)
		return raw && b->len == 0 && b->offset == 0 && data == 0;
	if (b->len == 0 || b->offset > UINT64_MAX - b->len)
		return false;
	if (b->kind == BLOCK_ZERO)
		return raw && data == 0;
	return b->len <= BLOCK_DATA_MAX &&
	       (raw ? data == b->len : data > 0 && data < b->len);
}

int block_head_read(struct block_head *ret, const void *payload, size_t len,
		    struct block_body *ret_body, struct error *e)
{
	struct reader r = reader_of(payload, len);
	uint32_t zero;
	uint8_t kind;

	ret->disk = read_u16(&r);
	ret->codec = read_u8(&r);
	kind = read_u8(&r);
	ret->len = read_u32(&r);
	zero = read_u32(&r);
	ret->offset = read_u64(&r);
	if (r.bad || kind >= BLOCK_KINDS || zero != 0)
		return error_set(e, EBADMSG, "blocks of unknown kind %u", kind);
	ret->kind = (enum block_kind)kind;
	if (!is_block(ret, reader_left(&r)))
		return error_set(e, EBADMSG,
				 "blocks: %zu bytes for %" PRIu32
				 " at %" PRIu64,
				 reader_left(&r), ret->len, ret->offset);
	*ret_body = (struct block_body){ r.at, reader_left(&r) };
	return 0;
}

size_t ack_write(const struct ack *a, uint8_t buf[ACK_MAX_PAYLOAD])
{
	struct writer w = writer_to(buf, ACK_MAX_PAYLOAD);

	write_u64(&w, a->below);
	write_u32(&w, a->ranges);
	write_u32(&w, a->backlog);
	write_u64(&w, a->placed);
	write_u64(&w, a->busy_us);
	for (unsigned i = 0; i < a->ranges; i++) {
		write_u64(&w, a->range[i].first);
		write_u64(&w, a->range[i].count);
	}
	assert(!w.bad);
	return writer_used(&w);
}

int ack_read(struct ack *ret, const void *payload, size_t len, struct error *e)
{
	struct reader r = reader_of(payload, len);
	uint64_t floor;

	ret->below = read_u64(&r);
	ret->ranges = read_u32(&r);
	ret->backlog = read_u32(&r);
	ret->placed = read_u64(&r);
	ret->busy_us = read_u64(&r);
	if (r.bad || ret->ranges > ACK_MAX_RANGES)
		return error_set(e, EBADMSG, "ACK of %zu bytes", len);
	floor = ret->below;
	for (unsigned i = 0; i < ret->ranges; i++) {
		struct ack_range *g = &ret->range[i];

		g->first = read_u64(&r);
		g->count = read_u64(&r);
		if (r.bad || g->first < floor || g->count == 0 ||
		    g->count > FRAME_WINDOW || g->first > UINT64_MAX / 2)
			return error_set(e, EBADMSG, "ACK with a wrong range");
		floor = g->first + g->count;
	}
	if (!reader_done(&r))
		return error_set(e, EBADMSG, "ACK of %zu bytes", len);
	return 0;
}
