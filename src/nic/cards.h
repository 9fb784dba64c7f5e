/* SPDX-License-Identifier: MIT */

/*
 * What one host tells the other about its cards: those parts of an inventory
 * that decide over which pairs of cards, and by which ports, a session travels.
 *
 * All interfaces of one wire (a card and its vlans) share its name: they are
 * one path.  Cards that may not be used are listed too, with the reason, so
 * that either side can explain what was not used.
 *
 * Their text travels in CARDS frames (docs/wire.md, "Cards").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "nic/inventory.h"
#include "nic/networks.h"

struct error;

enum {
	CARDS_MAX = 64,
	CARD_ADDRESSES_MAX = 16,
	CARD_ARRIVALS_MAX = 32,
	CARD_TABLE_MAX = 4096,    /* entries of an indirection table */
	CARD_KEY_MAX = 512,       /* bytes of a hash key */
	CARDS_BYTES = 120 * 1024, /* as JSON text, at most */
};

struct card_address {
	struct nic_address address;
	int rank; /* of the owner's networks; never RANK_NONE */
};

/* A connection of the peer's that a card receives. */
struct card_arrival {
	uint16_t port;  /* the peer's */
	unsigned queue; /* by which it comes, in numbers of the owner's */
};

struct card {
	char name[IF_NAMESIZE];
	char wire[IF_NAMESIZE]; /* inventory_wire() */
	int ifindex;            /* means something to its owner only */
	uint8_t mac[NIC_MAC_BYTES];
	bool has_mac;
	unsigned speed_mbit; /* 0: not known */
	unsigned mtu, vlan;
	bool rss;
	unsigned queues;     /* that receive; 0: not known */
	struct nic_rss hash; /* owned; of the wire */
	/* Of this session, where the hash is not known. */
	struct card_arrival arrival[CARD_ARRIVALS_MAX];
	size_t arrivals;
	bool bonded;
	struct nic_bond bond; /* when bonded */
	struct card_address address[CARD_ADDRESSES_MAX];
	size_t addresses;
	char why_not[NIC_REASON]; /* a sentence; empty: may be used */
	bool down; /* that alone is the reason: it may change any moment */
};

struct cards {
	size_t count;
	struct card at[CARDS_MAX];
};

/* Free with cards_free().  Loopback and the ports to guests and containers are
 * left out.  A card none of whose
 * addresses is on @n is listed with that as the reason.  Of more than CARDS_MAX
 * those that may be used come first, then those that are only down. */
int cards_of(struct cards **ret, const struct inventory *inv,
	     const struct networks *n, struct error *e);
void cards_free(struct cards *c);

/* JSON, on the heap; NULL without memory.  Hash keys and tables that would make
 * it longer than CARDS_BYTES are left out. */
char *cards_text(const struct cards *c);
/* Of a stranger: -EBADMSG for values that cards_text() does not write.  Members
 * that it does not know are not looked at. */
int cards_parse(struct cards **ret, const char *text, size_t len,
		struct error *e);
extern const struct shape cards_shape;

/* The usable card with that address, or NULL. */
const struct card *cards_by_address(const struct cards *c,
				    const struct nic_address *a);
