/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <stdlib.h>

#include "host/shares.h"

#define MB UINT64_C(1000000)

enum { SECOND = 1000000 / SHARES_TICK_US };

/* --- a division alone */

static void what_is_wanted_is_given_and_no_more_than_there_is(void **state)
{
	unsigned weight[8], seed = 7;
	uint64_t want[8], got[8];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		const unsigned n = 1 + (unsigned)rand_r(&seed) % 8;
		uint64_t wanted = 0, sum = 0, budget;

		budget = (uint64_t)rand_r(&seed) % (1000 * MB);
		for (unsigned i = 0; i < n; i++) {
			weight[i] = 1 + (unsigned)rand_r(&seed) % 1000;
			want[i] = (uint64_t)rand_r(&seed) % (300 * MB);
			wanted += want[i];
		}
		shares_fill(budget, n, weight, want, got);
		for (unsigned i = 0; i < n; i++) {
			assert_true(got[i] <= want[i]);
			sum += got[i];
		}
		assert_true(sum <= budget);
		/* Each part is rounded down. */
		assert_true(sum + n >= (wanted < budget ? wanted : budget));
		for (unsigned i = 0; i < n; i++)
			for (unsigned k = 0; k < n; k++) {
				if (got[i] == want[i])
					continue;
				/* Nobody has more for its weight than one that
				 * would take more. */
				assert_true((double)got[k] / weight[k] <=
					    (double)(got[i] + 1) / weight[i] +
						    1e-9);
			}
	}
}

/* --- a model: cards that divide what is sent as TCP would */

struct model {
	struct shares *s;
	uint64_t takes[4];     /* of each card */
	uint64_t foreign[4];   /* that others would send over it */
	uint64_t demand[8];    /* of each move, over all its cards */
	uint64_t elsewhere[8]; /* more than that the other end takes not */
	bool finds_back;       /* what was held back is not fast at once */
	uint64_t sent[8][4][SHARES_WINDOW], passed[4][SHARES_WINDOW];
	uint64_t now[8][4], others[4]; /* in the last tick */
};

static int start(void **state)
{
	struct model *m = calloc(1, sizeof(*m));

	m->s = calloc(1, sizeof(*m->s));
	m->s->now_us = 1;
	m->s->cards = 1;
	m->takes[0] = 30 * MB;
	*state = m;
	return 0;
}

static int stop(void **state)
{
	struct model *m = *state;

	free(m->s);
	free(m);
	return 0;
}

static void move_on(struct model *m, unsigned i, unsigned c, unsigned weight)
{
	if (m->s->moves <= i)
		m->s->moves = i + 1;
	m->s->move[i].weight = weight;
	m->s->move[i].use[c].on = true;
	if (!m->demand[i])
		m->demand[i] = UINT64_MAX / 4;
}

/* What BBR sends a tick after it sent at @rate: a quarter more in eight round
 * trips, which are no shorter than what two packets take. */
static uint64_t found_back(uint64_t rate)
{
	uint64_t us = 0;

	while (rate > 0 && rate < UINT64_MAX / 8) {
		us += 8 * 1000 + UINT64_C(8) * 2896 * 1000000 / rate;
		if (us > SHARES_TICK_US)
			break;
		rate += rate / 4;
	}
	return rate;
}

/* Everybody who sends has the same part of a card, or what it wants. */
static void carry(struct model *m, unsigned c)
{
	unsigned weight[9], n = m->s->moves;
	uint64_t want[9], got[9];

	for (unsigned i = 0; i < n; i++) {
		const struct shares_use *u = &m->s->move[i].use[c];
		const uint64_t may = u->may[0] ? u->may[0] : SHARES_FREE;

		weight[i] = 1;
		want[i] = u->on ? (m->demand[i] < may ? m->demand[i] : may) : 0;
		if (m->elsewhere[i] && want[i] > m->elsewhere[i])
			want[i] = m->elsewhere[i];
		if (m->finds_back && m->now[i][c] > 0 &&
		    want[i] > found_back(m->now[i][c]))
			want[i] = found_back(m->now[i][c]);
	}
	weight[n] = 1;
	want[n] = m->foreign[c];
	shares_fill(m->takes[c], n + 1, weight, want, got);
	for (unsigned i = 0; i < n; i++)
		m->now[i][c] = got[i];
	m->others[c] = got[n];
}

