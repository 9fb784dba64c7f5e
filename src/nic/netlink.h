/* SPDX-License-Identifier: MIT */

/*
 * What the readers of src/nic share around libnl: a socket that goes with its
 * scope, and one request with all of its answers.
 */
#pragma once

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "base/scope.h"

struct error;

/* Into @context; 0, or a negative errno that ends the reading. */
typedef int netlink_answer(struct nlmsghdr *h, void *context);

int netlink_open(struct nl_sock **ret, int protocol, struct error *e);
void netlink_drop(struct nl_sock **sock);
#define AUTO_NETLINK SCOPED(netlink_drop)

/* Sends @msg, which stays the caller's, and hands every answer to @answer.
 * -EAGAIN: what was read changed meanwhile and the answers do not fit
 * together. */
int netlink_ask(struct nl_sock *sock, struct nl_msg *msg,
		netlink_answer *answer, void *context, struct error *e);

/* A dump of @type (RTM_GETLINK) for all families. */
int netlink_dump(struct nl_sock *sock, int type, netlink_answer *answer,
		 void *context, struct error *e);

/* An attribute's value, also where it is shorter than the sender should have
 * made it or missing. */
uint32_t netlink_u32(const struct nlattr *a, uint32_t otherwise);
uint8_t netlink_u8(const struct nlattr *a, uint8_t otherwise);
void netlink_text(char *buf, size_t cap, const struct nlattr *a);
