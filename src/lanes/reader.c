/* SPDX-License-Identifier: MIT */
#include "lanes/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "codec/codec.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "lanes/lane.h"
#include "wire/frame.h"
#include "wire/reader.h"

enum { DAMAGED_MAX = 16 }; /* frames with a wrong checksum in a session */

/* A slow link may take its time for a frame; a silent one may not. */
static int read_all(struct lane *c, void *buf, size_t len, struct error *e)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = c->channel->kind->read(c->channel,
						   (uint8_t *)buf + have,
						   len - have,
						   clock_us() + SILENT_US, e);

		if (n == -EAGAIN)
			return error_set(e, ETIMEDOUT, "%s: silent for %d ms",
					 c->channel->to, SILENT_US / 1000);
		if (n == 0)
			return error_set(e, ECONNRESET,
					 "%s closed the connection",
					 c->channel->to);
		if (n < 0)
			return (int)n;
		have += (size_t)n;
		atomic_fetch_add(&c->received, (uint64_t)n);
		atomic_store(&c->lanes->heard_us, clock_us());
	}
	return 0;
}

/* The first bytes of the next header.  When none are there yet, this is the
 * moment to acknowledge what came before. */
static int read_head(struct lane *c, uint8_t buf[FRAME_HEAD_SIZE],
		     unsigned *unacked, struct error *e)
{
	ssize_t n =
		c->channel->kind->read(c->channel, buf, FRAME_HEAD_SIZE, 0, e);

	if (n == -EAGAIN) {
		if (*unacked > 0)
			outbox_ack_due(c->lanes->out);
		*unacked = 0;
		n = 0;
	} else if (n <= 0) {
		return n < 0 ? (int)n
			     : error_set(e, ECONNRESET,
					 "%s closed the connection",
					 c->channel->to);
	}
	atomic_fetch_add(&c->received, (uint64_t)n);
	return read_all(c, buf + n, FRAME_HEAD_SIZE - (size_t)n, e);
}

/* What was pressed, into the lane's scratch. */
static int expand(struct lane *c, struct codec_unit unit, size_t len,
		  struct error *e)
{

	if (!c->codecs && codec_state_new(&c->codecs, e) < 0)
		return error_code(e);
	if (!c->pages)
		c->pages = malloc(CODEC_UNIT_MAX);
	if (!c->pages)
		return error_set(e, ENOMEM, "no memory for pressed pages");
	return codec_expand(c->codecs, unit, c->pages, len, e);
}

/* A batch's pages as they are. */
static int expand_pages(struct lane *c, const struct batch_head *batch,
			struct batch_body *body, struct error *e)
{
	const struct codec_unit unit = { batch->codec, body->data, body->len };
	size_t len = (size_t)batch->pages * WIRE_PAGE;

	if (batch->codec == CODEC_RAW)
		return 0;
	if (expand(c, unit, len, e) < 0)
		return error_code(e);
	*body = (struct batch_body){ body->side, c->pages, len };
	return 0;
}

/* For the choice of codec: of batches without data it could learn nothing. */
static void count_placed(struct lanes *l, uint64_t bytes, uint64_t began_us)
{
	if (bytes == 0)
		return;
	atomic_fetch_add(&l->placed, bytes);
	atomic_fetch_add(&l->busy_us, clock_us() - began_us);
}

int reader_place(struct lanes *l, uint64_t seq, const struct iovec *meta,
		 const struct iovec *data, struct error *e)
{
	const struct page_sink *sink = atomic_load(&l->sink);
	const uint64_t began = clock_us();
	struct batch_head batch;
	struct batch_body body;
	int r;

	if (!sink)
		return error_set(e, EBADMSG, "pages, but no memory for them");
	r = inbox_claim(l->in, seq, e);
	if (r <= 0)
		return r;
	if (batch_apart_read(&batch, meta->iov_base, meta->iov_len,
			     data->iov_base, data->iov_len, &body, e) < 0 ||
	    sink->apply(sink->context, &batch, &body, e) < 0)
		return error_in(e, "frame %" PRIu64, seq);
	count_placed(l, (uint64_t)batch.pages * WIRE_PAGE, began);
	inbox_pages_applied(l->in, seq);
	/* Whichever lane brought the head may be silent by now. */
	outbox_ack_due(l->out);
	return 0;
}

/* Its pages come another way: whoever sees to that places them. */
static int head_came(struct lane *c, const struct frame_head *h,
		     struct error *e)
{
	const struct lane_aside *aside = c->lanes->aside;

	int r = aside->came(aside->context, h, c->buffer, e);
	struct reader at = reader_of(c->buffer + BATCH_PAGES_AT, 2);

	if (r > 0)
		atomic_fetch_add(&c->aside,
				 (uint64_t)read_u16(&at) * WIRE_PAGE);
	return r;
}

static int apply_pages(struct lane *c, const struct frame_head *h,
		       struct error *e)
{
	struct lanes *l = c->lanes;
	const struct page_sink *sink = atomic_load(&l->sink);
	struct batch_head batch;
	struct batch_body body;
	uint64_t began = clock_us();

	if (!sink)
		return error_set(e, EBADMSG, "pages, but no memory for them");
	if (batch_head_read(&batch, c->buffer, h->len, &body, e) < 0 ||
	    expand_pages(c, &batch, &body, e) < 0 ||
	    sink->apply(sink->context, &batch, &body, e) < 0)
		return error_in(e, "frame %" PRIu64, h->seq);
	count_placed(l, (uint64_t)batch.pages * WIRE_PAGE, began);
	inbox_pages_applied(l->in, h->seq);
	return 0;
}

