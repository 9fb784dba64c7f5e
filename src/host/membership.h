/* SPDX-License-Identifier: MIT */

/*
 * What the list of hosts (trust/members.h) makes of this host's settings: each
 * member is a [peer NAME] in a file of its own, a host that was removed is none
 * any more.  What an administrator has written stays as it is.
 *
 * Any thread may call; no lock is held.
 */
#pragma once

#include "base/words.h"
#include "nic/inventory.h"
#include "trust/members.h"

struct error;
struct host;
struct message;
struct session;

/* This host, as others are to know it: its addresses and its port. */
int membership_self(struct host *h, struct member *ret, struct error *e);

/* Where another host says that it is, each as nic_address_host() writes it.
 * -EBADMSG where one is not an address of a host. */
int membership_addresses(struct words *ret, const struct words *said,
			 struct error *e);

/* The host that this one is being paired with. */
struct partner {
	const char *name;
	char reached_at[NIC_ADDRESS_TEXT]; /* empty: as the list says */
};

/* The list in force has taken the place of @before.  @with: whose section is
 * written whatever there is, and has to be good; may be NULL. */
int membership_apply(struct host *h, const struct members *before,
		     const struct partner *with, struct error *e);

/* The list has changed here: all peers hear of it, soon. */
void membership_tell(struct host *h);
/* Both hosts tell each other their lists, and have the newer one afterwards;
 * the CA's host hears where this one is. */
int membership_exchange(struct host *h, const char *peer, struct error *e);
/* What a peer hears that asks for it. */
int membership_answer(struct host *h, struct session *s,
		      const struct message *request, struct message *ret,
		      struct error *e);
