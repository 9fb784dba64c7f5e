/* SPDX-License-Identifier: MIT */

/*
 * A TCP proxy that lets every byte wait: a long path on this machine.
 *
 *     delay ADDRESS PORT TARGET PORT MS
 *
 * listens, connects to the target for each connection, and passes bytes on MS
 * milliseconds after they came, in both directions.  The order stays, and so
 * does the rate: what is on its way stands in a ring for each direction, whose
 * memory appears as it is used.  Only a full ring holds a sender back.
 *
 * Prints "ready" when it listens.  One thread, until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	RING = 64 * 1024 * 1024, /* 4 Gbit/s for 128 ms */
	PIECE = 256 * 1024,      /* that is read or written at once */
	MARKS = 4096,            /* at most one for each millisecond */
	PAIRS = 128,             /* connections */
};

/* The bytes up to @end may pass at @due_ms. */
struct mark {
	uint64_t end, due_ms;
};

/* One direction. */
struct way {
	int from, to;
	uint8_t *ring;
	uint64_t read, written, due; /* bytes; those that may pass */
	struct mark mark[MARKS];
	unsigned first, marks;
	bool eof, done;
	uint64_t eof_ms;
};

struct pair {
	struct way way[2];
};

static uint64_t delay_ms;
static struct pair *pair[PAIRS];

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
		fprintf(stderr, "delay: no address: %s\n", host);
		exit(2);
	}
	return a;
}

static bool would_block(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* --- one direction */

static void mark_read(struct way *w, uint64_t now)
{
	struct mark *last = &w->mark[(w->first + w->marks - 1) % MARKS];

	if (w->marks == 0 || last->due_ms != now + delay_ms) {
		last = &w->mark[(w->first + w->marks++) % MARKS];
		last->due_ms = now + delay_ms;
	}
	last->end = w->read;
}

static bool wants_bytes(const struct way *w)
{
	return !w->eof && !w->done && w->marks < MARKS &&
	       w->read - w->written < RING;
}

static size_t piece(uint64_t at, uint64_t len)
{
	uint64_t to_end = RING - at % RING;

	len = len < to_end ? len : to_end;
	return len < PIECE ? len : PIECE;
}

static void take(struct way *w, uint64_t now)
{
	size_t room = piece(w->read, RING - (w->read - w->written));
	ssize_t n = recv(w->from, w->ring + w->read % RING, room, MSG_DONTWAIT);

	if (would_block(n))
		return;
	if (n > 0) {
		w->read += (uint64_t)n;
		mark_read(w, now);
		return;
	}
	w->eof = true;
	w->eof_ms = now + delay_ms;
}

/* What may pass by now. */
static void ripen(struct way *w, uint64_t now)
{
	while (w->marks > 0 && w->mark[w->first].due_ms <= now) {
		w->due = w->mark[w->first].end;
		w->first = (w->first + 1) % MARKS;
		w->marks--;
	}
}

static void give(struct way *w, uint64_t now)
{
	ssize_t n;

	ripen(w, now);
	while (!w->done && w->written < w->due) {
		n = send(w->to, w->ring + w->written % RING,
			 piece(w->written, w->due - w->written),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (would_block(n))
			return;
		if (n < 0) {
			shutdown(w->from, SHUT_RD);
			w->done = true;
			return;
		}
		w->written += (uint64_t)n;
	}
	if (!w->done && w->eof && w->written == w->read && w->eof_ms <= now) {
		shutdown(w->to, SHUT_WR);
		w->done = true;
	}
}

/* --- all of them */

static struct pair *pair_new(int near, int far)
{
	struct pair *p = calloc(1, sizeof(*p));
	int one = 1;

	for (int i = 0; p && i < 2; i++) {
		struct way *w = &p->way[i];

		w->from = i ? far : near;
		w->to = i ? near : far;
		setsockopt(w->from, IPPROTO_TCP, TCP_NODELAY, &one,
			   sizeof(one));
		w->ring = mmap(NULL, RING, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			       0);
		if (w->ring == MAP_FAILED)
			exit(1);
	}
	return p;
}

static void pair_free(struct pair *p)
{
	close(p->way[0].from);
	close(p->way[0].to);
	munmap(p->way[0].ring, RING);
	munmap(p->way[1].ring, RING);
	free(p);
}

static void admit(int listener, const struct sockaddr_in *target)
{
	int near = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (int i = 0; near >= 0 && i < PAIRS; i++) {
		if (pair[i])
			continue;
		if (connect(far, (const void *)target, sizeof(*target)) < 0)
			break;
		pair[i] = pair_new(near, far);
		return;
	}
	close(near);
	close(far);
}

/* Milliseconds until @w has to be looked at. */
static int next_ms(const struct way *w, uint64_t now)
{
	uint64_t due = w->marks > 0 ? w->mark[w->first].due_ms : UINT64_MAX;

	if (w->done)
		return 1000;
	if (w->marks == 0 && w->eof)
		due = w->eof_ms;
	if (due <= now)
		return 1;
	return due - now < 1000 ? (int)(due - now) : 1000;
}

static void watch(struct pollfd *p, const struct way *w)
{
	p[0] = (struct pollfd){ wants_bytes(w) ? w->from : -1, POLLIN, 0 };
	p[1] = (struct pollfd){ w->written < w->due && !w->done ? w->to : -1,
				POLLOUT, 0 };
}

static int watch_all(struct pollfd *p, uint64_t now)
{
	int wait = 1000;

	for (int i = 0; i < 2 * PAIRS; i++) {
		const struct way *w =
			pair[i / 2] ? &pair[i / 2]->way[i % 2] : NULL;

		p[2 * i] = p[2 * i + 1] = (struct pollfd){ .fd = -1 };
		if (!w)
			continue;
		watch(p + 2 * i, w);
		if (next_ms(w, now) < wait)
			wait = next_ms(w, now);
	}
	return wait;
}

static void pass_all(const struct pollfd *p, uint64_t now)
{
	for (int i = 0; i < 2 * PAIRS; i++) {
		struct way *w = pair[i / 2] ? &pair[i / 2]->way[i % 2] : NULL;

		if (!w)
			continue;
		if (p[2 * i].revents)
			take(w, now);
		give(w, now);
	}
	for (int i = 0; i < PAIRS; i++) {
		if (!pair[i] || !pair[i]->way[0].done || !pair[i]->way[1].done)
			continue;
		pair_free(pair[i]);
		pair[i] = NULL;
	}
}

static int listen_at(const struct sockaddr_in *a)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const void *)a, sizeof(*a)) < 0 || listen(fd, 64) < 0) {
		perror("delay: listen");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	static struct pollfd p[4 * PAIRS + 1];
	struct sockaddr_in here, target;
	int listener;

	if (argc != 6) {
		fprintf(stderr, "delay ADDRESS PORT TARGET PORT MS\n");
		return 2;
	}
	here = address(argv[1], argv[2]);
	target = address(argv[3], argv[4]);
	delay_ms = (uint64_t)atoi(argv[5]);
	listener = listen_at(&here);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int wait = watch_all(p, now_ms());

		p[4 * PAIRS] = (struct pollfd){ listener, POLLIN, 0 };
		poll(p, 4 * PAIRS + 1, wait);
		pass_all(p, now_ms());
		if (p[4 * PAIRS].revents)
			admit(listener, &target);
	}
}
