/* SPDX-License-Identifier: MIT */

/*
 * What the kernel's routes say, of the network namespace of the calling thread.
 * route_lookup() of pairs.h is here too.
 *
 * Every question has a socket of its own; it takes some microseconds and does
 * not wait for anybody.
 */
#pragma once

#include <net/if.h>

#include "nic/inventory.h"

struct error;

/* The interface and the source address that the kernel takes by itself for
 * packets to @to: "lo" for an address of this host.  The prefix of @ret_from is
 * the single address.  -EHOSTUNREACH: there is no route. */
int route_from(char ret_nic[IF_NAMESIZE], struct nic_address *ret_from,
	       const struct nic_address *to, struct error *e);
