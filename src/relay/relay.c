/* SPDX-License-Identifier: MIT */
#include "relay/relay.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "pages/memory.h"
#include "relay/answers.h"
#include "relay/ending.h"
#include "relay/endpoint.h"
#include "relay/hold.h"
#include "relay/place.h"
#include "relay/taken.h"
#include "session/session.h"
#include "wire/frame.h"

enum { CONNECT_US = 5000000 };

struct connection {
	/* set before its threads start */
	struct relay *relay;
	uint16_t number;
	int fd;
	pthread_t reader, writer;
	struct hold hold; /* the writer's */

	/* guarded by the relay */
	bool used;    /* the reader exists */
	bool writing; /* so does the writer */
	bool read_ended, write_ended;
};

struct relay {
	/* set before the threads start */
	struct session *session;
	bool source;
	uint64_t switchover_outage_us;
	struct endpoint endpoint; /* listened on, or connected to */
	int listen_fd;            /* source */
	unsigned connections_max; /* the same */
	int stop_fd;              /* readable once the relay stops */
	int event_fd;
	pthread_t acceptor;
	struct divert divert; /* connection 0 of the source */
	const struct history_size *repeats;
	struct place place; /* destination */
	bool judges;
	struct ending ending;
	struct taken taken; /* destination, when it judges */
	int (*connected)(void *context, struct relay *r, int fd,
			 struct error *e);
	void *context;

	pthread_mutex_t lock; /* guards what follows, and the connections */
	pthread_cond_t changed;
	bool blocks_set, blocks_known; /* of the destination; source */
	char left_out[200];            /* one that is not among them */
	bool connecting;               /* destination: to QEMU, or it has */
	bool stopping, failed;
	struct error why;
	unsigned connections;
	struct connection connection[STREAMS_MAX];
};

/* --- how it ends */

/* Who waited in a session that ended does not know why it did. */
static void relay_fail(struct relay *r, const struct error *e)
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

int relay_check(struct relay *r, struct error *e)
{
	const struct connection *c = &r->connection[0];

	WITH_LOCK(&r->lock);

	if (r->failed) {
		*e = r->why;
		return error_code(e);
	}
	return c->used && c->read_ended && c->write_ended;
}

int relay_event_fd(const struct relay *r)
{
	return r->event_fd;
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

static void on_sent(void *context, const uint8_t *data, size_t len)
{
	struct relay *r = context;

	ending_sent(&r->ending, data, len);
}

/* Its QEMU has closed connection 0, or nearly: when it reads SHUT, it does. */
static int on_closed(void *context, struct error *e)
{
	struct relay *r = context;

	return ending_judge_source(&r->ending, e);
}

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

/* --- connections */

/* Under the relay's lock, which the threads ask for when they end: nothing is
 * joined here, relay_stop() does it. */
static int start_threads(struct connection *c, struct error *e)
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

/* Under the relay's lock.  Takes @fd over. */
static int add_locked(struct relay *r, uint16_t number, int fd, struct error *e)
{
	struct connection *c = &r->connection[number];

	if (r->stopping) {
		close(fd);
		return error_set(e, ECANCELED, "the relay has ended");
	}
	c->relay = r;
	c->number = number;
	c->fd = fd;
	if (number == 0 && r->judges)
		r->ending.pidfd = endpoint_pidfd(fd);
	if (number == 0 && r->judges && !r->source &&
	    taken_start(&r->taken, r->session, &r->ending, fd, e) < 0) {
		close(fd);
		return error_code(e);
	}
	r->connections++;
	return start_threads(c, e);
}

static int add_connection(struct relay *r, uint16_t number, int fd,
			  struct error *e)
{
	WITH_LOCK(&r->lock);

	return add_locked(r, number, fd, e);
}

/* With multifd, or a second stream of any other kind, pages also come over
 * connections that we do not look into; order between them is QEMU's. */
static bool is_alone(void *context)
{
	struct relay *r = context;
	struct pollfd p = { .fd = r->listen_fd, .events = POLLIN };

	WITH_LOCK(&r->lock);

	/* Under the lock a connection is either waiting or counted. */
	return r->connections == 1 && poll(&p, 1, 0) == 0;
}

/* 1 with a connection, 0 when it went again before it was taken. */
static int accept_one(struct relay *r, uint16_t number, struct error *e)
{
	struct pollfd p[2] = { { .fd = r->listen_fd, .events = POLLIN },
			       { .fd = r->stop_fd, .events = POLLIN } };
	int fd;

	poll(p, 2, -1);

	WITH_LOCK(&r->lock);

	if (r->stopping)
		return error_set(e, ECANCELED, "the relay has ended");
	fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0 && number == r->connections_max) {
		close(fd);
		return error_set(e, E2BIG,
				 "QEMU made more than the %u connections that "
				 "a relay to host %s has: it needs fewer "
				 "multifd-channels",
				 r->connections_max, session_peer(r->session));
	}
	if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
		return 0;
	if (fd < 0)
		return error_sys(e, "accept QEMU's connection");
	return add_locked(r, number, fd, e) < 0 ? error_code(e) : 1;
}

