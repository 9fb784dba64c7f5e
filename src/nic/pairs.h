/* SPDX-License-Identifier: MIT */

/*
 * Which pairs of cards a session uses.
 *
 * A pair is a card here and one there that a route joins.  pairs_find() lists
 * all of them, the most promising first; pairs_choose() says which are used.
 * Whether a pair really works, only a connection over it shows: the caller
 * marks those that do not, and chooses again.
 *
 * Order: those with a card there that was down when last heard of come last;
 * then the rank of the network, then what the pair delivered lately (where
 * nothing is known, the slower card's speed), then direct ones before those
 * through a gateway, then names.  What was measured counts a quarter more than
 * it is: no card delivers all that it promises, and a pair that works is not
 * given up for a promise.
 *
 * Over one network (`all` not set): the first pair that has not failed.
 * Over all: first every pair whose two cards no better pair has; then, while
 * that adds rate, pairs with one card that no better pair has (a fast card here
 * meets several slow ones there).  A pair through a gateway is used only when
 * neither of its cards has another.  So no card is in two pairs for nothing.
 * Cards of one wire count as one.
 *
 * That is first done as if all pairs worked.  Those of it that do are used,
 * whatever becomes of others; then the same is done again for the cards that
 * are left.  So a failure moves nothing that works, and when it is over, all is
 * as before.  While something has failed, one of PAIRS_CONNECTIONS_MAX is kept
 * free for trying it.
 *
 * Pure functions apart from the routes, which the caller may replace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nic/cards.h"

enum { PAIRS_MAX = 256, PAIR_ROUTES = 4, PAIRS_CONNECTIONS_MAX = 32 };

/* 1: reached directly, 2: through a gateway, 0: not from this card. */
typedef int pair_route(void *context, const struct card *near,
		       const struct nic_address *from,
		       const struct nic_address *to);
/* The kernel's answer in the thread's network namespace; @context is not used.
 * An address of @from's own network is reached directly without a question. */
pair_route route_lookup;

struct path_policy {
	bool all; /* one pair of cards at a time otherwise */
	/* Connections of a pair; the second when the card there, which
	 * receives, spreads them.  0 counts as 1. */
	unsigned per_card, per_rss_card;
	unsigned most; /* in all, from 1 to PAIRS_CONNECTIONS_MAX */
};

enum pair_use {
	PAIR_USED,   /* chosen */
	PAIR_FAILED, /* would be used, but does not work now */
	PAIR_SPARE,  /* works without it */
};

struct pair_addresses {
	struct nic_address from, to;
};

struct pair {
	const struct card *near, *far;
	struct pair_addresses route[PAIR_ROUTES]; /* to try, the best first */
	unsigned routes;
	int rank;       /* the worse of both sides' */
	bool direct;    /* the first route is */
	uint64_t speed; /* bytes/s, the slower card's; 0: not known */

	uint64_t delivered; /* in: bytes/s, 0: not known */
	bool failed;        /* in: it did not work when last tried */

	/* out, of pairs_choose() */
	enum pair_use use;
	/* Of one that is used; of one that failed as many as it might get; of
	 * one that is spare 0. */
	unsigned connections;
	char why[NIC_REASON];    /* of one that is not used: a sentence */
	char reason[NIC_REASON]; /* of one that is used: why, and as it is */
};

struct pairs {
	const struct cards *near, *far;
	size_t count;
	struct pair at[PAIRS_MAX];
};

/* Points into @near and @far, which must outlive it.  Addresses that this host
 * has itself are no pair.  A card that is down is in pairs only when it is
 * there: the news of it may be old. */
void pairs_find(struct pairs *ret, const struct cards *near,
		const struct cards *far, pair_route *route, void *context);

/* Puts them into their order and fills in what is out. */
void pairs_choose(struct pairs *p, const struct path_policy *policy);

/* Why the card is in no pair at all, a sentence; false when it is in one. */
bool pairs_why_not(const struct pairs *p, const struct card *c,
		   char why[static NIC_REASON]);
