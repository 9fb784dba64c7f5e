/* SPDX-License-Identifier: MIT */
#include "nic/links.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "nic/inventory.h"
#include "nic/netlink.h"

enum { READ_TRIES = 5 };

static const struct {
	const char *link_kind;
	enum nic_kind kind;
} kinds[] = {
	{ "bond", NIC_BOND },       { "team", NIC_TEAM },
	{ "bridge", NIC_BRIDGE },   { "openvswitch", NIC_BRIDGE },
	{ "vlan", NIC_VLAN },       { "macvlan", NIC_MACVLAN },
	{ "macvtap", NIC_MACVLAN }, { "ipvlan", NIC_IPVLAN },
	{ "veth", NIC_VETH },       { "tun", NIC_TUN },
	{ "vxlan", NIC_TUNNEL },    { "geneve", NIC_TUNNEL },
	{ "gre", NIC_TUNNEL },      { "gretap", NIC_TUNNEL },
	{ "ip6gre", NIC_TUNNEL },   { "ip6gretap", NIC_TUNNEL },
	{ "ipip", NIC_TUNNEL },     { "sit", NIC_TUNNEL },
	{ "ip6tnl", NIC_TUNNEL },   { "wireguard", NIC_TUNNEL },
	{ "vti", NIC_TUNNEL },      { "vti6", NIC_TUNNEL },
	{ "xfrm", NIC_TUNNEL },     { "dummy", NIC_DUMMY },
	{ "ipoib", NIC_PHYSICAL },  { "netdevsim", NIC_PHYSICAL },
};

static enum nic_kind kind_of(const char *link_kind, unsigned flags)
{
	if (flags & IFF_LOOPBACK)
		return NIC_LOOPBACK;
	if (!link_kind[0])
		return NIC_PHYSICAL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].link_kind, link_kind))
			return kinds[i].kind;
	return NIC_OTHER;
}

static void parse_bond(struct nic_bond *b, struct nlattr *data)
{
	struct nlattr *a[IFLA_BOND_AD_INFO + 5] = { NULL };
	struct nlattr *ad[IFLA_BOND_AD_INFO_AGGREGATOR + 1] = { NULL };
	uint8_t mode, policy;

	nla_parse_nested(a, ARRAY_SIZE(a) - 1, data, NULL);
	mode = netlink_u8(a[IFLA_BOND_MODE], BOND_ROUND_ROBIN);
	policy = netlink_u8(a[IFLA_BOND_XMIT_HASH_POLICY], BOND_LAYER2);
	/* What is newer than this program is treated as what promises least. */
	b->mode = mode < BOND_MODES ? mode : BOND_ACTIVE_BACKUP;
	b->policy = policy < BOND_POLICIES ? policy : BOND_LAYER2;
	b->tlb_dynamic = netlink_u8(a[IFLA_BOND_TLB_DYNAMIC_LB], 1);
	b->active = (int)netlink_u32(a[IFLA_BOND_ACTIVE_SLAVE], 0);
	if (!a[IFLA_BOND_AD_INFO])
		return;
	nla_parse_nested(ad, ARRAY_SIZE(ad) - 1, a[IFLA_BOND_AD_INFO], NULL);
	if (ad[IFLA_BOND_AD_INFO_AGGREGATOR])
		b->aggregator = nla_get_u16(ad[IFLA_BOND_AD_INFO_AGGREGATOR]);
}

static void parse_member(struct nic_member *m, struct nlattr *data)
{
	struct nlattr *a[IFLA_BOND_SLAVE_AD_AGGREGATOR_ID + 1] = { NULL };

	nla_parse_nested(a, ARRAY_SIZE(a) - 1, data, NULL);
	m->standby = netlink_u8(a[IFLA_BOND_SLAVE_STATE], 0) != 0;
	m->link_failed = netlink_u8(a[IFLA_BOND_SLAVE_MII_STATUS], 0) != 0;
	if (a[IFLA_BOND_SLAVE_AD_AGGREGATOR_ID])
		m->aggregator =
			nla_get_u16(a[IFLA_BOND_SLAVE_AD_AGGREGATOR_ID]);
}

