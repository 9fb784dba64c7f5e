/* SPDX-License-Identifier: MIT */

/*
 * A socket of this host at which QEMU meets a relay: a path, "unix:PATH", or
 * "tcp:127.0.0.1:PORT" (a loopback address).
 *
 * Of a unix socket the kernel says which process made it (SO_PEERCRED, see
 * unix(7)) and how much of what was sent nobody has read; of a TCP socket it
 * says neither.  A socket that is removed is compared with the one that was
 * made: by then somebody else's may stand there.
 *
 * One thread uses an endpoint; the functions on descriptors are anybody's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct error;

enum { ENDPOINT_TEXT = 128 };

struct endpoint {
	char text[ENDPOINT_TEXT]; /* as it was given */
	struct sockaddr_storage address;
	socklen_t len;
	dev_t dev; /* of the socket that was made */
	ino_t ino;
};

/* Who may connect to a unix socket; {0} means its maker alone. */
struct endpoint_owner {
	const char *user; /* NULL: this process's, or by number: */
	uid_t number;
	mode_t mode; /* 0: read and write for the owner */
};

int endpoint_parse(struct endpoint *ret, const char *text, struct error *e);
bool endpoint_is_unix(const struct endpoint *p);

/* Whether QEMU can listen there: 1; 0: not (any more); negative: this cannot
 * be told without connecting.  Nobody there hears of the question. */
int endpoint_is_there(const struct endpoint *p);
/* Takes away a socket at which nobody listens any more; -EEXIST for anything
 * else that stands there. */
int endpoint_make_room(const struct endpoint *p, struct error *e);

/* Non-blocking, and removed when it is of no use. */
int endpoint_listen(struct endpoint *p, const struct endpoint_owner *owner,
		    int backlog, int *ret_fd, struct error *e);
void endpoint_remove(
	const struct endpoint *p); /* what endpoint_listen() made */
/* A socket that blocks; -ETIMEDOUT when nobody has taken the connection by
 * then. */
int endpoint_connect(const struct endpoint *p, uint64_t deadline_us,
		     int *ret_fd, struct error *e);

/* The process at the other end; 0: not known. */
pid_t endpoint_process(int fd);
/* A pidfd of that process; -1: not known. */
int endpoint_pidfd(int fd);
/* It has ended, or does within @wait_ms. */
bool endpoint_process_ended(int pidfd, int wait_ms);
/* At most so many bytes that were sent has the other end not read; of a TCP
 * socket: not received. */
uint64_t endpoint_unread(int fd);
/* The other end is gone, perhaps without having read all. */
bool endpoint_hung_up(int fd);
