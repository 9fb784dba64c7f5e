/* SPDX-License-Identifier: MIT */

/* What tc(8) is to be told of a network's shares: equal to files that somebody
 * has read, and has given to a kernel; and whether it was told already. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tune/shaping.h"

#define MBIT UINT64_C(125000)
#define CARD (10000 * MBIT)

enum { FILE_CAP = 4096 };

static const char *folder; /* of those files */

static const struct network_share plain = { .priority = -1, .dscp = -1 };

static struct shaping_card card_of(const struct network_share *s, uint64_t rate)
{
	return (struct shaping_card){ "eth0", rate, s };
}

static void read_file(char text[FILE_CAP], const char *name)
{
	char path[256];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, FILE_CAP - 1, f);
	text[n] = '\0';
	assert_int_equal(fclose(f), 0);
}

static void assert_commands(const struct network_share *s, uint64_t rate,
			    const char *file)
{
	const struct shaping_card c = card_of(s, rate);
	char why[SHAPING_WHY], expected[FILE_CAP], got[FILE_CAP] = "";
	struct shaping_tree t;
	struct words w = { 0 };
	struct error e;

	assert_true(shaping_want(&t, why, &c));
	assert_int_equal(shaping_commands(&w, &t, &c, &e), 0);
	for (size_t i = 0; i < w.count; i++) {
		strncat(got, w.at[i], FILE_CAP - strlen(got) - 2);
		strcat(got, "\n");
	}
	read_file(expected, file);
	assert_string_equal(got, expected);
	words_done(&w);
}

static void the_commands_are_those_of_the_files(void **state)
{
	struct network_share s = plain;

	(void)state;
	s.dscp = 8;
	s.limit.percent = 50;
	s.guarantee.rate = 2000 * MBIT;
	assert_commands(&s, CARD, "limit-and-guarantee");
	/* A limit alone needs no speed. */
	s = plain;
	s.priority = 2;
	s.limit.rate = 500 * MBIT;
	assert_commands(&s, 0, "limit");
	s = plain;
	s.priority = 2;
	s.guarantee.percent = 25;
	assert_commands(&s, 0, "guarantee");
	s.guarantee = (struct network_amount){ .rate = 2500 * MBIT };
	assert_commands(&s, CARD, "guarantee");
	/* A class of the settings' own needs no filter. */
	s = plain;
	s.priority = 0x10010;
	s.guarantee.percent = 50;
	assert_commands(&s, CARD, "own-class");
}

static void assert_refused(const struct network_share *s, uint64_t rate,
			   const char *reason)
{
	const struct shaping_card c = card_of(s, rate);
	char why[SHAPING_WHY];
	struct shaping_tree t;

	assert_false(shaping_want(&t, why, &c));
	if (!reason[0])
		assert_string_equal(why, "");
	assert_non_null(strstr(why, reason));
}

static void what_cannot_be_told_has_a_reason(void **state)
{
	struct network_share s = plain;

	(void)state;
	assert_refused(&s, CARD, "");
	s.limit.rate = 500 * MBIT;
	assert_refused(&s, CARD, "nothing marks what moves send over eth0");
	s.dscp = 8;
	s.limit = (struct network_amount){ .percent = 50 };
	assert_refused(&s, 0, "eth0 does not tell its speed: write the limit");
	s.limit.percent = 0;
	s.guarantee.rate = 10 * MBIT;
	assert_refused(&s, 0, "write the guarantee in per cent");
	s.guarantee.rate = 2 * CARD;
	assert_refused(&s, CARD, "all that eth0 carries");
	s.guarantee = (struct network_amount){ .percent = 100 };
	assert_refused(&s, CARD, "all that eth0 carries");
}

static void what_is_set_is_recognised(void **state)
{
	struct network_share s = plain;
	const struct shaping_card c = card_of(&s, CARD);
	char why[SHAPING_WHY];
	struct shaping_tree want, seen;
	struct shaping_class first;

	(void)state;
	s.dscp = 8;
	s.limit.percent = 50;
	s.guarantee.percent = 20;
	assert_true(shaping_want(&want, why, &c));
	seen = want;
	first = seen.at[0];
	seen.at[0] = seen.at[2];
	seen.at[2] = first;
	assert_int_equal(shaping_compare(&want, &seen), SHAPING_SET);
	seen.at[1].most++;
	assert_int_equal(shaping_compare(&want, &seen), SHAPING_OTHER);
	seen = want;
	seen.count--;
	assert_int_equal(shaping_compare(&want, &seen), SHAPING_OTHER);
	seen = want;
	seen.handle = 0x10000;
	assert_int_equal(shaping_compare(&want, &seen), SHAPING_OTHER);
	seen = (struct shaping_tree){ .kind = "fq" };
	assert_int_equal(shaping_compare(&want, &seen), SHAPING_UNSET);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_commands_are_those_of_the_files),
		cmocka_unit_test(what_cannot_be_told_has_a_reason),
		cmocka_unit_test(what_is_set_is_recognised),
	};

	folder = argc > 1 ? argv[1] : "tests/unit/tc";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
