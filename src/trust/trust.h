/* SPDX-License-Identifier: MIT */

/*
 * The folder in which a host keeps whom it believes and who it is:
 *
 *     authority.pem    the CA's certificate
 *     host.pem         this host's certificate
 *     host.key         its key                          (0600)
 *     authority.key    the CA's, where it lives         (0600)
 *     authority.json   what it has signed, and its invitations
 *     members.json     the list that the CA has signed  (trust/members.h)
 *     members-kept.json  an older one that says more    (trust/list.h)
 *
 *     trust.c      this host's own certificate
 *     authority.c  what the CA does, where it lives
 *     list.c       the list in force
 *     vault.c      the folder
 *
 * Files of somebody else's CA work the same.  One process writes here, droverd;
 * a store's lock is held while it reads and writes, for milliseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "trust/certificate.h"

struct error;
struct trust;
typedef struct ssl_ctx_st SSL_CTX;

/* @own_name: of this host.  The folder need not exist. */
int trust_open(struct trust **ret, const char *folder, const char *own_name,
	       struct error *e);
void trust_free(struct trust *s); /* NULL is fine */

/* At the host that joins: its own from now on.  -EEXIST where it is somebody
 * already; -EACCES where they do not belong together or to this host. */
int trust_join(struct trust *s, const char *authority,
	       const struct signed_key *host, struct error *e);
/* -EEXIST where this host is somebody already. */
int trust_check_nobody(struct trust *s, struct error *e);

/* --- one more certificate */

/* A request for one more certificate of this host, with the key that it has. */
int trust_ask_again(struct trust *s, char **ret_request, struct error *e);
/* At the host: it is its own from now on. */
int trust_take_certificate(struct trust *s, const char *certificate,
			   struct error *e);

/* Whether this host has a certificate, and what is in both. */
struct trust_facts {
	bool joined, is_authority;
	bool listed;          /* its CA is one that keeps a list of its hosts */
	unsigned invitations; /* that are open */
	struct certificate_facts host, authority;
};
int trust_look(struct trust *s, int64_t now_s, struct trust_facts *ret,
	       struct error *e);

/* --- for TLS */

/* What is in the folder now; -ENOENT with what to do where nothing is.
 * context_free() lets go of it. */
int trust_context(struct trust *s, SSL_CTX **ret, struct error *e);
