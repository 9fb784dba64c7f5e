/* SPDX-License-Identifier: MIT */

/*
 * Who may start now, at the source and at the destination; and many hosts that
 * wait for each other (many_hosts.h).
 */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "host/admission.h"
#include "host/queue.h"
#include "many_hosts.h"

#define S USEC_PER_SEC

enum { MIB = 1 << 20 };

static const struct queue_load nothing, two = { 2, 2 };

static struct queue_item item(const char *peer, unsigned priority,
			      uint64_t asked_us, uint64_t number)
{
	return (struct queue_item){
		.peer = peer,
		.rank = { .priority = priority,
			  .asked_us = asked_us,
			  .number = number },
	};
}

/* --- at the source */

static void the_order_is_by_priority_and_then_by_arrival(void **state)
{
	struct queue q = { 0 };
	struct queue_item a = item("b", 50, 100 * S, 0);
	struct queue_item b = item("b", 50, 100 * S, 1);
	struct queue_item c = item("b", 70, 101 * S, 2);
	struct queue_item d = item("b", 50, 99 * S, 3);

	(void)state;
	queue_add(&q, &a);
	queue_add(&q, &b);
	queue_add(&q, &c);
	queue_add(&q, &d);
	assert_int_equal(queue_place(&q, &c), 1);
	assert_int_equal(queue_place(&q, &d), 2);
	assert_int_equal(queue_place(&q, &a), 3);
	assert_int_equal(queue_place(&q, &b), 4);
	assert_ptr_equal(queue_next(&q, &nothing, &two, S, NULL), &c);
	queue_drop(&q, &c);
	assert_ptr_equal(queue_next(&q, &nothing, &two, S, NULL), &d);
	assert_int_equal(queue_count(&q, "b"), 3);
	assert_int_equal(queue_count(&q, "c"), 0);
}

static void a_limit_holds_and_that_of_disks_beside_it(void **state)
{
	static const struct queue_load one_disk = { 3, 1 };
	struct queue q = { 0 };
	struct queue_item a = item("b", 50, S, 0), b = item("b", 50, S, 1);
	struct queue_load runs = { 1, 1 };

	(void)state;
	a.disks = true;
	queue_add(&q, &a);
	queue_add(&q, &b);
	/* The one before it would copy a disk too many. */
	assert_ptr_equal(queue_next(&q, &runs, &one_disk, S, NULL), &b);
	runs = (struct queue_load){ 1, 0 };
	assert_ptr_equal(queue_next(&q, &runs, &one_disk, S, NULL), &a);
	runs = (struct queue_load){ 3, 0 };
	assert_null(queue_next(&q, &runs, &one_disk, S, NULL));
	/* A limit that was lowered. */
	runs = (struct queue_load){ 5, 0 };
	assert_null(queue_next(&q, &runs, &one_disk, S, NULL));
}

static void a_destination_that_is_full_holds_up_nobody_else(void **state)
{
	struct queue q = { 0 };
	struct queue_item a = item("b", 90, S, 0), b = item("b", 50, S, 1);
	struct queue_item c = item("c", 50, S, 2), d = item("b", 50, S, 3);
	uint64_t now = 10 * S;

	(void)state;
	queue_add(&q, &b);
	queue_add(&q, &c);
	queue_was_full(&q, &a, now);
	queue_add(&q, &a);
	queue_add(&q, &d); /* it comes later, and knows */
	assert_ptr_equal(queue_next(&q, &nothing, &two, now, NULL), &c);
	queue_drop(&q, &c);
	assert_null(queue_next(&q, &nothing, &two, now, NULL));
	assert_true(queue_due(&q) >= now + 5 * S);
	/* An offer is for the first of them, and for nobody else. */
	assert_ptr_equal(queue_offered(&q, &nothing, &two, now, "b"), &a);
	queue_drop(&q, &a);
	assert_null(queue_next(&q, &nothing, &two, now, NULL));
	/* Without an offer one asks, a while later. */
	assert_ptr_equal(queue_next(&q, &nothing, &two, now + 7 * S, NULL), &b);
}

static void who_asks_by_himself_asks_ever_more_seldom(void **state)
{
	struct queue q = { 0 };
	struct queue_item a = item("b", 50, 17, 0);
	uint64_t now = S, before = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		uint64_t after;

		queue_was_full(&q, &a, now);
		after = a.again_us - now;
		assert_in_range(after, 5 * S, 75 * S);
		assert_true(after >= before);
		before = after;
		now = a.again_us;
	}
	assert_true(before >= 60 * S);
	assert_int_equal(a.full_since_us, S);
}

