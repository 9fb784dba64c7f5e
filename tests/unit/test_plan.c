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
		TEST(one_plan_is_like_the_next_when_nothing_changed),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
