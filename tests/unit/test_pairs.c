/* SPDX-License-Identifier: MIT */

/*
 * Which pairs of cards are found and which are used, between two hosts made by
 * hand.  The routes are those of switches that join equal prefixes; what a test
 * names besides is behind a gateway.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "nic/address.h"
#include "nic/pairs.h"

enum { MBIT = 1000 * 1000 / 8 };

struct world {
	struct cards near, far;
	struct pairs pairs;
	bool gateway; /* between networks that are not the same */
	unsigned asked;
	struct path_policy policy;
};

static int start(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->policy = (struct path_policy){
		.all = true, .per_card = 1, .per_rss_card = 4, .most = 32
	};
	*state = w;
	return 0;
}

static int stop(void **state)
{
	free(*state);
	return 0;
}

/* @addresses: "10.0.0.1/24 fd00::1/64" */
static struct card *card(struct cards *c, const char *name, unsigned mbit,
			 const char *addresses)
{
	struct card *new = &c->at[c->count++];
	char text[256], *next = text;
	const char *one;

	assert_true(c->count <= CARDS_MAX);
	snprintf(new->name, sizeof(new->name), "%s", name);
	snprintf(new->wire, sizeof(new->wire), "%s", name);
	new->speed_mbit = mbit;
	snprintf(text, sizeof(text), "%s", addresses);
	while ((one = strsep(&next, " "))) {
		struct card_address *a = &new->address[new->addresses++];

		assert_int_equal(nic_address_parse(&a->address, one), 0);
	}
	return new;
}

static int route(void *context, const struct card *near,
		 const struct nic_address *from, const struct nic_address *to)
{
	struct world *w = context;

	(void)near;
	w->asked++;
	if (nic_address_within(to, from))
		return 1;
	return w->gateway ? 2 : 0;
}

static void find(struct world *w)
{
	pairs_find(&w->pairs, &w->near, &w->far, route, w);
}

static struct pair *pair(struct world *w, const char *near, const char *far)
{
	for (size_t i = 0; i < w->pairs.count; i++)
		if (!strcmp(w->pairs.at[i].near->name, near) &&
		    !strcmp(w->pairs.at[i].far->name, far))
			return &w->pairs.at[i];
	fail_msg("%s and %s are no pair", near, far);
	return NULL;
}

/* What is in use, in order: "eth0-ens0*4 eth1-ens1*1 " */
static void expect_used(struct world *w, const char *expected)
{
	char text[1024] = "";
	size_t at = 0;

	pairs_choose(&w->pairs, &w->policy);
	for (size_t i = 0; i < w->pairs.count; i++) {
		const struct pair *p = &w->pairs.at[i];

		assert_int_equal(p->use == PAIR_USED, !p->why[0]);
		if (p->use == PAIR_USED)
			at += (size_t)snprintf(text + at, sizeof(text) - at,
					       "%s%s-%s*%u", at ? " " : "",
					       p->near->name, p->far->name,
					       p->connections);
	}
	assert_string_equal(text, expected);
}

static void expect_not(struct world *w, const char *near, const char *far,
		       enum pair_use use, const char *why)
{
	const struct pair *p = pair(w, near, far);

	assert_int_equal(p->use, use);
	assert_string_equal(p->why, why);
}

static void expect_why_not(struct world *w, const struct card *c,
			   const char *expected)
{
	char why[NIC_REASON];

	assert_true(pairs_why_not(&w->pairs, c, why));
	assert_string_equal(why, expected);
}

static void set_down(struct card *c)
{
	snprintf(c->why_not, sizeof(c->why_not), "%s is down", c->name);
	c->down = true;
}

/* Two cards here and two there, all on one switch. */
static void make_two_by_two(struct world *w, unsigned mbit)
{
	card(&w->near, "eth0", mbit, "10.0.0.1/24");
	card(&w->near, "eth1", mbit, "10.0.0.2/24");
	card(&w->far, "ens0", mbit, "10.0.0.11/24");
	card(&w->far, "ens1", mbit, "10.0.0.12/24");
	find(w);
}

