/* SPDX-License-Identifier: MIT */

/*
 * Source ports for several connections to one peer, chosen so that they spread
 * evenly: over the members of the bond that they leave by, and over the receive
 * queues of the card at which they arrive.  Both hashes are known functions of
 * the ports, so nothing is left to chance where the kernel and the card tell
 * what they use.
 *
 * Where the hash of the card there is not known, only what has arrived shows
 * the queue: ports_crowded() then says which connection to open anew, from a
 * port of chance, as long as several share a queue while another has none.
 *
 * Each port of the range falls into one cell of members times queues.  A
 * connection takes a port of the least used member and, among those, of the
 * least used queue: members come first, because a member's rate is a hard limit
 * and a queue's is not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nic/flow.h"

struct error;

enum { PORTS_MAX = 64, PORTS_RANGE_MAX = 32768 };

struct port_wish {
	struct flow flow;         /* its from_port does not count */
	uint16_t lowest, highest; /* the range; at most PORTS_RANGE_MAX */
	uint16_t start;           /* where to begin to look; 0: at the lowest */

	/* NULL, or not predictable: that does not decide. */
	const struct nic_bond *bond;
	const struct nic_rss *rss; /* of the card at the other end */

	/* Connections that are there already: they count in the spread. */
	const uint16_t *held;
	size_t held_count;
	/* Or NULL: by which queue each of them comes, as was measured at a card
	 * of so many queues whose hash is not known; 0: not known yet. */
	const unsigned *held_queue;
	unsigned queues;
	/* Ports that turned out to be in use. */
	const uint16_t *avoid;
	size_t avoid_count;
};

/* @count (up to PORTS_MAX) different ports into @ret, in the order in which
 * they are best opened.  -EADDRNOTAVAIL: the range is too small. */
int ports_pick(uint16_t *ret, size_t count, const struct port_wish *wish,
	       struct error *e);

/* Of the connections that are held, the place of one that is best opened anew
 * from another port, as it shares its member or its queue while one is used
 * less; -1: there is none.  @surplus: one is to go in any case. */
int ports_crowded(const struct port_wish *wish, bool surplus);
