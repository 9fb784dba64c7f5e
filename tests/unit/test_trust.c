/* SPDX-License-Identifier: MIT */

/* What two hosts keep of each other, in folders of their own. */
#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "base/scope.h"
#include "scratch.h"
#include "trust/authority.h"
#include "trust/context.h"
#include "trust/list.h"
#include "trust/trust.h"

struct place {
	char folder[SCRATCH_CAP], alpha_path[80], beta_path[80];
	struct trust *alpha, *beta, *gamma, *eve;
	int64_t now_s;
};

static struct trust *opened(const struct place *p, const char *name)
{
	struct trust *s = NULL;
	char path[80];
	struct error e;

	snprintf(path, sizeof(path), "%s/%s", p->folder, name);
	assert_int_equal(trust_open(&s, path, name, &e), 0);
	assert_int_equal(trust_load_list(s, &e), 0);
	return s;
}

static int start(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	scratch_folder(p->folder);
	snprintf(p->alpha_path, sizeof(p->alpha_path), "%s/alpha", p->folder);
	snprintf(p->beta_path, sizeof(p->beta_path), "%s/beta", p->folder);
	p->alpha = opened(p, "alpha");
	p->beta = opened(p, "beta");
	p->gamma = opened(p, "gamma");
	p->eve = opened(p, "eve");
	p->now_s = time(NULL);
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;

	trust_free(p->alpha);
	trust_free(p->beta);
	trust_free(p->gamma);
	trust_free(p->eve);
	free(p);
	return 0;
}

static mode_t mode_of(const char *folder, const char *file)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void a_host_without_a_certificate_is_told_what_to_do(void **state)
{
	struct place *p = *state;
	char token[TOKEN_CAP];
	struct trust_facts f;
	SSL_CTX *context;
	struct error e;

	assert_int_equal(trust_look(p->alpha, p->now_s, &f, &e), 0);
	assert_false(f.joined);
	assert_int_equal(trust_context(p->alpha, &context, &e), -ENOENT);
	assert_non_null(
		strstr(e.text,
		       "put authority.pem, host.pem and host.key into "));
	assert_non_null(strstr(e.text, "run 'drover trust init' or 'join'"));
	assert_int_equal(trust_invite(p->alpha, "", p->now_s, token, &e),
			 -ENOENT);
	assert_non_null(strstr(e.text, "the CA's key is not on host alpha"));
}

static const struct member *somewhere(void)
{
	static char address[] = "10.0.0.1", *at[] = { address, NULL };
	static const struct member m = { .addresses = { at, 1 }, .port = 6600 };

	return &m;
}

/* As the two daemons do it, but for the network. */
static int join_as(struct place *p, struct trust *as, const char *name,
		   const char *token, bool is_peer, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key asked = { 0 };
	SCOPED(admitted_done) struct admitted got = { 0 };
	struct admission of = { .who = *somewhere(), .is_peer = is_peer };
	struct token t;
	int r;

	snprintf(of.who.name, sizeof(of.who.name), "%s", name);
	assert_int_equal(token_parse(&t, token, e), 0);
	assert_int_equal(request_new(&asked, name, e), 0);
	memcpy(of.secret, t.secret, TOKEN_SECRET);
	of.request = asked.certificate;
	r = trust_admit(p->alpha, &of, p->now_s, &got, e);
	if (r < 0)
		return r;
	free(asked.certificate);
	asked.certificate = strdup(got.certificate);
	r = trust_join(as, got.authority, &asked, e);
	if (r == 0)
		assert_int_equal(trust_take_list(as, &got.list, e), 1);
	return r;
}

static int join(struct place *p, const char *token, struct error *e)
{
	return join_as(p, p->beta, "beta", token, false, e);
}

static void a_host_joins_by_a_token_once(void **state)
{
	struct place *p = *state;
	char token[TOKEN_CAP];
	struct trust_facts f;
	SSL_CTX *context;
	struct error e;

	assert_int_equal(trust_init(p->alpha, somewhere(), p->now_s, &e), 0);
	assert_int_equal(trust_init(p->alpha, somewhere(), p->now_s, &e),
			 -EEXIST);
	assert_int_equal(mode_of(p->folder, "alpha"), 0700);
	assert_int_equal(mode_of(p->alpha_path, "authority.key"), 0600);
	assert_int_equal(mode_of(p->alpha_path, "host.key"), 0600);
	assert_int_equal(trust_invite(p->alpha, "", p->now_s, token, &e), 0);
	assert_int_equal(join(p, token, &e), 0);
	assert_int_equal(trust_look(p->beta, p->now_s, &f, &e), 0);
	assert_true(f.joined);
	assert_false(f.is_authority);
	assert_string_equal(f.host.name, "beta");
	assert_true(f.host.until_s > p->now_s + 700LL * 86400);
	assert_int_equal(trust_context(p->beta, &context, &e), 0);
	context_free(context);
	assert_int_equal(join(p, token, &e), -EACCES);
	assert_non_null(strstr(e.text, "was used by host beta"));
}

