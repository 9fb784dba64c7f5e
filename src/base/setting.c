/* SPDX-License-Identifier: MIT */
#include "base/setting.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

enum { NUMBER_TEXT = 32 };

/* --- texts */

int setting_parse_text(void *at, const struct ini_key *k, const char *value,
		       struct error *e)
{
	char **text = at, *fresh;

	if (!*value)
		return error_set(e, EINVAL, "'%s' needs a value", k->key);
	fresh = strdup(value);
	if (!fresh)
		return error_set(e, ENOMEM, "no memory for a setting");
	free(*text);
	*text = fresh;
	return 0;
}

int setting_show_text(struct words *ret, const void *at,
		      const struct ini_key *k, struct error *e)
{
	const char *text = *(char *const *)at;

	(void)k;
	return text ? words_add(ret, text, e) : 0;
}

void setting_clear_text(void *at)
{
	char **text = at;

	free(*text);
	*text = NULL;
}

const struct ini_kind setting_text = { setting_parse_text, setting_show_text,
				       setting_clear_text };

static int parse_path(void *at, const struct ini_key *k, const char *value,
		      struct error *e)
{
	if (text_check_path(k->key, value, e) < 0)
		return error_code(e);
	return setting_parse_text(at, k, value, e);
}

const struct ini_kind setting_path = { parse_path, setting_show_text,
				       setting_clear_text };

/* --- lists */

int setting_show_words(struct words *ret, const void *at,
		       const struct ini_key *k, struct error *e)
{
	(void)k;
	return words_add_all(ret, at, e);
}

void setting_clear_words(void *at)
{
	words_done(at);
}

static int parse_paths(void *at, const struct ini_key *k, const char *value,
		       struct error *e)
{
	if (text_check_path(k->key, value, e) < 0)
		return error_code(e);
	return words_add(at, value, e);
}

const struct ini_kind setting_paths = { parse_paths, setting_show_words,
					setting_clear_words };

static int parse_address(void *at, const struct ini_key *k, const char *value,
			 struct error *e)
{
	uint8_t bytes[16];

	(void)k;
	if (inet_pton(AF_INET, value, bytes) != 1 &&
	    inet_pton(AF_INET6, value, bytes) != 1)
		return error_set(e, EINVAL,
				 "'%.80s' is not an address: write 10.0.0.2 or "
				 "fd00::2",
				 value);
	return words_add(at, value, e);
}

const struct ini_kind setting_addresses = { parse_address, setting_show_words,
					    setting_clear_words };

/* --- numbers and times */

static int parse_number(void *at, const struct ini_key *k, const char *value,
			struct error *e)
{
	uint64_t v;

	if (text_parse_number(&v, value, k->least, k->most, e) < 0)
		return error_code(e);
	*(unsigned *)at = (unsigned)v;
	return 0;
}

static int show_number(struct words *ret, const void *at,
		       const struct ini_key *k, struct error *e)
{
	(void)k;
	return words_addf(ret, e, "%u", *(const unsigned *)at);
}

const struct ini_kind setting_number = { parse_number, show_number, NULL };

static int parse_duration(void *at, const struct ini_key *k, const char *value,
			  struct error *e)
{
	(void)k;
	return text_parse_duration(at, value, e);
}

static int show_duration(struct words *ret, const void *at,
			 const struct ini_key *k, struct error *e)
{
	char text[NUMBER_TEXT];

	(void)k;
	text_exact_duration(text, sizeof(text), *(const uint64_t *)at);
	return words_add(ret, text, e);
}

const struct ini_kind setting_duration = { parse_duration, show_duration,
					   NULL };

/* A limit of zero could never be kept: QEMU would take it for "at once". */
static int parse_limit(void *at, const struct ini_key *k, const char *value,
		       struct error *e)
{
	uint64_t us;

	if (text_parse_duration(&us, value, e) < 0)
		return error_code(e);
	if (us < 1000)
		return error_set(e, EINVAL, "'%s' must be at least 1ms",
				 k->key);
	*(uint64_t *)at = us;
	return 0;
}

const struct ini_kind setting_limit = { parse_limit, show_duration, NULL };

static int parse_bytes(void *at, const struct ini_key *k, const char *value,
		       struct error *e)
{
	(void)k;
	return text_parse_bytes(at, value, e);
}

static int show_bytes(struct words *ret, const void *at,
		      const struct ini_key *k, struct error *e)
{
	const uint64_t bytes = *(const uint64_t *)at;
	char text[NUMBER_TEXT];

	if (bytes == 0 && !k->fallback)
		return 0;
	text_exact_bytes(text, sizeof(text), bytes);
	return words_add(ret, text, e);
}

const struct ini_kind setting_bytes = { parse_bytes, show_bytes, NULL };

static int parse_rate(void *at, const struct ini_key *k, const char *value,
		      struct error *e)
{
	(void)k;
	return text_parse_rate(at, value, e);
}

static int show_rate(struct words *ret, const void *at, const struct ini_key *k,
		     struct error *e)
{
	char text[NUMBER_TEXT];

	(void)k;
	text_exact_rate(text, sizeof(text), *(const uint64_t *)at);
	return words_add(ret, text, e);
}

const struct ini_kind setting_rate = { parse_rate, show_rate, NULL };

/* --- words */

static int parse_switch(void *at, const struct ini_key *k, const char *value,
			struct error *e)
{
	int on;

	(void)k;
	if (text_parse_switch(&on, value, e) < 0)
		return error_code(e);
	*(bool *)at = on;
	return 0;
}

static int show_switch(struct words *ret, const void *at,
		       const struct ini_key *k, struct error *e)
{
	(void)k;
	return words_add(ret, *(const bool *)at ? "on" : "off", e);
}

const struct ini_kind setting_switch = { parse_switch, show_switch, NULL };

/* "idle, always or never" */
static void choices(char *buf, size_t cap, const char *const *words)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; words[i] && used < cap; i++)
		used += (size_t)snprintf(buf + used, cap - used, "%s%s",
					 i == 0         ? ""
					 : words[i + 1] ? ", "
							: " or ",
					 words[i]);
}

static int parse_word(void *at, const struct ini_key *k, const char *value,
		      struct error *e)
{
	char all[120];

	for (unsigned i = 0; k->words[i]; i++) {
		if (!strcmp(value, k->words[i])) {
			*(unsigned *)at = i;
			return 0;
		}
	}
	choices(all, sizeof(all), k->words);
	return error_set(e, EINVAL, "'%.80s' is not a value of '%s': use %s",
			 value, k->key, all);
}

static int show_word(struct words *ret, const void *at, const struct ini_key *k,
		     struct error *e)
{
	return words_add(ret, k->words[*(const unsigned *)at], e);
}

const struct ini_kind setting_word = { parse_word, show_word, NULL };
