/* SPDX-License-Identifier: MIT */
#include "host/port.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "channel/channel.h"
#include "host/arrivals.h"
#include "host/jobs.h"
#include "host/membership.h"
#include "host/pairing.h"
#include "host/parts.h"
#include "host/paths.h"
#include "host/places.h"
#include "nic/address.h"
#include "session/accept.h"
#include "trust/list.h"

enum {
	LISTENERS_MAX = 16,
	/* Each holds some 0.4 MiB before it moves anything. */
	SESSIONS_MAX = 64,
	HOST_SESSIONS_MAX = 32,
	HOST_SESSIONS_KEPT = 4,
	/* Each has two threads, which say that they live five times a second;
	 * moves that find no more go on with those they have. */
	HOST_CHANNELS_MAX = 64,
	/* Open files that are left to the API, to QEMUs and to disks. */
	SPARE_FILES = 64,
	/* Without files or memory the port rests for so long. */
	REST_MS = 100,
	REST_LOG_US = 60000000,
};

struct listener {
	int fd;
	const struct channel_kind *kind;
};

struct port {
	/* set before the thread starts */
	struct host *host;
	struct acceptor acceptor;
	struct listener listener[LISTENERS_MAX];
	unsigned listeners;
	pthread_t thread;

	struct places places; /* has a lock of its own */
	_Atomic uint64_t crowd_said_us;
};

/* A connection that is greeted. */
struct greeting {
	struct port *port;
	struct acceptor acceptor;  /* the host's, with this as its context */
	struct settings *settings; /* a reference, to those of its arrival */
	struct channel *channel;   /* that was accepted */
	char from[CHANNEL_NAME_MAX];
	struct place place;
	bool paired; /* a host has joined by it */
};

static void greeted(void *context)
{
	struct greeting *g = context;

	places_greeted(&g->port->places, &g->place);
}

static void opened(void *context, struct session *s)
{
	const struct greeting *g = context;

	arrivals_serve(g->port->host, s);
}

static int pair(void *context, const struct channel *c,
		const struct pair_request *rq, struct pair_answer *ret,
		struct error *e)
{
	struct greeting *g = context;
	int r = pairing_admit(g->port->host, c, rq, ret, e);

	g->paired = r == 0;
	return r;
}

/* --- who may */

static bool has_address(const struct peer *p, const struct nic_address *from)
{
	struct nic_address own;

	for (size_t i = 0; i < p->addresses.count; i++)
		if (nic_address_parse(&own, p->addresses.at[i]) == 0 &&
		    nic_address_equal(&own, from))
			return true;
	return false;
}

static int knows(void *context, const char *peer, bool proved, struct error *e)
{
	const struct greeting *g = context;
	const struct peer *p = settings_peer(g->settings, peer);

	if (!p)
		return error_set(e, EACCES,
				 "does not know host %s: add a section "
				 "[peer %s] to its drover.conf",
				 peer, peer);
	if (p->tls && !proved)
		return error_set(e, EACCES,
				 "takes nothing in plain text from host %s: "
				 "remove tls = off from [peer %s] of %s, or "
				 "set it in [peer %s] here too",
				 peer, g->settings->host.name, peer, peer);
	if (!p->tls && proved)
		return error_set(e, EACCES,
				 "speaks no TLS with host %s: remove tls = off "
				 "from its [peer %s], or set it in [peer %s] "
				 "of %s too",
				 peer, peer, g->settings->host.name, peer);
	/* A section of before may say tls = off for a host that was removed
	 * since: no certificate of its has such a number. */
	if (!proved &&
	    trust_check(g->port->host->trust, peer, UINT64_MAX, e) < 0)
		return error_code(e);
	/* In plain text an address is all there is. */
	if (!proved && !has_address(p, &g->channel->remote))
		return error_set(e, EACCES,
				 "knows %s under other addresses than %s: "
				 "correct its [peer %s]",
				 peer, g->from, peer);
	return 0;
}

static int admit(void *context, const char *peer, bool proved, struct error *e)
{
	const struct greeting *g = context;

	(void)peer;
	(void)proved;
	return paths_admit(g->port->host, &g->settings->networks, g->channel,
			   e);
}

/* --- connections */

static const char *peer_at(const struct settings *s,
			   const struct nic_address *from)
{
	for (size_t i = 0; i < s->peers.count; i++) {
		const struct peer *p = s->peers.at[i];

		if (has_address(p, from))
			return p->name;
	}
	return NULL;
}

/* False: there are too many. */
static bool take_place(struct greeting *g)
{
	const struct nic_address *from = &g->channel->remote;
	const char *peer = peer_at(g->settings, from);
	struct port *p = g->port;

	g->place = (struct place){
		.channel = g->channel,
		.peer = peer,
		.known = peer || session_table_knows(p->host->sessions, from),
	};
	return places_take(&p->places, &g->place, clock_us());
}

static void greeting_free(struct greeting *g)
{
	settings_drop(g->settings);
	free(g);
}

static void greeting_over(struct greeting *g)
{
	places_leave(&g->port->places, &g->place);
	greeting_free(g);
}

/* One sentence for all of a crowd. */
static void say_crowd(struct port *p, const char *from)
{
	uint64_t now = clock_us(), said = atomic_load(&p->crowd_said_us);

	if ((said == 0 || now - said > REST_LOG_US) &&
	    atomic_compare_exchange_strong(&p->crowd_said_us, &said, now))
		log_warning("peer port: more connections come than are greeted "
			    "at once, and do not say who they are: the oldest "
			    "are closed, at the moment those from %s",
			    from);
}

