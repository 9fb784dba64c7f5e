/* SPDX-License-Identifier: MIT */

/*
 * What the plan makes of cards, paths and lanes: facts made by hand, between
 * two hosts whose equal networks are joined by switches.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nic/address.h"
#include "nic/bond.h"
#include "nic/flow.h"
#include "nic/pairs.h"
#include "paths/plan.h"

struct world {
	struct cards near, far;
	struct plan_facts f;
	struct plan plan;
};

static int start(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->f.peer = "b";
	w->f.near = &w->near;
	w->f.far = &w->far;
	w->f.policy = (struct path_policy){
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

static struct nic_address address(const char *text)
{
	struct nic_address a;

	assert_int_equal(nic_address_parse(&a, text), 0);
	return a;
}

static struct card *card(struct cards *c, const char *name, const char *at)
{
	struct card *new = &c->at[c->count++];

	snprintf(new->name, sizeof(new->name), "%s", name);
	snprintf(new->wire, sizeof(new->wire), "%s", name);
	new->speed_mbit = 1000;
	new->address[new->addresses++].address = address(at);
	return new;
}

/* Two networks, a card of each host on both. */
static void two_networks(struct world *w)
{
	card(&w->near, "eth0", "10.0.0.1/24");
	card(&w->near, "eth1", "10.0.1.1/24");
	card(&w->far, "ens0", "10.0.0.2/24");
	card(&w->far, "ens1", "10.0.1.2/24");
}

static void set_down(struct card *c)
{
	snprintf(c->why_not, sizeof(c->why_not), "%s is down", c->name);
	c->down = true;
}

/* Its number. */
static unsigned path(struct world *w, const char *near, const char *far)
{
	struct plan_path *p = &w->f.path[w->f.paths++];

	p->given = !near;
	snprintf(p->near, sizeof(p->near), "%s", near ? near : "");
	snprintf(p->far, sizeof(p->far), "%s", far ? far : "");
	p->wanted = 1;
	return w->f.paths;
}

static uint64_t lane(struct world *w, unsigned owner, const char *local,
		     const char *remote)
{
	struct lane_view *v = &w->f.lane[w->f.lanes++];

	v->number = 100 + w->f.lanes;
	v->owner = owner;
	v->alive = true;
	v->local = address(local);
	v->remote = address(remote);
	return v->number;
}

static int route(void *context, const struct card *near,
		 const struct nic_address *from, const struct nic_address *to)
{
	(void)context;
	(void)near;
	return nic_address_within(to, from) ? 1 : 0;
}

static struct plan *make(struct world *w)
{
	memset(&w->plan, 0, sizeof(w->plan));
	pairs_find(&w->f.pairs, &w->near, &w->far, route, NULL);
	plan_make(&w->plan, &w->f);
	return &w->plan;
}

static const struct plan_wish *wish(const struct plan *p, const char *near)
{
	for (unsigned i = 0; i < p->wishes; i++)
		if (!strcmp(p->wish[i].path.near, near))
			return &p->wish[i];
	fail_msg("no path over %s", near);
	return NULL;
}

static void the_first_path_becomes_that_of_its_cards(void **state)
{
	struct world *w = *state;
	const struct plan *p;

	two_networks(w);
	lane(w, path(w, NULL, NULL), "10.0.0.1", "10.0.0.2");
	p = make(w);
	assert_int_equal(p->wishes, 2);
	assert_false(p->wish[0].path.given);
	assert_string_equal(p->wish[0].path.near, "eth0");
	assert_string_equal(p->wish[0].path.far, "ens0");
	assert_int_equal(p->wish[0].path.wanted, 1);
	assert_string_equal(p->wish[1].path.near, "eth1");
	assert_true(p->wish[1].listed);
	assert_int_equal(p->drops, 0);
}

static void an_address_of_no_card_is_given_up_once_cards_pair(void **state)
{
	struct world *w = *state;
	uint64_t first;
	const struct plan *p;

	two_networks(w);
	first = lane(w, path(w, NULL, NULL), "172.16.0.1", "172.16.0.2");
	p = make(w);
	assert_true(p->wish[0].path.given);
	assert_int_equal(p->wish[0].path.wanted, 0);
	assert_non_null(strstr(p->wish[0].why, "belongs to no card"));
	/* But nothing else carries yet. */
	assert_int_equal(p->drops, 0);
	path(w, "eth0", "ens0");
	lane(w, 2, "10.0.0.1", "10.0.0.2");
	p = make(w);
	assert_int_equal(p->drops, 1);
	assert_int_equal(p->drop[0].lane, first);
	assert_true(p->drop[0].let_go);
}

