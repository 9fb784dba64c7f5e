/* SPDX-License-Identifier: MIT */
#include "trust/trust.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/scope.h"
#include "base/shape.h"
#include "trust/context.h"

enum { FILE_MAX = 256 * 1024, PRIVATE = 0600, PUBLIC = 0644 };

struct trust {
	char folder[PATH_MAX - 64], own_name[64];
	pthread_mutex_t lock; /* guards the files */
};

/* What the CA's host remembers. */
struct authority {
	uint64_t serial; /* of the last certificate */
	struct invitations invitations;
};

static const struct shape_field invitation_fields[] = {
	{ "secret_sha256", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE,
	  SHAPE_AT(struct invitation, secret_hash) },
	{ "until", SHAPE_SIGNED, SHAPE_NEEDED,
	  SHAPE_AT(struct invitation, until_s) },
	{ "used_by", SHAPE_TEXT, SHAPE_OMIT,
	  SHAPE_AT(struct invitation, used_by) },
	{ "used", SHAPE_SIGNED, 0, SHAPE_AT(struct invitation, used_s) },
};
static const struct shape invitation_shape =
	SHAPE(struct invitation, invitation_fields);

static const struct shape_field authority_fields[] = {
	{ "serial", SHAPE_NUMBER, SHAPE_NEEDED,
	  SHAPE_AT(struct authority, serial) },
	{ "invitations", SHAPE_LIST, SHAPE_INSIDE,
	  SHAPE_AT(struct authority, invitations.at),
	  SHAPE_COUNT(struct authority, invitations.count),
	  .most = INVITATIONS_MAX, .of = &invitation_shape },
};
static const struct shape authority_shape =
	SHAPE(struct authority, authority_fields);

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
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* --- files */

static int load(const struct trust *s, const char *name, char **ret,
		struct error *e)
{
	char path[PATH_MAX];
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", s->folder, name);
	return ini_load(ret, &len, path, FILE_MAX, e);
}

static int save(const struct trust *s, const char *name, const char *text,
		mode_t mode, struct error *e)
{
	return file_save(s->folder, name, text, mode, e);
}

static int load_authority(const struct trust *s, struct authority *ret,
			  struct error *e)
{
	AUTO_FREE char *text = NULL;

	*ret = (struct authority){ 0 };
	if (load(s, "authority.json", &text, e) < 0)
		return error_code(e);
	if (shape_parse(&authority_shape, ret, text, strlen(text),
			SHAPE_MESSAGE, e) < 0)
		return error_in(e, "%s/authority.json", s->folder);
	return 0;
}

static int save_authority(const struct trust *s, const struct authority *a,
			  struct error *e)
{
	AUTO_FREE char *text = shape_file_text(&authority_shape, a);

	if (!text)
		return error_set(e, ENOMEM, "no memory for the CA's notes");
	return save(s, "authority.json", text, PRIVATE, e);
}

/* -ENOENT with what that means. */
static int load_signer(const struct trust *s, struct signed_key *ret,
		       struct error *e)
{
	struct signed_key k = { 0 };
	int r = load(s, "authority.key", &k.key, e);

	if (r == 0)
		r = load(s, "authority.pem", &k.certificate, e);
	if (r == 0) {
		*ret = k;
		return 0;
	}
	signed_key_done(&k);
	if (r == -ENOENT)
		return error_set(e, ENOENT,
				 "the CA's key is not on host %s: ask the host "
				 "that has %s/authority.key",
				 s->own_name, s->folder);
	return r;
}

static int check_nobody(const struct trust *s, struct error *e)
{
	AUTO_FREE char *text = NULL;
	struct error why;
	int r = load(s, "host.pem", &text, &why);

	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		*e = why;
		return r;
	}
	return error_set(e, EEXIST,
			 "host %s has a certificate already, in %s: move it "
			 "away first",
			 s->own_name, s->folder);
}

/* --- what the CA does */

/* The next certificate: its number is on disk before it is. */
static int sign(const struct trust *s, struct authority *a,
		const struct signed_key *ca, struct signing *what, char **ret,
		struct error *e)
{
	what->authority = ca;
	what->serial = ++a->serial;
	what->from_s -= CERTIFICATE_EARLY_S;
	what->days = CERTIFICATE_DAYS;
	if (save_authority(s, a, e) < 0)
		return error_code(e);
	return certificate_sign(ret, what, e);
}

