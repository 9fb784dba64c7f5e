/* SPDX-License-Identifier: MIT */

/*
 * What two hosts say when one joins by a token: a request of the one that
 * joins, and the answer of the host that has the CA's key.  docs/wire.md,
 * "Pairing".  Plain values.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/words.h"
#include "trust/certificate.h"
#include "trust/token.h"

struct error;
struct shape;

enum {
	PAIRING_REQUEST_MAX = 16 * 1024,
	/* The list of hosts as a string in JSON, and certificates. */
	PAIRING_ANSWER_MAX = 256 * 1024,
};

struct pair_request {
	char secret[2 * TOKEN_SECRET + 1]; /* of the token, in hex digits */
	char name[64];
	struct words addresses;
	unsigned port;
	char *request; /* PKCS #10, PEM */
};

struct pair_answer {
	char error[248]; /* empty: it is let in, and has what follows */
	char *certificate, *authority;
	char *members; /* trust/members.h */
	char signature[SIGNATURE_CAP];
};

extern const struct shape pair_request_shape, pair_answer_shape;

void pair_request_done(struct pair_request *r); /* wipes the secret */
void pair_answer_done(struct pair_answer *a);

/* On the heap; NULL: no memory. */
char *pair_request_text(const struct pair_request *r);
char *pair_answer_text(const struct pair_answer *a);

/* -EBADMSG with what is wrong. */
int pair_request_parse(struct pair_request *ret, const char *text, size_t len,
		       struct error *e);
int pair_answer_parse(struct pair_answer *ret, const char *text, size_t len,
		      struct error *e);

void pair_request_set_secret(struct pair_request *r,
			     const uint8_t secret[static TOKEN_SECRET]);
/* Of one that was parsed. */
void pair_request_secret(uint8_t ret[static TOKEN_SECRET],
			 const struct pair_request *r);