static void an_offer_without_a_place_here_is_declined(void **state)
{
	struct queue q = { 0 };
	struct queue_item a = item("b", 50, S, 0);
	uint64_t now = 10 * S;

	(void)state;
	queue_was_full(&q, &a, now);
	queue_add(&q, &a);
	assert_null(queue_offered(&q, &two, &two, now, "b"));
	/* It asks by itself, but not at once: the place is another's now. */
	assert_null(queue_next(&q, &nothing, &two, now + 4 * S, NULL));
	assert_ptr_equal(queue_next(&q, &nothing, &two, now + 5 * S, NULL), &a);
	assert_null(queue_offered(&q, &nothing, &two, now, "c"));
}

static void a_reserved_place_is_nobodys_turn(void **state)
{
	struct queue q = { 0 };
	struct queue_item a = item("b", 90, S, 0), b = item("b", 50, S, 1);

	(void)state;
	a.reserved = true;
	queue_add(&q, &a);
	queue_add(&q, &b);
	assert_int_equal(queue_place(&q, &b), 2);
	assert_ptr_equal(queue_next(&q, &nothing, &two, S, NULL), &b);
	/* Whatever becomes of others that go there. */
	queue_drop(&q, &b);
	queue_was_full(&q, &b, S);
	queue_add(&q, &b);
	assert_ptr_equal(queue_offered(&q, &nothing, &two, 9 * S, "b"), &b);
	a.reserved = false;
	assert_ptr_equal(queue_next(&q, &nothing, &two, 9 * S, NULL), &a);
}

static void a_destination_that_is_away_is_tried_for_all_by_one(void **state)
{
	struct queue q = { 0 };
	struct queue_item a = item("b", 50, S, 0), b = item("b", 50, S, 1);
	struct queue_item c = item("c", 50, S, 2);

	(void)state;
	queue_add(&q, &b);
	queue_add(&q, &c);
	queue_was_away(&q, &a, 10 * S);
	queue_add(&q, &a);
	assert_ptr_equal(queue_next(&q, &nothing, &two, 10 * S, NULL), &c);
	assert_int_equal(queue_due(&q), 20 * S);
	assert_int_equal(b.away_since_us, 10 * S);
	queue_drop(&q, &a);
	queue_was_away(&q, &a, 20 * S);
	queue_add(&q, &a);
	assert_int_equal(a.away_since_us, 10 * S);
	/* It answers, if only that it is full. */
	queue_drop(&q, &a);
	queue_was_full(&q, &a, 30 * S);
	assert_int_equal(a.away_since_us + b.away_since_us, 0);
	queue_was_away(&q, &a, 40 * S);
	queue_is_heard(&q, "b");
	assert_ptr_equal(queue_next(&q, &nothing, &two, 40 * S, "b"), &b);
}

static void a_place_is_kept_for_who_was_passed_for_long(void **state)
{
	static const struct queue_load one = { 1, 1 };
	struct queue q = { 0 };
	struct queue_item a = item("b", 50, S, 0), c = item("c", 50, S, 1);
	struct queue_item d = item("b", 50, S, 2);
	uint64_t later = 301 * S;

	(void)state;
	queue_add(&q, &c);
	queue_add(&q, &d);
	queue_was_full(&q, &a, S);
	queue_add(&q, &a);
	assert_ptr_equal(queue_next(&q, &nothing, &two, 2 * S, NULL), &c);
	a.again_us = d.again_us = later + S;
	/* One of two places, whoever else waits for that host. */
	assert_ptr_equal(queue_next(&q, &nothing, &two, later, NULL), &c);
	assert_null(queue_next(&q, &one, &two, later, NULL));
	assert_ptr_equal(queue_offered(&q, &one, &two, later, "b"), &a);
}

static void a_host_with_one_place_does_not_stand_still_for_a_full_one(
	void **state)
{
	static const struct queue_load one = { 1, 1 };
	struct queue q = { 0 };
	struct queue_item a = item("b", 50, S, 0), c = item("c", 50, S, 1);
	uint64_t later = 301 * S;

	(void)state;
	queue_add(&q, &c);
	queue_was_full(&q, &a, S);
	queue_add(&q, &a);
	a.again_us = later + S;
	assert_ptr_equal(queue_next(&q, &nothing, &one, later, NULL), &c);
	assert_null(queue_next(&q, &one, &one, later, NULL));
	/* Once it asks again, or is offered a place, it is before the other. */
	assert_ptr_equal(queue_next(&q, &nothing, &one, later + S, NULL), &a);
	assert_ptr_equal(queue_offered(&q, &nothing, &one, later, "b"), &a);
}

