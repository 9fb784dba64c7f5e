/* SPDX-License-Identifier: MIT */

/* The ordered list of networks, and the addresses that it is made of. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "nic/address.h"
#include "nic/networks.h"

static struct nic_address address(const char *text)
{
	struct nic_address a = { 0 };

	if (nic_address_parse(&a, text) < 0)
		fail_msg("'%s' is not an address", text);
	return a;
}

static void add(struct networks *n, const char *line)
{
	struct error e = { 0 };

	if (networks_add(n, line, &e) < 0)
		fail_msg("%s", e.text);
}

static int rank(const struct networks *n, const char *nic, const char *text)
{
	struct nic_address a = address(text);

	return networks_rank(n, nic, &a);
}

static void expect_line(const struct networks *n, size_t at, const char *line)
{
	struct words all = { 0 };
	struct error e = { 0 };

	assert_int_equal(networks_words(&all, n, &e), 0);
	assert_true(at < all.count);
	assert_string_equal(all.at[at], line);
	words_done(&all);
}

static void test_an_empty_list_allows_everything(void **state)
{
	struct networks n = { .count = 0 };

	(void)state;
	assert_int_equal(rank(&n, "eth0", "10.0.0.1/24"), 0);
	assert_int_equal(rank(&n, "eth0", "fd00::1/64"), 0);
}

static void test_lines_are_ranks_and_members_of_a_line_are_equal(void **state)
{
	struct networks n = { .count = 0 };

	(void)state;
	add(&n, "10.0.0.0/24, fd00:1::/64 eth7");
	add(&n, "10.1.0.0/16");
	assert_int_equal(n.ranks, 2);
	assert_int_equal(rank(&n, "eth0", "10.0.0.9/24"), 0);
	assert_int_equal(rank(&n, "eth0", "fd00:1::5/64"), 0);
	assert_int_equal(rank(&n, "eth7", "192.168.0.1/24"), 0);
	assert_int_equal(rank(&n, "eth0", "10.1.200.1/24"), 1);
	assert_int_equal(rank(&n, "eth0", "10.0.1.9/24"), RANK_NONE);
	assert_int_equal(rank(&n, "eth70", "fd00:2::1/64"), RANK_NONE);
}

static void test_the_best_rank_counts(void **state)
{
	struct networks n = { .count = 0 };

	(void)state;
	add(&n, "10.0.0.0/24");
	add(&n, "eth0");
	add(&n, "10.0.0.0/8");
	assert_int_equal(rank(&n, "eth0", "10.0.0.1/24"), 0);
	assert_int_equal(rank(&n, "eth0", "10.9.0.1/24"), 1);
	assert_int_equal(rank(&n, "eth1", "10.9.0.1/24"), 2);
}

static void test_a_line_that_names_nothing_is_no_rank(void **state)
{
	struct networks n = { .count = 0 };

	(void)state;
	add(&n, "  ,\t");
	assert_int_equal(n.ranks, 0);
	assert_int_equal(rank(&n, "eth0", "10.0.0.1/24"), 0);
}

static void test_what_is_shown_is_what_can_be_read_again(void **state)
{
	struct networks n = { .count = 0 }, again = { .count = 0 };

	(void)state;
	add(&n, "10.0.0.77/24,fd00::ffff/64 eth0");
	add(&n, "10.9.9.9");
	add(&n, "0.0.0.0/0");
	expect_line(&n, 0, "10.0.0.0/24, fd00::/64, eth0");
	expect_line(&n, 1, "10.9.9.9/32");
	expect_line(&n, 2, "0.0.0.0/0");
	add(&again, "10.0.0.0/24, fd00::/64, eth0");
	expect_line(&again, 0, "10.0.0.0/24, fd00::/64, eth0");
}

static void refuses(const char *line, const char *text)
{
	struct networks n = { .count = 0 };
	struct error e = { 0 };

	add(&n, "eth0");
	assert_int_equal(networks_add(&n, line, &e), -EINVAL);
	assert_string_equal(e.text, text);
	assert_int_equal(n.count, 1);
	assert_int_equal(n.ranks, 1);
}

static void test_what_is_neither_is_named_and_changes_nothing(void **state)
{
	(void)state;
	refuses("eth1, 10.0.0.0/33",
		"'10.0.0.0/33' is not a network: write 10.0.0.0/24 or "
		"fd00::/64");
	refuses("10.0.0.256", "'10.0.0.256' is not a network: write "
			      "10.0.0.0/24 or fd00::/64");
	refuses("fd00::1/129", "'fd00::1/129' is not a network: write "
			       "10.0.0.0/24 or fd00::/64");
	refuses("10.0.0.0/", "'10.0.0.0/' is not a network: write "
			     "10.0.0.0/24 or fd00::/64");
	refuses("a-name-that-is-too-long",
		"'a-name-that-is-too-long' is neither a network nor the name "
		"of an interface");
	refuses("eth\x01", "'eth\x01' is neither a network nor the name of an "
			   "interface");
}

static void test_there_is_a_limit_to_the_list(void **state)
{
	struct networks n = { .count = 0 };
	struct error e = { 0 };

	(void)state;
	for (int i = 0; i < NETWORKS_MAX; i++)
		add(&n, "eth0");
	assert_int_equal(networks_add(&n, "eth1", &e), -EINVAL);
	assert_string_equal(e.text, "more than 64 networks");
}

static void test_prefixes_are_compared_by_their_bits(void **state)
{
	static const struct {
		const char *address, *prefix;
		int within;
	} cases[] = {
		{ "10.0.0.127", "10.0.0.0/25", 1 },
		{ "10.0.0.128", "10.0.0.0/25", 0 },
		{ "10.0.0.128", "10.0.0.0/0", 1 },
		{ "10.0.0.1", "10.0.0.1/32", 1 },
		{ "10.0.0.2", "10.0.0.1/32", 0 },
		{ "fd00::1", "0.0.0.0/0", 0 },
		{ "fd00:0:0:8000::1", "fd00::/48", 1 },
		{ "fd00:0:0:8000::1", "fd00::/49", 0 },
		{ "fd00::1", "fd00::/128", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nic_address a = address(cases[i].address);
		struct nic_address p = address(cases[i].prefix);

		assert_int_equal(nic_address_within(&a, &p), cases[i].within);
	}
}

static void test_what_is_no_address_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"10.0.0",
		"10.0.0.1/",
		"10.0.0.1/+1",
		"10.0.0.1/ 1",
		"10.0.0.1/0008",
		"10.0.0.1/24x",
		"eth0",
		"fd00::1/12/3",
		"/24",
		"fe80::1%eth0",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
	};
	struct nic_address a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(nic_address_parse(&a, wrong[i]), -EINVAL);
}

static void test_not_every_address_is_one_that_a_peer_can_reach(void **state)
{
	static const char *const hosts[] = { "10.0.0.1", "169.254.7.7",
					     "192.0.2.1", "fd00::1",
					     "2001:db8::1" };
	static const char *const others[] = {
		"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::",
		"::1",     "fe80::1",   "ff02::1",   "::ffff:10.0.0.1"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct nic_address a = address(hosts[i]);

		assert_true(nic_address_is_host(&a));
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct nic_address a = address(others[i]);

		assert_false(nic_address_is_host(&a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_list_allows_everything),
		cmocka_unit_test(
			test_lines_are_ranks_and_members_of_a_line_are_equal),
		cmocka_unit_test(test_the_best_rank_counts),
		cmocka_unit_test(test_a_line_that_names_nothing_is_no_rank),
		cmocka_unit_test(test_what_is_shown_is_what_can_be_read_again),
		cmocka_unit_test(
			test_what_is_neither_is_named_and_changes_nothing),
		cmocka_unit_test(test_there_is_a_limit_to_the_list),
		cmocka_unit_test(test_prefixes_are_compared_by_their_bits),
		cmocka_unit_test(test_what_is_no_address_is_refused),
		cmocka_unit_test(
			test_not_every_address_is_one_that_a_peer_can_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