static void with_no_pair_the_first_path_stays_as_it_is(void **state)
{
	struct world *w = *state;
	const struct plan *p;

	card(&w->near, "eth0", "10.0.0.1/24");
	card(&w->far, "ens0", "10.9.0.2/24");
	lane(w, path(w, NULL, NULL), "172.16.0.1", "172.16.0.2");
	w->f.path[0].wanted = 3;
	p = make(w);
	assert_int_equal(p->wishes, 1);
	assert_int_equal(p->wish[0].path.wanted, 3);
	assert_false(p->wish[0].says_why);
	assert_int_equal(p->drops, 0);
	assert_int_equal(p->idles, 2);
	assert_false(p->idle[0].far);
	assert_true(p->idle[1].far);
	assert_string_equal(p->idle[1].name, "ens0");
}

static void lanes_of_a_card_that_is_down_are_dropped_at_once(void **state)
{
	struct world *w = *state;
	const struct plan *p;
	uint64_t lost;

	two_networks(w);
	set_down(&w->near.at[1]);
	lane(w, path(w, "eth0", "ens0"), "10.0.0.1", "10.0.0.2");
	lost = lane(w, path(w, "eth1", "ens1"), "10.0.1.1", "10.0.1.2");
	p = make(w);
	assert_int_equal(wish(p, "eth0")->path.wanted, 1);
	assert_int_equal(wish(p, "eth1")->path.wanted, 0);
	assert_int_equal(wish(p, "eth1")->order, PAIRS_MAX);
	assert_string_equal(wish(p, "eth1")->why, "eth1 is down");
	assert_int_equal(p->drops, 1);
	assert_int_equal(p->drop[0].lane, lost);
	assert_false(p->drop[0].let_go);
	assert_string_equal(p->drop[0].why, "eth1 is down");
}

static void what_is_gone_there_is_said_and_its_lane_let_go(void **state)
{
	struct world *w = *state;
	const struct plan *p;
	uint64_t old;

	two_networks(w);
	w->far.count = 1;
	lane(w, path(w, "eth0", "ens0"), "10.0.0.1", "10.0.0.2");
	old = lane(w, path(w, "eth1", "ens1"), "10.0.1.1", "10.0.1.2");
	p = make(w);
	assert_string_equal(wish(p, "eth1")->why,
			    "host b has no card ens1 any more");
	assert_int_equal(p->drops, 1);
	assert_int_equal(p->drop[0].lane, old);
	assert_true(p->drop[0].let_go);
}

static void nothing_is_let_go_while_nothing_that_is_wanted_carries(void **state)
{
	struct world *w = *state;
	const struct plan *p;

	two_networks(w);
	w->far.count = 1;
	path(w, "eth0", "ens0");
	lane(w, path(w, "eth1", "ens1"), "10.0.1.1", "10.0.1.2");
	p = make(w);
	assert_int_equal(p->drops, 0);
	/* One that is starting is as good as there. */
	lane(w, 1, "10.0.0.1", "10.0.0.2");
	w->f.lane[1].alive = false;
	w->f.lane[1].starting = true;
	assert_int_equal(make(w)->drops, 1);
}

static void more_lanes_than_wanted_are_let_go(void **state)
{
	struct world *w = *state;
	const struct plan *p;

	card(&w->near, "eth0", "10.0.0.1/24");
	card(&w->far, "ens0", "10.0.0.2/24");
	path(w, "eth0", "ens0");
	for (unsigned i = 0; i < 3; i++)
		lane(w, 1, "10.0.0.1", "10.0.0.2");
	p = make(w);
	assert_int_equal(p->wish[0].path.wanted, 1);
	assert_int_equal(p->drops, 2);
}

static void a_path_that_failed_is_passed_over_with_one_network(void **state)
{
	struct world *w = *state;
	const struct plan *p;

	w->f.policy.all = false;
	two_networks(w);
	path(w, "eth0", "ens0");
	p = make(w);
	assert_int_equal(p->wishes, 1);
	assert_int_equal(p->spares, 1);
	assert_string_equal(p->spare[0].near, "eth1");
	w->f.path[0].failed = true;
	p = make(w);
	assert_int_equal(p->wishes, 2);
	assert_int_equal(wish(p, "eth0")->use, PAIR_FAILED);
	assert_int_equal(wish(p, "eth1")->use, PAIR_USED);
	assert_int_equal(p->spares, 0);
}

