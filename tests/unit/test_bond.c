/* SPDX-License-Identifier: MIT */

/* The members of bonds.  The expected values were worked out apart from the
 * program, by the formulas of the kernel's bonding.rst, for a little-endian
 * machine; the layer3+4 one of 10.0.0.1:40000 is written out below. */
#include "unit.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "nic/bond.h"
#include "nic/ports.h"
#include "nic/toeplitz.h"

static struct flow flow_between(const char *from, const char *to)
{
	struct flow f = { .from_port = 40000,
			  .to_port = 6600,
			  .from_mac = { 2, 0, 0, 0, 0, 0x11 },
			  .to_mac = { 2, 0, 0, 0, 0, 0x22 } };

	f.family = strchr(to, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(f.family, from, f.from), 1);
	assert_int_equal(inet_pton(f.family, to, f.to), 1);
	return f;
}

static struct flow flow4(void)
{
	return flow_between("10.0.0.1", "10.0.0.2");
}

static struct flow flow6(void)
{
	return flow_between("fd00:1::1", "fd00:1::abcd:2");
}

static void need_little_endian(void)
{
	if (__BYTE_ORDER != __LITTLE_ENDIAN)
		skip();
}

static void test_layer2_takes_the_macs_and_the_ethertype(void **state)
{
	struct flow f4 = flow4(), f6 = flow6();

	(void)state;
	/* 0x11 ^ 0x22 ^ 0x0800, and ^ 0x86dd */
	assert_int_equal(bond_hash(BOND_LAYER2, &f4), 0x833);
	assert_int_equal(bond_hash(BOND_LAYER2, &f6), 0x86ee);
}

static void test_layer23_adds_the_addresses(void **state)
{
	struct flow f4 = flow4(), f6 = flow6();

	(void)state;
	need_little_endian();
	assert_int_equal(bond_hash(BOND_LAYER23, &f4), 0x03030b38);
	assert_int_equal(bond_hash(BOND_LAYER23, &f6), 0x0303480d);
	assert_int_equal(bond_hash(BOND_ENCAP23, &f4), 0x03030b38);
	f4.from_port = 40001;
	assert_int_equal(bond_hash(BOND_LAYER23, &f4), 0x03030b38);
}

/*     ports in memory  9c 40 19 c8   word      c819409c
 *     10.0.0.1 ^ 10.0.0.2            word      03000000
 *                                    together  cb19409c
 *     ^ >> 16                                  cb198b85
 *     ^ >> 8                                   cbd2920e
 *     >> 1                                     65e94907
 */
static void test_layer34_takes_the_ports_and_drops_the_lowest_bit(void **state)
{
	static const uint32_t expect4[] = { 0x65e94907, 0x65e94987, 0x65e94806,
					    0x65e94886 };
	static const uint32_t expect6[] = { 0x65e92fb4, 0x65e92f34, 0x65e92eb5,
					    0x65e92e35 };
	struct flow f4 = flow4(), f6 = flow6();

	(void)state;
	need_little_endian();
	for (uint16_t i = 0; i < ARRAY_SIZE(expect4); i++) {
		f4.from_port = f6.from_port = (uint16_t)(40000 + i);
		assert_int_equal(bond_hash(BOND_LAYER34, &f4), expect4[i]);
		assert_int_equal(bond_hash(BOND_LAYER34, &f6), expect6[i]);
		assert_int_equal(bond_hash(BOND_ENCAP34, &f4), expect4[i]);
	}
}

static void test_vlan_and_source_mac_are_all_that_counts(void **state)
{
	struct flow f = flow4();

	(void)state;
	f.vlan = 7;
	/* 7 ^ 0x020000 ^ 0x000011 */
	assert_int_equal(bond_hash(BOND_VLAN_SRCMAC, &f), 0x020016);
	f.to_port++;
	f.to[3]++;
	assert_int_equal(bond_hash(BOND_VLAN_SRCMAC, &f), 0x020016);
}

static void test_the_member_is_the_hash_modulo_the_members(void **state)
{
	struct nic_bond bond = { .mode = BOND_XOR, .policy = BOND_LAYER34 };
	struct flow f = flow4();

	(void)state;
	need_little_endian();
	for (bond.members = 1; bond.members <= 5; bond.members++)
		assert_int_equal(bond_member(&bond, &f),
				 0x65e94907 % bond.members);
}

