/* SPDX-License-Identifier: MIT */
#include "paths/dialler.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "channel/channel.h"
#include "lanes/lanes.h"
#include "nic/address.h"
#include "nic/routes.h"
#include "paths/path_set.h"

enum {
	DIAL_TRIES = 5,
	DIAL_AGAIN_MS = 100,
	DIAL_GIVEN_US = 3000000,
	/* The first try; then twice as long each time.  A SYN that was lost
	 * comes again only after a second: better to begin anew. */
	DIAL_PAIR_LEAST_US = 300000,
	DIAL_PAIR_MOST_US = 2400000,
	/* A host that answers, but where nobody listens, has lost its daemon,
	 * and the session with it. */
	REFUSALS_MAX = 5,
};

/* diallers_shutdown() shuts down a channel whose hello is still awaited. */
static void set_greeting(struct path *p, struct channel *c)
{
	WITH_LOCK(&p->set->lock);

	p->greeting = c;
	if (c && p->set->ended)
		c->kind->shutdown(c);
}

/* Takes @c over. */
static int greet_and_add(struct path *p, struct channel *c, struct error *e)
{
	struct path_set *set = p->set;
	int r;

	set_greeting(p, c);
	r = set->calls.greet(set->calls.context, &c, e);
	set_greeting(p, NULL);
	if (r == 0)
		return lanes_add(set->lanes, c, p->number, e);
	if (p->given)
		error_in(e, "host %s", set->peer);
	else
		error_in(e, "over %s: %s", p->near, c->to);
	channel_free(c);
	return r;
}

/* --- the addresses that the session was given */

/* Rank of the network over which the kernel would reach it; RANK_NONE with the
 * reason when that is on none that may be used. */
static int rank_of(struct path_set *set, const char *text, struct error *e)
{
	char nic[IF_NAMESIZE], from_text[NIC_ADDRESS_TEXT];
	struct nic_address to, from;
	int rank;

	if (set->networks.count == 0)
		return 0;
	if (nic_address_parse(&to, text) < 0) {
		error_set(e, EHOSTUNREACH, "address %s is not numeric", text);
		return RANK_NONE;
	}
	if (route_from(nic, &from, &to, e) < 0)
		return RANK_NONE;
	rank = networks_rank(&set->networks, nic, &from);
	nic_address_host(from_text, &from);
	if (rank == RANK_NONE)
		error_set(e, EHOSTUNREACH,
			  "address %s is reached from %s over %s, which is on "
			  "no network that may be used",
			  text, from_text, nic);
	return rank;
}

static int dial_address(struct path *p, const char *address, struct error *e)
{
	struct path_set *set = p->set;
	const struct channel_way way = { .host = address, .port = set->port };
	struct channel *c;

	if (channel_kinds[0]->dial(&c, &way, clock_us() + DIAL_GIVEN_US,
				   set->stop_fd, e) < 0)
		return error_code(e);
	return greet_and_add(p, c, e);
}

/* A peer to whom more connections come than it greets at once hangs up on some
 * of them, whoever they are. */
static int dial_given(struct path *p, const char *address, struct error *e)
{
	struct pollfd stop = { .fd = p->set->stop_fd, .events = POLLIN };
	int r = dial_address(p, address, e);

	for (unsigned n = 1; n < DIAL_TRIES && r == -ECONNRESET; n++) {
		if (poll(&stop, 1, DIAL_AGAIN_MS) > 0)
			return -ECANCELED;
		r = dial_address(p, address, e);
	}
	return r;
}

/* At every address of a rank; a refusal is the peer's own word, and tells more
 * than another address that does not answer. */
static int dial_rank(struct path *p, int rank, struct error *e)
{
	struct path_set *set = p->set;
	int r = -EHOSTUNREACH;

	for (char **a = set->addresses; *a && r < 0 && r != -ECANCELED; a++) {
		struct error why;
		int found = rank_of(set, *a, &why);

		if (found == rank)
			r = dial_given(p, *a, &why);
		if ((found == rank && r < 0) || found == RANK_NONE)
			if (e->code != PATH_REFUSED_THERE)
				*e = why;
	}
	return r;
}

/* In the order of their networks, then as they were given. */
int dialler_dial_given(struct path *p, struct error *e)
{
	struct path_set *set = p->set;
	int ranks = set->networks.ranks > 0 ? set->networks.ranks : 1;
	/* As of a host that only the journal still knows. */
	int r = error_set(e, EHOSTUNREACH,
			  "host %s has no address: [peer %s] of drover.conf is "
			  "missing, or cannot be used",
			  set->peer, set->peer);

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
		if (!lanes_use_port(p->set->lanes, p->port[i]))
			a.port[a.ports++] = p->port[i];
	return a;
}

/* From the first of the chosen ports that is free, or else from any. */
static int dial_ports(struct channel **ret, struct path_set *set,
		      const struct attempt *a, struct error *e)
{
	struct channel_way way = { .device = a->near,
				   .from = &a->ends.from,
				   .to = &a->ends.to,
				   .port = set->port };
	uint64_t deadline = clock_us() + a->limit_us;
	int r = -EADDRINUSE;

	for (unsigned i = 0; i <= a->ports; i++) {
		if (r != -EADDRINUSE && r != -EADDRNOTAVAIL)
			break;
		way.from_port = i < a->ports ? a->port[i] : 0;
		r = channel_kinds[0]->dial(ret, &way, deadline, set->stop_fd,
					   e);
	}
	return r < 0 ? error_in(e, "over %s", a->near) : 0;
}

