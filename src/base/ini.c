/* SPDX-License-Identifier: MIT */
#include "base/ini.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"

enum { WORD_MAX = 64 };

struct ini {
	const struct ini_format *format;
	void *target;
	const char *file_name;
	const char *section; /* of the table; NULL before the first */
	const struct ini_key *last;
	bool skips_section, skips_key; /* that are not known */
	unsigned line;
	uint64_t seen; /* bit per key of the table */
};

/* A piece of the current line. */
struct span {
	const char *at;
	size_t len;
};

static int problem(const struct ini *in, const char *line, const char *at,
		   struct error *e)
{
	struct error why = *e;

	return error_set(e, why.code, "%s:%u:%zu: %s", in->file_name, in->line,
			 (size_t)(at - line) + 1, why.text);
}

static struct span trimmed(const char *at, size_t len)
{
	while (len > 0 && isspace((unsigned char)at[0])) {
		at++;
		len--;
	}
	while (len > 0 && isspace((unsigned char)at[len - 1]))
		len--;
	return (struct span){ at, len };
}

/* The quote that closes the one at line[i], or @i itself if none does. */
static size_t quote_end(const char *line, size_t len, size_t i)
{
	for (size_t j = i + 1; j < len; j++) {
		if (line[j] == line[i])
			return j;
		if (line[j] == '\\' && line[i] == '"')
			j++;
	}
	return i;
}

/* Where the comment of a line starts, or its end. */
static size_t comment_start(const char *line, size_t len)
{
	bool blank = true, only_blank = true;

	for (size_t i = 0; i < len; i++) {
		if ((blank && line[i] == ';') || (only_blank && line[i] == '#'))
			return i;
		blank = isspace((unsigned char)line[i]);
		only_blank &= blank;
		if (line[i] == '"' || line[i] == '\'')
			i = quote_end(line, len, i);
		else if (line[i] == '\\')
			i++;
	}
	return len;
}

/* Letters that must change to make @b of @a, at most 31 of each. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[32], above, corner;
	size_t width = strnlen(b, 31);

	for (unsigned j = 0; j <= width; j++)
		row[j] = j;
	for (unsigned i = 0; a[i] && i < 31; i++) {
		corner = row[0];
		row[0] = i + 1;
		for (size_t j = 1; j <= width; j++) {
			unsigned best = corner + (a[i] != b[j - 1]);

			above = row[j];
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			corner = above;
			row[j] = best;
		}
	}
	return row[width];
}

/* The section or, inside one, the key that @word was probably meant to be. */
static const char *nearest(const struct ini *in, const char *section,
			   const char *word)
{
	const struct ini_format *f = in->format;
	const char *found = NULL;
	unsigned best = 3;

	for (size_t i = 0; i < f->count; i++) {
		const char *known = f->keys[i].section;

		if (section && strcmp(section, known) != 0)
			continue;
		if (section)
			known = f->keys[i].key;
		if (distance(word, known) < best) {
			best = distance(word, known);
			found = known;
		}
	}
	return found;
}

static int unknown(const struct ini *in, const char *section, const char *word,
		   struct error *e)
{
	const char *meant = nearest(in, section, word);
	char hint[WORD_MAX + 32] = "";

	if (meant)
		snprintf(hint, sizeof(hint), "; did you mean '%s'?", meant);
	if (section)
		return error_set(e, EINVAL, "[%s] has no key '%s'%s", section,
				 word, hint);
	return error_set(e, EINVAL, "there is no section [%s]%s", word, hint);
}

/* 0: what is not known is skipped, and somebody told. */
static int skip_unknown(struct ini *in, const char *line, const char *at,
			struct error *e)
{
	struct error why = *e;

	if (!in->format->unknown)
		return problem(in, line, at, e);
	problem(in, line, at, &why);
	return in->format->unknown(in->target, why.text, e);
}