static void nobody_starves_behind_higher_priorities(void **state)
{
	static const struct queue_load one = { 1, 1 };
	struct queue_item stream[200], low = item("b", 0, S, 0);
	struct queue q = { 0 };
	uint64_t now = S;
	unsigned n = 0;

	(void)state;
	queue_add(&q, &low);
	/* One of the highest comes every 10 s, and each takes as long. */
	for (;; now += 10 * S) {
		struct queue_item *first;

		assert_true(n < 200);
		stream[n] = item("b", 100, now, n + 1);
		queue_add(&q, &stream[n++]);
		first = queue_next(&q, &nothing, &one, now, NULL);
		queue_drop(&q, first);
		if (first == &low)
			break;
	}
	assert_in_range(now, 900 * S, 1100 * S);
}

static void a_start_is_expected_by_what_the_others_have_left(void **state)
{
	static const double left[] = { 30, 10 };
	struct queue_outlook o = {
		.left = left, .running = 2, .most = 2, .each = 20
	};
	static const double unknown[] = { NAN, 10 };
	double at[4];

	(void)state;
	queue_expect(&o, at, 4);
	assert_true(at[0] == 10 && at[1] == 30 && at[2] == 30 && at[3] == 50);
	o.left = unknown;
	queue_expect(&o, at, 3);
	assert_true(at[0] == 10 && at[1] == 30 && at[2] == 50);
	o.each = NAN;
	queue_expect(&o, at, 3);
	assert_true(at[0] == 10 && isnan(at[1]) && isnan(at[2]));
	o.running = 1;
	o.left = left;
	queue_expect(&o, at, 1);
	assert_true(at[0] == 0);
}

/* --- at the destination */

static bool asks(struct admission *a, const char *host, unsigned running,
		 uint64_t now)
{
	const struct admission_ask ask = { .host = host,
					   .priority = 50,
					   .waits = true };
	const struct queue_load runs = { running, 0 };

	return admission_asks(a, &ask, &runs, &two, now);
}

static const char *offered(struct admission *a, unsigned running, uint64_t now)
{
	static char host[ADMISSION_NAME];
	const struct queue_load runs = { running, 0 };

	return admission_offer(a, &runs, &two, now, host) ? host : "";
}

static void hosts_are_offered_places_in_their_turn(void **state)
{
	struct admission a = { 0 };

	(void)state;
	assert_true(asks(&a, "x", 0, S));
	assert_false(asks(&a, "x", 2, S));
	assert_false(asks(&a, "y", 2, S));
	assert_false(asks(&a, "x", 2, S)); /* keeps its turn */
	assert_string_equal(offered(&a, 2, S), "");
	assert_string_equal(offered(&a, 1, S), "x");
	/* The place is x's, whoever asks. */
	assert_string_equal(offered(&a, 1, S), "");
	assert_false(asks(&a, "z", 1, S));
	admission_answered(&a, "x", true, true, S);
	assert_false(asks(&a, "y", 1, S));
	assert_true(asks(&a, "x", 1, S));
	/* It has more, and comes behind the others. */
	assert_string_equal(offered(&a, 1, 2 * S), "y");
	admission_answered(&a, "y", false, true, 2 * S);
	assert_string_equal(offered(&a, 1, 2 * S), "z");
	admission_answered(&a, "z", true, false, 2 * S);
	assert_true(asks(&a, "z", 1, 2 * S));
	assert_string_equal(offered(&a, 1, 3 * S), "x");
	admission_done(&a);
}

static void what_is_kept_goes_back_by_time(void **state)
{
	struct admission a = { 0 };

	(void)state;
	assert_false(asks(&a, "x", 2, S));
	assert_false(asks(&a, "y", 2, S));
	assert_string_equal(offered(&a, 1, S), "x");
	assert_int_equal(admission_due(&a), 11 * S);
	assert_string_equal(offered(&a, 1, 11 * S), "y"); /* no answer */
	admission_answered(&a, "x", true, false, 11 * S); /* too late */
	admission_answered(&a, "y", true, false, 11 * S);
	assert_int_equal(admission_due(&a), 41 * S);
	assert_false(asks(&a, "z", 1, 40 * S));
	assert_true(asks(&a, "z", 1, 41 * S)); /* and no move */
	assert_int_equal(admission_waiting(&a), 0);
	admission_done(&a);
}

