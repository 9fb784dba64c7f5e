/* SPDX-License-Identifier: MIT */
#include "relay/divert.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/pool.h"
#include "session/outbox.h"

enum {
	BUFFER_BYTES = 512 * 1024,
	/* As much as may be unacknowledged, twice: page records that are
	 * mostly zero pages fill buffers with bytes that nobody names. */
	BUFFERS = 2 * FLOW_MOST / BUFFER_BYTES,
	IDLE_MS = 1, /* QEMU says nothing for so long: send what we have */
};

_Static_assert(BUFFER_BYTES > 2 * SPLIT_RECORD_MAX,
	       "a buffer takes a whole record behind another");

/* --- frames */

static int stream_seal(struct divert *d, uint8_t flags, struct error *e)
{
	struct frame_out *f = outbox_frame(d->out);

	if (!f)
		return error_set(e, EPIPE, "the session has ended");
	/* Most pieces are short, and hundreds of them may wait. */
	if (d->stream_data && d->stream_len > 0 &&
	    d->stream_len < STREAM_MAX_PAYLOAD / 2) {
		uint8_t *less = realloc(d->stream_data, d->stream_len);

		d->stream_data = less ? less : d->stream_data;
	}
	f->owned = d->stream_data;
	f->iov[0] = (struct iovec){ d->stream_data, d->stream_len };
	f->iovs = 1;
	f->head.kind = FRAME_STREAM;
	f->head.flags = flags;
	f->head.stream = d->stream;
	f->head.len = (uint32_t)d->stream_len;
	f->head.offset = d->stream_offset;
	d->stream_offset += d->stream_len;
	d->stream_data = NULL;
	d->stream_len = 0;
	return outbox_put(d->out, f, NULL, e);
}

static int batch_open(struct divert *d, unsigned block, struct error *e)
{
	d->open = outbox_frame(d->out);
	if (!d->open)
		return error_set(e, EPIPE, "the session has ended");
	d->batch = (struct batch_head){ .block = (uint16_t)block,
					.codec = CODEC_RAW };
	d->open->iovs = 1; /* the head comes first */
	return 0;
}

static int batch_seal(struct divert *d, struct error *e)
{
	struct frame_out *f = d->open;
	uint64_t seq;
	size_t meta;

	if (!f)
		return 0;
	d->open = NULL;
	meta = batch_head_write(&d->batch, NULL, f->meta);
	f->iov[0] = (struct iovec){ f->meta, meta };
	f->head.kind = FRAME_PAGES;
	f->head.len = (uint32_t)(meta + (size_t)d->batch.pages * WIRE_PAGE);
	if (outbox_put(d->out, f, &seq, e) < 0)
		return error_code(e);
	for (unsigned i = 0; i < d->batch.runs; i++)
		track_carried(&d->track, d->batch.block, d->batch.run[i].first,
			      d->batch.run[i].count, seq);
	return 0;
}

static int flush(struct divert *d, struct error *e)
{
	if (batch_seal(d, e) < 0)
		return error_code(e);
	return d->stream_len > 0 ? stream_seal(d, 0, e) : 0;
}

/* --- what the splitter says */

static int on_stream(void *context, const uint8_t *data, size_t len,
		     struct error *e)
{
	struct divert *d = context;

	while (len > 0) {
		size_t room = STREAM_MAX_PAYLOAD - d->stream_len;
		size_t n = len < room ? len : room;

		if (!d->stream_data)
			d->stream_data = malloc(STREAM_MAX_PAYLOAD);
		if (!d->stream_data)
			return error_set(e, ENOMEM, "no memory for the stream");
		memcpy(d->stream_data + d->stream_len, data, n);
		d->stream_len += n;
		data += n;
		len -= n;
		if (d->stream_len == STREAM_MAX_PAYLOAD && flush(d, e) < 0)
			return error_code(e);
	}
	return 0;
}

static bool extends(const struct batch_run *r, enum batch_run_kind kind,
		    uint64_t page)
{
	return r->kind == kind && r->first + r->count == page &&
	       r->count < UINT32_MAX;
}

