/* SPDX-License-Identifier: MIT */
#include "frames/inbox.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"

enum { CLAIMED = 1, PASSED = 2, APPLIED = 4 };

void inbox_init(struct inbox *in)
{
	memset(in, 0, sizeof(*in));
	pthread_mutex_init(&in->lock, NULL);
	clock_cond_init(&in->changed);
	in->below = in->passed = 1;
}

static void free_pieces(struct piece *p)
{
	while (p) {
		struct piece *next = p->next;

		free(p);
		p = next;
	}
}

void inbox_done(struct inbox *in)
{
	for (size_t i = 0; i < STREAMS_MAX; i++)
		free_pieces(in->stream[i].pieces);
	free_pieces(in->messages);
	pthread_cond_destroy(&in->changed);
	pthread_mutex_destroy(&in->lock);
}

void inbox_close(struct inbox *in)
{
	WITH_LOCK(&in->lock);

	in->closed = true;
	pthread_cond_broadcast(&in->changed);
}

static uint8_t *mark_of(struct inbox *in, uint64_t seq)
{
	return &in->mark[seq % FRAME_WINDOW];
}

int inbox_claim(struct inbox *in, uint64_t seq, struct error *e)
{
	WITH_LOCK(&in->lock);

	if (seq >= in->below + FRAME_WINDOW)
		return error_set(e, EBADMSG,
				 "frame %" PRIu64 " while %" PRIu64
				 " is missing",
				 seq, in->below);
	if (seq < in->below || *mark_of(in, seq)) {
		in->stats.duplicates++;
		return 0;
	}
	*mark_of(in, seq) = CLAIMED;
	in->stats.frames++;
	if (seq > in->highest)
		in->highest = seq;
	return 1;
}

/* `passed` runs ahead of `below`; a mark is cleared when `below` leaves it, so
 * that the slot can serve the number one window further on.  Who reads a stream
 * waits for `passed`, and is not woken for each batch of pages. */
static void set_marks(struct inbox *in, uint64_t seq, uint8_t marks)
{
	uint64_t before = in->passed;

	*mark_of(in, seq) |= marks;
	while (in->passed <= in->highest && *mark_of(in, in->passed) & PASSED)
		in->passed++;
	while (in->below <= in->highest && *mark_of(in, in->below) & APPLIED) {
		*mark_of(in, in->below) = 0;
		in->below++;
	}
	if (in->pieces > 0 && in->passed > before)
		pthread_cond_broadcast(&in->changed);
}

static void set_known(struct inbox *in, struct stream_in *s)
{
	if (s->known)
		return;
	s->known = true;
	pthread_cond_broadcast(&in->changed);
}

void inbox_pages_applied(struct inbox *in, uint64_t seq)
{
	WITH_LOCK(&in->lock);

	set_marks(in, seq, PASSED | APPLIED);
}

static struct piece *piece_new(const struct frame_head *h, const void *data,
			       struct error *e)
{
	struct piece *p = malloc(sizeof(*p) + h->len);

	if (!p) {
		error_set(e, ENOMEM, "no memory for %u bytes of stream",
			  h->len);
		return NULL;
	}
	p->seq = h->seq;
	p->offset = h->offset;
	p->stream = h->stream;
	p->flags = h->flags;
	p->len = h->len;
	memcpy(p->data, data, h->len);
	return p;
}

/* Behind @before and in front of @after: no two pieces may claim the same
 * place, and nothing comes behind the last; bytes between them are still on
 * their way. */
static bool fits(const struct piece *before, const struct piece *p,
		 const struct piece *after)
{
	uint64_t end;

	if (__builtin_add_overflow(p->offset, p->len, &end))
		return false;
	if (after && end > after->offset)
		return false;
	if (!before)
		return true;
	return before->offset + before->len <= p->offset &&
	       !(before->flags & (STREAM_FIN | STREAM_RESET));
}

static int insert(struct piece **list, struct piece *p, struct error *e)
{
	const struct piece *before = NULL;

	/* Pieces without bytes, the last one is such, stand in the order in
	 * which they were sent. */
	while (*list &&
	       ((*list)->offset < p->offset ||
		((*list)->offset == p->offset && (*list)->seq < p->seq))) {
		before = *list;
		list = &(*list)->next;
	}
	if (!fits(before, p, *list))
		return error_set(e, EBADMSG,
				 "%u bytes at offset %" PRIu64
				 " of stream %u, where others are",
				 p->len, p->offset, p->stream);
	p->next = *list;
	*list = p;
	return 0;
}

static int open_stream(struct inbox *in, const struct frame_head *h,
		       struct error *e)
{
	if (h->len > 0 || h->offset > 0)
		return error_set(e, EBADMSG, "stream %u opened with bytes",
				 h->stream);

	WITH_LOCK(&in->lock);

	set_known(in, &in->stream[h->stream]);
	set_marks(in, h->seq, PASSED | APPLIED);
	return 0;
}

