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
struct store;
typedef struct ssl_ctx_st SSL_CTX;

/* @own_name: of this host.  The folder need not exist. */
int store_open(struct store **ret, const char *folder, const char *own_name,
	       struct error *e);
void store_free(struct store *s); /* NULL is fine */

/* A CA and this host's certificate, signed by it.  -EEXIST where this host is
 * somebody already. */
int store_init(struct store *s, int64_t now_s, struct error *e);

/* A token for one more host.  -ENOENT: the CA's key is not here. */
int store_invite(struct store *s, int64_t now_s, char ret_token[TOKEN_CAP],
		 struct error *e);

/* At the CA: a certificate for the host @name that has the token's @secret and
 * sent @request.  -EACCES with a sentence.  The caller frees it. */
int store_admit(struct store *s, const uint8_t secret[TOKEN_SECRET],
		const char *name, const char *request, int64_t now_s,
		char **ret_certificate, struct error *e);

/* At the host that joins: its own from now on.  -EEXIST as above; -EACCES where
 * they do not belong together or to this host. */
int store_join(struct store *s, const char *authority,
	       const struct signed_key *host, struct error *e);

/* Whether this host has a certificate, and what is in both. */
struct store_facts {
	bool joined, is_authority;
	struct certificate_facts host, authority;
};
int store_look(struct store *s, struct store_facts *ret, struct error *e);

/* For TLS: what is in the folder now; -ENOENT with what to do where nothing
 * is.  context_free() lets go of it. */
int store_context(struct store *s, SSL_CTX **ret, struct error *e);
