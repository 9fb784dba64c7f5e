/* SPDX-License-Identifier: MIT */
#include "relay/place.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "codec/delta.h"
#include "pages/kept.h"
#include "pages/memory.h"
#include "wire/frame.h"
#include "wire/reader.h"

_Static_assert((int)BATCH_DELTA_MOST == (int)DELTA_MAX &&
		       (int)BATCH_DELTA_LEAST == (int)DELTA_HEAD,
	       "what a batch may carry is what a delta may have");

enum { OWN = 16 };

/* One run after the other takes its part of side bytes and data.  The parser
 * made sure that all together take just what is there.  What is to be written
 * is gathered, and written in that order. */
struct walk {
	struct guest_memory *memory;
	struct kept *kept;
	uint64_t from_kept; /* pages */
	unsigned block;
	const struct batch_run *run;
	struct reader side;
	const uint8_t *data;

	struct memory_piece *piece; /* MEMORY_PIECES */
	unsigned pieces;
	uint8_t (*own)[WIRE_PAGE]; /* OWN pages that are made here, or NULL */
	unsigned owned;
};

static void walk_done(struct walk *w)
{
	free(w->own);
}

static int flush(struct walk *w, struct error *e)
{
	unsigned n = w->pieces;

	w->pieces = 0;
	return n == 0 ? 0
		      : memory_write_pieces(w->memory, w->block, w->piece, n,
					    e);
}

static int add(struct walk *w, uint64_t page, const void *data, size_t len,
	       struct error *e)
{
	if (w->pieces == MEMORY_PIECES && flush(w, e) < 0)
		return error_code(e);
	w->piece[w->pieces++] =
		(struct memory_piece){ page * WIRE_PAGE, data, len };
	return 0;
}

/* What is there is what the runs before this one have made of it.  A sender
 * names a page once in a batch. */
static int settle(struct walk *w, struct error *e)
{
	uint64_t start = w->run->first * WIRE_PAGE;
	uint64_t end = start + (uint64_t)w->run->count * WIRE_PAGE;

	for (unsigned i = 0; i < w->pieces; i++)
		if (w->piece[i].offset < end &&
		    w->piece[i].offset + w->piece[i].len > start)
			return flush(w, e);
	return 0;
}

/* One that stays until it is written. */
static uint8_t *own_page(struct walk *w, struct error *e)
{
	if (!w->own)
		w->own = malloc(sizeof(*w->own) * OWN);
	if (!w->own) {
		error_set(e, ENOMEM, "no memory for a page");
		return NULL;
	}
	if (w->owned == OWN) {
		if (flush(w, e) < 0)
			return NULL;
		w->owned = 0;
	}
	return w->own[w->owned++];
}

static int check_run(const struct guest_memory *m, const struct batch_head *b,
		     const struct batch_run *r, struct error *e)
{
	uint64_t pages = memory_block(m, b->block)->len_bytes / WIRE_PAGE;

	if (r->first >= pages || r->count > pages - r->first)
		return error_set(e, EBADMSG,
				 "%u pages at page %" PRIu64
				 " of RAM block %s, which has %" PRIu64,
				 r->count, r->first,
				 memory_block(m, b->block)->name, pages);
	return 0;
}

static int place_data(struct walk *w, struct error *e)
{
	size_t len = (size_t)w->run->count * WIRE_PAGE;
	const uint8_t *data = w->data;

	w->data += len;
	return add(w, w->run->first, data, len, e);
}

static int place_zero(struct walk *w, struct error *e)
{
	struct memory_range r = { w->run->first * WIRE_PAGE,
				  (uint64_t)w->run->count * WIRE_PAGE };

	if (settle(w, e) < 0)
		return error_code(e);
	while (r.len > 0) {
		if (w->pieces == MEMORY_PIECES && flush(w, e) < 0)
			return error_code(e);
		w->pieces += memory_zeros(w->memory, w->block, &r,
					  w->piece + w->pieces,
					  MEMORY_PIECES - w->pieces);
	}
	return 0;
}

static int place_fill(struct walk *w, struct error *e)
{
	static const uint8_t zero[BATCH_FILL_SIZE];
	const void *word = reader_take(&w->side, BATCH_FILL_SIZE);
	uint8_t *page;

	assert(word);
	if (!memcmp(word, zero, BATCH_FILL_SIZE))
		return place_zero(w, e);
	page = own_page(w, e);
	if (!page)
		return error_code(e);
	for (unsigned i = 0; i < WIRE_PAGE; i += BATCH_FILL_SIZE)
		memcpy(page + i, word, BATCH_FILL_SIZE);
	for (uint32_t i = 0; i < w->run->count; i++)
		if (add(w, w->run->first + i, page, WIRE_PAGE, e) < 0)
			return error_code(e);
	return 0;
}

static int check_sum(const struct walk *w, uint64_t number, const uint8_t *page,
		     uint64_t sum, struct error *e)
{
	if (page_sum(page) == sum)
		return 0;
	return error_set(e, EBADMSG,
			 "page %" PRIu64 " of RAM block %s is not what the "
			 "source says it is",
			 number, memory_block(w->memory, w->block)->name);
}

/* 1: what was kept of it has that sum, and is to be written.  0: it has not;
 * the move ends by that, and the next one begins without this copy. */
static int take_kept(struct walk *w, uint64_t number, uint64_t sum,
		     struct error *e)
{
	uint8_t *page = own_page(w, e);

