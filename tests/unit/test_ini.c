/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/ini.h"
#include "base/text.h"
#include "base/words.h"

static char said[4096];

static int say(void *at, const struct ini_key *k, const char *value,
	       struct error *e)
{
	size_t n = strlen(said);

	(void)at;
	if (!strcmp(value, "bad"))
		return error_set(e, EINVAL, "bad is bad");
	snprintf(said + n, sizeof(said) - n, "%s=%s|", k->key, value);
	return 0;
}

static void say_clear(void *at)
{
	strcat(at, "!");
}

static int begin(void *target, struct ini_place *p, struct error *e)
{
	size_t n = strlen(said);

	p->base = target;
	if (!p->name)
		return 0;
	snprintf(said + n, sizeof(said) - n, "<%s>", p->name);
	return ini_defaults(p->section, p->base, e);
}

static const struct ini_kind word = { .parse = say };
static const struct ini_kind list = { .parse = say, .clear = say_clear };

static const struct ini_key host_keys[] = {
	{ "listen", &list, .repeatable = true },
	{ "port", &word, "6600" },
};
static const struct ini_key peer_keys[] = {
	{ "address", &word },
	{ "tls", &word, "on" },
};

static const struct ini_section host = { "host", host_keys,
					 ARRAY_SIZE(host_keys) };
static const struct ini_section peer = { "peer", peer_keys,
					 ARRAY_SIZE(peer_keys), 1 };
static const struct ini_section *const sections[] = { &host, &peer };

static const struct ini_format format = { sections, ARRAY_SIZE(sections),
					  begin };

static int parse(const char *text, struct error *e)
{
	said[0] = '\0';
	return ini_read_text(&format, said, "t.conf", text, strlen(text), e);
}

