/* SPDX-License-Identifier: MIT */
#include "nic/inventory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How far relations are followed: deeper than anybody stacks cards. */
enum { DEPTH_MAX = 8 };

static void nic_done(struct nic *n)
{
	free(n->addresses);
	free(n->hash.table);
	free(n->hash.key);
}

void inventory_clear(struct inventory *inv)
{
	for (size_t i = 0; i < inv->count; i++)
		nic_done(&inv->at[i]);
	free(inv->at);
	inv->at = NULL;
	inv->count = 0;
}

void inventory_remove(struct inventory *inv, struct nic *n)
{
	size_t after = inv->count - (size_t)(n - inv->at) - 1;

	nic_done(n);
	memmove(n, n + 1, after * sizeof(*n));
	inv->count--;
}

struct inventory *inventory_hold(struct inventory *inv)
{
	atomic_fetch_add(&inv->holders, 1);
	return inv;
}

void inventory_drop(struct inventory *inv)
{
	unsigned holders;

	if (!inv)
		return;
	holders = atomic_fetch_sub(&inv->holders, 1);
	assert(holders > 0);
	if (holders > 1)
		return;
	inventory_clear(inv);
	free(inv);
}

void scope_inventory(struct inventory **inv)
{
	inventory_drop(*inv);
}

struct nic *inventory_by_name(const struct inventory *inv, const char *name)
{
	for (size_t i = 0; i < inv->count; i++)
		if (!strcmp(inv->at[i].name, name))
			return &inv->at[i];
	return NULL;
}

struct nic *inventory_by_index(const struct inventory *inv, int ifindex)
{
	for (size_t i = 0; i < inv->count; i++)
		if (inv->at[i].ifindex == ifindex)
			return &inv->at[i];
	return NULL;
}

static bool has_address(const struct nic *n, int family, const uint8_t *bytes)
{
	size_t len = family == AF_INET ? 4 : 16;

	for (size_t i = 0; i < n->addresses_count; i++)
		if (n->addresses[i].family == family &&
		    !memcmp(n->addresses[i].bytes, bytes, len))
			return true;
	return false;
}

struct nic *inventory_by_address(const struct inventory *inv, int family,
				 const uint8_t *bytes)
{
	for (size_t i = 0; i < inv->count; i++)
		if (has_address(&inv->at[i], family, bytes))
			return &inv->at[i];
	return NULL;
}

/* A bridge's only port that is not for a guest or a container. */
static const struct nic *only_way_out(const struct inventory *inv,
				      const struct nic *bridge)
{
	const struct nic *found = NULL;

	for (size_t i = 0; i < inv->count; i++) {
		const struct nic *port = &inv->at[i];

		if (port->master != bridge->ifindex || port->kind == NIC_TUN ||
		    port->kind == NIC_VETH)
			continue;
		if (found)
			return NULL;
		found = port;
	}
	return found;
}

const struct nic *inventory_wire(const struct inventory *inv,
				 const struct nic *n)
{
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		const struct nic *below = NULL;

		if (n->lower)
			below = inventory_by_index(inv, n->lower);
		else if (n->kind == NIC_BRIDGE)
			below = only_way_out(inv, n);
		if (!below)
			break;
		n = below;
	}
	return n;
}
