/* SPDX-License-Identifier: MIT */

/*
 * The Toeplitz hash of receive side scaling, as Microsoft's driver
 * documentation defines it ("RSS hashing functions", NDIS): for every bit of
 * the input that is set, the 32 bits of the key that begin at that bit are
 * added without carry.  The input is source address, destination address,
 * source port, destination port, in network order.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "nic/flow.h"

enum {
	TOEPLITZ_INPUT_MAX = 36,                   /* IPv6 with ports */
	TOEPLITZ_KEY_MIN = TOEPLITZ_INPUT_MAX + 4, /* 320 bits */
};

enum toeplitz_over { TOEPLITZ_ADDRESSES, TOEPLITZ_PORTS };

/* @key has at least @len + 4 bytes. */
uint32_t toeplitz_hash(const uint8_t *key, const uint8_t *input, size_t len);

/* @key has at least TOEPLITZ_KEY_MIN bytes. */
uint32_t toeplitz_flow(const uint8_t *key, const struct flow *f,
		       enum toeplitz_over over);

/* Whether the queue of a flow can be told: key and table are known and the
 * card uses nothing else than this function. */
bool rss_predictable(const struct nic_rss *rss);

/* The receive queue that a TCP flow falls into, at a card for which
 * rss_predictable() holds and which hashes ports too. */
unsigned rss_queue(const struct nic_rss *rss, const struct flow *f);
