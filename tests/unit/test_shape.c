/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/shape.h"
#include "base/text.h"
#include "base/words.h"

enum colour { RED, GREEN, COLOURS };

static const char *const colour_names[COLOURS] = { "red", "green" };

struct leaf {
	char *name;
	uint16_t size;
};

struct point {
	int x, y;
};

struct number {
	uint32_t n;
};

struct tree {
	bool tall;
	bool has_spot;
	uint8_t small;
	uint32_t number;
	uint64_t big, born_us;
	int64_t left;
	double ratio;
	char text[8], word[8];
	enum colour colour;
	unsigned char mac[2];
	struct words words;
	struct leaf *leaves;
	size_t leaf_count;
	struct point spot;
	struct number inside[3];
	size_t inside_count;
};

static const struct shape_field leaf_fields[] = {
	{ "name", SHAPE_STRING, SHAPE_NEEDED, SHAPE_AT(struct leaf, name),
	  .most = 10 },
	{ "size", SHAPE_NUMBER, SHAPE_OMIT, SHAPE_AT(struct leaf, size) },
};
static const struct shape leaf_shape = SHAPE(struct leaf, leaf_fields);

static const struct shape_field point_fields[] = {
	{ "x", SHAPE_SIGNED, SHAPE_NEEDED, SHAPE_AT(struct point, x) },
	{ "y", SHAPE_SIGNED, SHAPE_NEEDED, SHAPE_AT(struct point, y) },
};
static const struct shape point_shape = { sizeof(struct point), point_fields, 2,
					  SHAPE_TUPLE };

static const struct shape_field number_fields[] = {
	{ NULL, SHAPE_NUMBER, 0, SHAPE_AT(struct number, n), .most = 9 },
};
static const struct shape number_shape = { sizeof(struct number), number_fields,
					   1, SHAPE_BARE };

static void show_mac(char *buf, size_t cap, const void *at)
{
	const unsigned char *mac = at;

	snprintf(buf, cap, "%02x:%02x", mac[0], mac[1]);
}

static int parse_mac(void *at, const char *text, struct error *e)
{
	unsigned char *mac = at;

	(void)e;
	return sscanf(text, "%2hhx:%2hhx", &mac[0], &mac[1]) == 2 ? 0 : -EINVAL;
}

static const struct shape_code mac_code = { show_mac, parse_mac };

#define AT(member) SHAPE_AT(struct tree, member)

static const struct shape_field tree_fields[] = {
	{ "tall", SHAPE_BOOL, SHAPE_OMIT, AT(tall) },
	{ "small", SHAPE_NUMBER, SHAPE_OMIT, AT(small) },
	{ "number", SHAPE_NUMBER, SHAPE_NULL, AT(number), .least = 2,
	  .most = 20 },
	{ "big", SHAPE_NUMBER, SHAPE_OMIT, AT(big) },
	{ "born", SHAPE_SECONDS, SHAPE_NULL, AT(born_us) },
	{ "left", SHAPE_SIGNED, SHAPE_NULL, AT(left) },
	{ "ratio", SHAPE_REAL, SHAPE_NULL, AT(ratio) },
	{ "text", SHAPE_TEXT, SHAPE_OMIT, AT(text) },
	{ "word", SHAPE_TEXT, SHAPE_OMIT | SHAPE_PRINTABLE, AT(word) },
	{ "colour", SHAPE_NAME, 0, AT(colour), .names = colour_names,
	  .most = COLOURS },
	{ "mac", SHAPE_CODE, 0, AT(mac), .code = &mac_code },
	{ "words", SHAPE_WORDS, SHAPE_OMIT, AT(words), .most = 2 },
	{ "leaves", SHAPE_LIST, 0, AT(leaves),
	  SHAPE_COUNT(struct tree, leaf_count), .most = 2, .of = &leaf_shape },
	{ "spot", SHAPE_OBJECT, SHAPE_OMIT, AT(spot),
	  SHAPE_HAS(struct tree, has_spot), .of = &point_shape },
	{ "inside", SHAPE_LIST, SHAPE_OMIT | SHAPE_INSIDE, AT(inside),
	  SHAPE_COUNT(struct tree, inside_count), .most = 3,
	  .of = &number_shape },
};
static const struct shape tree_shape = SHAPE(struct tree, tree_fields);

