/* SPDX-License-Identifier: MIT */
#include "tune/matrix.h"

#include "base/text.h"

const char *const tune_feature_names[TUNE_FEATURES] = {
	[TUNE_RSS] = "rss",
	[TUNE_RPS] = "rps",
	[TUNE_NTUPLE] = "ntuple",
	[TUNE_VMQ] = "vmq",
	[TUNE_DYNAMIC_VMQ] = "dynamic-vmq",
	[TUNE_SRIOV] = "sr-iov",
	[TUNE_RX_CHECKSUM] = "rx-checksum",
	[TUNE_TX_CHECKSUM] = "tx-checksum",
	[TUNE_LSO] = "lso",
	[TUNE_LRO] = "lro",
	[TUNE_GRO_HARDWARE] = "gro-hw",
	[TUNE_ESP] = "esp",
	[TUNE_TLS_TX] = "tls-tx",
	[TUNE_TLS_RX] = "tls-rx",
	[TUNE_SWITCH] = "switch",
	[TUNE_TEAM_INDEPENDENT] = "team-independent",
	[TUNE_TEAM_SWITCH] = "team-switch",
	[TUNE_HASH_LAYER2] = "hash-layer2",
	[TUNE_RDMA] = "rdma",
	[TUNE_PFC] = "pfc",
	[TUNE_SHARES] = "minimum-shares",
	[TUNE_IRQ_AFFINITY] = "irq-affinity",
	[TUNE_IRQBALANCE] = "irqbalance",
	[TUNE_CONNECTIONS] = "connections",
	[TUNE_MOVES] = "moves",
};

const char *const tune_feature_texts[TUNE_FEATURES] = {
	[TUNE_RSS] = "the card spreads what it receives over several queues",
	[TUNE_RPS] = "the kernel spreads what one queue received",
	[TUNE_NTUPLE] = "rules of the card steer chosen packets to a queue",
	[TUNE_VMQ] = "a receive queue for one machine",
	[TUNE_DYNAMIC_VMQ] = "such queues change processors as load changes",
	[TUNE_SRIOV] = "virtual functions of the card, given to machines",
	[TUNE_RX_CHECKSUM] = "the card checks checksums",
	[TUNE_TX_CHECKSUM] = "the card makes checksums",
	[TUNE_LSO] = "the card cuts large sends (TSO)",
	[TUNE_LRO] = "the card joins received segments (RSC), for good",
	[TUNE_GRO_HARDWARE] = "the card joins them so that it can be undone",
	[TUNE_ESP] = "the card does IPsec",
	[TUNE_TLS_TX] = "the card encrypts TLS",
	[TUNE_TLS_RX] = "the card decrypts TLS",
	[TUNE_SWITCH] = "the card is a port of a bridge or virtual switch",
	[TUNE_TEAM_INDEPENDENT] = "a team of which the switch knows nothing",
	[TUNE_TEAM_SWITCH] = "a team that the switch knows: LACP or static",
	[TUNE_HASH_LAYER2] = "a team that chooses members by MAC addresses",
	[TUNE_RDMA] = "the card reads and writes memory of programs",
	[TUNE_PFC] = "priority flow control of data center bridging",
	[TUNE_SHARES] = "minimum shares of a card for kinds of traffic",
	[TUNE_IRQ_AFFINITY] = "interrupts on chosen processors",
	[TUNE_IRQBALANCE] = "a daemon that moves interrupts",
	[TUNE_CONNECTIONS] = "several connections between two hosts",
	[TUNE_MOVES] = "machines that move while they run",
};

const char *const tune_relation_names[TUNE_RELATIONS] = {
	[TUNE_UNRELATED] = "unrelated", [TUNE_NEEDS] = "needs",
	[TUNE_EXCLUDES] = "excludes",   [TUNE_WEAKENS] = "weakens",
	[TUNE_COMBINES] = "combines",
};

#define KEYWORDS \
	"Microsoft, Handling SR-IOV, VMQ, and RSS Standardized INF Keywords"
#define OFFLOADS \
	"Microsoft, Network Offload and Optimization Technologies, Address " \
	"Checksum Offload"
