/* SPDX-License-Identifier: MIT */

/* The watch of the cards, in a network namespace of each test's own. */
#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "network.h"
#include "nic/address.h"
#include "nic/watch.h"
#include "waits.h"

enum { WAIT_US = 10 * 1000 * 1000, LISTENERS = 4 };

#define CARDS \
	"link add a0 type veth peer name b0", "link set b0 up", "link set a0 up"

static struct nic_watch *start(void)
{
	struct nic_watch *w = NULL;
	struct error e = { 0 };

	if (nic_watch_new(&w, &e) < 0)
		fail_msg("%s", e.text);
	return w;
}

/* Counts what it is told, so that a test can wait for it. */
struct counter {
	struct nic_listener listener;
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned count;
};

static void count(void *context)
{
	struct counter *c = context;

	WITH_LOCK(&c->lock);
	c->count++;
	pthread_cond_broadcast(&c->more);
}

static void counter_init(struct counter *c)
{
	*c = (struct counter){ .listener = { .changed = count, .context = c } };
	pthread_mutex_init(&c->lock, NULL);
	clock_cond_init(&c->more);
}

static void counter_done(struct counter *c)
{
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
}

/* Until more than @before changes have been told; how many there were. */
static unsigned counter_wait(struct counter *c, unsigned before)
{
	struct timespec until = clock_timespec(clock_us() + WAIT_US);

	WITH_LOCK(&c->lock);

	while (c->count <= before)
		if (pthread_cond_timedwait(&c->more, &c->lock, &until))
			fail_msg("no change was told");
	return c->count;
}

static unsigned mtu_now(struct nic_watch *w, const char *name)
{
	struct inventory *inv = nic_watch_get(w);
	const struct nic *n = inventory_by_name(inv, name);
	unsigned mtu = n ? n->mtu : 0;

	inventory_drop(inv);
	return mtu;
}

/* Every change is told, but not each for itself. */
static void wait_for_mtu(struct nic_watch *w, struct counter *c, unsigned mtu)
{
	unsigned seen = 0;

	while (mtu_now(w, "a0") != mtu)
		seen = counter_wait(c, seen);
}

static void test_the_cards_are_there_from_the_start(void **state)
{
	struct inventory *inv;
	struct nic_watch *w;

	(void)state;
	MAKE(CARDS, "address add 10.7.0.1/24 dev a0");
	w = start();
	inv = nic_watch_get(w);
	assert_int_equal(network_card(inv, "a0")->addresses_count, 1);
	nic_watch_free(w);
	/* The reference outlives the watch. */
	assert_true(network_card(inv, "b0")->carrier);
	inventory_drop(inv);
}

static void test_a_change_is_told_and_the_old_state_stays_as_it_was(
	void **state)
{
	struct inventory *before;
	struct nic_watch *w;
	struct counter c;

	(void)state;
	MAKE(CARDS);
	w = start();
	counter_init(&c);
	before = nic_watch_get(w);
	nic_watch_listen(w, &c.listener);
	network_change("link set a0 mtu 1300");
	wait_for_mtu(w, &c, 1300);
	assert_int_equal(network_card(before, "a0")->mtu, 1500);
	network_change("link del a0");
	wait_for_mtu(w, &c, 0);
	nic_watch_leave(w, &c.listener);
	inventory_drop(before);
	nic_watch_free(w);
	counter_done(&c);
}

static void test_after_a_burst_the_last_state_is_there(void **state)
{
	struct nic_watch *w;
	struct counter c;

	(void)state;
	MAKE(CARDS);
	w = start();
	counter_init(&c);
	nic_watch_listen(w, &c.listener);
	for (int i = 0; i < 20; i++)
		network_change(i % 2 ? "link set a0 mtu 1400"
				     : "link set a0 mtu 1200");
	network_change("link set a0 mtu 1000");
	wait_for_mtu(w, &c, 1000);
	assert_in_range(c.count, 1, 21);
	nic_watch_leave(w, &c.listener);
	nic_watch_free(w);
	counter_done(&c);
}

static void test_who_has_left_is_not_told(void **state)
{
	struct counter stays, goes;
	struct nic_watch *w;

	(void)state;
	MAKE(CARDS);
	w = start();
	counter_init(&stays);
	counter_init(&goes);
	nic_watch_listen(w, &goes.listener);
	nic_watch_listen(w, &stays.listener);
	nic_watch_leave(w, &goes.listener);
	network_change("link set a0 mtu 1300");
	wait_for_mtu(w, &stays, 1300);
	nic_watch_leave(w, &stays.listener);
	nic_watch_free(w);
	assert_int_equal(goes.count, 0);
	counter_done(&goes);
	counter_done(&stays);
}

/* A listener that takes its time. */
struct slow {
	struct counter entered;
	atomic_int leaving; /* who waits until it has run */
	atomic_bool running;
};

static void be_slow(void *context)
{
	struct slow *s = context;

	atomic_store(&s->running, true);
	count(&s->entered);
	WAIT_UNTIL(s->leaving && is_asleep(s->leaving));
	atomic_store(&s->running, false);
}

