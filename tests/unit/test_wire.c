/* SPDX-License-Identifier: MIT */

/* Hellos, frame heads, batches and acknowledgements: what is written is read
 * back, and nothing that breaks a limit is. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/text.h"
#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/reader.h"

enum { SEED = 0x1234 };

/* --- reader and writer */

static void a_short_input_gives_zeros_and_is_never_done(void **state)
{
	struct reader r = reader_of("\x01\x02\x03", 3);

	(void)state;
	assert_int_equal(read_u16(&r), 0x0102);
	assert_int_equal(read_u16(&r), 0);
	assert_int_equal(read_u8(&r), 0);
	assert_true(r.bad);
	assert_false(reader_done(&r));
}

static void a_full_writer_writes_nothing_more(void **state)
{
	uint8_t buf[4] = { 9, 9, 9, 9 };
	struct writer w = writer_to(buf, 3);

	(void)state;
	write_u16(&w, 0x0102);
	write_u16(&w, 0x0304);
	write_u8(&w, 5);
	assert_true(w.bad);
	assert_int_equal(writer_used(&w), 2);
	assert_memory_equal(buf, "\x01\x02\x09\x09", 4);
}

/* --- hello */

static struct hello sample_hello(void)
{
	struct hello h = { .version = WIRE_VERSION,
			   .lowest = WIRE_LOWEST,
			   .kind = HELLO_JOIN,
			   .session = 0x1122334455667788 };

	memset(h.secret, 0xa5, sizeof(h.secret));
	strcpy(h.text, "alpha");
	return h;
}

static void a_hello_is_read_as_it_was_written(void **state)
{
	const struct hello h = sample_hello();
	struct hello got = { 0 };
	uint8_t buf[HELLO_MAX];
	size_t len = hello_write(&h, buf), whole;
	struct error e;

	(void)state;
	assert_int_equal(hello_length(&whole, buf, &e), 0);
	assert_int_equal(whole, len);
	assert_int_equal(hello_read(&got, buf, len, &e), 0);
	assert_int_equal(got.kind, HELLO_JOIN);
	assert_int_equal(got.session, h.session);
	assert_memory_equal(got.secret, h.secret, SECRET_SIZE);
	assert_string_equal(got.text, "alpha");
}

static void every_flipped_bit_of_a_hello_is_noticed(void **state)
{
	const struct hello h = sample_hello();
	uint8_t buf[HELLO_MAX];
	size_t len = hello_write(&h, buf);
	struct hello got;
	struct error e;

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(hello_read(&got, buf, len, &e), -EBADMSG);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(hello_read(&got, buf, len, &e), 0);
}

static void a_hello_of_any_other_length_is_refused(void **state)
{
	const struct hello h = sample_hello();
	uint8_t buf[HELLO_MAX + 1] = { 0 };
	size_t len = hello_write(&h, buf);
	struct hello got;
	struct error e;

	(void)state;
	for (size_t n = 0; n <= len + 1; n++)
		if (n != len)
			assert_int_equal(hello_read(&got, buf, n, &e),
					 -EBADMSG);
}

/* Puts a right checksum behind a hello that somebody made by hand. */
static void resum_hello(uint8_t *buf, size_t len)
{
	struct writer w = writer_to(buf + len - HELLO_SUM_SIZE, HELLO_SUM_SIZE);

	write_u64(&w, XXH3_64bits(buf, len - HELLO_SUM_SIZE));
}

static void a_hello_of_an_unknown_kind_is_refused(void **state)
{
	const struct hello h = sample_hello();
	uint8_t buf[HELLO_MAX];
	size_t len = hello_write(&h, buf);
	struct hello got;
	struct error e;

	(void)state;
	buf[13] = HELLO_PAIR + 1;
	resum_hello(buf, len);
	assert_int_equal(hello_read(&got, buf, len, &e), -EBADMSG);
	buf[13] = 0;
	resum_hello(buf, len);
	assert_int_equal(hello_read(&got, buf, len, &e), -EBADMSG);
}

