/* SPDX-License-Identifier: MIT */

/* The list of a CA's hosts, what it says of a certificate, and when one is
 * renewed. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "trust/certificate.h"
#include "trust/members.h"
#include "trust/renewal.h"

static char address[] = "10.0.0.2", *addresses[] = { address, NULL };

static struct member host(const char *name, uint64_t serial)
{
	struct member m = { .addresses = { addresses, 1 },
			    .port = 6600,
			    .serial = serial,
			    .until_s = 5000 };

	snprintf(m.name, sizeof(m.name), "%s", name);
	return m;
}

static struct members list_of_two(void)
{
	struct members m = { .version = 3, .made_s = 1000, .host = "alpha" };
	const struct member alpha = host("alpha", 2), beta = host("beta", 3);
	struct error e;

	assert_int_equal(members_put(&m, &alpha, &e), 0);
	assert_int_equal(members_put(&m, &beta, &e), 0);
	return m;
}

static void a_list_reads_back_the_same(void **state)
{
	SCOPED(members_done) struct members m = list_of_two();
	SCOPED(members_done) struct members again = { 0 };
	AUTO_FREE char *text = NULL;
	struct error e;

	(void)state;
	assert_int_equal(members_text(&text, &m, &e), 0);
	assert_int_equal(members_parse(&again, text, &e), 0);
	assert_int_equal(again.count, 2);
	assert_int_equal(again.version, 3);
	assert_string_equal(again.host, "alpha");
	assert_true(member_same_place(&again.at[1], &m.at[1]));
	again.at[1].port++;
	assert_false(member_same_place(&again.at[1], &m.at[1]));
}

static void what_no_list_says_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"{}",
		"{\"version\":0,\"made\":1,\"host\":\"a\",\"members\":[]}",
		"{\"version\":1,\"made\":1,\"host\":\"../a\",\"members\":[]}",
		"{\"version\":1,\"made\":1,\"host\":\"a\",\"members\":[{"
		"\"name\":\"../b\",\"addresses\":[],\"port\":1,\"serial\":1,"
		"\"until\":1,\"removed\":0}]}",
		"{\"version\":1,\"made\":1,\"host\":\"a\",\"members\":[{"
		"\"name\":\"b\",\"addresses\":[],\"port\":1,\"serial\":1,"
		"\"until\":1,\"removed\":0},{"
		"\"name\":\"b\",\"addresses\":[],\"port\":1,\"serial\":1,"
		"\"until\":1,\"removed\":0}]}",
	};
	struct members m;
	struct error e;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(members_parse(&m, wrong[i], &e), -EBADMSG);
}

static void a_removed_host_proves_nothing_until_it_joins_anew(void **state)
{
	SCOPED(members_done) struct members m = list_of_two();
	struct member again = host("beta", 8);
	struct error e;

	(void)state;
	assert_int_equal(members_check(&m, "beta", 3, &e), 0);
	assert_int_equal(members_check(&m, "stranger", 3, &e), 0);
	assert_int_equal(members_remove(&m, "nobody", 8, 60, &e), -ENOENT);
	assert_int_equal(members_remove(&m, "beta", 8, 60, &e), 0);
	assert_int_equal(members_remove(&m, "beta", 8, 60, &e), -ENOENT);
	assert_int_equal(members_check(&m, "beta", 3, &e), -EACCES);
	assert_string_equal(e.text,
			    "host beta was removed at 1970-01-01 00:01:00 UTC, "
			    "as host alpha says, which has the CA's key: have "
			    "it join anew");
	assert_int_equal(members_check(&m, "beta", 9, &e), -EACCES);
	assert_int_equal(members_put(&m, &again, &e), 0);
	assert_int_equal(members_check(&m, "beta", 7, &e), -EACCES);
	assert_int_equal(members_check(&m, "beta", 8, &e), 0);
	assert_int_equal(members_check(&m, "alpha", 2, &e), 0);
}

static void a_removal_is_kept_until_its_certificates_have_expired(void **state)
{
	SCOPED(members_done) struct members m = list_of_two();
	struct error e;

	(void)state;
	assert_int_equal(members_remove(&m, "beta", 8, 60, &e), 0);
	members_forget_old(&m, 5000);
	assert_non_null(members_find(&m, "beta"));
	members_forget_old(&m, 5001);
	assert_null(members_find(&m, "beta"));
	assert_non_null(members_find(&m, "alpha"));
}

/* What two lists of one CA say of host x, the newer one first; 0: it has no
 * entry.  Made at 1000. */
struct entry {
	uint64_t serial;
	int64_t until_s, removed_s;
};

static void put_entry(struct members *m, const struct entry *x)
{
	struct member one = host("x", x->serial);
	struct error e;

	if (x->serial == 0)
		return;
	one.until_s = x->until_s;
	one.removed_s = x->removed_s;
	assert_int_equal(members_put(m, &one, &e), 0);
}

