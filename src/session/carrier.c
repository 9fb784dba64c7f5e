/* SPDX-License-Identifier: MIT */

/*
 * The two threads of a channel.
 *
 * The writer takes frames from the outbox and writes them; with nothing to
 * write it says so every HEARTBEAT_US by an acknowledgement.  The reader
 * receives one whole frame, verifies its checksum, claims its number and
 * applies it.  A frame that arrives damaged ends the channel, not the session:
 * what it carried was not acknowledged and is sent again.
 *
 * Either thread that finds the channel broken marks the carrier as dying and
 * shuts the channel down, which makes the other one return too.  The keeper
 * joins both, and only then puts the carrier's frames back into the outbox: no
 * frame is requeued while a thread may still write it.
 *
 * After the session's end the writer says BYE and closes its direction, and
 * the reader applies nothing more but drains until the peer has closed too:
 * closing with unread bytes would make the kernel send a reset, which can
 * overtake the BYE.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/thread.h"
#include "channel/channel.h"
#include "session/internal.h"

/* The lock is held. */
static void end_once(struct carrier *c, const char *why)
{
	if (c->failed)
		return;
	c->failed = true;
	if (c->state == CARRIER_ALIVE)
		c->state = CARRIER_DYING;
	snprintf(c->why, sizeof(c->why), "%s", why);
	pthread_cond_broadcast(&c->session->changed);
	outbox_channel_stop(&c->session->out, c->index);
	c->channel->kind->shutdown(c->channel);
}

static void carrier_fail(struct carrier *c, const struct error *e)
{
	WITH_LOCK(&c->session->lock);

	end_once(c, c->session->ended ? "done" : e->text);
}

void carrier_drop(struct carrier *c, const char *why)
{
	if (c->state == CARRIER_ALIVE)
		end_once(c, why);
}

/* --- writing */

static int write_frame(struct carrier *c, struct frame_out *f, struct error *e)
{
	struct iovec iov[2 + BATCH_MAX_PAGES];
	uint8_t head[FRAME_HEAD_SIZE];

	if (!atomic_load(&f->summed)) {
		f->head.sum = frame_sum(f->iov, f->iovs);
		atomic_store(&f->summed, true);
	}
	frame_head_write(&f->head, c->session->id, head);
	iov[0] = (struct iovec){ head, sizeof(head) };
	memcpy(&iov[1], f->iov, (size_t)f->iovs * sizeof(iov[0]));
	if (c->channel->kind->write(c->channel, iov, f->iovs + 1, e) < 0)
		return error_code(e);
	atomic_fetch_add(&c->bytes_sent, sizeof(head) + f->head.len);
	return 0;
}

static int write_plain(struct carrier *c, struct frame_head *h,
		       const void *payload, struct error *e)
{
	uint8_t head[FRAME_HEAD_SIZE];
	struct iovec iov[2] = { { head, sizeof(head) },
				{ (void *)(uintptr_t)payload, h->len } };

	h->sum = frame_sum(&iov[1], 1);
	frame_head_write(h, c->session->id, head);
	if (c->channel->kind->write(c->channel, iov, 2, e) < 0)
		return error_code(e);
	atomic_fetch_add(&c->bytes_sent, sizeof(head) + h->len);
	return 0;
}

/* What waits in the channels' sockets for their readers.  It is asked for pages
 * only, and a socket is not asked five times a second for nothing. */
static uint32_t backlog(struct session *s)
{
	uint64_t sum = 0;

	if (!atomic_load(&s->sink))
		return 0;

	WITH_LOCK(&s->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].channel)
			sum += s->carrier[i].channel->kind->unread(
				s->carrier[i].channel);
	return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

static int write_ack(struct carrier *c, struct error *e)
{
	uint8_t payload[ACK_MAX_PAYLOAD];
	struct frame_head h = { .kind = FRAME_ACK };
	struct session *s = c->session;
	struct ack a;

	inbox_ack(&s->in, &a);
	a.backlog = backlog(s);
	a.placed = atomic_load(&s->placed);
	a.busy_us = atomic_load(&s->busy_us);
	h.len = (uint32_t)ack_write(&a, payload);
	return write_plain(c, &h, payload, e);
}

static void write_bye(struct carrier *c)
{
	struct session *s = c->session;
	struct frame_head h = { .kind = FRAME_BYE };
	char why[sizeof(s->why)];
	struct error ignored;

	{
		WITH_LOCK(&s->lock);

		if (!s->ended || c->failed)
			return;
		h.flags = s->failed ? BYE_FAILED : 0;
		snprintf(why, sizeof(why), "%s", s->why);
	}
	h.len = (uint32_t)strlen(why);
	/* What was applied counts, also when the session ends now. */
	if (write_ack(c, &ignored) == 0)
		write_plain(c, &h, why, &ignored);
	c->channel->kind->finish(c->channel);
}

