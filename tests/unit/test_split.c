/* SPDX-License-Identifier: MIT */

/*
 * The splitter against streams made by hand.  What it hands out (pages, and
 * bytes to forward) is put together again: the pages are applied to a memory,
 * the bytes are read by a reader of our own that applies its records to the
 * same memory.  The result must be what the whole stream gives.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "qemu/split.h"
#include "stream.h"

enum { RAM_ID = 2, BITMAP_ID = 3, PAGES = 64 };

static const struct stream_block blocks[] = {
	{ "pc.ram", PAGES *STREAM_PAGE },
	{ "vga.vram", PAGES *STREAM_PAGE },
	{ "/rom@etc/acpi/tables", PAGES *STREAM_PAGE },
};

/* What a destination makes of it: for each page the records in their order,
 * as one number. */
struct memory {
	uint64_t page[ARRAY_SIZE(blocks)][PAGES];
	unsigned footers;
};

static uint64_t mix(uint64_t h, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ data[i]) * 0x100000001b3;
	return h;
}

static unsigned index_of(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++)
		if (!strcmp(blocks[i].name, name))
			return i;
	fail_msg("block %s", name);
	return 0;
}

/* A whole page makes its past forgotten; XBZRLE builds on it. */
static void apply(struct memory *m, unsigned block, uint64_t offset,
		  enum stream_page_kind kind, const uint8_t *body, size_t len)
{
	uint64_t *p = &m->page[block][offset / STREAM_PAGE];

	*p = mix(kind == PAGE_XBZRLE ? *p : (uint64_t)kind, body, len);
}

static void on_record(void *context, const char *block, uint64_t offset,
		      enum stream_page_kind kind, const uint8_t *body,
		      size_t len)
{
	apply(context, index_of(block), offset, kind, body, len);
}

static void on_footer(void *context, uint32_t id)
{
	struct memory *m = context;

	(void)id;
	m->footers++;
}

static const struct stream_reader_ops reader_ops = { on_record, on_footer };

/* --- splitting */

struct run {
	struct splitter *splitter;
	struct stream forwarded;
	struct memory memory;
	struct stream_reader reader;
	bool diverts, takes, reads;
	bool stays[ARRAY_SIZE(blocks)][PAGES];
	unsigned pages, stayed, endings, pages_before_end;
	unsigned beginnings;
	size_t begins_at[4]; /* in what was forwarded */
};

static int got_stream(void *context, const uint8_t *data, size_t len,
		      struct error *e)
{
	struct run *r = context;

	(void)e;
	stream_bytes(&r->forwarded, data, len);
	/* In order, as the relay keeps it: after the pages so far. */
	if (r->reads)
		assert_int_equal(stream_reader_feed(&r->reader, data, len), 0);
	return 0;
}

static int got_page(void *context, unsigned block, uint64_t offset,
		    const uint8_t *data, struct error *e)
{
	static const uint8_t zero;
	struct run *r = context;

	(void)e;
	assert_in_range(block, 0, ARRAY_SIZE(blocks) - 1);
	assert_in_range(offset, 0, (PAGES - 1) * STREAM_PAGE);
	if (!r->takes || r->stays[block][offset / STREAM_PAGE])
		return 0;
	r->pages++;
	apply(&r->memory, block, offset, data ? PAGE_DATA : PAGE_ZERO,
	      data ? data : &zero, data ? STREAM_PAGE : 1);
	return 1;
}

static void got_stays(void *context, unsigned block, uint64_t offset)
{
	struct run *r = context;

	r->stays[block][offset / STREAM_PAGE] = true;
	r->stayed++;
}

static bool may_divert(void *context)
{
	const struct run *r = context;

	return r->diverts;
}

static int begins(void *context, struct error *e)
{
	struct run *r = context;

	(void)e;
	assert_int_equal(r->pages, 0);
	assert_in_range(r->beginnings, 0, ARRAY_SIZE(r->begins_at) - 1);
	r->begins_at[r->beginnings++] = r->forwarded.len;
	return 0;
}

