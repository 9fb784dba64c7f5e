/* SPDX-License-Identifier: MIT */
#include "disks/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/scope.h"
#include "base/thread.h"
#include "disks/flight.h"
#include "disks/nbd.h"
#include "frames/outbox.h"
#include "session/session.h"

enum {
	BUFFERS = 64, /* 16 MiB for a disk: what QEMU has on its way itself */
};

_Static_assert((int)FLIGHT_BLOCK == (int)BLOCK_DATA_MAX,
	       "a frame has a buffer of its own");

struct disk_server {
	/* set before the threads start */
	struct outbox *out;
	unsigned disk;
	const char *name;
	uint64_t size;
	struct endpoint endpoint;
	int listen_fd, stop_fd;
	int ended_fd; /* a socket whose other end has gone */
	struct pool *pool;
	pthread_t reader, answers;
	bool runs, answering;

	/* the reader's */
	struct nbd nbd;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping, rests;
	int fd; /* the client's; -1: there is none.  Closed by the reader */
	struct flight flight;
	struct disk_server_stats stats;
};

/* --- the socket */

/* Locked.  The client is let go, also where the reader waits for something
 * else.  A shutdown is not enough: QEMU waits until it can write, and a full
 * socket that nobody reads is never found to be broken. */
static void let_go(struct disk_server *s)
{
	if (s->fd < 0)
		return;
	s->stats.connected = false;
	shutdown(s->fd, SHUT_RDWR); /* whoever polls it wakes */
	(void)dup3(s->ended_fd, s->fd, O_CLOEXEC);
}

static int make_ended(int *ret_fd, struct error *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(e, "socketpair");
	close(pair[1]);
	*ret_fd = pair[0];
	return 0;
}

/* 1, 0 at its end or when the server stops, or negative. */
static int read_all(struct disk_server *s, void *buf, size_t len,
		    struct error *e)
{
	struct pollfd p[] = { { .fd = s->fd, .events = POLLIN },
			      { .fd = s->stop_fd, .events = POLLIN } };