static int write_cards(struct carrier *c, struct error *e)
{
	struct frame_head h = { .kind = FRAME_CARDS };
	AUTO_FREE char *text = NULL;

	if (cards_send_text(c->session, &h.offset, &text, e) < 0)
		return error_code(e);
	c->cards_sent = h.offset;
	h.len = (uint32_t)strlen(text);
	return write_plain(c, &h, text, e);
}

static int write_next(struct carrier *c, struct error *e)
{
	struct outbox *o = &c->session->out;
	struct frame_out *f;
	int r;

	if (c->cards_sent != atomic_load(&c->session->cards_generation))
		return write_cards(c, e);
	switch (outbox_take(o, c->index, clock_us() + HEARTBEAT_US, &f)) {
	case OUTBOX_ACK:
		return write_ack(c, e);
	case OUTBOX_FRAME:
		r = write_frame(c, f, e);
		outbox_sent(o, f);
		return r;
	case OUTBOX_STOP:
		break;
	}
	write_bye(c);
	return error_set(e, ESHUTDOWN, "done");
}

static void *writer_main(void *arg)
{
	struct carrier *c = arg;
	struct error e;

	while (write_next(c, &e) == 0)
		;
	if (e.code != ESHUTDOWN)
		carrier_fail(c, &e);
	return NULL;
}

/* --- reading */

/* A slow link may take its time for a frame; a silent one may not. */
static int read_all(struct carrier *c, void *buf, size_t len, struct error *e)
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
		atomic_fetch_add(&c->bytes_received, (uint64_t)n);
		atomic_store(&c->session->heard_us, clock_us());
	}
	return 0;
}

/* The first bytes of the next header.  When none are there yet, this is the
 * moment to acknowledge what came before. */
static int read_head(struct carrier *c, uint8_t buf[FRAME_HEAD_SIZE],
		     unsigned *unacked, struct error *e)
{
	ssize_t n =
		c->channel->kind->read(c->channel, buf, FRAME_HEAD_SIZE, 0, e);

	if (n == -EAGAIN) {
		if (*unacked > 0)
			outbox_ack_due(&c->session->out);
		*unacked = 0;
		n = 0;
	} else if (n <= 0) {
		return n < 0 ? (int)n
			     : error_set(e, ECONNRESET,
					 "%s closed the connection",
					 c->channel->to);
	}
	atomic_fetch_add(&c->bytes_received, (uint64_t)n);
	return read_all(c, buf + n, FRAME_HEAD_SIZE - (size_t)n, e);
}

/* A pressed batch's pages, into the carrier's scratch. */
static int expand(struct carrier *c, const struct batch_head *batch,
		  struct batch_body *body, struct error *e)
{
	const struct codec_unit unit = { batch->codec, body->data, body->len };

	if (!c->codecs && codec_state_new(&c->codecs, e) < 0)
		return error_code(e);
	if (!c->pages)
		c->pages = malloc(CODEC_UNIT_MAX);
	if (!c->pages)
		return error_set(e, ENOMEM, "no memory for pressed pages");
	if (codec_expand(c->codecs, unit, c->pages,
			 (size_t)batch->pages * WIRE_PAGE, e) < 0)
		return error_code(e);
	body->data = c->pages;
	body->len = (size_t)batch->pages * WIRE_PAGE;
	return 0;
}

/* For the choice of codec: of batches without data it could learn nothing. */
static void count_placed(struct session *s, const struct batch_head *b,
			 uint64_t began_us)
{
	if (b->pages == 0)
		return;
	atomic_fetch_add(&s->placed, (uint64_t)b->pages * WIRE_PAGE);
	atomic_fetch_add(&s->busy_us, clock_us() - began_us);
}

static int apply_pages(struct carrier *c, const struct frame_head *h,
		       struct error *e)
{
	struct session *s = c->session;
	const struct page_sink *sink = atomic_load(&s->sink);
	struct batch_head batch;
	struct batch_body body;
	uint64_t began = clock_us();

