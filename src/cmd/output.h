/* SPDX-License-Identifier: MIT */

/*
 * What people read: tables, field lists, wrapped text; and the end of every
 * output.  Strings from the service may hold what a guest or a peer sent, so
 * control characters never reach the terminal.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { OUTPUT_CELL = 256 };

typedef void output_format(char buf[static OUTPUT_CELL], const json_t *value);

/* A column of a table, or a line of a field list. */
struct output_field {
	const char *title;
	const char *key; /* "memory.total" looks inside */
	output_format *format;
	bool right; /* numbers stand at the right */
};

output_format format_text;  /* strings and whole numbers; "-" for null */
output_format format_bytes; /* "1.5 GiB" */
output_format format_yes_no;
output_format format_wall; /* seconds since 1970 as local time */
output_format format_percent;
output_format format_list; /* "a, b" */

/* Ends with a field without a title. */
void output_table(FILE *to, const struct output_field *fields,
		  const json_t *rows, const char *when_empty);
void output_fields(FILE *to, const struct output_field *fields,
		   const json_t *object);

/* "TITLE   text text", further lines under the text; at most @width wide. */
void output_wrapped(FILE *to, const char *title, int title_width,
		    const char *text, int width);

/* Indented, with a newline; and one object per line. */
void output_json(FILE *to, const json_t *value);
void output_json_line(FILE *to, const json_t *value);

/* A JSON string of a text that may not be UTF-8. */
json_t *output_text(const char *text);

/* The value at "a.b", NULL when there is none; whole or real numbers. */
const json_t *output_find(const json_t *object, const char *key);
const char *output_string(const json_t *object, const char *key);
double output_number(const json_t *object, const char *key);

/* Columns of the terminal on standard output, 80 when it cannot be told. */
int output_width(void);

/* Flushes standard output.  @status, or STATUS_FAILED when not all could be
 * written; says so, except to a pipe that was closed. */
int output_end(int status);
