/* SPDX-License-Identifier: MIT */

/* When each move begins: those of a host take turns at its cards. */
#pragma once

#include <stddef.h>

#include "host/placement_set.h"

enum { ORDER_AT_ONCE = 16 }; /* moves of a host at a time, at most */

struct order_job {
	unsigned machine, from, to;
	int priority;
	double seconds; /* when nothing else goes on */
	double starts_s;
};

/* When each of the cards of a host is free, out and in. */
struct order_turns {
	double (*out)[ORDER_AT_ONCE], (*in)[ORDER_AT_ONCE];
};

/* How long a move takes when nothing else goes on. */
double order_seconds(const struct placement *of, unsigned machine,
		     unsigned host);
/* How many at a time: @n of the struct placement_host. */
unsigned order_at_once(unsigned n);

/* -ENOMEM */
int order_turns_init(struct order_turns *t, size_t n_hosts, struct error *e);
void order_turns_done(struct order_turns *t);

/* Puts them into a good order, of each priority, and says
 * when each starts.  The end of the last. */
double order_best(const struct placement *of, struct order_job *jobs, size_t n,
		  struct order_turns *t);
