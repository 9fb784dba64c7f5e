/* SPDX-License-Identifier: MIT */

/* The rules of one card, and the table of all. */
#include "tune/rules.h"

#include <stdio.h>

#include "base/text.h"
#include "nic/bond.h"
#include "nic/inventory.h"
#include "tune/advisor.h"
#include "tune/matrix.h"
#include "tune/spread.h"

enum {
	QUEUES_BELIEVED = 4096,
	RING_BELIEVED = 1 << 20,
	VFS_ASKED = 16, /* at most; more are made by who knows for what */
	/* The least that a driver of the kernel begins with: tg3; igb and
	 * e1000e begin with 256. */
	RING_LEAST = 200,
	RING_WANTED = 512,
};

/* Of a processor's time: from here on it is what holds a card back. */
static const double share_busy = 0.5;

static const char *driver_of(const struct nic *n)
{
	return n->driver[0] ? n->driver : "its driver";
}

static bool is_able(const struct nic *n, enum nic_feature feature)
{
	return n->features_able >> feature & 1;
}

/* --- queues */

static void look_queues(struct advisor *a, const struct nic *n)
{
	unsigned near = advisor_near(a, n);
	unsigned wanted = n->queues_most < near ? n->queues_most : near;
	struct tune_finding *f;

	if (n->queues_most > QUEUES_BELIEVED ||
	    n->rx_queues > QUEUES_BELIEVED) {
		advisor_unknown(a,
				"%s says that %s can have %u queues and has "
				"%u, which nobody believes: nothing is said of "
				"them",
				driver_of(n), n->name, n->queues_most,
				n->rx_queues);
		return;
	}
	if (n->rx_queues != 1 || wanted < 2)
		return;
	f = advisor_find(a, n);
	snprintf(f->now, sizeof(f->now),
		 "one receive queue of %u that it can have: one processor "
		 "receives all",
		 n->queues_most);
	snprintf(f->better, sizeof(f->better),
		 "%u queues, for %u processors near the card", wanted, near);
	advisor_command(a, f, "ethtool -L %s %s %u", n->name,
			n->queues_apart ? "rx" : "combined", wanted);
	advisor_put_load(a, f, n);
}

/* All that comes in falls into one queue of several. */
static void look_table(struct advisor *a, const struct nic *n)
{
	struct tune_finding *f;

	if (n->rx_queues < 2 || n->rx_queues > QUEUES_BELIEVED ||
	    !n->hash.table || n->hash.table_size == 0)
		return;
	for (unsigned i = 1; i < n->hash.table_size; i++)
		if (n->hash.table[i] != n->hash.table[0])
			return;
	f = advisor_find(a, n);
	snprintf(f->now, sizeof(f->now),
		 "%u receive queues, and all entries of the table lead to "
		 "queue %u",
		 n->rx_queues, n->hash.table[0]);
	snprintf(f->better, sizeof(f->better),
		 "the driver's own table, which spreads over them");
	advisor_command(a, f, "ethtool -X %s default", n->name);
	advisor_put_load(a, f, n);
}

/* "ff,00000001" */
static void put_mask(char *buf, size_t cap, const struct advisor *a,
		     const struct nic *n, int without)
{
	size_t used = 0;

	buf[0] = '\0';
	for (int group = PROCESSORS_MOST / 32 - 1; group >= 0; group--) {
		uint32_t bits = 0;

		for (int i = 0; i < 32; i++)
			if (group * 32 + i != without &&
			    advisor_is_near(a, n, group * 32 + i))
				bits |= 1U << i;
		if (used == 0 && bits)
			used = (size_t)snprintf(buf, cap, "%x", bits);
		else if (used > 0)
			used += (size_t)snprintf(buf + used, cap - used,
						 ",%08x", bits);
	}
}