static void test_one_card_each_is_one_pair(void **state)
{
	struct world *w = *state;
	const struct pair *p;

	card(&w->near, "eth0", 25000, "10.0.0.1/24 fd00::1/64");
	card(&w->far, "ens0", 10000, "10.0.0.2/24 fd00::2/64")->rss = true;
	find(w);
	assert_int_equal(w->pairs.count, 1);
	p = &w->pairs.at[0];
	assert_int_equal(p->routes, 2);
	assert_true(p->direct);
	assert_int_equal(p->speed, (uint64_t)10000 * MBIT);
	assert_int_equal(p->route[0].to.bytes[3], 2);
	assert_int_equal(p->route[1].from.family, AF_INET6);
	expect_used(w, "eth0-ens0*4");
}

static void test_two_by_two_on_one_switch_use_each_card_once(void **state)
{
	struct world *w = *state;

	make_two_by_two(w, 1000);
	assert_int_equal(w->pairs.count, 4);
	expect_used(w, "eth0-ens0*1 eth1-ens1*1");
	expect_not(w, "eth0", "ens1", PAIR_SPARE,
		   "not needed: eth0 is used with ens0 there, and ens1 there "
		   "with eth1");
	expect_not(w, "eth1", "ens0", PAIR_SPARE,
		   "not needed: eth1 is used with ens1 there, and ens0 there "
		   "with eth0");
}

static void test_two_by_two_of_unknown_speed_too(void **state)
{
	struct world *w = *state;

	make_two_by_two(w, 0);
	expect_used(w, "eth0-ens0*1 eth1-ens1*1");
}

static void test_two_networks_pair_those_that_share_one(void **state)
{
	struct world *w = *state;
	const struct card *third;

	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	card(&w->near, "eth1", 1000, "10.0.1.1/24");
	third = card(&w->near, "eth2", 1000, "10.0.2.1/24");
	card(&w->far, "ens0", 1000, "10.0.1.2/24");
	card(&w->far, "ens1", 1000, "10.0.0.2/24");
	find(w);
	expect_used(w, "eth0-ens1*1 eth1-ens0*1");
	expect_why_not(w, third,
		       "no route from eth2 to any of the 2 cards "
		       "there");
}

static void test_a_fast_card_meets_several_slow_ones(void **state)
{
	struct world *w = *state;

	card(&w->near, "eth0", 4000, "10.0.0.1/24");
	for (unsigned i = 0; i < 4; i++) {
		char name[8], address[32];

		snprintf(name, sizeof(name), "ens%u", i);
		snprintf(address, sizeof(address), "10.0.0.%u/24", i + 11);
		card(&w->far, name, 1000, address);
	}
	find(w);
	expect_used(w, "eth0-ens0*1 eth0-ens1*1 eth0-ens2*1 eth0-ens3*1");
	/* No faster than two of them. */
	w->near.at[0].speed_mbit = 2000;
	expect_used(w, "eth0-ens0*1 eth0-ens1*1");
	expect_not(w, "eth0", "ens2", PAIR_SPARE,
		   "not needed: it adds no speed, eth0 and ens0 there are used "
		   "with each other");
	/* Nobody knows how fast: then it is tried. */
	w->near.at[0].speed_mbit = 0;
	expect_used(w, "eth0-ens0*1 eth0-ens1*1 eth0-ens2*1 eth0-ens3*1");
}

static void test_several_slow_cards_meet_a_fast_one(void **state)
{
	struct world *w = *state;

	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	card(&w->near, "eth1", 1000, "10.0.0.2/24");
	card(&w->far, "ens0", 10000, "10.0.0.11/24");
	find(w);
	expect_used(w, "eth0-ens0*1 eth1-ens0*1");
}

static void test_fast_cards_are_paired_with_fast_ones(void **state)
{
	struct world *w = *state;

	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	card(&w->near, "eth1", 10000, "10.0.0.2/24");
	card(&w->far, "ens0", 10000, "10.0.0.11/24");
	card(&w->far, "ens1", 1000, "10.0.0.12/24");
	find(w);
	expect_used(w, "eth1-ens0*1 eth0-ens1*1");
}

static void test_a_gateway_serves_only_cards_that_have_no_other(void **state)
{
	struct world *w = *state;

	w->gateway = true;
	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	card(&w->near, "eth1", 10000, "10.0.1.1/24");
	card(&w->far, "ens0", 1000, "10.0.0.2/24");
	card(&w->far, "ens1", 10000, "10.0.2.2/24");
	find(w);
	assert_int_equal(w->pairs.count, 4);
	/* The gateway's is faster, and still eth0 is not in it. */
	expect_used(w, "eth1-ens1*1 eth0-ens0*1");
	expect_not(w, "eth0", "ens1", PAIR_SPARE,
		   "not needed: eth0 is used with ens0 there, and ens1 there "
		   "with eth1");
}

