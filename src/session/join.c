/* SPDX-License-Identifier: MIT */

/*
 * How channels come to a session: hellos on both sides, the table of sessions
 * on the accepting side, and each session's keeper.
 *
 * The keeper is a thread on both sides.  It joins the threads of dead
 * channels, so that their frames leave over the others, and ends the session
 * when the peer was silent for longer than the outage limit.  A peer that goes
 * on talking to a session that ended is cut off after LINGER_US.  The side that
 * dialled has a dialler as well: it dials until the wanted number of channels
 * is there, first after REDIAL_LEAST_US, then twice as long each time.  They
 * are two because dialling a host that is gone takes seconds, in which the
 * frames of other dead channels must not wait.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "channel/channel.h"
#include "channel/tcp.h"
#include "session/internal.h"

enum {
	DIAL_TIMEOUT_US = 3000000,
	HELLO_TIMEOUT_US = 5000000,
	REDIAL_LEAST_US = 200000,
	REDIAL_MOST_US = 5000000,
	/* A host that answers, but where nobody listens, has lost its daemon,
	 * and the session with it. */
	REFUSALS_MAX = 5,
};

struct session_table {
	pthread_mutex_t lock;
	struct session *first;
	unsigned count; /* in it, or about to be */
};

/* --- hellos */

static int hello_send(struct channel *c, const struct hello *h, struct error *e)
{
	uint8_t buf[HELLO_MAX];
	struct iovec iov = { buf, hello_write(h, buf) };

	return c->ops->write(c, &iov, 1, e);
}

static int hello_receive(struct channel *c, struct hello *ret, struct error *e)
{
	uint64_t deadline = clock_us() + HELLO_TIMEOUT_US;
	uint8_t buf[HELLO_MAX];
	size_t len;

	if (channel_read_all(c, buf, HELLO_HEAD_SIZE, deadline, e) < 0 ||
	    hello_length(&len, buf, e) < 0 ||
	    channel_read_all(c, buf + HELLO_HEAD_SIZE, len - HELLO_HEAD_SIZE,
			     deadline, e) < 0)
		return error_code(e);
	return hello_read(ret, buf, len, e);
}

static struct hello hello_of(enum hello_kind kind, const char *text)
{
	struct hello h = { .version = WIRE_VERSION,
			   .lowest = WIRE_LOWEST,
			   .kind = kind };

	snprintf(h.text, sizeof(h.text), "%s", text);
	return h;
}

/* --- dialling */

static int greet(struct session *s, struct channel *c, struct error *e)
{
	struct hello mine =
		hello_of(s->id ? HELLO_JOIN : HELLO_OPEN, s->own_name);
	struct hello theirs = { 0 };
	uint16_t version;

	mine.session = s->id;
	memcpy(mine.secret, s->secret, SECRET_SIZE);
	if (hello_send(c, &mine, e) < 0 || hello_receive(c, &theirs, e) < 0)
		return error_code(e);
	if (theirs.kind == HELLO_REFUSE)
		return error_set(e, ECONNABORTED, "%s", theirs.text);
	if (theirs.kind != HELLO_ACCEPT)
		return error_set(e, EBADMSG, "answers with hello %d",
				 theirs.kind);
	if (hello_common_version(&version, &theirs, e) < 0)
		return error_code(e);
	if (s->id)
		return 0;
	s->id = theirs.session;
	memcpy(s->secret, theirs.secret, SECRET_SIZE);
	/* Finding an address that answers may have taken a while. */
	atomic_store(&s->heard_us, clock_us());
	return 0;
}

/* session_end() shuts down a channel whose hello is still awaited. */
static void set_greeting(struct session *s, struct channel *c)
{
	WITH_LOCK(&s->lock);

	s->greeting = c;
	if (c && s->ended)
		c->ops->shutdown(c);
}

static int dial_one(struct session *s, const char *address, struct error *e)
{
	struct channel *c;
	int r;

	if (tcp_dial(&c, address, s->port, clock_us() + DIAL_TIMEOUT_US,
		     s->end_fd, e) < 0)
		return error_code(e);
	set_greeting(s, c);
	r = greet(s, c, e);
	set_greeting(s, NULL);
	if (r < 0) {
		channel_free(c);
		return error_in(e, "host %s", s->peer);
	}
	return carrier_start(s, c, e);
}

static int dial_any(struct session *s, struct error *e)
{
	int r = error_set(e, EHOSTUNREACH, "host %s has no address", s->peer);

	for (char **a = s->addresses;
	     *a && r < 0 && r != -ECONNABORTED && r != -ECANCELED; a++)
		r = dial_one(s, *a, e);
	return r;
}

static int copy_addresses(struct session *s, const char *const *from,
			  struct error *e)
{
	size_t n = 0;

	while (from[n])
		n++;
	s->addresses = calloc(n + 1, sizeof(s->addresses[0]));
	for (size_t i = 0; s->addresses && i < n; i++) {
		s->addresses[i] = strdup(from[i]);
		if (!s->addresses[i])
			return error_set(e, ENOMEM, "no memory");
	}
	return s->addresses ? 0 : error_set(e, ENOMEM, "no memory");
}