static void look_rps(struct advisor *a, const struct nic *n)
{
	const int busiest = advisor_busiest(a, n);
	const unsigned near = advisor_near(a, n);
	char mask[PROCESSORS_MOST / 32 * 9 + 1];
	struct tune_finding *f;
	bool out;

	if (n->rx_queues != 1 || n->queues_most != 1 || !n->rps_known ||
	    n->rps || near < 2 || busiest < 0 ||
	    a->facts->processors->at[busiest].share < share_busy)
		return;
	/* With many others, the one that has the interrupt has enough. */
	out = near > 2 && advisor_is_near(a, n, busiest);
	put_mask(mask, sizeof(mask), a, n, out ? busiest : -1);
	f = advisor_find(a, n);
	snprintf(f->now, sizeof(f->now),
		 "one receive queue, which is all that the card can have, and "
		 "processor %d, which has its interrupt, is busy with "
		 "interrupts",
		 busiest);
	snprintf(f->better, sizeof(f->better),
		 "the kernel spreads what it received over %u processors",
		 out ? near - 1 : near);
	advisor_command(a, f,
			"echo %s > /sys/class/net/%s/queues/rx-0/rps_cpus",
			mask, n->name);
	advisor_put_load(a, f, n);
}

/* --- offloads */

static void look_checksum(struct advisor *a, const struct nic *n)
{
	struct tune_finding *f;

	if (!n->features_known || n->rx_queues < 2 ||
	    nic_has(n, NIC_RX_CHECKSUM) || !is_able(n, NIC_RX_CHECKSUM))
		return;
	f = advisor_find(a, n);
	snprintf(f->now, sizeof(f->now),
		 "%u receive queues, and the card does not check checksums, "
		 "which it could",
		 n->rx_queues);
	snprintf(f->better, sizeof(f->better), "the card checks them");
	advisor_command(a, f, "ethtool -K %s rx on", n->name);
	advisor_put_load(a, f, n);
}

static void look_segmentation(struct advisor *a, const struct nic *n)
{
	bool checksum = nic_has(n, NIC_TX_CHECKSUM);
	struct tune_finding *f;

	if (!n->features_known || nic_has(n, NIC_TSO) || !is_able(n, NIC_TSO) ||
	    (!checksum && !is_able(n, NIC_TX_CHECKSUM)))
		return;
	f = advisor_find(a, n);
	snprintf(f->now, sizeof(f->now), "the kernel cuts what is sent%s",
		 checksum ? "" : ", and makes the checksums");
	snprintf(f->better, sizeof(f->better), "the card does, as it could");
	if (!checksum)
		advisor_command(a, f, "ethtool -K %s tx on", n->name);
	advisor_command(a, f, "ethtool -K %s tso on", n->name);
}

static void look_lro(struct advisor *a, const struct nic *n)
{
	const struct nic *master = inventory_by_index(a->facts->inv, n->master);
	struct tune_finding *f;

	/* A bond's members are ports of the bridge that the bond is in. */
	if (master && master->kind == NIC_BOND && master->master)
		master = inventory_by_index(a->facts->inv, master->master);
	if (!n->features_known || !nic_has(n, NIC_LRO) || !master ||
	    master->kind != NIC_BRIDGE)
		return;
	f = advisor_find(a, n);
	snprintf(f->now, sizeof(f->now),
		 "LRO is on, and the card is a port of the bridge %s",
		 master->name);
	snprintf(f->better, sizeof(f->better), "LRO off; GRO joins as well");
	advisor_command(a, f, "ethtool -K %s lro off", n->name);
	if (!nic_has(n, NIC_GRO))
		advisor_command(a, f, "ethtool -K %s gro on", n->name);
}

/* --- rings */

static bool is_small(unsigned ring, unsigned most)
{
	return ring > 0 && ring < RING_LEAST && ring < most;
}

static unsigned ring_wanted(unsigned most)
{
	return most < RING_WANTED ? most : RING_WANTED;
}

static void look_rings(struct advisor *a, const struct nic *n)
{
	bool rx = is_small(n->rx_ring, n->rx_ring_most);
	bool tx = is_small(n->tx_ring, n->tx_ring_most);
	struct tune_finding *f;

	if (n->rx_ring_most > RING_BELIEVED ||
	    n->tx_ring_most > RING_BELIEVED) {
		advisor_unknown(a,
				"%s says that %s can have rings of %u and %u, "
				"which nobody believes: nothing is said of "
				"them",
				driver_of(n), n->name, n->rx_ring_most,
				n->tx_ring_most);
		return;
	}
	if (!rx && !tx)
		return;
	f = advisor_find(a, n);
	snprintf(f->now, sizeof(f->now),
		 "rings of %u packets to receive (of %u) and %u to send "
		 "(of %u)",
		 n->rx_ring, n->rx_ring_most, n->tx_ring, n->tx_ring_most);
	snprintf(f->better, sizeof(f->better),
		 "%u and %u; the card may lose its link for a moment",
		 rx ? ring_wanted(n->rx_ring_most) : n->rx_ring,
		 tx ? ring_wanted(n->tx_ring_most) : n->tx_ring);
	if (rx && tx)
		advisor_command(a, f, "ethtool -G %s rx %u tx %u", n->name,
				ring_wanted(n->rx_ring_most),
				ring_wanted(n->tx_ring_most));
	else
		advisor_command(a, f, "ethtool -G %s %s %u", n->name,
				rx ? "rx" : "tx",
				ring_wanted(rx ? n->rx_ring_most
					       : n->tx_ring_most));
}