	for (size_t have = 0; have < len;) {
		ssize_t n = recv(s->fd, (uint8_t *)buf + have, len - have,
				 MSG_DONTWAIT);

		if (n > 0) {
			have += (size_t)n;
			continue;
		}
		if (n == 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return error_sys(e, "read from QEMU");
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return error_sys(e, "poll");
		if (p[1].revents)
			return 0;
	}
	return 1;
}

/* Locked: both threads send.  A client that takes no answers is not waited
 * for: it has no more than FLIGHT_MOST of them to take. */
static void send_locked(struct disk_server *s, const void *bytes, size_t len)
{
	ssize_t n;

	if (s->fd < 0 || len == 0)
		return;
	n = send(s->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n != (ssize_t)len)
		let_go(s);
}

static void send_bytes(struct disk_server *s, const void *bytes, size_t len)
{
	WITH_LOCK(&s->lock);

	send_locked(s, bytes, len);
}

static void refuse(struct disk_server *s, const struct nbd_request *q)
{
	uint8_t reply[NBD_REPLY_SIZE];

	nbd_reply(reply, q->cookie, q->refused);
	send_bytes(s, reply, sizeof(reply));
}

/* --- frames */

/* Takes @b over, which may be NULL. */
static int put(struct disk_server *s, struct flight_request *r,
	       const struct block_head *head, struct buffer *b, struct error *e)
{
	struct frame_out *f = outbox_frame(s->out);
	uint64_t seq;

	if (!f) {
		buffer_drop(b);
		return error_set(e, EPIPE, "the session has ended");
	}
	block_head_write(head, f->meta);
	f->iov[f->iovs++] = (struct iovec){ f->meta, BLOCK_HEAD_SIZE };
	f->head.kind = FRAME_BLOCKS;
	f->head.len = BLOCK_HEAD_SIZE;
	if (b) {
		f->iov[f->iovs++] = (struct iovec){ b->data, head->len };
		f->buffer[f->buffers++] = b;
		f->head.len += head->len;
	}
	if (outbox_put(s->out, f, &seq, e) < 0)
		return error_code(e);

	WITH_LOCK(&s->lock);

	flight_frame(r, seq);
	s->stats.data_bytes += head->kind == BLOCK_DATA ? head->len : 0;
	s->stats.zero_bytes += head->kind == BLOCK_ZERO ? head->len : 0;
	s->stats.flushes += head->kind == BLOCK_FLUSH;
	return 0;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return data[0] == 0 && !memcmp(data, data + 1, len - 1);
}

/* 1, 0 when the client is gone, or negative. */
static int put_data(struct disk_server *s, struct flight_request *r,
		    const struct nbd_request *q, struct error *e)
{
	struct block_head head = { .disk = (uint16_t)s->disk,
				   .kind = BLOCK_DATA };

	for (uint32_t at = 0; at < q->len; at += head.len) {
		struct buffer *b = pool_take(s->pool);
		uint32_t left = q->len - at;
		int got;

		if (!b)
			return error_set(e, EPIPE, "the disk's copy ends");
		head.len = left < FLIGHT_BLOCK ? left : FLIGHT_BLOCK;
		head.offset = q->offset + at;
		head.kind = BLOCK_DATA;
		got = read_all(s, b->data, head.len, e);
		if (got <= 0) {
			buffer_drop(b);
			return got;
		}
		if (is_zero(b->data, head.len)) {
			head.kind = BLOCK_ZERO;
			buffer_drop(b);
			b = NULL;
		}
		if (put(s, r, &head, b, e) < 0)
			return error_code(e);
	}
	return 1;
}

static int put_request(struct disk_server *s, struct flight_request *r,
		       const struct nbd_request *q, struct error *e)
{
	const struct block_head head = {
		.disk = (uint16_t)s->disk,
		.kind = q->command == NBD_FLUSH ? BLOCK_FLUSH : BLOCK_ZERO,
		.len = q->len,
		.offset = q->offset,
	};

	if (q->command == NBD_WRITE)
		return put_data(s, r, q, e);
	return put(s, r, &head, NULL, e) < 0 ? error_code(e) : 1;
}

/* NULL: the server stops, or rests. */
static struct flight_request *begin(struct disk_server *s,
				    const struct nbd_request *q)
{
	bool room;

	WITH_LOCK(&s->lock);

	room = flight_has_room(&s->flight, q->offset, q->len);

	s->stats.waits += !room;
	while (!s->stopping && !s->rests &&
	       !flight_has_room(&s->flight, q->offset, q->len))
		pthread_cond_wait(&s->changed, &s->lock);
	return s->stopping || s->rests ? NULL : flight_begin(&s->flight, q);
}

static bool is_acked(void *context, uint64_t seq)
{
	struct disk_server *s = context;

	return outbox_is_acked(s->out, seq);
}

/* Locked. */
static void answer_done(struct disk_server *s)
{
	uint8_t reply[NBD_REPLY_SIZE];
	uint64_t cookie;
	bool any = false;

	while (flight_next_done(&s->flight, is_acked, s, &cookie)) {
		nbd_reply(reply, cookie, NBD_OK);
		send_locked(s, reply, sizeof(reply));
		any = true;
	}
	if (any)
		pthread_cond_broadcast(&s->changed);
}

/* What has left of a request whose data stopped coming still arrives. */
static int handle(struct disk_server *s, const struct nbd_request *q,
		  struct error *e)
{
	struct flight_request *r;
	int got;

	if (q->refused) {
		refuse(s, q);
		return 1;
	}
	r = begin(s, q);
	if (!r)
		return 0;
	got = put_request(s, r, q, e);

	WITH_LOCK(&s->lock);