/* It takes what it is offered, has always more, and nothing comes. */
static void who_lets_a_place_lapse_keeps_none_from_others(void **state)
{
	struct admission a = { 0 };
	const struct queue_load full = { 2, 0 };
	const struct admission_ask high = { .host = "x",
					    .priority = QUEUE_PRIORITY_MOST,
					    .waits = true };

	(void)state;
	assert_false(admission_asks(&a, &high, &full, &two, S));
	assert_string_equal(offered(&a, 0, S), "x");
	admission_answered(&a, "x", true, true, S);
	/* One place, whatever it says and asks for. */
	assert_string_equal(offered(&a, 0, S), "");
	assert_true(asks(&a, "y", 0, S));
	assert_int_equal(admission_due(&a), 31 * S);
	/* That it has more was for when it uses the place. */
	assert_string_equal(offered(&a, 0, 31 * S), "");
	assert_int_equal(admission_waiting(&a), 0);
	/* Its priority counts no more: it is behind who comes later. */
	assert_false(admission_asks(&a, &high, &full, &two, 40 * S));
	assert_false(asks(&a, "y", 2, 500 * S));
	assert_string_equal(offered(&a, 1, 500 * S), "y");
	admission_answered(&a, "y", true, false, 500 * S);
	assert_true(asks(&a, "y", 1, 500 * S));
	/* Not for ever. */
	assert_false(asks(&a, "z", 2, 640 * S));
	assert_string_equal(offered(&a, 1, 640 * S), "x");
	admission_done(&a);
}

static void a_free_place_goes_past_who_cannot_use_it(void **state)
{
	static const struct queue_load most = { 3, 1 }, runs = { 1, 1 };
	struct admission a = { 0 };
	struct admission_ask ask = { .host = "x",
				     .disks = true,
				     .waits = true };
	char host[ADMISSION_NAME];

	(void)state;
	assert_false(admission_asks(&a, &ask, &runs, &most, S));
	assert_false(admission_offer(&a, &runs, &most, S, host));
	ask = (struct admission_ask){ .host = "y", .waits = true };
	assert_true(admission_asks(&a, &ask, &runs, &most, S));
	admission_done(&a);
}

static void no_peer_makes_it_remember_more_and_more(void **state)
{
	struct admission a = { 0 };
	char name[16];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		assert_false(asks(&a, name, 2, S));
		assert_false(asks(&a, name, 2, S));
	}
	assert_int_equal(admission_waiting(&a), ADMISSION_HOSTS);
	admission_done(&a);
}

/* --- many hosts */

static unsigned random_of(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 8) % n;
}

static void check_peaks(const struct many_hosts *m)
{
	for (unsigned i = 0; i < m->count; i++) {
		assert_true(m->at[i].out_peak <= m->at[i].most.moves);
		assert_true(m->at[i].in_peak <= m->at[i].most.moves);
		assert_int_equal(m->at[i].out.moves + m->at[i].in.moves, 0);
	}
}

static void say_messages(const char *what, const struct many_hosts *m,
			 unsigned moves)
{
	unsigned total = 0, most = 0, second = 0;
	double s = (double)m->now_us / USEC_PER_SEC;

	for (unsigned i = 0; i < m->count; i++) {
		total += m->at[i].messages;
		if (m->at[i].messages > most)
			most = m->at[i].messages;
		if (m->at[i].most_in_a_second > second)
			second = m->at[i].most_in_a_second;
	}
	printf("%s: %u moves in %.0f s; messages of the queue: %.2f for each "
	       "move, %.3f per host and second, %u of one host in its busiest "
	       "second\n",
	       what, moves, s, (double)total / 2 / moves,
	       (double)total / m->count / s, second);
	assert_true((double)total / m->count / s < 2);
}

static void two_hosts_that_drain_into_each_other_end(void **state)
{
	struct many_hosts m;

	(void)state;
	many_begin(&m, 2, (struct queue_load){ 1, 1 }, 100.0 * MIB);
	for (unsigned i = 0; i < 20; i++) {
		many_move(&m, 0, 1, 50, 200.0 * MIB);
		many_move(&m, 1, 0, 50, 200.0 * MIB);
	}
	assert_true(many_run(&m, 300 * S));
	check_peaks(&m);
	/* Both ways go at once: no place out waits for one in. */
	assert_true(m.now_us < 60 * S);
	many_end(&m);
}

/* Each host has moves to others, at any time, and daemons are started again in
 * the middle. */