/* --- bonds */

static void look_policy(struct advisor *a, const struct nic *n)
{
	const struct nic_bond *b = &n->bond;
	struct tune_finding *f;

	if (b->policy != BOND_LAYER2 ||
	    (b->mode != BOND_XOR && b->mode != BOND_8023AD &&
	     (b->mode != BOND_TLB || b->tlb_dynamic)))
		return;
	f = advisor_find(a, n);
	snprintf(f->now, sizeof(f->now),
		 "%s by layer2: all that is for one host leaves by one of %u "
		 "members",
		 bond_mode_names[b->mode], b->members);
	snprintf(f->better, sizeof(f->better),
		 "layer3+4: each connection by the member that its ports "
		 "choose");
	advisor_command(a, f,
			"ip link set %s type bond xmit_hash_policy layer3+4",
			n->name);
}

static void look_team(struct advisor *a, const struct nic *n)
{
	const struct tune_saying *says =
		tune_says(TUNE_LINUX, TUNE_TEAM_INDEPENDENT, TUNE_CONNECTIONS);
	struct tune_finding *f;

	if (!bond_receives_on_one(&n->bond))
		return;
	f = advisor_find(a, n);
	f->why = says->why;
	f->source = says->source;
	snprintf(f->now, sizeof(f->now),
		 "%s: what a host sends here arrives on one member",
		 bond_mode_names[n->bond.mode]);
	snprintf(f->better, sizeof(f->better),
		 "802.3ad, with a switch that does it too; or cards apart, "
		 "each with an address of its own, of which Multichannel "
		 "uses all");
}

/* --- virtual functions */

static void look_vfs(struct advisor *a, const struct nic *n)
{
	unsigned wanted = a->facts->machines;
	struct tune_finding *f;

	if (n->vfs_most == 0 || n->vfs > 0 || wanted == 0)
		return;
	if (!a->facts->iommu) {
		advisor_unknown(a,
				"%s can have %u virtual functions, but no "
				"IOMMU "
				"is in use here, and no machine can be given "
				"one: switch it on in the firmware and for "
				"the kernel (intel_iommu=on) first",
				n->name, n->vfs_most);
		return;
	}
	if (wanted > n->vfs_most)
		wanted = n->vfs_most;
	if (wanted > VFS_ASKED)
		wanted = VFS_ASKED;
	f = advisor_find(a, n);
	snprintf(f->now, sizeof(f->now),
		 "none of %u virtual functions, and %u machines", n->vfs_most,
		 a->facts->machines);
	snprintf(f->better, sizeof(f->better),
		 "one for each machine with heavy traffic, with a virtio card "
		 "as its standby");
	advisor_command(a, f, "echo %u > /sys/class/net/%s/device/sriov_numvfs",
			wanted, n->name);
	advisor_put_load(a, f, n);
}

/* --- what cannot be said */

static void look_unknown(struct advisor *a, const struct nic *n)
{
	bool has_interrupts = false;

	for (size_t i = 0; i < a->interrupts.count; i++)
		has_interrupts = has_interrupts ||
				 a->interrupts.at[i].ifindex == n->ifindex;
	if (!n->features_known)
		advisor_unknown(a, "%s does not tell which features %s has",
				driver_of(n), n->name);
	if (n->queues_most == 0)
		advisor_unknown(a,
				"%s does not tell how many queues %s can have",
				driver_of(n), n->name);
	if (n->rx_ring_most == 0)
		advisor_unknown(a, "%s does not tell the rings of %s",
				driver_of(n), n->name);
	if (!has_interrupts)
		advisor_unknown(a,
				"/sys does not show the interrupts of %s, so "
				"nothing is said of its processors",
				n->name);
}

