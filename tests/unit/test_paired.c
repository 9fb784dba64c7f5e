/* SPDX-License-Identifier: MIT */

/* A host that joins another one over a connection, and what becomes of its
 * sessions when it is removed. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "channel/secure.h"
#include "ends.h"
#include "scratch.h"
#include "session/hello.h"
#include "session/pair.h"
#include "trust/authority.h"
#include "trust/context.h"
#include "trust/list.h"
#include "trust/pairing.h"
#include "trust/trust.h"

struct place {
	char folder[SCRATCH_CAP];
	struct trust *near, *far; /* far has the CA's key */
	struct token token;
	struct ends ends;
};

/* As host/pairing.c does it. */
static int admit(void *context, const struct channel *c,
		 const struct pair_request *rq, struct pair_answer *ret,
		 struct error *e)
{
	SCOPED(admitted_done) struct admitted got = { 0 };
	struct ends *ends = context;
	struct admission of = { .request = rq->request,
				.who = { .addresses = rq->addresses,
					 .port = rq->port } };

	CHECK(c->identity[0] == '\0');
	snprintf(of.who.name, sizeof(of.who.name), "%s", rq->name);
	pair_request_secret(of.secret, rq);
	if (trust_admit(ends->acceptor.trust, &of, time(NULL), &got, e) < 0)
		return error_code(e);
	ret->certificate = take_ptr(&got.certificate);
	ret->authority = take_ptr(&got.authority);
	ret->members = take_ptr(&got.list.text);
	memcpy(ret->signature, got.list.signature, sizeof(ret->signature));
	return 0;
}

static void invite(struct place *p)
{
	char token[TOKEN_CAP];
	struct error e;

	assert_int_equal(trust_invite(p->far, "", time(NULL), token, &e), 0);
	assert_int_equal(token_parse(&p->token, token, &e), 0);
}

static int start(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const struct member self = { .port = 6600 };
	char path[96];
	struct error e;

	assert_non_null(p);
	scratch_folder(p->folder);
	snprintf(path, sizeof(path), "%s/near", p->folder);
	assert_int_equal(trust_open(&p->near, path, "near", &e), 0);
	snprintf(path, sizeof(path), "%s/far", p->folder);
	assert_int_equal(trust_open(&p->far, path, "far", &e), 0);
	assert_int_equal(trust_init(p->far, &self, time(NULL), &e), 0);
	ends_init(&p->ends, 1);
	p->ends.acceptor.trust = p->far;
	p->ends.acceptor.pair = admit;
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;

	ends_close(&p->ends);
	ends_done(&p->ends);
	trust_free(p->near);
	trust_free(p->far);
	free(p);
	return 0;
}

static struct channel *dial(const struct place *p)
{
	const struct channel_way way = { .host = "127.0.0.1",
					 .port = p->ends.port };
	struct channel *c = NULL;
	struct error e;

	assert_int_equal(channel_tcp.dial(&c, &way, clock_us() + USEC_PER_SEC,
					  -1, &e),
			 0);
	return c;
}

/* --- joining */

static int ask(struct place *p, const char *request, struct pair_answer *ret,
	       struct error *e)
{
	SCOPED(pair_request_done)
	struct pair_request rq = { .name = "near", .port = 6600 };
	struct channel *c = dial(p);
	SSL_CTX *context;
	int r;

	assert_int_equal(words_add(&rq.addresses, "10.0.0.7", e), 0);
	pair_request_set_secret(&rq, p->token.secret);
	rq.request = strdup(request);
	assert_int_equal(context_pinned(&context, p->token.host, e), 0);
	r = pair_ask(&c, context, &rq, ret, e);
	if (r == 0)
		assert_string_equal(c->identity, "far");
	context_free(context);
	channel_free(c);
	return r;
}

static int join(struct place *p, struct error *e)
{
	SCOPED(signed_key_done) struct signed_key own = { 0 };
	SCOPED(pair_answer_done) struct pair_answer a = { 0 };
	struct signed_list list = { 0 };
	int r;

	assert_int_equal(request_new(&own, "near", e), 0);
	r = ask(p, own.certificate, &a, e);
	if (r < 0)
		return r;
	free(own.certificate);
	own.certificate = strdup(a.certificate);
	assert_int_equal(trust_join(p->near, a.authority, &own, e), 0);
	list.text = a.members;
	memcpy(list.signature, a.signature, sizeof(list.signature));
	assert_int_equal(trust_take_list(p->near, &list, e), 1);
	return 0;
}

static void assert_not_joined(struct place *p, const char *why)
{
	struct error e = { 0 };

	assert_int_equal(join(p, &e), -EACCES);
	if (!strstr(e.text, why))
		fail_msg("%s", e.text);
}

