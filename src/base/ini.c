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

enum { WORD_MAX = INI_NAME_CAP };

struct ini {
	const struct ini_format *format;
	void *target;
	const char *file_name;
	struct ini_place at;     /* without a section before the first one */
	char name[WORD_MAX];     /* of the section */
	char key_name[WORD_MAX]; /* of a key that has one */
	bool skips_section, skips_key; /* that are not known */
	/* A bit per key: it stands in this file, in this section. */
	uint64_t seen[INI_SECTIONS_MAX];
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

	return error_set(e, why.code, "%s:%u:%zu: %s", in->file_name,
			 in->at.line, (size_t)(at - line) + 1, why.text);
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

size_t ini_comment_start(const char *line, size_t len)
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

/* Of words that may be meant, the one that is nearest so far. */
struct guess {
	const char *word, *found;
	unsigned best;
};

static void guess(struct guess *g, const char *known)
{
	unsigned n = distance(g->word, known);

	if (n >= g->best)
		return;
	g->best = n;
	g->found = known;
}

enum { HINT_CAP = WORD_MAX + 32 };

static void hint_text(char hint[static HINT_CAP], const struct guess *g)
{
	hint[0] = '\0';
	if (g->found)
		snprintf(hint, HINT_CAP, "; did you mean '%s'?", g->found);
}

bool ini_is_key(const struct ini_key *k, const char *word)
{
	return !strcmp(k->key, word) || (k->before && !strcmp(k->before, word));
}

int ini_find_key(const struct ini_key **ret, const struct ini_section *s,
		 const char *word, struct error *e)
{
	struct guess g = { .word = word, .best = 3 };
	char hint[HINT_CAP];

	for (size_t i = 0; i < s->count; i++) {
		if (ini_is_key(&s->keys[i], word)) {
			*ret = &s->keys[i];
			return 0;
		}
		guess(&g, s->keys[i].key);
	}
	hint_text(hint, &g);
	return error_set(e, EINVAL, "[%s] has no key '%.63s'%s", s->name, word,
			 hint);
}

int ini_find_section(const struct ini_section **ret, const struct ini_format *f,
		     const char *word, struct error *e)
{
	struct guess g = { .word = word, .best = 3 };
	char hint[HINT_CAP];

	for (size_t i = 0; i < f->count; i++) {
		if (!strcmp(f->sections[i]->name, word)) {
			*ret = f->sections[i];
			return 0;
		}
		guess(&g, f->sections[i]->name);
	}
	hint_text(hint, &g);
	return error_set(e, EINVAL, "there is no section [%.63s]%s", word,
			 hint);
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

int ini_defaults(const struct ini_section *s, void *base, struct error *e)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct ini_key *k = &s->keys[i];

		if (k->fallback && k->kind->parse((char *)base + k->offset, k,
						  k->fallback, e) < 0)
			return error_in(e, "%s", k->key);
	}
	return 0;
}

void ini_clear(const struct ini_section *s, void *base)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->keys[i].kind->clear)
			s->keys[i].kind->clear((char *)base +
					       s->keys[i].offset);
}

static uint64_t *seen_of(struct ini *in)
{
	size_t i = 0;

	while (in->format->sections[i] != in->at.section)
		i++;
	return &in->seen[i];
}

static int begin(struct ini *in, struct span name, struct error *e)
{
	const struct ini_section *s = in->at.section;

	assert(s);
	in->at.base = in->target;
	if (s->size == 0 && name.len > 0)
		return error_set(e, EINVAL, "[%s] takes no name", s->name);
	if (s->size > 0 && name.len == 0)
		return error_set(e, EINVAL, "write [%s NAME]", s->name);
	if (s->size > 0) {
		if (copy_word(in->name, name, "name", e) < 0)
			return error_code(e);
		in->at.name = in->name;
		*seen_of(in) = 0;
	}
	return in->format->begin ? in->format->begin(in->target, &in->at, e)
				 : 0;
}

/* @inside is what stands between the brackets. */
static int section_begin(struct ini *in, struct span inside, struct error *e)
{
	char word[WORD_MAX];
	struct span rest;
	size_t n = 0;

	while (n < inside.len && !isspace((unsigned char)inside.at[n]))
		n++;
	rest = trimmed(inside.at + n, inside.len - n);
	if (copy_word(word, (struct span){ inside.at, n }, "section", e) < 0)
		return error_code(e);
	in->at = (struct ini_place){ .line = in->at.line };
	in->skips_key = false;
	in->skips_section =
		ini_find_section(&in->at.section, in->format, word, e) < 0;
	return in->skips_section ? error_code(e) : begin(in, rest, e);
}

static int give(struct ini *in, struct span value, struct error *e)
{
	AUTO_FREE char *copy = NULL;
	const struct ini_key *k = in->at.key;

	assert(k);
	if (!k->named)
		copy = strndup(value.at, value.len);
	else if (asprintf(&copy, "%s %.*s", in->key_name, (int)value.len,
			  value.at) < 0)
		copy = NULL;
	if (!copy)
		return error_set(e, ENOMEM, "no memory for a value");
	return k->kind->parse((char *)in->at.base + k->offset, k, copy, e);
}

/* The first value in this file: what one before it said is over. */
static int first_value(struct ini *in, struct error *e)
{
	const struct ini_key *k = in->at.key;

	if (k->kind->clear)
		k->kind->clear((char *)in->at.base + k->offset);
	return in->format->given ? in->format->given(in->target, &in->at, e)
				 : 0;
}

/* "nic lan" is the key "nic" with a name, if that key has one. */
static void split_name(struct ini *in, char *word)
{
	size_t n = strcspn(word, " \t");

	in->key_name[0] = '\0';
	for (size_t i = 0; word[n] && i < in->at.section->count; i++) {
		const struct ini_key *k = &in->at.section->keys[i];

		if (!k->named || strlen(k->key) != n ||
		    memcmp(k->key, word, n) != 0)
			continue;
		snprintf(in->key_name, sizeof(in->key_name), "%s",
			 word + n + strspn(word + n, " \t"));
		word[n] = '\0';
	}
}

static int find_key(struct ini *in, char *word, struct error *e)
{
	const struct ini_section *s = in->at.section;
	uint64_t *seen = seen_of(in), bit;

	split_name(in, word);
	in->at.key = NULL;
	in->skips_key = ini_find_key(&in->at.key, s, word, e) < 0;
	if (in->skips_key)
		return error_code(e);
	in->at.by_old_name = strcmp(in->at.key->key, word) != 0;
	bit = 1ULL << (in->at.key - s->keys);
	if (*seen & bit)
		return in->at.key->repeatable
			       ? 0
			       : error_set(e, EINVAL, "'%s' is set twice",
					   word);
	*seen |= bit;
	return first_value(in, e);
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
	if (!in->at.section) {
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
	struct span all = trimmed(line, ini_comment_start(line, len));

	if (nul) {
		error_set(e, EINVAL,
			  "this is not a text file: it has a zero byte");
		return problem(in, line, nul, e);
	}
	if (all.len == 0)
		return 0;
	if (all.at > line && in->at.key && in->at.key->repeatable) {
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

	assert(f->count <= INI_SECTIONS_MAX);
	if (len > INI_TEXT_MAX)
		return error_set(e, EFBIG, "%s: larger than 1 MiB", file_name);
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		if (!stop)
			stop = end;
		in.at.line++;
		if (one_line(&in, text, (size_t)(stop - text), e) < 0)
			return error_code(e);
		text = stop + 1;
	}
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
