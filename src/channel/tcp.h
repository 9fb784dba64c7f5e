/* SPDX-License-Identifier: MIT */

/*
 * Channels over TCP.
 *
 * What waits in the kernel is kept small (TCP_NOTSENT_LOWAT), so that a frame
 * that has to leave over another channel is not stuck behind a megabyte, and
 * a dead path is noticed within a second (TCP_USER_TIMEOUT).
 */
#pragma once

#include <stdint.h>

struct channel;
struct error;
struct nic_address;

/* Host may be an address or a name; tried in getaddrinfo() order until one
 * answers by the deadline, or -ECANCELED when @stop_fd (-1: none) becomes
 * readable. */
int tcp_dial(struct channel **ret, const char *host, uint16_t port,
	     uint64_t deadline_us, int stop_fd, struct error *e);

/* From one card to one address, and back over the same card. */
struct tcp_way {
	const char *device; /* to keep to; where that is not allowed, the
			     * address decides */
	const struct nic_address *from, *to;
	uint16_t from_port; /* 0: any */
	uint16_t to_port;
};

/* -EADDRINUSE: the source port is taken.  Otherwise as tcp_dial(). */
int tcp_dial_way(struct channel **ret, const struct tcp_way *way,
		 uint64_t deadline_us, int stop_fd, struct error *e);

/* What an accepted channel sends leaves over this card from now on. */
int tcp_keep_to(struct channel *c, const char *device, struct error *e);

/* A listening socket; closed by the caller. */
int tcp_listen(int *ret_fd, const char *address, uint16_t port,
	       struct error *e);

/* The next connection on @listen_fd; -EAGAIN when there is none.  The process's
 * last @spare descriptors are left to others: -EMFILE. */
int tcp_accept(struct channel **ret, int listen_fd, int spare, struct error *e);
