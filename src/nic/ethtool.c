/* SPDX-License-Identifier: MIT */
#include "nic/ethtool.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/sockios.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/text.h"
#include "nic/inventory.h"
#include "nic/netlink.h"

/* The header's name for it is the kernel's own and not installed. */
enum { HASH_TOEPLITZ = 1 };
enum { TABLE_MAX = 65536, KEY_MAX = 1024 };

/* The names are of the kernel's table of features (ethtool -k knows some of
 * them by others); several of ours may stand for one of its own. */
static const struct {
	const char *name;
	enum nic_feature feature;
} features[] = {
	{ "rx-gro", NIC_GRO },
	{ "rx-gro-hw", NIC_GRO_HARDWARE },
	{ "rx-lro", NIC_LRO },
	{ "tx-tcp-segmentation", NIC_TSO },
	{ "tx-tcp6-segmentation", NIC_TSO6 },
	{ "tx-generic-segmentation", NIC_GSO },
	{ "rx-checksum", NIC_RX_CHECKSUM },
	{ "tx-checksum-ip-generic", NIC_TX_CHECKSUM },
	{ "tx-checksum-ipv4", NIC_TX_CHECKSUM },
	{ "tx-checksum-ipv6", NIC_TX_CHECKSUM },
	{ "rx-hashing", NIC_RX_HASH },
	{ "rx-ntuple-filter", NIC_NTUPLE },
	{ "tls-hw-tx-offload", NIC_TLS_TX },
	{ "tls-hw-rx-offload", NIC_TLS_RX },
	{ "esp-hw-offload", NIC_ESP },
};

enum { ATTRIBUTES_MAX = 32 };

/* The card that an answer is about; all ethtool answers name it alike. */
static struct nic *parse_answer(const struct inventory *inv, struct nlmsghdr *h,
				struct nlattr **a)
{
	struct nlattr *header[ETHTOOL_A_HEADER_FLAGS + 1] = { NULL };

	if (!genlmsg_valid_hdr(h, 0) ||
	    genlmsg_parse(h, 0, a, ATTRIBUTES_MAX - 1, NULL) < 0)
		return NULL;
	/* It is the first attribute of every kind of answer. */
	if (!a[1] ||
	    nla_parse_nested(header, ETHTOOL_A_HEADER_FLAGS, a[1], NULL) < 0)
		return NULL;
	return inventory_by_index(
		inv, (int)netlink_u32(header[ETHTOOL_A_HEADER_DEV_INDEX], 0));
}

static int on_modes(struct nlmsghdr *h, void *inv)
{
	struct nlattr *a[ATTRIBUTES_MAX] = { NULL };
	struct nic *n = parse_answer(inv, h, a);
	uint32_t speed = netlink_u32(a[ETHTOOL_A_LINKMODES_SPEED], 0);

	if (n)
		n->speed_mbit = speed == (uint32_t)SPEED_UNKNOWN ? 0 : speed;
	return 0;
}

static int on_channels(struct nlmsghdr *h, void *inv)
{
	struct nlattr *a[ATTRIBUTES_MAX] = { NULL };
	struct nic *n = parse_answer(inv, h, a);
	uint32_t both = netlink_u32(a[ETHTOOL_A_CHANNELS_COMBINED_COUNT], 0);
	uint32_t rx = netlink_u32(a[ETHTOOL_A_CHANNELS_RX_COUNT], 0) + both;
	uint32_t tx = netlink_u32(a[ETHTOOL_A_CHANNELS_TX_COUNT], 0) + both;

	if (!n)
		return 0;
	if (rx)
		n->rx_queues = rx;
	if (tx)
		n->tx_queues = tx;
	n->queues_most = netlink_u32(a[ETHTOOL_A_CHANNELS_COMBINED_MAX], 0);
	n->queues_apart = n->queues_most == 0;
	if (n->queues_apart)
		n->queues_most = netlink_u32(a[ETHTOOL_A_CHANNELS_RX_MAX], 0);
	return 0;
}

static int on_rings(struct nlmsghdr *h, void *inv)
{
	struct nlattr *a[ATTRIBUTES_MAX] = { NULL };
	struct nic *n = parse_answer(inv, h, a);

	if (!n)
		return 0;
	n->rx_ring = netlink_u32(a[ETHTOOL_A_RINGS_RX], 0);
	n->rx_ring_most = netlink_u32(a[ETHTOOL_A_RINGS_RX_MAX], 0);
	n->tx_ring = netlink_u32(a[ETHTOOL_A_RINGS_TX], 0);
	n->tx_ring_most = netlink_u32(a[ETHTOOL_A_RINGS_TX_MAX], 0);
	return 0;
}

static uint32_t feature_bits(struct nlattr **bit)
{
	uint32_t bits = 0;
	char name[64];

	netlink_text(name, sizeof(name), bit[ETHTOOL_A_BITSET_BIT_NAME]);
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (!strcmp(features[i].name, name))
			bits |= 1U << features[i].feature;
	return bits;
}

/* Without a mask the kernel lists those bits that are set; with one, all, and
 * those that are set have a value. */