static void a_hello_may_not_hide_a_nul_in_its_text(void **state)
{
	const struct hello h = sample_hello();
	uint8_t buf[HELLO_MAX];
	size_t len = hello_write(&h, buf);
	struct hello got;
	struct error e;

	(void)state;
	buf[HELLO_HEAD_SIZE + 2] = 0;
	resum_hello(buf, len);
	assert_int_equal(hello_read(&got, buf, len, &e), -EBADMSG);
}

static void two_versions_meet_at_the_lower_one(void **state)
{
	struct hello theirs = { .version = WIRE_VERSION + 3,
				.lowest = WIRE_LOWEST };
	struct error e;
	uint16_t v;

	(void)state;
	assert_int_equal(hello_common_version(&v, &theirs, &e), 0);
	assert_int_equal(v, WIRE_VERSION);
	theirs.lowest = WIRE_VERSION + 1;
	assert_int_equal(hello_common_version(&v, &theirs, &e),
			 -EPROTONOSUPPORT);
	assert_non_null(strstr(e.text, "install the same version"));
	theirs.version = theirs.lowest = 0;
	assert_int_equal(hello_common_version(&v, &theirs, &e),
			 -EPROTONOSUPPORT);
}

/* --- frame heads */

static struct frame_head sample_head(void)
{
	return (struct frame_head){ .kind = FRAME_STREAM,
				    .flags = STREAM_FIN,
				    .stream = 3,
				    .len = 77,
				    .seq = 0x123456789,
				    .offset = 0xabcdef,
				    .sum = 42 };
}

static int head_reads(const struct frame_head *h, struct error *e)
{
	uint8_t buf[FRAME_HEAD_SIZE];
	struct frame_head got;

	frame_head_write(h, SEED, buf);
	return frame_head_read(&got, buf, SEED, e);
}

static void a_frame_head_is_read_as_it_was_written(void **state)
{
	const struct frame_head h = sample_head();
	uint8_t buf[FRAME_HEAD_SIZE];
	struct frame_head got;
	struct error e;

	(void)state;
	frame_head_write(&h, SEED, buf);
	assert_int_equal(frame_head_read(&got, buf, SEED, &e), 0);
	assert_int_equal(got.kind, h.kind);
	assert_int_equal(got.flags, h.flags);
	assert_int_equal(got.stream, h.stream);
	assert_int_equal(got.len, h.len);
	assert_int_equal(got.seq, h.seq);
	assert_int_equal(got.offset, h.offset);
	assert_int_equal(got.sum, h.sum);
}

