/* SPDX-License-Identifier: MIT */

/*
 * The cards of this host
 *
 * An inventory is what the kernel said at one moment: every interface of the
 * network namespace with its addresses, its relations to others, and what its
 * driver tells.  It holds no descriptor and is not changed behind anybody's
 * back; scan.h makes one, events.h says when to do so again, watch.h always has
 * one that is true.
 *
 *     links.c      rtnetlink: interfaces, addresses, bonds, bridges
 *     ethtool.c    speed, queues, rings, receive hashing, features, driver
 *     sysfs.c      NUMA node and RDMA device, where /sys shows this namespace
 *     usable.c     whether a card may carry a migration, and why not
 *     describe.c   in words
 *     counters.c   what each has carried
 *     view.c       as the control API shows it
 *
 * What a driver cannot tell is left at "not known"; that is no error.
 */
#pragma once

#include <net/if.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/scope.h"

enum {
	NIC_MAC_BYTES = 6,
	NIC_ADDRESS_TEXT = 64, /* "fd00::1/64" and its end */
	NIC_REASON = 160,
};

enum nic_kind {
	NIC_PHYSICAL, /* a device: anything that no other kind claims */
	NIC_LOOPBACK,
	NIC_BOND,
	NIC_TEAM,
	NIC_BRIDGE,
	NIC_VLAN,
	NIC_MACVLAN,
	NIC_IPVLAN,
	NIC_VETH,
	NIC_TUN,
	NIC_TUNNEL,
	NIC_DUMMY,
	NIC_OTHER, /* virtual, of a kind that means nothing here */
	NIC_KINDS,
};

struct nic_address {
	int family;        /* AF_INET or AF_INET6 */
	uint8_t bytes[16]; /* network order; IPv4 in the first four */
	unsigned prefix;   /* length in bits */
};

/* What decides into which receive queue a packet falls. */
struct nic_rss {
	uint32_t *table; /* queue numbers; NULL: not readable */
	unsigned table_size;
	uint8_t *key; /* NULL: not readable */
	unsigned key_bytes;
	bool toeplitz; /* the plain function is in use, and nothing else */
};

/* As IFLA_BOND_MODE and the kernel's bonding.rst count them. */
enum bond_mode {
	BOND_ROUND_ROBIN,
	BOND_ACTIVE_BACKUP,
	BOND_XOR,
	BOND_BROADCAST,
	BOND_8023AD,
	BOND_TLB,
	BOND_ALB,
	BOND_MODES,
};

enum bond_policy {
	BOND_LAYER2,
	BOND_LAYER34,
	BOND_LAYER23,
	BOND_ENCAP23,
	BOND_ENCAP34,
	BOND_VLAN_SRCMAC,
	BOND_POLICIES,
};

/* Of a card of kind NIC_BOND. */
struct nic_bond {
	enum bond_mode mode;
	enum bond_policy policy;
	bool tlb_dynamic;    /* balance-tlb moves flows by their load */
	int active;          /* ifindex of the active member, 0: none or all */
	unsigned aggregator; /* the one in use under 802.3ad */
	unsigned members;    /* that a flow may leave by now */
};

/* Of a card that is a member of a bond. */
struct nic_member {
	bool standby, link_failed;
	unsigned aggregator;
};

enum nic_feature {
	NIC_GRO,
	NIC_GRO_HARDWARE,
	NIC_LRO,
	NIC_TSO,
	NIC_TSO6,
	NIC_GSO,
	NIC_RX_CHECKSUM,
	NIC_TX_CHECKSUM,
	NIC_RX_HASH,
	NIC_NTUPLE,
	NIC_TLS_TX,
	NIC_TLS_RX,
	NIC_ESP,
	NIC_FEATURES,
};

/* Of a card that does RDMA. */
enum { NIC_GIDS = 4, NIC_GID_TEXT = 40 };

struct nic_rdma_port {
	unsigned port;
	char kind[16];                    /* "RoCE", "iWARP", "InfiniBand" */
	char state[16];                   /* "ACTIVE" */
	char gid[NIC_GIDS][NIC_GID_TEXT]; /* the first ones; empty: no more */
};

struct nic {
	char name[IF_NAMESIZE];
	int ifindex;
	enum nic_kind kind;
	char link_kind[24]; /* the kernel's word: "veth"; "": none */
	uint8_t mac[NIC_MAC_BYTES];
	bool has_mac, up, carrier;
	unsigned mtu;

	int master; /* ifindex of the bond, team or bridge above; 0: none */
	int lower;  /* ifindex of the card that a vlan or macvlan stands on */
	unsigned vlan;
	struct nic_bond bond;
	struct nic_member member;

	struct nic_address *addresses; /* without link-local IPv6 */
	size_t addresses_count;

	char driver[32];
	unsigned speed_mbit; /* 0: not known */
	unsigned rx_queues, tx_queues;
	/* That it can have, each for both directions, or only for receiving
	 * where @queues_apart; 0: not known. */
	unsigned queues_most;
	bool queues_apart;
	unsigned rx_ring, rx_ring_most, tx_ring, tx_ring_most; /* 0: likewise */
	/* The kernel spreads what the first queue receives; where /sys tells.
	 */
	bool rps, rps_known;
	bool rss; /* more than one receive queue, here or below */
	struct nic_rss hash;
	uint32_t features;      /* bits by enum nic_feature */
	uint32_t features_able; /* that can be turned on and off */
	bool features_known;
	int numa_node; /* -1: none or not known */
	/* SR-IOV: virtual functions that the card can have, and has. */
	unsigned vfs_most, vfs;
	char rdma[32]; /* "mlx5_0"; "": none */
	struct nic_rdma_port rdma_port;
};

struct inventory {
	struct nic *at; /* by ifindex, rising */
	size_t count;
	atomic_uint holders;
};

/* One more reference, which any thread may give back; what several hold, nobody
 * changes.  The last one frees it; NULL is fine. */
struct inventory *inventory_hold(struct inventory *inv);
void inventory_drop(struct inventory *inv);
void scope_inventory(struct inventory **inv);
#define AUTO_INVENTORY SCOPED(scope_inventory)

/* For who makes one: frees what is in it; takes one card out. */
void inventory_clear(struct inventory *inv);
void inventory_remove(struct inventory *inv, struct nic *n);

/* NULL: there is none. */
struct nic *inventory_by_name(const struct inventory *inv, const char *name);
struct nic *inventory_by_index(const struct inventory *inv, int ifindex);
/* The card with the address; @bytes as in struct nic_address. */
struct nic *inventory_by_address(const struct inventory *inv, int family,
				 const uint8_t *bytes);

/* The card whose wire @n uses: down through vlans and macvlans, and through a
 * bridge with a single way out; @n itself where there is nothing below it, or
 * several.  Cards with the same one are one path. */
const struct nic *inventory_wire(const struct inventory *inv,
				 const struct nic *n);

/* Whether migration traffic may use the card.  If not, a sentence into @why,
 * such as "docker0 is a bridge for its host's own guests and containers". */
bool nic_usable(const struct inventory *inv, const struct nic *n,
		char why[static NIC_REASON]);

extern const char *const nic_kind_names[NIC_KINDS];
const char *nic_feature_name(enum nic_feature feature);
extern const char *const bond_mode_names[BOND_MODES];
extern const char *const bond_policy_names[BOND_POLICIES];
bool nic_has(const struct nic *n, enum nic_feature feature);

/* "10.0.0.1/24" */
void nic_address_text(char buf[static NIC_ADDRESS_TEXT],
		      const struct nic_address *a);
