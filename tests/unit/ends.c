/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "network.h"
#include "nic/watch.h"

static int admit(void *context, const char *peer, bool proved, struct error *e)
{
	const struct ends *ends = context;

	CHECK(!strcmp(peer, "near"));
	if (proved != ends->far_proves)
		return error_set(e, EACCES, "far wants it %s",
				 proved ? "plain" : "proved");
	return ends->refuse ? error_set(e, EACCES, "%s", ends->refuse) : 0;
}

static void opened(void *context, struct session *s)
{
	struct ends *e = context;

	WITH_LOCK(&e->lock);

	CHECK(!e->far);
	e->far = s;
	pthread_cond_broadcast(&e->changed);
}

struct greeting {
	struct ends *ends;
	struct channel *channel;
};

static void *greet_main(void *arg)
{
	struct greeting *g = arg;
	struct ends *ends = g->ends;
	struct error e;

	session_accept(&ends->acceptor, g->channel, &e);
	free(g);

	WITH_LOCK(&ends->lock);

	ends->greeting--;
	pthread_cond_broadcast(&ends->changed);
	return NULL;
}

static void greet(struct ends *e, struct channel *c)
{
	struct greeting *g = malloc(sizeof(*g));
	pthread_t t;

	CHECK(g);
	*g = (struct greeting){ e, c };
	{
		WITH_LOCK(&e->lock);
		e->greeting++;
	}
	CHECK(pthread_create(&t, NULL, greet_main, g) == 0);
	pthread_detach(t);
}

static void *listen_main(void *arg)
{
	struct ends *e = arg;
	struct pollfd p[2] = { { e->listen_fd, POLLIN, 0 },
			       { e->stop_fd, POLLIN, 0 } };
	struct error err;
	struct channel *c;

	while (poll(p, 2, -1) > 0 && !p[1].revents)
		if (channel_tcp.accept(&c, e->listen_fd, 0, &err) == 0)
			greet(e, c);
	return NULL;
}

static void init_common(struct ends *e)
{
	*e = (struct ends){ .stop_fd = eventfd(0, EFD_CLOEXEC) };
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->changed, NULL);
	e->table = session_table_new();
	e->acceptor =
		(struct acceptor){ .own_name = "far",
				   .table = e->table,
				   .admit = admit,
				   .opened = opened,
				   .context = e,
				   .outage_limit_us = 30 * USEC_PER_SEC,
				   .sessions = { .most = 1, .most_of_host = 1 },
				   .host_channels_max = CHANNELS_MAX };
}

static void listen_at(struct ends *e, const char *address)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct error err;

	CHECK(channel_tcp.listen(&e->listen_fd, address, 0, &err) == 0);
	CHECK(getsockname(e->listen_fd, (struct sockaddr *)&a, &len) == 0);
	e->port = ntohs(a.sin_port);
}

void ends_init(struct ends *e, uint32_t seed)
{
	init_common(e);
	listen_at(e, "127.0.0.1");
	e->cutter = cutter_new(e->port, seed);
	CHECK(pthread_create(&e->listener, NULL, listen_main, e) == 0);
}

/* --- cards */