static void every_flipped_bit_of_a_frame_head_is_noticed(void **state)
{
	const struct frame_head h = sample_head();
	uint8_t buf[FRAME_HEAD_SIZE];
	struct frame_head got;
	struct error e;

	(void)state;
	frame_head_write(&h, SEED, buf);
	for (size_t bit = 0; bit < sizeof(buf) * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(frame_head_read(&got, buf, SEED, &e), -EILSEQ);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void a_frame_of_another_session_is_refused(void **state)
{
	const struct frame_head h = sample_head();
	uint8_t buf[FRAME_HEAD_SIZE];
	struct frame_head got;
	struct error e;

	(void)state;
	frame_head_write(&h, SEED, buf);
	assert_int_equal(frame_head_read(&got, buf, SEED + 1, &e), -EILSEQ);
}

static void every_kind_of_frame_has_its_limit(void **state)
{
	static const uint32_t most[FRAME_KINDS] = {
		[FRAME_PAGES] = FRAME_MAX_PAYLOAD,
		[FRAME_STREAM] = STREAM_MAX_PAYLOAD,
		[FRAME_MESSAGE] = MESSAGE_MAX_PAYLOAD,
		[FRAME_ACK] = ACK_MAX_PAYLOAD,
		[FRAME_BYE] = BYE_MAX_PAYLOAD,
		[FRAME_CARDS] = CARDS_MAX_PAYLOAD,
		[FRAME_RDMA] = RDMA_MAX_PAYLOAD,
		[FRAME_BLOCKS] = BLOCKS_MAX_PAYLOAD,
	};
	struct error e;

	(void)state;
	for (int k = FRAME_PAGES; k < FRAME_KINDS; k++) {
		struct frame_head h = { .kind = (enum frame_kind)k,
					.len = most[k],
					.seq = k <= FRAME_MESSAGE ||
					       k == FRAME_BLOCKS };

		assert_int_equal(head_reads(&h, &e), 0);
		h.len++;
		assert_int_equal(head_reads(&h, &e), -EBADMSG);
		h.len = 1;
		h.seq = !h.seq; /* numbered when it must not be, or not */
		assert_int_equal(head_reads(&h, &e), -EBADMSG);
	}
}

static void unknown_kinds_and_streams_are_refused(void **state)
{
	struct frame_head h = sample_head();
	struct error e;

	(void)state;
	h.stream = STREAMS_MAX;
	assert_int_equal(head_reads(&h, &e), -EBADMSG);
	h = sample_head();
	h.kind = FRAME_KINDS;
	assert_int_equal(head_reads(&h, &e), -EBADMSG);
	h.kind = 0;
	assert_int_equal(head_reads(&h, &e), -EBADMSG);
}

static void a_sum_does_not_depend_on_the_pieces(void **state)
{
	char text[] = "the same bytes, however they stand";
	struct iovec one = { text, sizeof(text) };
	struct iovec three[] = { { text, 1 },
				 { text + 1, 10 },
				 { text + 11, sizeof(text) - 11 } };

	(void)state;
	assert_int_equal(frame_sum(&one, 1), frame_sum(three, 3));
}

/* --- batches */

static size_t batch_bytes(const struct batch_head *b, uint8_t *buf)
{
	size_t n = batch_head_write(b, NULL, buf);

	memset(buf + n, 0x5a, (size_t)b->pages * WIRE_PAGE);
	return n + (size_t)b->pages * WIRE_PAGE;
}

/* Reads a batch from memory of just its size. */
static int batch_reads(const uint8_t *buf, size_t len, struct batch_head *ret,
		       struct error *e)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct batch_body body;
	int r;

	memcpy(exact, buf, len);
	r = batch_head_read(ret, exact, len, &body, e);
	if (r == 0) {
		assert_true(body.data + body.len == exact + len);
		if (ret->codec == CODEC_RAW)
			assert_int_equal(body.len,
					 (size_t)ret->pages * WIRE_PAGE);
	}
	free(exact);
	return r;
}

static struct batch_head sample_batch(void)
{
	return (struct batch_head){
		.block = 2,
		.runs = 3,
		.pages = 5,
		.run = { { 7, 2, RUN_DATA },
			 { 100, 1000, RUN_ZERO },
			 { 1, 3, RUN_DATA } },
	};
}

static uint8_t scratch[FRAME_MAX_PAYLOAD + 64];

static void a_batch_is_read_as_it_was_written(void **state)
{
	const struct batch_head b = sample_batch();
	struct batch_head got = { 0 };
	size_t len = batch_bytes(&b, scratch);
	struct error e;

	(void)state;
	assert_int_equal(batch_reads(scratch, len, &got, &e), 0);
	assert_int_equal(got.block, 2);
	assert_int_equal(got.runs, 3);
	assert_int_equal(got.run[1].first, 100);
	assert_int_equal(got.run[1].count, 1000);
	assert_int_equal(got.run[1].kind, RUN_ZERO);
	assert_int_equal(got.run[2].count, 3);
}

static void a_batch_cut_anywhere_is_refused(void **state)
{
	const struct batch_head b = sample_batch();
	size_t len = batch_bytes(&b, scratch);
	struct batch_head got;
	struct error e;

	(void)state;
	for (size_t n = 0; n < len; n += n < 100 ? 1 : 997)
		assert_int_equal(batch_reads(scratch, n, &got, &e), -EBADMSG);
	assert_int_equal(batch_reads(scratch, len + 1, &got, &e), -EBADMSG);
}

static int changed_batch_reads(void (*change)(struct batch_head *b))
{
	struct batch_head b = sample_batch(), got;
	struct error e;

	change(&b);
	return batch_reads(scratch, batch_bytes(&b, scratch), &got, &e);
}

static void no_runs(struct batch_head *b)
{
	b->runs = 0;
	b->pages = 0;
}

static void an_empty_run(struct batch_head *b)
{
	b->run[1].count = 0;
}

static void a_run_past_every_memory(struct batch_head *b)
{
	b->run[1].first = UINT64_MAX / WIRE_PAGE - 1;
}

static void a_run_of_unknown_kind(struct batch_head *b)
{
	b->run[1].kind = RUN_KINDS;
}

static void fewer_pages_than_its_runs(struct batch_head *b)
{
	b->pages--;
}

static void more_pages_than_a_frame_takes(struct batch_head *b)
{
	b->run[0].count = BATCH_MAX_PAGES;
}

static void one_page_more_than_a_frame_stands_for(struct batch_head *b)
{
	b->run[1].count = BATCH_PAGES_MOST - b->pages + 1;
}

static void pressed_into_as_much_as_it_was(struct batch_head *b)
{
	b->codec = 1;
}

static void a_batch_that_breaks_a_limit_is_refused(void **state)
{
	void (*const change[])(struct batch_head *) = {
		no_runs,
		an_empty_run,
		a_run_past_every_memory,
		a_run_of_unknown_kind,
		fewer_pages_than_its_runs,
		more_pages_than_a_frame_takes,
		one_page_more_than_a_frame_stands_for,
		pressed_into_as_much_as_it_was,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(change); i++)
		assert_int_equal(changed_batch_reads(change[i]), -EBADMSG);
}

static void a_frame_may_stand_for_many_pages(void **state)
{
	struct batch_head b = sample_batch(), got;
	struct error e;

	(void)state;
	one_page_more_than_a_frame_stands_for(&b);
	b.run[1].count--;
	assert_int_equal(batch_reads(scratch, batch_bytes(&b, scratch), &got,
				     &e),
			 0);
}

static void a_pressed_batch_says_its_codec_and_where_the_unit_is(void **state)
{
	struct batch_head b = sample_batch(), got = { 0 };
	const size_t raw = (size_t)b.pages * WIRE_PAGE;
	size_t meta;
	struct error e;

	(void)state;
	/* Of whichever codec: what a unit is, its own reader knows. */
	for (unsigned codec = 1; codec < 256; codec++) {
		b.codec = (uint8_t)codec;
		meta = batch_bytes(&b, scratch) - raw;
		assert_int_equal(scratch[BATCH_CODEC_AT], codec);
		assert_int_equal(batch_reads(scratch, meta + 77, &got, &e), 0);
		assert_int_equal(got.codec, codec);
		assert_int_equal(got.pages, 5);
		assert_int_equal(batch_reads(scratch, meta + raw - 1, &got, &e),
				 0);
		assert_int_equal(batch_reads(scratch, meta + raw, &got, &e),
				 -EBADMSG);
	}
	assert_int_equal(batch_reads(scratch, meta - 1, &got, &e), -EBADMSG);
}

static void a_pressed_batch_without_pages_is_refused(void **state)
{
	const struct batch_head b = { .codec = 1,
				      .runs = 1,
				      .run = { { 0, 8, RUN_ZERO } } };
	struct batch_head got;
	size_t meta = batch_head_write(&b, NULL, scratch);
	struct error e;

	(void)state;
	assert_int_equal(batch_reads(scratch, meta, &got, &e), -EBADMSG);
	assert_int_equal(batch_reads(scratch, meta + 4, &got, &e), -EBADMSG);
	assert_string_equal(e.text, "batch of 0 pages pressed into 4 bytes");
}

/* A batch of every kind of run; returns its length. */
static size_t mixed_batch(uint8_t *buf)
{
	static const uint8_t side[8 + 16 + 22 + 24] = { 'A',
							'B',
							'C',
							'D',
							'E',
							'F',
							'G',
							'H',
							[8 + 16 + 1] = 12,
							[8 + 16 + 22 + 1] =
								14 };
	const struct batch_head b = { .runs = 5,
				      .pages = 1,
				      .side = sizeof(side),
				      .run = { { 1, 1, RUN_DATA },
					       { 10, 3, RUN_FILL },
					       { 20, 2, RUN_SAME },
					       { 30, 4, RUN_ZERO },
					       { 40, 2, RUN_DELTA } } };
	size_t n = batch_head_write(&b, side, buf);

	memset(buf + n, 0x5a, WIRE_PAGE);
	return n + WIRE_PAGE;
}

static void side_bytes_stand_between_runs_and_data(void **state)
{
	size_t len = mixed_batch(scratch), side;
	struct batch_body body;
	struct batch_head got;
	struct error e;

	(void)state;
	side = BATCH_HEAD_SIZE + 5UL * BATCH_RUN_SIZE;
	assert_int_equal(batch_head_read(&got, scratch, len, &body, &e), 0);
	assert_int_equal(got.run[2].kind, RUN_SAME);
	assert_int_equal(got.run[4].kind, RUN_DELTA);
	assert_int_equal(got.side, 70);
	assert_ptr_equal(body.side, scratch + side);
	assert_memory_equal(body.side, "ABCDEFGH", 8);
	assert_ptr_equal(body.data, body.side + 70);
	assert_int_equal(body.len, WIRE_PAGE);
}

static void a_batch_with_side_bytes_cut_anywhere_is_refused(void **state)
{
	size_t len = mixed_batch(scratch);
	struct batch_head got;
	struct error e;

	(void)state;
	for (size_t n = 0; n < len; n += n < 300 ? 1 : 997)
		assert_int_equal(batch_reads(scratch, n, &got, &e), -EBADMSG);
	assert_int_equal(batch_reads(scratch, len + 1, &got, &e), -EBADMSG);
}

/* One byte of the mixed batch, changed. */
static void side_bytes_that_are_not_the_runs_are_refused(void **state)
{
	enum {
		RUNS_AT = BATCH_HEAD_SIZE,
		COUNT_AT = 11, /* last byte of a run's */
		KIND_AT = 15,
		SIDE_AT = RUNS_AT + 5 * BATCH_RUN_SIZE,
		DELTA_AT = SIDE_AT + 8 + 16,
	};
	static const struct {
		size_t at;
		uint8_t byte;
	} wrong[] = {
		{ 11, 69 },  /* side */
		{ 11, 71 },  /* side */
		{ 8, 0x80 }, /* 2 GiB of it */
		{ RUNS_AT + 1 * BATCH_RUN_SIZE + KIND_AT, RUN_ZERO },
		{ RUNS_AT + 1 * BATCH_RUN_SIZE + KIND_AT, RUN_DELTA },
		{ RUNS_AT + 2 * BATCH_RUN_SIZE + COUNT_AT, 1 },
		{ RUNS_AT + 2 * BATCH_RUN_SIZE + COUNT_AT, 3 },
		{ RUNS_AT + 2 * BATCH_RUN_SIZE + COUNT_AT - 3, 0x80 },
		{ RUNS_AT + 3 * BATCH_RUN_SIZE + KIND_AT, RUN_FILL },
		{ RUNS_AT + 4 * BATCH_RUN_SIZE + COUNT_AT, 1 },
		{ RUNS_AT + 4 * BATCH_RUN_SIZE + COUNT_AT, 3 },
		{ RUNS_AT + 4 * BATCH_RUN_SIZE + COUNT_AT - 3, 0xff },
		{ DELTA_AT + 1, 11 },
		{ DELTA_AT + 1, 13 },
		{ DELTA_AT + 1, 3 },
		{ DELTA_AT, 0xff },
		{ DELTA_AT + 22 + 1, 15 },
	};
	struct batch_head got;
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		size_t len = mixed_batch(scratch);

		scratch[wrong[i].at] = wrong[i].byte;
		if (batch_reads(scratch, len, &got, &e) != -EBADMSG)
			fail_msg("case %zu is accepted", i);
	}
}

