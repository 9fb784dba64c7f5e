/* SPDX-License-Identifier: MIT */

/* JSON into a struct with a member of every kind.  What is read is within its
 * limits, and is the same when it is written and read again, and copied; what
 * is refused has a reason and leaves nothing behind. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/shape.h"
#include "base/text.h"
#include "base/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum colour { RED, GREEN, BLUE };

struct leaf {
	char name[8];
	unsigned size;
};

struct spot {
	int64_t x;
	uint8_t y;
};

struct tree {
	bool tall, has_spot;
	uint8_t tiny;
	uint16_t small;
	unsigned number;
	uint64_t big;
	int left;
	double ratio;
	uint64_t age_us;
	char text[8], word[8];
	char *string;
	enum colour colour;
	unsigned octal;
	struct words words;
	struct leaf leaf;
	struct spot spot;
	struct leaf *leaves;
	size_t leaves_count;
	struct spot inside[3];
	size_t inside_count;
	unsigned *numbers;
	size_t numbers_count;
};

static void show_octal(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%o", *(const unsigned *)at);
}

static int parse_octal(void *at, const char *text, struct error *e)
{
	if (!*text || strlen(text) > 3 || text[strspn(text, "01234567")])
		return error_set(e, EINVAL, "up to three octal digits");
	*(unsigned *)at = (unsigned)strtoul(text, NULL, 8);
	return 0;
}

static const struct shape_code octal = { show_octal, parse_octal };
static const char *const colours[] = { "red", NULL, "blue" };

#define AT(member) SHAPE_AT(struct leaf, member)
static const struct shape_field leaf_fields[] = {
	{ "name", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE, AT(name) },
	{ "size", SHAPE_NUMBER, SHAPE_OMIT, AT(size), .least = 1, .most = 9 },
};
static const struct shape leaf_shape = SHAPE(struct leaf, leaf_fields);
#undef AT

#define AT(member) SHAPE_AT(struct spot, member)
static const struct shape_field spot_fields[] = {
	{ "x", SHAPE_SIGNED, SHAPE_NEEDED, AT(x), .least = -5, .most = 5 },
	{ "y", SHAPE_NUMBER, SHAPE_NEEDED, AT(y) },
};
static const struct shape spot_shape = {
	sizeof(struct spot),
	spot_fields,
	ARRAY_SIZE(spot_fields),
	SHAPE_TUPLE,
};
#undef AT

static const struct shape_field number_field = {
	.kind = SHAPE_NUMBER,
	.bytes = sizeof(unsigned),
	.most = 100,
};
static const struct shape number_shape = {
	sizeof(unsigned),
	&number_field,
	1,
	SHAPE_BARE,
};

#define AT(member) SHAPE_AT(struct tree, member)
static const struct shape_field tree_fields[] = {
	{ "tall", SHAPE_BOOL, SHAPE_OMIT, AT(tall) },
	{ "tiny", SHAPE_NUMBER, 0, AT(tiny) },
	{ "small", SHAPE_NUMBER, SHAPE_NULL, AT(small) },
	{ "number", SHAPE_NUMBER, 0, AT(number), .most = 1000 },
	{ "big", SHAPE_NUMBER, SHAPE_OMIT, AT(big) },
	{ "left", SHAPE_SIGNED, SHAPE_NULL, AT(left) },
	{ "ratio", SHAPE_REAL, SHAPE_NULL, AT(ratio) },
	{ "age", SHAPE_SECONDS, SHAPE_NULL, AT(age_us) },
	{ "text", SHAPE_TEXT, 0, AT(text) },
	{ "word", SHAPE_TEXT, SHAPE_OMIT | SHAPE_PRINTABLE, AT(word) },
	{ "string", SHAPE_STRING, SHAPE_NULL, AT(string), .most = 20 },
	{ "colour", SHAPE_NAME, 0, AT(colour), .names = colours,
	  .most = ARRAY_SIZE(colours) },
	{ "octal", SHAPE_CODE, 0, AT(octal), .code = &octal },
	{ "words", SHAPE_WORDS, 0, AT(words), .most = 4 },
	{ "leaf", SHAPE_OBJECT, SHAPE_NEEDED, AT(leaf), .of = &leaf_shape },
	{ "spot", SHAPE_OBJECT, SHAPE_OMIT, AT(spot),
	  SHAPE_HAS(struct tree, has_spot), .of = &spot_shape },
	{ "leaves", SHAPE_LIST, 0, AT(leaves),
	  SHAPE_COUNT(struct tree, leaves_count), .of = &leaf_shape,
	  .most = 4 },
	{ "inside", SHAPE_LIST, SHAPE_INSIDE, AT(inside),
	  SHAPE_COUNT(struct tree, inside_count), .of = &spot_shape,
	  .most = 3 },
	{ "numbers", SHAPE_LIST, SHAPE_OMIT, AT(numbers),
	  SHAPE_COUNT(struct tree, numbers_count), .of = &number_shape },
};
static const struct shape tree_shape = SHAPE(struct tree, tree_fields);
#undef AT

static void check_leaf(const struct leaf *l)
{
	assert(l->name[0] && memchr(l->name, '\0', sizeof(l->name)));
	assert(l->size <= 9);
}

static void check_spot(const struct spot *s)
{
	assert(s->x >= -5 && s->x <= 5);
}

static void check(const struct tree *t)
{
	assert(t->number <= 1000 && t->big <= INT64_MAX);
	assert(memchr(t->text, '\0', sizeof(t->text)));
	assert(!t->string || strlen(t->string) <= 20);
	assert(t->colour == RED || t->colour == BLUE);
	assert(t->octal <= 0777);
	assert(t->words.count <= 4);
	assert(t->leaves_count <= 4 && t->inside_count <= 3);
	check_leaf(&t->leaf);
	check_spot(&t->spot);
	for (size_t i = 0; i < t->leaves_count; i++)
		check_leaf(&t->leaves[i]);
	for (size_t i = 0; i < t->inside_count; i++)
		check_spot(&t->inside[i]);
	for (size_t i = 0; i < t->numbers_count; i++)
		assert(t->numbers[i] <= 100);
}

/* A copy of it outlives it. */
static void check_copy(struct tree *t, const char *text)
{
	struct tree copy;
	struct error e;
	char *again;

	assert(shape_copy(&tree_shape, &copy, t, &e) == 0);
	shape_done(&tree_shape, t);
	assert(!t->string && !t->leaves && !t->numbers && !t->words.at);
	again = shape_text(&tree_shape, &copy);
	assert(again && !strcmp(again, text));
	shape_done(&tree_shape, &copy);
	free(again);
}