/* The destination's QEMU may wait for a connection that says nothing for a
 * long time, such as the one for urgent pages in post-copy.  1 or negative. */
static int announce(struct relay *r, uint16_t number, struct error *e)
{
	if (send_piece(r, number, STREAM_OPEN, 0, (struct iovec){ NULL, 0 },
		       e) < 0)
		return error_code(e);
	return 1;
}

static void *accept_main(void *arg)
{
	struct relay *r = arg;
	struct error e;

	for (int n = 0, got = 0;; n += got) {
		got = accept_one(r, (uint16_t)n, &e);
		if (got > 0)
			got = announce(r, (uint16_t)n, &e);
		if (got >= 0)
			continue;
		relay_fail(r, &e);
		break;
	}
	return NULL;
}

static int connect_one(struct relay *r, int number, int *ret_fd,
		       struct error *e)
{
	AUTO_CLOSE int fd = -1;

	{
		WITH_LOCK(&r->lock);

		r->connecting = true;
	}
	if (endpoint_connect(&r->endpoint, clock_us() + CONNECT_US, &fd, e) <
		    0 ||
	    (number == 0 && r->connected &&
	     r->connected(r->context, r, fd, e) < 0))
		return error_code(e);
	*ret_fd = take_fd(&fd);
	return 0;
}

static void *connect_main(void *arg)
{
	struct relay *r = arg;
	int n, fd = -1;

	while ((n = inbox_next_stream(session_inbox(r->session))) >= 0) {
		struct error e;

		if (connect_one(r, n, &fd, &e) < 0 ||
		    add_connection(r, (uint16_t)n, fd, &e) < 0)
			relay_fail(r, &e);
	}
	return NULL;
}

/* --- life */

static void is_ending(void *context)
{
	struct relay *r = context;

	session_switchover(r->session, r->switchover_outage_us);
}

int relay_set_blocks(struct relay *r, const struct relay_blocks *blocks,
		     struct error *e)
{
	{
		WITH_LOCK(&r->lock);

		if (!r->source || r->blocks_set)
			return error_set(e, EBADMSG,
					 "RAM blocks that nobody waits for");
		r->blocks_set = true;
	}
	if (divert_add_blocks(&r->divert, blocks->at, blocks->n, e) < 0)
		return error_code(e);
	if (r->repeats)
		divert_set_repeats(&r->divert, r->repeats, blocks->at,
				   blocks->n);

	WITH_LOCK(&r->lock);

	if (blocks->left_out.count > 0)
		snprintf(r->left_out, sizeof(r->left_out), "%s",
			 blocks->left_out.at[0]);
	r->blocks_known = true;
	pthread_cond_broadcast(&r->changed);
	return 0;
}

void relay_set_memory(struct relay *r, struct guest_memory *memory)
{
	if (!memory || memory_blocks(memory) == 0)
		return;
	place_init(&r->place, memory);
	session_set_page_sink(r->session, &r->place.sink);
}

static int relay_setup(struct relay *r, const struct relay_options *o,
		       struct error *e)
{
	static const struct relay_blocks none;

	if (endpoint_parse(&r->endpoint,
			   r->source ? o->listen_path : o->connect_path, e) < 0)
		return error_code(e);
	if (!r->source) {
		relay_set_memory(r, o->memory);
		r->connected = o->connected;
		r->context = o->context;
		return 0;
	}
	r->repeats = o->repeats;
	r->connections_max = session_peer_can(o->session, CAN_STREAMS)
				     ? STREAMS_MAX
				     : STREAMS_OLD;
	if (divert_init(&r->divert, session_outbox(o->session), 0, NULL, 0, e) <
		    0 ||
	    (!o->blocks_follow &&
	     relay_set_blocks(r, o->blocks ? o->blocks : &none, e) < 0))
		return error_code(e);
	r->switchover_outage_us = o->switchover_outage_us;
	r->divert.alone = is_alone;
	r->divert.ending = is_ending;
	if (r->judges) {
		r->divert.sent = on_sent;
		r->divert.closed = on_closed;
		r->divert.waits = true;
	}
	r->divert.context = r;
	return endpoint_listen(&r->endpoint, &o->owner, STREAMS_MAX,
			       &r->listen_fd, e);
}

