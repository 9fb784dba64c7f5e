/* SPDX-License-Identifier: MIT */

/*
 * The dialling side.  Each path has a thread that dials, says hello and starts
 * a channel whenever the path has fewer of them than it shall have; after a
 * failure it waits REDIAL_LEAST_US, then twice as long each time, also when
 * the hello came back but nothing else got through.  They are many because
 * dialling a host that does not answer takes a second, in which the other paths
 * must not wait.
 *
 * A connection of a pair of cards keeps to the card here by SO_BINDTODEVICE, or
 * where that is not allowed by its source address; the other side does the
 * same with what it sends.  The hello with the session's secret that comes
 * back is the proof that the pair works.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "channel/channel.h"
#include "nic/address.h"
#include "nic/routes.h"
#include "session/internal.h"

enum {
	DIAL_GIVEN_US = 3000000,
	/* The first try; then twice as long each time.  A SYN that was lost
	 * comes again only after a second: better to begin anew. */
	DIAL_PAIR_LEAST_US = 300000,
	DIAL_PAIR_MOST_US = 2400000,
	REDIAL_LEAST_US = 200000,
	REDIAL_MOST_US = 5000000,
	/* A host that answers, but where nobody listens, has lost its daemon,
	 * and the session with it. */
	REFUSALS_MAX = 5,
	/* What the peer's droverd said itself: no system call says it, while
	 * ECONNABORTED may be our own kernel's. */
	REFUSED_THERE = EBADE,
};

/* --- hellos */

static int greet(struct session *s, struct channel *c, struct error *e)
{
	struct hello mine =
		hello_of(s->id ? HELLO_JOIN : HELLO_OPEN, s->own_name);
	struct hello theirs = { 0 };
	uint16_t version;

	mine.session = s->id;
	memcpy(mine.secret, s->secret, SECRET_JOINS);
	if (hello_send(c, &mine, e) < 0 || hello_receive(c, &theirs, e) < 0)
		return error_code(e);
	if (theirs.kind == HELLO_REFUSE)
		return error_set(e,
				 s->id && theirs.session == s->id
					 ? EACCES
					 : REFUSED_THERE,
				 "%s", theirs.text);
	if (theirs.kind != HELLO_ACCEPT)
		return error_set(e, EBADMSG, "answers with hello %d",
				 theirs.kind);
	if (hello_common_version(&version, &theirs, e) < 0)
		return error_code(e);
	if (s->id &&
	    (theirs.session != s->id ||
	     memcmp(theirs.secret + SECRET_JOINS, s->secret + SECRET_JOINS,
		    SECRET_SIZE - SECRET_JOINS) != 0))
		return error_set(e, EBADMSG,
				 "answers for another session than ours");
	if (s->id)
		return 0;
	if (theirs.session == 0)
		return error_set(e, EBADMSG, "accepts without a session");
	if (strcmp(theirs.text, s->peer) != 0)
		return error_set(e, REFUSED_THERE,
				 "calls itself %s: correct the name in [peer "
				 "%s] here, or 'name' in its drover.conf",
				 theirs.text, s->peer);
	s->id = theirs.session;
	memcpy(s->secret, theirs.secret, SECRET_SIZE);
	/* Finding an address that answers may have taken a while. */
	atomic_store(&s->heard_us, clock_us());
	return 0;
}

/* session_end() shuts down a channel whose hello is still awaited. */
static void set_greeting(struct path *p, struct channel *c)
{
	WITH_LOCK(&p->session->lock);

	p->greeting = c;
	if (c && p->session->ended)
		c->kind->shutdown(c);
}

/* Takes @c over. */
static int greet_and_start(struct path *p, struct channel *c, struct error *e)
{
	struct session *s = p->session;
	int r;

	set_greeting(p, c);
	r = channel_secure(c, clock_us() + HELLO_TIMEOUT_US, e);
	if (r == 0)
		r = greet(s, c, e);
	set_greeting(p, NULL);
	if (r == 0)
		return carrier_start(s, c, p, e);
	if (p->given)
		error_in(e, "host %s", s->peer);
	else
		error_in(e, "over %s: %s", p->near, c->to);
	channel_free(c);
	return r;
}