static void ip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* In the namespace of the calling thread. */
static void ip(const char *fmt, ...)
{
	char words[160], command[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	snprintf(command, sizeof(command), "ip %s", words);
	CHECK(system(command) == 0); /* NOLINT(concurrency-mt-unsafe) */
}

static void address_links(const struct ends *e, unsigned own)
{
	for (unsigned k = 1; k <= e->links; k++) {
		ip("address add 10.99.%u.%u/24 dev lan%u", k, own, k);
		ip("link set lan%u up", k);
	}
}

/* The far host: its namespace is this thread's, and that of all threads that
 * come from it. */
static void *far_main(void *arg)
{
	struct ends *e = arg;
	struct error err;

	CHECK(unshare(CLONE_NEWNET) == 0);
	e->far_thread = gettid();
	pthread_barrier_wait(&e->turn);
	pthread_barrier_wait(&e->turn);
	address_links(e, 2);
	CHECK(nic_watch_new(&e->acceptor.watch, &err) == 0);
	e->acceptor.networks = &e->networks;
	listen_at(e, "0.0.0.0");
	pthread_barrier_wait(&e->turn);
	return listen_main(e);
}

void ends_init_cards(struct ends *e, unsigned links)
{
	struct error err;

	network_make((const char *const[]){ NULL });
	init_common(e);
	e->links = links;
	pthread_barrier_init(&e->turn, NULL, 2);
	CHECK(pthread_create(&e->listener, NULL, far_main, e) == 0);
	pthread_barrier_wait(&e->turn);
	for (unsigned k = 1; k <= links; k++)
		ip("link add lan%u type veth peer name lan%u netns %d", k, k,
		   (int)e->far_thread);
	address_links(e, 1);
	pthread_barrier_wait(&e->turn);
	pthread_barrier_wait(&e->turn);
	CHECK(nic_watch_new(&e->cards.watch, &err) == 0);
	e->cards.networks = &e->networks;
	e->cards.policy = (struct path_policy){
		.all = true, .per_card = 2, .per_rss_card = 2, .most = 32
	};
}

void ends_plug(const struct ends *e, unsigned link, bool in)
{
	(void)e;
	ip("link set lan%u %s", link, in ? "up" : "down");
}

void ends_readdress(const struct ends *e, unsigned link)
{
	(void)e;
	ip("address flush dev lan%u", link);
	ip("address add 10.98.%u.1/24 dev lan%u", link, link);
}

int ends_open(struct ends *e, unsigned channels, uint64_t outage_us,
	      struct error *err)
{
	static const char *const loopback[] = { "127.0.0.1", NULL };
	static const char *const cards[] = { "10.99.1.2", "10.99.2.2", NULL };
	const struct session_options o = {
		.own_name = "near",
		.peer = "far",
		.trust = e->trust,
		.addresses = e->links ? cards : loopback,
		.port = e->cutter ? cutter_port(e->cutter) : e->port,
		.cards = e->cards,
		.channels = channels,
		.compressor = e->compressor,
		.compressor_policy = e->compressor_policy,
		.outage_limit_us = outage_us
	};

	e->acceptor.outage_limit_us = outage_us;
	if (session_open(&e->near, &o, err) < 0)
		return -err->code;
	ends_far(e);
	return 0;
}

struct session *ends_far(struct ends *e)
{
	WITH_LOCK(&e->lock);

	while (!e->far)
		pthread_cond_wait(&e->changed, &e->lock);
	return e->far;
}

static void *free_far(void *session)
{
	session_free(session);
	return NULL;
}

/* At once, as on two hosts. */
void ends_close(struct ends *e)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, free_far, e->far) == 0);
	session_free(e->near);
	pthread_join(t, NULL);
	e->near = e->far = NULL;
}

void ends_done(struct ends *e)
{
	eventfd_write(e->stop_fd, 1);
	pthread_join(e->listener, NULL);
	if (e->cutter)
		cutter_free(e->cutter);
	{
		WITH_LOCK(&e->lock);

		while (e->greeting > 0)
			pthread_cond_wait(&e->changed, &e->lock);
	}
	close(e->listen_fd);
	close(e->stop_fd);
	session_table_free(e->table);
	if (e->links) {
		nic_watch_free(e->cards.watch);
		nic_watch_free(e->acceptor.watch);
		pthread_barrier_destroy(&e->turn);
	}
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
}

unsigned stress_times(void)
{
	const char *text = getenv("DROVER_TEST_TIMES");

	return text ? (unsigned)atoi(text) : 1;
}

uint32_t stress_seed(void)
{
	const char *text = getenv("DROVER_TEST_SEED");
	uint32_t seed =
		text ? (uint32_t)strtoul(text, NULL, 0) : (uint32_t)clock_us();

	seed = seed ? seed : 1;
	fprintf(stderr, "# DROVER_TEST_SEED=%u\n", seed);
	return seed;
}

uint32_t random_below(uint32_t *seed, uint32_t below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed % below;
}
