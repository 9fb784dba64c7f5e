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
#include "base/log.h"
#include "base/pool.h"
#include "codec/same.h"
#include "frames/outbox.h"
#include "relay/endpoint.h"

enum {
	BUFFER_BYTES = 512 * 1024,
	/* As much as may be unacknowledged, and a third more: a buffer waits
	 * for the last of its frames.  Their memory appears when the path is
	 * long or fast enough to need them: those that came back last are
	 * taken first. */
	BUFFERS = (OUTBOX_MOST + OUTBOX_MOST / 3) / BUFFER_BYTES,
	FIRST_READ = 4096,
	WAIT_TURN_US = 250000,
	IDLE_MS = 1, /* QEMU says nothing for so long: send what we have */
	/* What remembering a new page costs at most (bench/micro/history), and
	 * how much of what was waited is kept for it. */
	REMEMBER_US = 1,
	SLACK_MOST_US = 20000,
};

_Static_assert(BUFFER_BYTES > 2 * SPLIT_RECORD_MAX,
	       "a buffer takes a whole record behind another");

/* --- frames */

static int stream_seal(struct divert *d, uint8_t flags, struct error *e)
{
	struct frame_out *f = outbox_frame(d->out);

	if (!f)
		return error_set(e, EPIPE, "the session has ended");
	if (d->sent)
		d->sent(d->context, d->stream_data, d->stream_len);
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
	return outbox_put(d->out, f, &d->stream_seq, e);
}

/* An empty batch for pages of @block. */
static int begin_batch(struct divert *d, unsigned block, struct error *e)
{
	struct frame_out *f = outbox_frame(d->out);

	if (!f)
		return error_set(e, EPIPE, "the session has ended");
	batch_open(&d->batch, f, block);
	return 0;
}

/* This thread had to wait. */
static void gain_slack(struct divert *d, uint64_t us)
{
	d->slack_us += us < SLACK_MOST_US ? (int64_t)us : SLACK_MOST_US;
	if (d->slack_us > SLACK_MOST_US)
		d->slack_us = SLACK_MOST_US;
}

static uint64_t bytes_for_qemu(const struct batch_head *b)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < b->runs; i++)
		if (b->run[i].kind != RUN_ZERO)
			pages += b->run[i].count;
	return pages * WIRE_PAGE;
}

/* QEMU may stop the guest, and would count on what repeats let through. */
static bool is_paced(struct divert *d)
{
	uint64_t rate;

	if ((atomic_load(&d->made[RUN_SAME]) == 0 &&
	     atomic_load(&d->made[RUN_DELTA]) == 0) ||
	    !outbox_is_near_end(d->out, &rate))
		return false;
	d->pace.least = (double)rate;
	return true;
}

static void keep_pace(struct divert *d, uint64_t bytes)
{
	uint64_t us;

	pace_took(&d->pace, bytes, clock_us());
	while (is_paced(d)) {
		us = pace_wait_us(&d->pace, clock_us());
		if (us == 0)
			return;
		usleep((useconds_t)us);
	}
	pace_forgive(&d->pace);
}

static int seal_batch(struct divert *d, struct error *e)
{
	const struct batch_head *b = &d->batch.head;
	uint64_t seq, waited;

	if (!d->batch.frame)
		return 0;
	if (outbox_put(d->out, batch_close(&d->batch), &seq, e) < 0)
		return error_code(e);
	waited = outbox_waited_us(d->out);
	gain_slack(d, waited - d->waited_us);
	d->waited_us = waited;
	for (unsigned i = 0; i < b->runs; i++)
		track_carried(&d->track, b->block, b->run[i].first,
			      b->run[i].count, seq);
	if (d->history)
		keep_pace(d, bytes_for_qemu(b));
	return 0;
}

