/* SPDX-License-Identifier: MIT */

/*
 * What this program says of bonds, against what the kernel does: a bond over
 * three veth pairs, packets from many ports, and the counters of the members.
 * Needs a kernel with bonding; where the own one has none, tests/lab runs this
 * in one that has.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "network.h"
#include "nic/bond.h"
#include "nic/inventory.h"
#include "nic/ports.h"
#include "waits.h"

enum { MEMBERS = 3, PACKETS = 10, WAIT_US = 5000000, TO_PORT = 6600 };

/* Packets that have left each member: veths a0 to a2, in the order in which
 * they joined. */
static void read_sent(unsigned long sent[MEMBERS])
{
	FILE *f = fopen("/proc/thread-self/net/dev", "re");
	unsigned long count;
	char line[512];
	unsigned i;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line,
			   " a%u: %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu", &i,
			   &count) == 2 &&
		    i < MEMBERS)
			sent[i] = count;
	fclose(f);
}

static void make_bond(const char *mode)
{
	char line[128];

	snprintf(line, sizeof(line), "link add bond0 type bond %s miimon 20",
		 mode);
	MAKE(line, "link add a0 type veth peer name b0",
	     "link add a1 type veth peer name b1",
	     "link add a2 type veth peer name b2", "link set a0 master bond0",
	     "link set a1 master bond0", "link set a2 master bond0",
	     "link set b0 up", "link set b1 up", "link set b2 up",
	     "link set bond0 up", "address add 10.7.0.1/24 dev bond0",
	     "address add fd00:7::1/64 dev bond0 nodad",
	     "neighbor add 10.7.0.2 lladdr 02:00:00:00:00:22 dev bond0",
	     "neighbor add fd00:7::2 lladdr 02:00:00:00:00:22 dev bond0");
}

/* The bond, once @members of its members can send. */
static struct nic_bond bond_with(unsigned members, struct flow *flow)
{
	uint64_t deadline = clock_us() + WAIT_US;
	struct nic_bond bond;

	do {
		struct inventory *inv = network_read();
		const struct nic *n = network_card(inv, "bond0");

		assert_int_equal(n->kind, NIC_BOND);
		bond = n->bond;
		memcpy(flow->from_mac, n->mac, NIC_MAC_BYTES);
		inventory_drop(inv);
		wait_moment();
	} while (bond.members != members && clock_us() < deadline);
	assert_int_equal(bond.members, members);
	return bond;
}

static struct flow flow_of(int family)
{
	struct flow f = { .family = family,
			  .to_port = TO_PORT,
			  .to_mac = { 2, 0, 0, 0, 0, 0x22 } };
	bool v4 = family == AF_INET;

	inet_pton(family, v4 ? "10.7.0.1" : "fd00:7::1", f.from);
	inet_pton(family, v4 ? "10.7.0.2" : "fd00:7::2", f.to);
	return f;
}

static void send_from(const struct flow *f)
{
	struct sockaddr_in6 from6 = { .sin6_family = AF_INET6,
				      .sin6_port = htons(f->from_port) };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(f->to_port) };
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_port = htons(f->from_port) };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(f->to_port) };
	bool v4 = f->family == AF_INET;
	int fd = socket(f->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const void *a = v4 ? (void *)&from : (void *)&from6;
	const void *b = v4 ? (void *)&to : (void *)&to6;
	socklen_t len = v4 ? sizeof(from) : sizeof(from6);

	memcpy(&from.sin_addr, f->from, 4);
	memcpy(&to.sin_addr, f->to, 4);
	memcpy(&from6.sin6_addr, f->from, 16);
	memcpy(&to6.sin6_addr, f->to, 16);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, a, len), 0);
	for (int i = 0; i < PACKETS; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, b, len), 1);
	close(fd);
}

/* Some packets of the kernel's own may be in between. */
static unsigned member_used(const struct flow *f)
{
	unsigned long before[MEMBERS] = { 0 }, after[MEMBERS] = { 0 };

	read_sent(before);
	send_from(f);
	read_sent(after);
	for (unsigned i = 0; i < MEMBERS; i++)
		if (after[i] - before[i] >= PACKETS)
			return i;
	fail_msg("no member sent %d packets", PACKETS);
	return 0;
}