static void test_a_gateway_takes_over_from_a_direct_pair_that_fails(
	void **state)
{
	struct world *w = *state;

	w->gateway = true;
	card(&w->near, "eth0", 1000, "10.0.0.1/24 10.7.0.1/24");
	card(&w->far, "ens0", 1000, "10.0.0.2/24");
	card(&w->far, "ens1", 1000, "10.0.9.2/24");
	find(w);
	expect_used(w, "eth0-ens0*1");
	expect_not(w, "eth0", "ens1", PAIR_SPARE,
		   "not needed: it leads through a gateway, and eth0 and ens0 "
		   "there are used with each other");
	pair(w, "eth0", "ens0")->failed = true;
	expect_used(w, "eth0-ens1*1");
}

static void test_a_failed_pair_is_replaced_and_comes_back(void **state)
{
	struct world *w = *state;

	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	card(&w->far, "ens0", 1000, "10.0.0.11/24");
	card(&w->far, "ens1", 1000, "10.0.0.12/24");
	find(w);
	expect_used(w, "eth0-ens0*1");
	pair(w, "eth0", "ens0")->failed = true;
	expect_used(w, "eth0-ens1*1");
	expect_not(w, "eth0", "ens0", PAIR_FAILED,
		   "eth0 and ens0 there do not reach each other now");
	assert_int_equal(pair(w, "eth0", "ens0")->connections, 1);
	pair(w, "eth0", "ens1")->failed = true;
	expect_used(w, "");
	assert_int_equal(pair(w, "eth0", "ens1")->use, PAIR_FAILED);
	pair(w, "eth0", "ens0")->failed = false;
	expect_used(w, "eth0-ens0*1");
	expect_not(w, "eth0", "ens1", PAIR_SPARE,
		   "not needed: it adds no speed, eth0 and ens0 there are used "
		   "with each other");
}

static void test_a_failure_does_not_move_what_works(void **state)
{
	struct world *w = *state;

	make_two_by_two(w, 1000);
	pair(w, "eth0", "ens0")->failed = true;
	expect_used(w, "eth1-ens1*1");
	/* Crossed cables are found all the same. */
	pair(w, "eth1", "ens1")->failed = true;
	expect_used(w, "eth0-ens1*1 eth1-ens0*1");
}

static void test_cards_of_one_wire_are_one_path(void **state)
{
	struct world *w = *state;
	struct card *near, *far;

	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	near = card(&w->near, "eth0.5", 1000, "10.5.0.1/24");
	card(&w->far, "ens0", 1000, "10.0.0.2/24");
	far = card(&w->far, "ens0.5", 1000, "10.5.0.2/24");
	snprintf(near->wire, sizeof(near->wire), "eth0");
	snprintf(far->wire, sizeof(far->wire), "ens0");
	find(w);
	expect_used(w, "eth0-ens0*1");
	expect_not(w, "eth0.5", "ens0.5", PAIR_SPARE,
		   "not needed: eth0 and ens0 there are used with each other");
}

static void test_one_network_at_a_time_falls_by_rank(void **state)
{
	struct world *w = *state;

	w->policy.all = false;
	card(&w->near, "eth0", 10000, "10.0.0.1/24")->address[0].rank = 1;
	card(&w->near, "eth1", 1000, "10.0.1.1/24")->address[0].rank = 0;
	card(&w->far, "ens0", 10000, "10.0.0.2/24");
	card(&w->far, "ens1", 1000, "10.0.1.2/24");
	find(w);
	assert_int_equal(pair(w, "eth0", "ens0")->rank, 1);
	expect_used(w, "eth1-ens1*1");
	expect_not(w, "eth0", "ens0", PAIR_SPARE,
		   "not needed: one pair of cards at a time, and eth1 and "
		   "ens1 there are used with each other");
	pair(w, "eth1", "ens1")->failed = true;
	expect_used(w, "eth0-ens0*1");
	assert_int_equal(pair(w, "eth1", "ens1")->use, PAIR_FAILED);
	pair(w, "eth1", "ens1")->failed = false;
	expect_used(w, "eth1-ens1*1");
}

