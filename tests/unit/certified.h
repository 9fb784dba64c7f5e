/* SPDX-License-Identifier: MIT */

/* What hosts have from a CA, or from another one, made on the spot. */
#pragma once

#include <stdint.h>

#include "trust/certificate.h"

typedef struct ssl_ctx_st SSL_CTX;

struct certifier {
	struct signed_key authority, other;
	uint64_t serial;
};

void certifier_init(struct certifier *c);
void certifier_done(struct certifier *c);

/* What a host of that name has, for @days from @from_s on; it believes
 * c->authority, whoever signs.  context_free() it. */
SSL_CTX *certified_host(struct certifier *c, const struct signed_key *ca,
			const char *name, int64_t from_s, unsigned days);
