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
 * What a file may contain is a table of keys.  A key that is missing gets its
 * fallback through the same setter, so that the table is also the place where
 * the defaults stand.  The first problem ends the reading and is told as
 * "FILE:LINE:COLUMN: sentence"; lines and columns count from 1.
 *
 * Quotes and backslashes are left for the setter to see; here they only keep
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

enum { INI_TEXT_MAX = 1 << 20, INI_KEYS_MAX = 64 };

struct ini_key {
	const char *section;
	const char *key;
	int (*set)(void *target, const struct ini_key *key, const char *value,
		   struct error *e);
	const char *fallback; /* NULL: the setter is not called */
	const char *help;
	size_t offset;   /* for setters that serve several keys */
	bool repeatable; /* the setter is called once per value */
};

struct ini_format {
	const struct ini_key *keys;
	size_t count; /* at most INI_KEYS_MAX */

	/* The section that may stand there several times, with a name, and
	 * what is called at the start of each; NULL where there is none. */
	const char *named_section;
	int (*begin)(void *target, const char *name, struct error *e);

	/* What is called, with a sentence, for a key or a section that is not
	 * in the table, which then is skipped; NULL: that is an error. */
	int (*unknown)(void *target, const char *sentence, struct error *e);
};

/* @text need not end with a NUL.  Errors: -EINVAL for what the file says,
 * -EFBIG above INI_TEXT_MAX, or what a setter returned. */
int ini_read_text(const struct ini_format *f, void *target,
		  const char *file_name, const char *text, size_t len,
		  struct error *e);

int ini_read_file(const struct ini_format *f, void *target, const char *path,
		  struct error *e);

/* The whole of @path as a string, at most @most bytes. */
int ini_load(char **ret_text, size_t *ret_len, const char *path, size_t most,
	     struct error *e);
