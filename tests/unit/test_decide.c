/* SPDX-License-Identifier: MIT */

/* Who may run the guest, in every order: two_hosts.h says how. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "two_hosts.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { WORLDS = 60000, WHOLE = 0 };
#else
enum { WORLDS = 4000000, WHOLE = 1 };
#endif

static void the_guest_never_runs_twice(bool stays_paused)
{
	struct search s;

	search_init(&s, WORLDS);
	search_explore(&s, stays_paused);
	printf("# %zu states: any number of crashes, failed writes, cuts, "
	       "commands and copies of each message; one trip\n",
	       s.next);
	if (s.wrong) {
		printf("# %s:\n", s.wrong);
		search_show(&s.seen[s.next - 1]);
	}
	fflush(stdout);
	assert_null(s.wrong);
	assert_true(!s.full || !WHOLE);
	search_done(&s);
}

static void test_no_order_of_events_runs_the_guest_twice(void **state)
{
	(void)state;
	the_guest_never_runs_twice(false);
}

static void test_nor_one_of_a_guest_that_stays_paused(void **state)
{
	(void)state;
	the_guest_never_runs_twice(true);
}

/* --- is what the table guards against found? */

struct mutant {
	struct decide_row rows[160];
	struct search search;
};

static bool is_found(struct mutant *m, const char *what, size_t row)
{
	const struct decide_row *r = &decide_table.rows[row];
	bool found = false;

	for (int paused = 0; paused < 2 && !found; paused++) {
		search_explore(&m->search, paused);
		found = m->search.wrong != NULL;
	}
	if (!found)
		printf("# not found: row %zu (%s, event %d) without %s\n", row,
		       decide_state_name(r->state), r->event, what);
	return found;
}

/* Without these a record or a job too many is made, and nothing worse. */
static bool saves_work(const struct decide_row *r)
{
	return r->state == SOURCE_CONTINUING || r->state == SOURCE_SETTLING ||
	       r->state == SOURCE_FORGETTING || r->state == DEST_CLAIMING ||
	       r->event == EVENT_FOUND_DROPPED ||
	       r->event == EVENT_HEARD_COMMIT || r->need == FACT_LOST;
}

static void restore(struct mutant *m)
{
	memcpy(m->rows, decide_table.rows,
	       decide_table.count * sizeof(m->rows[0]));
}

static void test_a_guard_that_is_taken_out_is_found(void **state)
{
	static struct mutant m;
	size_t guards = 0, found = 0;

	(void)state;
	assert_true(decide_table.count <= ARRAY_SIZE(m.rows));
	search_init(&m.search, WORLDS);
	m.search.table.rows = m.rows;
	for (size_t i = 0; i < decide_table.count; i++) {
		for (unsigned bit = 1; bit <= FACT_LATER_QEMU; bit <<= 1) {
			if (!(decide_table.rows[i].need & bit) ||
			    saves_work(&decide_table.rows[i]))
				continue;
			restore(&m);
			m.rows[i].need &= ~bit;
			guards++;
			found += is_found(&m, "a fact", i);
		}
	}
	printf("# %zu of %zu guards are missed when they are gone\n", found,
	       guards);
	fflush(stdout);
	search_done(&m.search);
	assert_true(found == guards || !WHOLE);
}

/* A copy that is dropped too early comes back to the source, which hears that
 * it was; while the operator's word is looked into it is that word that counts;
 * a claim is on disk; a source that does not wait for a copy does not ask. */
static bool does_no_harm(enum decide_state s, enum decide_action early)
{
	return early == ACT_SAY_ABORT || s == SOURCE_ASKS_KEEP ||
	       s == DEST_CLAIMED || s == DEST_CLEARING;
}

/* "Not yet" is said where both words would be wrong. */
static void test_a_word_too_early_is_found(void **state)
{
	static const struct {
		enum decide_action now, early[2];
	} words[] = {
		{ ACT_SAY_UNDECIDED, { ACT_SAY_COMMIT, ACT_SAY_ABORT } },
		{ ACT_SAY_WAITING, { ACT_SAY_RUNNING, ACT_SAY_DROPPED } },
	};
	static struct mutant m;
	size_t tried = 0, found = 0;

	(void)state;
	search_init(&m.search, WORLDS);
	m.search.table.rows = m.rows;
	for (size_t i = 0; i < decide_table.count; i++) {
		for (size_t k = 0; k < 4; k++) {
			const struct decide_row *r = &decide_table.rows[i];

			if (r->actions[0] != words[k / 2].now ||
			    does_no_harm(r->state, words[k / 2].early[k % 2]))
				continue;
			restore(&m);
			m.rows[i].actions[0] = words[k / 2].early[k % 2];
			tried++;
			found += is_found(&m,
					  k % 2 ? "not yet, second word"
						: "not yet, first word",
					  i);
		}
	}
	printf("# %zu of %zu answers that come too early are found\n", found,
	       tried);
	fflush(stdout);
	search_done(&m.search);
	assert_true(found == tried || !WHOLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_order_of_events_runs_the_guest_twice),
		cmocka_unit_test(test_nor_one_of_a_guest_that_stays_paused),
		cmocka_unit_test(test_a_guard_that_is_taken_out_is_found),
		cmocka_unit_test(test_a_word_too_early_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
