/* SPDX-License-Identifier: MIT */
#include "nic/events.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/error.h"
#include "nic/inventory.h"
#include "nic/netlink.h"

enum { BUFFER_BYTES = 1 << 20, MESSAGE_BYTES = 1 << 16 };

struct nic_events {
	struct nl_sock *sock;
	struct inventory links; /* as far as messages tell */
	char message[MESSAGE_BYTES] __attribute__((aligned(8)));
};

void nic_events_close(struct nic_events *ev)
{
	if (!ev)
		return;
	inventory_clear(&ev->links);
	nl_socket_free(ev->sock);
	free(ev);
}

static void drop_events(struct nic_events **ev)
{
	nic_events_close(*ev);
}

int nic_events_fd(const struct nic_events *ev)
{
	return nl_socket_get_fd(ev->sock);
}

/* What is known now, by a socket of its own: the answers would stand between
 * the news on the other one. */
static int learn(struct nic_events *ev, struct error *e)
{
	AUTO_NETLINK struct nl_sock *sock = NULL;

	if (netlink_open(&sock, NETLINK_ROUTE, e) < 0)
		return error_code(e);
	return links_read(&ev->links, sock, e);
}

static int subscribe(struct nl_sock *sock, struct error *e)
{
	int r = nl_socket_add_memberships(sock, RTNLGRP_LINK,
					  RTNLGRP_IPV4_IFADDR,
					  RTNLGRP_IPV6_IFADDR, 0);

	if (r < 0 || (r = nl_socket_set_nonblocking(sock)) < 0)
		return error_set(e, EIO, "netlink: %s", nl_geterror(r));
	/* A smaller one only means that more is read anew after a burst. */
	nl_socket_set_buffer_size(sock, BUFFER_BYTES, 0);
	return 0;
}

int nic_events_open(struct nic_events **ret, struct error *e)
{
	SCOPED(drop_events) struct nic_events *ev = calloc(1, sizeof(*ev));

	if (!ev)
		return error_set(e, ENOMEM, "no memory for network events");
	if (netlink_open(&ev->sock, NETLINK_ROUTE, e) < 0 ||
	    subscribe(ev->sock, e) < 0 || learn(ev, e) < 0)
		return error_in(e, "listen for network events");
	*ret = take_ptr(&ev);
	return 0;
}

/* The messages of one datagram. */
static int apply(struct nic_events *ev, int len, unsigned *changes,
		 struct error *e)
{
	struct nlmsghdr *h = (struct nlmsghdr *)ev->message;

	for (; nlmsg_ok(h, len); h = nlmsg_next(h, &len)) {
		int bits = links_apply(&ev->links, h);

		if (bits < 0)
			return error_set(e, -bits,
					 "no memory for network events");
		*changes |= (unsigned)bits;
	}
	return 0;
}

/* 1: there was one, 0: none is left. */
static int read_one(struct nic_events *ev, unsigned *changes, struct error *e)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n =
		recvfrom(nic_events_fd(ev), ev->message, sizeof(ev->message), 0,
			 (struct sockaddr *)&from, &from_len);

	if (n < 0 && errno == ENOBUFS) {
		*changes |= NIC_LOST;
		return learn(ev, e) < 0 ? error_code(e) : 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n < 0)
		return error_sys(e, "read network events");
	/* Only the kernel's own words count. */
	if (from.nl_pid == 0 && apply(ev, (int)n, changes, e) < 0)
		return error_code(e);
	return 1;
}

int nic_events_read(struct nic_events *ev, unsigned *ret_changes,
		    struct error *e)
{
	unsigned changes = 0;
	int r;

	do {
		r = read_one(ev, &changes, e);
	} while (r > 0);
	if (r < 0)
		return r;
	*ret_changes = changes;
	return 0;
}
