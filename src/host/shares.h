/* SPDX-License-Identifier: MIT */

/*
 * How the moves of a host share its cards: pure functions; docs/shares.md has
 * the rules, and why.
 *
 * What a card takes is not asked but measured: of the moves that have more to
 * send than they may, one on each card is free, takes whatever the others
 * leave, and so shows how much there is.  The others have their part of that,
 * by weight.  Where a limit counts, or others are given way to, nobody is free.
 *
 * Called every SHARES_TICK_US with what was measured since; what it has to
 * remember stands in the same structs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "nic/networks.h"

#define SHARES_FREE UINT64_MAX

enum {
	SHARES_TICK_US = 100000,
	SHARES_WINDOW = 3, /* ticks that a rate was measured over */
	SHARES_MOVES = 64,
	SHARES_CARDS = 32,
	SHARES_WEIGHT = 100,            /* of who says nothing else */
	SHARES_LEAST = 125000,          /* bytes a second that any move keeps */
	SHARES_NEAR_MOST_US = 10000000, /* that others wait for one */
	SHARES_KEPT = 16,   /* the part of a card that they keep meanwhile */
	SHARES_MATTER = 50, /* less than this part of a card is noise */
	SHARES_NOISE = 25,  /* and of others, which are counted apart */
	SHARES_PROBE = 16,  /* how much more is tried */
	SHARES_MARGIN = 25, /* the part that is left to see others grow */
	SHARES_FULL = 100,  /* a card is full but for this part */
	SHARES_SHORT_US = 1500000, /* less than its part, and it is slow */
	SHARES_SLOW_US = 1000000,  /* for so long, then twice as long, */
	SHARES_SLOW_MOST = 4,      /* and so often twice as long */
	SHARES_HOLD_US = 500000,   /* others have at least, to grow */
};

/* A move on a card. */
struct shares_use {
	bool on;          /* it has connections over it */
	uint64_t rate;    /* bytes a second that it sent */
	uint64_t ceiling; /* says the other end; 0: none */
	/* What it may, as of the last calls, the newest first; 0: it was not
	 * there. */
	uint64_t may[SHARES_WINDOW];
	uint64_t part[SHARES_WINDOW]; /* the same without what is tried */
	uint64_t
		short_us; /* since when it has had less than its part; 0: not */
	uint64_t slow_us; /* until when it is taken to be slow elsewhere */
	unsigned slow;    /* how often it was, one after the other */
};

struct shares_move {
	unsigned weight;
	uint64_t ceiling; /* over all cards; 0: none */
	uint64_t near_us; /* since when its switchover is near; 0: it is not */
	bool hungry;      /* it would send more */
	struct shares_use use[SHARES_CARDS];
};

struct shares_card {
	uint64_t others; /* bytes a second that are not ours */
	struct network_amount limit, guarantee;
	bool yields;
	/* remembered */
	uint64_t takes;    /* bytes a second; 0: not known */
	uint64_t yield_us; /* when it was last full of others; 0: never */
};

struct shares {
	uint64_t now_us;
	uint64_t ceiling; /* of all moves together; 0: none */
	unsigned moves, cards;
	struct shares_move move[SHARES_MOVES];
	struct shares_card card[SHARES_CARDS];
};

/* Fills in may[0] of each that is `on`: bytes a second, or SHARES_FREE. */
void shares_next(struct shares *s);

/* The part of @budget for each of @n, by weight and at most what it wants: all
 * of it, while anybody wants more. */
void shares_fill(uint64_t budget, unsigned n, const unsigned *weight,
		 const uint64_t *want, uint64_t *ret);
