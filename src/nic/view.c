/* SPDX-License-Identifier: MIT */
#include "nic/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "nic/bond.h"

static void show_mac(char *buf, size_t cap, const void *at)
{
	const uint8_t *m = at;

	snprintf(buf, cap, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
		 m[3], m[4], m[5]);
}

static const struct shape_code mac_code = { .show = show_mac };

#define AT(member) SHAPE_AT(struct nic_bond_view, member)

static const struct shape_field bond_fields[] = {
	{ "mode", SHAPE_NAME, 0, AT(mode), .names = bond_mode_names,
	  .most = BOND_MODES },
	{ "policy", SHAPE_NAME, 0, AT(policy), .names = bond_policy_names,
	  .most = BOND_POLICIES },
	{ "members", SHAPE_NUMBER, 0, AT(members) },
	{ "active", SHAPE_TEXT, SHAPE_NULL, AT(active) },
	{ "receives_on_one", SHAPE_BOOL, 0, AT(receives_on_one) },
	{ "flows", SHAPE_TEXT, 0, AT(flows) },
};

static const struct shape bond_shape = SHAPE(struct nic_bond_view, bond_fields);

#undef AT
#define AT(member) SHAPE_AT(struct nic_hash_view, member)

static const struct shape_field queue_field = {
	.kind = SHAPE_NUMBER,
	.bytes = sizeof(uint32_t),
};

static const struct shape queue_shape = {
	.bytes = sizeof(uint32_t),
	.fields = &queue_field,
	.count = 1,
	.form = SHAPE_BARE,
};

static const struct shape_field hash_fields[] = {
	{ "toeplitz", SHAPE_BOOL, 0, AT(toeplitz) },
	{ "key", SHAPE_STRING, SHAPE_NULL, AT(key) },
	{ "table", SHAPE_LIST, SHAPE_NULL, AT(table),
	  SHAPE_COUNT(struct nic_hash_view, table_size), .of = &queue_shape },
};

static const struct shape hash_shape = SHAPE(struct nic_hash_view, hash_fields);

#undef AT
#define AT(member) SHAPE_AT(struct nic_rdma_view, member)

static const struct shape_field rdma_fields[] = {
	{ "port", SHAPE_NUMBER, 0, AT(port) },
	{ "kind", SHAPE_TEXT, 0, AT(kind) },
	{ "state", SHAPE_TEXT, 0, AT(state) },
	{ "gids", SHAPE_WORDS, 0, AT(gids) },
};

static const struct shape rdma_shape = SHAPE(struct nic_rdma_view, rdma_fields);

#undef AT
#define AT(member) SHAPE_AT(struct nic_view, member)

