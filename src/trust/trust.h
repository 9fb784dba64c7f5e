/* SPDX-License-Identifier: MIT */

/*
 * The folder in which a host keeps whom it believes and who it is:
 *
 *     authority.pem    the CA's certificate
 *     host.pem         this host's certificate
 *     host.key         its key                          (0600)
 *     authority.key    the CA's, where it lives         (0600)
 *     authority.json   what it has signed, and its invitations
 *
 * Files of somebody else's CA work the same.  One process writes here, droverd;
 * a store's lock is held while it reads and writes, for milliseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "trust/certificate.h"
#include "trust/token.h"

struct error;
struct trust;
typedef struct ssl_ctx_st SSL_CTX;

/* @own_name: of this host.  The folder need not exist. */
int trust_open(struct trust **ret, const char *folder, const char *own_name,
	       struct error *e);
void trust_free(struct trust *s); /* NULL is fine */

/* A CA and this host's certificate, signed by it.  -EEXIST where this host is
 * somebody already. */
int trust_init(struct trust *s, int64_t now_s, struct error *e);

/* A token for one more host.  -ENOENT: the CA's key is not here. */
int trust_invite(struct trust *s, int64_t now_s, char ret_token[TOKEN_CAP],
		 struct error *e);

/* What a host sends that wants to be let in. */
struct admission {
	uint8_t secret[TOKEN_SECRET]; /* of its token */
	char name[64];
	const char *request; /* PEM */
};

/* At the CA: its certificate.  -EACCES with a sentence.  The caller frees it.
 */
int trust_admit(struct trust *s, const struct admission *of, int64_t now_s,
		char **ret_certificate, struct error *e);

/* At the host that joins: its own from now on.  -EEXIST as above; -EACCES where
 * they do not belong together or to this host. */
int trust_join(struct trust *s, const char *authority,
	       const struct signed_key *host, struct error *e);

/* Whether this host has a certificate, and what is in both. */
struct trust_facts {
	bool joined, is_authority;
	struct certificate_facts host, authority;
};
int trust_look(struct trust *s, struct trust_facts *ret, struct error *e);

/* For TLS: what is in the folder now; -ENOENT with what to do where nothing
 * is.  context_free() lets go of it. */
int trust_context(struct trust *s, SSL_CTX **ret, struct error *e);
