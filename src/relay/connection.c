/* SPDX-License-Identifier: MIT */
#include "relay/connection.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/thread.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "relay/answers.h"
#include "relay/parts.h"
#include "session/session.h"

/* --- how it ends */

/* Who waited in a session that ended does not know why it did. */
void relay_fail(struct relay *r, const struct error *e)
{
	struct error why;

	if (session_failed(r->session) && session_check(r->session, &why) < 0)
		e = &why;
	{
		WITH_LOCK(&r->lock);

		if (r->failed || r->stopping)
			return;
		r->failed = true;
		r->why = *e;
	}
	eventfd_write(r->event_fd, 1);
}

static void half_ended(struct connection *c, bool *half)
{
	struct relay *r = c->relay;
	bool both;

	{
		WITH_LOCK(&r->lock);

		*half = true;
		both = c->read_ended && c->write_ended;
	}
	if (both && c->number == 0)
		eventfd_write(r->event_fd, 1);
}

/* A QEMU that is switching over writes to its socket with its big lock held:
 * as long as nobody reads, its monitor answers nobody, and its guest stands.
 * So the end of a session must not wait for the owner of the relay, who may
 * himself be waiting for that monitor. */
static void let_go_of_qemu(struct connection *c)
{
	shutdown(c->fd, SHUT_RDWR);
}

/* What a side connection could not pass on when the session was over says
 * nothing: how the migration ended is seen on connection 0, and QEMU closes the
 * others when it pleases. */
static void connection_fail(struct connection *c, const struct error *e)
{
	struct error ignored;

	if (c->number == 0 || session_check(c->relay->session, &ignored) == 0)
		relay_fail(c->relay, e);
}

/* --- how the migration ended */

static int judge_closed(struct relay *r, bool unread, struct error *e)
{
	return r->source ? ending_judge_source(&r->ending, e)
			 : ending_judge_destination(&r->ending, unread, e);
}

static bool is_judged(const struct connection *c)
{
	return c->relay->judges && c->number == 0;
}

/* --- reading a socket */

static struct frame_out *frame_for(struct outbox *o, uint16_t stream,
				   struct error *e)
{
	struct frame_out *f =
		stream > 0 ? calloc(1, sizeof(*f)) : outbox_frame(o);

	if (!f && stream > 0)
		error_set(e, ENOMEM, "no memory for the stream");
	else if (!f)
		error_set(e, EPIPE, "the session has ended");
	return f;
}

static int send_piece(struct relay *r, uint16_t stream, uint8_t flags,
		      uint64_t offset, struct iovec data /* taken over */,
		      struct error *e)
{
	struct outbox *o = session_outbox(r->session);
	struct frame_out *f = frame_for(o, stream, e);

	if (!f) {
		free(data.iov_base);
		return error_code(e);
	}
	f->owned = data.iov_base;
	f->iov[0] = data;
	f->iovs = 1;
	f->head.kind = FRAME_STREAM;
	f->head.flags = flags;
	f->head.stream = stream;
	f->head.len = (uint32_t)data.iov_len;
	f->head.offset = offset;
	return outbox_put(o, f, NULL, e);
}

/* QEMU closes a side connection when it pleases, also with bytes in it that it
 * had no use for: connection 0 says whether that was too early. */
static bool is_side_end(const struct connection *c, int code)
{
	return c->number > 0 && (code == ECONNRESET || code == EPIPE);
}

/* As read(), but a peer that closed with unread bytes is judged as well. */
static ssize_t read_some(struct connection *c, uint8_t *data, struct error *e)
{
	ssize_t n;

	do {
		n = read(c->fd, data, STREAM_MAX_PAYLOAD);
	} while (n < 0 && errno == EINTR);
	if (is_judged(c) && (n == 0 || (n < 0 && errno == ECONNRESET)))
		return judge_closed(c->relay, n < 0, e);
	if (n < 0 && is_side_end(c, errno))
		return 0;
	if (n < 0)
		return error_sys(e, "read from QEMU");
	if (is_judged(c))
		ending_answered(&c->relay->ending, data, (size_t)n);
	return n;
}

static int read_plain(struct connection *c, uint64_t *offset, struct error *e)
{
	uint8_t *data = malloc(STREAM_MAX_PAYLOAD);
	ssize_t n;

	if (!data)
		return error_set(e, ENOMEM, "no memory for the stream");
	n = read_some(c, data, e);
	if (n < 0) {
		free(data);
		return error_code(e);
	}
	if (!c->relay->source && c->number == 0)
		place_answer(&c->relay->place, data, (size_t)n);
	if (send_piece(c->relay, c->number, n == 0 ? STREAM_FIN : 0, *offset,
		       (struct iovec){ data, (size_t)n }, e) < 0)
		return error_code(e);
	*offset += (uint64_t)n;
	return n > 0;
}

int connection_announce(struct relay *r, uint16_t number, struct error *e)
{
	if (send_piece(r, number, STREAM_OPEN, 0, (struct iovec){ NULL, 0 },
		       e) < 0)
		return error_code(e);
	return 1;
}

static int await_blocks(struct relay *r, struct error *e)
{
	WITH_LOCK(&r->lock);

	while (!r->blocks_known && !r->stopping)
		pthread_cond_wait(&r->changed, &r->lock);
	return r->stopping ? error_set(e, ECANCELED, "the relay has ended") : 0;
}