static int copy_word(char *buf, struct span word, const char *what,
		     struct error *e)
{
	if (word.len == 0)
		return error_set(e, EINVAL, "a %s is missing here", what);
	if (word.len >= WORD_MAX)
		return error_set(e, EINVAL, "'%.*s...' is too long for a %s",
				 20, word.at, what);
	memcpy(buf, word.at, word.len);
	buf[word.len] = '\0';
	return 0;
}

/* Keys of @section (NULL: of every section that is not named) that were not
 * given get their fallbacks. */
static int apply_fallbacks(struct ini *in, const char *section, struct error *e)
{
	const struct ini_format *f = in->format;
	const char *named = f->named_section;

	for (size_t i = 0; i < f->count; i++) {
		const struct ini_key *k = &f->keys[i];
		bool ours = section ? !strcmp(k->section, section)
				    : !named || strcmp(k->section, named) != 0;

		if (!ours || !k->fallback || in->seen & 1ULL << i)
			continue;
		if (k->set(in->target, k, k->fallback, e) < 0)
			return error_in(e, "%s", k->key);
	}
	return 0;
}

static int section_end(struct ini *in, struct error *e)
{
	const struct ini_format *f = in->format;

	if (!in->section || !f->named_section ||
	    strcmp(in->section, f->named_section) != 0)
		return 0;
	if (apply_fallbacks(in, in->section, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < f->count; i++)
		if (!strcmp(f->keys[i].section, in->section))
			in->seen &= ~(1ULL << i);
	return 0;
}

static const char *known_section(const struct ini_format *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++)
		if (!strcmp(f->keys[i].section, name))
			return f->keys[i].section;
	return NULL;
}

/* @inside is what stands between the brackets. */
static int section_begin(struct ini *in, struct span inside, struct error *e)
{
	const struct ini_format *f = in->format;
	char word[WORD_MAX], name[WORD_MAX];
	struct span rest;
	size_t n = 0;
	bool named;

	while (n < inside.len && !isspace((unsigned char)inside.at[n]))
		n++;
	rest = trimmed(inside.at + n, inside.len - n);
	if (copy_word(word, (struct span){ inside.at, n }, "section", e) < 0)
		return error_code(e);
	if (section_end(in, e) < 0)
		return error_code(e);
	in->last = NULL;
	in->section = known_section(f, word);
	in->skips_key = false;
	in->skips_section = !in->section;
	if (!in->section)
		return unknown(in, NULL, word, e);
	named = f->named_section && !strcmp(word, f->named_section);
	if (!named && rest.len > 0)
		return error_set(e, EINVAL, "[%s] takes no name", word);
	if (!named)
		return 0;
	if (rest.len == 0)
		return error_set(e, EINVAL, "write [%s NAME]", word);
	if (copy_word(name, rest, "name", e) < 0)
		return error_code(e);
	return f->begin(in->target, name, e);
}

static int give(struct ini *in, struct span value, struct error *e)
{
	AUTO_FREE char *copy = strndup(value.at, value.len);

	assert(in->last);
	if (!copy)
		return error_set(e, ENOMEM, "no memory for a value");
	return in->last->set(in->target, in->last, copy, e);
}

static int find_key(struct ini *in, const char *word, struct error *e)
{
	const struct ini_format *f = in->format;

	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->keys[i].section, in->section) != 0 ||
		    strcmp(f->keys[i].key, word))
			continue;
		if (in->seen & 1ULL << i && !f->keys[i].repeatable)
			return error_set(e, EINVAL, "'%s' is set twice", word);
		in->seen |= 1ULL << i;
		in->last = &f->keys[i];
		return 0;
	}
	in->last = NULL;
	in->skips_key = true;
	return unknown(in, in->section, word, e);
}

static int pair(struct ini *in, const char *line, struct span all,
		struct error *e)
{
	const char *equals = memchr(all.at, '=', all.len);
	struct span key, value;
	char word[WORD_MAX];