static void test_the_worse_rank_of_both_sides_counts(void **state)
{
	struct world *w = *state;

	card(&w->near, "eth0", 0, "10.0.0.1/24");
	card(&w->far, "ens0", 0, "10.0.0.2/24")->address[0].rank = 3;
	find(w);
	assert_int_equal(w->pairs.at[0].rank, 3);
}

static void test_the_better_route_of_a_pair_comes_first(void **state)
{
	struct world *w = *state;
	struct card *far;

	w->gateway = true;
	card(&w->near, "eth0", 0, "10.0.0.1/24 10.0.1.1/24");
	far = card(&w->far, "ens0", 0,
		   "10.9.0.2/24 10.0.0.2/24 10.0.1.2/24 10.0.1.3/24");
	far->address[1].rank = 1;
	find(w);
	assert_int_equal(w->pairs.count, 1);
	assert_int_equal(w->pairs.at[0].routes, PAIR_ROUTES);
	assert_int_equal(w->pairs.at[0].route[0].to.bytes[2], 1);
	assert_int_equal(w->pairs.at[0].route[1].to.bytes[3], 3);
	/* By a gateway, but of the better rank. */
	assert_int_equal(w->pairs.at[0].route[2].to.bytes[1], 9);
	assert_int_equal(w->pairs.at[0].rank, 0);
	assert_true(w->pairs.at[0].direct);
}

static void test_equal_ranks_go_by_what_was_delivered_then_by_speed(
	void **state)
{
	struct world *w = *state;

	w->policy.all = false;
	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	card(&w->near, "eth1", 2500, "10.0.1.1/24");
	card(&w->near, "eth10", 1000, "10.0.2.1/24");
	card(&w->near, "eth2", 1000, "10.0.3.1/24");
	card(&w->far, "ens0", 40000,
	     "10.0.0.2/24 10.0.1.2/24 10.0.2.2/24 10.0.3.2/24");
	find(w);
	expect_used(w, "eth1-ens0*1");
	/* By number, not by letter. */
	assert_string_equal(w->pairs.at[2].near->name, "eth2");
	assert_string_equal(w->pairs.at[3].near->name, "eth10");
	pair(w, "eth1", "ens0")->delivered = (uint64_t)700 * MBIT;
	expect_used(w, "eth0-ens0*1");
	/* All of a card of 1000, as far as that goes. */
	pair(w, "eth10", "ens0")->delivered = (uint64_t)940 * MBIT;
	expect_used(w, "eth10-ens0*1");
}

static void test_the_limit_of_connections_is_dealt_in_order(void **state)
{
	struct world *w = *state;

	make_two_by_two(w, 1000);
	w->far.at[0].rss = w->far.at[1].rss = true;
	expect_used(w, "eth0-ens0*4 eth1-ens1*4");
	w->policy.most = 5;
	expect_used(w, "eth0-ens0*3 eth1-ens1*2");
	w->policy.most = 1;
	expect_used(w, "eth0-ens0*1");
	expect_not(w, "eth1", "ens1", PAIR_SPARE,
		   "no connection is left for eth1 and ens1 there");
	w->policy.most = 1000;
	w->policy.per_rss_card = 30;
	expect_used(w, "eth0-ens0*16 eth1-ens1*16");
	/* All but the one that is needed to try what failed. */
	w->policy.per_rss_card = 32;
	pair(w, "eth0", "ens0")->failed = true;
	pair(w, "eth0", "ens1")->failed = true;
	pair(w, "eth1", "ens0")->failed = true;
	expect_used(w, "eth1-ens1*31");
	pair(w, "eth0", "ens0")->failed = false;
	pair(w, "eth0", "ens1")->failed = false;
	pair(w, "eth1", "ens0")->failed = false;
	w->policy.per_rss_card = 30;
	/* The card that receives decides. */
	w->far.at[0].rss = false;
	w->near.at[0].rss = true;
	expect_used(w, "eth0-ens0*1 eth1-ens1*30");
}

static void test_own_addresses_are_no_pair(void **state)
{
	struct world *w = *state;
	const struct card *far;

	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	card(&w->near, "eth1", 1000, "10.0.0.2/24");
	far = card(&w->far, "ens0", 1000, "10.0.0.1/24 10.0.0.2/24");
	find(w);
	assert_int_equal(w->pairs.count, 0);
	expect_why_not(w, far, "ens0 there has an address of this host");
}