static void random_hosts_end(void **state)
{
	unsigned seed = (unsigned)(clock_us() & 0xffff);

	(void)state;
	printf("seed %u\n", seed);
	for (int run = 0; run < 40; run++) {
		unsigned hosts = 2 + random_of(&seed, 12);
		unsigned most = 1 + random_of(&seed, 3);
		struct many_hosts m;

		many_begin(&m, hosts, (struct queue_load){ most, most },
			   100.0 * MIB);
		for (unsigned i = 0; i < 60; i++) {
			unsigned from = random_of(&seed, hosts);
			unsigned by = 1 + random_of(&seed, hosts - 1);

			many_move(&m, from, (from + by) % hosts,
				  random_of(&seed, 101),
				  (1 + random_of(&seed, 500)) * 1.0 * MIB);
			if (random_of(&seed, 4) == 0)
				many_turn(&m);
			if (random_of(&seed, 20) == 0)
				many_forget(&m, random_of(&seed, hosts));
		}
		assert_true(many_run(&m, 3600 * S));
		check_peaks(&m);
		many_end(&m);
	}
}

/* Ten of 200 hosts empty themselves into all the others at once, each machine
 * of 8 GiB, over 10 Gbit/s. */
static void ten_of_200_hosts_drain(void **state)
{
	struct many_hosts m;
	unsigned seed = 1, moves = 0;

	(void)state;
	many_begin(&m, 200, two, 1.25e9);
	for (unsigned from = 0; from < 10; from++)
		for (unsigned i = 0; i < 50; i++, moves++)
			many_move(&m, from, 10 + random_of(&seed, 190), 50,
				  8192.0 * MIB);
	assert_true(many_run(&m, 3600 * S));
	check_peaks(&m);
	say_messages("ten hosts of 200", &m, moves);
	/* 50 × 8 GiB at 1.25e9 bytes/s are 344 s. */
	assert_true(m.now_us < 400 * S);
	many_end(&m);
}

/* The worst: all into one another, and all of them into one. */
static void all_of_200_hosts_drain_into_each_other(void **state)
{
	struct many_hosts m;
	unsigned seed = 2, moves = 0;

	(void)state;
	many_begin(&m, 200, two, 1.25e9);
	for (unsigned from = 0; from < 200; from++)
		for (unsigned i = 0; i < 20; i++, moves++)
			many_move(&m, from,
				  (from + 1 + random_of(&seed, 199)) % 200,
				  random_of(&seed, 101), 8192.0 * MIB);
	assert_true(many_run(&m, 3600 * S));
	check_peaks(&m);
	say_messages("200 hosts into each other", &m, moves);
	many_end(&m);
}

static void all_of_200_hosts_drain_into_one(void **state)
{
	struct many_hosts m;
	unsigned moves = 0;

	(void)state;
	many_begin(&m, 200, two, 1.25e9);
	for (unsigned from = 1; from < 200; from++)
		for (unsigned i = 0; i < 3; i++, moves++)
			many_move(&m, from, 0, 50, 2048.0 * MIB);
	assert_true(many_run(&m, 7200 * S));
	check_peaks(&m);
	say_messages("200 hosts into one", &m, moves);
	/* Its card was busy all the time: 597 × 2 GiB are 1,026 s. */
	assert_true(m.now_us < 1400 * S);
	many_end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_is_by_priority_and_then_by_arrival),
		cmocka_unit_test(a_limit_holds_and_that_of_disks_beside_it),
		cmocka_unit_test(
			a_destination_that_is_full_holds_up_nobody_else),
		cmocka_unit_test(who_asks_by_himself_asks_ever_more_seldom),
		cmocka_unit_test(an_offer_without_a_place_here_is_declined),
		cmocka_unit_test(a_reserved_place_is_nobodys_turn),
		cmocka_unit_test(
			a_destination_that_is_away_is_tried_for_all_by_one),
		cmocka_unit_test(a_place_is_kept_for_who_was_passed_for_long),
		cmocka_unit_test(
			a_host_with_one_place_does_not_stand_still_for_a_full_one),
		cmocka_unit_test(nobody_starves_behind_higher_priorities),
		cmocka_unit_test(
			a_start_is_expected_by_what_the_others_have_left),
		cmocka_unit_test(hosts_are_offered_places_in_their_turn),
		cmocka_unit_test(what_is_kept_goes_back_by_time),
		cmocka_unit_test(who_lets_a_place_lapse_keeps_none_from_others),
		cmocka_unit_test(a_free_place_goes_past_who_cannot_use_it),
		cmocka_unit_test(no_peer_makes_it_remember_more_and_more),
		cmocka_unit_test(two_hosts_that_drain_into_each_other_end),
		cmocka_unit_test(random_hosts_end),
		cmocka_unit_test(ten_of_200_hosts_drain),
		cmocka_unit_test(all_of_200_hosts_drain_into_each_other),
		cmocka_unit_test(all_of_200_hosts_drain_into_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