	if (!page)
		return error_code(e);
	if (!kept_page(w->kept, memory_block(w->memory, w->block)->name, number,
		       page) ||
	    page_sum(page) != sum) {
		w->owned--;
		kept_set_wrong(w->kept);
		return 0;
	}
	w->from_kept++;
	return add(w, number, page, WIRE_PAGE, e) < 0 ? error_code(e) : 1;
}

/* It is in memory already, or in what was kept of an earlier stay: whichever
 * has the sum is what the source has. */
static int place_same(struct walk *w, struct error *e)
{
	uint64_t number = w->run->first;
	uint8_t page[WIRE_PAGE];
	int r;

	if (settle(w, e) < 0)
		return error_code(e);
	for (uint32_t i = 0; i < w->run->count; i++, number++) {
		uint64_t sum = read_u64(&w->side);

		if (memory_read(w->memory, w->block, number * WIRE_PAGE, page,
				sizeof(page), e) < 0)
			return error_code(e);
		if (w->kept && page_sum(page) != sum) {
			r = take_kept(w, number, sum, e);
			if (r < 0)
				return r;
			if (r > 0)
				continue;
		}
		if (check_sum(w, number, page, sum, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* Nothing is written before it has proved to be what the source has. */
static int place_delta(struct walk *w, struct error *e)
{
	uint64_t number = w->run->first;

	if (settle(w, e) < 0)
		return error_code(e);
	for (uint32_t i = 0; i < w->run->count; i++, number++) {
		uint8_t *page = own_page(w, e);
		uint16_t len = read_u16(&w->side);
		uint64_t sum = read_u64(&w->side);
		const uint8_t *delta = reader_take(&w->side, len);

		assert(delta);
		if (!page ||
		    memory_read(w->memory, w->block, number * WIRE_PAGE, page,
				WIRE_PAGE, e) < 0)
			return error_code(e);
		if (delta_apply(page, delta, len, e) < 0)
			return error_in(e, "page %" PRIu64 " of RAM block %s",
					number,
					memory_block(w->memory, w->block)
						->name);
		if (check_sum(w, number, page, sum, e) < 0 ||
		    add(w, number, page, WIRE_PAGE, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* QEMU will load this page itself. */
static int place_proof(struct walk *w, struct error *e)
{
	uint64_t sum = read_u64(&w->side);

	return memory_expect(w->memory, w->block, w->run->first * WIRE_PAGE,
			     sum, e);
}

static int (*const place_run[RUN_KINDS])(struct walk *w, struct error *e) = {
	[RUN_DATA] = place_data,   [RUN_ZERO] = place_zero,
	[RUN_FILL] = place_fill,   [RUN_SAME] = place_same,
	[RUN_DELTA] = place_delta, [RUN_PROOF] = place_proof,
};

static int walk_runs(struct place *p, struct walk *w,
		     const struct batch_head *b, struct error *e)
{
	for (unsigned i = 0; i < b->runs; i++) {
		w->run = &b->run[i];
		if (place_run[w->run->kind](w, e) < 0)
			return error_code(e);
		atomic_fetch_add(&p->pages[w->run->kind], w->run->count);
	}
	return 0;
}

static int apply(void *context, const struct batch_head *b,
		 const struct batch_body *body, struct error *e)
{
	struct place *p = context;
	struct memory_piece pieces[MEMORY_PIECES]; /* cleared by nobody */
	SCOPED(walk_done)
	struct walk w = { .piece = pieces,
			  .memory = p->memory,
			  .kept = p->kept,
			  .block = b->block,
			  .side = reader_of(body->side, b->side),
			  .data = body->data };
	struct error ignored;

	if (b->block >= memory_blocks(p->memory))
		return error_set(e, EBADMSG, "pages of RAM block number %u",
				 b->block);
	/* All are checked before the first is written. */
	for (unsigned i = 0; i < b->runs; i++)
		if (check_run(p->memory, b, &b->run[i], e) < 0)
			return error_code(e);
	memory_run_near(p->memory, b->block);
	if (walk_runs(p, &w, b, e) == 0) {
		if (w.from_kept > 0)
			atomic_fetch_add(&p->from_kept, w.from_kept);
		return flush(&w, e);
	}
	/* Those before the one that is wrong are right. */
	(void)flush(&w, &ignored);
	return error_code(e);
}

void place_init(struct place *p, struct guest_memory *memory)
{
	p->memory = memory;
	p->kept = NULL;
	atomic_store(&p->from_kept, 0);
	p->pongs = (struct pongs){ 0 };
	p->sink = (struct page_sink){ .apply = apply, .context = p };
	for (unsigned i = 0; i < RUN_KINDS; i++)
		atomic_store(&p->pages[i], 0);
}

/* What QEMU was asked before it has loaded: it has the page now. */
static uint8_t prove(void *context, unsigned block)
{
	struct place *p = context;
	struct error why;
	enum memory_proof proof;

	if (!p->memory)
		return MEMORY_UNPROVED;
	proof = memory_prove(p->memory, block, &why);
	if (proof != MEMORY_PROVED)
		log_warning("pages stay in QEMU's stream: %s", why.text);
	return (uint8_t)proof;
}

void place_answer(struct place *p, uint8_t *data, size_t len)
{
	pongs_answer(&p->pongs, data, len, prove, p);
}
