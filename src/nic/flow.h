/* SPDX-License-Identifier: MIT */

/*
 * A flow as the hashes of cards and bonds see it: the packets of one
 * connection in one direction.
 */
#pragma once

#include <stdint.h>

#include "nic/inventory.h"

struct flow {
	int family;                      /* AF_INET or AF_INET6 */
	uint8_t from[16], to[16];        /* network order, as nic_address */
	uint16_t from_port, to_port;     /* host order */
	uint8_t from_mac[NIC_MAC_BYTES]; /* the bond's own */
	uint8_t to_mac[NIC_MAC_BYTES];   /* the next hop's */
	uint16_t vlan;                   /* tag, 0: none */
};

/* The same connection's packets in the other direction. */
struct flow flow_reversed(const struct flow *f);