	if (!equals) {
		error_set(e, EINVAL, "write KEY = VALUE or [SECTION]");
		return problem(in, line, all.at, e);
	}
	key = trimmed(all.at, (size_t)(equals - all.at));
	value = trimmed(equals + 1, (size_t)(all.at + all.len - equals) - 1);
	if (!in->section) {
		error_set(e, EINVAL, "a [SECTION] has to come first");
		return problem(in, line, all.at, e);
	}
	if (copy_word(word, key, "key", e) < 0)
		return problem(in, line, key.at, e);
	in->skips_key = false;
	if (find_key(in, word, e) < 0) {
		if (!in->skips_key)
			return problem(in, line, key.at, e);
		return skip_unknown(in, line, key.at, e);
	}
	/* Written again after a space, it would be a comment. */
	if (value.len > 0 && value.at[0] == ';') {
		error_set(e, EINVAL, "a value cannot start with ';'");
		return problem(in, line, value.at, e);
	}
	if (give(in, value, e) < 0)
		return problem(in, line, value.at, e);
	return 0;
}

static int one_line(struct ini *in, const char *line, size_t len,
		    struct error *e)
{
	const char *nul = memchr(line, '\0', len);
	struct span all = trimmed(line, comment_start(line, len));

	if (nul) {
		error_set(e, EINVAL, "this is no text: it has a zero byte");
		return problem(in, line, nul, e);
	}
	if (all.len == 0)
		return 0;
	if (all.at > line && in->last && in->last->repeatable) {
		if (give(in, all, e) < 0)
			return problem(in, line, all.at, e);
		return 0;
	}
	if (all.at[0] != '[' &&
	    (in->skips_section || (all.at > line && in->skips_key)))
		return 0;
	if (all.at[0] != '[')
		return pair(in, line, all, e);
	if (all.at[all.len - 1] != ']') {
		error_set(e, EINVAL, "']' is missing at the end of the line");
		return problem(in, line, all.at + all.len, e);
	}
	in->skips_section = false;
	if (section_begin(in, trimmed(all.at + 1, all.len - 2), e) == 0)
		return 0;
	return in->skips_section ? skip_unknown(in, line, all.at, e)
				 : problem(in, line, all.at, e);
}

int ini_read_text(const struct ini_format *f, void *target,
		  const char *file_name, const char *text, size_t len,
		  struct error *e)
{
	struct ini in = { .format = f,
			  .target = target,
			  .file_name = file_name };
	const char *end = text + len;

	assert(f->count <= INI_KEYS_MAX);
	if (len > INI_TEXT_MAX)
		return error_set(e, EFBIG, "%s: larger than 1 MiB", file_name);
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		if (!stop)
			stop = end;
		in.line++;
		if (one_line(&in, text, (size_t)(stop - text), e) < 0)
			return error_code(e);
		text = stop + 1;
	}
	if (section_end(&in, e) < 0 || apply_fallbacks(&in, NULL, e) < 0)
		return error_in(e, "%s", file_name);
	return 0;
}

int ini_load(char **ret_text, size_t *ret_len, const char *path, size_t most,
	     struct error *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE char *buf = NULL;
	size_t len = 0, cap = 0;
	ssize_t n = 1;

	if (fd < 0)
		return error_sys(e, "%s", path);
	while (n > 0) {
		if (len > most)
			return error_set(e, EFBIG, "%s: larger than %zu bytes",
					 path, most);
		if (cap - len < 4096) {
			char *more = realloc(buf, cap = cap * 2 + 8192);

			if (!more)
				return error_set(e, ENOMEM, "%s: no memory",
						 path);
			buf = more;
		}
		n = read(fd, buf + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return error_sys(e, "%s", path);
		else
			len += (size_t)n;
	}
	buf[len] = '\0';
	*ret_len = len;
	*ret_text = take_ptr(&buf);
	return 0;
}

int ini_read_file(const struct ini_format *f, void *target, const char *path,
		  struct error *e)
{
	AUTO_FREE char *text = NULL;
	size_t len;

	if (ini_load(&text, &len, path, INI_TEXT_MAX, e) < 0)
		return error_code(e);
	return ini_read_text(f, target, path, text, len, e);
}
