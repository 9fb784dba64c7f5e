/* SPDX-License-Identifier: MIT */

/*
 * Lists of words: command lines, split and written as a shell does it, with
 * single quotes, double quotes and backslashes, and without any expansion.
 * A list is a heap array that ends with NULL, so it can be given to execve().
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct error;

struct words {
	char **at; /* NULL while empty */
	size_t count;
};

void words_done(struct words *w);

/* Append a copy of @word. */
int words_add(struct words *w, const char *word, struct error *e);

/* Append copies of all of @from. */
int words_add_all(struct words *w, const struct words *from, struct error *e);

/* As words_add(), the word made from a format. */
int words_addf(struct words *w, struct error *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int words_addv(struct words *w, struct error *e, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

bool words_have(const struct words *w, const char *word);

/* Take out @n words from @at on. */
void words_remove(struct words *w, size_t at, size_t n);

/* Append the words of @text.  -EINVAL for a quote that is not closed. */
int words_split(struct words *w, const char *text, struct error *e);

/* @word so that words_split() and a shell read it back as one word, on the
 * heap; plain words stay as they are.  NULL without memory. */
char *words_quote(const char *word);
