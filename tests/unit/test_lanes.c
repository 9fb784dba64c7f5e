/* SPDX-License-Identifier: MIT */

/*
 * Lanes between two sets in one process, over loopback, with no session and no
 * paths above them: who hears of what, and what is left of a lane that ended.
 */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "channel/channel.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "lanes/lanes.h"
#include "side.h"

struct two {
	struct side a, b;
	int listen_fd;
	uint16_t port;
};

/* --- two sides */

static int start(void **state)
{
	struct two *t = calloc(1, sizeof(*t));
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct error e;

	if (!t ||
	    channel_kinds[0]->listen(&t->listen_fd, "127.0.0.1", 0, &e) < 0)
		return -1;
	getsockname(t->listen_fd, (struct sockaddr *)&a, &len);
	t->port = ntohs(a.sin_port);
	side_init(&t->a, "b");
	side_init(&t->b, "a");
	*state = t;
	return 0;
}

/* The number of the lane at @a. */
static uint64_t connect_one(struct two *t, unsigned owner)
{
	const struct channel_way way = { .host = "127.0.0.1", .port = t->port };
	struct lane_view all[CHANNELS_MAX];
	struct channel *near, *far;
	struct error e;
	unsigned n;

	assert_int_equal(channel_kinds[0]->dial(&near, &way,
						clock_us() + USEC_PER_SEC, -1,
						&e),
			 0);
	assert_int_equal(channel_kinds[0]->accept(&far, t->listen_fd, 0, &e),
			 0);
	assert_int_equal(lanes_add(t->a.lanes, near, owner, &e), 0);
	assert_int_equal(lanes_add(t->b.lanes, far, LANE_NO_OWNER, &e), 0);
	n = lanes_view(t->a.lanes, all);
	for (unsigned i = 0; i < n; i++)
		if (all[i].owner == owner && !all[i].why[0])
			return all[i].number;
	fail_msg("the lane that was added is not seen");
	return 0;
}

static int stop(void **state)
{
	struct two *t = *state;

	end_side(&t->a, /* failed */ false, "done");
	end_side(&t->b, /* failed */ false, "done");
	bury_all(&t->a);
	bury_all(&t->b);
	side_done(&t->a);
	side_done(&t->b);
	close(t->listen_fd);
	free(t);
	return 0;
}

static void send_message(struct side *s, const char *text)
{
	struct error e;

	assert_int_equal(outbox_put_message(&s->out, text, strlen(text), &e),
			 0);
}

static void expect_message(struct side *s, const char *text)
{
	struct piece *p;

	wait_for(&s->came);
	p = inbox_message(&s->in);
	assert_non_null(p);
	assert_int_equal(p->len, strlen(text));
	assert_memory_equal(p->data, text, p->len);
	free(p);
}

/* --- */

static void a_lane_belongs_to_the_owner_that_it_was_given(void **state)
{
	struct two *t = *state;
	struct lane_view all[CHANNELS_MAX];

	connect_one(t, 5);
	connect_one(t, 9);
	assert_int_equal(lanes_count_of(t->a.lanes, 5).alive, 1);
	assert_int_equal(lanes_count_of(t->a.lanes, 7).alive, 0);
	assert_int_equal(lanes_count(t->a.lanes).alive, 2);
	assert_int_equal(lanes_count_of(t->b.lanes, LANE_NO_OWNER).alive, 2);
	assert_int_equal(lanes_view(t->a.lanes, all), 2);
	assert_int_not_equal(all[0].number, all[1].number);
	assert_true(all[0].alive);
	assert_string_equal(all[0].kind, "tcp");
	assert_true(all[0].local.family == AF_INET);
	send_message(&t->a, "hay");
	expect_message(&t->b, "hay");
}