static int ending(void *context, struct error *e)
{
	struct run *r = context;

	(void)e;
	if (r->endings++ == 0)
		r->pages_before_end = r->pages;
	return 0;
}

static const struct split_ops ops = { got_stream, got_page, got_stays,
				      may_divert, begins,   ending };

/* Blocks 0 and 1 are diverted. */
static void run_init(struct run *r)
{
	struct error e;

	memset(r, 0, sizeof(*r));
	r->diverts = r->takes = r->reads = true;
	stream_reader_init(&r->reader, &reader_ops, &r->memory);
	assert_int_equal(split_new(&r->splitter, &ops, r, &e), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(split_divert(r->splitter, blocks[i].name,
					      blocks[i].len, i, &e),
				 0);
}

static void run_done(struct run *r)
{
	stream_reader_done(&r->reader);
	stream_free(&r->forwarded);
	split_free(r->splitter);
}

/* Feeds @chunk bytes at a time, from memory that then goes away. */
static int run_feed(struct run *r, const struct stream *s, size_t chunk,
		    struct error *e)
{
	size_t fed = 0, have = 0;
	ssize_t used;

	while (fed < s->len) {
		size_t n = s->len - fed < chunk ? s->len - fed : chunk;
		uint8_t *piece = malloc(have + n);

		assert_non_null(piece);
		memcpy(piece, s->data + fed - have, have + n);
		used = split_feed(r->splitter, piece, have + n, e);
		free(piece);
		if (used < 0)
			return (int)used;
		assert_in_range(used, 0, have + n);
		fed += n;
		have += n - (size_t)used;
		assert_true(have < SPLIT_RECORD_MAX);
	}
	assert_int_equal(have, 0);
	return 0;
}

/* --- streams */

static void body_of(uint8_t body[STREAM_PAGE], unsigned n)
{
	for (unsigned i = 0; i < STREAM_PAGE; i++)
		body[i] = (uint8_t)(n * 7 + i * 13 + i / 256);
}

static void data_page(struct stream *s, unsigned block, unsigned page,
		      unsigned n)
{
	uint8_t body[STREAM_PAGE];

	body_of(body, n);
	stream_page(s, blocks[block].name, (uint64_t)page * STREAM_PAGE,
		    PAGE_DATA, body, sizeof(body));
}

static void zero_page(struct stream *s, unsigned block, unsigned page,
		      uint8_t fill)
{
	stream_page(s, blocks[block].name, (uint64_t)page * STREAM_PAGE,
		    PAGE_ZERO, &fill, 1);
}

static void xbzrle_page(struct stream *s, unsigned block, unsigned page)
{
	stream_page(s, blocks[block].name, (uint64_t)page * STREAM_PAGE,
		    PAGE_XBZRLE, "\x10\x02hi", 4);
}

static void begin(struct stream *s)
{
	static const uint8_t uuid[16] = { 1, 2, 3 };

	*s = (struct stream){ 0 };
	stream_header(s);
	stream_configuration(s, "pc-i440fx-7.2");
	stream_subsection(s, "configuration/uuid", uuid, sizeof(uuid));
	stream_subsection(s, "configuration/target-page-bits", "\0\0\0\x0c", 4);
	stream_command(s, 1, NULL, 0);
	stream_command(s, 2, "\0\0\0\0", 4);
	stream_start(s, RAM_ID, "ram", 4);
	stream_blocks(s, blocks, ARRAY_SIZE(blocks));
	stream_eos(s);
	stream_footer(s, RAM_ID);
}

static void part(struct stream *s)
{
	stream_part(s, RAM_ID);
}

static void part_over(struct stream *s)
{
	stream_eos(s);
	stream_footer(s, RAM_ID);
}

static void finish(struct stream *s)
{
	stream_end(s, RAM_ID);
	data_page(s, 0, 5, 77);
	part_over(s);
	/* Device state; it may look like anything. */
	stream_bytes(s, "\4\0\0\0\x2a\7i8042..\2\3\4\5\x7e\0\0\0\2", 21);
}

static void mixed_part(struct stream *s, unsigned n)
{
	part(s);
	for (unsigned i = 0; i < 12; i++)
		data_page(s, i % 3, (i * 5 + n) % PAGES, i + n);
	zero_page(s, 0, n % PAGES, 0);
	zero_page(s, 0, (n + 1) % PAGES, 0);
	zero_page(s, 1, n % PAGES, 0xff); /* not zero, for all its name */
	xbzrle_page(s, 0, (n + 2) % PAGES);
	data_page(s, 0, (n + 2) % PAGES, n + 40); /* has to stay now */
	data_page(s, 2, 9, n);
	zero_page(s, 1, 3, 0);
	part_over(s);
}

static void bitmaps(struct stream *s)
{
	stream_start(s, BITMAP_ID, "dirty-bitmap", 1);
	stream_u8(s, 0x08 | 0x04 | 0x10);
	stream_name(s, "drive0");
	stream_name(s, "bitmap0");
	stream_bytes(s, "\0\1\0\0\1", 5);
	stream_u8(s, 0x40 | 0x02);
	stream_bytes(s, "\0\0\0\0\0\0\0\0\0\0\0\1", 12);
	stream_u8(s, 0x40);
	stream_bytes(s, "\0\0\0\0\0\0\0\0\0\0\0\1", 12);
	stream_u64(s, 3000);
	for (int i = 0; i < 3000; i++)
		stream_u8(s, (uint8_t)i);
	stream_u8(s, 0x20);
	stream_u8(s, 0x01);
	stream_footer(s, BITMAP_ID);
}

static void whole_stream(struct stream *s)
{
	begin(s);
	mixed_part(s, 1);
	bitmaps(s);
	mixed_part(s, 2);
	stream_command(s, 9, "x", 1);
	part(s);
	part_over(s);
	mixed_part(s, 30);
	finish(s);
}

/* --- judging */

static void memory_of(struct memory *m, const struct stream *s)
{
	struct stream_reader r;

	memset(m, 0, sizeof(*m));
	stream_reader_init(&r, &reader_ops, m);
	assert_int_equal(stream_reader_feed(&r, s->data, s->len), 0);
	stream_reader_done(&r);
}

static void check_rest(const struct run *r, const struct stream *s)
{
	struct stream_reader whole;
	struct memory ignored = { 0 };
	const uint8_t *a, *b;
	size_t a_len, b_len;

	stream_reader_init(&whole, &reader_ops, &ignored);
	stream_reader_feed(&whole, s->data, s->len);
	a = stream_reader_rest(&whole, &a_len);
	b = stream_reader_rest(&r->reader, &b_len);
	assert_int_equal(a_len, b_len);
	if (a_len > 0)
		assert_memory_equal(a, b, a_len);
	stream_reader_done(&whole);
}

static void split_and_compare(const struct stream *s, size_t chunk)
{
	struct memory want;
	struct run r;
	struct error e;

	run_init(&r);
	assert_int_equal(run_feed(&r, s, chunk, &e), 0);
	memory_of(&want, s);
	assert_memory_equal(&r.memory.page, &want.page, sizeof(want.page));
	check_rest(&r, s);
	run_done(&r);
}

static void every_page_arrives_with_pieces_of_any_size(void **state)
{
	static const size_t chunk[] = { 1,    2,    3,    5,     7,      8,
					13,   64,   255,  4095,  4096,   4097,
					4105, 8192, 9999, 65536, 1 << 20 };
	struct stream s;

	(void)state;
	whole_stream(&s);
	for (size_t i = 0; i < ARRAY_SIZE(chunk); i++)
		split_and_compare(&s, chunk[i]);
	stream_free(&s);
}

/* In pieces of a byte: as soon as the section's head is there. */
static void the_end_is_told_before_its_pages(void **state)
{
	struct stream s;
	struct run r;
	struct error e;

	(void)state;
	whole_stream(&s);
	run_init(&r);
	assert_int_equal(run_feed(&r, &s, 1, &e), 0);
	assert_int_equal(r.endings, 1);
	assert_int_equal(r.pages_before_end, r.pages - 1);
	run_done(&r);
	stream_free(&s);
}

/* So the header is all that leaves between them. */
static void before_the_first_page_it_is_said_twice(void **state)
{
	enum { HEADER = 5 };
	struct stream s;
	struct run r;
	struct error e;

	(void)state;
	whole_stream(&s);
	run_init(&r);
	assert_int_equal(run_feed(&r, &s, 1, &e), 0);
	assert_int_equal(r.beginnings, 2);
	assert_int_equal(r.begins_at[1], r.begins_at[0] + HEADER);
	run_done(&r);
	stream_free(&s);
}

static void the_counters_tell_what_became_of_the_pages(void **state)
{
	struct stream s;
	struct run r;
	struct error e;
	const struct split_stats *st;

	(void)state;
	whole_stream(&s);
	run_init(&r);
	assert_int_equal(run_feed(&r, &s, 1 << 20, &e), 0);
	st = split_stats(r.splitter);
	assert_int_equal(split_ram_bytes(r.splitter),
			 ARRAY_SIZE(blocks) * PAGES * STREAM_PAGE);
	assert_int_equal(st->pages + st->zero_pages, r.pages);
	assert_int_equal(st->pages + st->zero_pages + st->kept_pages,
			 3 * 19 + 1);
	assert_int_equal(st->stream_bytes, r.forwarded.len);
	assert_true(st->ram_done);
	assert_false(st->opaque);
	assert_true(r.forwarded.len < s.len / 2);
	run_done(&r);
	stream_free(&s);
}

/* The stream comes out as it went in. */
static void passes_unchanged(const struct stream *s, struct run *r,
			     size_t chunk)
{
	struct error e;

	r->reads = false;
	assert_int_equal(run_feed(r, s, chunk, &e), 0);
	assert_int_equal(r->pages, 0);
	assert_int_equal(r->forwarded.len, s->len);
	assert_memory_equal(r->forwarded.data, s->data, s->len);
	run_done(r);
}

static void a_stream_with_nothing_to_divert_is_not_changed(void **state)
{
	struct stream s;
	struct run r;

	(void)state;
	whole_stream(&s);
	for (size_t chunk = 1; chunk < 10000; chunk = chunk * 3 + 1) {
		run_init(&r);
		r.diverts = false; /* other connections exist */
		passes_unchanged(&s, &r, chunk);
		run_init(&r);
		r.takes = false; /* every page has to stay */
		passes_unchanged(&s, &r, chunk);
	}
	stream_free(&s);
}

static void other_streams_pass_unchanged(void **state)
{
	struct stream s;
	struct run r;

	(void)state;
	for (int kind = 0; kind < 6; kind++) {
		s = (struct stream){ 0 };
		if (kind == 0) {
			stream_bytes(&s, "\x11\x22\x33\x44 multifd", 12);
		} else {
			stream_header(&s);
			stream_configuration(&s, "pc");
		}
		if (kind == 1)
			stream_subsection(&s, "configuration/capabilities", "x",
					  1);
		if (kind == 2)
			stream_subsection(&s, "configuration/target-page-bits",
					  "\0\0\0\x10", 4);
		if (kind == 3)
			stream_command(&s, 3, "0123456789abcdef", 16);
		if (kind == 4)
			stream_u8(&s, 0x99);
		if (kind == 5)
			stream_start(&s, 1, "slirp", 4);
		stream_bytes(&s, "and the rest", 12);
		for (size_t chunk = 1; chunk < 30; chunk++) {
			run_init(&r);
			passes_unchanged(&s, &r, chunk);
		}
		stream_free(&s);
	}
}

static void a_stream_without_footers_passes_unchanged(void **state)
{
	struct stream s = { 0 };
	struct run r;

	(void)state;
	stream_header(&s);
	stream_start(&s, RAM_ID, "ram", 4);
	stream_blocks(&s, blocks, ARRAY_SIZE(blocks));
	stream_eos(&s);
	part(&s);
	data_page(&s, 0, 1, 1);
	stream_eos(&s);
	for (size_t chunk = 1; chunk < 10000; chunk = chunk * 3 + 1) {
		run_init(&r);
		passes_unchanged(&s, &r, chunk);
	}
	stream_free(&s);
}

/* --- giving up in the middle */

static void give_up(struct stream *s, int how)
{
	static const char *const device = "virtio-mem-device";

	switch (how) {
	case 0: /* inside RAM: a record of a kind not known */
		stream_u64(s, 0x80);
		break;
	case 1:
		part_over(s);
		stream_command(s, 3, "0123456789abcdef", 16);
		break;
	case 2:
		part_over(s);
		stream_start(s, 9, device, 1);
		break;
	case 3:
		part_over(s);
		stream_u8(s, 4);
		break;
	default:
		part_over(s);
		stream_u8(s, 0x77);
	}
	stream_bytes(s, "\1\2\3\4 rest", 9);
}

/* After everything that was forwarded and before the unknown rest, a record
 * with CONTINUE must mean the block that the source's record named last. */
static void compare_given_up(const struct stream *known, const struct stream *s,
			     size_t chunk)
{
	size_t tail = s->len - known->len;
	struct memory want;
	struct run r;
	struct error e;

	run_init(&r);
	r.reads = false;
	assert_int_equal(run_feed(&r, s, chunk, &e), 0);
	assert_true(split_stats(r.splitter)->opaque);
	assert_true(split_stats(r.splitter)->why_opaque[0]);
	assert_true(r.forwarded.len >= tail);
	assert_memory_equal(r.forwarded.data + r.forwarded.len - tail,
			    s->data + known->len, tail);
	assert_int_equal(stream_reader_feed(&r.reader, r.forwarded.data,
					    r.forwarded.len - tail),
			 0);
	assert_int_equal(r.reader.in.len, r.reader.used);
	memory_of(&want, known);
	assert_memory_equal(&r.memory.page, &want.page, sizeof(want.page));
	assert_string_equal(r.reader.block, known->named);
	run_done(&r);
}

static void giving_up_leaves_a_valid_stream_and_the_right_block(void **state)
{
	(void)state;
	for (int how = 0; how < 5; how++) {
		for (int last = 0; last < 3; last++) {
			struct stream s, known;

			begin(&s);
			mixed_part(&s, 3);
			part(&s);
			data_page(&s, 2, 1, 1); /* kept */
			if (last == 0)
				data_page(&s, 0, 8, 2);
			else if (last == 1)
				zero_page(&s, 1, 8, 0);
			known = s;
			known.data = NULL;
			known.cap = 0;
			known.len = 0;
			stream_bytes(&known, s.data, s.len);
			if (how > 0)
				part_over(&known);
			give_up(&s, how);
			for (size_t c = 1; c < 20000; c = c * 4 + 1)
				compare_given_up(&known, &s, c);
			stream_free(&s);
			stream_free(&known);
		}
	}
}

/* --- contradictions */

static void fails(struct stream *s, const char *sentence)
{
	for (size_t chunk = 1; chunk < 20000; chunk = chunk * 5 + 2) {
		struct run r;
		struct error e = { 0 };

		run_init(&r);
		r.reads = false;
		assert_int_equal(run_feed(&r, s, chunk, &e), -EBADMSG);
		if (!strstr(e.text, sentence))
			fail_msg("%s", e.text);
		run_done(&r);
	}
	stream_free(s);
}

static void pages_outside_of_their_block_are_refused(void **state)
{
	static const uint8_t page[STREAM_PAGE];
	struct stream s;

	(void)state;
	begin(&s);
	part(&s);
	stream_page(&s, "pc.ram", PAGES * STREAM_PAGE, PAGE_DATA, page,
		    STREAM_PAGE);
	fails(&s, "outside of every RAM block");
	begin(&s);
	part(&s);
	stream_page(&s, "nobody", 0, PAGE_DATA, page, STREAM_PAGE);
	fails(&s, "outside of every RAM block");
	begin(&s);
	part(&s);
	stream_u64(&s, 0x28); /* CONTINUE of nothing */
	stream_bytes(&s, page, sizeof(page));
	fails(&s, "outside of every RAM block");
}

static void block_lists_that_contradict_themselves_are_refused(void **state)
{
	struct stream_block twice[] = { { "a", 4096 }, { "a", 4096 } };
	struct stream_block none[] = { { "", 4096 } };
	struct stream s = { 0 };

	(void)state;
	stream_header(&s);
	stream_start(&s, RAM_ID, "ram", 4);
	stream_blocks(&s, twice, 2);
	fails(&s, "named twice");
	s = (struct stream){ 0 };
	stream_header(&s);
	stream_start(&s, RAM_ID, "ram", 4);
	stream_blocks(&s, none, 1);
	fails(&s, "not at all");
	s = (struct stream){ 0 };
	stream_header(&s);
	stream_start(&s, RAM_ID, "ram", 4);
	stream_u64(&s, 4096 | 4);
	stream_name(&s, "a");
	stream_u64(&s, 8192);
	fails(&s, "longer than all of RAM");
}

static void an_overlong_xbzrle_record_is_refused(void **state)
{
	static const uint8_t body[STREAM_PAGE + 1];
	struct stream s;

	(void)state;
	begin(&s);
	part(&s);
	stream_page(&s, "pc.ram", 0, PAGE_XBZRLE, body, sizeof(body));
	fails(&s, "XBZRLE record too long");
}

static void a_missing_footer_after_diverted_pages_is_refused(void **state)
{
	struct stream s;

	(void)state;
	begin(&s);
	part(&s);
	data_page(&s, 0, 1, 1);
	stream_eos(&s);
	stream_footer(&s, RAM_ID + 1);
	fails(&s, "a section without its footer");
}

static void a_block_longer_than_its_target_stays_in_the_stream(void **state)
{
	struct stream s;
	struct splitter *sp;
	struct run r;
	struct error e;

	(void)state;
	whole_stream(&s);
	run_init(&r);
	split_free(r.splitter);
	assert_int_equal(split_new(&sp, &ops, &r, &e), 0);
	assert_int_equal(split_divert(sp, "pc.ram", (PAGES - 1) * STREAM_PAGE,
				      0, &e),
			 0);
	r.splitter = sp;
	passes_unchanged(&s, &r, 5000);
	stream_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_page_arrives_with_pieces_of_any_size),
		cmocka_unit_test(the_end_is_told_before_its_pages),
		cmocka_unit_test(before_the_first_page_it_is_said_twice),
		cmocka_unit_test(the_counters_tell_what_became_of_the_pages),
		cmocka_unit_test(
			a_stream_with_nothing_to_divert_is_not_changed),
		cmocka_unit_test(other_streams_pass_unchanged),
		cmocka_unit_test(a_stream_without_footers_passes_unchanged),
		cmocka_unit_test(
			giving_up_leaves_a_valid_stream_and_the_right_block),
		cmocka_unit_test(pages_outside_of_their_block_are_refused),
		cmocka_unit_test(
			block_lists_that_contradict_themselves_are_refused),
		cmocka_unit_test(an_overlong_xbzrle_record_is_refused),
		cmocka_unit_test(
			a_missing_footer_after_diverted_pages_is_refused),
		cmocka_unit_test(
			a_block_longer_than_its_target_stays_in_the_stream),
	};

	return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
