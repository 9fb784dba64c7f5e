/* SPDX-License-Identifier: MIT */

/*
 * From which port a lane leaves that takes the place of a lost one.  Lanes over
 * loopback; the test is the planner and the supervisor.
 */
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "channel/channel.h"
#include "lanes/lanes.h"
#include "network.h"
#include "nic/address.h"
#include "paths/account.h"
#include "paths/dialler.h"
#include "paths/path_set.h"
#include "paths/paths.h"
#include "side.h"

enum { PORT = 6600, FIRST = 40001, ENOUGH_MS = 10000, NOTHING_MS = 200 };

struct rig {
	struct side near, far;
	int listen_fd;
	struct path_set *set;
	struct path *path;
};

/* --- what paths say */

static void nothing(void *context)
{
	(void)context;
}

static void broken(void *context, const char *why)
{
	(void)context;
	fprintf(stderr, "broken: %s\n", why);
	abort();
}

static int greet(void *context, struct channel **c, struct error *e)
{
	(void)context, (void)c, (void)e;
	return 0;
}

/* A path of two lanes with ports that a plan has chosen. */
static void rig_init(struct rig *r)
{
	static const char *const addresses[] = { "127.0.0.1", NULL };
	const struct paths_options o = {
		.peer = "host",
		.addresses = addresses,
		.port = PORT,
		.calls = { .greet = greet, .fail = broken, .news = nothing },
		.stop_fd = -1
	};
	struct path *p;
	struct error e;

	MAKE("link set lo up");
	side_init(&r->near, "far");
	side_init(&r->far, "near");
	assert_int_equal(channel_kinds[0]->listen(&r->listen_fd, "127.0.0.1",
						  PORT, &e),
			 0);
	assert_int_equal(paths_new(&r->set, &o, &e), 0);
	r->set->lanes = r->near.lanes;
	p = r->path = r->set->path[0];
	p->given = false;
	p->proved = true;
	snprintf(p->near, sizeof(p->near), "lo");
	snprintf(p->far, sizeof(p->far), "lo");
	assert_int_equal(nic_address_parse(&p->route[0].from, "127.0.0.1"), 0);
	assert_int_equal(nic_address_parse(&p->route[0].to, "127.0.0.1"), 0);
	p->routes = 1;
	for (unsigned i = 0; i < 4; i++)
		p->port[p->ports++] = (uint16_t)(FIRST + i);
	p->wanted = 2;
}

static void rig_done(struct rig *r)
{
	paths_end(r->set);
	paths_join(r->set);
	end_side(&r->near, /* failed */ false, "done");
	end_side(&r->far, /* failed */ false, "done");
	bury_all(&r->near);
	bury_all(&r->far);
	side_done(&r->near);
	side_done(&r->far);
	paths_free(r->set);
	close(r->listen_fd);
}

static bool somebody_dials(const struct rig *r, int ms)
{
	struct pollfd p = { .fd = r->listen_fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void expect_from(struct rig *r, uint16_t port)
{
	struct channel *c;
	struct error e;

	assert_true(somebody_dials(r, ENOUGH_MS));
	assert_int_equal(channel_kinds[0]->accept(&c, r->listen_fd, 0, &e), 0);
	assert_int_equal(c->remote_port, port);
	assert_int_equal(lanes_add(r->far.lanes, c, LANE_NO_OWNER, &e), 0);
}

static void start(struct rig *r)
{
	struct error e;

	assert_int_equal(dialler_start(r->path, &e), 0);
}

static void rig_begin(struct rig *r)
{
	rig_init(r);
	start(r);
	expect_from(r, FIRST);
	expect_from(r, FIRST + 1);
}

/* The far side ends the lane from that port. */
static void lose(struct rig *r, uint16_t port)
{
	struct lane_view all[CHANNELS_MAX], gone;
	unsigned n = lanes_view(r->far.lanes, all);

	for (unsigned i = 0; i < n; i++)
		if (all[i].remote_port == port)
			lanes_drop(r->far.lanes, all[i].number,
				   /* let_go */ false, "cut");
	lanes_bury(r->far.lanes, next_ended(&r->far).number);
	gone = next_ended(&r->near);
	assert_int_equal(gone.local_port, port);
	account_lost(r->set, &gone);
}

static bool is_plan_due(struct rig *r)
{
	WITH_LOCK(&r->set->lock);

	return r->set->plan_due;
}

/* No pause is left that would hold it up. */
static void wake(struct rig *r)
{
	WITH_LOCK(&r->set->lock);

	r->path->next_us = 0;
	path_set_wake(r->set);
}

/* As the planner makes one: the lock is let go of in between. */
static void plan(struct rig *r, uint16_t port)
{
	{
		WITH_LOCK(&r->set->lock);

		r->set->plan_due = false;
		r->set->planning = true;
	}
	wake(r);
	assert_false(somebody_dials(r, NOTHING_MS));
	{
		WITH_LOCK(&r->set->lock);

		r->path->port[0] = port;
		r->path->ports = 1;
		r->set->planning = false;
	}
	wake(r);
}

/* --- */

static void a_lane_for_a_lost_one_leaves_from_a_port_that_is_chosen_anew(
	void **state)
{
	struct rig r = { 0 };

	(void)state;
	rig_begin(&r);
	assert_false(is_plan_due(&r));
	lose(&r, FIRST);
	assert_true(is_plan_due(&r));
	wake(&r);
	assert_false(somebody_dials(&r, NOTHING_MS));
	plan(&r, FIRST + 9);
	expect_from(&r, FIRST + 9);
	rig_done(&r);
}

static void with_no_lane_left_no_plan_is_waited_for(void **state)
{
	struct rig r = { 0 };

	(void)state;
	rig_init(&r);
	r.set->plan_due = true;
	r.path->wanted = 1;
	start(&r);
	expect_from(&r, FIRST);
	rig_done(&r);
}

static void where_no_ports_are_chosen_a_lost_lane_is_no_reason_to_plan(
	void **state)
{
	struct rig r = { 0 };

	(void)state;
	rig_begin(&r);
	{
		WITH_LOCK(&r.set->lock);

		r.path->ports = 0;
	}
	lose(&r, FIRST);
	assert_false(is_plan_due(&r));
	wake(&r);
	assert_true(somebody_dials(&r, ENOUGH_MS));
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_lane_for_a_lost_one_leaves_from_a_port_that_is_chosen_anew),
		cmocka_unit_test(with_no_lane_left_no_plan_is_waited_for),
		cmocka_unit_test(
			where_no_ports_are_chosen_a_lost_lane_is_no_reason_to_plan),
	};

	return cmocka_run_group_tests_name("dialler", tests, NULL, NULL);
}
