/* SPDX-License-Identifier: MIT */

/*
 * Who shares this host's cards, and what each sends: the measured half of
 * shares.h.  A move has a seat from when its session is first seen until its
 * job has ended, a card from when a lane is first seen on it.
 *
 * The arbiter's thread alone uses it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host/shares.h"
#include "lanes/lanes.h"
#include "move/job.h"
#include "nic/counters.h"
#include "wire/message.h"

struct ini_list;
struct inventory;

struct seat_lane {
	uint64_t number; /* 0: none */
	uint64_t bytes, packets;
	uint64_t left;      /* bytes, with what was sent again */
	unsigned near, far; /* cards; SHARES_CARDS: not known */
};

struct seat {
	char job[JOB_ID_SIZE]; /* "": free */
	bool seen;             /* in this turn */
	uint64_t waited_us;    /* its producers, so far */
	uint64_t waited[SHARES_WINDOW];
	uint64_t sent[SHARES_CARDS][SHARES_WINDOW];
	unsigned lanes;
	struct seat_lane lane[CHANNELS_MAX];
	/* Of what comes in: what its source was told last, and when. */
	uint64_t told[SHARES_CARDS], told_us[SHARES_CARDS];
};

struct seat_card {
	bool used, far;
	int ifindex;                /* of one here */
	struct nic_address address; /* of a lane's end at it */
	uint64_t last_us;           /* that a lane was seen on it */
	uint64_t own, own_packets;  /* in this turn */
	struct counter count;       /* ifindex 0: not counted yet */
	int64_t others[SHARES_WINDOW];
};

/* Those that leave, or those that come in. */
struct seats {
	bool in;                         /* set when made */
	const struct ini_list *networks; /* in this turn */
	struct shares shares;
	struct seat seat[SHARES_MOVES];
	struct seat_card card[SHARES_CARDS];
	uint64_t took_us[SHARES_WINDOW]; /* each turn */
	uint64_t last_us;                /* the last one; 0: there was none */
	char refused[CONGESTION_NAME];   /* was not to be had last */
};

/* What there is to see of a move. */
struct seat_view {
	const char *job;
	struct lanes *lanes;
	uint64_t waited_us;
	const struct job_share *share;
	const struct inventory *cards;
	/* What its peer says of its cards. */
	unsigned busy_count;
	const struct message_busy *busy;
};

/* A turn: begins, looks at each move, ends with what was measured standing in
 * @s->shares. */
void seats_begin(struct seats *s, uint64_t now_us);
/* -1: all seats are taken. */
int seats_look(struct seats *s, const struct seat_view *v);
/* What all cards have carried so far, ours and others'. */
void seats_count(struct seats *s, const struct counter *all, unsigned n);
void seats_end(struct seats *s);

/* How fast the lanes of seat @i may be, from now on. */
void seats_pace(const struct seats *s, int i, struct lanes *l);
/* Is the source of seat @i, which comes in, to be told something of card @c? */
bool seats_tell(struct seats *s, int i, unsigned c, struct message_busy *ret);