int session_open(struct session **ret, const struct session_options *o,
		 struct error *e)
{
	struct session *s;

	if (session_new(&s, o->own_name, o->peer, o->outage_limit_us, e) < 0)
		return error_code(e);
	s->wanted = o->channels;
	s->port = o->port;
	/* The keeper reads the id that the first hello brings. */
	if (copy_addresses(s, o->addresses, e) < 0 || dial_any(s, e) < 0) {
		session_destroy(s);
		return error_code(e);
	}
	if (keeper_start(s, e) < 0) {
		session_destroy(s);
		return error_code(e);
	}
	*ret = s;
	return 0;
}

/* --- the keeper */

struct redial {
	uint64_t next_us, pause_us;
	unsigned refusals;
};

static void redial_later(struct redial *r)
{
	r->pause_us = r->pause_us ? r->pause_us * 2 : REDIAL_LEAST_US;
	if (r->pause_us > REDIAL_MOST_US)
		r->pause_us = REDIAL_MOST_US;
	r->next_us = clock_us() + r->pause_us;
}

/* The lock is let go of: dialling takes time. */
static void redial(struct session *s, struct redial *r)
{
	struct error e = { 0 };
	int got;

	pthread_mutex_unlock(&s->lock);
	got = dial_any(s, &e);
	if (got == 0) {
		log_info("session with %s: a channel is back", s->peer);
		*r = (struct redial){ 0 };
	} else {
		log_debug("session with %s: %s", s->peer, e.text);
		redial_later(r);
		r->refusals = got == -ECONNREFUSED ? r->refusals + 1 : 0;
	}
	if (got == -ECONNABORTED || got == -EPROTONOSUPPORT)
		session_end(s, true, e.text);
	else if (r->refusals >= REFUSALS_MAX)
		session_end(s, true,
			    "the other host refuses connections: its droverd "
			    "has ended, and the session with it");
	pthread_mutex_lock(&s->lock);
}

static void outage_check(struct session *s)
{
	uint64_t silent = session_silent_us(s);
	char why[160], for_how_long[32];

	if (s->ended || silent < s->outage_limit_us)
		return;
	text_duration(for_how_long, sizeof(for_how_long), silent);
	snprintf(why, sizeof(why), "no path to host %s for %s", s->peer,
		 for_how_long);
	pthread_mutex_unlock(&s->lock);
	session_end(s, true, why);
	pthread_mutex_lock(&s->lock);
}

static bool all_gone(const struct session *s)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].state != CARRIER_FREE)
			return false;
	return true;
}

static bool anything_dying(const struct session *s)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].state == CARRIER_DYING)
			return true;
	return false;
}

static bool may_redial(const struct session *s)
{
	return s->addresses && !s->ended && carriers_alive(s) < s->wanted;
}

static void wait_until(struct session *s, uint64_t deadline_us)
{
	const struct timespec t = clock_timespec(deadline_us);

	pthread_cond_timedwait(&s->changed, &s->lock, &t);
}

static void *keeper_main(void *arg)
{
	struct session *s = arg;

	WITH_LOCK(&s->lock);

	while (!s->stopping || !all_gone(s)) {
		if (!anything_dying(s))
			wait_until(s, clock_us() + HEARTBEAT_US);
		carriers_reap(s);
		outage_check(s);
		if (s->ended && clock_us() - s->ended_us > LINGER_US)
			carriers_shutdown(s);
	}
	return NULL;
}

static void *dialler_main(void *arg)
{
	struct session *s = arg;
	struct redial r = { 0 };

	WITH_LOCK(&s->lock);

	while (!s->ended) {
		if (!may_redial(s))
			wait_until(s, USEC_NEVER);
		else if (clock_us() < r.next_us)
			wait_until(s, r.next_us);
		else
			redial(s, &r);
	}
	return NULL;
}