static void test_modes_say_whether_the_member_can_be_told(void **state)
{
	static const struct {
		struct nic_bond bond;
		bool predictable, heeds_ports, receives_on_one;
		unsigned sending, receiving; /* flows, of two members */
	} cases[] = {
		{ { BOND_ROUND_ROBIN, BOND_LAYER34, true }, 0, 0, 0, 1, 2 },
		{ { BOND_ACTIVE_BACKUP, BOND_LAYER34, true }, 0, 0, 1, 1, 1 },
		{ { BOND_XOR, BOND_LAYER34, true }, 1, 1, 0, 2, 2 },
		{ { BOND_XOR, BOND_LAYER2, true }, 1, 0, 0, 1, 2 },
		{ { BOND_BROADCAST, BOND_LAYER34, true }, 0, 0, 0, 1, 2 },
		{ { BOND_8023AD, BOND_LAYER34, true }, 1, 1, 0, 2, 2 },
		{ { BOND_8023AD, BOND_LAYER23, true }, 1, 0, 0, 1, 2 },
		{ { BOND_8023AD, BOND_ENCAP34, true }, 0, 0, 0, 2, 2 },
		{ { BOND_8023AD, BOND_ENCAP23, true }, 1, 0, 0, 1, 2 },
		{ { BOND_TLB, BOND_LAYER2, true }, 0, 0, 1, 1, 1 },
		{ { BOND_TLB, BOND_LAYER34, true }, 0, 0, 1, 2, 1 },
		{ { BOND_TLB, BOND_LAYER34, false }, 1, 1, 1, 2, 1 },
		{ { BOND_ALB, BOND_LAYER34, true }, 0, 0, 1, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nic_bond bond = cases[i].bond;

		bond.members = 2;
		assert_int_equal(bond_predictable(&bond), cases[i].predictable);
		assert_int_equal(bond_heeds_ports(&bond), cases[i].heeds_ports);
		assert_int_equal(bond_receives_on_one(&bond),
				 cases[i].receives_on_one);
		assert_non_null(strstr(bond_flows_text(&bond), "."));
		assert_int_equal(bond_sending_flows(&bond), cases[i].sending);
		assert_int_equal(bond_receiving_flows(&bond),
				 cases[i].receiving);
		bond.members = 0;
		assert_false(bond_predictable(&bond));
		assert_int_equal(bond_sending_flows(&bond), 1);
		assert_int_equal(bond_receiving_flows(&bond), 1);
	}
}

/* How often each of @bins is met, from @least to @most. */
static void check_even(const unsigned *used, unsigned bins, size_t count)
{
	for (unsigned i = 0; i < bins; i++)
		assert_in_range(used[i], count / bins,
				(count + bins - 1) / bins);
}

static void test_chosen_ports_use_every_member_alike(void **state)
{
	struct nic_bond bond = { .mode = BOND_8023AD, .policy = BOND_LAYER34 };
	struct port_wish w = { .lowest = 40000,
			       .highest = 40499,
			       .bond = &bond };
	struct error e;

	(void)state;
	for (bond.members = 1; bond.members <= 8; bond.members++) {
		for (size_t count = 1; count <= 32; count++) {
			unsigned used[8] = { 0 };
			uint16_t ports[PORTS_MAX];

			w.flow = count % 2 ? flow4() : flow6();
			assert_int_equal(ports_pick(ports, count, &w, &e), 0);
			for (size_t i = 0; i < count; i++) {
				w.flow.from_port = ports[i];
				used[bond_member(&bond, &w.flow)]++;
			}
			check_even(used, bond.members, count);
		}
	}
}

enum { QUEUES = 4, MEMBERS = 2, BOTH = 8 };

static void test_members_and_queues_are_spread_together(void **state)
{
	struct nic_bond bond = { .mode = BOND_XOR,
				 .policy = BOND_LAYER34,
				 .members = MEMBERS };
	uint32_t table[64];
	uint8_t key[40];
	struct nic_rss rss = { table, ARRAY_SIZE(table), key, sizeof(key),
			       true };
	struct port_wish w = {
		.lowest = 40000, .highest = 40999, .bond = &bond, .rss = &rss
	};
	unsigned members[MEMBERS] = { 0 }, queues[QUEUES] = { 0 };
	uint16_t ports[BOTH];
	struct error e;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		table[i] = i % QUEUES;
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 37 + 11);
	w.flow = flow4();
	assert_int_equal(ports_pick(ports, BOTH, &w, &e), 0);
	for (size_t i = 0; i < BOTH; i++) {
		w.flow.from_port = ports[i];
		members[bond_member(&bond, &w.flow)]++;
		queues[rss_queue(&rss, &w.flow)]++;
	}
	check_even(members, MEMBERS, BOTH);
	check_even(queues, QUEUES, BOTH);
}

