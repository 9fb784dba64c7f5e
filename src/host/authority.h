/* SPDX-License-Identifier: MIT */

/*
 * The hosts of a CA, and what its host does with them: the rest of the commands
 * of `drover trust`, beside host/pairing.h.  What is asked for here is on disk
 * when a function returns.  Any thread may call; no lock is held.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"
#include "trust/authority.h"

struct error;
struct host;

/* A host of the list. */
struct member_view {
	char name[64];
	struct words addresses;
	unsigned port;
	int64_t until_s;
	int64_t removed_s; /* 0: it is a member */
	bool removed;
	bool has_authority_key;
	bool peer; /* this host's settings have a section for it */
};

struct member_views {
	struct member_view *at;
	size_t count;
};

void member_view_done(struct member_view *v);
void member_views_done(struct member_views *v);

int host_trust_members(struct host *h, struct member_views *ret,
		       struct error *e);
/* Refused from now on, here and wherever the list gets to. */
int host_trust_remove(struct host *h, const char *name, struct member_view *ret,
		      struct error *e);

/* The CA's key leaves: a copy, then this host gives it up. */
int host_trust_export(struct host *h, struct trust_authority *ret,
		      struct error *e);
int host_trust_release(struct host *h, struct error *e);
int host_trust_import(struct host *h, const struct trust_authority *a,
		      struct error *e);