static int read_all(struct connection *c, struct error *e)
{
	uint64_t offset = 0;
	int more;

	if (c->relay->source && c->number == 0)
		return await_blocks(c->relay, e) < 0
			       ? error_code(e)
			       : divert_run(&c->relay->divert, c->fd, e);
	do {
		more = read_plain(c, &offset, e);
	} while (more > 0);
	return more;
}

static void *reader_main(void *arg)
{
	struct connection *c = arg;
	struct error e;

	if (read_all(c, &e) < 0) {
		connection_fail(c, &e);
		let_go_of_qemu(c);
	}
	half_ended(c, &c->read_ended);
	return NULL;
}

/* --- writing a socket */

static int write_all(int fd, const void *data, size_t len, struct error *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, (const uint8_t *)data + done, len - done,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(e, "write to QEMU");
		done += (size_t)n;
	}
	return 0;
}

static int write_some(struct connection *c, const uint8_t *data, size_t len,
		      struct error *e)
{
	struct relay *r = c->relay;

	if (is_judged(c) && r->source)
		ending_answered(&r->ending, data, len);
	else if (is_judged(c))
		ending_sent(&r->ending, data, len);
	if (write_all(c->fd, data, len, e) == 0)
		return 0;
	if (is_judged(c) && (e->code == EPIPE || e->code == ECONNRESET))
		return judge_closed(r, true, e);
	return error_code(e);
}

static int write_answer(void *context, const uint8_t *data, size_t len,
			struct error *e)
{
	return write_some(context, data, len, e);
}

static bool may_switch(void *context)
{
	struct connection *c = context;

	return hold_is_over(&c->hold, &c->relay->divert,
			    session_outbox(c->relay->session));
}

static void take_answer(void *context, uint32_t value)
{
	struct connection *c = context;

	proofs_answered(&c->relay->divert.proofs, value);
}

static const struct answers_calls answers_calls = { write_answer, may_switch,
						    take_answer };

static int write_piece(struct connection *c, struct answers *a,
		       const struct piece *p, struct error *e)
{
	if (!c->relay->source || c->number != 0)
		return write_some(c, p->data, p->len, e);
	if (answers_write(a, p->data, p->len, e) < 0)
		return error_code(e);
	return p->flags & (STREAM_FIN | STREAM_RESET) ? answers_end(a, e) : 0;
}

static void writing_failed(struct connection *c, const struct error *e)
{
	if (!is_side_end(c, e->code))
		relay_fail(c->relay, e);
}

/* NULL once the session has ended. */
static struct piece *await_piece(struct connection *c, struct answers *a,
				 int *r, struct error *e)
{
	struct inbox *in = session_inbox(c->relay->session);
	struct piece *p;
	int waited;

	do {
		uint64_t until_us = UINT64_MAX;

		if (*r == 0 && (*r = answers_turn(a, &until_us, e)) < 0)
			writing_failed(c, e);
		waited = inbox_read_until(in, c->number, until_us, &p);
	} while (waited == -ETIMEDOUT);
	return waited < 0 ? NULL : p;
}

static void end_writing(struct connection *c, uint8_t flags, struct error *e)
{
	if (is_judged(c) && !c->relay->source &&
	    ending_judge_stream(&c->relay->ending, e) < 0)
		relay_fail(c->relay, e);
	if (flags & STREAM_RESET) {
		shutdown(c->fd, SHUT_RDWR);
		error_set(e, ECONNRESET,
			  "the other side's QEMU closed its connection");
		relay_fail(c->relay, e);
	} else {
		shutdown(c->fd, SHUT_WR);
	}
}

static void *writer_main(void *arg)
{
	struct connection *c = arg;
	struct inbox *in = session_inbox(c->relay->session);
	struct answers a = { .calls = &answers_calls, .context = c };
	struct error e;
	struct piece *p;
	int r = 0;

	while ((p = await_piece(c, &a, &r, &e))) {
		uint8_t flags = p->flags;

		/* After a failure the rest is only taken out of the way. */
		if (r == 0)
			r = write_piece(c, &a, p, &e);
		if (c->number == 0 && c->relay->taken.runs)
			taken_put(&c->relay->taken, p);
		else if (inbox_written(in, p))
			outbox_ack_due(session_outbox(c->relay->session));
		if (r < 0)
			writing_failed(c, &e);
		if (flags & (STREAM_FIN | STREAM_RESET)) {
			end_writing(c, flags, &e);
			break;
		}
	}
	/* Without its end, what arrived is a torso. */
	if (!p && c->number == 0 && session_check(c->relay->session, &e) < 0)
		relay_fail(c->relay, &e);
	if (!p)
		let_go_of_qemu(c);
	answers_done(&a);
	half_ended(c, &c->write_ended);
	return NULL;
}

/* --- its threads */

/* Nothing is joined here, relay_stop() does it. */
int connection_start(struct connection *c, struct error *e)
{
	int r = thread_create(&c->reader, "from qemu", reader_main, c);

	c->used = r == 0;
	if (r == 0)
		r = thread_create(&c->writer, "to qemu", writer_main, c);
	c->writing = r == 0;
	if (r == 0)
		return 0;
	if (c->used)
		shutdown(c->fd, SHUT_RDWR);
	else
		close(c->fd);
	return error_set(e, r, "no thread for a connection");
}

void connection_join(struct connection *c)
{
	shutdown(c->fd, SHUT_RDWR);
	pthread_join(c->reader, NULL);
	if (c->writing)
		pthread_join(c->writer, NULL);
	if (c->number == 0)
		taken_stop(&c->relay->taken);
	close(c->fd);
}
