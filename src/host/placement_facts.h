/* SPDX-License-Identifier: MIT */

/* The facts of hosts as plain values of a placement. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "host/facts.h"
#include "host/placement_set.h"

struct placement_facts {
	struct placement of; /* points into what follows, and into the facts */
	struct placement_host *hosts;
	struct placement_machine *machines;
	struct placement_refusal *refusals;
	const struct machine_facts **of_machine; /* of each */
	struct words *types;                     /* of each, one word */
	char **type_at;
	double *rates;
};

/* @to: hosts that may be chosen; NULL or empty: all that tell.  @one: the only
 * machine that goes; NULL: all of the first host.  @drains: that takes none
 * then.  Done before @all is. */
int placement_facts_init(struct placement_facts *ret,
			 const struct facts_all *all, const struct words *to,
			 const char *one, bool drains, struct error *e);
void placement_facts_done(struct placement_facts *p);
/* -ENOMEM; one that is not there is left out. */
int placement_facts_refuse(struct placement_facts *p, const char *uuid,
			   const char *host, const char *why, struct error *e);