static void test_leaving_waits_for_the_call_that_runs(void **state)
{
	struct nic_listener l;
	struct nic_watch *w;
	struct slow s = { .running = false };

	(void)state;
	MAKE(CARDS);
	w = start();
	counter_init(&s.entered);
	l = (struct nic_listener){ .changed = be_slow, .context = &s };
	nic_watch_listen(w, &l);
	network_change("link set a0 mtu 1300");
	counter_wait(&s.entered, 0);
	atomic_store(&s.leaving, gettid());
	nic_watch_leave(w, &l);
	assert_false(atomic_load(&s.running));
	nic_watch_free(w);
	counter_done(&s.entered);
}

struct crowd {
	struct nic_watch *watch;
	atomic_bool stop;
	atomic_uint came;
};

/* Comes and goes all the time, and looks at the cards meanwhile. */
static void *crowd_main(void *arg)
{
	struct crowd *crowd = arg;
	struct counter c;

	counter_init(&c);
	while (!atomic_load(&crowd->stop)) {
		nic_watch_listen(crowd->watch, &c.listener);
		mtu_now(crowd->watch, "a0");
		sched_yield();
		nic_watch_leave(crowd->watch, &c.listener);
		atomic_fetch_add(&crowd->came, 1);
	}
	counter_done(&c);
	return NULL;
}

static void test_listeners_come_and_go_while_links_change(void **state)
{
	struct crowd crowd = { .stop = false };
	pthread_t thread[LISTENERS];
	struct counter c;

	(void)state;
	MAKE(CARDS);
	crowd.watch = start();
	counter_init(&c);
	nic_watch_listen(crowd.watch, &c.listener);
	for (int i = 0; i < LISTENERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, crowd_main,
						&crowd),
				 0);
	for (int i = 0; i < 20; i++) {
		network_change(i % 2 ? "link set a0 up" : "link set a0 down");
		network_change(i % 2 ? "link set a0 mtu 1400"
				     : "link set a0 mtu 1200");
	}
	wait_for_mtu(crowd.watch, &c, 1400);
	atomic_store(&crowd.stop, true);
	for (int i = 0; i < LISTENERS; i++)
		pthread_join(thread[i], NULL);
	nic_watch_leave(crowd.watch, &c.listener);
	nic_watch_free(crowd.watch);
	assert_true(atomic_load(&crowd.came) >= LISTENERS);
	counter_done(&c);
}

static struct nic_address address(unsigned i)
{
	struct nic_address a = { .family = AF_INET, .prefix = 24 };

	a.bytes[0] = 10;
	a.bytes[2] = (uint8_t)(i >> 8);
	a.bytes[3] = (uint8_t)i;
	return a;
}

static void test_the_most_that_was_delivered_is_slowly_forgotten(void **state)
{
	struct nic_address a = address(1), b = address(2);
	struct nic_watch *w;

	(void)state;
	MAKE(NULL);
	w = start();
	assert_int_equal(nic_watch_rate(w, &a, &b), 0);
	nic_watch_delivered(w, &a, &b, 800);
	assert_int_equal(nic_watch_rate(w, &a, &b), 800);
	nic_watch_delivered(w, &a, &b, 80);
	assert_int_equal(nic_watch_rate(w, &a, &b), 710);
	nic_watch_delivered(w, &a, &b, 900);
	assert_int_equal(nic_watch_rate(w, &a, &b), 900);
	/* The length of the prefix makes no other address. */
	b.prefix = 32;
	assert_int_equal(nic_watch_rate(w, &a, &b), 900);
	assert_int_equal(nic_watch_rate(w, &b, &a), 0);
	nic_watch_free(w);
}

static void test_of_many_pairs_the_oldest_are_forgotten(void **state)
{
	struct nic_address to = address(9), from;
	struct nic_watch *w;

	(void)state;
	MAKE(NULL);
	w = start();
	for (unsigned i = 0; i < 256; i++) {
		from = address(i);
		nic_watch_delivered(w, &from, &to, i + 1);
	}
	/* The first is told of again, so the second is the oldest. */
	from = address(0);
	nic_watch_delivered(w, &from, &to, 1);
	from = address(256);
	nic_watch_delivered(w, &from, &to, 257);
	assert_int_equal(nic_watch_rate(w, &from, &to), 257);
	from = address(0);
	assert_int_equal(nic_watch_rate(w, &from, &to), 1);
	from = address(1);
	assert_int_equal(nic_watch_rate(w, &from, &to), 0);
	from = address(2);
	assert_int_equal(nic_watch_rate(w, &from, &to), 3);
	nic_watch_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_cards_are_there_from_the_start),
		cmocka_unit_test(
			test_a_change_is_told_and_the_old_state_stays_as_it_was),
		cmocka_unit_test(test_after_a_burst_the_last_state_is_there),
		cmocka_unit_test(test_who_has_left_is_not_told),
		cmocka_unit_test(test_leaving_waits_for_the_call_that_runs),
		cmocka_unit_test(test_listeners_come_and_go_while_links_change),
		cmocka_unit_test(
			test_the_most_that_was_delivered_is_slowly_forgotten),
		cmocka_unit_test(test_of_many_pairs_the_oldest_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