static void another_hosts_certificate_is_not_taken(void **state)
{
	struct place *p = *state;
	SCOPED(signed_key_done) struct signed_key ca = { 0 }, host = { 0 };
	SCOPED(signed_key_done) struct signed_key other = { 0 };
	char *own_key;
	struct error e;

	assert_int_equal(authority_new(&ca, "drover", p->now_s, &e), 0);
	assert_int_equal(request_new(&other, "gamma", &e), 0);
	host.key = strdup(other.key);
	assert_int_equal(certificate_sign(&host.certificate,
					  &(struct signing){
						  .authority = &ca,
						  .request = other.certificate,
						  .name = "gamma",
						  .from_s = p->now_s,
						  .days = 1,
						  .serial = 2 },
					  &e),
			 0);
	assert_int_equal(trust_join(p->beta, ca.certificate, &host, &e),
			 -EACCES);
	assert_string_equal(e.text, "the certificate is of host gamma, and "
				    "this is host beta");
	/* Of this host, but with another key. */
	free(host.certificate);
	signed_key_done(&other);
	assert_int_equal(request_new(&other, "beta", &e), 0);
	assert_int_equal(certificate_sign(&host.certificate,
					  &(struct signing){
						  .authority = &ca,
						  .request = other.certificate,
						  .name = "beta",
						  .from_s = p->now_s,
						  .days = 1,
						  .serial = 3 },
					  &e),
			 0);
	assert_int_equal(trust_join(p->beta, ca.certificate, &host, &e),
			 -EINVAL);
	own_key = host.key;
	host.key = strdup(other.key);
	free(own_key);
	assert_int_equal(trust_join(p->beta, ca.certificate, &host, &e), 0);
}

/* --- later */

static void join_all(struct place *p)
{
	char token[TOKEN_CAP];
	struct error e;

	assert_int_equal(trust_init(p->alpha, somewhere(), p->now_s, &e), 0);
	assert_int_equal(trust_invite(p->alpha, "", p->now_s, token, &e), 0);
	assert_int_equal(join(p, token, &e), 0);
}

static void a_certificate_is_renewed_with_the_same_key(void **state)
{
	struct place *p = *state;
	AUTO_FREE char *request = NULL, *certificate = NULL;
	AUTO_FREE char *stranger = NULL;
	struct trust_facts before, after;
	struct error e;

	join_all(p);
	assert_int_equal(trust_look(p->beta, p->now_s, &before, &e), 0);
	assert_int_equal(trust_ask_again(p->beta, &request, &e), 0);
	assert_int_equal(trust_renew(p->alpha, "beta", request,
				     p->now_s + 100000, &certificate, &e),
			 0);
	assert_int_equal(trust_take_certificate(p->beta, certificate, &e), 0);
	assert_int_equal(trust_look(p->beta, p->now_s, &after, &e), 0);
	assert_int_equal(after.host.until_s, before.host.until_s + 100000);
	assert_true(after.host.serial > before.host.serial);
	/* For another name than that of the request; for none of the list. */
	assert_int_equal(trust_renew(p->alpha, "alpha", request, p->now_s,
				     &stranger, &e),
			 -EACCES);
	assert_int_equal(trust_renew(p->alpha, "gamma", request, p->now_s,
				     &stranger, &e),
			 -EACCES);
	assert_int_equal(trust_renew(p->beta, "beta", request, p->now_s,
				     &stranger, &e),
			 -ENOENT);
	assert_null(stranger);
}

