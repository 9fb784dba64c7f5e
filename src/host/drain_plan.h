/* SPDX-License-Identifier: MIT */

/*
 * Where the machines of this host would go: the facts of all hosts, the
 * placement, and what each pair of hosts finds about the machine that it is to
 * be.  Asks peers, and holds each machine for as long as it is compared.  Any
 * thread may call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "host/drain_record.h"
#include "host/facts.h"
#include "host/placement.h"

struct error;
struct host;

/* What is known beforehand of a machine and a host. */
struct drain_refusal {
	char uuid[40], host[64];
	char why[400];
};

struct drain_wish {
	const struct words *to;   /* hosts; NULL or empty: any that tell */
	const char *one;          /* this machine alone; NULL: all that run */
	bool spare;               /* could a host fail then? */
	struct drain_refusal *no; /* on the heap; grows by what is found */
	size_t n_no;
};

void drain_wish_done(struct drain_wish *w);
int drain_wish_refuse(struct drain_wish *w, const char *uuid, const char *host,
		      const char *why, struct error *e);

/* Fills in the machines, in the order in which they go, those that stay behind
 * them; seconds; spare. */
int drain_plan_make(struct host *h, struct drain_wish *w,
		    struct drain_record *ret, struct error *e);

/* The machines of all hosts that tell, as they are. */
int drain_plan_spare(struct host *h, struct drain_spare *ret, struct error *e);
