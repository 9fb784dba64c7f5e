/* SPDX-License-Identifier: MIT */
#include "relay/batch.h"

#include <string.h>

#include "base/pool.h"
#include "frames/outbox.h"
#include "wire/reader.h"

void batch_page_data(struct batch_page *p, const uint8_t *data,
		     struct buffer *buffer)
{
	p->kind = RUN_DATA;
	p->data = data;
	p->buffer = buffer;
}

void batch_page_filled(struct batch_page *p, uint64_t word)
{
	p->kind = word ? RUN_FILL : RUN_ZERO;
	p->side_len = word ? BATCH_FILL_SIZE : 0;
	memcpy(p->side, &word, BATCH_FILL_SIZE);
}

static void page_by_sum(struct batch_page *p, enum batch_run_kind kind,
			const uint8_t *data)
{
	struct writer w = writer_to(p->side, sizeof(p->side));

	write_u64(&w, page_sum(data));
	p->kind = kind;
	p->side_len = writer_used(&w);
}

void batch_page_same(struct batch_page *p, const uint8_t *data)
{
	page_by_sum(p, RUN_SAME, data);
}

void batch_page_proof(struct batch_page *p, const uint8_t *data)
{
	page_by_sum(p, RUN_PROOF, data);
}

void batch_page_delta(struct batch_page *p, const uint8_t *data,
		      const struct history_delta *delta)
{
	struct writer w = writer_to(p->side, sizeof(p->side));

	write_u16(&w, (uint16_t)delta->len);
	write_u64(&w, page_sum(data));
	write_bytes(&w, delta->bytes, delta->len);
	p->kind = RUN_DELTA;
	p->side_len = writer_used(&w);
}

void batch_open(struct batch *b, struct frame_out *f, unsigned block)
{
	b->frame = f;
	b->head = (struct batch_head){ .block = (uint16_t)block,
				       .codec = CODEC_RAW };
	b->end = 0;
	b->pages = 0;
	f->iovs = 1; /* what is before the data comes first */
}

static bool extends_last_run(const struct batch *b, const struct batch_page *p)
{
	const struct batch_run *r;

	if (b->head.runs == 0)
		return false;
	r = &b->head.run[b->head.runs - 1];
	if (r->kind != p->kind || r->first + r->count != p->number ||
	    r->count == UINT32_MAX)
		return false;
	/* One word stands for all of the run. */
	return p->kind != RUN_FILL ||
	       !memcmp(b->side + b->head.side - BATCH_FILL_SIZE, p->side,
		       BATCH_FILL_SIZE);
}

bool batch_takes(const struct batch *b, unsigned block,
		 const struct batch_page *p)
{
	const struct frame_out *f = b->frame;

	if (!f || b->head.block != block || b->pages == BATCH_PAGES_MOST)
		return false;
	if (b->head.runs == BATCH_MAX_RUNS && !extends_last_run(b, p))
		return false;
	if (p->kind != RUN_DATA)
		return b->head.side + p->side_len <= BATCH_SIDE_MAX;
	return b->head.pages < BATCH_MAX_PAGES &&
	       (f->buffers < FRAME_BUFFERS ||
		f->buffer[f->buffers - 1] == p->buffer);
}

static void add_data(struct batch *b, const struct batch_page *p)
{
	struct frame_out *f = b->frame;

	b->head.pages++;
	f->iov[f->iovs++] =
		(struct iovec){ (void *)(uintptr_t)p->data, WIRE_PAGE };
	if (f->buffers == 0 || f->buffer[f->buffers - 1] != p->buffer)
		f->buffer[f->buffers++] = buffer_hold(p->buffer);
}

static void add_side(struct batch *b, const struct batch_page *p)
{
	memcpy(b->side + b->head.side, p->side, p->side_len);
	b->head.side += (uint32_t)p->side_len;
}

void batch_add(struct batch *b, const struct batch_page *p)
{
	bool extends = extends_last_run(b, p);

	b->pages++;
	if (extends)
		b->head.run[b->head.runs - 1].count++;
	else
		b->head.run[b->head.runs++] =
			(struct batch_run){ p->number, 1, p->kind };
	if (p->number >= b->end)
		b->end = p->number + 1;
	if (p->kind == RUN_DATA)
		add_data(b, p);
	else if (p->kind != RUN_FILL || !extends)
		add_side(b, p);
}

bool batch_is_full(const struct batch *b)
{
	return b->frame && b->head.pages == BATCH_MAX_PAGES;
}

bool batch_has(const struct batch *b, unsigned block, uint64_t page)
{
	/* QEMU goes upwards: nearly always the page is behind all others. */
	if (!b->frame || b->head.block != block || page >= b->end)
		return false;
	for (unsigned i = 0; i < b->head.runs; i++)
		if (page >= b->head.run[i].first &&
		    page - b->head.run[i].first < b->head.run[i].count)
			return true;
	return false;
}

struct frame_out *batch_close(struct batch *b)
{
	struct frame_out *f = b->frame;
	size_t meta = batch_head_write(&b->head, b->side, f->meta);

	b->frame = NULL;
	f->iov[0] = (struct iovec){ f->meta, meta };
	f->head.kind = FRAME_PAGES;
	f->head.len = (uint32_t)(meta + (size_t)b->head.pages * WIRE_PAGE);
	return f;
}
