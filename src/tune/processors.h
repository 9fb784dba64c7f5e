/* SPDX-License-Identifier: MIT */

/*
 * The processors of this host: which are there, on which NUMA node, and how
 * much of their time goes into interrupts and what follows on them (softirqs),
 * where packets are received.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

struct error;

enum { PROCESSORS_MOST = CPU_SETSIZE, PROCESSORS_NODES = 256 };

struct processor {
	bool online;
	int node;                 /* -1: not known */
	uint64_t ticks, on_cards; /* in all, and for interrupts and softirqs */
	double share;             /* of a time, see below; NAN: not measured */
};

struct processors {
	struct processor at[PROCESSORS_MOST];
	unsigned count;               /* that are online */
	bool nodes[PROCESSORS_NODES]; /* with a processor that is online */
};

/* On the heap; the shares are not measured. */
int processors_read(struct processors **ret, struct error *e);
/* The shares of the time since @before was read. */
void processors_compare(struct processors *now,
			const struct processors *before);

/* The ticks, and which are online, by the text of /proc/stat. */
void processors_count(struct processors *p, const char *stat);
