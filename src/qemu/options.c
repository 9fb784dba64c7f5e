/* SPDX-License-Identifier: MIT */
#include "qemu/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/text.h"

/* The options without a value, of QEMU 2.12 to 10.0. */
static const char *const alone[] = {
	"S",
	"alt-grab",
	"audio-help",
	"ctrl-grab",
	"curses",
	"daemonize",
	"enable-fips",
	"enable-kvm",
	"enable-sync-profile",
	"full-screen",
	"h",
	"help",
	"jitdump",
	"mem-prealloc",
	"no-acpi",
	"no-fd-bootchk",
	"no-frame",
	"no-hpet",
	"no-quit",
	"no-reboot",
	"no-shutdown",
	"no-user-config",
	"nodefaults",
	"nodefconfig",
	"nographic",
	"old-param",
	"one-insn-per-tb",
	"only-migratable",
	"perfmap",
	"portrait",
	"preconfig",
	"s",
	"sdl",
	"semihosting",
	"singlestep",
	"snapshot",
	"usb",
	"version",
	"win2k-hack",
	"xen-attach",
	"xen-domid-restrict",
};

static int by_name(const void *name, const void *entry)
{
	return strcmp(name, *(const char *const *)entry);
}

struct option option_at(char *const *words, size_t count, size_t at)
{
	const char *word = words[at];

	if (word[0] != '-' || word[1] == '\0')
		return (struct option){ "", word, 1 };
	word += word[1] == '-' ? 2 : 1;
	if (at + 1 == count ||
	    bsearch(word, alone, ARRAY_SIZE(alone), sizeof(alone[0]), by_name))
		return (struct option){ word, NULL, 1 };
	return (struct option){ word, words[at + 1], 2 };
}

/* The text up to the next single comma, doubled ones made single, into @out;
 * what follows the comma, or the end. */
static const char *next_piece(char *out, const char *at)
{
	for (; *at; at++) {
		if (*at == ',' && at[1] != ',') {
			*out = '\0';
			return at + 1;
		}
		if (*at == ',')
			at++;
		*out++ = *at;
	}
	*out = '\0';
	return at;
}

static int set_flag(json_t *o, const char *word)
{
	static const char *const negated[] = { "noserver", "nowait",
					       "nodelay" };

	for (size_t i = 0; i < ARRAY_SIZE(negated); i++)
		if (!strcmp(word, negated[i]))
			return json_object_set_new(o, word + 2,
						   json_string("off"));
	return json_object_set_new(o, word, json_string("on"));
}

static int set_piece(json_t *o, char *piece, const char *first)
{
	char *equals = strchr(piece, '=');

	if (!equals && first)
		return json_object_set_new(o, first, json_string(piece));
	if (!equals)
		return set_flag(o, piece);
	*equals = '\0';
	return json_object_set_new(o, piece, json_string(equals + 1));
}

json_t *option_properties(const char *value, const char *first)
{
	AUTO_FREE char *piece = NULL;
	json_t *o;

	if (value[0] == '{') {
		o = json_loads(value, 0, NULL);
		if (json_is_object(o))
			return o;
		json_decref(o);
		return NULL;
	}
	o = json_object();
	piece = malloc(strlen(value) + 1);
	while (o && piece && *value) {
		value = next_piece(piece, value);
		/* Bytes that are no UTF-8 cannot be a JSON string: such a
		 * property is left out, like one that is not known. */
		if (*piece)
			(void)set_piece(o, piece, first);
		first = NULL;
	}
	if (!piece) {
		json_decref(o);
		return NULL;
	}
	return o;
}

const char *option_text(const json_t *properties, const char *key, char *buf,
			size_t cap)
{
	const json_t *v = json_object_get(properties, key);

	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_boolean(v))
		snprintf(buf, cap, "%s", json_is_true(v) ? "on" : "off");
	else if (json_is_integer(v))
		snprintf(buf, cap, "%lld", (long long)json_integer_value(v));
	else
		return NULL;
	return buf;
}

bool option_is_on(const json_t *properties, const char *key, bool fallback)
{
	char buf[32];
	const char *text = option_text(properties, key, buf, sizeof(buf));

	if (!text)
		return fallback;
	return !strcmp(text, "on") || !strcmp(text, "yes") ||
	       !strcmp(text, "true") || !strcmp(text, "y");
}

const char *option_property(const char *value, const char *first,
			    const char *key, char *buf, size_t cap)
{
	json_t *o = option_properties(value, first);
	const char *text = option_text(o, key, buf, cap);
	bool fits = text && strlen(text) < cap;

	if (fits && text != buf)
		memcpy(buf, text, strlen(text) + 1);
	json_decref(o);
	return fits ? buf : NULL;
}

bool option_property_is_on(const char *value, const char *first,
			   const char *key, bool fallback)
{
	json_t *o = option_properties(value, first);
	bool on = option_is_on(o, key, fallback);

	json_decref(o);
	return on;
}

char *option_escape(const char *text)
{
	char *escaped = malloc(strlen(text) * 2 + 1), *out = escaped;

	for (; escaped && *text; text++) {
		if (*text == ',')
			*out++ = ',';
		*out++ = *text;
	}
	if (escaped)
		*out = '\0';
	return escaped;
}

unsigned long long option_bytes(const char *text, unsigned long long unit_bytes)
{
	static const char letters[] = "BKMGTPE";
	const char *letter = NULL;
	double number;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return 0;
	number = strtod(text, &end);
	if (*end) {
		letter = strchr(letters, *end & ~0x20);
		if (!letter || end[1])
			return 0;
		unit_bytes = 1ULL << 10 * (letter - letters);
	}
	number *= (double)unit_bytes;
	if (!(number >= 0 && number < 0x1p63))
		return 0;
	return (unsigned long long)number;
}
