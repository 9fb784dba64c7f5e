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

/* Host may be an address or a name; tried in getaddrinfo() order until one
 * answers by the deadline, or -ECANCELED when @stop_fd (-1: none) becomes
 * readable. */
int tcp_dial(struct channel **ret, const char *host, uint16_t port,
	     uint64_t deadline_us, int stop_fd, struct error *e);

/* A listening socket; closed by the caller. */
int tcp_listen(int *ret_fd, const char *address, uint16_t port,
	       struct error *e);

/* The next connection on @listen_fd; -EAGAIN when there is none. */
int tcp_accept(struct channel **ret, int listen_fd, struct error *e);