#define TEAMING "Microsoft, NIC Teaming"
#define FAILOVER "Microsoft, SR-IOV VF Failover and Live Migration Support"
#define FIX_FEATURES "Linux, net/core/dev.c, netdev_fix_features()"
#define SCALING "Linux, Documentation/networking/scaling.rst"
#define BONDING "Linux, Documentation/networking/bonding.rst"
#define TLS "Linux, Documentation/networking/tls-offload.rst"

#define WINDOWS(how, ...) [TUNE_WINDOWS] = { TUNE_##how, __VA_ARGS__ }
#define LINUX(how, ...) [TUNE_LINUX] = { TUNE_##how, __VA_ARGS__ }

const struct tune_entry tune_matrix[] = {
	{ TUNE_RSS,
	  TUNE_VMQ,
	  { WINDOWS(EXCLUDES,
		    "A card bound to the virtual switch has VMQ, one bound to "
		    "TCP/IP has RSS, never both.",
		    KEYWORDS),
	    LINUX(COMBINES,
		  "Rules that steer a machine's packets to a queue go before "
		  "the table, which spreads the rest; a table of its own "
		  "(context) keeps the rest off that queue.",
		  SCALING) } },
	{ TUNE_RSS,
	  TUNE_SRIOV,
	  { WINDOWS(COMBINES,
		    "Inside the machine a virtual function does RSS of its "
		    "own; the physical function on the virtual switch does "
		    "not.",
		    "Administrators of Hyper-V; for the physical "
		    "function: " KEYWORDS),
	    LINUX(COMBINES,
		  "The physical function keeps a table, but some drivers "
		  "leave it fewer queues once there are virtual functions: "
		  "igb 2 on an 82576, 1 on an i350.",
		  "Linux, drivers/net/ethernet/intel/igb/igb_main.c, "
		  "igb_get_max_rss_queues()") } },
	{ TUNE_RSS,
	  TUNE_RX_CHECKSUM,
	  { WINDOWS(NEEDS,
		    "Checksum offload is required for RSS, RSC and LSO; who "
		    "switched it off while looking for something else has "
		    "lost all three.",
		    OFFLOADS) } },
	{ TUNE_RSS,
	  TUNE_LSO,
	  { WINDOWS(NEEDS,
		    "RSS that does nothing is often LSO that was switched "
		    "off.",
		    "Administrators of Hyper-V; Microsoft's pages name "
		    "checksum offload alone") } },
	{ TUNE_RSS,
	  TUNE_RPS,
	  { LINUX(WEAKENS,
		  "With a receive queue for each processor RPS is redundant, "
		  "and costs an interrupt between processors for each packet.",
		  SCALING) } },
	{ TUNE_RSS,
	  TUNE_NTUPLE,
	  { LINUX(COMBINES,
		  "Rules choose a queue, or a table of their own; what no "
		  "rule chooses is spread by the table.",
		  SCALING) } },
	{ TUNE_VMQ,
	  TUNE_NTUPLE,
	  { LINUX(NEEDS,
		  "There is no VMQ by that name: a queue for a machine is a "
		  "rule for its MAC address, or a virtual function.",
		  SCALING) } },
	{ TUNE_VMQ,
	  TUNE_SRIOV,
	  { WINDOWS(COMBINES,
		    "Both may be on at once: machines without a virtual "
		    "function have a queue.",
		    KEYWORDS) } },
	{ TUNE_DYNAMIC_VMQ,
	  TUNE_VMQ,
	  { WINDOWS(NEEDS,
		    "Queues start on their home processor, spread over a "
		    "threshold of load and fold back under one.",
		    "Microsoft, VMQ Deep Dive, part 2") } },
	{ TUNE_VMQ,
	  TUNE_TEAM_INDEPENDENT,
	  { WINDOWS(COMBINES,
		    "By Hyper-V port or Dynamic the members' queues add up, "
		    "and their processors must not overlap; by any other hash "
		    "the fewest of a member count, and they must be the same.",
		    TEAMING) } },
	{ TUNE_SRIOV,
	  TUNE_SWITCH,
	  { WINDOWS(WEAKENS,
		    "A virtual function goes past the virtual switch: its "
		    "policies, access lists and QoS do not see it.",
		    "Microsoft, Software and hardware integrated network "
		    "features"),
	    LINUX(WEAKENS,
		  "A virtual function goes past the bridge. A bridge that "
		  "learns a machine's address at the port of the standby "
		  "cuts it off: its learning has to be off there.",
		  "Linux, Documentation/networking/net_failover.rst") } },
	{ TUNE_SRIOV,
	  TUNE_TEAM_INDEPENDENT,
	  { WINDOWS(EXCLUDES,
		    "A team of the host does not protect a virtual function; "
		    "two of them may be teamed inside the machine.",
		    TEAMING) } },
	{ TUNE_SRIOV,
	  TUNE_TEAM_SWITCH,
	  { WINDOWS(EXCLUDES,
		    "A team of the host does not protect a virtual function; "
		    "two of them may be teamed inside the machine.",
		    TEAMING) } },
	{ TUNE_SRIOV,
	  TUNE_SHARES,
	  { WINDOWS(EXCLUDES,
		    "A virtual switch with SR-IOV has no minimum bandwidth "
		    "unless it is asked for.",
		    "Microsoft, New-VMSwitch, MinimumBandwidthMode"),
	    LINUX(WEAKENS,
		  "Queueing disciplines of the host do not see what a virtual "
		  "function sends; only the card's own rates limit it, and "
		  "not every driver keeps them.",
		  "Linux, Documentation/networking/devlink/"
		  "devlink-port.rst") } },
	{ TUNE_SRIOV,
	  TUNE_MOVES,
	  { WINDOWS(COMBINES,
		    "Before the virtual function is taken away, traffic goes "
		    "back to the synthetic path; the other host need not have "
		    "one.",
		    FAILOVER),
	    LINUX(COMBINES,
		  "With a virtio card as standby the machine moves on that, "
		  "and gets a virtual function again afterwards.",
		  "Linux, Documentation/networking/net_failover.rst") } },
	{ TUNE_VMQ,
	  TUNE_MOVES,
	  { WINDOWS(COMBINES,
		    "The queue's packets are given back and the queue is "
		    "free; the other host may have none.",
		    "Microsoft, NDIS VMQ Live Migration Support") } },
	{ TUNE_LSO,
	  TUNE_TX_CHECKSUM,
	  { WINDOWS(NEEDS, "Checksum offload is required for RSS, RSC and LSO.",
		    OFFLOADS),
	    LINUX(NEEDS,
		  "The kernel switches TSO off with checksum offload, without "
		  "a message.",
		  FIX_FEATURES) } },
	{ TUNE_LRO,
	  TUNE_RX_CHECKSUM,
	  { WINDOWS(NEEDS, "Checksum offload is required for RSS, RSC and LSO.",
		    OFFLOADS) } },
	{ TUNE_LRO,
	  TUNE_SWITCH,
	  { WINDOWS(EXCLUDES,
		    "RSC is off on a card that forwards "
		    "(ForwardingEnabled).",
		    "Microsoft, Get-NetAdapterRsc"),
	    LINUX(EXCLUDES,
		  "What was joined cannot be forwarded as it came: the kernel "
		  "switches LRO off on ports of a bridge. GRO stays.",
		  "Linux, net/bridge/br_if.c, br_add_if()") } },
	{ TUNE_LRO,
	  TUNE_ESP,
	  { WINDOWS(WEAKENS,
		    "Packets with IP options or extension headers are not "
		    "joined.",
		    "Microsoft, Exception Conditions that Terminate "
		    "Coalescing") } },
	{ TUNE_GRO_HARDWARE,
	  TUNE_RX_CHECKSUM,
	  { LINUX(NEEDS,
		  "Whatever the card joins it has checked; the kernel "
		  "switches it off with checksum offload, without a message.",
		  FIX_FEATURES) } },
	{ TUNE_GRO_HARDWARE,
	  TUNE_LRO,
	  { LINUX(EXCLUDES, "Where both are asked for, the kernel drops LRO.",
		  FIX_FEATURES) } },
	{ TUNE_TLS_TX,
	  TUNE_TX_CHECKSUM,
	  { LINUX(NEEDS,
		  "The checksum is of what the card encrypts; without it the "
		  "kernel switches it off.",
		  TLS) } },
	{ TUNE_TLS_RX,
	  TUNE_RX_CHECKSUM,
	  { LINUX(NEEDS, "Without checksum offload the kernel switches it off.",
		  FIX_FEATURES) } },
	{ TUNE_ESP,
	  TUNE_CONNECTIONS,
	  { WINDOWS(WEAKENS,
		    "Under IPsec a team's hash sees no ports and falls back "
		    "to addresses: all connections of two hosts are one flow.",
		    "Microsoft, NIC Teaming settings") } },
	{ TUNE_TEAM_INDEPENDENT,
	  TUNE_CONNECTIONS,
	  { WINDOWS(WEAKENS,
		    "By address hash it sends on all members and receives on "
		    "the primary one alone, by Hyper-V port it does both on "
		    "one: a live migration arrives at the speed of one.",
		    TEAMING),
	    LINUX(WEAKENS,
		  "active-backup and balance-tlb receive on one member; "
		  "balance-alb spreads peers, never one peer's connections.",
		  BONDING) } },
	{ TUNE_TEAM_SWITCH,
	  TUNE_CONNECTIONS,
	  { WINDOWS(COMBINES,
		    "Both directions use all members where the hashes here "
		    "and in the switch see different flows; several "
		    "connections are needed for that.",
		    "Microsoft, NIC Teaming settings"),
	    LINUX(COMBINES,
		  "With layer3+4 connections leave by the members that their "
		  "ports choose; how they arrive the switch decides.",
		  BONDING) } },
	{ TUNE_HASH_LAYER2,
	  TUNE_CONNECTIONS,
	  { LINUX(WEAKENS,
		  "It is the default, and sends all that is for one host by "
		  "one member.",
		  BONDING) } },
	{ TUNE_RDMA,
	  TUNE_TEAM_INDEPENDENT,
	  { WINDOWS(EXCLUDES, "A card in a team loses RDMA.",
		    "Microsoft, SMB Direct") } },
	{ TUNE_RDMA,
	  TUNE_TEAM_SWITCH,
	  { WINDOWS(EXCLUDES, "A card in a team loses RDMA.",
		    "Microsoft, SMB Direct") } },
	{ TUNE_RDMA,
	  TUNE_PFC,
	  { WINDOWS(NEEDS,
		    "RoCE expects a network that drops nothing, and both ends "
		    "must agree: a mismatch is as good as no flow control.",
		    "Microsoft, Enable-NetQosFlowControl") } },
	{ TUNE_SHARES,
	  TUNE_TEAM_INDEPENDENT,
	  { WINDOWS(WEAKENS,
		    "The host's minimum bandwidth lowers what a team "
		    "carries.",
		    TEAMING) } },
	{ TUNE_SHARES,
	  TUNE_TEAM_SWITCH,
	  { WINDOWS(WEAKENS,
		    "The host's minimum bandwidth lowers what a team "
		    "carries.",
		    TEAMING) } },
	{ TUNE_IRQBALANCE,
	  TUNE_IRQ_AFFINITY,
	  { LINUX(WEAKENS,
		  "It may move interrupts away from where they were put.",
		  SCALING) } },
};

const size_t tune_matrix_count = ARRAY_SIZE(tune_matrix);

bool tune_symmetric(enum tune_relation relation)
{
	return relation == TUNE_EXCLUDES || relation == TUNE_COMBINES;
}

const struct tune_saying *tune_says(enum tune_column column,
				    enum tune_feature a, enum tune_feature b)
{
	for (size_t i = 0; i < tune_matrix_count; i++) {
		const struct tune_entry *t = &tune_matrix[i];
		const struct tune_saying *s = &t->says[column];

		if (s->relation == TUNE_UNRELATED)
			continue;
		if ((t->feature == a && t->other == b) ||
		    (t->feature == b && t->other == a &&
		     tune_symmetric(s->relation)))
			return s;
	}
	return NULL;
}
