/* SPDX-License-Identifier: MIT */

/* Sessions whose hosts have certificates: who gets one, and that it carries
 * what any session carries. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "ends.h"
#include "scratch.h"
#include "session/session.h"
#include "trust/certificate.h"
#include "trust/trust.h"
#include "wire/message.h"

struct place {
	char folder[SCRATCH_CAP];
	struct signed_key ca;
	uint64_t serial;
	struct trust *near, *far;
	struct ends ends;
};

static struct trust *host(struct place *p, const char *folder, const char *name)
{
	SCOPED(signed_key_done) struct signed_key asked = { 0 }, own = { 0 };
	char path[96];
	struct trust *s;
	struct error e;

	snprintf(path, sizeof(path), "%s/%s", p->folder, folder);
	assert_int_equal(trust_open(&s, path, name, &e), 0);
	assert_int_equal(request_new(&asked, name, &e), 0);
	assert_int_equal(certificate_sign(&own.certificate,
					  &(struct signing){
						  .authority = &p->ca,
						  .request = asked.certificate,
						  .name = name,
						  .from_s = time(NULL) - 10,
						  .days = 2,
						  .serial = ++p->serial },
					  &e),
			 0);
	own.key = strdup(asked.key);
	assert_int_equal(trust_join(s, p->ca.certificate, &own, &e), 0);
	return s;
}

static int start(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct error e;

	assert_non_null(p);
	scratch_folder(p->folder);
	p->serial = 1;
	assert_int_equal(authority_new(&p->ca, "drover", time(NULL), &e), 0);
	p->near = host(p, "near", "near");
	p->far = host(p, "far", "far");
	ends_init(&p->ends, 1);
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
	signed_key_done(&p->ca);
	free(p);
	return 0;
}

static int open_with(struct place *p, struct trust *near, struct trust *far,
		     bool far_proves, struct error *e)
{
	p->ends.trust = near;
	p->ends.acceptor.trust = far;
	p->ends.far_proves = far_proves;
	return ends_open(&p->ends, 2, 2 * USEC_PER_SEC, e);
}

static void a_session_of_two_hosts_carries_messages(void **state)
{
	struct place *p = *state;
	struct session *far;
	struct message got;
	struct error e;

	if (open_with(p, p->near, p->far, true, &e) < 0)
		fail_msg("%s", e.text);
	far = ends_far(&p->ends);
	for (int i = 0; i < 20; i++) {
		struct message sent = { .type = MESSAGE_RELAY };

		snprintf(sent.relay, sizeof(sent.relay), "number%d", i);
		assert_int_equal(session_send(p->ends.near, &sent, &e), 0);
		assert_int_equal(session_await(far,
					       clock_us() + 5 * USEC_PER_SEC,
					       &got, &e),
				 1);
		assert_string_equal(got.relay, sent.relay);
		message_done(&got);
		/* The channels of before are gone: others have to join. */
		if (i == 10)
			cutter_cut_all(p->ends.cutter, 0);
	}
}

static void assert_refused(struct place *p, struct trust *near,
			   struct trust *far, bool far_proves, const char *why)
{
	struct error e = { 0 };

	assert_true(open_with(p, near, far, far_proves, &e) < 0);
	if (!strstr(e.text, why))
		fail_msg("%s", e.text);
}

static void plain_text_is_not_taken_for_a_name(void **state)
{
	assert_refused(*state, NULL, ((struct place *)*state)->far, true,
		       "far wants it proved");
}

static void a_name_is_not_proved_to_who_speaks_plain_text(void **state)
{
	struct place *p = *state;

	assert_refused(p, p->near, p->far, false, "far wants it plain");
}

static void a_host_without_a_certificate_takes_no_tls(void **state)
{
	struct place *p = *state;

	assert_refused(p, p->near, NULL, true, "closed the connection");
}

static void another_host_behind_the_address_is_not_the_peer(void **state)
{
	struct place *p = *state;
	struct trust *other = host(p, "other", "other");

	assert_refused(p, p->near, other, true,
		       "is host other, as its certificate says, and not host "
		       "far");
	trust_free(other);
}

static void a_name_that_is_not_the_proved_one_is_refused(void **state)
{
	struct place *p = *state;
	struct trust *other = host(p, "other", "other");

	assert_refused(p, other, p->far, true,
		       "host other, as its certificate says, calls itself "
		       "near");
	trust_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_session_of_two_hosts_carries_messages, start, end),
		cmocka_unit_test_setup_teardown(
			plain_text_is_not_taken_for_a_name, start, end),
		cmocka_unit_test_setup_teardown(
			a_name_is_not_proved_to_who_speaks_plain_text, start,
			end),
		cmocka_unit_test_setup_teardown(
			a_host_without_a_certificate_takes_no_tls, start, end),
		cmocka_unit_test_setup_teardown(
			another_host_behind_the_address_is_not_the_peer, start,
			end),
		cmocka_unit_test_setup_teardown(
			a_name_that_is_not_the_proved_one_is_refused, start,
			end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
