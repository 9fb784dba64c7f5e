/* SPDX-License-Identifier: MIT */

/*
 * rtnetlink messages into an inventory: the same code reads the first answer
 * and follows what changes later.
 */
#pragma once

struct error;
struct inventory;
struct nl_sock;
struct nlmsghdr;

/* What a message changed, as bits; what means nothing to migrations (counters,
 * lifetimes of addresses, wireless news) is no change. */
enum {
	NIC_ADDED = 1,
	NIC_REMOVED = 2,
	NIC_CARRIER = 4, /* up, down, cable in or out */
	NIC_ADDRESS = 8,
	NIC_SETUP = 16, /* name, MTU, MAC, master, bond */
	NIC_LOST = 32,  /* the kernel dropped messages: anything may differ */
};

/* The bits, or -ENOMEM.  Other messages than of links and addresses: 0. */
int links_apply(struct inventory *inv, struct nlmsghdr *h);

/* All links and addresses of the namespace into @inv, which is emptied. */
int links_read(struct inventory *inv, struct nl_sock *sock, struct error *e);