static void a_lane_that_is_dropped_counts_until_it_is_buried(void **state)
{
	struct two *t = *state;
	struct lane_view v, none;
	struct lanes_sums before;
	uint64_t number = connect_one(t, 3);

	send_message(&t->a, "hay");
	expect_message(&t->b, "hay");
	lanes_drop(t->a.lanes, number, /* let_go */ true, "not needed");
	assert_int_equal(lanes_count_of(t->a.lanes, 3).alive, 0);
	assert_int_equal(lanes_count_of(t->a.lanes, 3).dying, 1);
	v = next_ended(&t->a);
	assert_int_equal(v.number, number);
	assert_int_equal(v.owner, 3);
	assert_true(v.let_go);
	assert_string_equal(v.why, "not needed");
	assert_true(v.sent > 0);
	assert_false(lanes_next_ended(t->a.lanes, &none));
	assert_int_equal(lanes_count_of(t->a.lanes, 3).dying, 1);
	before = lanes_sums(t->a.lanes);
	lanes_bury(t->a.lanes, number);
	assert_int_equal(lanes_count(t->a.lanes).dying, 0);
	assert_int_equal(lanes_sums(t->a.lanes).sent, before.sent);
	/* The other side's has lost its channel. */
	v = next_ended(&t->b);
	assert_false(v.let_go);
	assert_true(v.why[0]);
	lanes_bury(t->b.lanes, v.number);
}

static void a_number_is_never_that_of_another_lane(void **state)
{
	struct two *t = *state;
	uint64_t first = connect_one(t, 3), second;

	lanes_drop(t->a.lanes, first, /* let_go */ false, "lost");
	lanes_bury(t->a.lanes, next_ended(&t->a).number);
	lanes_bury(t->b.lanes, next_ended(&t->b).number);
	second = connect_one(t, 3);
	assert_int_not_equal(first, second);
	/* It has the first one's slot. */
	lanes_drop(t->a.lanes, first, /* let_go */ false, "late");
	lanes_bury(t->a.lanes, first);
	assert_int_equal(lanes_count_of(t->a.lanes, 3).alive, 1);
}

static void what_a_lane_had_leaves_over_another(void **state)
{
	struct two *t = *state;
	uint64_t first = connect_one(t, 1);

	lanes_drop(t->a.lanes, first, /* let_go */ false, "lost");
	lanes_bury(t->a.lanes, next_ended(&t->a).number);
	send_message(&t->a, "hay");
	connect_one(t, 2);
	expect_message(&t->b, "hay");
}

static void every_lane_announces_the_cards_when_it_begins(void **state)
{
	struct two *t = *state;

	lanes_announce(t->a.lanes, LANES_CARDS, strdup("[1]"));
	connect_one(t, 1);
	wait_for(&t->b.came);
	assert_string_equal(t->b.cards, "[1]");
	assert_int_equal(atomic_load(&t->b.generation), 1);
	/* The same is no news. */
	lanes_announce(t->a.lanes, LANES_CARDS, strdup("[1]"));
	lanes_announce(t->a.lanes, LANES_CARDS, strdup("[2]"));
	wait_for(&t->b.came);
	assert_string_equal(t->b.cards, "[2]");
	assert_int_equal(atomic_load(&t->b.generation), 2);
}

static void the_end_is_told_with_its_reason(void **state)
{
	struct two *t = *state;
	struct channel *late;
	const struct channel_way way = { .host = "127.0.0.1", .port = t->port };
	struct error e;

	connect_one(t, 1);
	end_side(&t->a, /* failed */ true, "the barn burns");
	wait_for(&t->b.bye);
	assert_true(t->b.bye_failed);
	assert_string_equal(t->b.bye_why, "a: the barn burns");
	assert_int_equal(channel_kinds[0]->dial(&late, &way,
						clock_us() + USEC_PER_SEC, -1,
						&e),
			 0);
	assert_int_equal(lanes_add(t->a.lanes, late, 1, &e), -EBUSY);
}

static void there_are_so_many_and_no_more(void **state)
{
	struct two *t = *state;
	const struct channel_way way = { .host = "127.0.0.1", .port = t->port };
	struct channel *late;
	struct error e;

	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		connect_one(t, i + 1);
	assert_int_equal(channel_kinds[0]->dial(&late, &way,
						clock_us() + USEC_PER_SEC, -1,
						&e),
			 0);
	assert_int_equal(lanes_add(t->a.lanes, late, 1, &e), -EBUSY);
	assert_string_equal(e.text,
			    "the session with b takes no more channels");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lane_belongs_to_the_owner_that_it_was_given),
		TEST(a_lane_that_is_dropped_counts_until_it_is_buried),
		TEST(a_number_is_never_that_of_another_lane),
		TEST(what_a_lane_had_leaves_over_another),
		TEST(every_lane_announces_the_cards_when_it_begins),
		TEST(the_end_is_told_with_its_reason),
		TEST(there_are_so_many_and_no_more),
	};

	return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
