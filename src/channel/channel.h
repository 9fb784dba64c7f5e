/* SPDX-License-Identifier: MIT */

/*
 * A channel is one connection between two daemons over one pair of addresses.
 * It carries whole frames; what they mean is the session's business.
 *
 * One thread writes, one other thread reads.  channel_shutdown() may come from
 * any thread and makes both of them return; channel_free() only after both
 * have ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "nic/inventory.h"

struct channel;
struct error;

enum { CHANNEL_NAME_MAX = 64 };

struct channel_stats {
	uint64_t retransmissions; /* packets, as the transport counts them */
	uint64_t rtt_us;
};

struct channel_ops {
	const char *name; /* "tcp" */

	/* Writes everything, waits as long as it takes.  @iov is used up. */
	int (*write)(struct channel *c, struct iovec *iov, int n,
		     struct error *e);

	/* Reads up to @cap bytes.  Returns the bytes, 0 when the peer closed,
	 * -EAGAIN when nothing came by @deadline_us (clock_us() time; 0 never
	 * waits), another negative errno when the channel broke. */
	ssize_t (*read)(struct channel *c, void *buf, size_t cap,
			uint64_t deadline_us, struct error *e);

	/* No more writes; the peer reads what was written, then the end. */
	void (*finish)(struct channel *c);
	/* Both directions, at once. */
	void (*shutdown)(struct channel *c);
	void (*stats)(struct channel *c, struct channel_stats *ret);
	/* Bytes that have arrived and nobody has read. */
	size_t (*unread)(struct channel *c);
	void (*free)(struct channel *c);
};

struct channel {
	const struct channel_ops *ops;
	char from[CHANNEL_NAME_MAX]; /* "10.0.0.1:40000" */
	char to[CHANNEL_NAME_MAX];

	/* Of the connection; family 0: not known. */
	struct nic_address local, remote;
	uint16_t local_port;
	/* ifindex of the card over which an accepted connection came in; 0: not
	 * known. */
	int arrived;
};

/* Fills @buf or fails: -ETIMEDOUT at the deadline, -ECONNRESET when the peer
 * closed inside. */
int channel_read_all(struct channel *c, void *buf, size_t len,
		     uint64_t deadline_us, struct error *e);

void channel_free(struct channel *c); /* NULL is fine */