/* Parsed and written: the text, on the heap. */
static char *round_trip(const char *from, size_t len, enum shape_source source)
{
	struct tree t = { .left = -1 };
	struct error e = { 0 };
	char *text;

	if (shape_parse(&tree_shape, &t, from, len, source, &e) < 0) {
		assert(e.code == (source == SHAPE_REQUEST ? EINVAL : EBADMSG));
		assert(e.text[0]);
		assert(!t.string && !t.leaves && !t.numbers && !t.words.at);
		return NULL;
	}
	check(&t);
	text = shape_text(&tree_shape, &t);
	assert(text);
	check_copy(&t, text);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	char *strict = round_trip(text, len, SHAPE_REQUEST);
	char *once = round_trip(text, len, SHAPE_MESSAGE);

	/* A request may have less than a message, and never more. */
	assert(!strict || (once && !strcmp(strict, once)));
	if (once) {
		char *twice = round_trip(once, strlen(once), SHAPE_REQUEST);
		char *thrice =
			twice ? round_trip(twice, strlen(twice), SHAPE_REQUEST)
			      : NULL;

		/* Times lose what is less than a microsecond, once. */
		assert(thrice && !strcmp(twice, thrice));
		free(twice);
		free(thrice);
	}
	free(strict);
	free(once);
	return 0;
}
