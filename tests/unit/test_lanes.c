/* SPDX-License-Identifier: MIT */

/*
 * Lanes between two sets in one process, over loopback, with no session and no
 * paths above them: who hears of what, and what is left of a lane that ended.
 */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "channel/channel.h"
#include "frames/inbox.h"
#include "frames/outbox.h"
#include "lanes/lanes.h"

enum { SESSION = 77, ENOUGH_S = 10 };

struct side {
	struct outbox out;
	struct inbox in;
	struct lanes *lanes;
	sem_t ended, came, bye;
	pthread_mutex_t lock; /* for the next two: each lane hears a goodbye */
	bool bye_failed;
	char bye_why[64];
	char cards[64];
	atomic_uint_fast64_t generation;
};

struct two {
	struct side a, b;
	int listen_fd;
	uint16_t port;
};

/* --- what lanes say */

static void message(void *context)
{
	struct side *s = context;

	sem_post(&s->came);
}

static int cards(void *context, uint64_t generation, const void *text,
		 size_t len, struct error *e)
{
	struct side *s = context;

	(void)e;
	snprintf(s->cards, sizeof(s->cards), "%.*s", (int)len,
		 (const char *)text);
	atomic_store(&s->generation, generation);
	sem_post(&s->came);
	return 0;
}

static void bye(void *context, bool failed, const char *why)
{
	struct side *s = context;

	pthread_mutex_lock(&s->lock);
	s->bye_failed = failed;
	snprintf(s->bye_why, sizeof(s->bye_why), "%s", why);
	pthread_mutex_unlock(&s->lock);
	sem_post(&s->bye);
}

static void broken(void *context, const char *why)
{
	(void)context;
	fprintf(stderr, "broken: %s\n", why);
	abort();
}

static void ended(void *context)
{
	struct side *s = context;

	sem_post(&s->ended);
}

/* --- two sides */

static void wait_for(sem_t *what)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ENOUGH_S;
	assert_int_equal(sem_timedwait(what, &until), 0);
}

static void side_init(struct side *s, const char *peer)
{
	const struct lanes_options o = { .peer = peer,
					 .out = &s->out,
					 .in = &s->in,
					 .calls = { .message = message,
						    .cards = cards,
						    .bye = bye,
						    .broken = broken,
						    .ended = ended,
						    .context = s } };
	struct error e;

	pthread_mutex_init(&s->lock, NULL);
	sem_init(&s->ended, 0, 0);
	sem_init(&s->came, 0, 0);
	sem_init(&s->bye, 0, 0);
	assert_int_equal(outbox_init(&s->out, &e), 0);
	inbox_init(&s->in);
	assert_int_equal(lanes_new(&s->lanes, &o, &e), 0);
	lanes_set_session(s->lanes, SESSION);
}

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

static struct lane_view next_ended(struct side *s)
{
	struct lane_view v;

	wait_for(&s->ended);
	assert_true(lanes_next_ended(s->lanes, &v));
	return v;
}

static void end_side(struct side *s, bool failed, const char *why)
{
	lanes_close(s->lanes, failed, why);
	outbox_close(&s->out);
	inbox_close(&s->in);
}

static void bury_all(struct side *s)
{
	while (lanes_count(s->lanes).alive + lanes_count(s->lanes).dying > 0)
		lanes_bury(s->lanes, next_ended(s).number);
}

static void side_done(struct side *s)
{
	lanes_free(s->lanes);
	inbox_done(&s->in);
	outbox_done(&s->out);
	sem_destroy(&s->ended);
	sem_destroy(&s->came);
	sem_destroy(&s->bye);
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