static const char *error_of(const char *text, enum shape_source from, int code)
{
	static struct error e;
	struct tree t = { 0 };

	assert_int_equal(shape_parse(&tree_shape, &t, text, strlen(text), from,
				     &e),
			 -code);
	assert_null(t.leaves);
	assert_null(t.words.at);
	return e.text;
}

static const char *refused(const char *text)
{
	return error_of(text, SHAPE_REQUEST, EINVAL);
}

static void what_is_written_reads_back_the_same(void **state)
{
	static const char text[] =
		"{\"tall\":true,\"small\":255,\"number\":20,\"big\":"
		"9223372036854775807,\"born\":1.5,\"left\":-3,\"ratio\":0.25,"
		"\"text\":\"\xc3\xa4 b\",\"word\":\"a\",\"colour\":\"green\","
		"\"mac\":\"01:ff\",\"words\":[\"x\",\"\"],\"leaves\":["
		"{\"name\":\"l1\",\"size\":65535},{\"name\":\"\"}],\"spot\":"
		"[-1,2],\"inside\":[9,0,1]}";
	struct tree t = { 0 };
	struct error e;
	char *again;

	(void)state;
	assert_int_equal(shape_parse(&tree_shape, &t, text, strlen(text),
				     SHAPE_REQUEST, &e),
			 0);
	assert_true(t.has_spot);
	assert_int_equal(t.spot.x, -1);
	assert_int_equal(t.born_us, 1500000);
	assert_int_equal(t.leaf_count, 2);
	assert_string_equal(t.leaves[0].name, "l1");
	assert_int_equal(t.inside[0].n, 9);
	/* A signed number below 0 is unset, which a null says. */
	t.left = 3;
	again = shape_text(&tree_shape, &t);
	assert_non_null(again);
	assert_non_null(strstr(again, "\"left\":3,"));
	free(again);
	t.left = -3;
	again = shape_text(&tree_shape, &t);
	assert_non_null(strstr(again, "\"left\":null,"));
	free(again);
	shape_done(&tree_shape, &t);
	assert_null(t.leaves);
}

static void what_is_unset_is_left_out_or_null(void **state)
{
	struct tree t = { .left = -1, .ratio = NAN };
	AUTO_FREE char *text = shape_text(&tree_shape, &t);

	(void)state;
	assert_string_equal(text,
			    "{\"number\":null,\"born\":null,\"left\":null,"
			    "\"ratio\":null,\"colour\":\"red\",\"mac\":"
			    "\"00:00\",\"leaves\":[]}");
}

static void what_is_not_given_keeps_its_default(void **state)
{
	struct tree t = { .number = 7, .colour = GREEN, .tall = true };
	struct error e;

	(void)state;
	assert_int_equal(shape_parse(&tree_shape, &t, "{\"number\":null}", 15,
				     SHAPE_MESSAGE, &e),
			 0);
	assert_int_equal(t.number, 7);
	assert_int_equal(t.colour, GREEN);
	assert_true(t.tall);
}

static void a_person_is_told_what_is_wrong(void **state)
{
	(void)state;
	assert_string_equal(refused("{\"nmuber\":3}"),
			    "there is no field 'nmuber' here");
	assert_string_equal(refused("{\"number\":1}"),
			    "'number' must be from 2 to 20");
	assert_string_equal(refused("{\"number\":\"3\"}"),
			    "'number' must be a whole number");
	assert_string_equal(refused("{\"small\":256}"),
			    "'small' must be from 0 to 255");
	assert_string_equal(refused("{\"small\":-1}"),
			    "'small' must be from 0 to 255");
	assert_string_equal(refused("{\"tall\":1}"),
			    "'tall' must be true or false");
	assert_string_equal(refused("{\"text\":\"12345678\"}"),
			    "'text' must be at most 7 bytes long");
	assert_string_equal(refused("{\"word\":\"a\\tb\"}"),
			    "'word' must be printable");
	assert_string_equal(refused("{\"text\":\"a\\u0000b\"}"),
			    "this is not JSON: line 1: \\u0000 is not allowed "
			    "without JSON_ALLOW_NUL near '\"a\\u0000b\"'");
	assert_string_equal(refused("{\"colour\":\"blue\"}"),
			    "'colour' must be one of red, green");
	assert_string_equal(refused("{\"mac\":\"x\"}"), "'mac' must be valid");
	assert_string_equal(refused("{\"words\":[\"a\",\"b\",\"c\"]}"),
			    "'words' must be a list of at most 2");
	assert_string_equal(refused("{\"words\":[\"a\",1]}"),
			    "'words' must be a list of strings");
	assert_string_equal(refused("{\"leaves\":[{\"name\":\"a\"},{}]}"),
			    "leaves: number 2: 'name' is missing");
	assert_string_equal(refused("{\"leaves\":[{\"name\":"
				    "\"12345678901\"}]}"),
			    "leaves: number 1: 'name' must be at most 10 bytes "
			    "long");
	assert_string_equal(refused("{\"spot\":[1]}"),
			    "spot: this must be a list of 2");
	assert_string_equal(refused("{\"inside\":[10]}"),
			    "inside: number 1: this must be from 0 to 9");
	assert_string_equal(refused("{\"inside\":[1,2,3,4]}"),
			    "'inside' must be a list of at most 3");
	assert_string_equal(refused("[]"), "this must be a JSON object");
}

