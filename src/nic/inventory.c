/* SPDX-License-Identifier: MIT */
#include "nic/inventory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "nic/ethtool.h"
#include "nic/links.h"
#include "nic/netlink.h"
#include "nic/sysfs.h"

/* How far relations are followed: deeper than anybody stacks cards. */
enum { DEPTH_MAX = 8 };

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
	links_clear(inv);
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

static bool carries_flows(const struct nic *bond, const struct nic *member)
{
	if (!member->up || !member->carrier || member->member.link_failed)
		return false;
	if (bond->bond.mode == BOND_8023AD && bond->bond.aggregator)
		return member->member.aggregator == bond->bond.aggregator;
	return !member->member.standby;
}

/* How many members a bond can send by now. */
static void count_members(struct inventory *inv)
{
	for (size_t i = 0; i < inv->count; i++) {
		const struct nic *n = &inv->at[i];
		struct nic *bond = inventory_by_index(inv, n->master);

		if (bond && bond->kind == NIC_BOND && carries_flows(bond, n))
			bond->bond.members++;
	}
}

static bool wire_has_rss(const struct inventory *inv, const struct nic *n)
{
	const struct nic *wire = inventory_wire(inv, n);

	if (wire->rx_queues > 1)
		return true;
	for (size_t i = 0; i < inv->count; i++)
		if (inv->at[i].master == wire->ifindex &&
		    (wire->kind == NIC_BOND || wire->kind == NIC_TEAM) &&
		    inv->at[i].rx_queues > 1)
			return true;
	return false;
}

int inventory_read(struct inventory **ret, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = calloc(1, sizeof(*inv));
	AUTO_NETLINK struct nl_sock *sock = NULL;

	if (!inv)
		return error_set(e, ENOMEM, "no memory for the cards");
	inv->holders = 1;
	if (netlink_open(&sock, NETLINK_ROUTE, e) < 0 ||
	    links_read(inv, sock, e) < 0 || ethtool_fill(inv, e) < 0)
		return error_in(e, "read the network cards");
	sysfs_fill(inv);
	count_members(inv);
	for (size_t i = 0; i < inv->count; i++)
		inv->at[i].rss = wire_has_rss(inv, &inv->at[i]);
	*ret = take_ptr(&inv);
	return 0;
}
