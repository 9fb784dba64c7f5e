/* SPDX-License-Identifier: MIT */

/*
 * Which congestion control a connection has: pure.
 *
 * BBR paces: where the card has no queue `fq`, TCP sets a timer of its own for
 * about each packet that it hands down, which between near hosts costs more
 * processor time than the copy.  What it is good for, a far host and a line
 * that loses, is not there.  So `auto`, which is the default of [network NAME]:
 *
 *     own does not pace ───────────────────────────────────► own, always
 *     own paces ──► begins as cubic, else reno ──near──────► stays so
 *                            └──far, or loses, or queues───► own, for good
 *
 * "Own" is what the host, or its route, gives to the connection.  It is begun
 * before the connection is there, since the kernel goes on pacing whatever has
 * ever been BBR, which is also why there is no way back.  How far the other end
 * is, is known when it has answered, before anything was sent.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { CONGESTION_NAME = 16 }; /* TCP_CA_NAME_MAX */

struct congestion_case {
	const char *wish; /* "auto", "host", or a name */
	const char *own, *now;
	uint64_t rtt_us, least_rtt_us; /* 0: not measured yet */
	uint64_t packets, again;       /* sent, and of these more than once */
};

/* What to begin with instead of @own, the first that the kernel lets us have,
 * NULL at the end. */
const char *const *congestion_first(const char *own);

/* What it is to be; @k->now: there is nothing to do. */
const char *congestion_next(const struct congestion_case *k);