static int flush(struct divert *d, struct error *e)
{
	if (seal_batch(d, e) < 0)
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

/* The page's last version must have arrived before a newer one leaves. */
static int wait_landed(struct divert *d, unsigned block, uint64_t page,
		       struct error *e)
{
	uint64_t frame = track_frame(&d->track, block, page), start;

	if (frame == 0 || outbox_is_acked(d->out, frame))
		return 0;
	if (flush(d, e) < 0)
		return error_code(e);
	start = clock_us();
	if (outbox_wait_acked(d->out, frame, USEC_NEVER) < 0)
		return error_set(e, EPIPE, "the session has ended");
	gain_slack(d, clock_us() - start);
	return 0;
}

/* As the history knows it, which has @data for the last version then. */
static void describe_data(struct divert *d, unsigned block, const uint8_t *data)
{
	struct batch_page *p = &d->page;
	struct history_delta delta;
	bool remember = d->slack_us > 0;

	if (remember)
		d->slack_us -= REMEMBER_US;
	switch (history_page(d->history, block, p->number, data, remember,
			     &delta)) {
	case HISTORY_SAME:
		batch_page_same(p, data);
		atomic_store_explicit(&d->spared_pages, d->history->spared,
				      memory_order_relaxed);
		break;
	case HISTORY_DELTA:
		batch_page_delta(p, data, &delta);
		break;
	case HISTORY_DATA:
		batch_page_data(p, data, d->buffer);
	}
}

static void describe(struct divert *d, unsigned block, uint64_t page,
		     const uint8_t *data)
{
	uint64_t word = 0;

	d->page.number = page;
	if (!data || (d->history && page_is_filled(data, &word))) {
		batch_page_filled(&d->page, word);
		if (d->history)
			history_filled(d->history, block, page, word,
				       d->slack_us > 0);
	} else if (d->history) {
		describe_data(d, block, data);
	} else {
		batch_page_data(&d->page, data, d->buffer);
	}
}

/* Nobody else writes it. */
static void add(atomic_uint_fast64_t *counter, uint64_t n)
{
	n += atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, n, memory_order_relaxed);
}

/* Behind everything so far, and before the page itself and the PING. */
static int send_proof(struct divert *d, unsigned block, uint64_t page,
		      const uint8_t *data, struct error *e)
{
	if (flush(d, e) < 0 || begin_batch(d, block, e) < 0)
		return error_code(e);
	d->page.number = page;
	batch_page_proof(&d->page, data);
	batch_add(&d->batch, &d->page);
	return outbox_put(d->out, batch_close(&d->batch), NULL, e);
}

/* A page of a block whose address is not proved. */
static int keep_page(struct divert *d, unsigned block, uint64_t page,
		     const uint8_t *data, struct error *e)
{
	uint64_t word;

	if (d->history)
		history_forget(d->history, block, page);
	if (proofs_state(&d->proofs, block) == PROOF_FAILED ||
	    !split_can_ask(d->splitter) || !data || page_is_filled(data, &word))
		return SPLIT_PASSES;
	if (send_proof(d, block, page, data, e) < 0)
		return error_code(e);
	return SPLIT_ASKS;
}

static int on_page(void *context, unsigned block, uint64_t offset,
		   const uint8_t *data, struct error *e)
{
	struct divert *d = context;
	uint64_t page = offset / WIRE_PAGE;

	if (d->unproved[block])
		return keep_page(d, block, page, data, e);
	if (track_stays(&d->track, block, page))
		return SPLIT_STAYS;
	if (batch_has(&d->batch, block, page) && seal_batch(d, e) < 0)
		return error_code(e);
	if (wait_landed(d, block, page, e) < 0)
		return error_code(e);
	describe(d, block, page, data);
	if (!batch_takes(&d->batch, block, &d->page)) {
		if (seal_batch(d, e) < 0 || begin_batch(d, block, e) < 0)
			return error_code(e);
	}
	batch_add(&d->batch, &d->page);
	add(&d->made[d->page.kind], 1);
	if (d->page.kind == RUN_DELTA)
		add(&d->delta_bytes, d->page.side_len);
	if (batch_is_full(&d->batch) && seal_batch(d, e) < 0)
		return error_code(e);
	return SPLIT_TAKEN;
}