static const struct shape_field view_fields[] = {
	{ "name", SHAPE_TEXT, 0, AT(name) },
	{ "index", SHAPE_SIGNED, 0, AT(index) },
	{ "kind", SHAPE_NAME, 0, AT(kind), .names = nic_kind_names,
	  .most = NIC_KINDS },
	{ "usable", SHAPE_BOOL, 0, AT(usable) },
	{ "reason", SHAPE_TEXT, SHAPE_NULL, AT(reason) },
	{ "up", SHAPE_BOOL, 0, AT(up) },
	{ "carrier", SHAPE_BOOL, 0, AT(carrier) },
	{ "mac", SHAPE_CODE, SHAPE_NULL, AT(mac),
	  SHAPE_HAS(struct nic_view, has_mac), .code = &mac_code },
	{ "mtu", SHAPE_NUMBER, 0, AT(mtu) },
	{ "addresses", SHAPE_WORDS, 0, AT(addresses) },
	{ "driver", SHAPE_TEXT, SHAPE_NULL, AT(driver) },
	{ "speed_mbit", SHAPE_NUMBER, SHAPE_NULL, AT(speed_mbit) },
	{ "rx_queues", SHAPE_NUMBER, 0, AT(rx_queues) },
	{ "tx_queues", SHAPE_NUMBER, 0, AT(tx_queues) },
	{ "queues_most", SHAPE_NUMBER, SHAPE_NULL, AT(queues_most) },
	{ "rx_ring", SHAPE_NUMBER, SHAPE_NULL, AT(rx_ring) },
	{ "rx_ring_most", SHAPE_NUMBER, SHAPE_NULL, AT(rx_ring_most) },
	{ "tx_ring", SHAPE_NUMBER, SHAPE_NULL, AT(tx_ring) },
	{ "tx_ring_most", SHAPE_NUMBER, SHAPE_NULL, AT(tx_ring_most) },
	{ "rss", SHAPE_BOOL, 0, AT(rss) },
	{ "features", SHAPE_WORDS, SHAPE_NULL, AT(features),
	  SHAPE_HAS(struct nic_view, features_known) },
	{ "numa_node", SHAPE_SIGNED, SHAPE_NULL, AT(numa_node) },
	{ "vfs", SHAPE_NUMBER, SHAPE_NULL, AT(vfs),
	  SHAPE_HAS(struct nic_view, has_vfs) },
	{ "vfs_most", SHAPE_NUMBER, SHAPE_NULL, AT(vfs_most) },
	{ "rdma", SHAPE_TEXT, SHAPE_NULL, AT(rdma) },
	{ "rdma_port", SHAPE_OBJECT, SHAPE_NULL, AT(rdma_port),
	  SHAPE_HAS(struct nic_view, has_rdma), .of = &rdma_shape },
	{ "master", SHAPE_TEXT, SHAPE_NULL, AT(master) },
	{ "lower", SHAPE_TEXT, SHAPE_NULL, AT(lower) },
	{ "vlan", SHAPE_NUMBER, SHAPE_NULL, AT(vlan) },
	{ "wire", SHAPE_TEXT, 0, AT(wire) },
	{ "members", SHAPE_WORDS, 0, AT(members) },
	{ "bond", SHAPE_OBJECT, SHAPE_NULL, AT(bond),
	  SHAPE_HAS(struct nic_view, is_bond), .of = &bond_shape },
	{ "hash", SHAPE_OBJECT, SHAPE_OMIT, AT(hash),
	  SHAPE_HAS(struct nic_view, with_hash), .of = &hash_shape },
};

#undef AT

const struct shape nic_view_shape = SHAPE(struct nic_view, view_fields);

static const struct shape_field list_field = {
	.kind = SHAPE_LIST,
	SHAPE_AT(struct nic_views, at),
	SHAPE_COUNT(struct nic_views, count),
	.of = &nic_view_shape,
};

const struct shape nic_views_shape = {
	.bytes = sizeof(struct nic_views),
	.fields = &list_field,
	.count = 1,
	.form = SHAPE_BARE,
};

/* "": there is none. */
static void put_name(char to[static IF_NAMESIZE], const struct inventory *inv,
		     int ifindex)
{
	const struct nic *n = inventory_by_index(inv, ifindex);

	memcpy(to, n ? n->name : (char[IF_NAMESIZE]){ 0 }, IF_NAMESIZE);
}

static void put_bond(struct nic_bond_view *to, const struct inventory *inv,
		     const struct nic_bond *b)
{
	to->mode = b->mode;
	to->policy = b->policy;
	to->members = b->members;
	to->receives_on_one = bond_receives_on_one(b);
	put_name(to->active, inv, b->active);
	snprintf(to->flows, sizeof(to->flows), "%s", bond_flows_text(b));
}