static void check_policy(const char *policy, int family)
{
	struct flow f = flow_of(family);
	struct nic_bond bond;
	char line[96];

	snprintf(line, sizeof(line),
		 "link set bond0 type bond "
		 "xmit_hash_policy %s",
		 policy);
	network_change(line);
	bond = bond_with(MEMBERS, &f);
	assert_string_equal(bond_policy_names[bond.policy], policy);
	for (uint16_t port = 40000; port < 40008; port++) {
		f.from_port = port;
		if (member_used(&f) != bond_member(&bond, &f))
			fail_msg("%s: port %u leaves by %u, not by %u", policy,
				 port, member_used(&f), bond_member(&bond, &f));
	}
}

static void test_the_kernel_takes_the_member_that_was_told(void **state)
{
	static const char *const policies[] = {
		"layer2", "layer2+3", "layer3+4", "encap2+3", "vlan+srcmac",
	};

	(void)state;
	make_bond("mode balance-xor");
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		check_policy(policies[i], AF_INET);
		check_policy(policies[i], AF_INET6);
	}
}

static void test_chosen_ports_leave_by_all_members_alike(void **state)
{
	unsigned used[MEMBERS] = { 0 };
	uint16_t ports[2 * MEMBERS];
	struct nic_bond bond;
	struct port_wish w = { .flow = flow_of(AF_INET),
			       .lowest = 40000,
			       .highest = 40999,
			       .bond = &bond };
	struct error e;

	(void)state;
	make_bond("mode balance-xor xmit_hash_policy layer3+4");
	bond = bond_with(MEMBERS, &w.flow);
	assert_int_equal(ports_pick(ports, ARRAY_SIZE(ports), &w, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		w.flow.from_port = ports[i];
		used[member_used(&w.flow)]++;
	}
	for (unsigned i = 0; i < MEMBERS; i++)
		assert_int_equal(used[i], 2);
}

static void test_a_member_without_its_cable_is_not_counted(void **state)
{
	struct flow f = flow_of(AF_INET);
	struct nic_bond bond;

	(void)state;
	make_bond("mode balance-xor xmit_hash_policy layer3+4");
	bond_with(MEMBERS, &f);
	network_change("link set b0 down");
	bond = bond_with(MEMBERS - 1, &f);
	/* Those that are left move up: a1 is the first now. */
	for (f.from_port = 40000; f.from_port < 40012; f.from_port++)
		assert_int_equal(member_used(&f), bond_member(&bond, &f) + 1);
}

static void test_modes_are_recognised(void **state)
{
	static const struct {
		const char *mode;
		bool receives_on_one, predictable;
	} modes[] = {
		{ "balance-rr", false, false },
		{ "active-backup", true, false },
		{ "balance-xor", false, true },
		{ "broadcast", false, false },
		{ "802.3ad", false, true },
		{ "balance-tlb", true, false },
		{ "balance-tlb tlb_dynamic_lb 0", true, true },
		{ "balance-alb", true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		char name[64], words[96];
		struct inventory *inv;
		const struct nic *n;

		snprintf(words, sizeof(words), "mode %s", modes[i].mode);
		make_bond(words);
		inv = network_read();
		n = network_card(inv, "bond0");
		snprintf(name, sizeof(name), "%s", modes[i].mode);
		name[strcspn(name, " ")] = '\0';
		assert_string_equal(bond_mode_names[n->bond.mode], name);
		assert_int_equal(bond_receives_on_one(&n->bond),
				 modes[i].receives_on_one);
		if (n->bond.members > 0)
			assert_int_equal(bond_predictable(&n->bond),
					 modes[i].predictable);
		inventory_drop(inv);
	}
}

static void test_members_are_left_to_their_bond(void **state)
{
	char why[NIC_REASON];
	struct inventory *inv;
	struct flow f;

	(void)state;
	make_bond("mode active-backup");
	assert_int_equal(bond_with(1, &f).mode, BOND_ACTIVE_BACKUP);
	inv = network_read();
	assert_true(nic_usable(inv, network_card(inv, "bond0"), why));
	assert_false(nic_usable(inv, network_card(inv, "a1"), why));
	assert_string_equal(why, "a1 is a member of the bond bond0, which is "
				 "used instead");
	inventory_drop(inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_the_kernel_takes_the_member_that_was_told),
		cmocka_unit_test(test_chosen_ports_leave_by_all_members_alike),
		cmocka_unit_test(
			test_a_member_without_its_cable_is_not_counted),
		cmocka_unit_test(test_modes_are_recognised),
		cmocka_unit_test(test_members_are_left_to_their_bond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
