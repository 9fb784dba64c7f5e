/* SPDX-License-Identifier: MIT */
#include "nic/bond.h"

#include <assert.h>
#include <linux/if_ether.h>
#include <string.h>

#include "base/text.h"

/* How the members are chosen for what this host sends. */
enum sends {
	SENDS_HASH,    /* by the hash policy */
	SENDS_ONE,     /* all over one member */
	SENDS_TURNS,   /* each packet over the next one */
	SENDS_ALL,     /* each packet over all */
	SENDS_BY_LOAD, /* moved between members by their load */
};

const char *const bond_mode_names[BOND_MODES] = {
	[BOND_ROUND_ROBIN] = "balance-rr",
	[BOND_ACTIVE_BACKUP] = "active-backup",
	[BOND_XOR] = "balance-xor",
	[BOND_BROADCAST] = "broadcast",
	[BOND_8023AD] = "802.3ad",
	[BOND_TLB] = "balance-tlb",
	[BOND_ALB] = "balance-alb",
};

static const struct {
	enum sends sends;
	bool receives_on_one;
} modes[] = {
	[BOND_ROUND_ROBIN] = { SENDS_TURNS, false },
	[BOND_ACTIVE_BACKUP] = { SENDS_ONE, true },
	[BOND_XOR] = { SENDS_HASH, false },
	[BOND_BROADCAST] = { SENDS_ALL, false },
	[BOND_8023AD] = { SENDS_HASH, false },
	[BOND_TLB] = { SENDS_BY_LOAD, true },
	[BOND_ALB] = { SENDS_BY_LOAD, true },
};
_Static_assert(ARRAY_SIZE(modes) == BOND_MODES, "every mode");

const char *const bond_policy_names[BOND_POLICIES] = {
	[BOND_LAYER2] = "layer2",    [BOND_LAYER34] = "layer3+4",
	[BOND_LAYER23] = "layer2+3", [BOND_ENCAP23] = "encap2+3",
	[BOND_ENCAP34] = "encap3+4", [BOND_VLAN_SRCMAC] = "vlan+srcmac",
};

