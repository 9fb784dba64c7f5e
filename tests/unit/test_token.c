/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "trust/token.h"

static const char hash[] = "00112233445566778899aabbccddeeff"
			   "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0";

static struct token fresh(void)
{
	struct token t = { 0 };
	struct error e;

	assert_int_equal(token_new(&t, hash, &e), 0);
	return t;
}

static void a_token_reads_back_the_same(void **state)
{
	struct token t = fresh(), again = { 0 };
	char text[TOKEN_CAP];
	struct error e;

	(void)state;
	token_text(text, &t);
	assert_int_equal(strlen(text), 72);
	assert_int_equal(token_parse(&again, text, &e), 0);
	assert_memory_equal(again.secret, t.secret, TOKEN_SECRET);
	assert_string_equal(again.host, hash);
}

static void what_is_no_token_is_refused(void **state)
{
	struct token t = fresh();
	char text[TOKEN_CAP];
	struct error e;

	(void)state;
	token_text(text, &t);
	text[71] = '\0';
	assert_int_equal(token_parse(&t, text, &e), -EINVAL);
	assert_string_equal(e.text, "this is not a whole token: it begins with "
				    "'drover1-' and has 72 letters");
	token_text(text, &t);
	text[20] = '/';
	assert_int_equal(token_parse(&t, text, &e), -EINVAL);
	assert_int_equal(token_parse(&t, "", &e), -EINVAL);
}

static void an_invitation_is_good_once_and_for_a_while(void **state)
{
	struct invitations all = { 0 };
	struct token first = fresh(), second = fresh(), third = fresh();
	struct error e;

	(void)state;
	assert_int_equal(invitation_add(&all, &first, "", 1000, &e), 0);
	assert_int_equal(invitation_add(&all, &second, "", 1000, &e), 0);
	assert_int_equal(invitation_use(&all, first.secret, "beta", 1000 + 900,
					&e),
			 0);
	assert_int_equal(invitation_use(&all, first.secret, "eve", 1901, &e),
			 -EACCES);
	assert_string_equal(e.text,
			    "the token of host eve was used by host beta at "
			    "1970-01-01 00:31:40 UTC: ask for another one");
	assert_int_equal(invitation_use(&all, second.secret, "eve", 1901, &e),
			 -EACCES);
	assert_non_null(strstr(e.text, "expired at 1970-01-01 00:31:40 UTC"));
	assert_int_equal(invitation_use(&all, third.secret, "eve", 1001, &e),
			 -EACCES);
	assert_string_equal(e.text, "the token of host eve is not one of this "
				    "host's");
}

static void an_invitation_may_be_for_one_host(void **state)
{
	struct invitations all = { 0 };
	struct token t = fresh();
	struct error e;

	(void)state;
	assert_int_equal(invitation_add(&all, &t, "beta", 1000, &e), 0);
	assert_int_equal(invitation_use(&all, t.secret, "eve", 1001, &e),
			 -EACCES);
	assert_string_equal(e.text, "the token of host eve is for host beta: "
				    "ask for another one");
	assert_int_equal(all.wrong, 0);
	assert_int_equal(invitation_use(&all, t.secret, "beta", 1002, &e), 1);
	assert_int_equal(invitation_use(&all, t.secret, "beta", 1003, &e),
			 -EACCES);
}

static void the_oldest_invitation_makes_room(void **state)
{
	struct invitations all = { 0 };
	struct token first = fresh(), last = first;
	struct error e;

	(void)state;
	assert_int_equal(invitation_add(&all, &first, "", 0, &e), 0);
	for (int i = 0; i < INVITATIONS_MAX; i++) {
		last = fresh();
		assert_int_equal(invitation_add(&all, &last, "", 0, &e), 0);
	}
	assert_int_equal(all.count, INVITATIONS_MAX);
	assert_int_equal(invitation_use(&all, first.secret, "beta", 1, &e),
			 -EACCES);
	assert_int_equal(invitation_use(&all, last.secret, "beta", 1, &e), 0);
}

static void strangers_are_heard_only_for_an_invitation(void **state)
{
	struct invitations all = { 0 };
	struct token t = fresh(), wrong = fresh();
	struct error e;

	(void)state;
	assert_false(invitations_take(&all, 1000));
	assert_int_equal(invitation_add(&all, &t, "", 1000, &e), 0);
	assert_true(invitations_take(&all, 1000));
	assert_int_equal(invitations_open(&all, 1000), 1);
	/* Who comes too late hears that, for a while. */
	assert_int_equal(invitations_open(&all, 1901), 0);
	assert_true(invitations_take(&all, 1900 + INVITATION_TELLS_S));
	assert_false(invitations_take(&all, 1901 + INVITATION_TELLS_S));
	for (int i = 0; i < INVITATIONS_WRONG_MAX; i++) {
		assert_true(invitations_take(&all, 1000));
		assert_int_equal(invitation_use(&all, wrong.secret, "eve", 1000,
						&e),
				 -EACCES);
	}
	assert_non_null(strstr(e.text, "all invitations are closed"));
	assert_false(invitations_take(&all, 1000));
	assert_int_equal(invitations_open(&all, 1000), 0);
	assert_int_equal(invitation_use(&all, t.secret, "beta", 1000, &e),
			 -EACCES);
	assert_int_equal(invitation_add(&all, &wrong, "", 1000, &e), 0);
	assert_true(invitations_take(&all, 1000));
	assert_int_equal(invitation_use(&all, wrong.secret, "beta", 1000, &e),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_reads_back_the_same),
		cmocka_unit_test(what_is_no_token_is_refused),
		cmocka_unit_test(an_invitation_is_good_once_and_for_a_while),
		cmocka_unit_test(an_invitation_may_be_for_one_host),
		cmocka_unit_test(the_oldest_invitation_makes_room),
		cmocka_unit_test(strangers_are_heard_only_for_an_invitation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