static int dial(struct path *p, const struct attempt *a, struct error *e)
{
	struct channel *c;

	if (a->given)
		return dialler_dial_given(p, e);
	if (dial_ports(&c, p->set, a, e) < 0)
		return error_code(e);
	return greet_and_add(p, c, e);
}

/* --- a path's thread */

static unsigned lanes_of(const struct path *p)
{
	return lanes_count_of(p->set->lanes, p->number).alive;
}

/* That carry: one that is starting may still fail. */
static unsigned all_lanes(const struct path_set *set)
{
	const struct lanes_count n = lanes_count(set->lanes);

	return n.alive - n.starting;
}

/* Its ports were chosen for lanes that are not all there any more: from the
 * next of them a lane would share a member or a queue while another has none.
 * With no lane left there is no time for that. */
static bool awaits_ports(const struct path *p)
{
	const struct path_set *set = p->set;

	return p->ports > 0 && (set->plan_due || set->planning) &&
	       all_lanes(set) > 0;
}

static bool has_work(const struct path *p)
{
	const struct lanes_count own = lanes_count_of(p->set->lanes, p->number);
	unsigned wanted = p->wanted;

	/* Only when a dead one is buried is it known how long to wait before
	 * the next. */
	if ((!p->given && p->routes == 0) || own.dying > 0 || awaits_ports(p))
		return false;
	if (wanted == 0 && p->proved && all_lanes(p->set) == 0)
		wanted = 1;
	return own.alive < wanted;
}

static void worked(struct path *p)
{
	struct path_set *set = p->set;
	const bool before = p->proved;

	set->plan_due = set->plan_due || !before;
	set->refusals = 0;
	p->proved = true;
	p->failures = 0;
	/* The channel may have ended already: account_lost() says what follows.
	 */
	if (lanes_of(p) == 0)
		return;
	if (p->failed && before)
		log_info("session with %s: the path over %s is back", set->peer,
			 path_name(p));
	/* More than wanted: nothing else was left for a moment. */
	set->plan_due = set->plan_due || p->failed || lanes_of(p) > p->wanted;
	p->failed = false;
	p->why[0] = '\0';
}

static void failed(struct path *p, const struct error *e)
{
	struct path_set *set = p->set;

	log_debug("session with %s: %s", set->peer, e->text);
	if (!p->failed && lanes_of(p) == 0)
		p->failed = set->plan_due = true;
	snprintf(p->why, sizeof(p->why), "%s", e->text);
	p->turn++;
	p->failures++;
	path_pause(p);
	if (e->code != ECONNREFUSED || all_lanes(set) > 0)
		set->refusals = 0;
	else if (p->proved)
		set->refusals++;
}

/* What our peer itself says ends the session.  Another host may say anything:
 * a path that never worked may lead there, and one that did may lead there by
 * now.  While a channel is left, the session lives at the peer. */
static bool is_the_end(const struct path *p, const struct error *e)
{
	return p->proved && all_lanes(p->set) == 0 &&
	       (e->code == PATH_REFUSED_THERE || e->code == EPROTONOSUPPORT ||
		p->set->refusals >= REFUSALS_MAX);
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
	struct path_set *set = p->set;
	struct error e = { 0 };
	bool end = false;
	int r;

	pthread_mutex_unlock(&set->lock);
	r = dial(p, &a, &e);
	pthread_mutex_lock(&set->lock);

	if (r == 0) {
		worked(p);
	} else {
		failed(p, &e);
		end = is_the_end(p, &e);
	}
	path_set_wake(set);
	if (!end)
		return;
	pthread_mutex_unlock(&set->lock);
	set->calls.fail(set->calls.context, last_words(&e));
	pthread_mutex_lock(&set->lock);
}

static void *path_main(void *arg)
{
	struct path *p = arg;
	struct path_set *set = p->set;

	WITH_LOCK(&set->lock);

	while (!set->ended) {
		const bool work = has_work(p);
		const struct timespec t =
			clock_timespec(work ? p->next_us : USEC_NEVER);

		if (work && clock_us() >= p->next_us)
			dial_once(p);
		else
			pthread_cond_timedwait(&set->changed, &set->lock, &t);
	}
	return NULL;
}

int dialler_start(struct path *p, struct error *e)
{
	int r = thread_create(&p->thread, "path", path_main, p);

	p->started = r == 0;
	return r == 0 ? 0 : error_set(e, r, "no thread for a path");
}

void diallers_shutdown(struct path_set *set)
{
	for (unsigned i = 0; i < set->paths; i++)
		if (set->path[i]->greeting)
			set->path[i]->greeting->kind->shutdown(
				set->path[i]->greeting);
}

void diallers_join(struct path_set *set)
{
	for (unsigned i = 0; i < set->paths; i++) {
		if (set->path[i]->started)
			pthread_join(set->path[i]->thread, NULL);
		set->path[i]->started = false;
	}
}
