/* SPDX-License-Identifier: MIT */

/*
 * QEMU's command line: which words are options, which their values, and what
 * is in a value.  QEMU writes properties in two ways, "type,key=value,..."
 * with commas doubled inside a value, and as a JSON object; both are read into
 * a JSON object here.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct option {
	const char *name;  /* without dashes; "" for a disk image by itself */
	const char *value; /* NULL for an option without one */
	size_t words;      /* 1 or 2 */
};

/* The option that starts at words[at]; at < count. */
struct option option_at(char *const *words, size_t count, size_t at);

/*
 * The properties of a value: @first names the one that may stand there
 * without its key ("qom-type", "type", "path"), NULL where none may.  A word
 * "key" alone is "on", "nokey" is "off" for the keys listed in QEMU's manual
 * for sockets and monitors (noserver, nowait, nodelay).  A new reference;
 * NULL for broken JSON or no memory.
 */
json_t *option_properties(const char *value, const char *first);

/* A property as text: numbers in decimal, booleans as "on" and "off".  In
 * @buf where it is no string; NULL when it is not there. */
const char *option_text(const json_t *properties, const char *key, char *buf,
			size_t cap);

/* The same of one value, into @buf; NULL also when it does not fit. */
const char *option_property(const char *value, const char *first,
			    const char *key, char *buf, size_t cap);
bool option_property_is_on(const char *value, const char *first,
			   const char *key, bool fallback);

/* A property that is a switch. */
bool option_is_on(const json_t *properties, const char *key, bool fallback);

/* @text with commas doubled, on the heap; NULL without memory. */
char *option_escape(const char *text);

/* A size in the way of -m: "4G", "512" is in units of @unit_bytes.  Fractions
 * ("1.5G") too.  Returns 0 for what is no size. */
unsigned long long option_bytes(const char *text,
				unsigned long long unit_bytes);
