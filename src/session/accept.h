/* SPDX-License-Identifier: MIT */

/* The accepting side: what comes in at the peer port opens a session, or joins
 * one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "session/table.h"

struct channel;
struct error;
struct networks;
struct nic_watch;
struct pair_answer;
struct pair_request;
struct rdma_policy;
struct session;
struct trust;

struct acceptor {
	const char *own_name;
	struct session_table *table;
	/* What this host shows to who speaks TLS; NULL: nothing. */
	struct trust *trust;
	/* Who has no certificate and wants one, while an invitation is open;
	 * NULL: nobody may.  As in session/pair.h. */
	int (*pair)(void *context, const struct channel *c,
		    const struct pair_request *rq, struct pair_answer *ret,
		    struct error *e);
	/* Is that a peer of this host?  @proved: it has shown that it is who
	 * it says.  Fills @e with the reason if not, which only who has proved
	 * his name is told.  NULL: whoever comes. */
	int (*knows)(void *context, const char *peer, bool proved,
		     struct error *e);
	/* May this peer open a session?  It is told why not. */
	int (*admit)(void *context, const char *peer, bool proved,
		     struct error *e);
	/* The connection has said who it is, or is about to be closed.  Until
	 * then it may be shut down from outside.  May be NULL. */
	void (*greeted)(void *context);
	/* Takes the session over. */
	void (*opened)(void *context, struct session *s);
	void *context;
	uint64_t outage_limit_us;
	struct table_limits sessions; /* that are open at once, */
	unsigned host_channels_max;   /* and the channels of those of a host */
	/* May be NULL: the peer then learns of no cards. */
	struct nic_watch *watch;
	const struct networks *networks; /* not NULL when @watch is not */
	const struct rdma_policy *rdma;  /* NULL: no pages come by RDMA */
};

/* Shakes hands on a fresh connection and adds it to its session, or refuses
 * it.  Takes @c over.  Blocks for some seconds at most. */
int session_accept(const struct acceptor *a, struct channel *c,
		   struct error *e);
