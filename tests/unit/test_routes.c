/* SPDX-License-Identifier: MIT */

/* Questions to a kernel with routes of the test's own. */
#include "unit.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/error.h"
#include "network.h"
#include "nic/address.h"
#include "nic/pairs.h"
#include "nic/routes.h"

/* Two cards on networks of their own; nothing else is reached. */
#define CARDS \
	"link set lo up", "link add a0 type veth peer name b0", \
		"link add a1 type veth peer name b1", "link set a0 up", \
		"link set b0 up", "link set a1 up", "link set b1 up", \
		"address add 10.7.0.1/24 dev a0", \
		"address add 10.7.1.1/24 dev a1", \
		"address add fd00:7:0::1/64 dev a0 nodad", \
		"address add fd00:7:1::1/64 dev a1 nodad"

static struct nic_address address(const char *text)
{
	struct nic_address a = { 0 };

	if (nic_address_parse(&a, text) < 0)
		fail_msg("'%s' is not an address", text);
	return a;
}

static int lookup(const char *nic, const char *from, const char *to)
{
	struct nic_address a = address(from), b = address(to);
	struct card c = { .ifindex = (int)if_nametoindex(nic) };

	assert_true(c.ifindex > 0);
	return route_lookup(NULL, &c, &a, &b);
}

static void test_neighbours_are_reached_directly(void **state)
{
	(void)state;
	MAKE(CARDS);
	assert_int_equal(lookup("a0", "10.7.0.1/24", "10.7.0.9"), 1);
	assert_int_equal(lookup("a1", "fd00:7:1::1/64", "fd00:7:1::9"), 1);
}

static void test_without_a_route_nothing_is_reached(void **state)
{
	(void)state;
	MAKE(CARDS);
	assert_int_equal(lookup("a0", "10.7.0.1/24", "10.9.0.1"), 0);
	assert_int_equal(lookup("a0", "10.7.0.1/24", "10.7.1.9"), 0);
	assert_int_equal(lookup("a0", "fd00:7:0::1/64", "fd00:9::1"), 0);
	assert_int_equal(lookup("a0", "fd00:7:0::1/64", "fd00:7:1::9"), 0);
	assert_int_equal(lookup("a0", "10.7.0.1/24", "fd00:7:0::9"), 0);
}

static void test_a_gateway_is_told_from_a_neighbour(void **state)
{
	(void)state;
	MAKE(CARDS, "route add 10.9.0.0/16 via 10.7.0.254",
	     "route add 10.10.0.0/16 dev a1",
	     "route add fd00:9::/48 via fd00:7:1::fe");
	assert_int_equal(lookup("a0", "10.7.0.1/24", "10.9.0.1"), 2);
	assert_int_equal(lookup("a1", "10.7.1.1/24", "10.9.0.1"), 0);
	assert_int_equal(lookup("a1", "10.7.1.1/24", "10.10.0.1"), 1);
	assert_int_equal(lookup("a1", "fd00:7:1::1/64", "fd00:9::1"), 2);
	assert_int_equal(lookup("a0", "fd00:7:0::1/64", "fd00:9::1"), 0);
}

static void test_each_of_several_next_hops_counts(void **state)
{
	(void)state;
	MAKE(CARDS, "route add 10.9.0.0/16 nexthop via 10.7.0.254 dev a0 "
		    "nexthop via 10.7.1.254 dev a1");
	assert_int_equal(lookup("a0", "10.7.0.1/24", "10.9.0.1"), 2);
	assert_int_equal(lookup("a1", "10.7.1.1/24", "10.9.0.1"), 2);
}

static void test_own_addresses_are_not_reached_over_a_card(void **state)
{
	(void)state;
	MAKE(CARDS);
	assert_int_equal(lookup("a0", "10.7.0.1/24", "10.7.1.1"), 0);
	assert_int_equal(lookup("a0", "fd00:7:0::1/64", "fd00:7:1::1"), 0);
}

static void expect_from(const char *to, const char *nic, const char *from)
{
	struct nic_address a = address(to), got = { 0 };
	char name[IF_NAMESIZE] = "", text[NIC_ADDRESS_TEXT];
	struct error e = { 0 };

	if (route_from(name, &got, &a, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(name, nic);
	nic_address_text(text, &got);
	assert_string_equal(text, from);
}

static void test_the_kernels_own_choice_is_told(void **state)
{
	struct nic_address nowhere = address("10.99.0.1"), got = { 0 };
	char name[IF_NAMESIZE];
	struct error e = { 0 };

	(void)state;
	MAKE(CARDS, "route add 10.9.0.0/16 via 10.7.1.254");
	expect_from("10.7.0.9", "a0", "10.7.0.1/32");
	expect_from("10.9.0.1", "a1", "10.7.1.1/32");
	expect_from("fd00:7:1::9", "a1", "fd00:7:1::1/128");
	expect_from("127.0.0.1", "lo", "127.0.0.1/32");
	assert_int_equal(route_from(name, &got, &nowhere, &e), -EHOSTUNREACH);
	assert_string_equal(e.text, "no route to 10.99.0.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours_are_reached_directly),
		cmocka_unit_test(test_without_a_route_nothing_is_reached),
		cmocka_unit_test(test_a_gateway_is_told_from_a_neighbour),
		cmocka_unit_test(test_each_of_several_next_hops_counts),
		cmocka_unit_test(
			test_own_addresses_are_not_reached_over_a_card),
		cmocka_unit_test(test_the_kernels_own_choice_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
