/* SPDX-License-Identifier: MIT */
#include "cutter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/scope.h"

enum { PIECE = 32 * 1024 };

/* One direction of a connection. */
struct pump {
	struct pair *pair;
	int from, to;
	uint32_t seed;
};

struct pair {
	struct cutter *cutter;
	int fd[2];
	struct pump pump[2];
	unsigned running;  /* guarded by the cutter */
	struct pair *next; /* likewise */
};

struct cutter {
	int listen_fd, stop_fd;
	uint16_t port, to_port;
	pthread_t acceptor;
	uint32_t seed;
	atomic_uint hurt, faults;
	atomic_int flips;
	atomic_bool refuse, frozen;

	pthread_mutex_t lock;
	pthread_cond_t ended;
	struct pair *pairs;
};

/* xorshift: the same faults for the same seed, as far as threads allow. */
static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static bool forward(struct pump *p, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(p->to, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* True when the connection may live on. */
static bool fault(struct pump *p, uint8_t *at)
{
	atomic_fetch_add(&p->pair->cutter->faults, 1);
	if (random_next(&p->seed) % 2 ||
	    atomic_fetch_sub(&p->pair->cutter->flips, 1) <= 0)
		return false;
	*at ^= (uint8_t)(1 << random_next(&p->seed) % 8);
	return true;
}

static void pump_ended(struct pair *p)
{
	struct cutter *c = p->cutter;

	WITH_LOCK(&c->lock);

	if (--p->running > 0)
		return;
	for (struct pair **at = &c->pairs; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	close(p->fd[0]);
	close(p->fd[1]);
	free(p);
	pthread_cond_broadcast(&c->ended);
}

static void *pump_main(void *arg)
{
	struct pump *p = arg;
	uint8_t *buf = malloc(PIECE);
	uint64_t left = UINT64_MAX;
	ssize_t n;

	while ((n = recv(p->from, buf, PIECE, 0)) > 0) {
		uint32_t hurt = atomic_load(&p->pair->cutter->hurt);

		if (atomic_load(&p->pair->cutter->frozen))
			continue;
		if (hurt && left == UINT64_MAX)
			left = random_next(&p->seed) % (2 * hurt);
		if (hurt && (uint64_t)n > left) {
			bool lives = fault(p, buf + left);

			if (!lives) {
				forward(p, buf, left);
				break;
			}
			left = UINT64_MAX;
		} else if (left != UINT64_MAX) {
			left -= (uint64_t)n;
		}
		if (!forward(p, buf, (size_t)n))
			break;
	}
	/* The end of a direction is passed on; a cut takes both. */
	shutdown(p->to, n == 0 ? SHUT_WR : SHUT_RDWR);
	if (n != 0)
		shutdown(p->from, SHUT_RDWR);
	free(buf);
	pump_ended(p->pair);
	return NULL;
}

static int dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void add_pair(struct cutter *c, int fd)
{
	int there = atomic_load(&c->refuse) ? -1 : dial(c->to_port);
	struct pair *p = calloc(1, sizeof(*p));

	WITH_LOCK(&c->lock);

	if (there < 0 || !p) {
		close(fd);
		if (there >= 0)
			close(there);
		free(p);
		return;
	}
	p->cutter = c;
	p->fd[0] = fd;
	p->fd[1] = there;
	for (int i = 0; i < 2; i++) {
		int one = 1;

		setsockopt(p->fd[i], IPPROTO_TCP, TCP_NODELAY, &one,
			   sizeof(one));
		p->pump[i] = (struct pump){ p, p->fd[i], p->fd[!i],
					    random_next(&c->seed) };
	}
	p->running = 2;
	p->next = c->pairs;
	c->pairs = p;
	for (int i = 0; i < 2; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, pump_main, &p->pump[i]) != 0)
			abort();
		pthread_detach(t);
	}
}

static void *accept_main(void *arg)
{
	struct cutter *c = arg;
	struct pollfd p[2] = { { c->listen_fd, POLLIN, 0 },
			       { c->stop_fd, POLLIN, 0 } };

	while (poll(p, 2, -1) > 0 && !p[1].revents) {
		int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			add_pair(c, fd);
	}
	return NULL;
}

struct cutter *cutter_new(uint16_t to_port, uint32_t seed)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct cutter *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	c->to_port = to_port;
	c->seed = seed ? seed : 1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->ended, NULL);
	if (bind(c->listen_fd, (struct sockaddr *)&a, len) < 0 ||
	    listen(c->listen_fd, 64) < 0 ||
	    getsockname(c->listen_fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	c->port = ntohs(a.sin_port);
	pthread_create(&c->acceptor, NULL, accept_main, c);
	return c;
}

uint16_t cutter_port(const struct cutter *c)
{
	return c->port;
}

void cutter_hurt(struct cutter *c, uint32_t bytes, int flips)
{
	atomic_store(&c->flips, flips);
	atomic_store(&c->hurt, bytes);
}

void cutter_cut_all(struct cutter *c, int refuse)
{
	atomic_store(&c->refuse, refuse);

	WITH_LOCK(&c->lock);

	for (struct pair *p = c->pairs; p; p = p->next)
		for (int k = 0; k < 2; k++)
			shutdown(p->fd[k], SHUT_RDWR);
}

void cutter_freeze(struct cutter *c)
{
	atomic_store(&c->frozen, true);
}

unsigned cutter_faults(const struct cutter *c)
{
	return atomic_load(&c->faults);
}

void cutter_free(struct cutter *c)
{
	eventfd_write(c->stop_fd, 1);
	pthread_join(c->acceptor, NULL);
	cutter_cut_all(c, 1);
	{
		WITH_LOCK(&c->lock);

		while (c->pairs)
			pthread_cond_wait(&c->ended, &c->lock);
	}
	close(c->listen_fd);
	close(c->stop_fd);
	pthread_cond_destroy(&c->ended);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