/* One delta of @len bytes. */
static int delta_of_length_reads(uint16_t len)
{
	struct batch_head b = { .runs = 1,
				.side = (uint32_t)BATCH_DELTA_HEAD + len,
				.run = { { 0, 1, RUN_DELTA } } };
	uint8_t side[BATCH_DELTA_HEAD + BATCH_DELTA_MOST + 1] = {
		(uint8_t)(len >> 8), (uint8_t)len
	};
	struct error e;

	return batch_reads(scratch, batch_head_write(&b, side, scratch), &b,
			   &e);
}

static void deltas_keep_their_limits(void **state)
{
	(void)state;
	assert_int_equal(delta_of_length_reads(0), -EBADMSG);
	assert_int_equal(delta_of_length_reads(BATCH_DELTA_LEAST - 1),
			 -EBADMSG);
	assert_int_equal(delta_of_length_reads(BATCH_DELTA_LEAST), 0);
	assert_int_equal(delta_of_length_reads(BATCH_DELTA_MOST), 0);
	assert_int_equal(delta_of_length_reads(BATCH_DELTA_MOST + 1), -EBADMSG);
}

static void side_bytes_keep_their_limit(void **state)
{
	enum { MOST = BATCH_SIDE_MAX / BATCH_SUM_SIZE };
	static uint8_t side[BATCH_SIDE_MAX + BATCH_SUM_SIZE];
	struct batch_head b = { .runs = 1,
				.side = BATCH_SIDE_MAX,
				.run = { { 0, MOST, RUN_SAME } } };
	struct batch_head got;
	size_t len = batch_head_write(&b, side, scratch);
	struct error e;

	(void)state;
	assert_int_equal(batch_reads(scratch, len, &got, &e), 0);
	scratch[BATCH_HEAD_SIZE - 1] = BATCH_SUM_SIZE; /* of side */
	assert_int_equal(batch_reads(scratch, len + BATCH_SUM_SIZE, &got, &e),
			 -EBADMSG);
	assert_string_equal(e.text, "batch of 32776 side bytes");
}