int inbox_keep_stream(struct inbox *in, const struct frame_head *h,
		      const void *data, struct error *e)
{
	struct stream_in *s = &in->stream[h->stream];
	struct piece *p;

	if (h->flags & STREAM_OPEN)
		return open_stream(in, h, e);
	p = piece_new(h, data, e);
	if (!p)
		return error_code(e);

	WITH_LOCK(&in->lock);

	if (in->waiting_bytes + h->len > INBOX_STREAM_BYTES ||
	    h->offset < s->next_offset) {
		free(p);
		return error_set(e, EBADMSG,
				 "stream %u: %u bytes at offset %" PRIu64
				 " do not fit",
				 h->stream, h->len, h->offset);
	}
	if (insert(&s->pieces, p, e) < 0) {
		free(p);
		return error_code(e);
	}
	set_known(in, s);
	in->pieces++;
	in->waiting_bytes += h->len;
	in->stats.stream_bytes += h->len;
	set_marks(in, h->seq, PASSED);
	return 0;
}

/* Here an offset is an ordinal. */
static int insert_message(struct piece **list, struct piece *p)
{
	while (*list && (*list)->offset < p->offset)
		list = &(*list)->next;
	if (*list && (*list)->offset == p->offset)
		return -EBADMSG;
	p->next = *list;
	*list = p;
	return 0;
}

int inbox_keep_message(struct inbox *in, const struct frame_head *h,
		       const void *data, struct error *e)
{
	struct piece *p = piece_new(h, data, e);

	if (!p)
		return error_code(e);

	WITH_LOCK(&in->lock);

	if (in->message_bytes + h->len > INBOX_MESSAGE_BYTES ||
	    in->messages_waiting == INBOX_MESSAGES) {
		free(p);
		return error_set(e, EBADMSG, "too many messages");
	}
	if (h->offset < in->next_message ||
	    insert_message(&in->messages, p) < 0) {
		free(p);
		return error_set(e, EBADMSG, "message %" PRIu64 " out of turn",
				 h->offset);
	}
	in->message_bytes += h->len;
	in->messages_waiting++;
	set_marks(in, h->seq, PASSED | APPLIED);
	return 0;
}

int inbox_next_stream(struct inbox *in)
{
	WITH_LOCK(&in->lock);

	while (!in->closed) {
		if (in->announced < STREAMS_MAX &&
		    in->stream[in->announced].known)
			return (int)in->announced++;
		pthread_cond_wait(&in->changed, &in->lock);
	}
	return -EPIPE;
}

static bool is_ready(const struct inbox *in, const struct stream_in *s)
{
	const struct piece *p = s->pieces;

	return p && p->offset == s->next_offset && p->seq < in->passed;
}

static struct piece *next_piece(struct inbox *in, struct stream_in *s)
{
	struct piece *p = s->pieces;

	if (!is_ready(in, s))
		return NULL;
	s->pieces = p->next;
	in->pieces--;
	s->next_offset += p->len;
	return p;
}

struct piece *inbox_read(struct inbox *in, uint16_t stream)
{
	struct piece *p;

	return inbox_read_until(in, stream, UINT64_MAX, &p) < 0 ? NULL : p;
}

int inbox_read_until(struct inbox *in, uint16_t stream, uint64_t deadline_us,
		     struct piece **ret)
{
	const struct timespec until = clock_timespec(deadline_us);

	WITH_LOCK(&in->lock);

	while (!(*ret = next_piece(in, &in->stream[stream])) && !in->closed)
		if (pthread_cond_timedwait(&in->changed, &in->lock, &until))
			return -ETIMEDOUT;
	return *ret ? 0 : -EPIPE;
}

bool inbox_written(struct inbox *in, struct piece *p)
{
	bool ack_due;

	{
		WITH_LOCK(&in->lock);

		in->waiting_bytes -= p->len;
		set_marks(in, p->seq, APPLIED);
		in->unacked_bytes += p->len;
		ack_due = in->unacked_bytes >= INBOX_ACK_BYTES ||
			  !is_ready(in, &in->stream[p->stream]);
		if (ack_due)
			in->unacked_bytes = 0;
	}
	free(p);
	return ack_due;
}

struct piece *inbox_message(struct inbox *in)
{
	struct piece *p;

	WITH_LOCK(&in->lock);

	p = in->messages;
	if (!p || p->offset != in->next_message)
		return NULL;
	in->messages = p->next;
	in->next_message++;
	in->message_bytes -= p->len;
	in->messages_waiting--;
	return p;
}

void inbox_ack(struct inbox *in, struct ack *ret)
{
	WITH_LOCK(&in->lock);

	*ret = (struct ack){ .below = in->below };
	for (uint64_t s = in->below; s <= in->highest; s++) {
		struct ack_range *last =
			ret->ranges ? &ret->range[ret->ranges - 1] : NULL;

		if (!(*mark_of(in, s) & APPLIED))
			continue;
		if (last && last->first + last->count == s)
			last->count++;
		else if (ret->ranges < ACK_MAX_RANGES)
			ret->range[ret->ranges++] = (struct ack_range){ s, 1 };
		else
			break;
	}
}

void inbox_stats(struct inbox *in, struct inbox_stats *ret)
{
	WITH_LOCK(&in->lock);

	*ret = in->stats;
}
