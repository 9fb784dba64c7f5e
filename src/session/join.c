/* SPDX-License-Identifier: MIT */

/*
 * How channels come to a session and go from it: hellos, the table of sessions
 * on the accepting side, and each session's keeper.
 *
 * The keeper is a thread on both sides.  It joins the threads of dead
 * channels, so that their frames leave over the others; tells the peer when
 * the cards here have changed; and ends the session when the peer was silent
 * for longer than the outage limit.  A peer that goes on talking to a session
 * that ended is cut off after LINGER_US.
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
#include "base/thread.h"
#include "channel/channel.h"
#include "nic/address.h"
#include "nic/cards.h"
#include "session/internal.h"

struct session_table {
	pthread_mutex_t lock;
	struct session *first;
};

/* --- hellos */

int hello_send(struct channel *c, const struct hello *h, struct error *e)
{
	uint8_t buf[HELLO_MAX];
	struct iovec iov = { buf, hello_write(h, buf) };

	return c->kind->write(c, &iov, 1, e);
}

int hello_receive(struct channel *c, struct hello *ret, struct error *e)
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

struct hello hello_of(enum hello_kind kind, const char *text)
{
	struct hello h = { .version = WIRE_VERSION,
			   .lowest = WIRE_LOWEST,
			   .kind = kind };

	snprintf(h.text, sizeof(h.text), "%s", text);
	return h;
}

/* --- the keeper */

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
	session_fail(s, why);
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

static void wait_until(struct session *s, uint64_t deadline_us)
{
	const struct timespec t = clock_timespec(deadline_us);

	pthread_cond_timedwait(&s->changed, &s->lock, &t);
}

/* The watch's thread says that the cards here are not what they were. */
static void cards_changed(void *context)
{
	struct session *s = context;

	WITH_LOCK(&s->lock);

	s->cards_due = s->plan_due = s->news = true;
	pthread_cond_broadcast(&s->changed);
}

static void look_at_cards(struct session *s)
{
	if (!s->watch || !s->cards_due || s->ended)
		return;
	s->cards_due = false;
	pthread_mutex_unlock(&s->lock);
	cards_refresh(s);
	pthread_mutex_lock(&s->lock);
}