static int make_host(const struct trust *s, struct authority *a,
		     const struct signed_key *ca, int64_t now_s,
		     struct error *e)
{
	SCOPED(signed_key_done) struct signed_key asked = { 0 };
	AUTO_FREE char *certificate = NULL;
	struct signing what = { .name = s->own_name, .from_s = now_s };

	if (request_new(&asked, s->own_name, e) < 0)
		return error_code(e);
	what.request = asked.certificate;
	if (sign(s, a, ca, &what, &certificate, e) < 0 ||
	    save(s, "host.key", asked.key, PRIVATE, e) < 0)
		return error_code(e);
	/* Last: it says that this host is somebody. */
	return save(s, "host.pem", certificate, PUBLIC, e);
}

int trust_init(struct trust *s, int64_t now_s, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	struct authority a = { .serial = 1 };
	char name[64];

	WITH_LOCK(&s->lock);

	snprintf(name, sizeof(name), "drover-ca-%.50s", s->own_name);
	if (check_nobody(s, e) < 0 || authority_new(&ca, name, now_s, e) < 0 ||
	    save(s, "authority.key", ca.key, PRIVATE, e) < 0 ||
	    save(s, "authority.pem", ca.certificate, PUBLIC, e) < 0)
		return error_code(e);
	return make_host(s, &a, &ca, now_s, e);
}

int trust_invite(struct trust *s, int64_t now_s, char ret_token[TOKEN_CAP],
		 struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	struct certificate_facts facts;
	struct authority a;
	struct token t;

	WITH_LOCK(&s->lock);

	if (load_signer(s, &ca, e) < 0 || load_authority(s, &a, e) < 0 ||
	    certificate_read(&facts, ca.certificate, e) < 0 ||
	    token_new(&t, facts.hash, e) < 0 ||
	    invitation_add(&a.invitations, &t, now_s, e) < 0 ||
	    save_authority(s, &a, e) < 0)
		return error_code(e);
	token_text(ret_token, &t);
	return 0;
}

int trust_admit(struct trust *s, const struct admission *of, int64_t now_s,
		char **ret_certificate, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	struct signing what = { .request = of->request,
				.name = of->name,
				.from_s = now_s };
	struct authority a;

	WITH_LOCK(&s->lock);

	if (load_signer(s, &ca, e) < 0 || load_authority(s, &a, e) < 0 ||
	    invitation_use(&a.invitations, of->secret, of->name, now_s, e) < 0)
		return error_code(e);
	return sign(s, &a, &ca, &what, ret_certificate, e);
}

/* --- what a host does */

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

	if (check_nobody(s, e) < 0 || check_mine(s, authority, host, e) < 0 ||
	    save(s, "authority.pem", authority, PUBLIC, e) < 0 ||
	    save(s, "host.key", host->key, PRIVATE, e) < 0)
		return error_code(e);
	return save(s, "host.pem", host->certificate, PUBLIC, e);
}

int trust_look(struct trust *s, struct trust_facts *ret, struct error *e)
{
	AUTO_FREE char *host = NULL, *authority = NULL, *key = NULL;
	struct error why;
	int r;

	WITH_LOCK(&s->lock);

	*ret = (struct trust_facts){ 0 };
	r = load(s, "host.pem", &host, e);
	if (r == -ENOENT)
		return 0;
	if (r < 0 || load(s, "authority.pem", &authority, e) < 0)
		return error_code(e);
	ret->joined = true;
	ret->is_authority = load(s, "authority.key", &key, &why) == 0;
	if (key)
		explicit_bzero(key, strlen(key));
	if (certificate_read(&ret->host, host, e) < 0)
		return error_in(e, "%s/host.pem", s->folder);
	if (certificate_read(&ret->authority, authority, e) < 0)
		return error_in(e, "%s/authority.pem", s->folder);
	return 0;
}

int trust_context(struct trust *s, SSL_CTX **ret, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key host = { 0 };
	AUTO_FREE char *authority = NULL;
	int r;

	WITH_LOCK(&s->lock);

	r = load(s, "host.pem", &host.certificate, e);
	if (r == -ENOENT)
		return error_set(e, ENOENT,
				 "host %s has no certificate: put "
				 "authority.pem, host.pem and host.key into "
				 "%s, or set tls = off in the sections of its "
				 "peers",
				 s->own_name, s->folder);
	if (r < 0 || load(s, "host.key", &host.key, e) < 0 ||
	    load(s, "authority.pem", &authority, e) < 0)
		return error_code(e);
	if (context_new(ret,
			&(struct context_parts){ authority, host.certificate,
						 host.key },
			e) < 0)
		return error_in(e, "%s", s->folder);
	return 0;
}
