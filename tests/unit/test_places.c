/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "channel/channel.h"
#include "host/places.h"

static unsigned shut;

static void count_shutdown(struct channel *c)
{
	(void)c;
	shut++;
}

static const struct channel_kind kind = { .name = "counted",
					  .shutdown = count_shutdown };
static struct channel channel = { .kind = &kind };

static bool take(struct places *p, struct place *one, const char *peer,
		 uint64_t now_us)
{
	*one = (struct place){ .channel = &channel,
			       .peer = peer,
			       .known = peer };
	return places_take(p, one, now_us);
}

/* Of peers that have no more than a few each. */
static const char *const peers[] = { "a", "b", "c", "d" };

struct crowd {
	struct places places;
	struct place one[2 * PLACES_KNOWN + 1];
};

/* All places of peers are taken. */
static struct crowd *begin(void)
{
	struct crowd *c = calloc(1, sizeof(*c));

	shut = 0;
	places_init(&c->places);
	for (unsigned i = 0; i < PLACES_KNOWN; i++)
		assert_true(take(&c->places, &c->one[i], peers[i % 4], 0));
	return c;
}

static void end(struct crowd *c)
{
	places_done(&c->places);
	free(c);
}

static void who_waits_longest_gives_its_place_to_the_next(void **state)
{
	struct crowd *c = begin();
	struct place *next = &c->one[PLACES_KNOWN];
	uint64_t now = PLACES_GIVEN_UP_US;

	(void)state;
	/* The first has said who it is. */
	places_greeted(&c->places, &c->one[0]);
	assert_true(take(&c->places, &next[0], "a", now));
	assert_int_equal(shut, 1);
	assert_false(c->one[0].given_up);
	assert_true(c->one[1].given_up);
	/* Not so many at once. */
	assert_false(
		take(&c->places, &next[1], "a", now + PLACES_GIVEN_UP_US - 1));
	assert_true(take(&c->places, &next[1], "a", now + PLACES_GIVEN_UP_US));
	assert_true(c->one[2].given_up);
	end(c);
}

static void threads_that_do_not_end_are_bounded(void **state)
{
	struct crowd *c = begin();
	struct place *last = &c->one[2 * PLACES_KNOWN];
	uint64_t now = 0;

	(void)state;
	for (unsigned i = PLACES_KNOWN; i < 2 * PLACES_KNOWN; i++)
		assert_true(take(&c->places, &c->one[i], peers[i % 4],
				 now += PLACES_GIVEN_UP_US));
	assert_false(take(&c->places, last, "a", now += PLACES_GIVEN_UP_US));
	places_leave(&c->places, &c->one[0]);
	assert_true(take(&c->places, last, "a", now + PLACES_GIVEN_UP_US));
	end(c);
}

static void who_is_greeted_keeps_its_place(void **state)
{
	struct crowd *c = begin();
	struct place *next = &c->one[PLACES_KNOWN];

	(void)state;
	for (unsigned i = 0; i < PLACES_KNOWN; i++)
		places_greeted(&c->places, &c->one[i]);
	assert_false(take(&c->places, next, "a", PLACES_GIVEN_UP_US));
	assert_int_equal(shut, 0);
	/* Addresses of nobody have places of their own. */
	assert_true(take(&c->places, next, NULL, PLACES_GIVEN_UP_US));
	end(c);
}

static void one_peer_has_not_all_places(void **state)
{
	struct crowd *c = calloc(1, sizeof(*c));
	unsigned n = 0;

	(void)state;
	shut = 0;
	places_init(&c->places);
	while (n < PLACES_KNOWN && take(&c->places, &c->one[n], "a", 0))
		places_greeted(&c->places, &c->one[n++]);
	assert_int_equal(n, PLACES_PEER);
	while (n < PLACES_KNOWN && take(&c->places, &c->one[n], "b", 0))
		n++;
	assert_int_equal(n, PLACES_KNOWN);
	/* What is left to another one does not depend on these two. */
	for (unsigned i = 0; i < PLACES_PEER_KEPT; i++)
		assert_true(take(&c->places, &c->one[n++], "c", 0));
	assert_false(take(&c->places, &c->one[n], "c", 0));
	assert_int_equal(shut, 0);
	/* The first peer has nobody who could make room for it. */
	assert_false(take(&c->places, &c->one[n], "a", PLACES_GIVEN_UP_US));
	end(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_longest_gives_its_place_to_the_next),
		cmocka_unit_test(threads_that_do_not_end_are_bounded),
		cmocka_unit_test(who_is_greeted_keeps_its_place),
		cmocka_unit_test(one_peer_has_not_all_places),
	};

	return cmocka_run_group_tests_name("places", tests, NULL, NULL);
}