static void a_spare_path_that_is_used_again_forgets_why(void **state)
{
	struct world *w = *state;
	const struct plan *p;

	two_networks(w);
	path(w, "eth0", "ens0");
	w->f.path[0].spare = true;
	p = make(w);
	assert_true(p->wish[0].says_why);
	assert_string_equal(p->wish[0].why, "");
	w->f.path[0].failed = true;
	p = make(w);
	assert_false(p->wish[0].says_why);
}

static void a_full_list_of_paths_says_so(void **state)
{
	struct world *w = *state;
	const struct plan *p;
	char name[IF_NAMESIZE];

	two_networks(w);
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		snprintf(name, sizeof(name), "old%u", i);
		path(w, name, "gone");
	}
	p = make(w);
	assert_int_equal(p->wishes, PATHS_MAX);
	assert_int_equal(p->spares, 2);
	assert_string_equal(p->spare[0].why,
			    "the session has no room for more paths");
	assert_string_equal(p->wish[0].why, "old0 is gone");
}

static void one_plan_is_like_the_next_when_nothing_changed(void **state)
{
	struct world *w = *state;
	struct plan first;

	two_networks(w);
	lane(w, path(w, "eth0", "ens0"), "10.0.0.1", "10.0.0.2");
	lane(w, path(w, "eth1", "ens1"), "10.0.1.1", "10.0.1.2");
	first = *make(w);
	assert_int_equal(first.drops, 0);
	assert_memory_equal(make(w), &first, sizeof(first));
}

/* Four members at eth0, where the path began from a port of chance. */
static struct card *bonded(struct world *w)
{
	struct card *near = card(&w->near, "bond0", "10.0.0.1/24");

	card(&w->far, "ens0", "10.0.0.2/24");
	near->bonded = true;
	near->bond = (struct nic_bond){ .mode = BOND_8023AD,
					.policy = BOND_LAYER34,
					.members = 4 };
	w->f.to_port = 6600;
	return near;
}

static void lane_from(struct world *w, unsigned owner, uint16_t port)
{
	lane(w, owner, "10.0.0.1", "10.0.0.2");
	w->f.lane[w->f.lanes - 1].local_port = port;
}

static unsigned member(const struct card *near, uint16_t port)
{
	struct flow f = { .family = AF_INET,
			  .from = { 10, 0, 0, 1 },
			  .to = { 10, 0, 0, 2 },
			  .from_port = port,
			  .to_port = 6600 };

	return bond_member(&near->bond, &f);
}

/* By how many of the lanes that are left, and of the ports that come next until
 * there are as many as wanted, each member is used. */
static void count_members(unsigned used[4], const struct world *w,
			  const struct card *near)
{
	const struct plan_wish *first = &w->plan.wish[0];
	unsigned lanes = 0;

	memset(used, 0, 4 * sizeof(used[0]));
	for (unsigned i = 0; i < w->f.lanes; i++)
		if (w->f.lane[i].alive) {
			used[member(near, w->f.lane[i].local_port)]++;
			lanes++;
		}
	for (unsigned i = 0; lanes + i < first->path.wanted; i++)
		used[member(near, first->port[i])]++;
}

static void each_member_of_a_bond_gets_one_whatever_the_first_one_has(
	void **state)
{
	struct world *w = *state;
	const struct card *near = bonded(w);
	unsigned used[4];

	path(w, NULL, NULL);
	for (uint16_t port = 50000; port < 50016; port++) {
		w->f.lanes = 0;
		lane_from(w, 1, port);
		assert_int_equal(make(w)->wish[0].path.wanted, 4);
		assert_int_equal(w->plan.drops, 0);
		count_members(used, w, near);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(used[i], 1);
	}
}

/* Lanes on members as they come, then one member less, then all again. */
static void lanes_follow_the_members_that_there_are(void **state)
{
	struct world *w = *state;
	struct card *near = bonded(w);
	unsigned used[4];

	path(w, "bond0", "ens0");
	for (uint16_t port = 50000; port < 50064; port++) {
		w->f.lanes = 0;
		for (unsigned i = 0; i < 4; i++)
			lane_from(w, 1, (uint16_t)(port + 3 * i));
		near->bond.members = 4;
		make(w);
		count_members(used, w, near);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(used[i], 1);
		near->bond.members = 3;
		make(w);
		assert_int_equal(w->plan.wish[0].path.wanted, 3);
		count_members(used, w, near);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(used[i], 1);
		for (unsigned i = 0; i < w->plan.drops; i++)
			assert_true(w->plan.drop[i].let_go);
	}
}