static void a_list_counts_when_it_is_newer_and_signed(void **state)
{
	struct place *p = *state;
	SCOPED(signed_list_done) struct signed_list old = { 0 }, l = { 0 };
	struct member at = { .name = "beta", .port = 7000 };
	unsigned generation;
	struct error e;

	join_all(p);
	assert_int_equal(trust_list(p->alpha, "", &old, &e), 0);
	assert_int_equal(trust_note_place(p->alpha, &at, p->now_s, &e), 1);
	assert_int_equal(trust_note_place(p->alpha, &at, p->now_s, &e), 0);
	assert_int_equal(trust_list(p->alpha, "", &l, &e), 0);
	generation = trust_generation(p->beta);
	assert_int_equal(trust_take_list(p->beta, &l, &e), 1);
	assert_int_not_equal(trust_generation(p->beta), generation);
	assert_int_equal(trust_take_list(p->beta, &l, &e), 0);
	assert_int_equal(trust_take_list(p->beta, &old, &e), 0);
	l.text[20] ^= 1;
	assert_int_equal(trust_take_list(p->beta, &l, &e), -EACCES);
	assert_int_equal(trust_load_list(p->beta, &e), 0);
}

static void a_removed_host_is_refused_and_may_join_anew(void **state)
{
	struct place *p = *state;
	char token[TOKEN_CAP], path[PATH_MAX];
	struct trust_facts f;
	struct error e;

	join_all(p);
	assert_int_equal(trust_look(p->beta, p->now_s, &f, &e), 0);
	assert_int_equal(trust_check(p->alpha, "beta", f.host.serial, &e), 0);
	assert_int_equal(trust_remove(p->alpha, "alpha", p->now_s, &e), -EPERM);
	assert_int_equal(trust_remove(p->beta, "alpha", p->now_s, &e), -ENOENT);
	assert_int_equal(trust_remove(p->alpha, "beta", p->now_s, &e), 0);
	assert_int_equal(trust_check(p->alpha, "beta", f.host.serial, &e),
			 -EACCES);
	snprintf(path, sizeof(path), "%s/host.pem", p->beta_path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(trust_invite(p->alpha, "", p->now_s, token, &e), 0);
	assert_int_equal(join(p, token, &e), 0);
	assert_int_equal(trust_check(p->alpha, "beta", f.host.serial, &e),
			 -EACCES);
	assert_int_equal(trust_look(p->beta, p->now_s, &f, &e), 0);
	assert_int_equal(trust_check(p->alpha, "beta", f.host.serial, &e), 0);
}

static void a_name_is_given_once(void **state)
{
	struct place *p = *state;
	SCOPED(signed_key_done) struct signed_key asked = { 0 };
	SCOPED(admitted_done) struct admitted got = { 0 };
	struct admission of = { .who = *somewhere() };
	char token[TOKEN_CAP];
	struct token t;
	struct error e;

	join_all(p);
	assert_int_equal(trust_invite(p->alpha, "", p->now_s, token, &e), 0);
	assert_int_equal(token_parse(&t, token, &e), 0);
	memcpy(of.secret, t.secret, TOKEN_SECRET);
	for (const char *const *name =
		     (const char *const[]){ "alpha", "beta", NULL };
	     *name; name++) {
		snprintf(of.who.name, sizeof(of.who.name), "%s", *name);
		signed_key_done(&asked);
		assert_int_equal(request_new(&asked, *name, &e), 0);
		of.request = asked.certificate;
		assert_int_equal(trust_admit(p->alpha, &of, p->now_s, &got, &e),
				 -EACCES);
		assert_non_null(strstr(e.text, "already: if it is to join"));
	}
}

static void a_name_that_is_in_the_settings_has_to_be_invited(void **state)
{
	struct place *p = *state;
	char token[TOKEN_CAP];
	struct error e;

	assert_int_equal(trust_init(p->alpha, somewhere(), p->now_s, &e), 0);
	assert_int_equal(trust_invite(p->alpha, "", p->now_s, token, &e), 0);
	assert_int_equal(join_as(p, p->beta, "beta", token, true, &e), -EACCES);
	assert_string_equal(e.text,
			    "host alpha has a [peer beta] already: if that "
			    "host is to join, run 'drover trust invite --for "
			    "beta' there, else remove the section");
	/* The token is as good as before. */
	assert_int_equal(join_as(p, p->gamma, "gamma", token, false, &e), 0);
	assert_int_equal(trust_invite(p->alpha, "beta", p->now_s, token, &e),
			 0);
	assert_int_equal(join_as(p, p->eve, "eve", token, false, &e), -EACCES);
	assert_int_equal(join_as(p, p->beta, "beta", token, true, &e), 0);
}

static const char *two_names(char buf[static 4096], const char *first,
			     const char *second)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *r = X509_REQ_new();
	X509_NAME *n = X509_NAME_new();
	BIO *b = BIO_new(BIO_s_mem());
	const char *const parts[][2] = { { "OU", "administrators" },
					 { "CN", first },
					 { "O", "somebody" },
					 { "CN", second } };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i][1])
			assert_true(
				X509_NAME_add_entry_by_txt(n, parts[i][0],
							   MBSTRING_UTF8,
							   (const unsigned char
								    *)
								   parts[i][1],
							   -1, -1, 0));
	assert_true(X509_REQ_set_subject_name(r, n) &&
		    X509_REQ_set_pubkey(r, key) &&
		    X509_REQ_sign(r, key, EVP_sha256()) &&
		    PEM_write_bio_X509_REQ(b, r));
	buf[BIO_read(b, buf, 4095)] = '\0';
	BIO_free_all(b);
	X509_NAME_free(n);
	X509_REQ_free(r);
	EVP_PKEY_free(key);
	return buf;
}