static void a_host_joins_by_a_token_and_is_on_the_list(void **state)
{
	struct place *p = *state;
	SCOPED(members_done) struct members m = { 0 };
	const struct member *near;
	struct error e;

	invite(p);
	if (join(p, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(trust_members(p->near, &m, &e), 0);
	assert_string_equal(m.host, "far");
	near = members_find(&m, "near");
	assert_non_null(near);
	assert_string_equal(near->addresses.at[0], "10.0.0.7");
	assert_not_joined(p, "host far says: the token of host near was used "
			     "by host near at");
}

static void without_an_invitation_nobody_is_heard(void **state)
{
	struct place *p = *state;
	struct trust_facts f;
	struct error e;

	assert_int_equal(trust_look(p->far, time(NULL), &f, &e), 0);
	memcpy(p->token.host, f.host.hash, sizeof(f.host.hash));
	assert_not_joined(p, "host far has no invitation open: run 'drover "
			     "trust invite' there");
}

/* Nor another host of the CA, which may have been removed: it would hear the
 * secret. */
static void another_host_than_that_of_the_token_is_not_believed(void **state)
{
	struct place *p = *state;
	struct trust_facts f;
	struct error e;

	invite(p);
	assert_int_equal(trust_look(p->far, time(NULL), &f, &e), 0);
	memcpy(p->token.host, f.authority.hash, sizeof(f.authority.hash));
	assert_not_joined(p, "is host far, and not the host that the token "
			     "is of");
	p->token.host[0] = p->token.host[0] == '0' ? '1' : '0';
	assert_not_joined(p, "is host far, and not the host that the token "
			     "is of");
}

/* --- what else a stranger may say */

static struct hello answer_to(struct channel *c, enum hello_kind kind)
{
	const struct hello mine = hello_of(kind, "near");
	struct hello theirs = { 0 };
	struct error e;
	uint8_t first;

	assert_int_equal(hello_send(c, &mine, &e), 0);
	if (channel_read_all(c, &first, 1, clock_us() + 3 * USEC_PER_SEC, &e) <
		    0 ||
	    hello_receive(c, first, &theirs, &e) < 0)
		fail_msg("%s", e.text);
	channel_free(c);
	return theirs;
}

static void secure_as(struct channel **c, SSL_CTX *context)
{
	const struct secure_options o = { .context = context };
	struct error e;

	if (channel_secure(c, &o, clock_us() + 3 * USEC_PER_SEC, &e) < 0)
		fail_msg("%s", e.text);
	context_free(context);
}

static void a_stranger_opens_no_session(void **state)
{
	struct place *p = *state;

	invite(p);
	for (int kind = HELLO_OPEN; kind <= HELLO_JOIN; kind++) {
		struct channel *c = dial(p);
		SSL_CTX *context;
		struct hello h;
		struct error e;

		assert_int_equal(context_pinned(&context, p->token.host, &e),
				 0);
		secure_as(&c, context);
		h = answer_to(c, (enum hello_kind)kind);
		assert_int_equal(h.kind, HELLO_REFUSE);
		assert_non_null(strstr(h.text, "has shown no certificate"));
	}
}

static void only_who_has_no_certificate_asks_for_one(void **state)
{
	struct place *p = *state;
	struct channel *c;
	SSL_CTX *context;
	struct hello h;
	struct error e;

	invite(p);
	h = answer_to(dial(p), HELLO_PAIR);
	assert_int_equal(h.kind, HELLO_REFUSE);
	assert_non_null(strstr(h.text, "asks for a certificate in plain text"));
	assert_int_equal(join(p, &e), 0);
	c = dial(p);
	assert_int_equal(trust_context(p->near, &context, &e), 0);
	secure_as(&c, context);
	h = answer_to(c, HELLO_PAIR);
	assert_int_equal(h.kind, HELLO_REFUSE);
	assert_non_null(strstr(h.text, "asks for a certificate and has one"));
}

/* --- being removed */

static void a_host_that_is_removed_loses_its_sessions(void **state)
{
	struct place *p = *state;
	struct message m;
	struct error e;

	invite(p);
	assert_int_equal(join(p, &e), 0);
	p->ends.trust = p->near;
	p->ends.far_proves = true;
	if (ends_open(&p->ends, 2, 5 * USEC_PER_SEC, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(trust_remove(p->far, "near", time(NULL), &e), 0);
	assert_int_equal(session_await(p->ends.near,
				       clock_us() + 3 * USEC_PER_SEC, &m, &e),
			 -ECONNABORTED);
	assert_non_null(strstr(e.text, "host near was removed at "));
	ends_close(&p->ends);
	assert_true(ends_open(&p->ends, 2, 5 * USEC_PER_SEC, &e) < 0);
	assert_non_null(strstr(e.text, "host near was removed at "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_host_joins_by_a_token_and_is_on_the_list, start, end),
		cmocka_unit_test_setup_teardown(
			without_an_invitation_nobody_is_heard, start, end),
		cmocka_unit_test_setup_teardown(
			another_host_than_that_of_the_token_is_not_believed,
			start, end),
		cmocka_unit_test_setup_teardown(a_stranger_opens_no_session,
						start, end),
		cmocka_unit_test_setup_teardown(
			only_who_has_no_certificate_asks_for_one, start, end),
		cmocka_unit_test_setup_teardown(
			a_host_that_is_removed_loses_its_sessions, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