static void *keeper_main(void *arg)
{
	struct session *s = arg;

	WITH_LOCK(&s->lock);

	while (!s->stopping || !all_gone(s)) {
		if (!anything_dying(s) && !(s->cards_due && !s->ended))
			wait_until(s, clock_us() + HEARTBEAT_US);
		look_at_cards(s);
		carriers_reap(s);
		paths_measure(s);
		outage_check(s);
		if (s->ended && clock_us() - s->ended_us > LINGER_US)
			carriers_shutdown(s);
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

/* The threads of the dialling side besides the keeper. */
static int start_paths(struct session *s, struct error *e)
{
	int r;

	if (path_start(s, s->path[0], e) < 0) {
		s->paths = 0; /* nothing to join */
		return error_code(e);
	}
	if (!s->watch)
		return 0;
	r = thread_create(&s->planner, "paths", planner_main, s);
	if (r == 0)
		return 0;
	error_set(e, r, "no thread for the plan of a session");
	session_fail(s, e->text);
	paths_join(s);
	return error_code(e);
}

static void listen_to_watch(struct session *s)
{
	if (!s->watch)
		return;
	s->listener =
		(struct nic_listener){ .changed = cards_changed, .context = s };
	cards_changed(s);
	nic_watch_listen(s->watch, &s->listener);
}

/* Ends the session when it fails. */
int keeper_start(struct session *s, struct error *e)
{
	int r;

	listen_to_watch(s);
	r = thread_create(&s->keeper, "session", keeper_main, s);
	if (r != 0) {
		/* Channels may run already: their end is kept here. */
		error_set(e, r, "no thread for a session");
		session_fail(s, e->text);
		s->stopping = true;
		keeper_main(s);
	} else if (!s->addresses || start_paths(s, e) == 0) {
		return 0;
	} else {
		session_fail(s, e->text);
		keeper_stop(s);
	}
	if (s->watch)
		nic_watch_leave(s->watch, &s->listener);
	return error_code(e);
}

void keeper_join(struct session *s)
{
	if (s->watch)
		nic_watch_leave(s->watch, &s->listener);
	if (s->addresses && s->watch)
		pthread_join(s->planner, NULL);
	paths_join(s);
	keeper_stop(s);
	paths_remember(s);
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

static bool has_named(struct session *s, const struct nic_address *a)
{
	WITH_LOCK(&s->lock);

	for (size_t i = 0; s->far_cards && i < s->far_cards->count; i++) {
		const struct card *c = &s->far_cards->at[i];

		for (size_t k = 0; k < c->addresses; k++)
			if (nic_address_equal(&c->address[k].address, a))
				return true;
	}
	return false;
}

bool session_table_knows(struct session_table *t, const struct nic_address *a)
{
	WITH_LOCK(&t->lock);

	for (struct session *s = t->first; s; s = s->next_in_table)
		if (has_named(s, a))
			return true;
	return false;
}

void table_remove(struct session *s)
{
	WITH_LOCK(&s->table->lock);

	for (struct session **p = &s->table->first; *p;
	     p = &(*p)->next_in_table) {
		if (*p == s) {
			*p = s->next_in_table;
			return;
		}
	}
}

static void refuse_in(uint64_t session, struct channel *c,
		      const struct error *why)
{
	struct hello h = hello_of(HELLO_REFUSE, why->text);
	struct error ignored;

	h.session = session;
	hello_send(c, &h, &ignored);
	channel_free(c);
}

static void refuse(struct channel *c, const struct error *why)
{
	refuse_in(0, c, why);
}

static bool may_join(const uint8_t *a, const uint8_t *b)
{
	uint8_t differ = 0;

	for (size_t i = 0; i < SECRET_JOINS; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

/* @known: bytes of the secret that the other side has already. */
static int answer(const struct acceptor *a, struct session *s,
		  struct channel *c, size_t known, struct error *e)
{
	struct hello h = hello_of(HELLO_ACCEPT, a->own_name);

	h.session = s->id;
	memcpy(h.secret + known, s->secret + known, SECRET_SIZE - known);
	if (hello_send(c, &h, e) < 0) {
		channel_free(c);
		return error_code(e);
	}
	return carrier_start(s, c, NULL, e);
}

/* A channel over a pair of cards keeps to the card here as well, in both
 * directions. */
static int check_card(const struct acceptor *a, const struct inventory *inv,
		      struct channel *c, struct error *e)
{
	const struct nic *own =
		inventory_by_address(inv, c->local.family, c->local.bytes);
	const struct nic *in = inventory_by_index(inv, c->arrived);
	char ignored[NIC_REASON];
	bool is_card;

	if (!own || own->kind == NIC_LOOPBACK ||
	    (in && in->kind == NIC_LOOPBACK))
		return 0;
	/* An address of the host itself, say on a dummy, has no card of its
	 * own: packets come and go by any. */
	is_card = nic_usable(inv, own, ignored);
	if (is_card && in && in != own)
		return error_set(e, EXDEV,
				 "%s belongs to %s of host %s, but the "
				 "connection came in over %s",
				 c->from, own->name, a->own_name, in->name);
	if (networks_rank(a->networks, own->name, &c->local) == RANK_NONE)
		return error_set(e, EACCES,
				 "%s (%s) is on no network over which host %s "
				 "takes moves",
				 c->from, own->name, a->own_name);
	return is_card ? c->kind->keep_to(c, own->name, e) : 0;
}

static int check_way(const struct acceptor *a, struct channel *c,
		     struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = NULL;

	if (!a->watch || c->local.family == 0)
		return 0;
	inv = nic_watch_get(a->watch);
	return check_card(a, inv, c, e);
}

static unsigned channels_of(struct session *s)
{
	unsigned n = 0;

	WITH_LOCK(&s->lock);

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		n += s->carrier[i].state != CARRIER_FREE;
	return n;
}

/* All channels of the other host.  The table's lock is held. */
static unsigned channels_with(const struct session_table *t, const char *peer)
{
	unsigned n = 0;

	for (struct session *s = t->first; s; s = s->next_in_table)
		if (!strcmp(s->peer, peer))
			n += channels_of(s);
	return n;
}

/* A session may always have one: it lives by that. */
static int check_room(const struct acceptor *a, struct session *s,
		      struct error *e)
{
	unsigned own = channels_of(s);

	if (own == CHANNELS_MAX)
		return error_set(e, EBUSY,
				 "the session with %s has %d channels", s->peer,
				 CHANNELS_MAX);
	if (own == 0 || channels_with(a->table, s->peer) < a->host_channels_max)
		return 0;
	return error_set(e, EBUSY,
			 "the sessions with %s have %u channels, and one host "
			 "may have no more",
			 s->peer, a->host_channels_max);
}

/* One more channel.  A peer that missed the session's end hears of it here;
 * one that is ahead of us in noticing dead channels dials again.  With the
 * session's number only this connection is refused. */
static int join_one(const struct acceptor *a, struct session *s,
		    struct channel *c, struct error *e)
{
	if (session_check(s, e) < 0) {
		refuse(c, e);
		return error_code(e);
	}
	if (check_way(a, c, e) < 0 || check_room(a, s, e) < 0) {
		refuse_in(s->id, c, e);
		return error_code(e);
	}
	return answer(a, s, c, SECRET_JOINS, e);
}

/* The table's lock keeps session_free() from taking the session away. */
static int join(const struct acceptor *a, const struct hello *h,
		struct channel *c, struct error *e)
{
	struct session *s;

	WITH_LOCK(&a->table->lock);

	for (s = a->table->first; s; s = s->next_in_table)
		if (s->id == h->session && may_join(s->secret, h->secret))
			return join_one(a, s, c, e);
	error_set(e, ENOENT,
		  "knows nothing of this session (has its droverd been "
		  "restarted?)");
	refuse(c, e);
	return error_code(e);
}

static int table_add(struct session *s, const struct acceptor *a,
		     struct error *e)
{
	unsigned all = 0, own = 0;

	WITH_LOCK(&a->table->lock);

	for (struct session *o = a->table->first; o; o = o->next_in_table) {
		all++;
		own += !strcmp(o->peer, s->peer);
	}
	if (all >= a->sessions_max)
		return error_set(e, EBUSY,
				 "has %u sessions open and takes no more: try "
				 "again later",
				 all);
	if (own >= a->host_sessions_max)
		return error_set(e, EBUSY,
				 "has %u sessions open with %s, and one host "
				 "may have no more: try again later",
				 own, s->peer);
	s->table = a->table;
	s->next_in_table = a->table->first;
	a->table->first = s;
	return 0;
}

/* Nobody joins it before its number and secret are told. */
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
	s->watch = a->watch;
	if (a->watch)
		s->networks = *a->networks;
	if (table_add(s, a, e) < 0) {
		session_destroy(s);
		return error_code(e);
	}
	if (keeper_start(s, e) == 0) {
		*ret = s;
		return 0;
	}
	table_remove(s);
	session_destroy(s);
	return error_code(e);
}

static int open_new(const struct acceptor *a, const struct hello *h,
		    struct channel *c, struct error *e)
{
	struct session *s;

	if (a->admit(a->context, h->text, c->to, e) < 0 ||
	    session_begin(&s, a, h, e) < 0) {
		refuse(c, e);
		return error_code(e);
	}
	if (answer(a, s, c, 0, e) < 0) {
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

	if (channel_secure(c, clock_us() + HELLO_TIMEOUT_US, e) < 0 ||
	    hello_receive(c, &h, e) < 0) {
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
