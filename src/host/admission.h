/* SPDX-License-Identifier: MIT */

/*
 * Which host's move may come to this one now.  docs/queue.md.
 *
 * Hosts that were told "full" wait in their order, one entry each, and are
 * offered the next place, one at a time for each.  What is kept for one,
 * because it was offered, goes back by time, and who let that happen goes
 * behind the others for a while.  A plain value without lock, thread or clock
 * of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host/queue.h"

enum { ADMISSION_NAME = 64, ADMISSION_HOSTS = 256 };

struct admission_host;

struct admission {
	struct admission_host *first; /* in their order */
	uint64_t number;              /* of the next entry */
	unsigned hosts;
};

void admission_done(struct admission *a);

struct admission_ask {
	const char *host;
	unsigned priority;
	bool disks; /* the move copies some */
	bool waits; /* where it is full, the host waits for an offer */
};

/* A move that comes may: it counts from now on.  Else the host waits, if it can
 * and there is memory. */
bool admission_asks(struct admission *a, const struct admission_ask *of,
		    const struct queue_load *runs,
		    const struct queue_load *most, uint64_t now_us);
/* The host that shall be offered a place, which is kept for it; false: none. */
bool admission_offer(struct admission *a, const struct queue_load *runs,
		     const struct queue_load *most, uint64_t now_us,
		     char ret_host[static ADMISSION_NAME]);
/* What it says to that; @more: has it others that wait?  They are heard of once
 * it has used the place. */
void admission_answered(struct admission *a, const char *host, bool takes,
			bool more, uint64_t now_us);
/* When something that is kept goes back; USEC_NEVER. */
uint64_t admission_due(const struct admission *a);
/* Hosts that wait for an offer. */
unsigned admission_waiting(const struct admission *a);