static void a_certificate_has_the_name_and_nothing_else(void **state)
{
	struct place *p = *state;
	SCOPED(signed_key_done) struct signed_key ca = { 0 };
	AUTO_FREE char *made = NULL;
	char request[4096];
	struct signing what = { .authority = &ca,
				.request = two_names(request, "beta", NULL),
				.name = "beta",
				.from_s = p->now_s,
				.days = 1,
				.serial = 2 };
	struct error e;
	BIO *b;
	X509 *x;

	assert_int_equal(authority_new(&ca, "drover", p->now_s, &e), 0);
	assert_int_equal(certificate_sign(&made, &what, &e), 0);
	b = BIO_new_mem_buf(made, -1);
	x = PEM_read_bio_X509(b, NULL, NULL, NULL);
	assert_non_null(x);
	assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(x)), 1);
	X509_free(x);
	BIO_free_all(b);
	what.request = two_names(request, "beta", "alpha");
	AUTO_FREE char *none = NULL;
	assert_true(certificate_sign(&none, &what, &e) < 0);
	assert_string_equal(e.text, "the request of host beta: it has more "
				    "than one name");
}

static void drop_file(const struct place *p, const char *host, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/%s", p->folder, host, file);
	assert_int_equal(unlink(path), 0);
}

static void without_its_list_the_ca_signs_nothing(void **state)
{
	struct place *p = *state;
	SCOPED(signed_list_done) struct signed_list l = { 0 };
	SCOPED(trust_authority_done) struct trust_authority a = { 0 };
	char token[TOKEN_CAP];
	struct trust_facts f;
	struct error e;

	join_all(p);
	assert_int_equal(trust_invite(p->alpha, "", p->now_s, token, &e), 0);
	trust_free(p->alpha);
	drop_file(p, "alpha", "members.json");
	p->alpha = opened(p, "alpha");
	assert_int_equal(trust_look(p->alpha, p->now_s, &f, &e), 0);
	assert_true(f.is_authority && f.listed);
	/* Nobody knows that there is a beta. */
	assert_int_equal(join_as(p, p->gamma, "beta", token, false, &e),
			 -EACCES);
	assert_non_null(strstr(e.text, "host alpha has the CA's key, and lost "
				       "the list of its hosts"));
	assert_int_equal(trust_export(p->alpha, &a, &e), -EACCES);
	assert_int_equal(trust_list(p->beta, "alpha", &l, &e), 0);
	assert_int_equal(trust_take_list(p->alpha, &l, &e), 1);
	assert_int_equal(join_as(p, p->gamma, "beta", token, false, &e),
			 -EACCES);
	assert_non_null(strstr(e.text, "there is a host beta already"));
}

static uint64_t version_of(struct trust *s)
{
	SCOPED(members_done) struct members m = { 0 };
	struct error e;

	assert_int_equal(trust_members(s, &m, &e), 0);
	return m.version;
}

/* @from's list, as @to hears it. */
static int told(struct trust *from, struct trust *to, const char *name,
		bool merge)
{
	SCOPED(signed_list_done) struct signed_list l = { 0 };
	struct error e;

	assert_int_equal(trust_list(from, name, &l, &e), 0);
	return merge ? trust_merge_list(to, &l, time(NULL), &e)
		     : trust_take_list(to, &l, &e);
}