static void test_cards_that_are_down_there_are_tried_last(void **state)
{
	struct world *w = *state;
	struct card *bridge;

	w->policy.all = false;
	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	set_down(card(&w->near, "eth1", 1000, "10.0.0.2/24"));
	set_down(card(&w->far, "ens0", 10000, "10.0.0.11/24"));
	card(&w->far, "ens1", 1000, "10.0.0.12/24");
	bridge = card(&w->far, "br0", 1000, "10.0.0.13/24");
	snprintf(bridge->why_not, sizeof(bridge->why_not),
		 "br0 is a bridge for its host's own guests and containers");
	find(w);
	assert_int_equal(w->pairs.count, 2);
	expect_used(w, "eth0-ens1*1");
	pair(w, "eth0", "ens1")->failed = true;
	expect_used(w, "eth0-ens0*1");
	expect_why_not(w, &w->near.at[1], "eth1 is down");
	expect_why_not(w, bridge,
		       "br0 there is a bridge for its host's own guests and "
		       "containers");
}

static void expect_reason(struct world *w, const char *near, const char *far,
			  const char *reason)
{
	pairs_choose(&w->pairs, &w->policy);
	assert_int_equal(pair(w, near, far)->use, PAIR_USED);
	assert_string_equal(pair(w, near, far)->reason, reason);
}

static void test_a_pair_that_is_used_says_why(void **state)
{
	struct world *w = *state;

	card(&w->near, "eth0", 1000, "10.0.0.1/24");
	card(&w->near, "eth1", 25000, "10.0.1.1/24");
	card(&w->far, "ens0", 1000, "10.0.0.2/24");
	card(&w->far, "ens1", 10000, "10.0.1.2/24")->rss = true;
	find(w);
	expect_reason(w, "eth1", "ens1",
		      "cards of 10000 Mbit/s, same network, 4 connections "
		      "because ens1 there has RSS; before eth0 because it is "
		      "faster");
	expect_reason(w, "eth0", "ens0",
		      "cards of 1000 Mbit/s, same network, 1 connection "
		      "because ens0 there has no RSS");
	/* What it delivered counts more than what it promises. */
	pair(w, "eth1", "ens1")->delivered = 600 * MBIT;
	pair(w, "eth0", "ens0")->delivered = 940 * MBIT;
	expect_reason(
		w, "eth0", "ens0",
		"delivered 940 Mbit/s, same network, 1 connection because "
		"ens0 there has no RSS; before eth1 because it is faster");
	pair(w, "eth0", "ens0")->rank = 1;
	w->policy.most = 3;
	expect_reason(w, "eth1", "ens1",
		      "delivered 600 Mbit/s, same network, 2 connections "
		      "because no more are left; before eth0 because its "
		      "network is preferred");
	/* Of one that is not used there is nothing to say. */
	w->policy = (struct path_policy){ .per_card = 2,
					  .per_rss_card = 2,
					  .most = 8 };
	expect_reason(w, "eth1", "ens1",
		      "delivered 600 Mbit/s, same network, 2 connections as "
		      "configured; before eth0 because its network is "
		      "preferred");
	assert_string_equal(pair(w, "eth0", "ens0")->reason, "");
}

static void test_a_bond_gets_a_connection_for_each_member(void **state)
{
	struct world *w = *state;
	struct card *near = card(&w->near, "bond0", 4000, "10.0.0.1/24");
	struct card *far = card(&w->far, "ens0", 4000, "10.0.0.2/24");

	near->bonded = true;
	near->bond = (struct nic_bond){ .mode = BOND_8023AD,
					.policy = BOND_LAYER34,
					.members = 4 };
	find(w);
	expect_used(w, "bond0-ens0*4");
	expect_reason(w, "bond0", "ens0",
		      "cards of 4000 Mbit/s, same network, 4 connections "
		      "because bond0 has 4 members");
	/* One that is lost needs none. */
	near->bond.members = 3;
	expect_used(w, "bond0-ens0*3");
	/* More than are wanted anyway it does not make. */
	far->rss = true;
	expect_used(w, "bond0-ens0*4");
	expect_reason(w, "bond0", "ens0",
		      "cards of 4000 Mbit/s, same network, 4 connections "
		      "because ens0 there has RSS");
	far->rss = false;
	/* What leaves by one member anyway. */
	near->bond.policy = BOND_LAYER2;
	expect_used(w, "bond0-ens0*1");
	near->bond.policy = BOND_LAYER34;
	/* The wider bond decides, but where all arrives on one member. */
	far->bonded = true;
	far->bond = (struct nic_bond){ .mode = BOND_XOR, .members = 6 };
	expect_used(w, "bond0-ens0*6");
	expect_reason(w, "bond0", "ens0",
		      "cards of 4000 Mbit/s, same network, 6 connections "
		      "because ens0 there has 6 members");
	far->bond.mode = BOND_ACTIVE_BACKUP;
	expect_used(w, "bond0-ens0*1");
	near->bonded = false;
	far->bond.mode = BOND_8023AD;
	expect_used(w, "bond0-ens0*6");
}

