/* SPDX-License-Identifier: MIT */

/*
 * INI files, as people write them
 *
 *     # a comment line
 *     [section]
 *     key = value            ; a comment after white space
 *     list = first
 *         second             <- continues a repeatable key: one more value
 *     [section NAME]         <- one of several, told apart by name
 *
 * What a section may contain is a table of keys, which stands beside whom they
 * concern; a format is a list of such sections.  A row says how a value is read
 * and shown, where it belongs, and what it is without a file.  The first
 * problem ends the reading and is told as "FILE:LINE:COLUMN: sentence"; lines
 * and columns count from 1.
 *
 * A file that is read after another one overrides it key by key: its first
 * value of a key clears what was there.
 *
 * Quotes and backslashes are left for parse() to see; here they only keep
 * a quoted ";" from starting a comment.
 *
 * There is a library for this.  It cuts section names at 49 characters, skips
 * sections without keys, tells no line to its callback and no column to
 * anyone, and keeps its options in variables of the process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct error;
struct ini_key;
struct words;

enum {
	INI_TEXT_MAX = 1 << 20,
	INI_KEYS_MAX = 64, /* of a section */
	INI_SECTIONS_MAX = 16,
	INI_NAME_CAP = 64, /* of a section's name, with its end */
};

/* How the values of a key are read and shown. */
struct ini_kind {
	/* Sets what is at @at, or adds to it when the key is repeatable. */
	int (*parse)(void *at, const struct ini_key *key, const char *value,
		     struct error *e);
	/* Adds a word for each value, which parse() reads back.  NULL: nobody
	 * shows such files. */
	int (*show)(struct words *ret, const void *at,
		    const struct ini_key *key, struct error *e);
	/* What is at @at is as before the first parse().  NULL: there is
	 * nothing to give back. */
	void (*clear)(void *at);
};

struct ini_key {
	const char *key;
	const struct ini_kind *kind;
	const char *fallback; /* NULL: nothing is parsed */
	const char *example;  /* a value that is good, and not the fallback */
	const char *help;
	const char *before; /* its name in the last release, read as well */
	size_t offset;      /* in what the section fills */
	/* for kinds that serve several keys */
	const char *const *words; /* that a value may be; ends with NULL */
	unsigned least, most;
	bool repeatable; /* parse() is called once per value */
	bool restart;    /* only the next start takes a new value */
	/* "KEY NAME = VALUE", which parse() gets as "NAME VALUE" */
	bool named;
};

struct ini_section {
	const char *name;
	const struct ini_key *keys;
	size_t count; /* at most INI_KEYS_MAX */
	/* Of a section that may stand there several times, [NAME ONE]: the size
	 * of what each fills, which begins with its name, char[INI_NAME_CAP];
	 * 0: it has no name. */
	size_t size;
	/* Whether such a one is whole, NULL: it always is. */
	int (*check)(const void *one, struct error *e);
};

/* What those of a section with names fill, each on the heap. */
struct ini_list {
	void **at;
	size_t count;
};

/* Where the reader is. */
struct ini_place {
	const struct ini_section *section;
	const struct ini_key *key; /* NULL: at the section's head */
	const char *name;          /* of a section that has one, else NULL */
	void *base;                /* what the section fills */
	unsigned line;
	bool by_old_name; /* the key is called by its name of before */
};

struct ini_format {
	const struct ini_section *const *sections;
	size_t count; /* at most INI_SECTIONS_MAX */

	/* At the head of a section, says in @p what it fills.  NULL: there is
	 * one section, and it fills the target. */
	int (*begin)(void *target, struct ini_place *p, struct error *e);

	/* Before the first value of a key; may be NULL. */
	int (*given)(void *target, const struct ini_place *p, struct error *e);

	/* What is called, with a sentence, for a key or a section that is not
	 * in the table, which then is skipped; NULL: that is an error. */
	int (*unknown)(void *target, const char *sentence, struct error *e);
};

/* What a section fills gets the fallbacks of its keys. */
int ini_defaults(const struct ini_section *s, void *base, struct error *e);
/* And is given back. */
void ini_clear(const struct ini_section *s, void *base);

/* By its name of today, or of before. */
bool ini_is_key(const struct ini_key *k, const char *word);

/* -EINVAL with the key that was probably meant when there is none. */
int ini_find_key(const struct ini_key **ret, const struct ini_section *s,
		 const char *word, struct error *e);
int ini_find_section(const struct ini_section **ret, const struct ini_format *f,
		     const char *word, struct error *e);

/* @text need not end with a NUL.  Errors: -EINVAL for what the file says,
 * -EFBIG above INI_TEXT_MAX, or what a callback returned. */
int ini_read_text(const struct ini_format *f, void *target,
		  const char *file_name, const char *text, size_t len,
		  struct error *e);

int ini_read_file(const struct ini_format *f, void *target, const char *path,
		  struct error *e);

/* The whole of @path as a string, at most @most bytes. */
int ini_load(char **ret_text, size_t *ret_len, const char *path, size_t most,
	     struct error *e);

/* @text with other values of one key, on the heap; without values, without the
 * key, and without its section once that is empty.  What else is there stays as
 * it is.  @section is "host" or "peer beta".  -EINVAL for a value that a file
 * cannot hold. */
int ini_edit(char **ret, const char *text, const char *section,
	     const struct ini_key *key, const struct words *values,
	     struct error *e);

/* Where the comment of a line starts, or its end. */
size_t ini_comment_start(const char *line, size_t len);
