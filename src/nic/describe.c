/* SPDX-License-Identifier: MIT */

/* Cards in words and as JSON; docs/api.md describes the shapes. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "nic/bond.h"
#include "nic/inventory.h"

static const char *const kind_names[] = {
	[NIC_PHYSICAL] = "physical", [NIC_LOOPBACK] = "loopback",
	[NIC_BOND] = "bond",         [NIC_TEAM] = "team",
	[NIC_BRIDGE] = "bridge",     [NIC_VLAN] = "vlan",
	[NIC_MACVLAN] = "macvlan",   [NIC_IPVLAN] = "ipvlan",
	[NIC_VETH] = "veth",         [NIC_TUN] = "tun",
	[NIC_TUNNEL] = "tunnel",     [NIC_DUMMY] = "dummy",
	[NIC_OTHER] = "other",
};
_Static_assert(ARRAY_SIZE(kind_names) == NIC_KINDS, "a name for every kind");

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

const char *nic_kind_name(enum nic_kind kind)
{
	return kind_names[kind];
}

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

static json_t *addresses_json(const struct nic *n)
{
	json_t *all = json_array();
	char text[NIC_ADDRESS_TEXT];

	for (size_t i = 0; i < n->addresses_count; i++) {
		nic_address_text(text, &n->addresses[i]);
		json_array_append_new(all, json_string(text));
	}
	return all;
}

/* The kernel lets a name be any bytes; JSON only carries UTF-8. */
static json_t *text_json(const char *text)
{
	char plain[NIC_REASON];
	json_t *s;

	if (!text[0])
		return json_null();
	s = json_string(text);
	if (s)
		return s;
	text_printable(plain, sizeof(plain), text, strlen(text));
	return json_string(plain);
}

static json_t *mac_json(const struct nic *n)
{
	const uint8_t *m = n->mac;

	if (!n->has_mac)
		return json_null();
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
			    m[3], m[4], m[5]);
}

static json_t *name_json(const struct inventory *inv, int ifindex)
{
	const struct nic *n = inventory_by_index(inv, ifindex);

	return n ? text_json(n->name) : json_null();
}

static json_t *members_json(const struct inventory *inv, const struct nic *n)
{
	json_t *all = json_array();

	for (size_t i = 0; i < inv->count; i++)
		if (inv->at[i].master == n->ifindex)
			json_array_append_new(all, text_json(inv->at[i].name));
	return all;
}

static json_t *features_json(const struct nic *n)
{
	json_t *all = json_array();

	for (int f = 0; f < NIC_FEATURES; f++)
		if (nic_has(n, f))
			json_array_append_new(all,
					      json_string(nic_feature_name(f)));
	return all;
}

static json_t *bond_json(const struct inventory *inv, const struct nic *n)
{
	if (n->kind != NIC_BOND)
		return json_null();
	return json_pack("{s:s,s:s,s:i,s:o,s:b,s:s}", "mode",
			 bond_mode_names[n->bond.mode], "policy",
			 bond_policy_names[n->bond.policy], "members",
			 (int)n->bond.members, "active",
			 name_json(inv, n->bond.active), "receives_on_one",
			 bond_receives_on_one(&n->bond), "flows",
			 bond_flows_text(&n->bond));
}

static json_t *number_or_null(unsigned number)
{
	return number ? json_integer(number) : json_null();
}

static void add_relations(json_t *o, const struct inventory *inv,
			  const struct nic *n)
{
	json_object_set_new(o, "master", name_json(inv, n->master));
	json_object_set_new(o, "lower", name_json(inv, n->lower));
	json_object_set_new(o, "vlan", number_or_null(n->vlan));
	json_object_set_new(o, "wire", text_json(inventory_wire(inv, n)->name));
	json_object_set_new(o, "members", members_json(inv, n));
	json_object_set_new(o, "bond", bond_json(inv, n));
}

static void add_device(json_t *o, const struct nic *n)
{
	json_object_set_new(o, "driver", text_json(n->driver));
	json_object_set_new(o, "speed_mbit", number_or_null(n->speed_mbit));
	json_object_set_new(o, "rx_queues", json_integer(n->rx_queues));
	json_object_set_new(o, "tx_queues", json_integer(n->tx_queues));
	json_object_set_new(o, "rss", json_boolean(n->rss));
	json_object_set_new(o, "features",
			    n->features_known ? features_json(n) : json_null());
	json_object_set_new(o, "numa_node",
			    n->numa_node < 0 ? json_null()
					     : json_integer(n->numa_node));
	json_object_set_new(o, "rdma", text_json(n->rdma));
}

static json_t *basic_json(const struct inventory *inv, const struct nic *n)
{
	char why[NIC_REASON];
	bool usable = nic_usable(inv, n, why);
	json_t *o = json_object();

	json_object_set_new(o, "name", text_json(n->name));
	json_object_set_new(o, "index", json_integer(n->ifindex));
	json_object_set_new(o, "kind", json_string(nic_kind_name(n->kind)));
	json_object_set_new(o, "usable", json_boolean(usable));
	json_object_set_new(o, "reason", text_json(why));
	json_object_set_new(o, "up", json_boolean(n->up));
	json_object_set_new(o, "carrier", json_boolean(n->carrier));
	json_object_set_new(o, "mac", mac_json(n));
	json_object_set_new(o, "mtu", json_integer(n->mtu));
	json_object_set_new(o, "addresses", addresses_json(n));
	add_device(o, n);
	add_relations(o, inv, n);
	return o;
}

static json_t *table_json(const struct nic_rss *h)
{
	json_t *all = json_array();

	if (!h->table) {
		json_decref(all);
		return json_null();
	}
	for (unsigned i = 0; i < h->table_size; i++)
		json_array_append_new(all, json_integer(h->table[i]));
	return all;
}

static json_t *key_json(const struct nic_rss *h)
{
	char text[3 * 256] = "";

	if (!h->key)
		return json_null();
	for (unsigned i = 0; i < h->key_bytes && i < sizeof(text) / 3; i++)
		snprintf(text + (i ? 3 * i - 1 : 0), 4, "%s%02x", i ? ":" : "",
			 h->key[i]);
	return json_string(text);
}

json_t *nic_json(const struct inventory *inv, const struct nic *n)
{
	json_t *o = basic_json(inv, n);

	json_object_set_new(o, "hash",
			    json_pack("{s:b,s:o,s:o}", "toeplitz",
				      n->hash.toeplitz, "key",
				      key_json(&n->hash), "table",
				      table_json(&n->hash)));
	return o;
}

json_t *inventory_json(const struct inventory *inv)
{
	json_t *all = json_array();

	for (size_t i = 0; i < inv->count; i++)
		json_array_append_new(all, basic_json(inv, &inv->at[i]));
	return all;
}
