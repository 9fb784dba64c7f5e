/* SPDX-License-Identifier: MIT */
#include "relay/place.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/error.h"
#include "codec/delta.h"
#include "pages/memory.h"
#include "wire/frame.h"
#include "wire/reader.h"

_Static_assert((int)BATCH_DELTA_MOST == (int)DELTA_MAX &&
		       (int)BATCH_DELTA_LEAST == (int)DELTA_HEAD,
	       "what a batch may carry is what a delta may have");

/* One run after the other takes its part of side bytes and data.  The parser
 * made sure that all together take just what is there. */
struct walk {
	struct guest_memory *memory;
	unsigned block;
	const struct batch_run *run;
	struct reader side;
	const uint8_t *data;
};

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
	return memory_write(w->memory, w->block, w->run->first * WIRE_PAGE,
			    data, len, e);
}

static int place_zero(struct walk *w, struct error *e)
{
	return memory_zero(w->memory, w->block, w->run->first * WIRE_PAGE,
			   (uint64_t)w->run->count * WIRE_PAGE, e);
}

static int place_fill(struct walk *w, struct error *e)
{
	const void *side = reader_take(&w->side, BATCH_FILL_SIZE);
	uint64_t word;

	assert(side);
	memcpy(&word, side, sizeof(word));
	return memory_fill(w->memory, w->block, w->run->first * WIRE_PAGE,
			   (uint64_t)w->run->count * WIRE_PAGE, word, e);
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

static int place_same(struct walk *w, struct error *e)
{
	uint64_t number = w->run->first;
	uint8_t page[WIRE_PAGE];

	for (uint32_t i = 0; i < w->run->count; i++, number++) {
		uint64_t sum = read_u64(&w->side);

		if (memory_read(w->memory, w->block, number * WIRE_PAGE, page,
				sizeof(page), e) < 0 ||
		    check_sum(w, number, page, sum, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* Nothing is written before it has proved to be what the source has. */
static int place_delta(struct walk *w, struct error *e)
{
	uint64_t number = w->run->first;
	uint8_t page[WIRE_PAGE];

	for (uint32_t i = 0; i < w->run->count; i++, number++) {
		uint64_t offset = number * WIRE_PAGE;
		uint16_t len = read_u16(&w->side);
		uint64_t sum = read_u64(&w->side);
		const uint8_t *delta = reader_take(&w->side, len);

		assert(delta);
		if (memory_read(w->memory, w->block, offset, page, sizeof(page),
				e) < 0)
			return error_code(e);
		if (delta_apply(page, delta, len, e) < 0)
			return error_in(e, "page %" PRIu64 " of RAM block %s",
					number,
					memory_block(w->memory, w->block)
						->name);
		if (check_sum(w, number, page, sum, e) < 0 ||
		    memory_write(w->memory, w->block, offset, page,
				 sizeof(page), e) < 0)
			return error_code(e);
	}
	return 0;
}

static int (*const place_run[RUN_KINDS])(struct walk *w, struct error *e) = {
	[RUN_DATA] = place_data,   [RUN_ZERO] = place_zero,
	[RUN_FILL] = place_fill,   [RUN_SAME] = place_same,
	[RUN_DELTA] = place_delta,
};

static int apply(void *context, const struct batch_head *b,
		 const struct batch_body *body, struct error *e)
{
	struct place *p = context;
	struct walk w = { .memory = p->memory,
			  .block = b->block,
			  .side = reader_of(body->side, b->side),
			  .data = body->data };

	if (b->block >= memory_blocks(p->memory))
		return error_set(e, EBADMSG, "pages of RAM block number %u",
				 b->block);
	/* All are checked before the first is written. */
	for (unsigned i = 0; i < b->runs; i++)
		if (check_run(p->memory, b, &b->run[i], e) < 0)
			return error_code(e);
	for (unsigned i = 0; i < b->runs; i++) {
		w.run = &b->run[i];
		if (place_run[w.run->kind](&w, e) < 0)
			return error_code(e);
		atomic_fetch_add(&p->pages[w.run->kind], w.run->count);
	}
	return 0;
}

void place_init(struct place *p, struct guest_memory *memory)
{
	p->memory = memory;
	p->sink = (struct page_sink){ .apply = apply, .context = p };
	for (unsigned i = 0; i < RUN_KINDS; i++)
		atomic_store(&p->pages[i], 0);
}