static void parse_info(struct nic *n, struct nlattr *info, unsigned flags)
{
	struct nlattr *a[IFLA_INFO_SLAVE_DATA + 1] = { NULL };
	struct nlattr *vlan[IFLA_VLAN_ID + 1] = { NULL };
	char above[24];

	if (info)
		nla_parse_nested(a, ARRAY_SIZE(a) - 1, info, NULL);
	netlink_text(n->link_kind, sizeof(n->link_kind), a[IFLA_INFO_KIND]);
	netlink_text(above, sizeof(above), a[IFLA_INFO_SLAVE_KIND]);
	n->kind = kind_of(n->link_kind, flags);
	if (n->kind == NIC_BOND && a[IFLA_INFO_DATA])
		parse_bond(&n->bond, a[IFLA_INFO_DATA]);
	if (n->kind == NIC_VLAN && a[IFLA_INFO_DATA]) {
		nla_parse_nested(vlan, IFLA_VLAN_ID, a[IFLA_INFO_DATA], NULL);
		if (vlan[IFLA_VLAN_ID])
			n->vlan = nla_get_u16(vlan[IFLA_VLAN_ID]);
	}
	if (!strcmp(above, "bond") && a[IFLA_INFO_SLAVE_DATA])
		parse_member(&n->member, a[IFLA_INFO_SLAVE_DATA]);
}

/* Of a veth, IFLA_LINK is its other end; and an index of another namespace
 * says nothing here. */
static bool stands_on_link(const struct nic *n, struct nlattr *const *a)
{
	return a[IFLA_LINK] && !a[IFLA_LINK_NETNSID] &&
	       (n->kind == NIC_VLAN || n->kind == NIC_MACVLAN ||
		n->kind == NIC_IPVLAN);
}

static void parse_link(struct nic *n, const struct ifinfomsg *m,
		       struct nlattr *const *a)
{
	*n = (struct nic){ .ifindex = m->ifi_index, .numa_node = -1 };
	netlink_text(n->name, sizeof(n->name), a[IFLA_IFNAME]);
	parse_info(n, a[IFLA_LINKINFO], m->ifi_flags);
	n->up = m->ifi_flags & IFF_UP;
	n->carrier =
		netlink_u8(a[IFLA_CARRIER], (m->ifi_flags & IFF_RUNNING) != 0);
	n->mtu = netlink_u32(a[IFLA_MTU], 0);
	n->master = (int)netlink_u32(a[IFLA_MASTER], 0);
	if (stands_on_link(n, a))
		n->lower = (int)netlink_u32(a[IFLA_LINK], 0);
	n->has_mac =
		a[IFLA_ADDRESS] && nla_len(a[IFLA_ADDRESS]) == NIC_MAC_BYTES;
	if (n->has_mac)
		memcpy(n->mac, nla_data(a[IFLA_ADDRESS]), NIC_MAC_BYTES);
	/* Until ethtool says better.  Virtual cards are made with more queues
	 * than they use. */
	n->rx_queues = n->tx_queues = 1;
	if (n->kind == NIC_PHYSICAL) {
		n->rx_queues = netlink_u32(a[IFLA_NUM_RX_QUEUES], 1);
		n->tx_queues = netlink_u32(a[IFLA_NUM_TX_QUEUES], 1);
	}
}

static bool same_member(const struct nic_member *a, const struct nic_member *b)
{
	return a->standby == b->standby && a->link_failed == b->link_failed &&
	       a->aggregator == b->aggregator;
}

static bool same_bond(const struct nic_bond *a, const struct nic_bond *b)
{
	return a->mode == b->mode && a->policy == b->policy &&
	       a->tlb_dynamic == b->tlb_dynamic && a->active == b->active &&
	       a->aggregator == b->aggregator;
}

static int compare_links(const struct nic *a, const struct nic *b)
{
	int changes = 0;

	if (a->up != b->up || a->carrier != b->carrier ||
	    !same_member(&a->member, &b->member))
		changes |= NIC_CARRIER;
	if (strcmp(a->name, b->name) != 0 || a->mtu != b->mtu ||
	    a->master != b->master || a->lower != b->lower ||
	    memcmp(a->mac, b->mac, NIC_MAC_BYTES) != 0 ||
	    !same_bond(&a->bond, &b->bond))
		changes |= NIC_SETUP;
	return changes;
}

static int link_add(struct inventory *inv, const struct nic *n)
{
	struct nic *grown = realloc(inv->at, (inv->count + 1) * sizeof(*grown));
	size_t i = inv->count;

	if (!grown)
		return -ENOMEM;
	inv->at = grown;
	for (; i > 0 && grown[i - 1].ifindex > n->ifindex; i--)
		grown[i] = grown[i - 1];
	grown[i] = *n;
	inv->count++;
	return NIC_ADDED;
}

static int link_remove(struct inventory *inv, int ifindex)
{
	struct nic *n = inventory_by_index(inv, ifindex);

	if (!n)
		return 0;
	inventory_remove(inv, n);
	return NIC_REMOVED;
}

