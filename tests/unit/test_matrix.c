/* SPDX-License-Identifier: MIT */

/* The table of what excludes what on a card, and what it says of a card. */
#include "unit.h"

#include <string.h>

#include "base/text.h"
#include "tune/features.h"
#include "tune/matrix.h"

static void test_every_saying_has_a_reason_and_a_source(void **state)
{
	(void)state;
	assert_true(tune_matrix_count > 20);
	for (size_t i = 0; i < tune_matrix_count; i++) {
		const struct tune_entry *t = &tune_matrix[i];
		unsigned said = 0;

		for (int c = 0; c < TUNE_COLUMNS; c++) {
			const struct tune_saying *s = &t->says[c];

			if (s->relation == TUNE_UNRELATED) {
				assert_null(s->why);
				assert_null(s->source);
				continue;
			}
			said++;
			assert_non_null(s->why);
			assert_int_equal(s->why[strlen(s->why) - 1], '.');
			assert_non_null(s->source);
			assert_true(strlen(s->source) > 8);
		}
		assert_true(said > 0);
	}
}

static void test_no_pair_stands_twice_and_none_is_with_itself(void **state)
{
	(void)state;
	for (size_t i = 0; i < tune_matrix_count; i++) {
		const struct tune_entry *a = &tune_matrix[i];

		assert_int_not_equal(a->feature, a->other);
		for (size_t j = i + 1; j < tune_matrix_count; j++) {
			const struct tune_entry *b = &tune_matrix[j];

			assert_false(a->feature == b->feature &&
				     a->other == b->other);
			assert_false(a->feature == b->other &&
				     a->other == b->feature);
		}
	}
}

static void test_what_holds_both_ways_is_said_both_ways(void **state)
{
	unsigned both = 0, one = 0;

	(void)state;
	for (size_t i = 0; i < tune_matrix_count; i++)
		for (int c = 0; c < TUNE_COLUMNS; c++) {
			const struct tune_entry *t = &tune_matrix[i];
			const struct tune_saying *s = &t->says[c];
			const struct tune_saying *there, *back;

			if (s->relation == TUNE_UNRELATED)
				continue;
			there = tune_says(c, t->feature, t->other);
			back = tune_says(c, t->other, t->feature);
			assert_ptr_equal(there, s);
			if (tune_symmetric(s->relation)) {
				assert_ptr_equal(back, s);
				both++;
			} else {
				assert_null(back);
				one++;
			}
		}
	assert_true(both > 5 && one > 5);
}

static void test_every_feature_has_a_name_of_its_own_and_an_entry(void **state)
{
	(void)state;
	for (enum tune_feature f = 0; f < TUNE_FEATURES; f++) {
		bool used = false;

		assert_non_null(tune_feature_names[f]);
		/* The width of the command's column. */
		assert_true(strlen(tune_feature_names[f]) <= 16);
		assert_non_null(tune_feature_texts[f]);
		for (enum tune_feature g = 0; g < f; g++)
			assert_string_not_equal(tune_feature_names[f],
						tune_feature_names[g]);
		for (size_t i = 0; i < tune_matrix_count; i++)
			used = used || tune_matrix[i].feature == f ||
			       tune_matrix[i].other == f;
		assert_true(used);
	}
}

static void test_windows_and_linux_differ_where_they_do(void **state)
{
	(void)state;
	assert_int_equal(tune_says(TUNE_WINDOWS, TUNE_VMQ, TUNE_RSS)->relation,
			 TUNE_EXCLUDES);
	assert_int_equal(tune_says(TUNE_LINUX, TUNE_VMQ, TUNE_RSS)->relation,
			 TUNE_COMBINES);
	assert_null(tune_says(TUNE_LINUX, TUNE_RSS, TUNE_RX_CHECKSUM));
}

/* --- cards */

static const struct tune_entry *entry_of(enum tune_feature a,
					 enum tune_feature b)
{
	for (size_t i = 0; i < tune_matrix_count; i++)
		if (tune_matrix[i].feature == a && tune_matrix[i].other == b)
			return &tune_matrix[i];
	fail();
	return NULL;
}

static enum tune_holds holds(const struct inventory *inv, const struct nic *n,
			     enum tune_feature a, enum tune_feature b)
{
	enum tune_state states[TUNE_FEATURES];

	tune_states(states, inv, n);
	return tune_holds(entry_of(a, b), states);
}

