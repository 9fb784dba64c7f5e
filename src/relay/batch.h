/* SPDX-License-Identifier: MIT */

/*
 * A batch while it is being filled: pages of one block become a PAGES frame.
 *
 * Neighbours of one kind are one run.  A page of data is not copied: the frame
 * names its bytes and holds their buffer.  What stands for any other page is
 * gathered aside and put behind the runs when the batch is closed.
 *
 * One thread uses it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pages/history.h"
#include "wire/frame.h"

struct buffer;
struct frame_out;

/* A page as it leaves. */
struct batch_page {
	enum batch_run_kind kind;
	uint64_t number; /* inside its block */
	/* RUN_DATA: the page, in @buffer */
	const uint8_t *data;
	struct buffer *buffer;
	/* the others: its side bytes (frame.h) */
	size_t side_len;
	uint8_t side[BATCH_DELTA_HEAD + HISTORY_DELTA_MAX];
};

/* These say all of a page but its number. */
void batch_page_data(struct batch_page *p, const uint8_t *data,
		     struct buffer *buffer);
void batch_page_filled(struct batch_page *p, uint64_t word);
void batch_page_same(struct batch_page *p, const uint8_t *data);
void batch_page_proof(struct batch_page *p, const uint8_t *data);
void batch_page_delta(struct batch_page *p, const uint8_t *data,
		      const struct history_delta *delta);

struct batch {
	struct frame_out *frame; /* NULL: none is open */
	struct batch_head head;
	uint64_t end;   /* behind the highest page */
	unsigned pages; /* of any kind */
	uint8_t side[BATCH_SIDE_MAX];
};

void batch_open(struct batch *b, struct frame_out *f, unsigned block);

/* Is there room for @p, of @block, in what is open? */
bool batch_takes(const struct batch *b, unsigned block,
		 const struct batch_page *p);
void batch_add(struct batch *b, const struct batch_page *p);
bool batch_is_full(const struct batch *b);

/* A page must not be in one batch twice. */
bool batch_has(const struct batch *b, unsigned block, uint64_t page);

/* The frame with its payload; none is open any more.  The head stays. */
struct frame_out *batch_close(struct batch *b);