/* --- the addresses that the session was given */

/* Rank of the network over which the kernel would reach it; RANK_NONE with the
 * reason when that is on none that may be used. */
static int rank_of(struct session *s, const char *text, struct error *e)
{
	char nic[IF_NAMESIZE], from_text[NIC_ADDRESS_TEXT];
	struct nic_address to, from;
	int rank;

	if (s->networks.count == 0)
		return 0;
	if (nic_address_parse(&to, text) < 0) {
		error_set(e, EHOSTUNREACH, "address %s is no number", text);
		return RANK_NONE;
	}
	if (route_from(nic, &from, &to, e) < 0)
		return RANK_NONE;
	rank = networks_rank(&s->networks, nic, &from);
	nic_address_host(from_text, &from);
	if (rank == RANK_NONE)
		error_set(e, EHOSTUNREACH,
			  "address %s is reached from %s over %s, which is on "
			  "no network that may be used",
			  text, from_text, nic);
	return rank;
}

static int dial_given(struct path *p, const char *address, struct error *e)
{
	struct session *s = p->session;
	const struct channel_way way = { .host = address, .port = s->port };
	struct channel *c;

	if (channel_kinds[0]->dial(&c, &way, clock_us() + DIAL_GIVEN_US,
				   s->end_fd, e) < 0)
		return error_code(e);
	return greet_and_start(p, c, e);
}

/* At every address of a rank; a refusal is the peer's own word, and tells more
 * than another address that does not answer. */
static int dial_rank(struct path *p, int rank, struct error *e)
{
	struct session *s = p->session;
	int r = -EHOSTUNREACH;

	for (char **a = s->addresses; *a && r < 0 && r != -ECANCELED; a++) {
		struct error why;
		int found = rank_of(s, *a, &why);

		if (found == rank)
			r = dial_given(p, *a, &why);
		if ((found == rank && r < 0) || found == RANK_NONE)
			if (e->code != REFUSED_THERE)
				*e = why;
	}
	return r;
}

/* In the order of their networks, then as they were given. */
static int dial_any(struct path *p, struct error *e)
{
	struct session *s = p->session;
	int ranks = s->networks.ranks > 0 ? s->networks.ranks : 1;
	/* As of a host that only the journal still knows. */
	int r = error_set(e, EHOSTUNREACH,
			  "host %s has no address: [peer %s] of drover.conf is "
			  "missing, or cannot be used",
			  s->peer, s->peer);

	for (int rank = 0; rank < ranks && r < 0 && r != -ECANCELED; rank++)
		r = dial_rank(p, rank, e);
	return r < 0 ? error_code(e) : 0;
}

/* --- a pair of cards */

/* What a thread needs to dial, copied while the lock is held. */
struct attempt {
	char near[IF_NAMESIZE];
	struct pair_addresses ends;
	uint16_t port[PORTS_MAX];
	unsigned ports;
	uint64_t limit_us;
	bool given;
};

static bool port_is_held(const struct session *s, uint16_t port)
{
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (s->carrier[i].state != CARRIER_FREE &&
		    s->carrier[i].channel->local_port == port)
			return true;
	return false;
}

static struct attempt attempt_of(struct path *p)
{
	struct attempt a = { .given = p->given,
			     .limit_us = DIAL_PAIR_LEAST_US };

	if (p->given)
		return a;
	for (unsigned i = 0; i < p->failures; i++)
		if (a.limit_us < DIAL_PAIR_MOST_US)
			a.limit_us *= 2;
	snprintf(a.near, sizeof(a.near), "%s", p->near);
	a.ends = p->route[p->turn % p->routes];
	for (unsigned i = 0; p->turn % p->routes == 0 && i < p->ports; i++)
		if (!port_is_held(p->session, p->port[i]))
			a.port[a.ports++] = p->port[i];
	return a;
}

