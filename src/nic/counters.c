/* SPDX-License-Identifier: MIT */
#include "nic/counters.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "nic/netlink.h"

struct counters {
	struct nl_sock *sock;
};

struct reading {
	struct counter *at;
	unsigned count, cap;
};

int counters_open(struct counters **ret, struct error *e)
{
	struct counters *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(e, ENOMEM, "no memory for the cards' counts");
	if (netlink_open(&c->sock, NETLINK_ROUTE, e) < 0) {
		free(c);
		return error_code(e);
	}
	*ret = c;
	return 0;
}

void counters_close(struct counters *c)
{
	if (!c)
		return;
	netlink_drop(&c->sock);
	free(c);
}

/* The kernel may be older or newer than the header: what is missing is 0. */
static int on_stats(struct nlmsghdr *h, void *context)
{
	struct reading *r = context;
	const struct if_stats_msg *m = nlmsg_data(h);
	struct rtnl_link_stats64 stats = { 0 };
	const struct nlattr *a;
	int len;

	if (h->nlmsg_type != RTM_NEWSTATS || r->count == r->cap ||
	    !nlmsg_valid_hdr(h, sizeof(*m)))
		return 0;
	a = nlmsg_find_attr(h, sizeof(*m), IFLA_STATS_LINK_64);
	if (!a)
		return 0;
	len = nla_len(a);
	memcpy(&stats, nla_data(a),
	       len < (int)sizeof(stats) ? (size_t)len : sizeof(stats));
	r->at[r->count++] = (struct counter){ .ifindex = (int)m->ifindex,
					      .tx_bytes = stats.tx_bytes,
					      .tx_packets = stats.tx_packets,
					      .rx_bytes = stats.rx_bytes,
					      .rx_packets = stats.rx_packets,
					      .tx_errors = stats.tx_errors,
					      .rx_errors = stats.rx_errors,
					      .tx_dropped = stats.tx_dropped,
					      .rx_dropped = stats.rx_dropped };
	return 0;
}

int counters_read(struct counters *c, struct counter *ret, unsigned cap,
		  struct error *e)
{
	struct if_stats_msg ask = {
		.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64),
	};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETSTATS, NLM_F_DUMP);
	struct reading r = { .at = ret, .cap = cap };
	int failed;

	if (!msg || nlmsg_append(msg, &ask, sizeof(ask), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return error_set(e, ENOMEM, "no memory for a netlink message");
	}
	failed = netlink_ask(c->sock, msg, on_stats, &r, e);
	nlmsg_free(msg);
	return failed < 0 ? failed : (int)r.count;
}
