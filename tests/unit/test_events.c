/* SPDX-License-Identifier: MIT */

/* What is kept for readers of events that are slower than what happens. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "host/events.h"

/* Also what was told before. */
static void tell(struct events *all, const char *name, const char *state)
{
	char told[EVENT_STATE] = "";

	events_tell_machine(all, name, told, state);
	events_tell_machine(all, name, told, state);
	assert_string_equal(told, state);
}

static struct events_reader *reader_by(struct events *all, bool changes)
{
	struct events_reader *r;
	struct event e;
	struct error why;

	assert_int_equal(events_open(all, changes, &r, &why), 0);
	/* That somebody is there is told at once. */
	assert_true(events_next(r, &e));
	assert_int_equal(e.kind, EVENT_ALIVE);
	return r;
}

static struct events_reader *reader_of(struct events *all)
{
	return reader_by(all, false);
}

static void a_reader_hears_what_comes_in_order(void **state)
{
	struct events *all = events_new();
	struct events_reader *r;
	struct event e;

	(void)state;
	tell(all, "before", "running");
	r = reader_of(all);
	tell(all, "web", "running");
	tell(all, "web", "stopped");
	assert_true(events_next(r, &e));
	assert_int_equal(e.number, 2);
	assert_string_equal(e.name, "web");
	assert_string_equal(e.state, "running");
	assert_true(events_next(r, &e));
	assert_string_equal(e.state, "stopped");
	events_close(r);
	events_free(all);
}

static void one_that_is_too_slow_is_told_how_many_it_missed(void **state)
{
	struct events *all = events_new();
	struct events_reader *r = reader_of(all);
	uint64_t heard = 0;
	struct event e;

	(void)state;
	for (int i = 0; i < EVENTS_KEPT + 40; i++)
		tell(all, "web", "running");
	assert_true(events_next(r, &e));
	assert_int_equal(e.kind, EVENT_MISSED);
	assert_int_equal(e.missed, 40);
	for (; heard < EVENTS_KEPT; heard++) {
		assert_true(events_next(r, &e));
		assert_int_equal(e.kind, EVENT_MACHINE);
		assert_int_equal(e.number, 41 + heard);
	}
	events_close(r);
	events_free(all);
}

static void there_are_so_many_and_no_more(void **state)
{
	struct events *all = events_new();
	struct events_reader *r[EVENTS_READERS], *more, *other;
	struct error e;

	(void)state;
	for (int i = 0; i < EVENTS_READERS; i++)
		r[i] = reader_of(all);
	assert_int_equal(events_open(all, false, &more, &e), -EBUSY);
	assert_non_null(strstr(e.text, "try again later"));
	/* They keep nobody out who may do more than look. */
	other = reader_by(all, true);
	events_close(other);
	events_close(r[0]);
	r[0] = reader_of(all);
	events_end(all);
	for (int i = 0; i < EVENTS_READERS; i++) {
		struct event last;

		assert_false(events_next(r[i], &last));
		events_close(r[i]);
	}
	assert_int_equal(events_open(all, false, &more, &e), -EBUSY);
	events_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_hears_what_comes_in_order),
		cmocka_unit_test(
			one_that_is_too_slow_is_told_how_many_it_missed),
		cmocka_unit_test(there_are_so_many_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
