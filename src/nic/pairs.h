/* SPDX-License-Identifier: MIT */

/*
 * Which pairs of cards a session uses.
 *
 * A pair is a card here and one there that a route joins.  pairs_find() lists
 * all of them, the most promising first; pairs_choose() says which are used.
 * Whether a pair really works, only a connection over it shows: the caller
 * marks those that do not, and chooses again.
 *
 * Order: the rank of the network, then what the pair delivered lately (where
 * nothing is known, the slower card's speed), then direct ones before those
 * through a gateway, then names.
 *
 * Over one network (`all` not set): the first pair that has not failed.
 * Over all: first every pair whose two cards no better pair has; then, while
 * that adds rate, pairs with one card that no better pair has (a fast card here
 * meets several slow ones there).  A pair through a gateway is used only when
 * neither of its cards has another.  So no card is in two pairs for nothing.
 *
 * Pure functions apart from the routes, which the caller may replace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nic/cards.h"

struct error;

enum { PAIRS_MAX = 256, PAIR_ROUTES = 4 };

/* 1: reached directly, 2: through a gateway, 0: not from this card. */
typedef int pair_route(void *context, const struct card *near,
		       const struct nic_address *from,
		       const struct nic_address *to);
/* The kernel's answer; @context is not used. */
pair_route route_lookup;

struct path_policy {
	bool all;                       /* one network at a time otherwise */
	unsigned per_card, per_rss_card; /* connections */
	unsigned most;                  /* in all */
};

enum pair_use {
	PAIR_USED,   /* chosen */
	PAIR_FAILED, /* would be used, but does not work now */
	PAIR_SPARE,  /* works without it */
};

struct pair {
	const struct card *near, *far;
	struct { /* addresses to try, the best first */
		struct nic_address from, to;
	} route[PAIR_ROUTES];
	unsigned routes;
	int rank;       /* the worse of both sides' */
	bool direct;
	uint64_t speed; /* bytes/s, the slower card's; 0: not known */

	uint64_t delivered; /* in: bytes/s, 0: not known */
	bool failed;        /* in: it did not work when last tried */

	/* out, of pairs_choose() */
	enum pair_use use;
	unsigned connections; /* of one that is used or failed, else 0 */
	char why[NIC_REASON]; /* of one that is not used: a sentence */
};

struct pairs {
	size_t count;
	struct pair at[PAIRS_MAX];
};

/* Points into @near and @far, which must outlive it.  Addresses that this host
 * has itself are no pair. */
void pairs_find(struct pairs *ret, const struct cards *near,
		const struct cards *far, pair_route *route, void *context);

/* Puts them into their order and fills in what is out. */
void pairs_choose(struct pairs *p, const struct path_policy *policy);

/* Why the card is in no pair at all, a sentence; false when it is in one. */
bool pairs_why_not(const struct pairs *p, const struct card *c,
		   char why[static NIC_REASON]);
