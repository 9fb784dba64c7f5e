/* SPDX-License-Identifier: MIT */

/*
 * The inventory and its events in a network namespace of the test's own, with
 * cards that ip(8) makes.  Each test has its own namespace.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "network.h"
#include "nic/events.h"
#include "nic/inventory.h"
#include "nic/view.h"
#include "waits.h"

enum { WAIT_MS = 5000 };

static void expect_reason(const struct inventory *inv, const char *name,
			  const char *reason)
{
	char why[NIC_REASON];

	assert_int_equal(nic_usable(inv, network_card(inv, name), why),
			 !reason[0]);
	assert_string_equal(why, reason);
}

static void expect_address(const struct nic *n, size_t at, const char *text)
{
	char buf[NIC_ADDRESS_TEXT];

	assert_true(at < n->addresses_count);
	nic_address_text(buf, &n->addresses[at]);
	assert_string_equal(buf, text);
}

static void test_a_new_namespace_has_a_loopback_that_is_of_no_use(void **state)
{
	struct inventory *inv;
	const struct nic *lo;

	(void)state;
	MAKE(NULL);
	inv = network_read();
	lo = network_card(inv, "lo");
	assert_int_equal(lo->kind, NIC_LOOPBACK);
	assert_false(lo->up);
	expect_reason(inv, "lo", "lo never leaves this host");
	inventory_drop(inv);
}

static void test_a_veth_tells_its_addresses_queues_and_speed(void **state)
{
	const uint8_t wanted[] = { 10, 7, 0, 1 };
	struct inventory *inv;
	const struct nic *n;

	(void)state;
	MAKE("link add a0 mtu 9000 numtxqueues 3 numrxqueues 3 type veth peer "
	     "name b0 mtu 9000",
	     "address add 10.7.0.1/24 dev a0",
	     "address add fd00:7::1/64 dev a0 nodad", "link set a0 up",
	     "link set b0 up");
	inv = network_read();
	n = network_card(inv, "a0");
	assert_int_equal(n->kind, NIC_VETH);
	assert_true(n->up && n->carrier && n->has_mac);
	assert_int_equal(n->mtu, 9000);
	assert_int_equal(n->addresses_count, 2);
	expect_address(n, 0, "10.7.0.1/24");
	expect_address(n, 1, "fd00:7::1/64");
	assert_int_equal(n->speed_mbit, 10000);
	assert_string_equal(n->driver, "veth");
	assert_int_equal(n->lower, 0);
	assert_int_equal(n->numa_node, -1);
	assert_null(n->hash.key);
	assert_int_equal(n->rss, n->rx_queues > 1);
	assert_ptr_equal(inventory_by_address(inv, AF_INET, wanted), n);
	assert_ptr_equal(inventory_wire(inv, n), n);
	expect_reason(inv, "a0", "");
	expect_reason(inv, "b0", "b0 has no address");
	inventory_drop(inv);
}

static void turn_tso_off(const char *name)
{
	struct ethtool_value off = { .cmd = ETHTOOL_STSO };
	struct ifreq request = { .ifr_data = (void *)&off };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
	close(fd);
}

static void test_features_that_are_turned_off_are_off(void **state)
{
	struct inventory *inv;
	const struct nic *n;

	(void)state;
	MAKE("link add a0 type veth peer name b0");
	turn_tso_off("a0");
	inv = network_read();
	n = network_card(inv, "b0");
	assert_true(n->features_known);
	assert_true(nic_has(n, NIC_TSO) && nic_has(n, NIC_TX_CHECKSUM));
	n = network_card(inv, "a0");
	assert_false(nic_has(n, NIC_TSO));
	assert_true(nic_has(n, NIC_TX_CHECKSUM));
	/* It could be turned on again; a veth has no LRO that could. */
	assert_true(n->features_able >> NIC_TSO & 1);
	assert_false(n->features_able >> NIC_LRO & 1);
	assert_true(n->queues_most >= 1);
	inventory_drop(inv);
}

static void test_down_and_without_carrier_are_told_apart(void **state)
{
	struct inventory *inv;

	(void)state;
	MAKE("link add a0 type veth peer name b0",
	     "address add 10.7.0.1/24 dev a0");
	inv = network_read();
	expect_reason(inv, "a0", "a0 is down");
	inventory_drop(inv);
	network_change("link set a0 up");
	inv = network_read();
	expect_reason(inv, "a0",
		      "a0 has no carrier: the cable or the other end is not "
		      "there");
	inventory_drop(inv);
}