	if (!sink)
		return error_set(e, EBADMSG, "pages, but no memory for them");
	if (batch_head_read(&batch, c->buffer, h->len, &body, e) < 0 ||
	    (batch.codec != CODEC_RAW && expand(c, &batch, &body, e) < 0) ||
	    sink->apply(sink->context, &batch, &body, e) < 0)
		return error_in(e, "frame %" PRIu64, h->seq);
	count_placed(s, &batch, began);
	inbox_pages_applied(&s->in, h->seq);
	return 0;
}

static int apply_ack(struct carrier *c, const struct frame_head *h,
		     struct error *e)
{
	struct ack a;

	if (ack_read(&a, c->buffer, h->len, e) < 0)
		return error_code(e);
	return outbox_acked(&c->session->out, &a, e);
}

static int apply_bye(struct carrier *c, const struct frame_head *h,
		     struct error *e)
{
	char text[BYE_MAX_PAYLOAD + 1], why[BYE_MAX_PAYLOAD + 80];

	text_printable(text, sizeof(text), c->buffer, h->len);
	snprintf(why, sizeof(why), "%s: %s", c->session->peer, text);
	if (h->flags & BYE_FAILED)
		session_fail(c->session, why);
	else
		session_end(c->session, why);
	return error_set(e, ESHUTDOWN, "done");
}

static int apply(struct carrier *c, const struct frame_head *h, struct error *e)
{
	struct session *s = c->session;
	int r;

	if (h->kind == FRAME_ACK)
		return apply_ack(c, h, e);
	if (h->kind == FRAME_BYE)
		return apply_bye(c, h, e);
	if (h->kind == FRAME_CARDS)
		return cards_received(s, h->offset, c->buffer, h->len, e);
	r = inbox_claim(&s->in, h->seq, e);
	if (r <= 0)
		return r;
	if (h->kind == FRAME_PAGES)
		return apply_pages(c, h, e);
	if (h->kind == FRAME_STREAM)
		return inbox_keep_stream(&s->in, h, c->buffer, e);
	if (inbox_keep_message(&s->in, h, c->buffer, e) < 0)
		return error_code(e);
	session_notify(s);
	return 0;
}

/* Cables and cards that damage frames are retried, not for ever. */
static void damaged(struct carrier *c, const struct error *e)
{
	struct session *s = c->session;
	char why[252];
	unsigned n;

	{
		WITH_LOCK(&s->lock);
		n = ++s->damaged;
	}
	log_warning("session with %s: channel %u: %s", s->peer, c->index,
		    e->text);
	if (n < DAMAGED_MAX)
		return;
	snprintf(why, sizeof(why),
		 "%u frames damaged on the way between %s and %s: check the "
		 "cards and cables of this path",
		 n, c->channel->from, c->channel->to);
	session_fail(s, why);
}

static int read_next(struct carrier *c, unsigned *unacked, struct error *e)
{
	enum { ACK_EVERY = 4 };
	uint8_t buf[FRAME_HEAD_SIZE];
	struct iovec payload;
	struct frame_head h;

	if (read_head(c, buf, unacked, e) < 0)
		return error_code(e);
	if (frame_head_read(&h, buf, c->session->id, e) < 0) {
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
	if (atomic_load(&c->session->over))
		return error_set(e, ESHUTDOWN, "done");
	if (apply(c, &h, e) < 0) {
		/* Intact, but wrong: sending it again would not help. */
		if (e->code != ESHUTDOWN)
			session_fail(c->session, e->text);
		return error_code(e);
	}
	if (h.seq != 0 && ++*unacked >= ACK_EVERY) {
		outbox_ack_due(&c->session->out);
		*unacked = 0;
	}
	return 0;
}

/* The keeper cuts a peer off that goes on for too long. */
static void drain(struct carrier *c)
{
	struct error ignored;

	while (c->channel->kind->read(c->channel, c->buffer, FRAME_MAX_PAYLOAD,
				      clock_us() + SILENT_US, &ignored) > 0)
		;
}

static void *reader_main(void *arg)
{
	struct carrier *c = arg;
	unsigned unacked = 0;
	struct error e, ended;

	while (read_next(c, &unacked, &e) == 0)
		;
	if (session_check(c->session, &ended) < 0)
		drain(c);
	carrier_fail(c, &e);
	return NULL;
}

/* --- life */

static struct carrier *free_slot(struct session *s)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].state == CARRIER_FREE)
			return &s->carrier[i];
	return NULL;
}

/* Without the session's lock: a reader that has to end again asks for it. */
static int start_threads(struct carrier *c, struct error *e)
{
	int r;

	r = thread_create(&c->reader, "channel in", reader_main, c);
	if (r != 0)
		return error_set(e, r, "no thread for a channel");
	r = thread_create(&c->writer, "channel out", writer_main, c);
	if (r == 0)
		return 0;
	c->channel->kind->shutdown(c->channel);
	pthread_join(c->reader, NULL);
	return error_set(e, r, "no thread for a channel");
}