static int add_host(struct place *p, struct trust *as, const char *name)
{
	char token[TOKEN_CAP];
	struct error e;

	assert_int_equal(trust_invite(p->alpha, "", p->now_s, token, &e), 0);
	return join_as(p, as, name, token, false, &e);
}

/* The CA's host removes one, tells one member, and is gone; another member,
 * that has not heard of it, takes a copy of the key. */
static void a_removal_survives_the_cas_host(void **state)
{
	struct place *p = *state;
	SCOPED(trust_authority_done) struct trust_authority copy = { 0 };
	struct trust_facts f;
	uint64_t before;
	struct error e;

	join_all(p);
	assert_int_equal(trust_export(p->alpha, &copy, &e), 0);
	assert_int_equal(add_host(p, p->eve, "eve"), 0);
	assert_int_equal(add_host(p, p->gamma, "gamma"), 0);
	assert_int_equal(told(p->alpha, p->beta, "beta", false), 1);
	assert_int_equal(trust_look(p->eve, p->now_s, &f, &e), 0);
	assert_int_equal(trust_remove(p->alpha, "eve", p->now_s, &e), 0);
	assert_int_equal(told(p->alpha, p->gamma, "gamma", false), 1);
	before = version_of(p->gamma);

	assert_int_equal(trust_import(p->beta, &copy, p->now_s, &e), 0);
	assert_true(version_of(p->beta) > before);
	assert_int_equal(trust_check(p->beta, "eve", f.host.serial, &e), 0);
	/* Who knows it goes on knowing it, also after a restart, */
	assert_int_equal(told(p->beta, p->gamma, "gamma", false), 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(trust_check(p->gamma, "eve", f.host.serial,
					     &e),
				 -EACCES);
		trust_free(p->gamma);
		p->gamma = opened(p, "gamma");
	}
	/* and tells the CA's host alone, which tells all. */
	assert_int_equal(told(p->gamma, p->beta, "somebody", true), 0);
	assert_int_equal(told(p->gamma, p->beta, "beta", true), 1);
	assert_int_equal(told(p->gamma, p->beta, "beta", true), 0);
	assert_int_equal(trust_check(p->beta, "eve", f.host.serial, &e),
			 -EACCES);
	assert_int_equal(told(p->beta, p->gamma, "gamma", false), 1);
	assert_int_equal(version_of(p->gamma), version_of(p->beta));
	assert_int_equal(trust_load_list(p->gamma, &e), 0);
	assert_int_equal(trust_check(p->gamma, "eve", f.host.serial, &e),
			 -EACCES);
	/* The old one, should it come back, signs no more. */
	assert_int_equal(told(p->beta, p->alpha, "alpha", false), 1);
	assert_int_equal(told(p->gamma, p->alpha, "alpha", true), 0);
	assert_int_equal(trust_remove(p->alpha, "beta", p->now_s, &e), -ENOENT);
}

static void of_two_that_import_at_once_one_goes_on(void **state)
{
	struct place *p = *state;
	SCOPED(trust_authority_done) struct trust_authority copy = { 0 };
	struct error e;

	join_all(p);
	assert_int_equal(add_host(p, p->gamma, "gamma"), 0);
	assert_int_equal(told(p->alpha, p->beta, "beta", false), 1);
	assert_int_equal(trust_export(p->alpha, &copy, &e), 0);
	assert_int_equal(trust_import(p->beta, &copy, p->now_s, &e), 0);
	assert_int_equal(trust_import(p->gamma, &copy, p->now_s, &e), 0);
	assert_int_equal(version_of(p->beta), version_of(p->gamma));
	assert_int_equal(told(p->beta, p->gamma, "gamma", false), 0);
	assert_int_equal(told(p->gamma, p->beta, "beta", true), 0);
	assert_int_equal(told(p->beta, p->gamma, "gamma", true), 1);
	assert_int_equal(told(p->gamma, p->beta, "beta", false), 1);
	assert_int_equal(trust_remove(p->beta, "alpha", p->now_s, &e), -ENOENT);
	assert_int_equal(trust_remove(p->gamma, "alpha", p->now_s, &e), 0);
}