static void on_stays(void *context, unsigned block, uint64_t offset)
{
	struct divert *d = context;
	uint64_t page = offset / WIRE_PAGE;

	track_set_stays(&d->track, block, page);
	if (d->history)
		history_forget(d->history, block, page);
}

static bool on_may_divert(void *context)
{
	struct divert *d = context;

	return !d->alone || d->alone(d->context);
}

/* QEMU may give up meanwhile. */
static int wait_taken(struct divert *d, struct error *e)
{
	int r = 0;

	if (!d->waits)
		return 0;
	if (flush(d, e) < 0)
		return error_code(e);
	while (d->stream_seq > 0 &&
	       (r = outbox_wait_acked(d->out, d->stream_seq,
				      clock_us() + WAIT_TURN_US)) == -ETIMEDOUT)
		if (endpoint_hung_up(d->fd) && d->closed &&
		    d->closed(d->context, e) < 0)
			return error_code(e);
	return r < 0 ? error_set(e, EPIPE, "the session has ended") : 0;
}

/* What QEMU reads behind the header of a section, it reads when it has taken
 * in all before: it does not refuse the machine, its uuid or its memory any
 * more. */
static int on_begins(void *context, struct error *e)
{
	return wait_taken(context, e);
}

/* QEMU's event says it, too, but its monitor is silent while it switches over:
 * whoever asked it something just before hears of the event too late. */
static int on_ending(void *context, struct error *e)
{
	struct divert *d = context;

	if (d->ending)
		d->ending(d->context);
	if (d->end_waited)
		return 0;
	d->end_waited = true;
	return wait_taken(d, e);
}

/* The destination's QEMU answers when it has the page. */
static int on_asked(void *context, unsigned block, struct error *e)
{
	struct divert *d = context;

	if (flush(d, e) < 0)
		return error_code(e);
	while (!proofs_wait(&d->proofs, block, clock_us() + WAIT_TURN_US)) {
		if (outbox_wait_acked(d->out, d->stream_seq, clock_us()) ==
		    -EPIPE)
			return error_set(e, EPIPE, "the session has ended");
		/* Reading on tells what that means. */
		if (endpoint_hung_up(d->fd)) {
			proofs_give_up(&d->proofs, block);
			return 0;
		}
	}
	d->unproved[block] = proofs_state(&d->proofs, block) != PROOF_GIVEN;
	return 0;
}

static const struct split_ops ops = {
	.stream = on_stream,
	.page = on_page,
	.stays = on_stays,
	.may_divert = on_may_divert,
	.begins = on_begins,
	.ending = on_ending,
	.asked = on_asked,
};

/* --- reading */

/* QEMU has sent the last page, and goes on with its devices. */
static int on_ram_done(struct divert *d, struct error *e)
{
	if (!split_stats(d->splitter)->ram_done)
		return 0;
	atomic_store_explicit(&d->last_us, clock_us(), memory_order_relaxed);
	if (atomic_load_explicit(&d->ram_us, memory_order_relaxed))
		return 0;
	atomic_store_explicit(&d->ram_us, clock_us(), memory_order_relaxed);
	if (seal_batch(d, e) < 0)
		return error_code(e);
	outbox_mark(d->out);
	return 0;
}

static void publish(struct divert *d)
{
	const struct split_stats *s = split_stats(d->splitter);

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

	if (d->batch.frame || d->stream_len > 0) {
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
	uint64_t start = clock_us();
	struct buffer *next = pool_take(d->pool);

	gain_slack(d, clock_us() - start);
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
	if (flush(d, e) < 0 || (d->closed && d->closed(d->context, e) < 0))
		return error_code(e);
	return stream_seal(d, STREAM_FIN, e);
}

/* Before the destination's QEMU has taken to it, the source's is read as slowly
 * as can be: what is in its socket is enough for a small guest to be done. */
static size_t room_for(const struct divert *d, size_t room)
{
	bool slow = d->waits && divert_pages(d) == 0 &&
		    !split_stats(d->splitter)->opaque;

	return slow && room > FIRST_READ ? FIRST_READ : room;
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
			      room_for(d, BUFFER_BYTES - have), e);
		if (n <= 0)
			return n < 0 ? (int)n : finish(d, e);
		have += (size_t)n;
		n = split_feed(d->splitter, d->buffer->data + used, have - used,
			       e);
		if (n < 0)
			return (int)n;
		used += (size_t)n;
		publish(d);
		if (on_ram_done(d, e) < 0)
			return error_code(e);
	}
}