static void *greet_main(void *arg)
{
	struct greeting *g = arg;
	struct error e;

	if (session_accept(&g->acceptor, g->channel, &e) < 0) {
		if (g->place.given_up)
			say_crowd(g->port, g->from);
		else
			log_warning("peer connection: %s", e.text);
	}
	/* It knows all by now; the others do not know it. */
	if (g->paired)
		membership_tell(g->port->host);
	greeting_over(g);
	return NULL;
}

static struct greeting *greeting_new(struct port *p)
{
	struct greeting *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->port = p;
	g->settings = live_now(&p->host->live);
	g->acceptor = p->acceptor;
	g->acceptor.context = g;
	g->acceptor.outage_limit_us = g->settings->move.outage_limit_us;
	g->acceptor.networks = &g->settings->networks;
	g->acceptor.rdma = &g->settings->rdma;
	return g;
}

/* A negative errno when it was short of something. */
static int take_connection(struct port *p, const struct listener *l,
			   struct error *e)
{
	struct greeting *g = greeting_new(p);
	int r;

	if (!g)
		return error_set(e, ENOMEM, "no memory for a connection");
	r = l->kind->accept(&g->channel, l->fd, SPARE_FILES, e);
	if (r < 0) {
		greeting_free(g);
		return r;
	}
	snprintf(g->from, sizeof(g->from), "%s", g->channel->to);
	if (!take_place(g)) {
		channel_free(g->channel);
		greeting_free(g);
	} else if (jobs_thread(p->host->jobs, "greeting", greet_main, g, e) <
		   0) {
		greeted(g);
		channel_free(g->channel);
		greeting_over(g);
		return -ENOMEM;
	}
	return 0;
}

/* A connection that cannot be taken stays, and would be reported at once again.
 * What is short comes back when others end. */
static void rest(struct pollfd *stop, const struct error *why,
		 uint64_t *said_us)
{
	uint64_t now = clock_us();

	if (*said_us == 0 || now - *said_us > REST_LOG_US) {
		log_warning("peer port: %s: connections are put off until "
			    "others have ended",
			    why->text);
		*said_us = now;
	}
	poll(stop, 1, REST_MS);
}

static bool is_short(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS;
}

static void *listen_main(void *arg)
{
	struct port *port = arg;
	struct pollfd p[LISTENERS_MAX + 1];
	struct pollfd *stop = &p[port->listeners];
	uint64_t said_us = 0;
	struct error e;

	for (unsigned i = 0; i < port->listeners; i++)
		p[i] = (struct pollfd){ .fd = port->listener[i].fd,
					.events = POLLIN };
	*stop = (struct pollfd){ .fd = port->host->stop_fd, .events = POLLIN };
	for (;;) {
		poll(p, port->listeners + 1, -1);
		if (stop->revents)
			return NULL;
		for (unsigned i = 0; i < port->listeners; i++)
			if (p[i].revents &&
			    is_short(take_connection(port, &port->listener[i],
						     &e)))
				rest(stop, &e, &said_us);
	}
}

static void close_listeners(struct port *p)
{
	for (unsigned i = 0; i < p->listeners; i++)
		close(p->listener[i].fd);
	p->listeners = 0;
}

static int listen_at(struct port *p, const char *address, struct error *e)
{
	for (unsigned i = 0; i < CHANNEL_KINDS; i++) {
		struct listener *l = &p->listener[p->listeners];

		if (p->listeners == LISTENERS_MAX)
			return 0;
		l->kind = channel_kinds[i];
		if (l->kind->listen(&l->fd, address,
				    (uint16_t)p->host->settings->port, e) < 0)
			return error_in(e, "peer port");
		p->listeners++;
	}
	return 0;
}

static int listen_all(struct port *p, struct error *e)
{
	const struct words *addresses = &p->host->settings->listen;

	for (size_t i = 0; i < addresses->count; i++) {
		if (listen_at(p, addresses->at[i], e) < 0) {
			close_listeners(p);
			return error_code(e);
		}
	}
	return 0;
}

/* --- start and end */

struct port *port_new(struct host *h)
{
	struct port *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->host = h;
	places_init(&p->places);
	return p;
}

void port_free(struct port *p)
{
	if (!p)
		return;
	places_done(&p->places);
	free(p);
}

int port_start(struct port *p, struct error *e)
{
	int r;

	p->acceptor = (struct acceptor){
		.own_name = p->host->settings->name,
		.table = p->host->sessions,
		.knows = knows,
		.admit = admit,
		.opened = opened,
		.pair = pair,
		.greeted = greeted,
		.sessions = { .most = SESSIONS_MAX,
			      .most_of_host = HOST_SESSIONS_MAX,
			      .kept_of_host = HOST_SESSIONS_KEPT },
		.host_channels_max = HOST_CHANNELS_MAX,
		.watch = p->host->nics,
		.trust = p->host->trust,
	};
	if (listen_all(p, e) < 0)
		return error_code(e);
	r = thread_create(&p->thread, "peer port", listen_main, p);
	if (r == 0)
		return 0;
	close_listeners(p);
	return error_set(e, r, "no thread for the peer port");
}

void port_stop(struct port *p)
{
	pthread_join(p->thread, NULL);
	close_listeners(p);
}
