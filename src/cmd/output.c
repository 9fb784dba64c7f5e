/* SPDX-License-Identifier: MIT */
#include "cmd/output.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/outcome.h"

enum { FIELDS_MAX = 16, DEFAULT_WIDTH = 80 };

const json_t *output_find(const json_t *object, const char *key)
{
	const char *dot;
	char part[64];

	while ((dot = strchr(key, '.'))) {
		snprintf(part, sizeof(part), "%.*s", (int)(dot - key), key);
		object = json_object_get(object, part);
		key = dot + 1;
	}
	return json_object_get(object, key);
}

const char *output_string(const json_t *object, const char *key)
{
	return json_string_value(output_find(object, key));
}

double output_number(const json_t *object, const char *key)
{
	return json_number_value(output_find(object, key));
}

static void tame(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

void format_text(char buf[static OUTPUT_CELL], const json_t *value)
{
	if (json_is_string(value))
		snprintf(buf, OUTPUT_CELL, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(buf, OUTPUT_CELL, "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
	else if (json_is_real(value))
		snprintf(buf, OUTPUT_CELL, "%.1f", json_real_value(value));
	else
		snprintf(buf, OUTPUT_CELL, "-");
	tame(buf);
}

void format_bytes(char buf[static OUTPUT_CELL], const json_t *value)
{
	double v = json_number_value(value);

	if (!json_is_number(value))
		snprintf(buf, OUTPUT_CELL, "-");
	else
		text_bytes(buf, OUTPUT_CELL, v > 0 ? (uint64_t)v : 0);
}

void format_yes_no(char buf[static OUTPUT_CELL], const json_t *value)
{
	snprintf(buf, OUTPUT_CELL, "%s", json_is_true(value) ? "yes" : "no");
}

void format_wall(char buf[static OUTPUT_CELL], const json_t *value)
{
	time_t t = (time_t)json_number_value(value);
	struct tm tm;

	if (!json_is_number(value) || !localtime_r(&t, &tm))
		snprintf(buf, OUTPUT_CELL, "-");
	else
		strftime(buf, OUTPUT_CELL, "%F %T", &tm);
}

void format_percent(char buf[static OUTPUT_CELL], const json_t *value)
{
	snprintf(buf, OUTPUT_CELL, "%.0f%%", json_number_value(value));
}

void format_list(char buf[static OUTPUT_CELL], const json_t *value)
{
	char cell[OUTPUT_CELL];
	size_t used = 0;

	snprintf(buf, OUTPUT_CELL, "-");
	for (size_t i = 0; i < json_array_size(value); i++) {
		format_text(cell, json_array_get(value, i));
		snprintf(buf + used, OUTPUT_CELL - used, "%s%s", i ? ", " : "",
			 cell);
		used = strlen(buf);
	}
}

static void print_cell(FILE *to, const struct output_field *f, const char *text,
		       int width, bool last)
{
	if (f->right)
		fprintf(to, "%*s", width, text);
	else if (last)
		fputs(text, to);
	else
		fprintf(to, "%-*s", width, text);
	fputs(last ? "\n" : "  ", to);
}

static void print_row(FILE *to, const struct output_field *fields,
		      const int *widths, const json_t *row)
{
	char cell[OUTPUT_CELL];

	for (size_t i = 0; fields[i].title; i++) {
		if (row)
			fields[i].format(cell, output_find(row, fields[i].key));
		else
			snprintf(cell, sizeof(cell), "%s", fields[i].title);
		print_cell(to, &fields[i], cell, widths[i],
			   !fields[i + 1].title);
	}
}

static int widest(const struct output_field *f, const json_t *rows)
{
	int width = (int)strlen(f->title);
	char cell[OUTPUT_CELL];

	for (size_t i = 0; i < json_array_size(rows); i++) {
		f->format(cell, output_find(json_array_get(rows, i), f->key));
		if ((int)strlen(cell) > width)
			width = (int)strlen(cell);
	}
	return width;
}

void output_table(FILE *to, const struct output_field *fields,
		  const json_t *rows, const char *when_empty)
{
	int widths[FIELDS_MAX] = { 0 };

	if (json_array_size(rows) == 0) {
		fprintf(to, "%s\n", when_empty);
		return;
	}
	for (size_t i = 0; fields[i].title; i++)
		widths[i] = widest(&fields[i], rows);
	print_row(to, fields, widths, NULL);
	for (size_t i = 0; i < json_array_size(rows); i++)
		print_row(to, fields, widths, json_array_get(rows, i));
}

void output_fields(FILE *to, const struct output_field *fields,
		   const json_t *object)
{
	char cell[OUTPUT_CELL];
	int width = 0;

	for (size_t i = 0; fields[i].title; i++)
		if ((int)strlen(fields[i].title) > width)
			width = (int)strlen(fields[i].title);
	for (size_t i = 0; fields[i].title; i++) {
		fields[i].format(cell, output_find(object, fields[i].key));
		output_wrapped(to, fields[i].title, width + 2, cell,
			       DEFAULT_WIDTH);
	}
}

/* Bytes of the next line: all words that fit, at least one. */
static size_t line_of(const char *text, size_t room)
{
	size_t end = 0;

	for (;;) {
		size_t word = end + strspn(text + end, " ");

		word += strcspn(text + word, " ");
		if (word == end || (word > room && end > 0))
			return end;
		end = word;
	}
}

void output_wrapped(FILE *to, const char *title, int title_width,
		    const char *text, int width)
{
	size_t room = width > title_width ? (size_t)(width - title_width) : 1;
	size_t n;

	do {
		text += strspn(text, " ");
		n = line_of(text, room);
		fprintf(to, "%-*s", title_width, title);
		for (size_t i = 0; i < n; i++)
			putc((unsigned char)text[i] < ' ' ? ' ' : text[i], to);
		putc('\n', to);
		text += n;
		title = "";
	} while (text[strspn(text, " ")]);
}

json_t *output_text(const char *text)
{
	char plain[1024];
	json_t *j = json_string(text);

	if (j)
		return j;
	text_printable(plain, sizeof(plain), text, strlen(text));
	return json_string(plain);
}

static void print_json(FILE *to, const json_t *value, size_t flags)
{
	/* A failed write shows in ferror(), which output_end() looks at. */
	if (json_dumpf(value, to, flags | JSON_ENCODE_ANY) == 0)
		putc('\n', to);
}

void output_json(FILE *to, const json_t *value)
{
	print_json(to, value, JSON_INDENT(2));
}

void output_json_line(FILE *to, const json_t *value)
{
	print_json(to, value, JSON_COMPACT);
	fflush(to);
}

int output_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return DEFAULT_WIDTH;
	return size.ws_col;
}

int output_end(int status)
{
	bool lost = fflush(stdout) != 0 || ferror(stdout);

	if (!lost)
		return status;
	if (errno != EPIPE)
		fprintf(stderr, "drover: cannot write the output: %s\n",
			strerrordesc_np(errno));
	return status ? status : STATUS_FAILED;
}