#define FOR(purpose) (1U << TUNE_FOR_##purpose)
#define FOR_ALL ((1U << TUNE_PURPOSES) - 1)

const struct tune_rule tune_rules[] = {
	{ "queues", NIC_PHYSICAL, FOR_ALL,
	  "One queue has one interrupt, and one processor then receives all "
	  "that the card does; several are spread by the hash of RSS.",
	  "Linux, Documentation/networking/scaling.rst, RSS Configuration",
	  look_queues },
	{ "rx-checksum", NIC_PHYSICAL, FOR_ALL,
	  "Processors sum every packet that comes in, and the kernel switches "
	  "GRO_HW off with it; often it was switched off while looking for "
	  "something else.",
	  "Microsoft, Network Offload and Optimization Technologies, Address "
	  "Checksum Offload; Linux, net/core/dev.c, netdev_fix_features()",
	  look_checksum },
	{ "lso", NIC_PHYSICAL, FOR_ALL,
	  "Sends of up to 64 KiB are cut into packets by processors; without "
	  "checksum offload the kernel switches TSO off and says nothing.",
	  "Linux, Documentation/networking/segmentation-offloads.rst; "
	  "net/core/dev.c, netdev_fix_features()",
	  look_segmentation },
	{ "lro", NIC_PHYSICAL, FOR_ALL,
	  "What was joined cannot be forwarded as it came: machines behind "
	  "the bridge get packets that nobody sent, or none.",
	  "Linux, net/bridge/br_if.c, br_add_if(), which switches it off; "
	  "somebody has switched it on again",
	  look_lro },
	{ "rings", NIC_PHYSICAL, FOR_ALL,
	  "What arrives while a processor is busy waits in the ring; when that "
	  "is full, the card drops it, and TCP slows down.",
	  "Linux, drivers/net/ethernet/broadcom/tg3.c, "
	  "TG3_DEF_RX_RING_PENDING, the least of the drivers that say",
	  look_rings },
	{ "numa", NIC_PHYSICAL, FOR_ALL,
	  "Each packet is read by a processor of another node: over the link "
	  "between the two, and past the cache that the card wrote it into.",
	  "Linux, Documentation/networking/scaling.rst, RSS IRQ Configuration",
	  tune_look_node },
	{ "interrupts", NIC_PHYSICAL, FOR_ALL,
	  "Cards whose interrupts share a processor share its time, while "
	  "others have none.",
	  "Linux, Documentation/networking/scaling.rst, RSS IRQ Configuration; "
	  "Microsoft, VMQ Deep Dive, part 2: base processors that do not "
	  "overlap",
	  tune_look_spread },
	{ "rss-table", NIC_PHYSICAL, FOR_ALL,
	  "The hash of a packet chooses an entry of the table, and that the "
	  "queue: where all are the same, one processor receives all.",
	  "Linux, Documentation/networking/scaling.rst, RSS: Receive Side "
	  "Scaling",
	  look_table },
	{ "rps", NIC_PHYSICAL, FOR_ALL,
	  "What one queue received the kernel can spread over processors of "
	  "the same node, by the hash of the flow.",
	  "Linux, Documentation/networking/scaling.rst, RPS: Receive Packet "
	  "Steering, Suggested Configuration",
	  look_rps },
	{ "hash-policy", NIC_BOND, FOR(MIXED) | FOR(MIGRATION) | FOR(STORAGE),
	  "Drover's connections to one host differ by their ports alone, which "
	  "layer2 does not look at.",
	  "Linux, Documentation/networking/bonding.rst, xmit_hash_policy",
	  look_policy },
	{ "team", NIC_BOND, FOR(MIGRATION), NULL, NULL, look_team },
	{ "sr-iov", NIC_PHYSICAL, FOR(MIXED) | FOR(MACHINES),
	  "A virtual function goes past the bridge and the host's processors. "
	  "It also goes past the host's filters and queues, pins all memory "
	  "of its machine, and some drivers leave the card itself fewer "
	  "queues.",
	  "Linux, Documentation/networking/net_failover.rst; "
	  "drivers/net/ethernet/intel/igb/igb_main.c, "
	  "igb_get_max_rss_queues()",
	  look_vfs },
	{ "unknown", NIC_PHYSICAL, FOR_ALL, NULL, NULL, look_unknown },
};

const size_t tune_rule_count = ARRAY_SIZE(tune_rules);