static int apply_link(struct inventory *inv, struct nlmsghdr *h)
{
	struct nlattr *a[IFLA_MAX + 1] = { NULL };
	const struct ifinfomsg *m = nlmsg_data(h);
	struct nic *known, n;
	int changes;

	/* A bridge tells about its ports under its own family: a port that
	 * leaves looks like a link that is deleted. */
	if (!nlmsg_valid_hdr(h, sizeof(*m)) || m->ifi_family != AF_UNSPEC ||
	    nlmsg_parse(h, sizeof(*m), a, IFLA_MAX, NULL) < 0)
		return 0;
	if (h->nlmsg_type == RTM_DELLINK)
		return link_remove(inv, m->ifi_index);
	if (!a[IFLA_IFNAME])
		return 0;
	parse_link(&n, m, a);
	known = inventory_by_index(inv, n.ifindex);
	if (!known)
		return link_add(inv, &n);
	changes = compare_links(known, &n);
	n.addresses = known->addresses;
	n.addresses_count = known->addresses_count;
	free(known->hash.table);
	free(known->hash.key);
	*known = n;
	return changes;
}

static bool parse_address(struct nic_address *ret, const struct ifaddrmsg *m,
			  struct nlattr *const *a)
{
	const struct nlattr *own = a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS];
	int bytes = m->ifa_family == AF_INET ? 4 : 16;

	if ((m->ifa_family != AF_INET && m->ifa_family != AF_INET6) || !own ||
	    nla_len(own) != bytes)
		return false;
	*ret = (struct nic_address){ .family = m->ifa_family,
				     .prefix = m->ifa_prefixlen };
	memcpy(ret->bytes, nla_data(own), (size_t)bytes);
	return true;
}

/* A socket can be bound to it, and a peer can name it without a card. */
static bool address_serves(const struct nic_address *a,
			   const struct ifaddrmsg *m,
			   const struct nlattr *flags)
{
	bool link_local = a->family == AF_INET6 && a->bytes[0] == 0xfe &&
			  (a->bytes[1] & 0xc0) == 0x80;

	return !link_local && !(netlink_u32(flags, m->ifa_flags) &
				(IFA_F_TENTATIVE | IFA_F_DADFAILED));
}

static struct nic_address *address_find(const struct nic *n,
					const struct nic_address *a)
{
	for (size_t i = 0; i < n->addresses_count; i++)
		if (n->addresses[i].family == a->family &&
		    n->addresses[i].prefix == a->prefix &&
		    !memcmp(n->addresses[i].bytes, a->bytes, sizeof(a->bytes)))
			return &n->addresses[i];
	return NULL;
}

static int address_add(struct nic *n, const struct nic_address *a)
{
	struct nic_address *grown;

	if (address_find(n, a))
		return 0;
	grown = realloc(n->addresses,
			(n->addresses_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[n->addresses_count++] = *a;
	n->addresses = grown;
	return NIC_ADDRESS;
}

static int address_remove(struct nic *n, const struct nic_address *a)
{
	struct nic_address *known = address_find(n, a);
	size_t after;

	if (!known)
		return 0;
	after = n->addresses_count - (size_t)(known - n->addresses) - 1;
	memmove(known, known + 1, after * sizeof(*known));
	n->addresses_count--;
	return NIC_ADDRESS;
}

static int apply_address(struct inventory *inv, struct nlmsghdr *h)
{
	struct nlattr *a[IFA_FLAGS + 1] = { NULL };
	const struct ifaddrmsg *m = nlmsg_data(h);
	struct nic_address address;
	struct nic *n;

	if (!nlmsg_valid_hdr(h, sizeof(*m)) ||
	    nlmsg_parse(h, sizeof(*m), a, IFA_FLAGS, NULL) < 0 ||
	    !parse_address(&address, m, a))
		return 0;
	n = inventory_by_index(inv, (int)m->ifa_index);
	if (!n)
		return 0;
	if (h->nlmsg_type == RTM_NEWADDR &&
	    address_serves(&address, m, a[IFA_FLAGS]))
		return address_add(n, &address);
	return address_remove(n, &address);
}

int links_apply(struct inventory *inv, struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return apply_link(inv, h);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return apply_address(inv, h);
	default:
		return 0;
	}
}

static int on_message(struct nlmsghdr *h, void *inv)
{
	int changes = links_apply(inv, h);

	return changes < 0 ? changes : 0;
}

int links_read(struct inventory *inv, struct nl_sock *sock, struct error *e)
{
	for (int i = 0; i < READ_TRIES; i++) {
		inventory_clear(inv);
		if (netlink_dump(sock, RTM_GETLINK, on_message, inv, e) == 0 &&
		    netlink_dump(sock, RTM_GETADDR, on_message, inv, e) == 0)
			return 0;
		if (e->code != EAGAIN)
			break;
	}
	inventory_clear(inv);
	return error_code(e);
}
