/* SPDX-License-Identifier: MIT */
#include "certified.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "base/scope.h"
#include "trust/context.h"

void certifier_init(struct certifier *c)
{
	struct error e;

	assert(authority_new(&c->authority, "drover", time(NULL), &e) == 0);
	assert(authority_new(&c->other, "drover", time(NULL), &e) == 0);
	c->serial = 1;
}

void certifier_done(struct certifier *c)
{
	signed_key_done(&c->authority);
	signed_key_done(&c->other);
}

SSL_CTX *certified_host(struct certifier *c, const struct signed_key *ca,
			const char *name, int64_t from_s, unsigned days)
{
	struct signed_key asked = { 0 };
	AUTO_FREE char *certificate = NULL;
	SSL_CTX *context = NULL;
	struct error e;

	assert(request_new(&asked, name, &e) == 0);
	assert(certificate_sign(&certificate,
				&(struct signing){ .authority = ca,
						   .request = asked.certificate,
						   .name = name,
						   .from_s = from_s,
						   .days = days,
						   .serial = ++c->serial },
				&e) == 0);
	assert(context_new(&context,
			   &(struct context_parts){ c->authority.certificate,
						    certificate, asked.key },
			   &e) == 0);
	signed_key_done(&asked);
	return context;
}
