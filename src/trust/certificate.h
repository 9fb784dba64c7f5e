/* SPDX-License-Identifier: MIT */

/*
 * Keys and certificates as PEM texts: an authority of its own (CA), requests,
 * and what it signs.  X.509 version 3 (RFC 5280), keys on P-256, signed with
 * SHA-256.  Nothing here touches a file or a clock: who calls says when.
 *
 * Texts that go out are the caller's to free.  Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;
typedef struct x509_st X509;

enum {
	AUTHORITY_DAYS = 10 * 365 + 2,
	CERTIFICATE_DAYS = 2 * 365,
	CERTIFICATE_DAY_S = 86400,
	CERTIFICATE_EARLY_S = 3600, /* clocks differ */
	CERTIFICATE_HASH = 65,      /* hex digits of a SHA-256, and their end */
	SIGNATURE_BYTES = 80,       /* of ECDSA on P-256, as DER */
	SIGNATURE_CAP = 2 * SIGNATURE_BYTES + 1, /* hex digits */
};

/* A new key and what is signed with it. */
struct signed_key {
	char *key;         /* PKCS #8 */
	char *certificate; /* or a request */
};

void signed_key_done(struct signed_key *k); /* wipes the key */

/* A CA for the hosts that @name's administrator lets in. */
int authority_new(struct signed_key *ret, const char *name, int64_t now_s,
		  struct error *e);

/* A request (PKCS #10) for a certificate of @name. */
int request_new(struct signed_key *ret, const char *name, struct error *e);

/* The same with a key that is there already. */
int request_again(char **ret, const char *key, const char *name,
		  struct error *e);

struct signing {
	const struct signed_key *authority;
	const char *request;
	const char *name; /* that the request has to have */
	int64_t from_s;
	unsigned days;
	uint64_t serial; /* of the authority, never twice */
};

/* With that name and nothing else of the request but its key.  -EACCES where it
 * is for another name, or is not signed with its own key. */
int certificate_sign(char **ret, const struct signing *s, struct error *e);

struct certificate_facts {
	char name[64];
	char hash[CERTIFICATE_HASH]; /* of the whole certificate */
	int64_t from_s, until_s;
	uint64_t serial; /* 0: it has none that is so short */
	bool authority;
};

int certificate_read(struct certificate_facts *ret, const char *certificate,
		     struct error *e);
/* As in the facts, of one that OpenSSL has read. */
bool certificate_hash(char ret[static CERTIFICATE_HASH], const X509 *x);
/* Has this CA signed it?  -EACCES. */
int certificate_check(const char *certificate, const char *authority,
		      struct error *e);

/* What the CA says of a text, with its key, and for who has its certificate.
 * -EACCES where it has not said that. */
int signature_make(char ret[static SIGNATURE_CAP], const char *key,
		   const char *text, struct error *e);
int signature_check(const char *signature, const char *certificate,
		    const char *text, struct error *e);