/* Opens one after the other anew, as long as that is better; how many. */
static unsigned spread_again(struct port_wish *w, uint16_t *held, size_t count)
{
	unsigned opened = 0;
	struct error e;
	int i;

	w->held = held;
	w->held_count = count;
	while ((i = ports_crowded(w, /* surplus */ false)) >= 0) {
		held[i] = held[count - 1];
		w->held_count = count - 1;
		assert_int_equal(ports_pick(&held[count - 1], 1, w, &e), 0);
		w->held_count = count;
		assert_true(opened++ < count);
	}
	return opened;
}

static void test_what_shares_a_member_is_opened_anew_and_nothing_else(
	void **state)
{
	struct nic_bond bond = { .mode = BOND_8023AD, .policy = BOND_LAYER34 };
	struct port_wish w = { .lowest = 40000,
			       .highest = 40499,
			       .bond = &bond,
			       .flow = flow4() };

	(void)state;
	for (bond.members = 1; bond.members <= 8; bond.members++) {
		for (size_t count = 1; count <= 16; count++) {
			unsigned used[8] = { 0 };
			uint16_t held[16];

			/* Two ports in a row have one member. */
			for (size_t i = 0; i < count; i++)
				held[i] = (uint16_t)(41000 + i);
			spread_again(&w, held, count);
			for (size_t i = 0; i < count; i++) {
				w.flow.from_port = held[i];
				used[bond_member(&bond, &w.flow)]++;
			}
			check_even(used, bond.members, count);
			assert_int_equal(spread_again(&w, held, count), 0);
		}
	}
}

static void test_of_too_many_one_of_the_fullest_member_goes(void **state)
{
	struct nic_bond bond = { .mode = BOND_8023AD,
				 .policy = BOND_LAYER34,
				 .members = MEMBERS };
	/* The lowest bit does not count: the first and the last share one. */
	const uint16_t held[] = { 40000, 40002, 40001 };
	struct port_wish w = { .lowest = 40000,
			       .highest = 40499,
			       .bond = &bond,
			       .flow = flow4(),
			       .held = held,
			       .held_count = 2 };

	(void)state;
	assert_int_equal(ports_crowded(&w, /* surplus */ false), -1);
	assert_in_range(ports_crowded(&w, /* surplus */ true), 0, 1);
	w.held_count = 3;
	assert_int_equal(ports_crowded(&w, /* surplus */ false), -1);
	assert_int_not_equal(ports_crowded(&w, /* surplus */ true), 1);
	w.held_count = 0;
	assert_int_equal(ports_crowded(&w, /* surplus */ true), -1);
}

static void test_of_what_was_measured_one_that_shares_its_queue_goes(
	void **state)
{
	const uint16_t held[] = { 40000, 40002, 40004, 40006 };
	unsigned queue[] = { 7, 9, 7, 8 };
	struct port_wish w = { .lowest = 40000,
			       .highest = 40499,
			       .flow = flow4(),
			       .held = held,
			       .held_count = ARRAY_SIZE(held),
			       .held_queue = queue,
			       .queues = 4 };

	(void)state;
	assert_int_equal(ports_crowded(&w, /* surplus */ false), 2);
	/* There is no other queue. */
	w.queues = 3;
	assert_int_equal(ports_crowded(&w, /* surplus */ false), -1);
	w.queues = 0;
	assert_int_equal(ports_crowded(&w, /* surplus */ false), -1);
	w.queues = 4;
	queue[2] = 6;
	assert_int_equal(ports_crowded(&w, /* surplus */ false), -1);
	/* Nothing is done before all of them have been seen. */
	queue[2] = 7;
	queue[3] = 0;
	assert_int_equal(ports_crowded(&w, /* surplus */ false), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layer2_takes_the_macs_and_the_ethertype),
		cmocka_unit_test(test_layer23_adds_the_addresses),
		cmocka_unit_test(
			test_layer34_takes_the_ports_and_drops_the_lowest_bit),
		cmocka_unit_test(test_vlan_and_source_mac_are_all_that_counts),
		cmocka_unit_test(
			test_the_member_is_the_hash_modulo_the_members),
		cmocka_unit_test(test_modes_say_whether_the_member_can_be_told),
		cmocka_unit_test(test_chosen_ports_use_every_member_alike),
		cmocka_unit_test(test_members_and_queues_are_spread_together),
		cmocka_unit_test(
			test_what_shares_a_member_is_opened_anew_and_nothing_else),
		cmocka_unit_test(
			test_of_too_many_one_of_the_fullest_member_goes),
		cmocka_unit_test(
			test_of_what_was_measured_one_that_shares_its_queue_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