/* Does one more page of this kind fit into the open batch? */
static bool batch_takes(const struct divert *d, unsigned block,
			enum batch_run_kind kind, uint64_t page)
{
	const struct batch_head *b = &d->batch;
	const struct frame_out *f = d->open;

	if (!f || b->block != block)
		return false;
	if (b->runs == BATCH_MAX_RUNS &&
	    !extends(&b->run[b->runs - 1], kind, page))
		return false;
	if (kind == RUN_ZERO)
		return true;
	return b->pages < BATCH_MAX_PAGES &&
	       (f->buffers < FRAME_BUFFERS ||
		f->buffer[f->buffers - 1] == d->buffer);
}

static void batch_add(struct divert *d, enum batch_run_kind kind, uint64_t page,
		      const uint8_t *data)
{
	struct batch_head *b = &d->batch;
	struct frame_out *f = d->open;

	if (b->runs > 0 && extends(&b->run[b->runs - 1], kind, page))
		b->run[b->runs - 1].count++;
	else
		b->run[b->runs++] = (struct batch_run){ page, 1, kind };
	if (kind == RUN_ZERO)
		return;
	b->pages++;
	f->iov[f->iovs++] =
		(struct iovec){ (void *)(uintptr_t)data, WIRE_PAGE };
	if (f->buffers == 0 || f->buffer[f->buffers - 1] != d->buffer)
		f->buffer[f->buffers++] = buffer_hold(d->buffer);
}

/* The page's last version must have arrived before a newer one leaves. */
static int wait_landed(struct divert *d, unsigned block, uint64_t page,
		       struct error *e)
{
	uint64_t frame = track_frame(&d->track, block, page);

	if (frame == 0 || outbox_is_acked(d->out, frame))
		return 0;
	if (flush(d, e) < 0)
		return error_code(e);
	if (outbox_wait_acked(d->out, frame, USEC_NEVER) < 0)
		return error_set(e, EPIPE, "the session has ended");
	return 0;
}

/* Zero runs are long and the open batch knows them: a page must not be in it
 * twice either. */
static bool in_open_batch(const struct divert *d, unsigned block, uint64_t page)
{
	const struct batch_head *b = &d->batch;

	if (!d->open || b->block != block)
		return false;
	for (unsigned i = 0; i < b->runs; i++)
		if (page >= b->run[i].first &&
		    page - b->run[i].first < b->run[i].count)
			return true;
	return false;
}

static int on_page(void *context, unsigned block, uint64_t offset,
		   const uint8_t *data, struct error *e)
{
	struct divert *d = context;
	enum batch_run_kind kind = data ? RUN_DATA : RUN_ZERO;
	uint64_t page = offset / WIRE_PAGE;

	if (track_stays(&d->track, block, page))
		return 0;
	if (in_open_batch(d, block, page) && batch_seal(d, e) < 0)
		return error_code(e);
	if (wait_landed(d, block, page, e) < 0)
		return error_code(e);
	if (!batch_takes(d, block, kind, page)) {
		if (batch_seal(d, e) < 0 || batch_open(d, block, e) < 0)
			return error_code(e);
	}
	batch_add(d, kind, page, data);
	if (d->batch.pages == BATCH_MAX_PAGES && batch_seal(d, e) < 0)
		return error_code(e);
	return 1;
}

static void on_stays(void *context, unsigned block, uint64_t offset)
{
	struct divert *d = context;

	track_set_stays(&d->track, block, offset / WIRE_PAGE);
}

static bool on_may_divert(void *context)
{
	struct divert *d = context;

	return !d->alone || d->alone(d->context);
}

static const struct split_ops ops = {
	.stream = on_stream,
	.page = on_page,
	.stays = on_stays,
	.may_divert = on_may_divert,
};

/* --- reading */

static void publish(struct divert *d)
{
	const struct split_stats *s = split_stats(d->splitter);

	atomic_store_explicit(&d->pages, s->pages, memory_order_relaxed);
	atomic_store_explicit(&d->zero_pages, s->zero_pages,
			      memory_order_relaxed);
	atomic_store_explicit(&d->kept_pages, s->kept_pages,
			      memory_order_relaxed);
	atomic_store_explicit(&d->stream_bytes, s->stream_bytes,
			      memory_order_relaxed);
	atomic_store_explicit(&d->ram_bytes, split_ram_bytes(d->splitter),
			      memory_order_relaxed);
	/* The reason stands before the flag does. */
	atomic_store_explicit(&d->opaque, s->opaque, memory_order_release);
	atomic_store_explicit(&d->ram_done, s->ram_done, memory_order_relaxed);
}