static void a_page_has_a_sum_of_its_own_kind(void **state)
{
	static uint8_t page[WIRE_PAGE];
	struct iovec whole = { page, sizeof(page) };
	uint64_t sum;

	(void)state;
	sum = page_sum(page);
	assert_true(sum == page_sum(page));
	assert_true(sum != frame_sum(&whole, 1));
	page[WIRE_PAGE - 1] = 1;
	assert_true(sum != page_sum(page));
}

/* --- acknowledgements */

static void an_ack_is_read_as_it_was_written(void **state)
{
	const struct ack a = { .below = 10,
			       .backlog = 77,
			       .placed = 1ULL << 40,
			       .busy_us = 1ULL << 41,
			       .ranges = 2,
			       .range = { { 12, 1 }, { 20, 4 } } };
	uint8_t buf[ACK_MAX_PAYLOAD];
	struct ack got;
	struct error e;

	(void)state;
	assert_int_equal(ack_read(&got, buf, ack_write(&a, buf), &e), 0);
	assert_int_equal(got.below, 10);
	assert_int_equal(got.backlog, 77);
	assert_int_equal(got.placed, 1ULL << 40);
	assert_int_equal(got.busy_us, 1ULL << 41);
	assert_int_equal(got.ranges, 2);
	assert_int_equal(got.range[1].first, 20);
	assert_int_equal(got.range[1].count, 4);
}

