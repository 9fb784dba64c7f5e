/* SPDX-License-Identifier: MIT */

/*
 * Cards as the control API shows them: docs/api.md, "Network card".  A view is
 * a copy; what is not known is unset, as base/shape.h has it.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "base/words.h"
#include "nic/inventory.h"

struct error;

struct nic_bond_view {
	enum bond_mode mode;
	enum bond_policy policy;
	unsigned members;
	bool receives_on_one;
	char active[IF_NAMESIZE];
	char flows[NIC_REASON];
};

struct nic_hash_view {
	char *key; /* "6d:5a" */
	uint32_t *table;
	size_t table_size;
	bool toeplitz;
};

struct nic_rdma_view {
	unsigned port;
	char kind[16], state[16];
	struct words gids;
};

struct nic_view {
	char name[IF_NAMESIZE];
	int index;
	enum nic_kind kind;
	char reason[NIC_REASON]; /* why it may not be used */
	bool usable, up, carrier, has_mac;
	uint8_t mac[NIC_MAC_BYTES];
	unsigned mtu;
	struct words addresses;

	char driver[32];
	unsigned speed_mbit, rx_queues, tx_queues, queues_most;
	unsigned rx_ring, rx_ring_most, tx_ring, tx_ring_most;
	bool rss, features_known;
	struct words features;
	int numa_node;
	unsigned vfs_most, vfs;
	bool has_vfs; /* it can have some */
	char rdma[32];
	struct nic_rdma_view rdma_port;

	char master[IF_NAMESIZE], lower[IF_NAMESIZE], wire[IF_NAMESIZE];
	unsigned vlan;
	struct words members;
	bool is_bond, with_hash, has_rdma;
	struct nic_bond_view bond;
	struct nic_hash_view hash;
};

struct nic_views {
	struct nic_view *at;
	size_t count;
};

extern const struct shape nic_view_shape, nic_views_shape;

/* A card with its hash, and all of them without.  Give back with shape_done().
 * Nothing is left when it fails. */
int nic_view_of(struct nic_view *ret, const struct inventory *inv,
		const struct nic *n, struct error *e);
int nic_views_of(struct nic_views *ret, const struct inventory *inv,
		 struct error *e);