static void merged_lists_say_what_was_said_last(void **state)
{
	static const struct {
		struct entry newer, older, both;
		int changed;
	} rows[] = {
		/* the same */
		{ { 5, 5000, 0 }, { 5, 5000, 0 }, { 5, 5000, 0 }, 0 },
		/* removed since; joined anew since */
		{ { 9, 5000, 60 }, { 5, 5000, 0 }, { 9, 5000, 60 }, 0 },
		{ { 12, 6000, 0 }, { 9, 5000, 60 }, { 12, 6000, 0 }, 0 },
		/* removed by who is not heard of any more */
		{ { 5, 5000, 0 }, { 9, 5000, 60 }, { 9, 5000, 60 }, 1 },
		/* and renewed by it, which the removal has to outlast */
		{ { 9, 5000, 60 }, { 5, 7000, 0 }, { 9, 7000, 60 }, 1 },
		/* let in, or removed, by it */
		{ { 0, 0, 0 }, { 5, 5000, 0 }, { 5, 5000, 0 }, 1 },
		{ { 0, 0, 0 }, { 9, 5000, 60 }, { 9, 5000, 60 }, 1 },
		/* forgotten since */
		{ { 0, 0, 0 }, { 9, 999, 60 }, { 0, 0, 0 }, 0 },
		/* a removal and a certificate of one number, of a version
		 * before: the newer list counts */
		{ { 9, 5000, 0 }, { 9, 5000, 60 }, { 9, 5000, 0 }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SCOPED(members_done) struct members newer = { .made_s = 1000 };
		SCOPED(members_done) struct members older = { .made_s = 900 };
		struct member none = { .name = "" };
		const struct member *x;
		struct error e;

		put_entry(&newer, &rows[i].newer);
		put_entry(&older, &rows[i].older);
		assert_int_equal(members_merge(&newer, &older, &e),
				 rows[i].changed);
		x = members_find(&newer, "x");
		if (!x)
			x = &none;
		assert_int_equal(x->serial, rows[i].both.serial);
		assert_int_equal(x->until_s, rows[i].both.until_s);
		assert_int_equal(x->removed_s, rows[i].both.removed_s);
		assert_int_equal(members_serial(&newer), x->serial);
		/* Said once, it is no news. */
		assert_int_equal(members_merge(&newer, &older, &e), 0);
	}
}

static void a_list_is_full_at_its_limit(void **state)
{
	SCOPED(members_done) struct members m = { .version = 1 };
	SCOPED(members_done) struct members other = { .version = 1 };
	const struct member removed = { .name = "host7",
					.serial = 9,
					.removed_s = 60 };
	struct error e;

	(void)state;
	for (int i = 0; i < MEMBERS_MAX; i++) {
		struct member one = host("x", 1);

		snprintf(one.name, sizeof(one.name), "host%d", i);
		assert_int_equal(members_put(&m, &one, &e), 0);
	}
	assert_int_equal(members_put(&m, &(struct member){ .name = "more" },
				     &e),
			 -EBUSY);
	assert_int_equal(members_put(&m, &(struct member){ .name = "host7" },
				     &e),
			 0);
	/* What another one says of its hosts it takes all the same. */
	assert_int_equal(members_put(&other, &(struct member){ .name = "more" },
				     &e),
			 0);
	assert_int_equal(members_merge(&m, &other, &e), 0);
	assert_int_equal(members_put(&other, &removed, &e), 0);
	assert_int_equal(members_merge(&m, &other, &e), 1);
	assert_int_equal(members_find(&m, "host7")->removed_s, 60);
	assert_int_equal(m.count, MEMBERS_MAX);
}

static void only_what_the_ca_signed_is_its_word(void **state)
{
	SCOPED(signed_key_done) struct signed_key ca = { 0 }, other = { 0 };
	char signature[SIGNATURE_CAP];
	struct error e;

	(void)state;
	assert_int_equal(authority_new(&ca, "one", 1000000, &e), 0);
	assert_int_equal(authority_new(&other, "other", 1000000, &e), 0);
	assert_int_equal(signature_make(signature, ca.key, "list", &e), 0);
	assert_int_equal(signature_check(signature, ca.certificate, "list", &e),
			 0);
	assert_int_equal(signature_check(signature, ca.certificate, "List", &e),
			 -EACCES);
	assert_int_equal(signature_check(signature, other.certificate, "list",
					 &e),
			 -EACCES);
	for (const char *const *s =
		     (const char *const[]){ "", "3", "zz", "3045", NULL };
	     *s; s++)
		assert_int_equal(signature_check(*s, ca.certificate, "list",
						 &e),
				 -EACCES);
}

static void a_certificate_is_renewed_a_month_ahead(void **state)
{
	const int64_t day = 86400;
	static const struct {
		int days_left;
		bool heard;
		int64_t warned_days_ago; /* 0: never */
		bool due, warns;
	} rows[] = {
		{ 700, false, 0, false, false }, { 61, false, 0, false, false },
		{ 60, true, 0, false, false },   { 60, false, 0, false, true },
		{ 31, true, 0, false, false },   { 30, true, 0, true, false },
		{ 30, false, 0, true, true },    { 10, false, 1, true, true },
		{ 0, true, 0, true, false },     { -5, false, 0, true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct renewal r = { .now_s = 1000 * day };

		r.until_s = r.now_s + rows[i].days_left * day;
		r.authority_heard = rows[i].heard;
		if (rows[i].warned_days_ago)
			r.warned_s = r.now_s - rows[i].warned_days_ago * day;
		assert_int_equal(renewal_due(&r), rows[i].due);
		assert_int_equal(renewal_warns(&r), rows[i].warns);
		r.warned_s = r.now_s - day + 1; /* not again on the same day */
		assert_false(renewal_warns(&r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_reads_back_the_same),
		cmocka_unit_test(what_no_list_says_is_refused),
		cmocka_unit_test(
			a_removed_host_proves_nothing_until_it_joins_anew),
		cmocka_unit_test(
			a_removal_is_kept_until_its_certificates_have_expired),
		cmocka_unit_test(merged_lists_say_what_was_said_last),
		cmocka_unit_test(a_list_is_full_at_its_limit),
		cmocka_unit_test(only_what_the_ca_signed_is_its_word),
		cmocka_unit_test(a_certificate_is_renewed_a_month_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
