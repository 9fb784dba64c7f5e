/* SPDX-License-Identifier: MIT */
#include "cmdline.h"

#include <stddef.h>

#include "console.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define WORD_MAX 63

struct parameter {
	const char *name;
	bool (*read)(void *to, const char *value);
	size_t offset;
};

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static unsigned suffix_shift(char c)
{
	static const char suffixes[] = "KMGT";

	for (unsigned i = 0; suffixes[i]; i++)
		if (c == suffixes[i])
			return 10 * (i + 1);
	return 0;
}

/* A number, with K, M, G or T for powers of 1024; at most 2^50. */
static bool read_size(void *to, const char *value)
{
	const uint64_t max = 1ull << 50;
	uint64_t number = 0;
	unsigned shift;

	if (*value < '0' || *value > '9')
		return false;
	for (; *value >= '0' && *value <= '9'; value++) {
		number = number * 10 + (uint64_t)(*value - '0');
		if (number > max)
			return false;
	}
	shift = suffix_shift(*value);
	if (shift)
		value++;
	if (*value || number > max >> shift)
		return false;
	*(uint64_t *)to = number << shift;
	return true;
}

static bool read_positive(void *to, const char *value)
{
	uint64_t number;

	if (!read_size(&number, value) || number == 0)
		return false;
	*(uint64_t *)to = number;
	return true;
}

static bool read_content(void *to, const char *value)
{
	for (const struct content *c = content_kinds; c->name; c++)
		if (same(c->name, value)) {
			*(const struct content **)to = c;
			return true;
		}
	return false;
}

static bool read_touch(void *to, const char *value)
{
	*(bool *)to = same(value, "few");
	return same(value, "few") || same(value, "page");
}

static bool read_button(void *to, const char *value)
{
	*(bool *)to = same(value, "ignore");
	return same(value, "ignore") || same(value, "obey");
}

static const struct parameter parameters[] = {
	{ "fill", read_size, offsetof(struct settings, fill_bytes) },
	{ "content", read_content, offsetof(struct settings, content) },
	{ "rate", read_size, offsetof(struct settings, dirty_bytes_per_s) },
	{ "hot", read_size, offsetof(struct settings, hot_bytes) },
	{ "touch", read_touch, offsetof(struct settings, touch_few) },
	{ "verify", read_size, offsetof(struct settings, verify_bytes_per_s) },
	{ "heartbeat", read_positive, offsetof(struct settings, heartbeat_ms) },
	{ "seed", read_size, offsetof(struct settings, seed) },
	{ "reads", read_size, offsetof(struct settings, reads) },
	{ "button", read_button, offsetof(struct settings, ignore_button) },
};

static bool word_read(struct settings *s, char *word)
{
	char *value = word;

	while (*value && *value != '=' && *value != '.')
		value++;
	/* The microvm machine adds parameters for Linux's modules. */
	if (*value == '.')
		return true;
	if (*value)
		*value++ = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(parameters); i++) {
		const struct parameter *p = &parameters[i];

		if (same(p->name, word) &&
		    p->read((char *)s + p->offset, value))
			return true;
	}
	console_print("drover-stress: bad parameter %s=%s\n", word, value);
	return false;
}

/* Copies the next word and returns what follows it. */
static const char *word_next(char *ret_word, const char *text)
{
	unsigned len = 0;

	while (*text == ' ')
		text++;
	for (; *text && *text != ' '; text++)
		if (len < WORD_MAX)
			ret_word[len++] = *text;
	ret_word[len] = '\0';
	return text;
}

bool cmdline_read(struct settings *ret_settings, const char *text)
{
	char word[WORD_MAX + 1];

	*ret_settings = (struct settings){
		.verify_bytes_per_s = 64ull << 20,
		.heartbeat_ms = 100,
		.seed = 1,
	};
	read_content(&ret_settings->content, "mixed");
	for (text = word_next(word, text); *word; text = word_next(word, text))
		if (!word_read(ret_settings, word))
			return false;
	return true;
}
