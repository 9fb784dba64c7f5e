/* SPDX-License-Identifier: MIT */
#include "ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "channel/tcp.h"

static int admit(void *context, const char *peer, const char *from,
		 struct error *e)
{
	const struct ends *ends = context;

	(void)from;
	CHECK(!strcmp(peer, "near"));
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
		if (tcp_accept(&c, e->listen_fd, &err) == 0)
			greet(e, c);
	return NULL;
}

void ends_init(struct ends *e, uint32_t seed)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct error err;

	*e = (struct ends){ .stop_fd = eventfd(0, EFD_CLOEXEC) };
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->changed, NULL);
	e->table = session_table_new();
	e->acceptor = (struct acceptor){ .own_name = "far",
					 .table = e->table,
					 .admit = admit,
					 .opened = opened,
					 .context = e,
					 .outage_limit_us = 30 * USEC_PER_SEC,
					 .sessions_max = 1 };
	CHECK(tcp_listen(&e->listen_fd, "127.0.0.1", 0, &err) == 0);
	CHECK(getsockname(e->listen_fd, (struct sockaddr *)&a, &len) == 0);
	e->port = ntohs(a.sin_port);
	e->cutter = cutter_new(e->port, seed);
	CHECK(pthread_create(&e->listener, NULL, listen_main, e) == 0);
}

int ends_open(struct ends *e, unsigned channels, uint64_t outage_us,
	      struct error *err)
{
	static const char *const addresses[] = { "127.0.0.1", NULL };
	const struct session_options o = { .own_name = "near",
					   .peer = "far",
					   .addresses = addresses,
					   .port = cutter_port(e->cutter),
					   .channels = channels,
					   .outage_limit_us = outage_us };

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
	cutter_free(e->cutter);
	{
		WITH_LOCK(&e->lock);

		while (e->greeting > 0)
			pthread_cond_wait(&e->changed, &e->lock);
	}
	close(e->listen_fd);
	close(e->stop_fd);
	session_table_free(e->table);
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
}

unsigned stress_seconds(void)
{
	const char *text = getenv("DROVER_TEST_SECONDS");

	return text ? (unsigned)atoi(text) : 2;
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
