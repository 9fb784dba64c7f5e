/* SPDX-License-Identifier: MIT */

/*
 * Hosts that get to know each other: the commands of `drover trust`, what a
 * host hears that joins, and what the list of hosts makes of the settings.
 * docs/trust.md.
 *
 * What is asked for here is on disk when a function returns.  Any thread may
 * call; no lock is held.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/words.h"
#include "trust/certificate.h"
#include "trust/members.h"
#include "trust/token.h"

struct channel;
struct error;
struct host;
struct pair_answer;
struct pair_request;

/* How this host stands. */
struct trust_view {
	char name[64];
	bool joined; /* it has a certificate; else nothing of what follows */
	bool has_authority_key;
	int64_t until_s;
	char authority[64], authority_sha256[CERTIFICATE_HASH];
	int64_t authority_until_s;
	char authority_host[64]; /* empty: there is no list */
	uint64_t list_version;
	unsigned invitations; /* that are open */
};

int host_trust_show(struct host *h, struct trust_view *ret, struct error *e);
/* A CA of its own; -EEXIST where this host has a certificate. */
int host_trust_init(struct host *h, struct trust_view *ret, struct error *e);

/* One more certificate of this host, which counts at once. */
int host_trust_renew(struct host *h, struct trust_view *ret, struct error *e);

struct invitation_view {
	char token[TOKEN_CAP];
	int64_t until_s;
	struct words addresses; /* of this host */
	unsigned port;
};

void invitation_view_done(struct invitation_view *v);
/* @name: of the host that it is for; "": any whose name is not known here. */
int host_trust_invite(struct host *h, const char *name,
		      struct invitation_view *ret, struct error *e);

struct inviting {
	char host[64]; /* empty: any */
};

struct joining {
	char *host; /* address or name */
	char *token;
	unsigned port; /* 0: the usual one */
};

/* This host and that one are peers from then on. */
int host_trust_join(struct host *h, const struct joining *j,
		    struct trust_view *ret, struct error *e);

/* A host that joins: may it?  For session/accept.h. */
int pairing_admit(struct host *h, const struct channel *c,
		  const struct pair_request *rq, struct pair_answer *ret,
		  struct error *e);