int divert_run(struct divert *d, int fd, struct error *e)
{
	int r;

	d->fd = fd;
	r = run(d, fd, e);
	if (d->batch.frame)
		outbox_give_back(d->out, d->batch.frame);
	d->batch.frame = NULL;
	buffer_drop(d->buffer);
	d->buffer = NULL;
	return r;
}

void divert_stop(struct divert *d)
{
	proofs_stop(&d->proofs);
	pool_close(d->pool);
}

uint64_t divert_pages(const struct divert *d)
{
	uint64_t sum = atomic_load(&d->kept_pages);

	for (unsigned i = 0; i < RUN_KINDS; i++)
		sum += atomic_load(&d->made[i]);
	return sum;
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
	proofs_init(&d->proofs);
	if (pool_new(&d->pool, BUFFERS, BUFFER_BYTES, e) < 0 ||
	    split_new(&d->splitter, &ops, d, e) < 0)
		return error_code(e);
	return divert_add_blocks(d, blocks, n, e);
}

int divert_add_blocks(struct divert *d, const struct relay_block *blocks,
		      unsigned n, struct error *e)
{
	for (unsigned i = 0; i < n; i++) {
		if (split_divert(d->splitter, blocks[i].name,
				 blocks[i].len_bytes, i, e) < 0 ||
		    track_add_block(&d->track, i, blocks[i].len_bytes, e) < 0)
			return error_code(e);
		d->unproved[i] = blocks[i].asks_proof;
		if (blocks[i].asks_proof)
			proofs_need(&d->proofs, i, split_name(d->splitter, i));
	}
	return 0;
}

static int history_new(struct history **ret, uint64_t cache_bytes,
		       const struct relay_block *blocks, unsigned n,
		       struct error *e)
{
	struct history *h = malloc(sizeof(*h));
	int r;

	if (!h)
		return error_set(e, ENOMEM, "no memory for a history");
	r = history_init(h, cache_bytes, e);
	for (unsigned i = 0; r == 0 && i < n; i++)
		r = history_add_block(h, i, blocks[i].len_bytes, e);
	if (r < 0) {
		history_done(h);
		free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void divert_set_repeats(struct divert *d, const struct history_size *size,
			const struct relay_block *blocks, unsigned n)
{
	uint64_t ram_bytes = 0, cache_bytes;
	struct error e;

	for (unsigned i = 0; i < n; i++)
		ram_bytes += blocks[i].len_bytes;
	cache_bytes = history_size_bytes(size, ram_bytes);
	if (history_new(&d->history, cache_bytes, blocks, n, &e) == 0)
		return;
	log_warning("move: no earlier versions of pages are kept: %s", e.text);
	if (history_new(&d->history, 0, blocks, n, &e) < 0)
		log_warning("move: unchanged pages are not looked for: %s",
			    e.text);
}

void divert_set_known(struct divert *d, const struct history_known *known)
{
	struct error e;

	if (d->history && history_know(d->history, known, &e) < 0)
		log_warning("move: what the destination has kept is not all "
			    "made use of: %s",
			    e.text);
}

void divert_done(struct divert *d)
{
	if (d->history)
		history_done(d->history);
	free(d->history);
	free(d->stream_data);
	track_done(&d->track);
	proofs_done(&d->proofs);
	split_free(d->splitter);
	pool_free(d->pool);
}
