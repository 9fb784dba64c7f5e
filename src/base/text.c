/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

enum { NAME_MAX_LEN = 63 };

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit byte_units[] = {
	{ "", 1 },           { "B", 1 },
	{ "K", 1ULL << 10 }, { "KiB", 1ULL << 10 },
	{ "M", 1ULL << 20 }, { "MiB", 1ULL << 20 },
	{ "G", 1ULL << 30 }, { "GiB", 1ULL << 30 },
	{ "T", 1ULL << 40 }, { "TiB", 1ULL << 40 },
};

static const struct unit time_units[] = {
	{ "", USEC_PER_SEC },         { "us", 1 },
	{ "ms", USEC_PER_MS },        { "s", USEC_PER_SEC },
	{ "min", 60 * USEC_PER_SEC }, { "m", 60 * USEC_PER_SEC },
	{ "h", 3600 * USEC_PER_SEC },
};

/* In bytes; one bit a second would be less than that. */
static const struct unit rate_units[] = {
	{ "kbit", 125 },
	{ "Mbit", 125000 },
	{ "Gbit", 125000000 },
};

static int parse_digits(uint64_t *ret, const char **ret_rest, const char *text)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	*ret_rest = end;
	return errno ? -ERANGE : 0;
}

static int parse_units(uint64_t *ret, const char *text,
		       const struct unit *units, size_t n)
{
	const char *rest;
	uint64_t v;

	if (parse_digits(&v, &rest, text) < 0)
		return -EINVAL;
	while (*rest == ' ')
		rest++;
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(rest, units[i].name))
			continue;
		return __builtin_mul_overflow(v, units[i].factor, ret) ? -ERANGE
								       : 0;
	}
	return -EINVAL;
}

/* In the largest unit that leaves no rest, by the first of its names. */
static void exact(char *buf, size_t cap, uint64_t v, const struct unit *units,
		  size_t n)
{
	size_t best = 0;

	for (size_t i = 0; i < n; i++)
		if (v % units[i].factor == 0 &&
		    units[i].factor > units[best].factor)
			best = i;
	if (v == 0)
		snprintf(buf, cap, "0");
	else
		snprintf(buf, cap, "%" PRIu64 "%s", v / units[best].factor,
			 units[best].name);
}

void text_exact_bytes(char *buf, size_t cap, uint64_t bytes)
{
	exact(buf, cap, bytes, byte_units, ARRAY_SIZE(byte_units));
}

void text_exact_duration(char *buf, size_t cap, uint64_t us)
{
	/* Behind the one that has no name. */
	exact(buf, cap, us, time_units + 1, ARRAY_SIZE(time_units) - 1);
}

int text_parse_bytes(uint64_t *ret_bytes, const char *text, struct error *e)
{
	if (parse_units(ret_bytes, text, byte_units, ARRAY_SIZE(byte_units)) <
	    0)
		return error_set(e, EINVAL,
				 "'%s' is not a size: write 512M or 4G", text);
	return 0;
}

int text_parse_duration(uint64_t *ret_us, const char *text, struct error *e)
{
	if (parse_units(ret_us, text, time_units, ARRAY_SIZE(time_units)) < 0)
		return error_set(e, EINVAL,
				 "'%s' is not a duration: write 300ms, 5s or "
				 "10min",
				 text);
	return 0;
}

void text_exact_rate(char *buf, size_t cap, uint64_t rate)
{
	exact(buf, cap, rate, rate_units, ARRAY_SIZE(rate_units));
}

int text_parse_rate(uint64_t *ret_rate, const char *text, struct error *e)
{
	if (!strcmp(text, "0")) {
		*ret_rate = 0;
		return 0;
	}
	if (parse_units(ret_rate, text, rate_units, ARRAY_SIZE(rate_units)) <
		    0 ||
	    *ret_rate == 0)
		return error_set(e, EINVAL,
				 "'%.80s' is not a rate: write 500Mbit, 2Gbit "
				 "or 0",
				 text);
	return 0;
}

int text_parse_number(uint64_t *ret, const char *text, uint64_t least,
		      uint64_t most, struct error *e)
{
	const char *rest;
	uint64_t v;

	if (parse_digits(&v, &rest, text) < 0 || *rest || v < least || v > most)
		return error_set(e, EINVAL,
				 "'%s' is not a number from %" PRIu64
				 " to %" PRIu64,
				 text, least, most);
	*ret = v;
	return 0;
}