static uint64_t measured(uint64_t window[SHARES_WINDOW], uint64_t now)
{
	uint64_t sum = 0;

	for (unsigned i = SHARES_WINDOW - 1; i > 0; i--)
		window[i] = window[i - 1];
	window[0] = now;
	for (unsigned i = 0; i < SHARES_WINDOW; i++)
		sum += window[i];
	return sum / SHARES_WINDOW;
}

static void tick(struct model *m)
{
	struct shares *s = m->s;

	for (unsigned c = 0; c < s->cards; c++) {
		carry(m, c);
		s->card[c].others = measured(m->passed[c], m->others[c]);
	}
	for (unsigned i = 0; i < s->moves; i++) {
		uint64_t sum = 0;

		for (unsigned c = 0; c < s->cards; c++) {
			s->move[i].use[c].rate =
				measured(m->sent[i][c], m->now[i][c]);
			sum += m->now[i][c];
		}
		s->move[i].hungry = sum < m->demand[i];
	}
	s->now_us += SHARES_TICK_US;
	shares_next(s);
}

static void run(struct model *m, unsigned ticks)
{
	while (ticks-- > 0)
		tick(m);
}

static uint64_t moved(const struct model *m, unsigned c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < m->s->moves; i++)
		sum += m->now[i][c];
	return sum;
}

static void assert_about(uint64_t value, double of)
{
	assert_in_range(value, (uint64_t)(of * 0.95), (uint64_t)(of * 1.05));
}

static void one_move_alone_is_not_held_back(void **state)
{
	struct model *m = *state;

	move_on(m, 0, 0, SHARES_WEIGHT);
	run(m, SECOND);
	assert_int_equal(m->s->move[0].use[0].may[0], SHARES_FREE);
	/* Nor does it know what a card takes that becomes a faster one. */
	m->takes[0] = 60 * MB;
	tick(m);
	assert_int_equal(m->now[0][0], 60 * MB);
}

static void parts_are_as_the_weights(void **state)
{
	struct model *m = *state;

	move_on(m, 0, 0, 100);
	move_on(m, 1, 0, 300);
	run(m, SECOND);
	assert_about(m->now[0][0], 7.5 * MB);
	assert_about(m->now[1][0], 22.5 * MB);
	/* Changed while they run, and on another card. */
	m->s->move[0].weight = 900;
	m->takes[0] = 12 * MB;
	run(m, 3 * SECOND);
	assert_about(m->now[0][0], 9.0 * MB);
	m->takes[0] = 120 * MB;
	run(m, 2 * SECOND);
	assert_about(m->now[0][0], 90.0 * MB);
	assert_about(moved(m, 0), 120.0 * MB);
}

static void what_one_does_not_use_another_has(void **state)
{
	struct model *m = *state;

	move_on(m, 0, 0, 100);
	move_on(m, 1, 0, 300);
	m->demand[1] = 2 * MB;
	run(m, SECOND);
	assert_int_equal(m->now[1][0], 2 * MB);
	assert_about(m->now[0][0], 28.0 * MB);
	m->demand[1] = UINT64_MAX / 4;
	run(m, SECOND);
	assert_about(m->now[1][0], 22.5 * MB);
	/* It has ended. */
	m->s->move[1].use[0].on = false;
	m->demand[1] = 0;
	run(m, SECOND / 2);
	assert_about(m->now[0][0], 30.0 * MB);
}

static void whoever_is_near_its_switchover_comes_first(void **state)
{
	struct model *m = *state;

	for (unsigned i = 0; i < 4; i++)
		move_on(m, i, 0, i == 2 ? 10 : 1000);
	run(m, SECOND);
	m->s->move[2].near_us = m->s->now_us;
	run(m, 3);
	assert_true(m->now[2][0] >= 28 * MB);
	for (unsigned i = 0; i < 4; i++)
		assert_true(m->now[i][0] > 0);
	/* One after the other. */
	m->s->move[3].near_us = m->s->now_us;
	run(m, 3);
	assert_true(m->now[2][0] >= 28 * MB);
	m->s->move[2].use[0].on = false;
	m->demand[2] = 0;
	run(m, 3);
	assert_true(m->now[3][0] >= 28 * MB);
	/* Others fill what it leaves between two rounds. */
	m->demand[3] = 3 * MB;
	run(m, 5);
	assert_int_equal(m->now[3][0], 3 * MB);
	assert_true(moved(m, 0) >= 28 * MB);
}