static void assert_says(const char *text, const char *expected)
{
	struct error e = { 0 };

	if (parse(text, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(said, expected);
}

static void assert_fails(const char *text, const char *expected)
{
	struct error e;

	assert_int_equal(parse(text, &e), -EINVAL);
	assert_string_equal(e.text, expected);
}

static void values_arrive_trimmed_and_without_comments(void **state)
{
	(void)state;
	assert_says("# first\n; second\r\n\n[host]\r\nport =  7 8  ; why\n",
		    "port=7 8|");
	assert_says("\xef\xbb\xbf[ host ]\nport=a;b", "port=a;b|");
	assert_says("[host]\nport = a # b\n", "port=a # b|");
}

static void quoted_semicolons_start_no_comment(void **state)
{
	(void)state;
	assert_says("[host]\nport = \"a ; b\" ; c\n", "port=\"a ; b\"|");
	assert_says("[host]\nport = it's ; c\n", "port=it's|");
	assert_says("[host]\nport = 'a'\\'' ; b' ; c\n", "port='a'\\'' ; b'|");
}

static void indented_lines_continue_a_repeatable_key(void **state)
{
	(void)state;
	assert_says("[host]\nlisten = a\n\tb = c\n  d\n  ; no\nport = 1\n",
		    "!listen=a|listen=b = c|listen=d|"
		    "port=1|");
	assert_says("[host]\n  port = 1\n", "port=1|");
}

static void what_a_section_has_not_is_its_fallback(void **state)
{
	struct error e;

	(void)state;
	assert_says("[peer a]\ntls = off\n[peer b]\n[host]\nport = 1\n",
		    "<a>tls=on|tls=off|<b>tls=on|port=1|");
	said[0] = '\0';
	assert_int_equal(ini_defaults(&host, said, &e), 0);
	assert_string_equal(said, "port=6600|");
}

static void the_first_value_in_a_file_clears_what_was_there(void **state)
{
	(void)state;
	assert_says("[host]\nlisten = a\n  b\nport = 1\nlisten = c\n",
		    "!listen=a|listen=b|port=1|listen=c|");
}

static void long_names_of_sections_stay_whole(void **state)
{
	static const char name[] =
		"a23456789b123456789c123456789d123456789e123456789f123456789";
	char text[128], expected[128];

	(void)state;
	snprintf(text, sizeof(text), "[peer %s]\ntls = off\n", name);
	snprintf(expected, sizeof(expected), "<%s>tls=on|tls=off|", name);
	assert_says(text, expected);
}

static void problems_name_line_and_column(void **state)
{
	(void)state;
	assert_fails("[host]\n\nprot = 1\n",
		     "t.conf:3:1: [host] has no key 'prot'; did you mean "
		     "'port'?");
	assert_fails("[hots]\n",
		     "t.conf:1:1: there is no section [hots]; did you mean "
		     "'host'?");
	assert_fails("[host]\nxyzzy = 1\n",
		     "t.conf:2:1: [host] has no key 'xyzzy'");
	assert_fails("[host]\nport = 1\n  port = 2\n",
		     "t.conf:3:3: 'port' is set twice");
	assert_fails("[host]\nport =   bad\n", "t.conf:2:10: bad is bad");
	assert_fails("port = 1\n", "t.conf:1:1: a [SECTION] has to come first");
	assert_fails("[host]\nport\n",
		     "t.conf:2:1: write KEY = VALUE or [SECTION]");
	assert_fails("[host]\nport =;1\n",
		     "t.conf:2:7: a value cannot start with ';'");
	assert_fails("[host\n",
		     "t.conf:1:6: ']' is missing at the end of the line");
	assert_fails("[host]\n = 1\n", "t.conf:2:2: a key is missing here");
	assert_fails("[host x]\n", "t.conf:1:1: [host] takes no name");
	assert_fails("[peer]\n", "t.conf:1:1: write [peer NAME]");
}

static void binary_and_huge_files_are_refused(void **state)
{
	char *big = calloc(1, INI_TEXT_MAX + 1);
	struct error e;

	(void)state;
	memset(big, '\n', INI_TEXT_MAX + 1);
	assert_int_equal(ini_read_text(&format, said, "b", big,
				       INI_TEXT_MAX + 1, &e),
			 -EFBIG);
	assert_int_equal(ini_read_text(&format, said, "b", "[host]\np\0rt=1",
				       13, &e),
			 -EINVAL);
	assert_string_equal(e.text, "b:2:2: this is not a text file: it has a "
				    "zero byte");
	assert_int_equal(ini_read_file(&format, said, "/nonexistent", &e),
			 -ENOENT);
	assert_string_equal(e.text, "/nonexistent: No such file or directory");
	free(big);
}

static void assert_edit(const char *text, const char *section, const char *key,
			const char *values, const char *expected)
{
	const struct ini_key k = { .key = key, .before = "old" };
	struct words w = { 0 };
	struct error e = { 0 };
	char *got;

	assert_int_equal(words_split(&w, values, &e), 0);
	if (ini_edit(&got, text, section, &k, &w, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(got, expected);
	free(got);
	words_done(&w);
}

static void an_edit_keeps_what_else_stands_there(void **state)
{
	(void)state;
	assert_edit("", "host", "port", "1", "[host]\nport = 1\n");
	assert_edit("# c\n", "peer b", "port", "1",
		    "# c\n\n[peer b]\nport = 1\n");
	assert_edit("[host]\n# c\nport = 1 ; d\nname = x\n", "host", "port",
		    "2", "[host]\n# c\nport = 2\nname = x\n");
	assert_edit("[host]\nlisten = a\n   b\n\n; c\n   d\nport = 1\n"
		    "listen = e\n",
		    "host", "listen", "f g",
		    "[host]\nlisten = f\nlisten = g\n\n; c\nport = 1\n");
	assert_edit("[host]\nname = x\n\n[peer a]\nport = 1\n", "host", "port",
		    "2", "[host]\nname = x\nport = 2\n\n[peer a]\nport = 1\n");
	assert_edit("[peer a]\nport = 1\n[ peer   b ] ; c\nport = 2\n",
		    "peer b", "port", "3",
		    "[peer a]\nport = 1\n[ peer   b ] ; c\nport = 3\n");
	assert_edit("[host]\nport = 1\n[peer a]\nport = 2\n", "host", "port",
		    "", "[peer a]\nport = 2\n");
	assert_edit("[host]\nport = 1\nname = x\n", "host", "port", "",
		    "[host]\nname = x\n");
	assert_edit("[host]\nold = 1\n", "host", "port", "2",
		    "[host]\nport = 2\n");
	assert_edit("# c\n\n[host]\nport = 1\n", "host", "port", "", "# c\n");
	assert_edit("[host]\nname = x\n", "peer a", "port", "",
		    "[host]\nname = x\n");
}

static void an_edit_takes_no_value_that_a_file_cannot_hold(void **state)
{
	static const char *const values[] = { "a\n[peer b]", "a ; b", "; a", "",
					      " a",          "a " };
	const struct ini_key k = { .key = "group" };
	struct error e;
	char *got;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct words w = { 0 };

		assert_int_equal(words_add(&w, values[i], &e), 0);
		assert_int_equal(ini_edit(&got, "", "host", &k, &w, &e),
				 -EINVAL);
		words_done(&w);
	}
}

static void words_split_as_in_a_shell(void **state)
{
	struct words w = { 0 };
	struct error e;

	(void)state;
	assert_int_equal(words_split(&w,
				     "  -append \"a  \\\"b\\\" \\c\" 'd \\' "
				     "e\\ f g''h \"\" ",
				     &e),
			 0);
	assert_int_equal(w.count, 6);
	assert_string_equal(w.at[1], "a  \"b\" \\c");
	assert_string_equal(w.at[2], "d \\");
	assert_string_equal(w.at[3], "e f");
	assert_string_equal(w.at[4], "gh");
	assert_string_equal(w.at[5], "");
	assert_null(w.at[6]);
	assert_int_equal(words_split(&w, "a 'b", &e), -EINVAL);
	assert_int_equal(words_split(&w, "a\\", &e), -EINVAL);
	words_done(&w);
}

static void quoted_words_read_back_the_same(void **state)
{
	static const char *const words[] = { "",      "plain", "a b",
					     "it's",  "\"",    "\\",
					     "$HOME", "' ; '", "a\\'b" };
	struct error e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct words w = { 0 };
		char *quoted = words_quote(words[i]);

		assert_int_equal(words_split(&w, quoted, &e), 0);
		assert_int_equal(w.count, 1);
		assert_string_equal(w.at[0], words[i]);
		words_done(&w);
		free(quoted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_arrive_trimmed_and_without_comments),
		cmocka_unit_test(quoted_semicolons_start_no_comment),
		cmocka_unit_test(indented_lines_continue_a_repeatable_key),
		cmocka_unit_test(what_a_section_has_not_is_its_fallback),
		cmocka_unit_test(
			the_first_value_in_a_file_clears_what_was_there),
		cmocka_unit_test(an_edit_keeps_what_else_stands_there),
		cmocka_unit_test(
			an_edit_takes_no_value_that_a_file_cannot_hold),
		cmocka_unit_test(long_names_of_sections_stay_whole),
		cmocka_unit_test(problems_name_line_and_column),
		cmocka_unit_test(binary_and_huge_files_are_refused),
		cmocka_unit_test(words_split_as_in_a_shell),
		cmocka_unit_test(quoted_words_read_back_the_same),
	};

	return cmocka_run_group_tests_name("ini", tests, NULL, NULL);
}
