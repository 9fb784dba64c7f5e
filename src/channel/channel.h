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

#include "channel/congestion.h"
#include "nic/inventory.h"

struct channel;
struct error;

enum { CHANNEL_NAME_MAX = 64 };

struct channel_stats {
	uint64_t retransmissions; /* packets, as the transport counts them */
	uint64_t rtt_us, least_rtt_us; /* lately */
	/* By which its packets come, as the kernel numbers those of all cards;
	 * 0: not known. */
	unsigned queue;
	/* Sent and arrived, or received, and in how many packets; 0: not known.
	 */
	uint64_t sent_bytes, sent_packets;
	uint64_t left_bytes; /* the same with what was sent again */
	uint64_t received_bytes, received_packets;
	/* As it is, and as the host would have it; "": there is none. */
	char congestion[CONGESTION_NAME], own_congestion[CONGESTION_NAME];
};

#define CHANNEL_FREE UINT64_MAX

/* -1: as it is. */
struct channel_marks {
	int priority; /* SO_PRIORITY, also a class of tc's as 0x10010 */
	int dscp;     /* 0 to 63 */
};

/* From one card to one address, and back over the same card; or, where @to is
 * NULL, to a host by an address or a name. */
struct channel_way {
	const char *host; /* tried in getaddrinfo() order until one answers */
	const struct nic_address *to;
	uint16_t port;
	/* NULL: any.  Where it is not allowed to keep to a card, the address
	 * decides. */
	const char *device;
	const struct nic_address *from; /* of the card */
	uint16_t from_port;             /* 0: any */
};

/* What is different between two kinds of connections.  What may be NULL says
 * so. */
struct channel_kind {
	const char *name; /* "tcp" */

	/* -EADDRINUSE: the source port is taken; -ECANCELED when @stop_fd (-1:
	 * none) becomes readable. */
	int (*dial)(struct channel **ret, const struct channel_way *way,
		    uint64_t deadline_us, int stop_fd, struct error *e);
	/* A listening descriptor; closed by the caller. */
	int (*listen)(int *ret_fd, const char *address, uint16_t port,
		      struct error *e);
	/* The next connection on @listen_fd; -EAGAIN when there is none.  The
	 * process's last @spare descriptors are left to others: -EMFILE. */
	int (*accept)(struct channel **ret, int listen_fd, int spare,
		      struct error *e);

	/* Writes everything, waits as long as it takes.  @iov is used up. */
	int (*write)(struct channel *c, struct iovec *iov, int n,
		     struct error *e);

	/* Reads up to @cap bytes.  Returns the bytes, 0 when the peer closed,
	 * -EAGAIN when nothing came by @deadline_us (clock_us() time; 0 never
	 * waits), another negative errno when the channel broke. */
	ssize_t (*read)(struct channel *c, void *buf, size_t cap,
			uint64_t deadline_us, struct error *e);

	/* Memory that the reader reads into, which the transport may have to
	 * know.  NULL: any will do. */
	void *(*buffer_new)(struct channel *c, size_t len);
	void (*buffer_free)(struct channel *c, void *buffer);

	/* What is sent leaves over this card from now on. */
	int (*keep_to)(struct channel *c, const char *device, struct error *e);

	/* At most so many bytes a second leave from now on, in both NULL: the
	 * transport cannot be told.  CHANNEL_FREE: as many as it can. */
	int (*pace)(struct channel *c, uint64_t rate, struct error *e);
	/* What the network knows its packets by. */
	int (*mark)(struct channel *c, const struct channel_marks *m,
		    struct error *e);
	/* Congestion control from now on; NULL: the transport has none. */
	int (*congest)(struct channel *c, const char *name, struct error *e);

	/* No more writes; the peer reads what was written, then the end. */
	void (*finish)(struct channel *c);
	/* Both directions, at once. */
	void (*shutdown)(struct channel *c);
	void (*stats)(struct channel *c, struct channel_stats *ret);
	/* Bytes that have arrived and nobody has read. */
	size_t (*unread)(struct channel *c);
	void (*free)(struct channel *c);
};

/* All there are.  The first one is what a session begins with and dials over
 * pairs of cards. */
enum { CHANNEL_KINDS = 1 };
extern const struct channel_kind *const channel_kinds[CHANNEL_KINDS];
/* Each in the file of its name. */
extern const struct channel_kind channel_tcp;

struct channel {
	const struct channel_kind *kind;
	char from[CHANNEL_NAME_MAX]; /* "10.0.0.1:40000" */
	char to[CHANNEL_NAME_MAX];

	/* The name that the other side has proved; empty: none. */
	char identity[CHANNEL_NAME_MAX];
	uint64_t serial; /* of the certificate that did; 0: a longer one */

	/* Of the connection; family 0: not known. */
	struct nic_address local, remote;
	uint16_t local_port, remote_port;
	/* ifindex of the card over which an accepted connection came in; 0: not
	 * known. */
	int arrived;
};

/* Fills @buf or fails: -ETIMEDOUT at the deadline, -ECONNRESET when the peer
 * closed inside. */
int channel_read_all(struct channel *c, void *buf, size_t len,
		     uint64_t deadline_us, struct error *e);

/* NULL without memory. */
void *channel_buffer_new(struct channel *c, size_t len);
void channel_buffer_free(struct channel *c, void *buffer); /* NULL is fine */

void channel_free(struct channel *c); /* NULL is fine */
