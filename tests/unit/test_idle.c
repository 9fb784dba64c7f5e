/* SPDX-License-Identifier: MIT */

/* By a file that looks like /proc/uptime, of a host of two processors. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "compress/idle.h"

enum { FRAME_US = 1000, STEP_US = 1000 };

/* In memory: a step writes it anew, and there are thousands. */
static char path[64];
static int file = -1;

struct host {
	struct idle idle;
	uint64_t now_us, idle_us;
	double others; /* processors that somebody else wants */
};

static void says(uint64_t idle_us)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "1234.00 %.2f\n",
			   (double)idle_us / USEC_PER_SEC);

	/* What is left of a longer line stands behind it. */
	assert_int_equal(pwrite(file, text, (size_t)len, 0), len);
}

static struct host host_made(double others)
{
	return (struct host){ .idle = { .most = 2, .path = path },
			      .now_us = USEC_PER_SEC,
			      .idle_us = USEC_PER_SEC,
			      .others = others };
}

/* One step of time, in which each worker that may presses a frame.  Like the
 * kernel between groups: they get at least half of what they want. */
static double step(struct host *h)
{
	double wanted = 0, left = 2 - h->others;

	says(h->idle_us);
	for (int i = 0; i < 2; i++)
		if (idle_may_work(&h->idle, h->now_us)) {
			wanted++;
			idle_used(&h->idle, FRAME_US);
		}
	left -= wanted;
	h->now_us += STEP_US;
	if (left > 0)
		h->idle_us += (uint64_t)(left * STEP_US);
	return wanted;
}

/* Processors that the workers used. */
static double run(struct host *h, unsigned ms)
{
	double used = 0;

	for (unsigned i = 0; i < ms; i++)
		used += step(h);
	return used / ms;
}

static int made(void **state)
{
	(void)state;
	file = memfd_create("uptime", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return file < 0;
}

static int unmade(void **state)
{
	(void)state;
	close(file);
	return 0;
}

static void an_idle_host_is_used_nearly_all_the_time(void **state)
{
	struct host h = host_made(0);

	(void)state;
	run(&h, 200);
	assert_true(run(&h, 5000) > 1.75);
}

static void what_others_leave_is_used_and_no_more(void **state)
{
	struct host h = host_made(1);
	double used;

	(void)state;
	run(&h, 200);
	used = run(&h, 5000);
	assert_true(used > 0.8 && used < 1.05);
}

static void a_busy_host_loses_nothing(void **state)
{
	struct host h = host_made(2);

	(void)state;
	assert_true(run(&h, 5000) == 0);
	h.others = 1.9; /* too little to tell */
	assert_true(run(&h, 5000) == 0);
}

static void it_follows_within_a_second(void **state)
{
	struct host h = host_made(0);

	(void)state;
	run(&h, 2000);
	h.others = 2;
	run(&h, 1000);
	assert_true(run(&h, 1000) == 0);
	h.others = 0.5;
	run(&h, 300);
	assert_true(run(&h, 1000) > 1.2);
}

/* Who used half of the host sees at once that the other half is gone. */
static void it_notices_at_once_when_the_rest_is_taken(void **state)
{
	struct host h = host_made(1);

	(void)state;
	h.idle.most = 0.5;
	run(&h, 2000);
	h.others = 2;
	run(&h, 300);
	assert_true(run(&h, 1000) == 0);
}

static void who_uses_all_does_not_stop_to_look_all_the_time(void **state)
{
	struct host h = host_made(0);
	unsigned looks = 0;
	bool looking = false;

	(void)state;
	run(&h, 200);
	for (int ms = 0; ms < 5000; ms++) {
		step(&h);
		looks += h.idle.looking && !looking;
		looking = h.idle.looking;
	}
	assert_in_range(looks, 5, 10);
}

static void it_looks_before_it_works(void **state)
{
	struct host h = host_made(0);

	(void)state;
	assert_false(idle_may_work(&h.idle, h.now_us));
	assert_true(idle_next_us(&h.idle) > h.now_us);
	run(&h, 200);
	assert_true(h.idle.allowed > 1.7);
	/* Nobody has asked for a long time. */
	h.now_us += 10 * USEC_PER_SEC;
	assert_false(idle_may_work(&h.idle, h.now_us));
}

static void it_says_when_to_ask_again(void **state)
{
	struct host h = host_made(1.5);
	uint64_t next;

	(void)state;
	run(&h, 200);
	while (idle_may_work(&h.idle, h.now_us))
		idle_used(&h.idle, FRAME_US);
	next = idle_next_us(&h.idle);
	assert_true(next > h.now_us && next <= h.now_us + 100000);
}

static void a_host_that_does_not_say_has_none(void **state)
{
	struct idle i = { .most = 2, .path = "/nowhere/uptime" };

	(void)state;
	for (uint64_t now = 1; now < 1000000; now += 10000)
		assert_false(idle_may_work(&i, now));
}

static void this_host_says(void **state)
{
	struct idle i = { .most = 2 };

	(void)state;
	idle_may_work(&i, 1000000);
	assert_true(i.begun_us > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_host_is_used_nearly_all_the_time),
		cmocka_unit_test(what_others_leave_is_used_and_no_more),
		cmocka_unit_test(a_busy_host_loses_nothing),
		cmocka_unit_test(it_follows_within_a_second),
		cmocka_unit_test(it_notices_at_once_when_the_rest_is_taken),
		cmocka_unit_test(
			who_uses_all_does_not_stop_to_look_all_the_time),
		cmocka_unit_test(it_looks_before_it_works),
		cmocka_unit_test(it_says_when_to_ask_again),
		cmocka_unit_test(a_host_that_does_not_say_has_none),
		cmocka_unit_test(this_host_says),
	};

	return cmocka_run_group_tests_name("idle", tests, made, unmade);
}