static void an_ack_with_wrong_ranges_is_refused(void **state)
{
	static const struct ack wrong[] = {
		{ .below = 10, .ranges = 1, .range = { { 9, 1 } } },
		{ .below = 10, .ranges = 1, .range = { { 12, 0 } } },
		{ .below = 10,
		  .ranges = 1,
		  .range = { { 12, FRAME_WINDOW + 1 } } },
		{ .below = 10, .ranges = 1, .range = { { UINT64_MAX, 1 } } },
		{ .below = 10, .ranges = 2, .range = { { 12, 5 }, { 16, 1 } } },
	};
	uint8_t buf[ACK_MAX_PAYLOAD];
	struct ack got;
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		size_t len = ack_write(&wrong[i], buf);

		assert_int_equal(ack_read(&got, buf, len, &e), -EBADMSG);
	}
}

static void an_ack_of_another_length_is_refused(void **state)
{
	const struct ack a = { .below = 1, .ranges = 1, .range = { { 3, 1 } } };
	uint8_t buf[ACK_MAX_PAYLOAD + 1] = { 0 };
	size_t len = ack_write(&a, buf);
	struct ack got;
	struct error e;

	(void)state;
	for (size_t n = 0; n <= len + 1; n++)
		if (n != len)
			assert_int_equal(ack_read(&got, buf, n, &e), -EBADMSG);
	buf[10] = 1; /* 256 ranges and one */
	assert_int_equal(ack_read(&got, buf, len, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_input_gives_zeros_and_is_never_done),
		cmocka_unit_test(a_full_writer_writes_nothing_more),
		cmocka_unit_test(a_hello_is_read_as_it_was_written),
		cmocka_unit_test(every_flipped_bit_of_a_hello_is_noticed),
		cmocka_unit_test(a_hello_of_any_other_length_is_refused),
		cmocka_unit_test(a_hello_of_an_unknown_kind_is_refused),
		cmocka_unit_test(a_hello_may_not_hide_a_nul_in_its_text),
		cmocka_unit_test(two_versions_meet_at_the_lower_one),
		cmocka_unit_test(a_frame_head_is_read_as_it_was_written),
		cmocka_unit_test(every_flipped_bit_of_a_frame_head_is_noticed),
		cmocka_unit_test(a_frame_of_another_session_is_refused),
		cmocka_unit_test(every_kind_of_frame_has_its_limit),
		cmocka_unit_test(unknown_kinds_and_streams_are_refused),
		cmocka_unit_test(a_sum_does_not_depend_on_the_pieces),
		cmocka_unit_test(a_batch_is_read_as_it_was_written),
		cmocka_unit_test(a_batch_cut_anywhere_is_refused),
		cmocka_unit_test(a_batch_that_breaks_a_limit_is_refused),
		cmocka_unit_test(a_frame_may_stand_for_many_pages),
		cmocka_unit_test(
			a_pressed_batch_says_its_codec_and_where_the_unit_is),
		cmocka_unit_test(a_pressed_batch_without_pages_is_refused),
		cmocka_unit_test(side_bytes_stand_between_runs_and_data),
		cmocka_unit_test(
			a_batch_with_side_bytes_cut_anywhere_is_refused),
		cmocka_unit_test(side_bytes_that_are_not_the_runs_are_refused),
		cmocka_unit_test(deltas_keep_their_limits),
		cmocka_unit_test(side_bytes_keep_their_limit),
		cmocka_unit_test(a_page_has_a_sum_of_its_own_kind),
		cmocka_unit_test(an_ack_is_read_as_it_was_written),
		cmocka_unit_test(an_ack_with_wrong_ranges_is_refused),
		cmocka_unit_test(an_ack_of_another_length_is_refused),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
