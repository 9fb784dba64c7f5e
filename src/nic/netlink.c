/* SPDX-License-Identifier: MIT */
#include "nic/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

struct reading {
	netlink_answer *answer;
	void *context;
	int failed;
};

void netlink_drop(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

int netlink_open(struct nl_sock **ret, int protocol, struct error *e)
{
	struct nl_sock *sock = nl_socket_alloc();
	int r;

	if (!sock)
		return error_set(e, ENOMEM, "no memory for a netlink socket");
	r = nl_connect(sock, protocol);
	if (r < 0) {
		nl_socket_free(sock);
		return error_set(e, EIO, "netlink socket: %s", nl_geterror(r));
	}
	/* The kernel fills what is there; libnl then asks for the rest. */
	nl_socket_enable_msg_peek(sock);
	*ret = sock;
	return 0;
}

static int on_answer(struct nl_msg *msg, void *arg)
{
	struct reading *r = arg;

	if (r->failed == 0)
		r->failed = r->answer(nlmsg_hdr(msg), r->context);
	return NL_OK; /* what follows is read all the same, to be past it */
}

int netlink_ask(struct nl_sock *sock, struct nl_msg *msg,
		netlink_answer *answer, void *context, struct error *e)
{
	struct reading reading = { answer, context, 0 };
	int r;

	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_answer,
			    &reading);
	r = nl_send_auto(sock, msg);
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	if (reading.failed)
		return error_set(e, -reading.failed, "netlink answer: %s",
				 strerrordesc_np(-reading.failed));
	if (r == -NLE_DUMP_INTR)
		return error_set(e, EAGAIN, "the network keeps changing");
	if (r < 0)
		return error_set(e, EIO, "netlink: %s", nl_geterror(r));
	return 0;
}

int netlink_dump(struct nl_sock *sock, int type, netlink_answer *answer,
		 void *context, struct error *e)
{
	struct rtgenmsg all = { .rtgen_family = AF_UNSPEC };
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_DUMP);
	int r;

	if (!msg)
		return error_set(e, ENOMEM, "no memory for a netlink message");
	r = nlmsg_append(msg, &all, sizeof(all), NLMSG_ALIGNTO);
	if (r < 0)
		r = error_set(e, ENOMEM, "no memory for a netlink message");
	else
		r = netlink_ask(sock, msg, answer, context, e);
	nlmsg_free(msg);
	return r;
}

uint32_t netlink_u32(const struct nlattr *a, uint32_t otherwise)
{
	return a && nla_len(a) >= 4 ? nla_get_u32(a) : otherwise;
}

uint8_t netlink_u8(const struct nlattr *a, uint8_t otherwise)
{
	return a && nla_len(a) >= 1 ? nla_get_u8(a) : otherwise;
}

void netlink_text(char *buf, size_t cap, const struct nlattr *a)
{
	int len = a ? nla_len(a) : 0;

	snprintf(buf, cap, "%.*s", len, len ? (const char *)nla_data(a) : "");
}
