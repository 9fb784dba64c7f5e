/* SPDX-License-Identifier: MIT */

/*
 * The set of a session's paths, and its lock: for the parts of this folder
 * (planner, dialler, peer_cards, account).  Everybody else has paths.h.
 *
 * The lock comes before those of the lanes, the outbox and the inbox.  It is
 * let go of while anything is dialled, asked for or told to the session.
 */
#pragma once

#include <net/if.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "nic/networks.h"
#include "nic/pairs.h"
#include "nic/ports.h"
#include "nic/watch.h"
#include "paths/calls.h"
#include "paths/plan.h"

struct cards;
struct channel;
struct channel_report;
struct error;
struct lanes;

/* A way to the other host, on the dialling side: a pair of cards, or the
 * addresses that the session was given.  Its thread dials whenever fewer lanes
 * are there than wanted.  Paths are never removed: one that worked once is
 * tried again when nothing else is left, whatever the plan says. */
struct path {
	/* set before the thread starts */
	struct path_set *set;
	unsigned number; /* as the owner of its lanes; from 1 */
	pthread_t thread;
	bool started;

	/* guarded by the set */
	bool given; /* no pair of cards is known */
	char near[IF_NAMESIZE], far[IF_NAMESIZE]; /* cards; empty when given */
	struct pair_addresses route[PAIR_ROUTES];
	unsigned routes, turn;    /* which of them is tried next */
	uint16_t port[PORTS_MAX]; /* to dial from, for the first route */
	unsigned ports;
	enum pair_use use;
	unsigned order; /* in the plan, the most preferred first */
	int rank;
	unsigned speed_mbit;
	uint64_t delivered;      /* bytes/s, in sessions before */
	char flows[NIC_REASON];  /* how a bond spreads them; empty: no bond */
	char reason[NIC_REASON]; /* it is used, and as it is */
	unsigned wanted;         /* lanes */
	bool failed;             /* it did not work when last tried, and has no
				  * lane */
	bool proved;             /* it worked once: the other end is our peer */
	char why[252];           /* it failed, or is not used */
	unsigned opened_anew;    /* lanes, for another receive queue */
	unsigned failures;       /* since it worked, or since there was news */
	uint64_t next_us, pause_us;
	struct channel *greeting; /* its hello is awaited */

	/* of lanes that are gone, guarded by the set */
	unsigned drops;
	uint64_t sent, received, rdma, retransmissions;
	struct channel_report *gone;
	unsigned gone_count;

	/* the supervisor's */
	uint64_t peak_rate, sample_bytes, sample_us;
};

struct path_set {
	/* set before the threads start */
	const char *peer;
	char **addresses; /* NULL on the accepting side */
	uint64_t salt;    /* two sessions dial from other ports */
	uint64_t opened_us;
	uint16_t port;
	bool listening;          /* to the watch */
	bool planner_started;    /* on the dialling side, with a watch */
	int stop_fd;             /* readable once the session has ended */
	struct nic_watch *watch; /* may be NULL */
	struct networks networks;
	struct path_policy policy;
	struct lanes *lanes;
	struct path_calls calls;
	struct nic_listener listener;
	pthread_t planner;

	/* the supervisor's: what it announced of arrivals */
	struct card_arrival arrival[CHANNELS_MAX];
	unsigned arrivals;

	pthread_mutex_t lock;   /* guards what follows */
	pthread_cond_t changed; /* planner, diallers and who asks wait */
	struct path *path[PATHS_MAX];
	unsigned paths;
	unsigned refusals; /* by the peer's host, since a lane was there */
	struct plan *plan; /* the last one; NULL: none yet */
	char said[600];    /* of it, in the log */
	struct cards *far_cards; /* the peer's; NULL: not heard of */
	uint64_t far_generation;
	bool ended;
	bool cards_due; /* ours may have changed: the supervisor looks */
	bool plan_due;  /* something that the plan rests on has changed */
	bool news;      /* of cards, here or there: try failed paths now */
	bool planning;  /* a plan is being made */
};

struct path_set *path_set_new(void); /* empty; NULL without memory */
void path_set_free(struct path_set *set);

/* --- the lock is held */

/* NULL: too many, or no memory. */
struct path *path_set_add(struct path_set *set);
/* Takes that back. */
void path_set_drop_last(struct path_set *set);
/* What a sentence calls it. */
const char *path_name(const struct path *p);
/* Its thread tries again at once. */
void path_retry(struct path *p);
/* It waits, twice as long as the last time. */
void path_pause(struct path *p);
/* Something has changed, for everybody who waits. */
void path_set_wake(struct path_set *set);