static bool read_features(uint32_t *ret, struct nlattr *from)
{
	struct nlattr *set[ETHTOOL_A_BITSET_MASK + 1] = { NULL };
	struct nlattr *at;
	uint32_t bits = 0;
	bool listed;
	int left;

	if (!from ||
	    nla_parse_nested(set, ETHTOOL_A_BITSET_MASK, from, NULL) < 0 ||
	    !set[ETHTOOL_A_BITSET_BITS])
		return false;
	listed = set[ETHTOOL_A_BITSET_NOMASK];
	nla_for_each_nested(at, set[ETHTOOL_A_BITSET_BITS], left)
	{
		struct nlattr *bit[ETHTOOL_A_BITSET_BIT_VALUE + 1] = { NULL };

		if (nla_parse_nested(bit, ETHTOOL_A_BITSET_BIT_VALUE, at,
				     NULL) == 0 &&
		    (listed || bit[ETHTOOL_A_BITSET_BIT_VALUE]))
			bits |= feature_bits(bit);
	}
	*ret = bits;
	return true;
}

static int on_features(struct nlmsghdr *h, void *inv)
{
	struct nlattr *a[ATTRIBUTES_MAX] = { NULL };
	struct nic *n = parse_answer(inv, h, a);

	if (!n || !read_features(&n->features, a[ETHTOOL_A_FEATURES_ACTIVE]))
		return 0;
	n->features_known = true;
	read_features(&n->features_able, a[ETHTOOL_A_FEATURES_HW]);
	return 0;
}

static const struct {
	uint8_t command;
	int header; /* attribute of the request */
	netlink_answer *answer;
} questions[] = {
	{ ETHTOOL_MSG_LINKMODES_GET, ETHTOOL_A_LINKMODES_HEADER, on_modes },
	{ ETHTOOL_MSG_CHANNELS_GET, ETHTOOL_A_CHANNELS_HEADER, on_channels },
	{ ETHTOOL_MSG_RINGS_GET, ETHTOOL_A_RINGS_HEADER, on_rings },
	{ ETHTOOL_MSG_FEATURES_GET, ETHTOOL_A_FEATURES_HEADER, on_features },
};

/* All cards in one answer; those whose driver does not know are not in it. */
static void ask_all(struct nl_sock *sock, int family, size_t question,
		    struct inventory *inv)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlattr *header;
	struct error ignored;

	if (msg &&
	    genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_DUMP,
			questions[question].command, ETHTOOL_GENL_VERSION) &&
	    (header = nla_nest_start(msg, questions[question].header |
						  NLA_F_NESTED))) {
		nla_nest_end(msg, header);
		netlink_ask(sock, msg, questions[question].answer, inv,
			    &ignored);
	}
	nlmsg_free(msg);
}

static int ask_driver(int fd, const struct nic *n, void *command)
{
	struct ifreq request = { .ifr_data = command };

	memcpy(request.ifr_name, n->name, sizeof(request.ifr_name));
	return ioctl(fd, SIOCETHTOOL, &request);
}

static void read_driver(int fd, struct nic *n)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };

	if (ask_driver(fd, n, &info) == 0)
		snprintf(n->driver, sizeof(n->driver), "%.*s",
			 (int)sizeof(info.driver), info.driver);
}

static int copy_hash(struct nic_rss *hash, const struct ethtool_rxfh *from)
{
	size_t table_bytes = from->indir_size * sizeof(hash->table[0]);

	/* A second transformation of the input (rsvd8[0] in older headers)
	 * makes both directions of a flow alike; then it is not the plain
	 * function any more. */
	hash->toeplitz = from->hfunc == HASH_TOEPLITZ && from->rsvd8[0] == 0;
	if (from->indir_size) {
		hash->table = malloc(table_bytes);
		if (!hash->table)
			return -ENOMEM;
		memcpy(hash->table, from->rss_config, table_bytes);
		hash->table_size = from->indir_size;
	}
	if (from->key_size) {
		hash->key = malloc(from->key_size);
		if (!hash->key)
			return -ENOMEM;
		memcpy(hash->key, from->rss_config + from->indir_size,
		       from->key_size);
		hash->key_bytes = from->key_size;
	}
	return 0;
}

/* Key and table: once for their sizes, once for themselves. */
static int read_hash(int fd, struct nic *n)
{
	struct ethtool_rxfh size = { .cmd = ETHTOOL_GRSSH };
	AUTO_FREE struct ethtool_rxfh *all = NULL;
	size_t bytes;

	if (ask_driver(fd, n, &size) < 0 || size.indir_size > TABLE_MAX ||
	    size.key_size > KEY_MAX)
		return 0;
	bytes = sizeof(size) + size.indir_size * sizeof(size.rss_config[0]) +
		size.key_size;
	all = calloc(1, bytes);
	if (!all)
		return -ENOMEM;
	all->cmd = ETHTOOL_GRSSH;
	all->indir_size = size.indir_size;
	all->key_size = size.key_size;
	if (ask_driver(fd, n, all) < 0 || all->indir_size != size.indir_size ||
	    all->key_size != size.key_size)
		return 0;
	return copy_hash(&n->hash, all);
}

static void ask_kernel(struct inventory *inv)
{
	AUTO_NETLINK struct nl_sock *sock = NULL;
	struct error ignored;
	int family;

	if (netlink_open(&sock, NETLINK_GENERIC, &ignored) < 0)
		return;
	family = genl_ctrl_resolve(sock, ETHTOOL_GENL_NAME);
	for (size_t i = 0; family >= 0 && i < ARRAY_SIZE(questions); i++)
		ask_all(sock, family, i, inv);
}

int ethtool_fill(struct inventory *inv, struct error *e)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ask_kernel(inv);
	for (size_t i = 0; fd >= 0 && i < inv->count; i++) {
		read_driver(fd, &inv->at[i]);
		if (read_hash(fd, &inv->at[i]) < 0)
			return error_set(e, ENOMEM,
					 "no memory for the hash table of %s",
					 inv->at[i].name);
	}
	return 0;
}
