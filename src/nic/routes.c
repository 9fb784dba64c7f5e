/* SPDX-License-Identifier: MIT */
#include "nic/routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/error.h"
#include "nic/address.h"
#include "nic/netlink.h"
#include "nic/pairs.h"

struct question {
	const struct nic_address *from, *to; /* @from may be NULL */
	int ifindex;                         /* 0: any */
	unsigned flags;                      /* RTM_F_... */
};

struct route_answer {
	int asked_ifindex;
	int ifindex; /* 0: no route */
	bool gateway;
	struct nic_address from; /* family 0: not said */
};

static unsigned bytes_of(const struct nic_address *a)
{
	return a->family == AF_INET ? 4 : 16;
}

/* Of several next hops, the one over the card that was asked about. */
static void read_hops(struct route_answer *ret, struct nlattr *multipath)
{
	const struct rtnexthop *hop = nla_data(multipath);
	int left = nla_len(multipath);

	while (left >= (int)sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) &&
	       hop->rtnh_len <= left) {
		struct nlattr *a[RTA_MAX + 1] = { NULL };

		if (hop->rtnh_ifindex == ret->asked_ifindex &&
		    nla_parse(a, RTA_MAX, (struct nlattr *)RTNH_DATA(hop),
			      hop->rtnh_len - (int)sizeof(*hop), NULL) == 0) {
			ret->ifindex = hop->rtnh_ifindex;
			ret->gateway = a[RTA_GATEWAY] || a[RTA_VIA];
			return;
		}
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
}

static void read_source(struct nic_address *ret, int family,
			const struct nlattr *source)
{
	struct nic_address a = { .family = family };

	a.prefix = bytes_of(&a) * 8;
	if (!source || nla_len(source) != (int)bytes_of(&a))
		return;
	memcpy(a.bytes, nla_data(source), bytes_of(&a));
	*ret = a;
}

static int on_route(struct nlmsghdr *h, void *context)
{
	struct nlattr *a[RTA_MAX + 1] = { NULL };
	const struct rtmsg *m = nlmsg_data(h);
	struct route_answer *ret = context;

	if (h->nlmsg_type != RTM_NEWROUTE || !nlmsg_valid_hdr(h, sizeof(*m)) ||
	    nlmsg_parse(h, sizeof(*m), a, RTA_MAX, NULL) < 0 ||
	    (m->rtm_type != RTN_UNICAST && m->rtm_type != RTN_LOCAL))
		return 0;
	/* A pair is not made with an address of this host. */
	if (m->rtm_type == RTN_LOCAL && ret->asked_ifindex)
		return 0;
	ret->ifindex = (int)netlink_u32(a[RTA_OIF], 0);
	ret->gateway = a[RTA_GATEWAY] || a[RTA_VIA];
	if (!ret->ifindex && a[RTA_MULTIPATH])
		read_hops(ret, a[RTA_MULTIPATH]);
	read_source(&ret->from, m->rtm_family, a[RTA_PREFSRC]);
	return 0;
}

static bool put_address(struct nl_msg *msg, int type,
			const struct nic_address *a)
{
	return !a || nla_put(msg, type, (int)bytes_of(a), a->bytes) == 0;
}

static bool put_question(struct nl_msg *msg, const struct question *q)
{
	unsigned bits = bytes_of(q->to) * 8;
	struct rtmsg m = {
		.rtm_family = (unsigned char)q->to->family,
		.rtm_dst_len = (unsigned char)bits,
		.rtm_src_len = (unsigned char)(q->from ? bits : 0),
		.rtm_flags = q->flags,
	};

	return nlmsg_append(msg, &m, sizeof(m), NLMSG_ALIGNTO) == 0 &&
	       put_address(msg, RTA_DST, q->to) &&
	       put_address(msg, RTA_SRC, q->from) &&
	       (!q->ifindex ||
		nla_put_u32(msg, RTA_OIF, (uint32_t)q->ifindex) == 0);
}

/* No route is an error too: the kernel answers with one. */
static int ask(struct route_answer *ret, const struct question *q,
	       struct error *e)
{
	AUTO_NETLINK struct nl_sock *sock = NULL;
	struct nl_msg *msg;
	int r;

	*ret = (struct route_answer){ .asked_ifindex = q->ifindex };
	if (netlink_open(&sock, NETLINK_ROUTE, e) < 0)
		return error_code(e);
	msg = nlmsg_alloc_simple(RTM_GETROUTE, 0);
	if (!msg || !put_question(msg, q))
		r = error_set(e, ENOMEM, "no memory for a netlink message");
	else
		r = netlink_ask(sock, msg, on_route, ret, e);
	nlmsg_free(msg);
	return r;
}

int route_lookup(void *context, const struct card *near,
		 const struct nic_address *from, const struct nic_address *to)
{
	/* Without this flag Linux takes any address for a neighbour of any
	 * card that it is asked about. */
	const struct question q = { .from = from,
				    .to = to,
				    .ifindex = near->ifindex,
				    .flags = RTM_F_FIB_MATCH };
	struct route_answer answer;
	struct error e;

	(void)context;
	if (from->family != to->family)
		return 0;
	if (nic_address_within(to, from))
		return 1;
	if (ask(&answer, &q, &e) < 0 || answer.ifindex != near->ifindex)
		return 0;
	return answer.gateway ? 2 : 1;
}

int route_from(char ret_nic[IF_NAMESIZE], struct nic_address *ret_from,
	       const struct nic_address *to, struct error *e)
{
	const struct question q = { .to = to };
	struct route_answer answer;
	char host[NIC_ADDRESS_TEXT], name[IF_NAMESIZE];

	nic_address_host(host, to);
	if (ask(&answer, &q, e) < 0 || !answer.ifindex || !answer.from.family)
		return error_set(e, EHOSTUNREACH, "no route to %s", host);
	if (!if_indextoname((unsigned)answer.ifindex, name))
		return error_sys(e, "the interface of the route to %s", host);
	memcpy(ret_nic, name, sizeof(name));
	*ret_from = answer.from;
	return 0;
}
