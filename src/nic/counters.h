/* SPDX-License-Identifier: MIT */

/*
 * What each card has carried, as the kernel counts it: for who asks often, and
 * so one request of counters alone.  Of the network namespace of the thread
 * that opened it.
 */
#pragma once

#include <stdint.h>

struct counters;
struct error;

struct counter {
	int ifindex;
	uint64_t tx_bytes, tx_packets, rx_bytes, rx_packets;
	uint64_t tx_errors, rx_errors, tx_dropped, rx_dropped;
};

int counters_open(struct counters **ret, struct error *e);
void counters_close(struct counters *c); /* NULL is fine */

/* Of all cards, at most @cap; how many, or a negative errno. */
int counters_read(struct counters *c, struct counter *ret, unsigned cap,
		  struct error *e);