/* The kernel says of a bond what all members have. */
static void test_a_bond_is_as_fast_as_one_peer_can_use_it(void **state)
{
	struct world *w = *state;
	struct card *near = card(&w->near, "bond0", 4000, "10.0.0.1/24");
	struct card *far = card(&w->far, "bond1", 6000, "10.0.0.2/24");

	near->bonded = far->bonded = true;
	near->bond = (struct nic_bond){ .mode = BOND_8023AD,
					.policy = BOND_LAYER34,
					.members = 4 };
	far->bond = (struct nic_bond){ .mode = BOND_XOR, .members = 6 };
	find(w);
	assert_int_equal(pair(w, "bond0", "bond1")->speed, 4000 * MBIT);
	near->bond.policy = BOND_LAYER23;
	find(w);
	assert_int_equal(pair(w, "bond0", "bond1")->speed, 1000 * MBIT);
	near->bond.mode = BOND_ROUND_ROBIN;
	far->bond.mode = BOND_ALB;
	find(w);
	assert_int_equal(pair(w, "bond0", "bond1")->speed, 1000 * MBIT);
	/* Of this it says what the active one has. */
	far->bond.mode = BOND_ACTIVE_BACKUP;
	far->bond.members = 1;
	find(w);
	assert_int_equal(pair(w, "bond0", "bond1")->speed, 4000 * MBIT);
}

static void test_a_pair_through_a_gateway_says_so(void **state)
{
	struct world *w = *state;

	w->gateway = true;
	card(&w->near, "eth0", 0, "10.0.0.1/24");
	card(&w->far, "ens0", 0, "10.1.0.2/24");
	card(&w->far, "ens1", 0, "10.2.0.2/24");
	find(w);
	expect_reason(w, "eth0", "ens0",
		      "speed not known, through a gateway, 1 connection "
		      "because ens0 there has no RSS; before ens1 there "
		      "because of its name, all else is alike");
}

static void test_a_card_that_is_in_no_pair_says_why(void **state)
{
	struct world *w = *state;
	const struct card *near, *far;
	char why[NIC_REASON];

	near = card(&w->near, "eth1", 1000, "10.0.1.1/24");
	find(w);
	expect_why_not(w, near,
		       "no card of the other host may be used with eth1");
	far = card(&w->far, "ens4", 1000, "10.0.4.1/24");
	find(w);
	expect_why_not(w, near,
		       "no route from eth1 to any address of ens4 there");
	expect_why_not(w, far,
		       "no route from eth1 to any address of ens4 there");
	card(&w->near, "eth2", 1000, "10.0.2.1/24");
	find(w);
	expect_why_not(w, far,
		       "no route from any of the 2 cards here to any address "
		       "of ens4 there");
	set_down(&w->far.at[0]);
	find(w);
	expect_why_not(w, far, "ens4 there is down");
	w->gateway = true;
	find(w);
	assert_false(pairs_why_not(&w->pairs, far, why));
}

/* 64 cards with 16 addresses, none on a network of ours. */
static void test_a_long_list_of_a_peer_is_not_asked_through(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < CARDS_MAX; i++) {
		char name[16], text[256] = "";
		size_t at = 0;

		snprintf(name, sizeof(name), "eth%u", i);
		for (unsigned k = 0; k < CARD_ADDRESSES_MAX; k++)
			at += (size_t)snprintf(text + at, sizeof(text) - at,
					       "%s11.%u.%u.1/24", k ? " " : "",
					       i, k);
		card(&w->far, name, 1000, text);
		snprintf(text, sizeof(text), "10.0.%u.1/24", i);
		card(&w->near, name, 1000, text);
	}
	find(w);
	assert_int_equal(w->pairs.count, 0);
	assert_int_equal(w->asked, 4096);
	/* More pairs than there is room for: the best are kept. */
	w->gateway = true;
	w->far.at[1].speed_mbit = 2000;
	w->near.at[1].speed_mbit = 2000;
	find(w);
	assert_int_equal(w->pairs.count, PAIRS_MAX);
	assert_string_equal(w->pairs.at[0].near->name, "eth1");
	assert_string_equal(w->pairs.at[0].far->name, "eth1");
}

