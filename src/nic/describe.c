/* SPDX-License-Identifier: MIT */

/* Cards in words. */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/text.h"
#include "nic/inventory.h"

const char *const nic_kind_names[NIC_KINDS] = {
	[NIC_PHYSICAL] = "physical", [NIC_LOOPBACK] = "loopback",
	[NIC_BOND] = "bond",         [NIC_TEAM] = "team",
	[NIC_BRIDGE] = "bridge",     [NIC_VLAN] = "vlan",
	[NIC_MACVLAN] = "macvlan",   [NIC_IPVLAN] = "ipvlan",
	[NIC_VETH] = "veth",         [NIC_TUN] = "tun",
	[NIC_TUNNEL] = "tunnel",     [NIC_DUMMY] = "dummy",
	[NIC_OTHER] = "other",
};

static const char *const feature_names[] = {
	[NIC_GRO] = "gro",
	[NIC_GRO_HARDWARE] = "gro-hw",
	[NIC_LRO] = "lro",
	[NIC_TSO] = "tso",
	[NIC_TSO6] = "tso6",
	[NIC_GSO] = "gso",
	[NIC_RX_CHECKSUM] = "rx-checksum",
	[NIC_TX_CHECKSUM] = "tx-checksum",
	[NIC_RX_HASH] = "rx-hash",
	[NIC_NTUPLE] = "ntuple",
	[NIC_TLS_TX] = "tls-tx",
	[NIC_TLS_RX] = "tls-rx",
	[NIC_ESP] = "esp",
};
_Static_assert(ARRAY_SIZE(feature_names) == NIC_FEATURES,
	       "a name for every feature");

const char *nic_feature_name(enum nic_feature feature)
{
	return feature_names[feature];
}

bool nic_has(const struct nic *n, enum nic_feature feature)
{
	return n->features >> feature & 1;
}

void nic_address_text(char buf[static NIC_ADDRESS_TEXT],
		      const struct nic_address *a)
{
	char host[INET6_ADDRSTRLEN] = "?";

	inet_ntop(a->family, a->bytes, host, sizeof(host));
	snprintf(buf, NIC_ADDRESS_TEXT, "%s/%u", host, a->prefix);
}