static struct carrier *take_slot(struct session *s, struct channel *channel,
				 struct path *path, struct error *e)
{
	struct carrier *c;

	WITH_LOCK(&s->lock);

	c = s->ended ? NULL : free_slot(s);
	if (!c) {
		error_set(e, EBUSY,
			  "the session with %s takes no more channels",
			  s->peer);
		return NULL;
	}
	c->buffer = channel_buffer_new(channel, FRAME_MAX_PAYLOAD);
	if (!c->buffer) {
		error_set(e, ENOMEM, "no memory for a channel");
		return NULL;
	}
	c->channel = channel;
	c->path = path;
	c->cards_sent = 0;
	c->let_go = false;
	c->why[0] = '\0';
	c->failed = false;
	c->connected_us = clock_us();
	atomic_store(&c->bytes_sent, 0);
	atomic_store(&c->bytes_received, 0);
	outbox_channel_alive(&s->out, c->index);
	c->state = CARRIER_STARTING;
	return c;
}

static void slot_started(struct carrier *c, bool started)
{
	struct session *s = c->session;

	WITH_LOCK(&s->lock);

	c->state = CARRIER_ALIVE;
	if (c->failed)
		c->state = CARRIER_DYING;
	if (!started) {
		outbox_channel_stop(&s->out, c->index);
		channel_buffer_free(c->channel, c->buffer);
		c->channel = NULL;
		c->state = CARRIER_FREE;
	}
	pthread_cond_broadcast(&s->changed);
}

int carrier_start(struct session *s, struct channel *channel, struct path *path,
		  struct error *e)
{
	struct carrier *c = take_slot(s, channel, path, e);
	int r = c ? start_threads(c, e) : error_code(e);

	if (c)
		slot_started(c, r == 0);
	if (r < 0)
		channel_free(channel);
	return r;
}

json_t *carrier_json(const struct carrier *c)
{
	struct channel_stats st;
	uint64_t age = clock_us() - c->connected_us;
	uint64_t sent = atomic_load(&c->bytes_sent);

	c->channel->kind->stats(c->channel, &st);
	return json_pack("{s:I,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:s?}",
			 "channel", (json_int_t)c->index, "transport",
			 c->channel->kind->name, "from", c->channel->from, "to",
			 c->channel->to, "bytes", (json_int_t)sent, "received",
			 (json_int_t)atomic_load(&c->bytes_received), "rate",
			 (json_int_t)(age ? sent * USEC_PER_SEC / age : 0),
			 "retransmissions", (json_int_t)st.retransmissions,
			 "connected_ms", (json_int_t)(age / USEC_PER_MS),
			 "why_ended", c->why[0] ? c->why : NULL);
}

static void reap(struct session *s, struct carrier *c)
{
	pthread_mutex_unlock(&s->lock);
	pthread_join(c->reader, NULL);
	pthread_join(c->writer, NULL);
	outbox_channel_died(&s->out, c->index);
	pthread_mutex_lock(&s->lock);

	if (c->path)
		path_lost(c);
	s->bytes_sent += atomic_load(&c->bytes_sent);
	s->bytes_received += atomic_load(&c->bytes_received);
	channel_buffer_free(c->channel, c->buffer);
	channel_free(c->channel);
	free(c->pages);
	codec_state_free(c->codecs);
	c->pages = NULL;
	c->codecs = NULL;
	c->channel = NULL;
	c->path = NULL;
	c->state = CARRIER_FREE;
	pthread_cond_broadcast(&s->changed);
}

void carriers_reap(struct session *s)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].state == CARRIER_DYING)
			reap(s, &s->carrier[i]);
}

unsigned carriers_alive(const struct session *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		n += s->carrier[i].state == CARRIER_ALIVE;
	return n;
}

unsigned carriers_of(const struct session *s, const struct path *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		n += s->carrier[i].path == p &&
		     (s->carrier[i].state == CARRIER_ALIVE ||
		      s->carrier[i].state == CARRIER_STARTING);
	return n;
}

bool carriers_dying(const struct session *s, const struct path *p)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].path == p &&
		    s->carrier[i].state == CARRIER_DYING)
			return true;
	return false;
}

void carriers_shutdown(struct session *s)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].state != CARRIER_FREE)
			s->carrier[i].channel->kind->shutdown(
				s->carrier[i].channel);
}