static void numbers_only_rise_where_a_copy_is_taken_again(void **state)
{
	struct place *p = *state;
	SCOPED(trust_authority_done) struct trust_authority copy = { 0 };
	uint64_t version;
	struct trust_facts first, second;
	struct error e;

	join_all(p);
	assert_int_equal(trust_export(p->alpha, &copy, &e), 0);
	assert_int_equal(trust_import(p->alpha, &copy, p->now_s, &e), 0);
	version = version_of(p->alpha);
	assert_int_equal(add_host(p, p->gamma, "gamma"), 0);
	assert_int_equal(trust_import(p->alpha, &copy, p->now_s, &e), 0);
	assert_true(version_of(p->alpha) > version);
	assert_int_equal(add_host(p, p->eve, "eve"), 0);
	assert_int_equal(trust_look(p->gamma, p->now_s, &first, &e), 0);
	assert_int_equal(trust_look(p->eve, p->now_s, &second, &e), 0);
	assert_true(second.host.serial > first.host.serial);
	assert_int_equal(trust_check(p->alpha, "gamma", first.host.serial, &e),
			 0);
}

static void the_folder_above_may_be_missing(void **state)
{
	struct place *p = *state;
	struct trust *fresh;
	char path[PATH_MAX];
	struct error e;

	snprintf(path, sizeof(path), "%s/etc/trust", p->folder);
	assert_int_equal(trust_open(&fresh, path, "gamma", &e), 0);
	assert_int_equal(trust_init(fresh, somewhere(), p->now_s, &e), 0);
	assert_int_equal(mode_of(path, "host.key"), 0600);
	trust_free(fresh);
}

static void the_ca_moves_to_a_member(void **state)
{
	struct place *p = *state;
	SCOPED(trust_authority_done) struct trust_authority a = { 0 };
	SCOPED(signed_list_done) struct signed_list l = { 0 };
	char token[TOKEN_CAP];
	struct trust_facts f;
	struct error e;

	join_all(p);
	assert_int_equal(trust_export(p->beta, &a, &e), -ENOENT);
	assert_int_equal(trust_export(p->alpha, &a, &e), 0);
	a.key[60] ^= 1;
	assert_true(trust_import(p->beta, &a, p->now_s, &e) < 0);
	a.key[60] ^= 1;
	assert_int_equal(trust_import(p->beta, &a, p->now_s, &e), 0);
	assert_int_equal(mode_of(p->beta_path, "authority.key"), 0600);
	assert_int_equal(trust_look(p->beta, p->now_s, &f, &e), 0);
	assert_true(f.is_authority);
	/* The copy here signs no more once it has heard of the other one. */
	assert_int_equal(trust_list(p->beta, "", &l, &e), 0);
	assert_int_equal(trust_take_list(p->alpha, &l, &e), 1);
	assert_int_equal(trust_invite(p->alpha, "", p->now_s, token, &e),
			 -ENOENT);
	assert_string_equal(e.text, "the CA's key is not on host alpha: host "
				    "beta has it");
	assert_int_equal(trust_release(p->alpha, &e), 0);
	assert_int_equal(trust_invite(p->beta, "", p->now_s, token, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_host_without_a_certificate_is_told_what_to_do, start,
			end),
		cmocka_unit_test_setup_teardown(a_host_joins_by_a_token_once,
						start, end),
		cmocka_unit_test_setup_teardown(
			another_hosts_certificate_is_not_taken, start, end),
		cmocka_unit_test_setup_teardown(
			a_certificate_is_renewed_with_the_same_key, start, end),
		cmocka_unit_test_setup_teardown(
			a_list_counts_when_it_is_newer_and_signed, start, end),
		cmocka_unit_test_setup_teardown(
			a_removed_host_is_refused_and_may_join_anew, start,
			end),
		cmocka_unit_test_setup_teardown(a_name_is_given_once, start,
						end),
		cmocka_unit_test_setup_teardown(
			a_name_that_is_in_the_settings_has_to_be_invited, start,
			end),
		cmocka_unit_test_setup_teardown(
			a_certificate_has_the_name_and_nothing_else, start,
			end),
		cmocka_unit_test_setup_teardown(
			without_its_list_the_ca_signs_nothing, start, end),
		cmocka_unit_test_setup_teardown(a_removal_survives_the_cas_host,
						start, end),
		cmocka_unit_test_setup_teardown(
			of_two_that_import_at_once_one_goes_on, start, end),
		cmocka_unit_test_setup_teardown(
			numbers_only_rise_where_a_copy_is_taken_again, start,
			end),
		cmocka_unit_test_setup_teardown(the_ca_moves_to_a_member, start,
						end),
		cmocka_unit_test_setup_teardown(the_folder_above_may_be_missing,
						start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