static void put_simple(struct nic_view *v, const struct inventory *inv,
		       const struct nic *n)
{
	v->usable = nic_usable(inv, n, v->reason);
	memcpy(v->name, n->name, sizeof(v->name));
	memcpy(v->mac, n->mac, sizeof(v->mac));
	memcpy(v->driver, n->driver, sizeof(v->driver));
	memcpy(v->rdma, n->rdma, sizeof(v->rdma));
	v->has_rdma = n->rdma[0];
	v->rdma_port.port = n->rdma_port.port;
	memcpy(v->rdma_port.kind, n->rdma_port.kind, sizeof(n->rdma_port.kind));
	memcpy(v->rdma_port.state, n->rdma_port.state,
	       sizeof(n->rdma_port.state));
	memcpy(v->wire, inventory_wire(inv, n)->name, sizeof(v->wire));
	put_name(v->master, inv, n->master);
	put_name(v->lower, inv, n->lower);
	v->index = n->ifindex;
	v->kind = n->kind;
	v->up = n->up;
	v->carrier = n->carrier;
	v->has_mac = n->has_mac;
	v->mtu = n->mtu;
	v->speed_mbit = n->speed_mbit;
	v->rx_queues = n->rx_queues;
	v->tx_queues = n->tx_queues;
	v->queues_most = n->queues_most;
	v->rx_ring = n->rx_ring;
	v->rx_ring_most = n->rx_ring_most;
	v->tx_ring = n->tx_ring;
	v->tx_ring_most = n->tx_ring_most;
	v->rss = n->rss;
	v->features_known = n->features_known;
	v->numa_node = n->numa_node;
	v->vfs = n->vfs;
	v->vfs_most = n->vfs_most;
	v->has_vfs = n->vfs_most > 0;
	v->vlan = n->vlan;
	v->is_bond = n->kind == NIC_BOND;
	if (v->is_bond)
		put_bond(&v->bond, inv, &n->bond);
}

static int put_lists(struct nic_view *v, const struct inventory *inv,
		     const struct nic *n, struct error *e)
{
	char text[NIC_ADDRESS_TEXT];

	for (size_t i = 0; i < n->addresses_count; i++) {
		nic_address_text(text, &n->addresses[i]);
		if (words_add(&v->addresses, text, e) < 0)
			return error_code(e);
	}
	for (unsigned i = 0; i < NIC_GIDS && n->rdma_port.gid[i][0]; i++)
		if (words_add(&v->rdma_port.gids, n->rdma_port.gid[i], e) < 0)
			return error_code(e);
	for (int f = 0; f < NIC_FEATURES; f++)
		if (nic_has(n, f) &&
		    words_add(&v->features, nic_feature_name(f), e) < 0)
			return error_code(e);
	for (size_t i = 0; i < inv->count; i++)
		if (inv->at[i].master == n->ifindex &&
		    words_add(&v->members, inv->at[i].name, e) < 0)
			return error_code(e);
	return 0;
}

/* "6d:5a", on the heap; NULL without memory. */
static char *key_text(const struct nic_rss *h)
{
	char *text = calloc(h->key_bytes + 1, 3);

	for (unsigned i = 0; text && i < h->key_bytes; i++)
		snprintf(text + (i ? 3 * i - 1 : 0), 4, "%s%02x", i ? ":" : "",
			 h->key[i]);
	return text;
}

static int put_hash(struct nic_view *v, const struct nic_rss *h,
		    struct error *e)
{
	struct nic_hash_view *to = &v->hash;

	v->with_hash = true;
	to->toeplitz = h->toeplitz;
	if (h->key) {
		to->key = key_text(h);
		if (!to->key)
			return error_set(e, ENOMEM, "no memory for a key");
	}
	if (!h->table || h->table_size == 0)
		return 0;
	to->table = calloc(h->table_size, sizeof(*to->table));
	if (!to->table)
		return error_set(e, ENOMEM, "no memory for a table");
	memcpy(to->table, h->table, h->table_size * sizeof(*to->table));
	to->table_size = h->table_size;
	return 0;
}

int nic_view_of(struct nic_view *ret, const struct inventory *inv,
		const struct nic *n, struct error *e)
{
	struct nic_view v = { 0 };

	put_simple(&v, inv, n);
	if (put_lists(&v, inv, n, e) < 0 || put_hash(&v, &n->hash, e) < 0) {
		shape_done(&nic_view_shape, &v);
		return error_code(e);
	}
	*ret = v;
	return 0;
}

int nic_views_of(struct nic_views *ret, const struct inventory *inv,
		 struct error *e)
{
	struct nic_views all = { 0 };

	all.at = calloc(inv->count ? inv->count : 1, sizeof(*all.at));
	if (!all.at)
		return error_set(e, ENOMEM, "no memory for a list of cards");
	for (size_t i = 0; i < inv->count; i++) {
		struct nic_view *v = &all.at[all.count++];

		put_simple(v, inv, &inv->at[i]);
		if (put_lists(v, inv, &inv->at[i], e) < 0) {
			shape_done(&nic_views_shape, &all);
			return error_code(e);
		}
	}
	*ret = all;
	return 0;
}