/* Where three are left, they may share members of the four. */
static void a_member_that_comes_again_is_used(void **state)
{
	struct world *w = *state;
	const struct card *near = bonded(w);
	unsigned used[4];

	path(w, "bond0", "ens0");
	for (uint16_t port = 50000; port < 50064; port++) {
		w->f.lanes = 0;
		for (unsigned i = 0; i < 3; i++)
			lane_from(w, 1, (uint16_t)(port + 5 * i));
		make(w);
		count_members(used, w, near);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(used[i], 1);
	}
}

static void lanes_that_no_port_can_place_are_left_alone(void **state)
{
	struct world *w = *state;
	struct card *near = bonded(w);

	near->bond.policy = BOND_ENCAP34;
	path(w, "bond0", "ens0");
	for (uint16_t port = 50000; port < 50004; port++)
		lane_from(w, 1, port);
	assert_int_equal(make(w)->drops, 0);
	assert_int_equal(w->plan.wish[0].ports, 0);
}

static void a_path_says_of_both_bonds_what_they_do(void **state)
{
	struct world *w = *state;
	struct card *near = bonded(w), *far = &w->far.at[0];

	assert_string_equal(make(w)->wish[0].flows,
			    "bond0: Connections are spread over the members by "
			    "their ports.");
	far->bonded = true;
	far->bond = (struct nic_bond){ .mode = BOND_TLB, .members = 4 };
	assert_string_equal(make(w)->wish[0].flows,
			    "bond0: Connections are spread over the members by "
			    "their ports. ens0 there receives it on one.");
	near->bonded = false;
	assert_string_equal(make(w)->wish[0].flows,
			    "ens0 there receives what one peer sends on one "
			    "member.");
	far->bond.mode = BOND_8023AD;
	assert_string_equal(make(w)->wish[0].flows,
			    "ens0 there: the switch decides on which member a "
			    "connection arrives.");
}

/* What the card there tells of four lanes, on whose queue the ports have no
 * hash that is known. */
static void lanes_that_share_a_queue_are_opened_anew_some_times(void **state)
{
	struct world *w = *state;
	struct card *far;
	const struct plan *p;

	card(&w->near, "eth0", "10.0.0.1/24");
	far = card(&w->far, "ens0", "10.0.0.2/24");
	far->rss = true;
	far->queues = 4;
	path(w, "eth0", "ens0");
	for (unsigned i = 0; i < 4; i++) {
		lane_from(w, 1, (uint16_t)(50000 + i));
		far->arrival[i] =
			(struct card_arrival){ .port = (uint16_t)(50000 + i),
					       .queue = 10 + i / 2 };
	}
	/* Nothing is known of the last one. */
	far->arrivals = 3;
	assert_int_equal(make(w)->drops, 0);
	far->arrivals = 4;
	p = make(w);
	assert_int_equal(p->drops, 1);
	assert_true(p->drop[0].let_go);
	assert_int_equal(p->wish[0].path.opened_anew, 1);
	assert_int_equal(p->wish[0].ports, 0);
	/* Not for ever. */
	for (unsigned i = 0; i < w->f.lanes; i++)
		w->f.lane[i].alive = true;
	w->f.path[0].opened_anew = 32;
	assert_int_equal(make(w)->drops, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_path_becomes_that_of_its_cards),
		TEST(an_address_of_no_card_is_given_up_once_cards_pair),
		TEST(with_no_pair_the_first_path_stays_as_it_is),
		TEST(lanes_of_a_card_that_is_down_are_dropped_at_once),
		TEST(what_is_gone_there_is_said_and_its_lane_let_go),
		TEST(nothing_is_let_go_while_nothing_that_is_wanted_carries),
		TEST(more_lanes_than_wanted_are_let_go),
		TEST(a_path_that_failed_is_passed_over_with_one_network),
		TEST(a_spare_path_that_is_used_again_forgets_why),
		TEST(a_full_list_of_paths_says_so),
		TEST(each_member_of_a_bond_gets_one_whatever_the_first_one_has),
		TEST(lanes_follow_the_members_that_there_are),
		TEST(a_member_that_comes_again_is_used),
		TEST(lanes_that_no_port_can_place_are_left_alone),
		TEST(a_path_says_of_both_bonds_what_they_do),
		TEST(lanes_that_share_a_queue_are_opened_anew_some_times),
		TEST(one_plan_is_like_the_next_when_nothing_changed),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