static void test_a_macvlan_uses_the_wire_of_what_it_stands_on(void **state)
{
	struct inventory *inv;
	const struct nic *n;

	(void)state;
	MAKE("link add a0 type veth peer name b0", "link set a0 up",
	     "link set b0 up", "link add m0 link a0 type macvlan mode bridge",
	     "link set m0 up", "address add 10.7.1.1/24 dev m0");
	inv = network_read();
	n = network_card(inv, "m0");
	assert_int_equal(n->kind, NIC_MACVLAN);
	assert_int_equal(n->lower, network_card(inv, "a0")->ifindex);
	assert_ptr_equal(inventory_wire(inv, n), network_card(inv, "a0"));
	expect_reason(inv, "m0", "");
	inventory_drop(inv);
}

static void test_bridges_without_a_way_out_are_of_no_use(void **state)
{
	struct inventory *inv;

	(void)state;
	MAKE("link add inner type bridge", "link add docker0 type bridge",
	     "link add br-0123456789ab type bridge", "link set inner up",
	     "address add 10.7.2.1/24 dev inner",
	     "link add a0 type veth peer name b0", "link set a0 up",
	     "link set b0 up", "link set a0 master inner");
	inv = network_read();
	expect_reason(inv, "inner",
		      "inner is a bridge for its host's own guests and "
		      "containers");
	expect_reason(inv, "docker0",
		      "docker0 is a bridge for its host's own guests and "
		      "containers");
	expect_reason(inv, "br-0123456789ab",
		      "br-0123456789ab is a bridge for its host's own guests "
		      "and containers");
	expect_reason(inv, "a0", "a0 is a port of the bridge inner");
	inventory_drop(inv);
}

/* The kernel gives a bridge its carrier in its own time.  Returns what there is
 * after a while if it does not. */
static struct inventory *read_when_up(const char *name)
{
	uint64_t deadline = clock_us() + WAIT_MS * USEC_PER_MS;
	struct inventory *inv = network_read();

	while (!network_card(inv, name)->carrier && clock_us() < deadline) {
		inventory_drop(inv);
		wait_moment();
		inv = network_read();
	}
	return inv;
}

static void test_a_bridge_with_a_way_out_uses_its_wire(void **state)
{
	struct inventory *inv;
	const struct nic *n;

	(void)state;
	MAKE("link add a0 type veth peer name b0",
	     "link add m0 link a0 type macvlan mode passthru",
	     "link add br0 type bridge", "link set a0 up", "link set b0 up",
	     "link set m0 up", "link set m0 master br0", "link set br0 up",
	     "address add 10.7.3.1/24 dev br0");
	inv = read_when_up("br0");
	n = network_card(inv, "br0");
	assert_int_equal(n->kind, NIC_BRIDGE);
	assert_ptr_equal(inventory_wire(inv, n), network_card(inv, "a0"));
	expect_reason(inv, "br0", "");
	inventory_drop(inv);
}

static json_t *as_json(const struct shape *shape, const void *object)
{
	char *text = shape_text(shape, object);
	json_t *j = text ? json_loads(text, 0, NULL) : NULL;

	assert_non_null(j);
	free(text);
	return j;
}

static void test_json_has_the_hash_only_for_a_single_card(void **state)
{
	struct inventory *inv;
	struct nic_views all;
	struct nic_view one;
	struct error e = { 0 };
	json_t *list, *card;

	(void)state;
	MAKE("link add a0 type veth peer name b0",
	     "address add 10.7.0.1/24 dev a0");
	inv = network_read();
	assert_int_equal(nic_views_of(&all, inv, &e), 0);
	list = as_json(&nic_views_shape, &all);
	assert_int_equal(json_array_size(list), inv->count);
	assert_null(json_object_get(json_array_get(list, 0), "hash"));
	assert_int_equal(nic_view_of(&one, inv, network_card(inv, "a0"), &e),
			 0);
	card = as_json(&nic_view_shape, &one);
	assert_non_null(json_object_get(card, "hash"));
	assert_string_equal(json_string_value(json_object_get(card, "kind")),
			    "veth");
	assert_string_equal(json_string_value(
				    json_array_get(json_object_get(card,
								   "addresses"),
						   0)),
			    "10.7.0.1/24");
	assert_true(json_is_false(json_object_get(card, "usable")));
	assert_true(json_is_null(json_object_get(card, "bond")));
	assert_true(json_is_null(json_object_get(card, "numa_node")));
	json_decref(list);
	json_decref(card);
	shape_done(&nic_views_shape, &all);
	shape_done(&nic_view_shape, &one);
	inventory_drop(inv);
}

static struct nic_events *listen_to_all(void)
{
	struct nic_events *ev = NULL;
	struct error e = { 0 };

	if (nic_events_open(&ev, &e) < 0)
		fail_msg("%s", e.text);
	return ev;
}

