/* SPDX-License-Identifier: MIT */

/*
 * One key of an INI text is given other values.
 *
 * The text is copied line by line.  The lines of the key are left out, with
 * those that continue them; the new ones stand where the first of them stood,
 * else at the end of the section's last line, else in a section of their own at
 * the end of the text.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/ini.h"
#include "base/scope.h"
#include "base/words.h"

struct edit {
	const char *section;
	const struct ini_key *key;
	const struct words *values;
	struct words lines; /* of the new text */
	size_t head, end;   /* of our section's lines; 0: it is not there */
	size_t others;      /* lines in it of other keys */
	bool inside;        /* our section */
	bool dropping;      /* the key's lines */
	bool written;
};

static bool is_blank(const char *line)
{
	return line[strspn(line, " \t\r")] == '\0';
}

/* The line without its comment and the blanks around what is left. */
static void bare(char *line)
{
	size_t start = strspn(line, " \t\r"), len;

	line[ini_comment_start(line, strlen(line))] = '\0';
	len = strlen(line);
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	if (start <= len)
		memmove(line, line + start, len - start + 1);
}

/* "[ peer  beta ]" is "peer beta". */
static bool is_section(char *inside, const char *wanted)
{
	char *save, *word = strtok_r(inside, " \t", &save), name[160];
	char *rest = word ? strtok_r(NULL, "", &save) : NULL;

	if (!word)
		return false;
	while (rest && isspace((unsigned char)*rest))
		rest++;
	snprintf(name, sizeof(name), "%s%s%s", word, rest && *rest ? " " : "",
		 rest ? rest : "");
	return !strcmp(name, wanted);
}

static int write_values(struct edit *d, struct error *e)
{
	for (size_t i = 0; !d->written && i < d->values->count; i++)
		if (words_addf(&d->lines, e, "%s = %s", d->key->key,
			       d->values->at[i]) < 0)
			return error_code(e);
	d->written = true;
	return 0;
}

static bool is_key(char *text, const struct ini_key *key)
{
	char *equals = strchr(text, '=');

	if (!equals)
		return false;
	*equals = '\0';
	bare(text);
	return ini_is_key(key, text);
}

static int add_line(struct edit *d, const char *line, struct error *e)
{
	AUTO_FREE char *text = strdup(line);
	size_t len;

	if (!text)
		return error_set(e, ENOMEM, "no memory for a setting");
	bare(text);
	len = strlen(text);
	if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
		text[len - 1] = '\0';
		bare(text + 1);
		d->inside = is_section(text + 1, d->section);
		d->dropping = false;
		if (d->inside)
			d->head = d->lines.count + 1;
	} else if (d->dropping && len > 0 && isspace((unsigned char)line[0])) {
		return 0;
	} else if (len > 0) {
		d->dropping = d->inside && is_key(text, d->key);
		if (d->dropping)
			return write_values(d, e);
		d->others += d->inside;
	}
	if (words_add(&d->lines, line, e) < 0)
		return error_code(e);
	if (d->inside && !is_blank(line))
		d->end = d->lines.count;
	return 0;
}

static int split(struct edit *d, const char *text, struct error *e)
{
	AUTO_FREE char *copy = strdup(text);

	if (!copy)
		return error_set(e, ENOMEM, "no memory for a setting");
	for (char *line = copy, *next; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (add_line(d, line, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* The key's lines behind those of its section, or of a new one. */
static int append(struct edit *d, struct error *e)
{
	struct words *l = &d->lines, tail = { 0 };
	int r = 0;

	if (d->written || d->values->count == 0)
		return 0;
	if (d->end == 0) {
		if (words_addf(l, e, "%s[%s]", l->count ? "\n" : "",
			       d->section) < 0)
			return error_code(e);
		return write_values(d, e);
	}
	for (size_t i = d->end; r == 0 && i < l->count; i++)
		r = words_add(&tail, l->at[i], e);
	if (r == 0) {
		words_remove(l, d->end, tail.count);
		r = write_values(d, e);
	}
	for (size_t i = 0; r == 0 && i < tail.count; i++)
		r = words_add(l, tail.at[i], e);
	words_done(&tail);
	return r;
}

/* A head alone would be a peer without an address.  The line that parts it from
 * what is before it goes too. */
static void drop_head(struct words *lines, size_t at)
{
	const bool parted = at > 0 && is_blank(lines->at[at - 1]);

	words_remove(lines, at - parted, 1 + parted);
}

static int join(char **ret, const struct words *lines, struct error *e)
{
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return error_set(e, ENOMEM, "no memory for a setting");
	for (size_t i = 0; i < lines->count; i++)
		fprintf(out, "%s\n", lines->at[i]);
	if (fclose(out) != 0)
		return error_set(e, ENOMEM, "no memory for a setting");
	*ret = take_ptr(&text);
	return 0;
}

/* What a file would not give back as it is. */
static int check_value(const char *value, struct error *e)
{
	AUTO_FREE char *line = NULL;

	if (asprintf(&line, "k = %s", value) < 0) {
		line = NULL;
		return error_set(e, ENOMEM, "no memory for a setting");
	}
	if (!*value)
		return error_set(e, EINVAL, "a value is empty");
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return error_set(e, EINVAL,
					 "a value has a control character in "
					 "it, which is not for a file of "
					 "settings");
	if (isspace((unsigned char)value[0]) ||
	    isspace((unsigned char)value[strlen(value) - 1]))
		return error_set(e, EINVAL,
				 "'%.80s' begins or ends with a blank, which "
				 "no file of settings keeps",
				 value);
	if (ini_comment_start(line, strlen(line)) < strlen(line))
		return error_set(e, EINVAL,
				 "'%.80s' has a ';' after a blank, which "
				 "begins a comment",
				 value);
	return 0;
}

int ini_edit(char **ret, const char *text, const char *section,
	     const struct ini_key *key, const struct words *values,
	     struct error *e)
{
	struct edit d = { .section = section, .key = key, .values = values };
	int r = 0;

	for (size_t i = 0; r == 0 && i < values->count; i++)
		r = check_value(values->at[i], e);
	if (r == 0)
		r = split(&d, text, e);
	if (r == 0)
		r = append(&d, e);
	if (values->count == 0 && d.head > 0 && d.others == 0)
		drop_head(&d.lines, d.head - 1);
	if (r == 0)
		r = join(ret, &d.lines, e);
	words_done(&d.lines);
	return r;
}