static uint32_t word_at(const uint8_t *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static uint32_t address_word(int family, const uint8_t *address)
{
	if (family == AF_INET)
		return word_at(address);
	return word_at(address) ^ word_at(address + 4) ^ word_at(address + 8) ^
	       word_at(address + 12);
}

static uint32_t port_word(const struct flow *f)
{
	const uint8_t ports[4] = {
		(uint8_t)(f->from_port >> 8),
		(uint8_t)f->from_port,
		(uint8_t)(f->to_port >> 8),
		(uint8_t)f->to_port,
	};

	return word_at(ports);
}

static uint32_t hash_layer2(const struct flow *f)
{
	uint32_t type = f->family == AF_INET ? ETH_P_IP : ETH_P_IPV6;

	return f->from_mac[5] ^ f->to_mac[5] ^ type;
}

static uint32_t with_addresses(uint32_t hash, const struct flow *f)
{
	hash ^= address_word(f->family, f->to) ^
		address_word(f->family, f->from);
	hash ^= hash >> 16;
	return hash ^ hash >> 8;
}

static uint32_t hash_layer23(const struct flow *f)
{
	return with_addresses(hash_layer2(f), f);
}

/* The lowest bit goes: many systems only use even source ports. */
static uint32_t hash_layer34(const struct flow *f)
{
	return with_addresses(port_word(f), f) >> 1;
}

static uint32_t three_bytes(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static uint32_t hash_vlan_mac(const struct flow *f)
{
	return f->vlan ^ three_bytes(f->from_mac) ^
	       three_bytes(f->from_mac + 3);
}

/* Without a tunnel in the packet, the encap policies are those they extend. */
static uint32_t (*const hashes[])(const struct flow *f) = {
	[BOND_LAYER2] = hash_layer2,   [BOND_LAYER34] = hash_layer34,
	[BOND_LAYER23] = hash_layer23, [BOND_ENCAP23] = hash_layer23,
	[BOND_ENCAP34] = hash_layer34, [BOND_VLAN_SRCMAC] = hash_vlan_mac,
};
_Static_assert(ARRAY_SIZE(hashes) == BOND_POLICIES, "a hash for every policy");

uint32_t bond_hash(enum bond_policy policy, const struct flow *f)
{
	return hashes[policy](f);
}

static enum sends how_sends(const struct nic_bond *bond)
{
	if (bond->mode == BOND_TLB && !bond->tlb_dynamic)
		return SENDS_HASH;
	return modes[bond->mode].sends;
}

bool bond_predictable(const struct nic_bond *bond)
{
	return how_sends(bond) == SENDS_HASH && bond->policy != BOND_ENCAP34 &&
	       bond->members > 0;
}

bool bond_heeds_ports(const struct nic_bond *bond)
{
	return bond_predictable(bond) && bond->policy == BOND_LAYER34;
}

unsigned bond_member(const struct nic_bond *bond, const struct flow *f)
{
	assert(bond_predictable(bond));
	return bond_hash(bond->policy, f) % bond->members;
}

bool bond_receives_on_one(const struct nic_bond *bond)
{
	return modes[bond->mode].receives_on_one;
}

/* Of a policy that looks at ports: the layer3+4 of a connection's packets. */
static bool policy_spreads(enum bond_policy policy)
{
	return policy == BOND_LAYER34 || policy == BOND_ENCAP34;
}

/* By load, but not by connection: balance-alb looks at the peer's address
 * alone, balance-tlb at the policy's hash. */
static bool load_spreads(const struct nic_bond *bond)
{
	return bond->mode == BOND_TLB && policy_spreads(bond->policy);
}

unsigned bond_sending_flows(const struct nic_bond *bond)
{
	const enum sends sends = how_sends(bond);

	if (bond->members < 1)
		return 1;
	if (sends == SENDS_HASH && policy_spreads(bond->policy))
		return bond->members;
	return sends == SENDS_BY_LOAD && load_spreads(bond) ? bond->members : 1;
}

unsigned bond_receiving_flows(const struct nic_bond *bond)
{
	return bond_receives_on_one(bond) || bond->members < 1 ? 1
							       : bond->members;
}

unsigned bond_sending_mbit(const struct nic_bond *bond, unsigned mbit)
{
	const enum sends sends = how_sends(bond);
	const bool by_peer = sends == SENDS_HASH || sends == SENDS_BY_LOAD;

	if (by_peer && bond->members > 1 && bond_sending_flows(bond) == 1)
		return mbit / bond->members;
	return mbit;
}

unsigned bond_receiving_mbit(const struct nic_bond *bond, unsigned mbit)
{
	if (bond_receives_on_one(bond) && bond->members > 1)
		return mbit / bond->members;
	return mbit;
}

static const char *hash_text(const struct nic_bond *bond)
{
	if (bond->policy == BOND_LAYER34)
		return bond->mode == BOND_TLB
			       ? "Connections are spread over the members; "
				 "what comes back arrives on one."
			       : "Connections are spread over the members by "
				 "their ports.";
	if (bond->policy == BOND_ENCAP34)
		return "Connections are spread over the members by chance.";
	if (bond->mode == BOND_TLB)
		return "One peer's connections leave by one member and arrive "
		       "on one.";
	return "One peer's connections share one member; the policy layer3+4 "
	       "would spread them.";
}

static const char *load_text(const struct nic_bond *bond)
{
	if (load_spreads(bond))
		return "Connections are spread over the members by their load; "
		       "what comes back arrives on one.";
	return "Peers are spread over the members, not connections: one peer's "
	       "leave by one member and arrive on one.";
}

const char *bond_flows_text(const struct nic_bond *bond)
{
	switch (how_sends(bond)) {
	case SENDS_ONE:
		return "One member carries everything, the others stand by.";
	case SENDS_TURNS:
		return "Packets take the members in turn, and may overtake "
		       "each other.";
	case SENDS_ALL:
		return "Every packet is sent over every member.";
	case SENDS_BY_LOAD:
		return load_text(bond);
	case SENDS_HASH:
		break;
	}
	return hash_text(bond);
}