/* Reads news until all of @wanted have come. */
static unsigned wait_for(struct nic_events *ev, unsigned wanted)
{
	uint64_t deadline = clock_us() + WAIT_MS * USEC_PER_MS;
	struct pollfd p = { .fd = nic_events_fd(ev), .events = POLLIN };
	unsigned all = 0, some;
	struct error e = { 0 };

	while ((all & wanted) != wanted) {
		if (poll(&p, 1, clock_poll_ms(deadline)) < 1)
			fail_msg("waited for %x, came %x", wanted, all);
		if (nic_events_read(ev, &some, &e) < 0)
			fail_msg("%s", e.text);
		all |= some;
	}
	return all;
}

static void test_events_tell_what_became_of_a_card(void **state)
{
	struct nic_events *ev;

	(void)state;
	MAKE("link add a0 type veth peer name b0", "link set b0 up");
	ev = listen_to_all();
	network_change("link set a0 up");
	assert_int_equal(wait_for(ev, NIC_CARRIER) & (NIC_ADDED | NIC_REMOVED),
			 0);
	network_change("address add 10.7.0.1/24 dev a0");
	wait_for(ev, NIC_ADDRESS);
	network_change("link set a0 mtu 1400");
	wait_for(ev, NIC_SETUP);
	/* The other end's: our cable is out. */
	network_change("link set b0 down");
	wait_for(ev, NIC_CARRIER);
	network_change("address del 10.7.0.1/24 dev a0");
	wait_for(ev, NIC_ADDRESS);
	network_change("link del a0");
	wait_for(ev, NIC_REMOVED);
	network_change("link add c0 type veth peer name d0");
	wait_for(ev, NIC_ADDED);
	nic_events_close(ev);
}

static void test_a_port_that_leaves_its_bridge_is_not_removed(void **state)
{
	struct nic_events *ev;

	(void)state;
	MAKE("link add a0 type veth peer name b0", "link add br0 type bridge",
	     "link set a0 master br0");
	ev = listen_to_all();
	network_change("link set a0 nomaster");
	assert_int_equal(wait_for(ev, NIC_SETUP) & NIC_REMOVED, 0);
	network_change("address add 10.7.0.1/24 dev a0");
	assert_int_equal(wait_for(ev, NIC_ADDRESS) & NIC_REMOVED, 0);
	nic_events_close(ev);
}

static void test_what_means_nothing_is_no_change(void **state)
{
	struct nic_events *ev;
	unsigned all = 0, some;
	struct error e;

	(void)state;
	MAKE("link add a0 type veth peer name b0",
	     "address add 10.7.0.1/24 dev a0");
	ev = listen_to_all();
	/* Messages, all of them, in which nothing is new. */
	network_change("link set a0 txqueuelen 77");
	network_change("address change 10.7.0.1/24 dev a0 valid_lft 1000 "
		       "preferred_lft 900");
	network_change("link set a0 alias something");
	/* The mark after which nothing of those can still come. */
	network_change("link set b0 mtu 1300");
	while (!(all & NIC_SETUP)) {
		assert_int_equal(nic_events_read(ev, &some, &e), 0);
		all |= some;
	}
	assert_int_equal(all, NIC_SETUP);
	nic_events_close(ev);
}

static void test_a_burst_that_is_too_long_is_said_and_survived(void **state)
{
	struct nic_events *ev;
	const int small = 1;

	(void)state;
	MAKE("link add a0 type veth peer name b0");
	ev = listen_to_all();
	setsockopt(nic_events_fd(ev), SOL_SOCKET, SO_RCVBUF, &small,
		   sizeof(small));
	for (int i = 0; i < 20; i++)
		network_change(i % 2 ? "link set a0 mtu 1400"
				     : "link set a0 mtu 1500");
	wait_for(ev, NIC_LOST);
	network_change("link set a0 up");
	wait_for(ev, NIC_CARRIER);
	nic_events_close(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_new_namespace_has_a_loopback_that_is_of_no_use),
		cmocka_unit_test(
			test_a_veth_tells_its_addresses_queues_and_speed),
		cmocka_unit_test(test_features_that_are_turned_off_are_off),
		cmocka_unit_test(test_down_and_without_carrier_are_told_apart),
		cmocka_unit_test(
			test_a_macvlan_uses_the_wire_of_what_it_stands_on),
		cmocka_unit_test(test_bridges_without_a_way_out_are_of_no_use),
		cmocka_unit_test(test_a_bridge_with_a_way_out_uses_its_wire),
		cmocka_unit_test(test_json_has_the_hash_only_for_a_single_card),
		cmocka_unit_test(test_events_tell_what_became_of_a_card),
		cmocka_unit_test(
			test_a_port_that_leaves_its_bridge_is_not_removed),
		cmocka_unit_test(test_what_means_nothing_is_no_change),
		cmocka_unit_test(
			test_a_burst_that_is_too_long_is_said_and_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
