/* SPDX-License-Identifier: MIT */

/*
 * What it costs to make batches of the splitter's pages: described, put into
 * frames of 64, closed and given up again, without and with the history that
 * finds repeats.
 *
 *     build/bench/micro/batch [--count]
 *
 * No page is copied; without a history none of its bytes are read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/pool.h"
#include "base/text.h"
#include "codec/same.h"
#include "data.h"
#include "frames/outbox.h"
#include "micro.h"
#include "pages/history.h"
#include "relay/batch.h"

enum { BUFFER_PAGES = 128, BLOCK = 0 };

struct bench {
	struct pool *pool;
	unsigned buffers;
	struct buffer **buffer; /* @buffers, BUFFER_PAGES pages in each */
	struct frame_out frame; /* the only one */
	struct batch batch;
	struct batch_page page;
	struct history history;
	bool finds_repeats, remember;
	unsigned left[RUN_KINDS]; /* pages of each kind */
};

static uint8_t *data_of(const struct bench *b, unsigned page)
{
	return b->buffer[page / BUFFER_PAGES]->data +
	       (size_t)(page % BUFFER_PAGES) * WIRE_PAGE;
}

/* --- as divert.c does it */

static void describe(struct bench *b, const uint8_t *data)
{
	struct buffer *buffer = b->buffer[b->page.number / BUFFER_PAGES];
	struct history_delta delta;
	uint64_t word;

	if (!b->finds_repeats) {
		batch_page_data(&b->page, data, buffer);
		return;
	}
	if (page_is_filled(data, &word)) {
		batch_page_filled(&b->page, word);
		history_filled(&b->history, BLOCK, b->page.number, word,
			       b->remember);
		return;
	}
	switch (history_page(&b->history, BLOCK, b->page.number, data,
			     b->remember, &delta)) {
	case HISTORY_SAME:
		batch_page_same(&b->page, data);
		break;
	case HISTORY_DELTA:
		batch_page_delta(&b->page, data, &delta);
		break;
	case HISTORY_DATA:
		batch_page_data(&b->page, data, buffer);
	}
}

static void seal(struct bench *b)
{
	struct frame_out *f = batch_close(&b->batch);

	micro_use(f->head.len);
	for (unsigned i = 0; i < f->buffers; i++)
		buffer_drop(f->buffer[i]);
	f->buffers = 0;
}

static void add(struct bench *b)
{
	if (!batch_takes(&b->batch, BLOCK, &b->page)) {
		if (b->batch.frame)
			seal(b);
		batch_open(&b->batch, &b->frame, BLOCK);
	}
	batch_add(&b->batch, &b->page);
	b->left[b->page.kind]++;
	if (batch_is_full(&b->batch))
		seal(b);
}

static void pass(void *context)
{
	struct bench *b = context;

	memset(b->left, 0, sizeof(b->left));
	for (unsigned i = 0; i < micro_pages(); i++) {
		b->page.number = i;
		if (batch_has(&b->batch, BLOCK, i))
			seal(b);
		describe(b, data_of(b, i));
		add(b);
	}
	if (b->batch.frame)
		seal(b);
}

static void pass_of_zeros(void *context)
{
	struct bench *b = context;

	for (unsigned i = 0; i < micro_pages(); i++) {
		b->page.number = i;
		batch_page_filled(&b->page, 0);
		add(b);
	}
	seal(b);
}

/* --- the states in which pages may be met */

static void write_pages(struct bench *b)
{
	uint8_t *data = data_new(DATA_TRAVELLING, micro_pages());

	for (unsigned i = 0; i < micro_pages(); i++)
		memcpy(data_of(b, i), data + (size_t)i * WIRE_PAGE, WIRE_PAGE);
	free(data);
}

static void touch_pages(struct bench *b, uint64_t generation)
{
	for (unsigned i = 0; i < b->buffers; i++)
		data_touch(b->buffer[i]->data, BUFFER_PAGES, generation);
}

static void prepare_plain(void *context)
{
	struct bench *b = context;

	b->finds_repeats = false;
}

static void forget_all(struct bench *b, bool remember)
{
	const uint64_t bytes = (uint64_t)micro_pages() * WIRE_PAGE;
	struct error e;

	history_done(&b->history);
	if (history_init(&b->history, bytes, &e) < 0 ||
	    history_add_block(&b->history, BLOCK, bytes, &e) < 0)
		micro_fail(&e);
	b->finds_repeats = true;
	b->remember = remember;
}

static void prepare_free_link(void *context)
{
	forget_all(context, false);
}

static void prepare_first(void *context)
{
	forget_all(context, true);
}

static void prepare_known(void *context)
{
	forget_all(context, true);
	pass(context);
}

static void prepare_cached(void *context)
{
	struct bench *b = context;

	write_pages(b);
	prepare_known(b);
	touch_pages(b, 2);
	pass(b);
	touch_pages(b, 3);
}

static const struct micro_row rows[] = {
	{ "pages of data", prepare_plain, pass },
	{ "zero pages", prepare_plain, pass_of_zeros },
	{ "history: not known, on a free link", prepare_free_link, pass },
	{ "history: first version", prepare_first, pass },
	{ "history: unchanged", prepare_known, pass },
	{ "history: few bytes changed", prepare_cached, pass },
};

static void take_buffers(struct bench *b)
{
	struct error e;

	b->buffers = micro_pages() / BUFFER_PAGES;
	b->buffer = calloc(b->buffers, sizeof(struct buffer *));
	if (!b->buffer ||
	    pool_new(&b->pool, b->buffers, BUFFER_PAGES * WIRE_PAGE, &e) < 0) {
		fprintf(stderr, "no memory for buffers\n");
		exit(1);
	}
	for (unsigned i = 0; i < b->buffers; i++)
		b->buffer[i] = pool_take(b->pool);
}

int main(int argc, char **argv)
{
	static struct bench b;

	micro_begin(argc, argv, NULL);
	take_buffers(&b);
	write_pages(&b);
	micro_run("batch", rows, ARRAY_SIZE(rows), &b);
	/* The last row's pages leave as what the row says. */
	if (b.left[RUN_DELTA] != micro_pages()) {
		fprintf(stderr, "%u of %u pages left as a delta\n",
			b.left[RUN_DELTA], micro_pages());
		return 1;
	}
	history_done(&b.history);
	for (unsigned i = 0; i < b.buffers; i++)
		buffer_drop(b.buffer[i]);
	pool_free(b.pool);
	free(b.buffer);
	return 0;
}