static void keeper_stop(struct session *s)
{
	{
		WITH_LOCK(&s->lock);

		s->stopping = true;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_join(s->keeper, NULL);
}

/* Ends the session when it fails. */
int keeper_start(struct session *s, struct error *e)
{
	int r = pthread_create(&s->keeper, NULL, keeper_main, s);

	if (r != 0) {
		/* Channels may run already: their end is kept here. */
		error_set(e, r, "no thread for a session");
		session_end(s, true, e->text);
		s->stopping = true;
		keeper_main(s);
		return error_code(e);
	}
	if (!s->addresses)
		return 0;
	r = pthread_create(&s->dialler, NULL, dialler_main, s);
	if (r == 0)
		return 0;
	error_set(e, r, "no thread for a session");
	session_end(s, true, e->text);
	keeper_stop(s);
	return error_code(e);
}

void keeper_join(struct session *s)
{
	if (s->addresses)
		pthread_join(s->dialler, NULL);
	keeper_stop(s);
}

/* --- accepting */

struct session_table *session_table_new(void)
{
	struct session_table *t = calloc(1, sizeof(*t));

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void session_table_free(struct session_table *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void table_remove(struct session *s)
{
	WITH_LOCK(&s->table->lock);

	for (struct session **p = &s->table->first; *p;
	     p = &(*p)->next_in_table) {
		if (*p == s) {
			*p = s->next_in_table;
			s->table->count--;
			return;
		}
	}
}

static void refuse(struct channel *c, const struct error *why)
{
	struct hello h = hello_of(HELLO_REFUSE, why->text);
	struct error ignored;

	hello_send(c, &h, &ignored);
	channel_free(c);
}

static bool same_secret(const uint8_t *a, const uint8_t *b)
{
	uint8_t differ = 0;

	for (size_t i = 0; i < SECRET_SIZE; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

static int answer(const struct acceptor *a, struct session *s,
		  struct channel *c, struct error *e)
{
	struct hello h = hello_of(HELLO_ACCEPT, a->own_name);

	h.session = s->id;
	memcpy(h.secret, s->secret, SECRET_SIZE);
	if (hello_send(c, &h, e) < 0) {
		channel_free(c);
		return error_code(e);
	}
	return carrier_start(s, c, e);
}

/* One more channel.  A peer that missed the session's end hears of it here;
 * one that is ahead of us in noticing dead channels dials again. */
static int join_one(const struct acceptor *a, struct session *s,
		    struct channel *c, struct error *e)
{
	bool full;

	if (session_check(s, e) < 0) {
		refuse(c, e);
		return error_code(e);
	}
	{
		WITH_LOCK(&s->lock);

		full = carriers_full(s);
	}
	if (!full)
		return answer(a, s, c, e);
	channel_free(c);
	return error_set(e, EBUSY, "the session with %s has %d channels",
			 s->peer, CHANNELS_MAX);
}

/* The table's lock keeps session_free() from taking the session away. */
static int join(const struct acceptor *a, const struct hello *h,
		struct channel *c, struct error *e)
{
	struct session *s;

	WITH_LOCK(&a->table->lock);

	for (s = a->table->first; s; s = s->next_in_table)
		if (s->id == h->session && same_secret(s->secret, h->secret))
			return join_one(a, s, c, e);
	error_set(e, ENOENT,
		  "knows nothing of this session (has its droverd been "
		  "restarted?)");
	refuse(c, e);
	return error_code(e);
}

static int table_reserve(const struct acceptor *a, struct error *e)
{
	WITH_LOCK(&a->table->lock);

	if (a->table->count >= a->sessions_max)
		return error_set(e, EBUSY,
				 "has %u sessions open and takes no more: try "
				 "again later",
				 a->sessions_max);
	a->table->count++;
	return 0;
}

static void table_release(struct session_table *t)
{
	WITH_LOCK(&t->lock);

	t->count--;
}

static int session_begin(struct session **ret, const struct acceptor *a,
			 const struct hello *h, struct error *e)
{
	struct session *s;

	if (session_new(&s, a->own_name, h->text, a->outage_limit_us, e) < 0)
		return error_code(e);
	/* Guessing an id and a secret must be hopeless. */
	while (getrandom(&s->id, sizeof(s->id), 0) < 0 || s->id == 0)
		;
	while (getrandom(s->secret, SECRET_SIZE, 0) < 0)
		;
	if (keeper_start(s, e) == 0) {
		*ret = s;
		return 0;
	}
	session_destroy(s);
	return error_code(e);
}

static int open_new(const struct acceptor *a, const struct hello *h,
		    struct channel *c, struct error *e)
{
	struct session *s;

	if (a->admit(a->context, h->text, c->to, e) < 0 ||
	    table_reserve(a, e) < 0) {
		refuse(c, e);
		return error_code(e);
	}
	if (session_begin(&s, a, h, e) < 0) {
		table_release(a->table);
		refuse(c, e);
		return error_code(e);
	}
	s->table = a->table;
	{
		WITH_LOCK(&a->table->lock);

		s->next_in_table = a->table->first;
		a->table->first = s;
	}
	if (answer(a, s, c, e) < 0) {
		session_free(s);
		return error_code(e);
	}
	a->opened(a->context, s);
	return 0;
}

int session_accept(const struct acceptor *a, struct channel *c, struct error *e)
{
	struct hello h;
	uint16_t version;

	if (hello_receive(c, &h, e) < 0) {
		error_in(e, "%s", c->to);
		channel_free(c);
		return error_code(e);
	}
	if (hello_common_version(&version, &h, e) < 0) {
		struct error theirs;

		error_set(&theirs, e->code,
			  "speaks wire versions %d to %d, this host %u to %u: "
			  "install the same version of Drover on both",
			  WIRE_LOWEST, WIRE_VERSION, h.lowest, h.version);
		refuse(c, &theirs);
		return error_code(e);
	}
	if (h.kind == HELLO_JOIN)
		return join(a, &h, c, e);
	if (h.kind == HELLO_OPEN)
		return open_new(a, &h, c, e);
	error_set(e, EBADMSG, "%s: hello of kind %d", c->to, h.kind);
	refuse(c, e);
	return error_code(e);
}
