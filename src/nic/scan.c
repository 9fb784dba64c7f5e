/* SPDX-License-Identifier: MIT */
#include "nic/scan.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/scope.h"
#include "nic/ethtool.h"
#include "nic/inventory.h"
#include "nic/links.h"
#include "nic/netlink.h"
#include "nic/sysfs.h"

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

int nic_scan(struct inventory **ret, struct error *e)
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