/* Bytes from @fd; before waiting for QEMU, what is gathered leaves. */
static ssize_t read_some(struct divert *d, int fd, void *buf, size_t cap,
			 struct error *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (d->open || d->stream_len > 0) {
		if (poll(&p, 1, IDLE_MS) == 0 && flush(d, e) < 0)
			return error_code(e);
	}
	do {
		n = read(fd, buf, cap);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_sys(e, "read QEMU's migration stream");
	atomic_fetch_add_explicit(&d->read_bytes, (uint64_t)n,
				  memory_order_relaxed);
	return n;
}

/* A fresh buffer that begins with the bytes from @from on. */
static int next_buffer(struct divert *d, size_t from, size_t *have,
		       struct error *e)
{
	struct buffer *next = pool_take(d->pool);

	if (!next)
		return error_set(e, EPIPE, "the session has ended");
	memcpy(next->data, d->buffer->data + from, *have - from);
	*have -= from;
	buffer_drop(d->buffer);
	d->buffer = next;
	return 0;
}

static int finish(struct divert *d, struct error *e)
{
	if (flush(d, e) < 0)
		return error_code(e);
	return stream_seal(d, STREAM_FIN, e);
}

static int run(struct divert *d, int fd, struct error *e)
{
	size_t have = 0, used = 0;

	d->buffer = pool_take(d->pool);
	if (!d->buffer)
		return error_set(e, EPIPE, "the session has ended");
	for (;;) {
		ssize_t n;

		if (BUFFER_BYTES - have < SPLIT_RECORD_MAX) {
			if (next_buffer(d, used, &have, e) < 0)
				return error_code(e);
			used = 0;
		}
		n = read_some(d, fd, d->buffer->data + have,
			      BUFFER_BYTES - have, e);
		if (n <= 0)
			return n < 0 ? (int)n : finish(d, e);
		have += (size_t)n;
		n = split_feed(d->splitter, d->buffer->data + used, have - used,
			       e);
		if (n < 0)
			return (int)n;
		used += (size_t)n;
		publish(d);
	}
}

int divert_run(struct divert *d, int fd, struct error *e)
{
	int r = run(d, fd, e);

	if (d->open)
		outbox_give_back(d->out, d->open);
	d->open = NULL;
	buffer_drop(d->buffer);
	d->buffer = NULL;
	return r;
}

void divert_stop(struct divert *d)
{
	pool_close(d->pool);
}

uint64_t divert_pages(const struct divert *d)
{
	return atomic_load(&d->pages) + atomic_load(&d->zero_pages) +
	       atomic_load(&d->kept_pages);
}

bool divert_first_pass_done(const struct divert *d)
{
	return atomic_load(&d->opaque) || atomic_load(&d->ram_done) ||
	       (atomic_load(&d->ram_bytes) > 0 &&
		divert_pages(d) * WIRE_PAGE >= atomic_load(&d->ram_bytes));
}

int divert_init(struct divert *d, struct outbox *out, uint16_t stream,
		const struct relay_block *blocks, unsigned n, struct error *e)
{
	memset(d, 0, sizeof(*d));
	d->out = out;
	d->stream = stream;
	track_init(&d->track);
	if (pool_new(&d->pool, BUFFERS, BUFFER_BYTES, e) < 0 ||
	    split_new(&d->splitter, &ops, d, e) < 0)
		return error_code(e);
	for (unsigned i = 0; i < n; i++)
		if (split_divert(d->splitter, blocks[i].name,
				 blocks[i].len_bytes, i, e) < 0 ||
		    track_add_block(&d->track, i, blocks[i].len_bytes, e) < 0)
			return error_code(e);
	return 0;
}

void divert_done(struct divert *d)
{
	free(d->stream_data);
	track_done(&d->track);
	split_free(d->splitter);
	pool_free(d->pool);
}