/* From the first of the chosen ports that is free, or else from any. */
static int dial_ports(struct channel **ret, struct session *s,
		      const struct attempt *a, struct error *e)
{
	struct channel_way way = { .device = a->near,
				   .from = &a->ends.from,
				   .to = &a->ends.to,
				   .port = s->port };
	uint64_t deadline = clock_us() + a->limit_us;
	int r = -EADDRINUSE;

	for (unsigned i = 0; i <= a->ports; i++) {
		if (r != -EADDRINUSE && r != -EADDRNOTAVAIL)
			break;
		way.from_port = i < a->ports ? a->port[i] : 0;
		r = channel_kinds[0]->dial(ret, &way, deadline, s->end_fd, e);
	}
	return r < 0 ? error_in(e, "over %s", a->near) : 0;
}

static int dial(struct path *p, const struct attempt *a, struct error *e)
{
	struct channel *c;

	if (a->given)
		return dial_any(p, e);
	if (dial_ports(&c, p->session, a, e) < 0)
		return error_code(e);
	return greet_and_start(p, c, e);
}

/* --- a path's thread */

static bool has_work(const struct session *s, const struct path *p)
{
	unsigned wanted = p->wanted;

	/* Only when a dead one is buried is it known how long to wait before
	 * the next. */
	if ((!p->given && p->routes == 0) || carriers_dying(s, p))
		return false;
	if (wanted == 0 && p->proved && carriers_alive(s) == 0)
		wanted = 1;
	return carriers_of(s, p) < wanted;
}

void path_retry(struct path *p)
{
	p->next_us = p->pause_us = p->failures = 0;
	pthread_cond_broadcast(&p->session->changed);
}

void path_pause(struct path *p)
{
	p->pause_us = p->pause_us ? p->pause_us * 2 : REDIAL_LEAST_US;
	if (p->pause_us > REDIAL_MOST_US)
		p->pause_us = REDIAL_MOST_US;
	p->next_us = clock_us() + p->pause_us;
}

static void worked(struct path *p)
{
	struct session *s = p->session;
	const bool before = p->proved;

	s->plan_due = s->plan_due || !before;
	s->refusals = 0;
	p->proved = true;
	p->failures = 0;
	/* The channel may have ended already: path_lost() says what follows. */
	if (carriers_of(s, p) == 0)
		return;
	if (p->failed && before)
		log_info("session with %s: the path over %s is back", s->peer,
			 p->given ? "the given addresses" : p->near);
	/* More than wanted: nothing else was left for a moment. */
	s->plan_due = s->plan_due || p->failed || carriers_of(s, p) > p->wanted;
	p->failed = false;
	p->why[0] = '\0';
}

static void failed(struct path *p, const struct error *e)
{
	struct session *s = p->session;

	log_debug("session with %s: %s", s->peer, e->text);
	if (!p->failed && carriers_of(s, p) == 0)
		p->failed = s->plan_due = true;
	snprintf(p->why, sizeof(p->why), "%s", e->text);
	p->turn++;
	p->failures++;
	path_pause(p);
	if (e->code != ECONNREFUSED || carriers_alive(s) > 0)
		s->refusals = 0;
	else if (p->proved)
		s->refusals++;
}

/* What our peer itself says ends the session.  Another host may say anything:
 * a path that never worked may lead there, and one that did may lead there by
 * now.  While a channel is left, the session lives at the peer. */
static bool is_the_end(const struct path *p, const struct error *e)
{
	return p->proved && carriers_alive(p->session) == 0 &&
	       (e->code == REFUSED_THERE || e->code == EPROTONOSUPPORT ||
		p->session->refusals >= REFUSALS_MAX);
}

static const char *last_words(const struct error *e)
{
	return e->code == ECONNREFUSED
		       ? "the other host refuses connections: its droverd has "
			 "ended, and the session with it"
		       : e->text;
}

