/* SPDX-License-Identifier: MIT */
#include "nic/cards.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "nic/address.h"

static void done(struct card *c)
{
	free(c->hash.table);
	free(c->hash.key);
}

void cards_free(struct cards *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		done(&c->at[i]);
	free(c);
}

static void drop_cards(struct cards **c)
{
	cards_free(*c);
}
#define AUTO_CARDS SCOPED(drop_cards)

/* Down is a reason that may go away by itself; what else is wrong with the card
 * stays wrong when it comes up. */
static bool is_only_down(const struct inventory *inv, const struct nic *n)
{
	struct nic raised = *n;
	char why[NIC_REASON];

	raised.up = raised.carrier = true;
	return nic_usable(inv, &raised, why);
}

static void take_addresses(struct card *c, const struct nic *n,
			   const struct networks *allowed)
{
	for (size_t i = 0; i < n->addresses_count; i++) {
		const struct nic_address *a = &n->addresses[i];
		int rank = networks_rank(allowed, n->name, a);

		if (rank == RANK_NONE || !nic_address_is_host(a) ||
		    c->addresses == CARD_ADDRESSES_MAX)
			continue;
		c->address[c->addresses++] =
			(struct card_address){ .address = *a, .rank = rank };
	}
}

static void say_no_network(struct card *c, const struct nic *n)
{
	char first[NIC_ADDRESS_TEXT], more[32] = "";

	nic_address_host(first, &n->addresses[0]);
	if (n->addresses_count > 1)
		snprintf(more, sizeof(more), " and %zu more",
			 n->addresses_count - 1);
	snprintf(c->why_not, sizeof(c->why_not),
		 "%s with %s%s is on no network of this move", n->name, first,
		 more);
}

static int copy_hash(struct card *c, const struct nic_rss *h)
{
	size_t table_bytes = h->table_size * sizeof(*h->table);

	if (!h->table || !h->key || h->table_size > CARD_TABLE_MAX ||
	    h->key_bytes > CARD_KEY_MAX || !h->table_size || !h->key_bytes)
		return 0;
	for (unsigned i = 0; i < h->table_size; i++)
		if (h->table[i] > UINT16_MAX)
			return 0;
	c->hash.table = malloc(table_bytes);
	c->hash.key = malloc(h->key_bytes);
	if (!c->hash.table || !c->hash.key)
		return -ENOMEM;
	memcpy(c->hash.table, h->table, table_bytes);
	memcpy(c->hash.key, h->key, h->key_bytes);
	c->hash.table_size = h->table_size;
	c->hash.key_bytes = h->key_bytes;
	c->hash.toeplitz = h->toeplitz;
	return 0;
}

static int take_card(struct card *c, const struct inventory *inv,
		     const struct nic *n, const struct networks *allowed)
{
	const struct nic *wire = inventory_wire(inv, n);
	bool usable = nic_usable(inv, n, c->why_not);

	snprintf(c->name, sizeof(c->name), "%s", n->name);
	snprintf(c->wire, sizeof(c->wire), "%s", wire->name);
	c->ifindex = n->ifindex;
	memcpy(c->mac, n->mac, sizeof(c->mac));
	c->has_mac = n->has_mac;
	c->speed_mbit = n->speed_mbit;
	c->mtu = n->mtu;
	c->vlan = n->vlan;
	c->rss = n->rss;
	c->queues = wire->rx_queues;
	/* A bond of one vlan is the bond. */
	c->bonded = wire->kind == NIC_BOND;
	if (c->bonded)
		c->bond = wire->bond;
	c->down = !usable && is_only_down(inv, n);
	if (usable || c->down)
		take_addresses(c, n, allowed);
	if ((usable || c->down) && c->addresses == 0) {
		say_no_network(c, n);
		c->down = false;
	}
	return copy_hash(c, &wire->hash);
}

/* 0: may be used, 1: is down, 2: neither. */
static int class_of(const struct inventory *inv, const struct nic *n)
{
	char why[NIC_REASON];

	if (nic_usable(inv, n, why))
		return 0;
	return is_only_down(inv, n) ? 1 : 2;
}

/* The host's end of a guest's or a container's cable: hundreds of them say
 * nothing to anybody who plans a path. */
static bool is_inner_port(const struct nic *n)
{
	return n->master && (n->kind == NIC_TUN || n->kind == NIC_VETH) &&
	       n->addresses_count == 0;
}

int cards_of(struct cards **ret, const struct inventory *inv,
	     const struct networks *n, struct error *e)
{
	AUTO_CARDS struct cards *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(e, ENOMEM, "no memory for the list of cards");
	for (int class = 0; class < 3; class ++) {
		for (size_t i = 0; i < inv->count; i++) {
			const struct nic *nic = &inv->at[i];

			if (nic->kind == NIC_LOOPBACK || is_inner_port(nic) ||
			    c->count == CARDS_MAX ||
			    class_of(inv, nic) != class)
				continue;
			if (take_card(&c->at[c->count++], inv, nic, n) < 0)
				return error_set(e, ENOMEM,
						 "no memory for the card %s",
						 nic->name);
		}
	}
	*ret = take_ptr(&c);
	return 0;
}

const struct card *cards_by_address(const struct cards *c,
				    const struct nic_address *a)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct card *card = &c->at[i];

		if (card->why_not[0])
			continue;
		for (size_t k = 0; k < card->addresses; k++)
			if (nic_address_equal(&card->address[k].address, a))
				return card;
	}
	return NULL;
}