int text_parse_switch(int *ret, const char *text, struct error *e)
{
	static const char *const on[] = { "on", "yes", "true", "1" };
	static const char *const off[] = { "off", "no", "false", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(on); i++) {
		if (!strcasecmp(text, on[i]) || !strcasecmp(text, off[i])) {
			*ret = !strcasecmp(text, on[i]);
			return 0;
		}
	}
	return error_set(e, EINVAL, "'%s' is neither on nor off", text);
}

int text_check_name(const char *what, const char *name, struct error *e)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_LEN || name[0] == '-' || name[0] == '.')
		return error_set(e, EINVAL,
				 "'%.80s' is not a name for a %s: use 1 to %d "
				 "characters, the first a letter or digit",
				 name, what, NAME_MAX_LEN);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
			return error_set(e, EINVAL,
					 "'%.80s' is not a name for a %s: use "
					 "letters, digits, '-', '_' and '.'",
					 name, what);
	return 0;
}

void text_bytes(char *buf, size_t cap, uint64_t bytes)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1024 && i + 1 < ARRAY_SIZE(unit)) {
		v /= 1024;
		i++;
	}
	snprintf(buf, cap, i == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v,
		 unit[i]);
}

void text_duration(char *buf, size_t cap, uint64_t us)
{
	uint64_t s = us / USEC_PER_SEC;

	if (us < USEC_PER_SEC)
		snprintf(buf, cap, "%" PRIu64 " ms", us / USEC_PER_MS);
	else if (s < 60)
		snprintf(buf, cap, "%.1f s", (double)us / USEC_PER_SEC);
	else if (s < 3600)
		snprintf(buf, cap, "%" PRIu64 " min %" PRIu64 " s", s / 60,
			 s % 60);
	else
		snprintf(buf, cap, "%" PRIu64 " h %" PRIu64 " min", s / 3600,
			 s / 60 % 60);
}

void text_printable(char *buf, size_t cap, const void *from, size_t len)
{
	const char *c = from;
	size_t i;

	for (i = 0; i < len && i + 1 < cap; i++)
		if (c[i] >= ' ' && c[i] < 0x7f)
			buf[i] = c[i];
		else
			buf[i] = '?';
	buf[i] = '\0';
}

/* Bytes of the character at @s, whose bits from 0x80 on need as many; 0 for
 * none. */
static size_t utf8_char(const unsigned char *s, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = s[0] & (0xffU >> (n + 1));

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc0 || s[0] > 0xf7 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

size_t text_utf8_len(const char *text, size_t len)
{
	size_t at = 0, n;

	while (at < len &&
	       (n = utf8_char((const unsigned char *)text + at, len - at)) > 0)
		at += n;
	return at;
}

int text_check_path(const char *key, const char *value, struct error *e)
{
	if (value[0] == '/')
		return 0;
	return error_set(e, EINVAL, "'%s' must be a path that starts with '/'",
			 key);
}

bool text_read_line(char *buf, size_t cap, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool good;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	f = fopen(path, "re");
	if (!f)
		return false;
	good = fgets(buf, (int)cap, f) != NULL;
	fclose(f);
	if (good)
		buf[strcspn(buf, "\n")] = '\0';
	return good;
}

bool text_listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	if (n == 0 || strchr(word, ' '))
		return false;
	for (const char *at = list; at && (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == ' ') &&
		    (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

void text_hex(char *buf, size_t cap, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len && 2 * i + 2 < cap; i++)
		snprintf(buf + 2 * i, 3, "%02x", bytes[i]);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_parse_hex(uint8_t *ret, size_t cap, const char *text)
{
	size_t len = strlen(text);

	if (len < 2 || len % 2 || len / 2 > cap)
		return -EINVAL;
	for (size_t i = 0; i < len / 2; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return (int)(len / 2);
}

bool text_is_loopback(const char *host)
{
	static const char *const names[] = { "127.", "localhost" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const size_t len = strlen(names[i]);
		const char *more = host + len;

		if (strncmp(host, names[i], len) != 0)
			continue;
		if (i == 0)
			more += strspn(more, "0123456789.");
		return *more == '\0' || *more == ':';
	}
	return false;
}