static void test_what_is_needed_is_there_missing_or_not_known(void **state)
{
	struct nic n = { .name = "eth0", .ifindex = 2 };
	struct inventory inv = { .at = &n, .count = 1 };

	(void)state;
	n.features = 1U << NIC_TSO | 1U << NIC_TX_CHECKSUM;
	assert_int_equal(holds(&inv, &n, TUNE_LSO, TUNE_TX_CHECKSUM),
			 TUNE_SILENT);
	n.features_known = true;
	assert_int_equal(holds(&inv, &n, TUNE_LSO, TUNE_TX_CHECKSUM), TUNE_MET);
	n.features = 1U << NIC_TSO6;
	assert_int_equal(holds(&inv, &n, TUNE_LSO, TUNE_TX_CHECKSUM),
			 TUNE_MISSING);
	n.features = 0;
	assert_int_equal(holds(&inv, &n, TUNE_LSO, TUNE_TX_CHECKSUM),
			 TUNE_SILENT);
	/* Linux says nothing of it, whatever Windows says. */
	n.rss = true;
	n.rx_queues = 4;
	assert_int_equal(holds(&inv, &n, TUNE_RSS, TUNE_RX_CHECKSUM),
			 TUNE_SILENT);
}

static void test_a_port_of_a_bridge_clashes_with_lro(void **state)
{
	struct nic all[] = {
		{ .name = "eth0", .ifindex = 2, .master = 3 },
		{ .name = "br0", .ifindex = 3, .kind = NIC_BRIDGE },
	};
	struct inventory inv = { .at = all, .count = ARRAY_SIZE(all) };

	(void)state;
	all[0].features_known = true;
	all[0].features = 1U << NIC_LRO;
	assert_int_equal(holds(&inv, &all[0], TUNE_LRO, TUNE_SWITCH),
			 TUNE_CLASH);
	all[0].master = 0;
	assert_int_equal(holds(&inv, &all[0], TUNE_LRO, TUNE_SWITCH),
			 TUNE_SILENT);
	assert_true(tune_card(&inv, &all[0]));
	assert_false(tune_card(&inv, &all[1]));
}

static void test_virtual_functions_are_on_when_there_are_some(void **state)
{
	struct nic n = { .name = "eth0", .ifindex = 2 };
	struct inventory inv = { .at = &n, .count = 1 };

	(void)state;
	n.rx_queues = 2;
	n.rss = true;
	n.vfs_most = 7;
	assert_int_equal(holds(&inv, &n, TUNE_RSS, TUNE_SRIOV), TUNE_SILENT);
	n.vfs = 2;
	assert_int_equal(holds(&inv, &n, TUNE_RSS, TUNE_SRIOV), TUNE_TOGETHER);
	assert_int_equal(holds(&inv, &n, TUNE_SRIOV, TUNE_MOVES),
			 TUNE_TOGETHER);
}

static void test_bonds_and_their_members_by_mode_and_policy(void **state)
{
	struct nic all[] = {
		{ .name = "eth0", .ifindex = 2, .master = 3 },
		{ .name = "bond0", .ifindex = 3, .kind = NIC_BOND },
	};
	struct inventory inv = { .at = all, .count = ARRAY_SIZE(all) };
	struct nic_bond *bond = &all[1].bond;

	(void)state;
	bond->mode = BOND_ACTIVE_BACKUP;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(holds(&inv, &all[i], TUNE_TEAM_INDEPENDENT,
				       TUNE_CONNECTIONS),
				 TUNE_WEAKENED);
		assert_int_equal(holds(&inv, &all[i], TUNE_HASH_LAYER2,
				       TUNE_CONNECTIONS),
				 TUNE_SILENT);
	}
	bond->mode = BOND_8023AD;
	bond->policy = BOND_LAYER2;
	assert_int_equal(holds(&inv, &all[0], TUNE_TEAM_SWITCH,
			       TUNE_CONNECTIONS),
			 TUNE_TOGETHER);
	assert_int_equal(holds(&inv, &all[0], TUNE_HASH_LAYER2,
			       TUNE_CONNECTIONS),
			 TUNE_WEAKENED);
	bond->policy = BOND_LAYER34;
	assert_int_equal(holds(&inv, &all[0], TUNE_HASH_LAYER2,
			       TUNE_CONNECTIONS),
			 TUNE_SILENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_saying_has_a_reason_and_a_source),
		cmocka_unit_test(
			test_no_pair_stands_twice_and_none_is_with_itself),
		cmocka_unit_test(test_what_holds_both_ways_is_said_both_ways),
		cmocka_unit_test(
			test_every_feature_has_a_name_of_its_own_and_an_entry),
		cmocka_unit_test(test_windows_and_linux_differ_where_they_do),
		cmocka_unit_test(
			test_what_is_needed_is_there_missing_or_not_known),
		cmocka_unit_test(test_a_port_of_a_bridge_clashes_with_lro),
		cmocka_unit_test(
			test_bonds_and_their_members_by_mode_and_policy),
		cmocka_unit_test(
			test_virtual_functions_are_on_when_there_are_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
