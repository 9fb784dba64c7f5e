/* SPDX-License-Identifier: MIT */

/*
 * The plan: which paths a session shall have, how many lanes each, and which
 * lanes it can do without.
 *
 * A pure function from facts to actions: it asks nobody, waits for nothing and
 * changes nothing outside.  The planner (planner.h) finds the facts and carries
 * the actions out.
 *
 *  - A pair of cards that is used gets a path when it has none; a path is never
 *    taken away, only nothing is wanted of it any more.
 *  - The path over which the session began becomes that of the cards that have
 *    its addresses, or is given up when cards pair and those do not.
 *  - Lanes of a card here that is down or gone are dropped at once; others that
 *    are not wanted only once something that is wanted carries.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "frames/queue.h"
#include "lanes/lanes.h"
#include "nic/cards.h"
#include "nic/pairs.h"
#include "nic/ports.h"

enum {
	PATHS_MAX = 64, /* that one session ever tries */
	PLAN_SPARES_MAX = 32,
};

/* What is known of a path; its number is its place in the list, from 1. */
struct plan_path {
	bool given; /* no pair of cards is known */
	bool failed;
	bool spare; /* says the last plan */
	unsigned wanted;
	/* How often a lane was opened anew for another queue. */
	unsigned opened_anew;
	char near[IF_NAMESIZE], far[IF_NAMESIZE];
};

struct plan_facts {
	const char *peer;
	const struct cards *near, *far;
	struct pairs pairs; /* as found; plan_make() fills in the rest */
	struct path_policy policy;
	uint16_t to_port;
	uint64_t salt; /* two sessions begin with other ports */
	unsigned paths;
	struct plan_path path[PATHS_MAX];
	unsigned lanes;
	struct lane_view lane[CHANNELS_MAX]; /* `alive`: not dropped so far */
};

/* What one path shall be. */
struct plan_wish {
	struct plan_path path; /* as it is known from now on */
	bool listed;           /* its cards are a pair: all that follows */
	bool try_again;        /* should it have failed, when there is news */
	bool says_why;         /* `why` stands instead of what was said */
	/* None, of one that is not listed: as they were. */
	unsigned routes;
	struct pair_addresses route[PAIR_ROUTES];
	unsigned ports;
	uint16_t port[PORTS_MAX];
	enum pair_use use;
	unsigned order; /* the most preferred first; PAIRS_MAX: not listed */
	int rank;
	unsigned speed_mbit;
	uint64_t delivered; /* bytes/s, lately; 0: not known */
	char flows[NIC_REASON];
	char reason[NIC_REASON]; /* it is used, and as it is */
	char why[NIC_REASON];
};

struct plan_drop {
	uint64_t lane;
	bool let_go; /* nothing is wrong with it */
	char why[NIC_REASON];
};

/* A pair that is no path. */
struct plan_spare {
	char near[IF_NAMESIZE], far[IF_NAMESIZE];
	struct pair_addresses route;
	int rank;
	unsigned speed_mbit;
	char why[NIC_REASON];
};

/* A card that is in no pair. */
struct plan_idle {
	bool far;
	char name[IF_NAMESIZE], why[NIC_REASON];
};

struct plan {
	unsigned wishes; /* those of the paths that are, then of new ones */
	struct plan_wish wish[PATHS_MAX];
	unsigned drops;
	struct plan_drop drop[CHANNELS_MAX];
	unsigned spares;
	struct plan_spare spare[PLAN_SPARES_MAX];
	unsigned idles;
	struct plan_idle idle[2 * CARDS_MAX];
};

/* @ret is zeroed. */
void plan_make(struct plan *ret, struct plan_facts *f);
