/* SPDX-License-Identifier: MIT */
#include "relay/place.h"

#include <errno.h>
#include <inttypes.h>

#include "base/error.h"
#include "pages/memory.h"
#include "wire/frame.h"

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

static int place_run(struct place *p, const struct batch_head *b,
		     const struct batch_run *r, const uint8_t **data,
		     struct error *e)
{
	uint64_t offset = r->first * WIRE_PAGE;
	size_t len = (size_t)r->count * WIRE_PAGE;

	if (r->kind == RUN_ZERO) {
		atomic_fetch_add(&p->zero_pages, r->count);
		return memory_zero(p->memory, b->block, offset, len, e);
	}
	atomic_fetch_add(&p->pages, r->count);
	if (memory_write(p->memory, b->block, offset, *data, len, e) < 0)
		return error_code(e);
	*data += len;
	return 0;
}

static int apply(void *context, const struct batch_head *b,
		 const struct batch_body *body, struct error *e)
{
	struct place *p = context;
	const uint8_t *data = body->data;

	if (b->block >= memory_blocks(p->memory))
		return error_set(e, EBADMSG, "pages of RAM block number %u",
				 b->block);
	/* All are checked before the first is written. */
	for (unsigned i = 0; i < b->runs; i++)
		if (check_run(p->memory, b, &b->run[i], e) < 0)
			return error_code(e);
	for (unsigned i = 0; i < b->runs; i++)
		if (place_run(p, b, &b->run[i], &data, e) < 0)
			return error_code(e);
	return 0;
}

void place_init(struct place *p, struct guest_memory *memory)
{
	p->memory = memory;
	p->sink = (struct page_sink){ .apply = apply, .context = p };
	atomic_store(&p->pages, 0);
	atomic_store(&p->zero_pages, 0);
}
