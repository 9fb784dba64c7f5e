/* SPDX-License-Identifier: MIT */

/* What this host shows and believes in a TLS handshake (channel/secure.h). */
#pragma once

struct error;
typedef struct ssl_ctx_st SSL_CTX;

struct context_parts {
	const char *authority;   /* PEM: whom to believe; one or more */
	const char *certificate; /* PEM: this host's, and those above it */
	const char *key;
};

/* TLS 1.3, certificates on both sides, nothing that could be replayed.  Counted
 * by OpenSSL: channels keep it, so it may be freed while they live. */
int context_new(SSL_CTX **ret, const struct context_parts *p, struct error *e);
void context_free(SSL_CTX *c);

/* For a host that has nothing yet but a token: believes the other side if that
 * shows the certificate with this hash, in hex digits.  @hash outlives the
 * context and its channels. */
int context_pinned(SSL_CTX **ret, char *hash, struct error *e);