/* The lock is let go of: dialling takes time. */
static void dial_once(struct path *p)
{
	struct attempt a = attempt_of(p);
	struct session *s = p->session;
	struct error e = { 0 };
	bool end = false;
	int r;

	pthread_mutex_unlock(&s->lock);
	r = dial(p, &a, &e);
	pthread_mutex_lock(&s->lock);

	if (r == 0) {
		worked(p);
	} else {
		failed(p, &e);
		end = is_the_end(p, &e);
	}
	pthread_cond_broadcast(&s->changed);
	if (!end)
		return;
	pthread_mutex_unlock(&s->lock);
	session_fail(s, last_words(&e));
	pthread_mutex_lock(&s->lock);
}

static void *path_main(void *arg)
{
	struct path *p = arg;
	struct session *s = p->session;

	WITH_LOCK(&s->lock);

	while (!s->ended) {
		const struct timespec t = clock_timespec(
			has_work(s, p) ? p->next_us : USEC_NEVER);

		if (has_work(s, p) && clock_us() >= p->next_us)
			dial_once(p);
		else
			pthread_cond_timedwait(&s->changed, &s->lock, &t);
	}
	return NULL;
}

int path_start(struct session *s, struct path *p, struct error *e)
{
	int r;

	p->session = s;
	r = thread_create(&p->thread, "path", path_main, p);
	return r == 0 ? 0 : error_set(e, r, "no thread for a path");
}

void paths_shutdown(struct session *s)
{
	for (unsigned i = 0; i < s->paths; i++)
		if (s->path[i]->greeting)
			s->path[i]->greeting->kind->shutdown(
				s->path[i]->greeting);
}

void paths_join(struct session *s)
{
	for (unsigned i = 0; i < s->paths; i++)
		pthread_join(s->path[i]->thread, NULL);
}

/* --- opening */

static int copy_addresses(struct session *s, const char *const *from,
			  struct error *e)
{
	size_t n = 0;

	while (from && from[n])
		n++;
	s->addresses = calloc(n + 1, sizeof(s->addresses[0]));
	for (size_t i = 0; s->addresses && i < n; i++) {
		s->addresses[i] = strdup(from[i]);
		if (!s->addresses[i])
			return error_set(e, ENOMEM, "no memory");
	}
	return s->addresses ? 0 : error_set(e, ENOMEM, "no memory");
}

/* The path over which the session begins: the addresses that it was given.  It
 * becomes a pair of cards once these are known. */
static struct path *first_path(struct session *s)
{
	struct path *p;

	WITH_LOCK(&s->lock);

	p = path_new(s);
	if (p) {
		p->session = s;
		p->given = true;
	}
	return p;
}

static int open_first(struct session *s, const struct session_options *o,
		      struct error *e)
{
	struct path *p;

	if (copy_addresses(s, o->addresses, e) < 0)
		return error_code(e);
	p = first_path(s);
	if (!p)
		return error_set(e, ENOMEM, "no memory for a path");
	/* The keeper reads the id that the first hello brings. */
	if (dial_any(p, e) < 0)
		return error_code(e);
	/* Only the channel's own threads run yet, which leave paths alone. */
	p->proved = true;
	p->wanted = o->cards.watch ? 1 : o->channels;
	return keeper_start(s, e);
}

int session_open(struct session **ret, const struct session_options *o,
		 struct error *e)
{
	struct session *s;

	if (session_new(&s, o->own_name, o->peer, o->outage_limit_us, e) < 0)
		return error_code(e);
	s->port = o->port;
	if (o->cards.watch) {
		s->watch = o->cards.watch;
		s->networks = *o->cards.networks;
		s->policy = o->cards.policy;
	}
	if (open_first(s, o, e) < 0) {
		session_destroy(s);
		return error_code(e);
	}
	if (o->compressor) {
		s->compressor = o->compressor;
		s->client.outbox = &s->out;
		s->client.policy = o->compressor_policy;
		compressor_join(s->compressor, &s->client);
	}
	*ret = s;
	return 0;
}
