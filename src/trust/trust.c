/* SPDX-License-Identifier: MIT */
#include "trust/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "trust/authority.h"
#include "trust/context.h"
#include "trust/list.h"
#include "trust/vault.h"

int trust_open(struct trust **ret, const char *folder, const char *own_name,
	       struct error *e)
{
	struct trust *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, ENOMEM, "no memory for the trust store");
	snprintf(s->folder, sizeof(s->folder), "%s", folder);
	snprintf(s->own_name, sizeof(s->own_name), "%s", own_name);
	pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

void trust_free(struct trust *s)
{
	if (!s)
		return;
	members_done(&s->members);
	signed_list_done(&s->list);
	signed_list_done(&s->kept);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int trust_check_nobody(struct trust *s, struct error *e)
{
	WITH_LOCK(&s->lock);

	return vault_check_nobody(s, e);
}

static int check_mine(const struct trust *s, const char *authority,
		      const struct signed_key *host, struct error *e)
{
	struct certificate_facts facts;
	SSL_CTX *context;

	if (certificate_read(&facts, host->certificate, e) < 0)
		return error_code(e);
	if (strcmp(facts.name, s->own_name) != 0)
		return error_set(e, EACCES,
				 "the certificate is of host %s, and this is "
				 "host %s",
				 facts.name, s->own_name);
	if (certificate_check(host->certificate, authority, e) < 0)
		return error_code(e);
	if (context_new(&context,
			&(struct context_parts){ authority, host->certificate,
						 host->key },
			e) < 0)
		return error_code(e);
	context_free(context);
	return 0;
}

int trust_join(struct trust *s, const char *authority,
	       const struct signed_key *host, struct error *e)
{
	WITH_LOCK(&s->lock);

	if (vault_check_nobody(s, e) < 0 ||
	    check_mine(s, authority, host, e) < 0 ||
	    vault_save(s, "authority.pem", authority, VAULT_PUBLIC, e) < 0 ||
	    vault_save(s, "host.key", host->key, VAULT_PRIVATE, e) < 0)
		return error_code(e);
	list_forget(s);
	return vault_save(s, "host.pem", host->certificate, VAULT_PUBLIC, e);
}

/* --- one more certificate */

int trust_ask_again(struct trust *s, char **ret_request, struct error *e)
{
	AUTO_FREE char *key = NULL;
	int r;

	WITH_LOCK(&s->lock);

	if (vault_load(s, "host.key", &key, e) < 0)
		return error_code(e);
	r = request_again(ret_request, key, s->own_name, e);
	explicit_bzero(key, strlen(key));
	return r;
}

int trust_take_certificate(struct trust *s, const char *certificate,
			   struct error *e)
{
	SCOPED(signed_key_done) struct signed_key host = { 0 };
	AUTO_FREE char *authority = NULL;

	WITH_LOCK(&s->lock);

	if (vault_load(s, "authority.pem", &authority, e) < 0 ||
	    vault_load(s, "host.key", &host.key, e) < 0)
		return error_code(e);
	host.certificate = strdup(certificate);
	if (!host.certificate)
		return error_set(e, ENOMEM, "no memory for a certificate");
	if (check_mine(s, authority, &host, e) < 0)
		return error_code(e);
	return vault_save(s, "host.pem", certificate, VAULT_PUBLIC, e);
}

int trust_look(struct trust *s, int64_t now_s, struct trust_facts *ret,
	       struct error *e)
{
	AUTO_FREE char *host = NULL, *authority = NULL;
	int r;

	WITH_LOCK(&s->lock);

	*ret = (struct trust_facts){ 0 };
	r = vault_load(s, "host.pem", &host, e);
	if (r == -ENOENT)
		return 0;
	if (r < 0 || vault_load(s, "authority.pem", &authority, e) < 0)
		return error_code(e);
	ret->joined = true;
	ret->is_authority = authority_look(s, now_s, &ret->invitations);
	if (certificate_read(&ret->host, host, e) < 0)
		return error_in(e, "%s/host.pem", s->folder);
	if (certificate_read(&ret->authority, authority, e) < 0)
		return error_in(e, "%s/authority.pem", s->folder);
	ret->listed = s->members.version > 0 ||
		      !strncmp(ret->authority.name, AUTHORITY_NAME,
			       strlen(AUTHORITY_NAME));
	return 0;
}

int trust_context(struct trust *s, SSL_CTX **ret, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key host = { 0 };
	AUTO_FREE char *authority = NULL;
	int r;

	WITH_LOCK(&s->lock);

	r = vault_load(s, "host.pem", &host.certificate, e);
	if (r == -ENOENT)
		return error_set(e, ENOENT,
				 "host %s has no certificate: run 'drover "
				 "trust init' or 'join', or put authority.pem, "
				 "host.pem and host.key into %s, or set tls = "
				 "off in the sections of its peers",
				 s->own_name, s->folder);
	if (r < 0 || vault_load(s, "host.key", &host.key, e) < 0 ||
	    vault_load(s, "authority.pem", &authority, e) < 0)
		return error_code(e);
	if (context_new(ret,
			&(struct context_parts){ authority, host.certificate,
						 host.key },
			e) < 0)
		return error_in(e, "%s", s->folder);
	return 0;
}