static void a_newer_program_may_say_more(void **state)
{
	static const char text[] = "{\"new\":{\"x\":[]},\"number\":3}";
	struct tree t = { 0 };
	struct error e;

	(void)state;
	assert_int_equal(shape_parse(&tree_shape, &t, text, strlen(text),
				     SHAPE_MESSAGE, &e),
			 0);
	assert_int_equal(t.number, 3);
	assert_string_equal(error_of("{\"number\":1}", SHAPE_MESSAGE, EBADMSG),
			    "'number' must be from 2 to 20");
}

static void a_list_replaces_the_one_before(void **state)
{
	static const char first[] = "{\"leaves\":[{\"name\":\"a\"}],"
				    "\"words\":[\"a\"]}";
	static const char second[] = "{\"leaves\":[],\"words\":[]}";
	struct tree t = { 0 };
	struct error e;

	(void)state;
	assert_int_equal(shape_parse(&tree_shape, &t, first, strlen(first),
				     SHAPE_MESSAGE, &e),
			 0);
	assert_int_equal(t.leaf_count, 1);
	assert_int_equal(shape_parse(&tree_shape, &t, second, strlen(second),
				     SHAPE_MESSAGE, &e),
			 0);
	assert_int_equal(t.leaf_count, 0);
	assert_int_equal(t.words.count, 0);
	shape_done(&tree_shape, &t);
}

static void text_that_was_cut_is_made_printable(void **state)
{
	struct tree t = { .left = -1, .ratio = NAN, .text = "a\xc3" };
	AUTO_FREE char *text = shape_text(&tree_shape, &t);

	(void)state;
	assert_non_null(strstr(text, "\"text\":\"a?\""));
}

static void a_copy_is_the_same_and_shares_nothing(void **state)
{
	static const char given[] =
		"{\"tall\":true,\"words\":[\"a\",\"b\"],\"leaves\":["
		"{\"name\":\"one\"},{\"name\":\"two\",\"size\":7}],"
		"\"spot\":[3,-4],\"inside\":[1,2]}";
	struct tree t = { .left = -1, .ratio = NAN }, copy;
	AUTO_FREE char *before = NULL;
	struct error e;
	char *after;

	(void)state;
	assert_int_equal(shape_parse(&tree_shape, &t, given, strlen(given),
				     SHAPE_MESSAGE, &e),
			 0);
	before = shape_text(&tree_shape, &t);
	assert_int_equal(shape_copy(&tree_shape, &copy, &t, &e), 0);
	t.leaves[0].name[0] = 'X';
	t.words.at[1][0] = 'X';
	t.inside[0].n = 9;
	shape_done(&tree_shape, &t);
	after = shape_text(&tree_shape, &copy);
	assert_string_equal(after, before);
	free(after);
	shape_done(&tree_shape, &copy);
	assert_int_equal(copy.leaf_count + copy.words.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_reads_back_the_same),
		cmocka_unit_test(what_is_unset_is_left_out_or_null),
		cmocka_unit_test(what_is_not_given_keeps_its_default),
		cmocka_unit_test(a_person_is_told_what_is_wrong),
		cmocka_unit_test(a_newer_program_may_say_more),
		cmocka_unit_test(a_list_replaces_the_one_before),
		cmocka_unit_test(text_that_was_cut_is_made_printable),
		cmocka_unit_test(a_copy_is_the_same_and_shares_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
