/* SPDX-License-Identifier: MIT */

/*
 * What the host does that has the CA's key: it lets others in, renews their
 * certificates, removes them, and hands the key on.  Any thread may call what
 * begins with trust_.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "trust/members.h"
#include "trust/signed_list.h"
#include "trust/token.h"

struct error;
struct shape;
struct trust;

/* What the names of CAs begin with that are made here. */
#define AUTHORITY_NAME "drover-ca-"

/* A CA and this host's certificate, signed by it.  -EEXIST where this host is
 * somebody already.  Of @self the addresses and the port count. */
int trust_init(struct trust *s, const struct member *self, int64_t now_s,
	       struct error *e);

/* A token for one more host: @name, or any where it is "".  -ENOENT: the CA's
 * key is not here. */
int trust_invite(struct trust *s, const char *name, int64_t now_s,
		 char ret_token[TOKEN_CAP], struct error *e);

/* Is a connection to be heard that shows no certificate?  Only where an
 * invitation is open, or was a while ago. */
bool trust_takes_strangers(struct trust *s, int64_t now_s);

/* What a host sends that wants to be let in. */
struct admission {
	uint8_t secret[TOKEN_SECRET]; /* of its token */
	const char *request;          /* PEM */
	struct member who;            /* name, addresses and port count */
	bool is_peer; /* the settings have that name: it has to be invited */
};

/* What it gets; admitted_done() frees it. */
struct admitted {
	char *certificate, *authority;
	struct signed_list list; /* it is on */
};

void admitted_done(struct admitted *a);

/* At the CA.  -EACCES with a sentence. */
int trust_admit(struct trust *s, const struct admission *of, int64_t now_s,
		struct admitted *ret, struct error *e);

/* --- later */

/* At the CA: a new certificate for the member @name.  The caller frees it. */
int trust_renew(struct trust *s, const char *name, const char *request,
		int64_t now_s, char **ret_certificate, struct error *e);
/* At the CA: member @name is reached there.  1: that was not known. */
int trust_note_place(struct trust *s, const struct member *at, int64_t now_s,
		     struct error *e);
/* At the CA: its certificates prove nothing any more. */
int trust_remove(struct trust *s, const char *name, int64_t now_s,
		 struct error *e);
/* At the CA: what another list, which it has signed too, says and its own does
 * not.  1: its own is another one now.  0 also at other hosts. */
int trust_merge_list(struct trust *s, const struct signed_list *l,
		     int64_t now_s, struct error *e);

/* All that makes a host the CA's; trust_authority_done() wipes it. */
struct trust_authority {
	char *key, *certificate;
	uint64_t serial; /* of the last certificate */
	struct signed_list list;
};
extern const struct shape trust_authority_shape;

void trust_authority_done(struct trust_authority *a);
/* It stays here until trust_release(). */
int trust_export(struct trust *s, struct trust_authority *ret, struct error *e);
/* The CA's key and invitations are off the disk. */
int trust_release(struct trust *s, struct error *e);
/* This host, a member, is the CA's from now on. */
int trust_import(struct trust *s, const struct trust_authority *a,
		 int64_t now_s, struct error *e);

/* --- with the store's lock */

/* Is this the CA's host?  Then how many invitations are open. */
bool authority_look(const struct trust *s, int64_t now_s,
		    unsigned *ret_invitations);