/* A connection that was held to next to nothing needs a while to be fast again:
 * the card is not to stand still meanwhile, once for each machine. */
static void the_others_are_fast_again_once_it_is_through(void **state)
{
	struct model *m = *state;
	uint64_t sum = 0;

	m->finds_back = true;
	for (unsigned i = 0; i < 4; i++)
		move_on(m, i, 0, 100);
	run(m, 2 * SECOND);
	m->s->move[2].near_us = m->s->now_us;
	run(m, SECOND);
	assert_true(m->now[2][0] >= 27 * MB);
	m->demand[2] = 1; /* all that it had has been sent */
	for (int i = 0; i < SECOND; i++) {
		tick(m);
		sum += moved(m, 0);
	}
	assert_true(sum / SECOND >= 30 * MB / 3);
	assert_true(moved(m, 0) >= 30 * MB * 80 / 100);
}

/* One that never comes to its end holds nobody up for ever. */
static void nobody_is_near_for_ever(void **state)
{
	struct model *m = *state;

	move_on(m, 0, 0, 100);
	move_on(m, 1, 0, 100);
	m->s->move[1].near_us = 1;
	run(m, SHARES_NEAR_MOST_US / SHARES_TICK_US - 1);
	assert_true(m->now[1][0] >= 28 * MB);
	run(m, SECOND);
	assert_about(m->now[0][0], 15.0 * MB);
}

static void a_ceiling_holds_over_all_cards(void **state)
{
	struct model *m = *state;

	m->s->cards = 2;
	m->takes[1] = 10 * MB;
	for (unsigned c = 0; c < 2; c++) {
		move_on(m, 0, c, 100);
		move_on(m, 1, c, 100);
	}
	m->s->move[0].ceiling = 6 * MB;
	run(m, 2 * SECOND);
	assert_in_range(m->now[0][0] + m->now[0][1], 6 * MB * 9 / 10, 6 * MB);
	assert_about(moved(m, 0) + moved(m, 1), 40.0 * MB);
	/* Changed while it runs; the next tick goes by it. */
	m->s->move[0].ceiling = 2 * MB;
	run(m, 2);
	assert_true(m->now[0][0] + m->now[0][1] <= 2 * MB);
	m->s->move[0].ceiling = 0;
	run(m, 2 * SECOND);
	assert_about(m->now[0][0] + m->now[0][1], 20.0 * MB);
}

/* A card that another end holds back: the rest goes over the others. */
static void what_the_other_end_says_holds_for_its_card(void **state)
{
	struct model *m = *state;

	m->s->cards = 2;
	m->takes[1] = 30 * MB;
	move_on(m, 0, 0, 100);
	move_on(m, 0, 1, 100);
	m->s->move[0].use[1].ceiling = 4 * MB;
	run(m, SECOND);
	assert_true(m->now[0][1] <= 4 * MB);
	assert_int_equal(m->now[0][0], 30 * MB);
}

static void a_ceiling_over_all_moves_is_shared(void **state)
{
	struct model *m = *state;

	move_on(m, 0, 0, 100);
	move_on(m, 1, 0, 300);
	m->s->ceiling = 8 * MB;
	run(m, SECOND);
	assert_about(m->now[0][0], 2.0 * MB);
	assert_about(m->now[1][0], 6.0 * MB);
	m->s->move[0].near_us = m->s->now_us;
	run(m, SECOND);
	assert_true(m->now[0][0] > 7 * MB);
	assert_true(moved(m, 0) <= 8 * MB);
}

