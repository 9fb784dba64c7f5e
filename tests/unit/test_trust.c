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

#include "base/error.h"
#include "base/scope.h"
#include "trust/context.h"
#include "trust/trust.h"

struct place {
	char folder[64], alpha_path[80], beta_path[80];
	struct trust *alpha, *beta;
	int64_t now_s;
};

static int start(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct error e;

	assert_non_null(p);
	snprintf(p->folder, sizeof(p->folder), "/tmp/drover-trust-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->alpha_path, sizeof(p->alpha_path), "%s/alpha", p->folder);
	snprintf(p->beta_path, sizeof(p->beta_path), "%s/beta", p->folder);
	assert_int_equal(trust_open(&p->alpha, p->alpha_path, "alpha", &e), 0);
	assert_int_equal(trust_open(&p->beta, p->beta_path, "beta", &e), 0);
	p->now_s = time(NULL);
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;
	char command[128];

	trust_free(p->alpha);
	trust_free(p->beta);
	snprintf(command, sizeof(command), "rm -r %s", p->folder);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
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

	assert_int_equal(trust_look(p->alpha, &f, &e), 0);
	assert_false(f.joined);
	assert_int_equal(trust_context(p->alpha, &context, &e), -ENOENT);
	assert_non_null(
		strstr(e.text,
		       "put authority.pem, host.pem and host.key into "));
	assert_int_equal(trust_invite(p->alpha, p->now_s, token, &e), -ENOENT);
	assert_non_null(strstr(e.text, "the CA's key is not on host alpha"));
}

/* As the two daemons do it, but for the network. */
static int join(struct place *p, const char *token, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key asked = { 0 }, host = { 0 };
	struct admission of = { .name = "beta" };
	struct trust_facts f;
	struct token t;
	char path[PATH_MAX], authority[8192] = "";
	FILE *file;
	int r;

	assert_int_equal(token_parse(&t, token, e), 0);
	assert_int_equal(request_new(&asked, "beta", e), 0);
	memcpy(of.secret, t.secret, TOKEN_SECRET);
	of.request = asked.certificate;
	r = trust_admit(p->alpha, &of, p->now_s, &host.certificate, e);
	if (r < 0)
		return r;
	assert_int_equal(trust_look(p->alpha, &f, e), 0);
	assert_string_equal(f.authority.hash, t.authority);
	snprintf(path, sizeof(path), "%s/authority.pem", p->alpha_path);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(authority, 1, sizeof(authority) - 1, file) > 0);
	fclose(file);
	host.key = strdup(asked.key);
	return trust_join(p->beta, authority, &host, e);
}

static void a_host_joins_by_a_token_once(void **state)
{
	struct place *p = *state;
	char token[TOKEN_CAP];
	struct trust_facts f;
	SSL_CTX *context;
	struct error e;

	assert_int_equal(trust_init(p->alpha, p->now_s, &e), 0);
	assert_int_equal(trust_init(p->alpha, p->now_s, &e), -EEXIST);
	assert_int_equal(mode_of(p->folder, "alpha"), 0700);
	assert_int_equal(mode_of(p->alpha_path, "authority.key"), 0600);
	assert_int_equal(mode_of(p->alpha_path, "host.key"), 0600);
	assert_int_equal(trust_invite(p->alpha, p->now_s, token, &e), 0);
	assert_int_equal(join(p, token, &e), 0);
	assert_int_equal(trust_look(p->beta, &f, &e), 0);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