static int apply_blocks(struct lane *c, const struct frame_head *h,
			struct error *e)
{
	struct lanes *l = c->lanes;
	const struct block_sink *sink = atomic_load(&l->blocks);
	struct block_head block;
	struct block_body body;
	uint64_t began = clock_us();
	int r;

	if (!sink)
		return error_set(e, EBADMSG, "blocks, but no disk for them");
	if (block_head_read(&block, c->buffer, h->len, &body, e) < 0)
		return error_in(e, "frame %" PRIu64, h->seq);
	if (block.codec != CODEC_RAW) {
		const struct codec_unit unit = { block.codec, body.data,
						 body.len };

		if (expand(c, unit, block.len, e) < 0)
			return error_in(e, "frame %" PRIu64, h->seq);
		body.data = c->pages;
	}
	r = sink->apply(sink->context, h->seq, &block, body.data, e);
	if (r < 0)
		return r;
	count_placed(l, block.kind == BLOCK_DATA ? block.len : 0, began);
	if (r == 0)
		inbox_pages_applied(l->in, h->seq);
	return 0;
}

static int apply_ack(struct lane *c, const struct frame_head *h,
		     struct error *e)
{
	struct ack a;

	if (ack_read(&a, c->buffer, h->len, e) < 0)
		return error_code(e);
	return outbox_acked(c->lanes->out, &a, e);
}

static int apply_bye(struct lane *c, const struct frame_head *h,
		     struct error *e)
{
	const struct lane_calls *calls = &c->lanes->calls;
	char text[BYE_MAX_PAYLOAD + 1], why[BYE_MAX_PAYLOAD + 80];

	text_printable(text, sizeof(text), c->buffer, h->len);
	snprintf(why, sizeof(why), "%s: %s", c->lanes->peer, text);
	calls->bye(calls->context, h->flags & BYE_FAILED, why);
	return error_set(e, ESHUTDOWN, "done");
}

static int apply(struct lane *c, const struct frame_head *h, struct error *e)
{
	struct lanes *l = c->lanes;
	int r;

	if (h->kind == FRAME_ACK)
		return apply_ack(c, h, e);
	if (h->kind == FRAME_BYE)
		return apply_bye(c, h, e);
	if (h->kind == FRAME_CARDS)
		return l->calls.cards(l->calls.context, h->offset, c->buffer,
				      h->len, e);
	if (h->kind == FRAME_RDMA && l->aside)
		return l->aside->words(l->aside->context, h->offset, c->buffer,
				       h->len, e);
	if (h->kind == FRAME_PAGES && h->flags & PAGES_WRITTEN && l->aside)
		return head_came(c, h, e);
	r = inbox_claim(l->in, h->seq, e);
	if (r <= 0)
		return r;
	if (h->kind == FRAME_PAGES)
		return apply_pages(c, h, e);
	if (h->kind == FRAME_BLOCKS)
		return apply_blocks(c, h, e);
	if (h->kind == FRAME_STREAM)
		return inbox_keep_stream(l->in, h, c->buffer, e);
	if (inbox_keep_message(l->in, h, c->buffer, e) < 0)
		return error_code(e);
	l->calls.message(l->calls.context);
	return 0;
}

/* Cables and cards that damage frames are retried, not for ever. */
static void damaged(struct lane *c, const struct error *e)
{
	struct lanes *l = c->lanes;
	char why[252];
	unsigned n;

	{
		WITH_LOCK(&l->lock);
		n = ++l->damaged;
	}
	log_warning("session with %s: channel %u: %s", l->peer, c->slot,
		    e->text);
	if (n < DAMAGED_MAX)
		return;
	snprintf(why, sizeof(why),
		 "%u frames damaged on the way between %s and %s: check the "
		 "cards and cables of this path",
		 n, c->channel->from, c->channel->to);
	l->calls.broken(l->calls.context, why);
}

static int read_next(struct lane *c, unsigned *unacked, struct error *e)
{
	enum { ACK_EVERY = 4 };
	uint8_t buf[FRAME_HEAD_SIZE];
	struct iovec payload;
	struct frame_head h;

	if (read_head(c, buf, unacked, e) < 0)
		return error_code(e);
	if (frame_head_read(&h, buf, c->lanes->session, e) < 0) {
		damaged(c, e);
		return error_code(e);
	}
	if (read_all(c, c->buffer, h.len, e) < 0)
		return error_code(e);
	payload = (struct iovec){ c->buffer, h.len };
	if (frame_sum(&payload, 1) != h.sum) {
		error_set(e, EILSEQ, "frame %" PRIu64 " damaged on the way",
			  h.seq);
		damaged(c, e);
		return error_code(e);
	}
	if (atomic_load(&c->lanes->closed))
		return error_set(e, ESHUTDOWN, "done");
	if (apply(c, &h, e) < 0) {
		/* Intact, but wrong: sending it again would not help. */
		if (e->code != ESHUTDOWN)
			c->lanes->calls.broken(c->lanes->calls.context,
					       e->text);
		return error_code(e);
	}
	if (h.seq != 0 && ++*unacked >= ACK_EVERY) {
		outbox_ack_due(c->lanes->out);
		*unacked = 0;
	}
	return 0;
}

/* The supervisor cuts a peer off that goes on for too long. */
static void drain(struct lane *c)
{
	struct error ignored;

	while (c->channel->kind->read(c->channel, c->buffer, FRAME_MAX_PAYLOAD,
				      clock_us() + SILENT_US, &ignored) > 0)
		;
}

void *reader_main(void *lane)
{
	struct lane *c = lane;
	unsigned unacked = 0;
	struct error e;

	while (read_next(c, &unacked, &e) == 0)
		;
	if (atomic_load(&c->lanes->closed))
		drain(c);
	lane_fail(c, &e);
	return NULL;
}
