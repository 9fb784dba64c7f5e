/* SPDX-License-Identifier: MIT */

/* What the kernel has at the root of a card's queues, by rtnetlink. */
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/error.h"
#include "nic/netlink.h"
#include "tune/shaping.h"

struct reading {
	struct shaping_tree *tree;
	int ifindex;
};

/* More than a wanted tree has are only counted. */
static void add(struct shaping_tree *t, uint32_t id, uint64_t rate,
		uint64_t most)
{
	if (t->count < SHAPING_CLASSES)
		t->at[t->count] = (struct shaping_class){ id, rate, most };
	t->count++;
}

static uint64_t rate_of(const struct nlattr *wide, uint32_t narrow)
{
	return wide && nla_len(wide) >= 8 ? nla_get_u64(wide) : narrow;
}

static void take_bands(struct shaping_tree *t, struct nlattr *options)
{
	struct nlattr *a[TCA_ETS_MAX + 1] = { NULL }, *band;
	int rest;

	nla_parse_nested(a, TCA_ETS_MAX, options, NULL);
	if (!a[TCA_ETS_QUANTA])
		return;
	nla_for_each_nested(band, a[TCA_ETS_QUANTA], rest)
		add(t, t->handle | (t->count + 1), netlink_u32(band, 0), 0);
}

static const struct tcmsg *message_of(struct nlmsghdr *h, int type,
				      const struct reading *r,
				      struct nlattr **a)
{
	const struct tcmsg *m = nlmsg_data(h);

	if (h->nlmsg_type != type || !nlmsg_valid_hdr(h, sizeof(*m)) ||
	    m->tcm_ifindex != r->ifindex ||
	    nlmsg_parse(h, sizeof(*m), a, TCA_MAX, NULL) < 0)
		return NULL;
	return m;
}

static int on_qdisc(struct nlmsghdr *h, void *context)
{
	struct nlattr *a[TCA_MAX + 1] = { NULL };
	struct reading *r = context;
	const struct tcmsg *m = message_of(h, RTM_NEWQDISC, r, a);

	if (!m || m->tcm_parent != TC_H_ROOT)
		return 0;
	netlink_text(r->tree->kind, sizeof(r->tree->kind), a[TCA_KIND]);
	r->tree->handle = m->tcm_handle;
	if (!strcmp(r->tree->kind, "ets") && a[TCA_OPTIONS])
		take_bands(r->tree, a[TCA_OPTIONS]);
	return 0;
}

static int on_class(struct nlmsghdr *h, void *context)
{
	struct nlattr *a[TCA_MAX + 1] = { NULL };
	struct nlattr *htb[TCA_HTB_MAX + 1] = { NULL };
	struct reading *r = context;
	const struct tcmsg *m = message_of(h, RTM_NEWTCLASS, r, a);
	struct tc_htb_opt o;

	if (!m || !a[TCA_OPTIONS])
		return 0;
	nla_parse_nested(htb, TCA_HTB_MAX, a[TCA_OPTIONS], NULL);
	if (!htb[TCA_HTB_PARMS] || nla_len(htb[TCA_HTB_PARMS]) < (int)sizeof(o))
		return 0;
	memcpy(&o, nla_data(htb[TCA_HTB_PARMS]), sizeof(o));
	add(r->tree, m->tcm_handle, rate_of(htb[TCA_HTB_RATE64], o.rate.rate),
	    rate_of(htb[TCA_HTB_CEIL64], o.ceil.rate));
	return 0;
}

static int dump(struct nl_sock *sock, int type, netlink_answer *answer,
		struct reading *r, struct error *e)
{
	const struct tcmsg ask = { .tcm_ifindex = r->ifindex };
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_DUMP);
	int failed;

	if (!msg || nlmsg_append(msg, (void *)(uintptr_t)&ask, sizeof(ask),
				 NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return error_set(e, ENOMEM, "no memory for a netlink message");
	}
	failed = netlink_ask(sock, msg, answer, r, e);
	nlmsg_free(msg);
	return failed;
}

int shaping_read(struct shaping_tree *ret, int ifindex, struct error *e)
{
	struct reading r = { ret, ifindex };
	AUTO_NETLINK struct nl_sock *sock = NULL;

	*ret = (struct shaping_tree){ .whole = -1, .moves = -1, .others = -1 };
	if (netlink_open(&sock, NETLINK_ROUTE, e) < 0 ||
	    dump(sock, RTM_GETQDISC, on_qdisc, &r, e) < 0)
		return error_code(e);
	if (strcmp(ret->kind, "htb") != 0)
		return 0;
	return dump(sock, RTM_GETTCLASS, on_class, &r, e);
}