int relay_new(struct relay **ret, const struct relay_options *o,
	      struct error *e)
{
	struct relay *r = calloc(1, sizeof(*r));
	int n;

	if (!r)
		return error_set(e, ENOMEM, "no memory for a relay");
	r->session = o->session;
	r->source = o->listen_path;
	r->listen_fd = -1;
	r->judges = o->judges;
	ending_init(&r->ending);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event_fd < 0 || r->stop_fd < 0) {
		error_sys(e, "eventfd");
		goto failed;
	}
	if (relay_setup(r, o, e) < 0)
		goto failed;
	n = thread_create(&r->acceptor, "relay",
			  r->source ? accept_main : connect_main, r);
	if (n == 0) {
		*ret = r;
		return 0;
	}
	error_set(e, n, "no thread for a relay");
failed:
	if (r->listen_fd >= 0)
		endpoint_remove(&r->endpoint);
	relay_free(r);
	return error_code(e);
}

static void join_connection(struct connection *c)
{
	shutdown(c->fd, SHUT_RDWR);
	pthread_join(c->reader, NULL);
	if (c->writing)
		pthread_join(c->writer, NULL);
	if (c->number == 0)
		taken_stop(&c->relay->taken);
	close(c->fd);
}

/* The session is ended first: threads wait in its outbox and inbox. */
void relay_stop(struct relay *r)
{
	if (!r)
		return;
	{
		WITH_LOCK(&r->lock);

		if (r->stopping)
			return;
		r->stopping = true;
		pthread_cond_broadcast(&r->changed);
	}
	session_end(r->session, "the relay was closed");
	if (r->source) {
		divert_stop(&r->divert);
		eventfd_write(r->stop_fd, 1);
	}
	pthread_join(r->acceptor, NULL);
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		if (r->connection[i].used)
			join_connection(&r->connection[i]);
	taken_stop(&r->taken);
	if (r->source)
		endpoint_remove(&r->endpoint);
	session_set_page_sink(r->session, NULL);
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	if (r->source)
		divert_done(&r->divert);
	if (r->listen_fd >= 0)
		close(r->listen_fd);
	scope_close(&r->event_fd);
	scope_close(&r->stop_fd);
	ending_done(&r->ending);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void relay_stats(struct relay *r, struct relay_stats *ret)
{
	const struct divert *d = &r->divert;

	*ret = (struct relay_stats){ 0 };
	{
		WITH_LOCK(&r->lock);

		ret->connected = r->connecting || r->connection[0].used;
	}
	if (!r->source) {
		for (unsigned i = 0; i < RUN_KINDS; i++)
			ret->pages.of[i] = atomic_load(&r->place.pages[i]);
		return;
	}
	ret->ram_bytes = atomic_load(&d->ram_bytes);
	for (unsigned i = 0; i < RUN_KINDS; i++)
		ret->pages.of[i] = atomic_load(&d->made[i]);
	ret->pages.delta_bytes = atomic_load(&d->delta_bytes);
	ret->kept_pages = atomic_load(&d->kept_pages);
	ret->stream_bytes = atomic_load(&d->stream_bytes);
	ret->read_bytes = atomic_load(&d->read_bytes);
	ret->ram_done = atomic_load(&d->ram_done);
	ret->ram_us = atomic_load(&d->ram_us);
	ret->last_us = atomic_load(&d->last_us);
	ret->landed_us = outbox_mark_acked_us(session_outbox(r->session));
	ret->opaque = atomic_load(&d->opaque);
	if (!proofs_explain(&r->divert.proofs, ret->why_kept,
			    sizeof(ret->why_kept))) {
		WITH_LOCK(&r->lock);

		snprintf(ret->why_kept, sizeof(ret->why_kept), "%s",
			 r->left_out);
	}
	if (ret->opaque) /* written before the flag, never again */
		memcpy(ret->why_opaque, split_stats(d->splitter)->why_opaque,
		       sizeof(ret->why_opaque));
}

uint64_t relay_pages_sum(const struct relay_pages *p)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < RUN_KINDS; i++)
		sum += p->of[i];
	return sum;
}
