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
#include "base/scope.h"
#include "base/thread.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "pages/memory.h"
#include "relay/connection.h"
#include "relay/parts.h"
#include "session/session.h"
#include "wire/frame.h"

enum { CONNECT_US = 5000000 };

/* --- how it ends */

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

/* --- connections */

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
	return connection_start(c, e);
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

static void *accept_main(void *arg)
{
	struct relay *r = arg;
	struct error e;

	for (int n = 0, got = 0;; n += got) {
		got = accept_one(r, (uint16_t)n, &e);
		if (got > 0)
			got = connection_announce(r, (uint16_t)n, &e);
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

static void is_ending(void *context)
{
	struct relay *r = context;

	session_switchover(r->session, r->switchover_outage_us);
}

int relay_set_blocks(struct relay *r, const struct relay_blocks *blocks,
		     struct error *e)
{
	static const struct history_size none;

	{
		WITH_LOCK(&r->lock);

		if (!r->source || r->blocks_set)
			return error_set(e, EBADMSG,
					 "RAM blocks that nobody waits for");
		r->blocks_set = true;
	}
	if (divert_add_blocks(&r->divert, blocks->at, blocks->n, e) < 0)
		return error_code(e);
	if (r->repeats || r->known)
		divert_set_repeats(&r->divert, r->repeats ? r->repeats : &none,
				   blocks->at, blocks->n);
	if (r->known)
		divert_set_known(&r->divert, r->known);

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
	r->place.kept = r->kept;
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
		r->kept = o->kept;
		relay_set_memory(r, o->memory);
		r->connected = o->connected;
		r->context = o->context;
		return 0;
	}
	r->repeats = o->repeats;
	r->known = o->known;
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
			connection_join(&r->connection[i]);
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
		ret->spared_pages = atomic_load(&r->place.from_kept);
		return;
	}
	ret->ram_bytes = atomic_load(&d->ram_bytes);
	for (unsigned i = 0; i < RUN_KINDS; i++)
		ret->pages.of[i] = atomic_load(&d->made[i]);
	ret->pages.delta_bytes = atomic_load(&d->delta_bytes);
	ret->kept_pages = atomic_load(&d->kept_pages);
	ret->spared_pages = atomic_load(&d->spared_pages);
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