static void a_limit_of_a_network_is_shared(void **state)
{
	struct model *m = *state;

	move_on(m, 0, 0, 100);
	move_on(m, 1, 0, 300);
	m->s->card[0].limit.rate = 12 * MB;
	run(m, SECOND);
	assert_about(m->now[0][0], 3.0 * MB);
	assert_about(m->now[1][0], 9.0 * MB);
	assert_true(moved(m, 0) <= 12 * MB);
	/* One that is above the card changes nothing. */
	m->s->card[0].limit.rate = 50 * MB;
	run(m, 2 * SECOND);
	assert_about(moved(m, 0), 30.0 * MB);
	assert_about(m->now[1][0], 22.5 * MB);
}

static void others_have_their_part_within_a_second_and_leave_it(void **state)
{
	struct model *m = *state;

	move_on(m, 0, 0, 100);
	move_on(m, 1, 0, 300);
	m->s->card[0].yields = true;
	m->s->card[0].guarantee.percent = 50;
	run(m, 2 * SECOND);
	assert_int_equal(moved(m, 0), 30 * MB);
	m->foreign[0] = UINT64_MAX / 4;
	run(m, SECOND - 1);
	for (int i = 0; i < 10 * SECOND; i++) {
		assert_about(m->others[0], 15.0 * MB);
		assert_about(m->now[1][0], 11.25 * MB);
		assert_true(moved(m, 0) + m->others[0] >= 30 * MB * 95 / 100);
		tick(m);
	}
	m->foreign[0] = 0;
	run(m, SECOND - 1);
	assert_int_equal(moved(m, 0), 30 * MB);
}

static void without_a_guarantee_others_have_all(void **state)
{
	struct model *m = *state;

	move_on(m, 0, 0, 100);
	m->s->card[0].yields = true;
	run(m, 2 * SECOND);
	m->foreign[0] = UINT64_MAX / 4;
	run(m, SECOND - 1);
	for (int i = 0; i < 10 * SECOND; i++) {
		assert_true(m->others[0] >= 30 * MB * 95 / 100);
		assert_true(m->now[0][0] > 0);
		tick(m);
	}
	m->foreign[0] = 0;
	run(m, SECOND - 1);
	assert_int_equal(moved(m, 0), 30 * MB);
}

/* Others that do not fill the card have what they send, and the moves the
 * rest; also when it goes up and down a little. */
static void the_rest_is_taken_without_swinging(void **state)
{
	struct model *m = *state;
	unsigned seed = 3, dips = 0;

	move_on(m, 0, 0, 100);
	m->s->card[0].yields = true;
	m->s->card[0].guarantee.percent = 10;
	run(m, SECOND);
	m->foreign[0] = 10 * MB;
	run(m, SECOND);
	for (int i = 0; i < 20 * SECOND; i++) {
		m->foreign[0] = 10 * MB + (uint64_t)rand_r(&seed) % (MB / 2);
		tick(m);
		assert_int_equal(m->others[0], m->foreign[0]);
		dips += moved(m, 0) + m->others[0] < 30 * MB * 94 / 100;
	}
	assert_int_equal(dips, 0);
}

/* A card that became slower while others are given way to is not taken for the
 * one of before. */
static void a_slower_card_is_noticed_while_yielding(void **state)
{
	struct model *m = *state;

	move_on(m, 0, 0, 100);
	m->s->card[0].yields = true;
	m->s->card[0].guarantee.percent = 20;
	run(m, SECOND);
	m->foreign[0] = 6 * MB;
	run(m, SECOND);
	assert_about(moved(m, 0), 30.0 * MB * 0.96 - 6 * MB);
	m->takes[0] = 10 * MB;
	run(m, 3 * SECOND);
	assert_about(m->others[0], 6.0 * MB);
}

/* A move that would send more, and is held up by something else than this card,
 * leaves the rest to the others. */
static void one_that_is_slow_elsewhere_holds_nobody_up(void **state)
{
	struct model *m = *state;
	uint64_t sum = 0;

	move_on(m, 0, 0, 100);
	move_on(m, 1, 0, 100);
	m->elsewhere[0] = 3 * MB;
	run(m, 4 * SECOND);
	assert_about(m->now[0][0], 3.0 * MB);
	assert_about(m->now[1][0], 27.0 * MB);
	/* Now and then it is tried whether it still is. */
	for (int i = 0; i < 20 * SECOND; i++) {
		sum += moved(m, 0);
		tick(m);
	}
	assert_true(sum / (20 * SECOND) >= 30 * MB * 85 / 100);
	m->s->move[0].near_us = m->s->now_us;
	run(m, SECOND);
	assert_true(m->now[1][0] >= 25 * MB);
	m->s->move[0].near_us = 0;
	m->elsewhere[0] = 0;
	run(m, 4 * SECOND);
	assert_about(m->now[0][0], 15.0 * MB);
}

