/* SPDX-License-Identifier: MIT */

/*
 * Invitations: a host that has the CA's key makes one, somebody carries its
 * token to another host, and that one is let in once.
 *
 * A token is "drover1-" and the base64url (RFC 4648, 5) of 16 random bytes and
 * the SHA-256 of the certificate of the host that has the CA's key.  The host
 * that invited keeps only the hash of the random bytes: who reads its files
 * cannot join.  Plain values; nothing here touches a file or a clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trust/certificate.h"

struct error;

enum {
	TOKEN_SECRET = 16,
	TOKEN_CAP = 80,
	INVITATION_S = 15 * 60,
	/* For so long who comes with a token that is over hears why. */
	INVITATION_TELLS_S = 60 * 60,
	INVITATIONS_MAX = 32, /* that are kept, used ones too */
	INVITATIONS_WRONG_MAX = 16,
};

struct token {
	uint8_t secret[TOKEN_SECRET];
	char host[CERTIFICATE_HASH]; /* of the certificate of who invites */
};

int token_new(struct token *ret, const char host[static CERTIFICATE_HASH],
	      struct error *e);
void token_text(char buf[static TOKEN_CAP], const struct token *t);
/* -EINVAL with what is wrong with it. */
int token_parse(struct token *ret, const char *text, struct error *e);

struct invitation {
	char secret_hash[CERTIFICATE_HASH];
	int64_t until_s;
	char name[64];    /* of the host that it is for; empty: of any */
	char used_by[64]; /* empty: nobody yet */
	int64_t used_s;
};

struct invitations {
	struct invitation at[INVITATIONS_MAX];
	size_t count;
	unsigned wrong; /* tokens that were none, since the last was added */
};

/* For host @name, or "".  The oldest one goes where there is no room. */
int invitation_add(struct invitations *all, const struct token *t,
		   const char *name, int64_t now_s, struct error *e);
/* Is a connection without a certificate to be heard at all?  Only for an
 * invitation that is open, or was a while ago, and after too many wrong tokens
 * for none. */
bool invitations_take(const struct invitations *all, int64_t now_s);
size_t invitations_open(const struct invitations *all, int64_t now_s);
/* Marks it as used by host @name.  1: it is for that host alone.  -EACCES with
 * a sentence: unknown (counted in @all), used by whom, expired when, for whom.
 */
int invitation_use(struct invitations *all, const uint8_t secret[TOKEN_SECRET],
		   const char *name, int64_t now_s, struct error *e);