/* What must hold of any choice. */
static void check_choice(struct world *w)
{
	unsigned connections = 0, used = 0, failed = 0;

	pairs_choose(&w->pairs, &w->policy);
	for (size_t i = 0; i < w->pairs.count; i++) {
		const struct pair *p = &w->pairs.at[i];

		assert_int_equal(p->connections == 0, p->use == PAIR_SPARE);
		assert_int_equal(p->why[0] == '\0', p->use == PAIR_USED);
		if (p->use == PAIR_USED) {
			assert_false(p->failed);
			connections += p->connections;
			used++;
		}
		assert_true(p->use != PAIR_FAILED || p->failed);
		failed += p->failed;
	}
	assert_true(connections <= w->policy.most);
	/* Nobody goes without while anything works. */
	assert_int_equal(used > 0, failed < w->pairs.count);
	assert_true(w->policy.all || used <= 1);
}

/* As the hosts' cards come, fail and come back: a fixed sequence of chance. */
static void test_any_choice_uses_what_works_and_explains_the_rest(void **state)
{
	static const unsigned speeds[] = { 0, 100, 1000, 10000 };
	struct world *w = *state;
	uint32_t chance = 7;

	for (int round = 0; round < 300; round++) {
		const unsigned near = 1 + chance / 65536 % 5;
		const unsigned far = 1 + chance / 4096 % 5;

		memset(&w->near, 0, sizeof(w->near));
		memset(&w->far, 0, sizeof(w->far));
		for (unsigned i = 0; i < near + far; i++) {
			char name[16], address[32];

			chance = chance * 1664525 + 1013904223;
			snprintf(name, sizeof(name), "eth%u", i);
			snprintf(address, sizeof(address), "10.0.%u.%u/24",
				 chance >> 30, i + 1);
			card(i < near ? &w->near : &w->far, name,
			     speeds[chance >> 20 & 3], address);
		}
		w->gateway = chance >> 19 & 1;
		w->policy.all = chance >> 18 & 3;
		w->policy.most = 1 + (chance >> 12 & 7);
		find(w);
		for (int change = 0; change < 20 && w->pairs.count; change++) {
			chance = chance * 1664525 + 1013904223;
			w->pairs.at[(chance >> 8) % w->pairs.count].failed =
				chance >> 31;
			check_choice(w);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_card_each_is_one_pair),
		TEST(test_two_by_two_on_one_switch_use_each_card_once),
		TEST(test_two_by_two_of_unknown_speed_too),
		TEST(test_two_networks_pair_those_that_share_one),
		TEST(test_a_fast_card_meets_several_slow_ones),
		TEST(test_several_slow_cards_meet_a_fast_one),
		TEST(test_fast_cards_are_paired_with_fast_ones),
		TEST(test_a_gateway_serves_only_cards_that_have_no_other),
		TEST(test_a_gateway_takes_over_from_a_direct_pair_that_fails),
		TEST(test_a_failed_pair_is_replaced_and_comes_back),
		TEST(test_a_failure_does_not_move_what_works),
		TEST(test_cards_of_one_wire_are_one_path),
		TEST(test_one_network_at_a_time_falls_by_rank),
		TEST(test_the_worse_rank_of_both_sides_counts),
		TEST(test_the_better_route_of_a_pair_comes_first),
		TEST(test_equal_ranks_go_by_what_was_delivered_then_by_speed),
		TEST(test_the_limit_of_connections_is_dealt_in_order),
		TEST(test_a_bond_gets_a_connection_for_each_member),
		TEST(test_a_bond_is_as_fast_as_one_peer_can_use_it),
		TEST(test_own_addresses_are_no_pair),
		TEST(test_cards_that_are_down_there_are_tried_last),
		TEST(test_a_pair_that_is_used_says_why),
		TEST(test_a_pair_through_a_gateway_says_so),
		TEST(test_a_card_that_is_in_no_pair_says_why),
		TEST(test_a_long_list_of_a_peer_is_not_asked_through),
		TEST(test_any_choice_uses_what_works_and_explains_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
