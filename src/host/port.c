/* SPDX-License-Identifier: MIT */
#include "host/port.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
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
#include "host/parts.h"
#include "host/paths.h"
#include "nic/address.h"
#include "session/accept.h"

enum {
	LISTENERS_MAX = 16,
	/* Connections with a thread here, from addresses of no peer and from
	 * those of peers: of the settings, or of their cards. */
	UNKNOWN_MAX = 32,
	KNOWN_MAX = 96,
	/* Of one peer; and those that it may have whatever the others do. */
	PEER_MAX = 80,
	PEER_KEPT = 8,
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

	pthread_mutex_t lock; /* guards what follows */
	/* Connections whose threads greet or serve them, by their address. */
	struct greeting *first;
};

/* A connection that is greeted. */
struct greeting {
	struct port *port;
	struct acceptor acceptor;  /* the host's, with this as its context */
	struct settings *settings; /* a reference, to those of its arrival */
	struct channel *channel;   /* that was accepted */
	char from[CHANNEL_NAME_MAX];
	/* Whose address it comes from; NULL: nobody's, or a peer's card's. */
	const char *peer;
	bool known;
	struct greeting *next; /* guarded by the port's lock */
};

static void opened(void *context, struct session *s)
{
	const struct greeting *g = context;

	arrivals_serve(g->port->host, s);
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

/* Those of its kind, and those of its peer among them; locked. */
static void count_alike(const struct greeting *g, unsigned *ret_all,
			unsigned *ret_own)
{
	*ret_all = *ret_own = 0;
	for (const struct greeting *o = g->port->first; o; o = o->next) {
		*ret_all += o->known == g->known;
		*ret_own += g->peer && o->peer && !strcmp(o->peer, g->peer);
	}
}

/* Adds a connection that is to be greeted; false when there are too many. */
static bool add_greeting(struct greeting *g)
{
	const struct nic_address *from = &g->channel->remote;
	struct port *p = g->port;
	unsigned all, own;

	g->peer = peer_at(g->settings, from);
	g->known = g->peer || session_table_knows(p->host->sessions, from);

	WITH_LOCK(&p->lock);

	count_alike(g, &all, &own);
	if (own >= PEER_MAX || (all >= (g->known ? KNOWN_MAX : UNKNOWN_MAX) &&
				!(g->peer && own < PEER_KEPT)))
		return false;
	g->next = p->first;
	p->first = g;
	return true;
}

static void greeting_free(struct greeting *g)
{
	settings_drop(g->settings);
	free(g);
}

static void greeting_over(struct greeting *g)
{
	{
		WITH_LOCK(&g->port->lock);

		for (struct greeting **at = &g->port->first; *at;
		     at = &(*at)->next) {
			if (*at == g) {
				*at = g->next;
				break;
			}
		}
	}
	greeting_free(g);
}

static void *greet_main(void *arg)
{
	struct greeting *g = arg;
	struct error e;

	if (session_accept(&g->acceptor, g->channel, &e) < 0)
		log_warning("peer connection: %s", e.text);
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
	if (!add_greeting(g)) {
		channel_free(g->channel);
		greeting_free(g);
	} else if (jobs_thread(p->host->jobs, "greeting", greet_main, g, e) <
		   0) {
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
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void port_free(struct port *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
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
