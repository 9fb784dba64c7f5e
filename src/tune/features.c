/* SPDX-License-Identifier: MIT */
#include "tune/features.h"

#include <stddef.h>

#include "base/text.h"
#include "nic/bond.h"

const char *const tune_holds_names[TUNE_HOLDS] = {
	[TUNE_SILENT] = "silent",     [TUNE_MET] = "met",
	[TUNE_MISSING] = "missing",   [TUNE_CLASH] = "clash",
	[TUNE_WEAKENED] = "weakened", [TUNE_TOGETHER] = "together",
};

bool tune_card(const struct inventory *inv, const struct nic *n)
{
	char ignored[NIC_REASON];

	switch (n->kind) {
	case NIC_PHYSICAL:
	case NIC_BOND:
	case NIC_TEAM:
		return true;
	case NIC_VETH:
		return nic_usable(inv, n, ignored);
	case NIC_LOOPBACK:
	case NIC_BRIDGE:
	case NIC_VLAN:
	case NIC_MACVLAN:
	case NIC_IPVLAN:
	case NIC_TUN:
	case NIC_TUNNEL:
	case NIC_DUMMY:
	case NIC_OTHER:
	case NIC_KINDS:
		break;
	}
	return false;
}

static enum tune_state state_of(bool on)
{
	return on ? TUNE_ON : TUNE_OFF;
}

static void put_offloads(enum tune_state *ret, const struct nic *n)
{
	static const struct {
		enum tune_feature feature;
		enum nic_feature by, or_by;
	} offloads[] = {
		{ TUNE_NTUPLE, NIC_NTUPLE, NIC_NTUPLE },
		{ TUNE_RX_CHECKSUM, NIC_RX_CHECKSUM, NIC_RX_CHECKSUM },
		{ TUNE_TX_CHECKSUM, NIC_TX_CHECKSUM, NIC_TX_CHECKSUM },
		{ TUNE_LSO, NIC_TSO, NIC_TSO6 },
		{ TUNE_LRO, NIC_LRO, NIC_LRO },
		{ TUNE_GRO_HARDWARE, NIC_GRO_HARDWARE, NIC_GRO_HARDWARE },
		{ TUNE_ESP, NIC_ESP, NIC_ESP },
		{ TUNE_TLS_TX, NIC_TLS_TX, NIC_TLS_TX },
		{ TUNE_TLS_RX, NIC_TLS_RX, NIC_TLS_RX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(offloads); i++)
		ret[offloads[i].feature] =
			state_of(nic_has(n, offloads[i].by) ||
				 nic_has(n, offloads[i].or_by));
}

static bool by_layer2(const struct nic_bond *b)
{
	return b->policy == BOND_LAYER2 &&
	       (b->mode == BOND_XOR || b->mode == BOND_8023AD ||
		(b->mode == BOND_TLB && !b->tlb_dynamic));
}

static void put_team(enum tune_state *ret, const struct inventory *inv,
		     const struct nic *n)
{
	const struct nic *master = inventory_by_index(inv, n->master);
	const struct nic *team =
		n->kind == NIC_BOND || n->kind == NIC_TEAM ? n : master;

	ret[TUNE_SWITCH] = state_of(master && master->kind == NIC_BRIDGE);
	/* What a team's daemon does with its members the kernel does not say.
	 */
	if (team && team->kind == NIC_TEAM)
		return;
	if (team && team->kind != NIC_BOND)
		team = NULL;
	ret[TUNE_TEAM_INDEPENDENT] =
		state_of(team && bond_receives_on_one(&team->bond));
	ret[TUNE_TEAM_SWITCH] =
		state_of(team && !bond_receives_on_one(&team->bond));
	ret[TUNE_HASH_LAYER2] = state_of(team && by_layer2(&team->bond));
}

void tune_states(enum tune_state ret[TUNE_FEATURES],
		 const struct inventory *inv, const struct nic *n)
{
	for (int f = 0; f < TUNE_FEATURES; f++)
		ret[f] = TUNE_UNKNOWN;
	if (n->rx_queues > 0)
		ret[TUNE_RSS] = state_of(n->rss);
	if (n->rps_known)
		ret[TUNE_RPS] = state_of(n->rps);
	if (n->features_known)
		put_offloads(ret, n);
	put_team(ret, inv, n);
	/* Where /sys does not show the card, nobody knows. */
	if (n->vfs_most > 0)
		ret[TUNE_SRIOV] = state_of(n->vfs > 0);
	ret[TUNE_RDMA] = state_of(n->rdma[0]);
	/* What Drover does by itself. */
	ret[TUNE_CONNECTIONS] = TUNE_ON;
	ret[TUNE_MOVES] = TUNE_ON;
}

enum tune_holds tune_holds(const struct tune_entry *t,
			   const enum tune_state states[TUNE_FEATURES])
{
	enum tune_relation relation = t->says[TUNE_LINUX].relation;
	enum tune_state other = states[t->other];

	if (states[t->feature] != TUNE_ON || other == TUNE_UNKNOWN)
		return TUNE_SILENT;
	if (relation == TUNE_NEEDS)
		return other == TUNE_ON ? TUNE_MET : TUNE_MISSING;
	if (other == TUNE_OFF)
		return TUNE_SILENT;
	switch (relation) {
	case TUNE_EXCLUDES:
		return TUNE_CLASH;
	case TUNE_WEAKENS:
		return TUNE_WEAKENED;
	case TUNE_COMBINES:
		return TUNE_TOGETHER;
	case TUNE_UNRELATED:
	case TUNE_NEEDS:
	case TUNE_RELATIONS:
		break;
	}
	return TUNE_SILENT;
}