static void ask_at_random(struct model *m, unsigned moves, unsigned *seed)
{
	m->s->cards = 1 + (unsigned)rand_r(seed) % 3;
	for (unsigned c = 0; c < m->s->cards; c++)
		m->takes[c] = (1 + (uint64_t)rand_r(seed) % 100) * MB;
	for (unsigned i = 0; i < moves; i++) {
		if (rand_r(seed) % 3 == 0)
			m->demand[i] = 1 + (uint64_t)rand_r(seed) % (9 * MB);
		for (unsigned c = 0; c < m->s->cards; c++)
			move_on(m, i, c, 1 + (unsigned)rand_r(seed) % 1000);
		if (rand_r(seed) % 4 == 0)
			m->s->move[i].ceiling =
				MB + (uint64_t)rand_r(seed) % (9 * MB);
		if (rand_r(seed) % 4 == 0)
			m->s->move[i].near_us = 1;
	}
}

static void assert_card(const struct model *m, unsigned c)
{
	const uint64_t takes = m->s->card[c].takes;
	uint64_t held = 0;
	bool hungry = false;

	for (unsigned i = 0; i < m->s->moves; i++) {
		const struct shares_move *v = &m->s->move[i];
		const uint64_t may = v->use[c].may[0];

		assert_true(may > 0);
		/* The first is free, up to its ceiling. */
		held += may == SHARES_FREE || v->near_us ? 0 : may;
		hungry |= v->hungry && !v->ceiling;
	}
	if (!hungry)
		return;
	/* And a part that is tried. */
	assert_true(held <= takes + takes / SHARES_PROBE);
	assert_true(moved(m, c) >= m->takes[c] * 85 / 100);
}

static void assert_ceiling(const struct model *m, unsigned i)
{
	uint64_t sum = 0;

	for (unsigned c = 0; c < m->s->cards; c++)
		sum += m->now[i][c];
	if (m->s->move[i].ceiling)
		assert_true(sum <= m->s->move[i].ceiling);
}

/* Whatever they are asked for: nobody has more than it may, the sum of those
 * who are held back is no more than the card, and the card is used. */
static void whatever_happens_the_card_is_used_and_the_rules_hold(void **state)
{
	unsigned seed = 11;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		struct model *m;
		void *one;

		start(&one);
		m = one;
		ask_at_random(m, 1 + round % 8, &seed);
		run(m, 3 * SECOND);
		for (unsigned c = 0; c < m->s->cards; c++)
			assert_card(m, c);
		for (unsigned i = 0; i < m->s->moves; i++)
			assert_ceiling(m, i);
		stop(&one);
	}
}

#define MODELLED(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_is_wanted_is_given_and_no_more_than_there_is),
		MODELLED(one_move_alone_is_not_held_back),
		MODELLED(parts_are_as_the_weights),
		MODELLED(what_one_does_not_use_another_has),
		MODELLED(whoever_is_near_its_switchover_comes_first),
		MODELLED(the_others_are_fast_again_once_it_is_through),
		MODELLED(nobody_is_near_for_ever),
		MODELLED(a_ceiling_holds_over_all_cards),
		MODELLED(what_the_other_end_says_holds_for_its_card),
		MODELLED(a_ceiling_over_all_moves_is_shared),
		MODELLED(a_limit_of_a_network_is_shared),
		MODELLED(others_have_their_part_within_a_second_and_leave_it),
		MODELLED(without_a_guarantee_others_have_all),
		MODELLED(the_rest_is_taken_without_swinging),
		MODELLED(one_that_is_slow_elsewhere_holds_nobody_up),
		MODELLED(a_slower_card_is_noticed_while_yielding),
		cmocka_unit_test(
			whatever_happens_the_card_is_used_and_the_rules_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