	flight_end(r);
	/* The last acknowledgement may have come already. */
	answer_done(s);
	pthread_cond_broadcast(&s->changed);
	return got;
}

/* --- the reader */

/* One client, until it goes: 0, or negative when it had to. */
static int serve(struct disk_server *s, struct error *e)
{
	uint8_t bytes[NBD_OPTION_MAX];
	struct nbd_out out;
	int r = 1;

	nbd_init(&s->nbd, s->name, s->size, &out);
	send_bytes(s, out.bytes, out.len);
	while (r > 0 && nbd_wants(&s->nbd) > 0) {
		struct nbd_request q;

		r = read_all(s, bytes, nbd_wants(&s->nbd), e);
		if (r <= 0)
			return r;
		r = nbd_take(&s->nbd, bytes, &q, &out, e);
		send_bytes(s, out.bytes, out.len);
		r = r > 0 ? handle(s, &q, e) : r == 0 ? 1 : r;
	}
	return r < 0 ? r : 0;
}

/* Whoever comes while the server rests waits for its greeting: QEMU would wait
 * up to 16 s before it comes again.  False: the server stops. */
static bool take_client(struct disk_server *s, int fd)
{
	WITH_LOCK(&s->lock);

	while (s->rests && !s->stopping)
		pthread_cond_wait(&s->changed, &s->lock);
	if (s->stopping) {
		close(fd);
		return false;
	}
	s->fd = fd;
	s->stats.connected = true;
	return true;
}

/* False: the server stops. */
static bool await_client(struct disk_server *s)
{
	struct pollfd p[] = { { .fd = s->listen_fd, .events = POLLIN },
			      { .fd = s->stop_fd, .events = POLLIN } };
	int fd;

	do {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return false;
		if (p[1].revents)
			return false;
		fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	} while (fd < 0);
	return take_client(s, fd);
}

/* The next client's writes may be to the same places. */
static void part(struct disk_server *s, const char *why)
{
	int fd;

	WITH_LOCK(&s->lock);

	fd = s->fd;
	s->fd = -1;
	s->stats.connected = false;
	snprintf(s->stats.why, sizeof(s->stats.why), "%.150s", why);
	close(fd);
	while (!s->stopping && s->flight.count > 0)
		pthread_cond_wait(&s->changed, &s->lock);
}

static void *reader_main(void *arg)
{
	struct disk_server *s = arg;

	while (await_client(s)) {
		struct error e = { 0 };

		part(s, serve(s, &e) < 0 ? e.text : "");
	}
	return NULL;
}

/* --- answers */

/* False: the server stops. */
static bool answer_all(struct disk_server *s)
{
	WITH_LOCK(&s->lock);

	answer_done(s);
	return !s->stopping;
}

static void *answers_main(void *arg)
{
	struct disk_server *s = arg;
	uint64_t seen = 0;

	/* What is acknowledged after a look is news to the wait, which also
	 * sees the session's end while nothing is in flight. */
	while (outbox_wait_acks(s->out, &seen) == 0)
		if (!answer_all(s))
			return NULL;

	WITH_LOCK(&s->lock);

	/* The session has ended: nobody waits for an answer that never comes.
	 */
	let_go(s);
	return NULL;
}

/* --- the whole */

static int start(struct disk_server *s, struct error *e)
{
	int r = thread_create(&s->answers, "disk answers", answers_main, s);

	s->answering = r == 0;
	if (r == 0)
		r = thread_create(&s->reader, "disk in", reader_main, s);
	s->runs = r == 0;
	return r ? error_set(e, r, "no thread for a disk") : 0;
}

static int open_all(struct disk_server *s, const struct disk_server_options *o,
		    struct error *e)
{
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (s->stop_fd < 0)
		return error_sys(e, "eventfd");
	if (make_ended(&s->ended_fd, e) < 0)
		return error_code(e);
	if (pool_new(&s->pool, BUFFERS, FLIGHT_BLOCK, e) < 0 ||
	    endpoint_parse(&s->endpoint, o->path, e) < 0)
		return error_code(e);
	/* Whatever QEMU's user has put there. */
	unlink(o->path);
	if (endpoint_listen(&s->endpoint, &o->owner, 1, &s->listen_fd, e) < 0)
		return error_code(e);
	return start(s, e);
}

int disk_server_new(struct disk_server **ret,
		    const struct disk_server_options *o, struct error *e)
{
	struct disk_server *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, ENOMEM, "no memory for a disk");
	s->out = session_outbox(o->session);
	s->disk = o->disk;
	s->name = o->name;
	s->size = o->size;
	s->fd = s->listen_fd = s->stop_fd = s->ended_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	clock_cond_init(&s->changed);
	if (open_all(s, o, e) < 0) {
		disk_server_stop(s);
		disk_server_free(s);
		return error_in(e, "disk %s", o->name);
	}
	*ret = s;
	return 0;
}

void disk_server_rest(struct disk_server *s, bool rests)
{
	WITH_LOCK(&s->lock);

	s->rests = rests;
	pthread_cond_broadcast(&s->changed);
	if (rests && s->flight.count > 0)
		let_go(s);
}

void disk_server_stop(struct disk_server *s)
{
	if (!s)
		return;
	{
		WITH_LOCK(&s->lock);

		s->stopping = true;
		pthread_cond_broadcast(&s->changed);
	}
	if (s->stop_fd >= 0)
		eventfd_write(s->stop_fd, 1);
	if (s->pool)
		pool_close(s->pool);
	if (s->runs)
		pthread_join(s->reader, NULL);
	if (s->answering)
		pthread_join(s->answers, NULL);
	s->runs = s->answering = false;
	if (s->listen_fd >= 0) {
		endpoint_remove(&s->endpoint);
		close(take_fd(&s->listen_fd));
	}
}

void disk_server_free(struct disk_server *s)
{
	if (!s)
		return;
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	if (s->ended_fd >= 0)
		close(s->ended_fd);
	pool_free(s->pool);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void disk_server_stats(struct disk_server *s, struct disk_server_stats *ret)
{
	WITH_LOCK(&s->lock);

	*ret = s->stats;
	ret->in_flight = s->flight.count;
}
