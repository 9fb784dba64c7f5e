/* SPDX-License-Identifier: MIT */
#include "base/words.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"

void words_done(struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->at[i]);
	free(w->at);
	*w = (struct words){ 0 };
}

/* Takes @word over. */
static int push(struct words *w, char *word, struct error *e)
{
	bool full = (w->count & (w->count + 1)) == 0; /* 0, 1, 3, 7, ... */
	char **more = w->at;

	if (word && full)
		more = realloc(w->at, (w->count + 1) * 2 * sizeof(*more));
	if (!word || !more) {
		free(word);
		return error_set(e, ENOMEM, "no memory for a list of words");
	}
	w->at = more;
	w->at[w->count++] = word;
	w->at[w->count] = NULL;
	return 0;
}

int words_add(struct words *w, const char *word, struct error *e)
{
	return push(w, strdup(word), e);
}

int words_add_all(struct words *w, const struct words *from, struct error *e)
{
	for (size_t i = 0; i < from->count; i++)
		if (words_add(w, from->at[i], e) < 0)
			return error_code(e);
	return 0;
}

int words_addv(struct words *w, struct error *e, const char *fmt, va_list ap)
{
	char *word;
	int n = vasprintf(&word, fmt, ap);

	return push(w, n < 0 ? NULL : word, e);
}

int words_addf(struct words *w, struct error *e, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = words_addv(w, e, fmt, ap);
	va_end(ap);
	return r;
}

bool words_have(const struct words *w, const char *word)
{
	for (size_t i = 0; i < w->count; i++)
		if (!strcmp(w->at[i], word))
			return true;
	return false;
}

void words_remove(struct words *w, size_t at, size_t n)
{
	for (size_t i = at; i < at + n; i++)
		free(w->at[i]);
	/* With the NULL at the end. */
	memmove(w->at + at, w->at + at + n,
		(w->count - at - n + 1) * sizeof(w->at[0]));
	w->count -= n;
}

/* Copy one word from @text to @out; what follows it, or NULL when a quote or
 * a backslash is left open. */
static const char *one_word(char *out, const char *text)
{
	char quote = '\0';

	for (; *text && (quote || !isspace((unsigned char)*text)); text++) {
		bool escapes = !quote || (quote == '"' && text[1] &&
					  strchr("\"\\$`", text[1]));

		if (*text == '\\' && escapes) {
			if (!*++text)
				return NULL;
			*out++ = *text;
		} else if (quote && *text == quote) {
			quote = '\0';
		} else if (!quote && (*text == '"' || *text == '\'')) {
			quote = *text;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
	return quote ? NULL : text;
}

int words_split(struct words *w, const char *text, struct error *e)
{
	AUTO_FREE char *word = malloc(strlen(text) + 1);

	if (!word)
		return error_set(e, ENOMEM, "no memory for a list of words");
	for (;;) {
		while (isspace((unsigned char)*text))
			text++;
		if (!*text)
			return 0;
		text = one_word(word, text);
		if (!text)
			return error_set(e, EINVAL, "a quote is not closed");
		if (words_add(w, word, e) < 0)
			return error_code(e);
	}
}

static bool is_plain(const char *word)
{
	if (!*word)
		return false;
	for (; *word; word++)
		if (!isalnum((unsigned char)*word) &&
		    !strchr("-_./,:=+@%^", *word))
			return false;
	return true;
}

char *words_quote(const char *word)
{
	char *quoted, *out;

	if (is_plain(word))
		return strdup(word);
	quoted = malloc(strlen(word) * 4 + 3);
	if (!quoted)
		return NULL;
	out = quoted;
	*out++ = '\'';
	for (; *word; word++) {
		if (*word == '\'')
			out = stpcpy(out, "'\\''");
		else
			*out++ = *word;
	}
	*out++ = '\'';
	*out = '\0';
	return quoted;
}
