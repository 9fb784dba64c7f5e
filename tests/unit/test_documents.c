/* SPDX-License-Identifier: MIT */

/*
 * The documents hold what the shapes hold: each field of a shape stands in the
 * section that describes it, and whatever that section names is a field.
 *
 *     docs/api.md    A body or an answer of the control API: its section is
 *                    where the table of routes leads.  Examples name members
 *                    as JSON does, tables in their first column.
 *     docs/wire.md   What hosts tell each other; see the list below.
 *     docs/commit.md What a move leaves on disk; likewise.
 *
 * A shape with a place of its own is looked for there, not where another
 * contains it.
 */
#include "unit.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/shape.h"
#include "base/text.h"
#include "compress/report.h"
#include "control/api.h"
#include "move/journal.h"
#include "move/report.h"
#include "nic/cards.h"
#include "paths/report.h"
#include "trust/members.h"
#include "trust/pairing.h"
#include "wire/message.h"
#include "wire/rdma.h"

enum { NAME_MAX_LEN = 40, NAMES_MAX = 400, SHAPES_MAX = 200, PLACES_MAX = 200 };

struct place {
	const struct shape *shape; /* NULL: it has none yet */
	const char *document, *section;
	/* A message: its members stand behind its name, in braces.  NULL: the
	 * whole section is about the shape. */
	const char *message;
};

/* Besides the bodies and answers of the routes. */
static const struct place listed[] = {
	{ &refusal_shape, "api.md", "Errors", NULL },
	{ &path_report_shape, "api.md", "Report", NULL },
	{ &channel_report_shape, "api.md", "Report", NULL },
	{ &card_report_shape, "api.md", "Report", NULL },
	{ &job_report_shape, "api.md", "Report", NULL },
	{ &compressor_report_shape, "api.md", "Report", NULL },
	{ &journal_entry_shape, "commit.md", "Entries", NULL },
	{ &cards_shape, "wire.md", "Cards", NULL },
	{ &rdma_words_shape, "wire.md", "RDMA", NULL },
	{ &machine_description_shape, "wire.md", "Messages", "machine" },
	{ &disk_description_shape, "wire.md", "Messages", "disk" },
	{ &message_block_shape, "wire.md", "Messages", "block" },
	{ &message_disk_shape, "wire.md", "Messages", "copied" },
	{ &finding_shape, "wire.md", "Messages", "finding" },
	{ &host_facts_shape, "wire.md", "Messages", "host_facts" },
	{ &machine_facts_shape, "wire.md", "Messages", "machine_facts" },
	{ &pair_request_shape, "wire.md", "Pairing", "pair" },
	{ &pair_answer_shape, "wire.md", "Pairing", "paired" },
	{ &members_shape, "wire.md", "Pairing", "members" },
};

static const char *folder; /* of the documents */

struct names {
	char at[NAMES_MAX][NAME_MAX_LEN];
	size_t count;
};

static bool has_name(const struct names *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++)
		if (!strcmp(n->at[i], name))
			return true;
	return false;
}

static bool is_letter(char c)
{
	return islower((unsigned char)c) || isdigit((unsigned char)c) ||
	       c == '_';
}

static size_t word_len(const char *text)
{
	size_t len = 0;

	while (is_letter(text[len]))
		len++;
	return len;
}

static void add_name(struct names *n, const char *text, size_t len)
{
	assert_true(len < NAME_MAX_LEN && n->count < NAMES_MAX);
	memcpy(n->at[n->count], text, len);
	n->at[n->count][len] = '\0';
	if (len > 0 && !has_name(n, n->at[n->count]))
		n->count++;
}

/* --- documents */

static char *read_document(const char *name)
{
	char path[512];
	char *text = NULL;
	size_t len = 0;
	FILE *f, *to = open_memstream(&text, &len);
	int c;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "re");
	if (!f)
		fail_msg("%s cannot be opened", path);
	while ((c = getc(f)) != EOF)
		putc(c, to);
	fclose(f);
	fclose(to);
	return text;
}

/* "Start, stop, forget" as links have it: "start-stop-forget". */
static void make_link(char *to, size_t cap, const char *section)
{
	size_t n = 0;

	for (; *section && *section != '\n' && n + 1 < cap; section++) {
		char c = (char)tolower((unsigned char)*section);

		if (c == ' ')
			c = '-';
		if (c == '-' || is_letter(c))
			to[n++] = c;
	}
	to[n] = '\0';
}

/* @section: as it stands there, or as links have it. */
static bool is_heading(const char *line, const char *section)
{
	size_t len = strlen(section);
	char link[80];

	line += strspn(line, "#");
	line += strspn(line, " ");
	make_link(link, sizeof(link), line);
	return !strcmp(link, section) ||
	       (!strncmp(line, section, len) && line[len] == '\n');
}

/* From behind its heading to the next one, on the heap. */
static char *read_section(const char *document, const char *section)
{
	AUTO_FREE char *text = read_document(document);
	bool fenced = false;
	char *begin = NULL, *line = text;

	for (; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		if (!strncmp(line, "```", 3))
			fenced = !fenced;
		if (fenced || *line != '#')
			continue;
		if (begin)
			break;
		if (is_heading(line, section))
			begin = line + strcspn(line, "\n");
	}
	if (!begin)
		fail_msg("%s has no section %s", document, section);
	return line && *line ? strndup(begin, (size_t)(line - begin))
			     : strdup(begin);
}

/* "name": as JSON has it. */
static void add_keys(struct names *n, const char *text)
{
	for (const char *at = strchr(text, '"'); at; at = strchr(at + 1, '"')) {
		size_t len = word_len(at + 1);

		if (!strncmp(at + 1 + len, "\":", 2))
			add_name(n, at + 1, len);
	}
}

/* `name` of @len bytes of text. */
static void add_quoted(struct names *n, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t word = text[i] == '`' ? word_len(text + i + 1) : 0;

		if (word > 0 && text[i + 1 + word] == '`') {
			add_name(n, text + i + 1, word);
			i += word + 1;
		}
	}
}

/* A row "| `a`, `b` | {`c`: ...} |": a, b and c. */
static void add_row(struct names *n, const char *row)
{
	const char *end = row + strcspn(row, "\n");
	const char *next = strchr(row + 1, '|');

	if (!next || next > end)
		return;
	add_quoted(n, row, (size_t)(next - row));
	for (const char *at = next; (at = strchr(at, '{')) && at < end; at++)
		add_quoted(n, at, strcspn(at, "}\n"));
}

/* "| field |", "| member |" and "| in `press` |" begin tables of members. */
static bool is_of_members(const char *header)
{
	return !strncmp(header, "| field |", 9) ||
	       !strncmp(header, "| member |", 10) ||
	       !strncmp(header, "| in `", 6);
}

static void add_tables(struct names *n, const char *text)
{
	bool inside = false, of_members = false;

	for (const char *line = text; line && *line;
	     line = strchr(line, '\n'), line += line != NULL) {
		if (*line == '|' && !inside)
			of_members = is_of_members(line);
		else if (*line == '|' && of_members)
			add_row(n, line);
		inside = *line == '|';
	}
}

/* From ':' to what is in brackets, or past a choice of words, which goes on to
 * a semicolon or the brace. */
static size_t skip_value(const char *at)
{
	size_t blanks = strspn(at, ": ");

	if (at[blanks] == '[' || at[blanks] == '{')
		return blanks;
	return strcspn(at, ";}");
}

/* "{job, files: [{path, size}], state: a, b; host}" */
static void add_members(struct names *n, const char *at)
{
	unsigned depth = 0, round = 0, square = 0;

	do {
		depth += *at == '{';
		depth -= *at == '}';
		round += *at == '(';
		round -= *at == ')';
		square += *at == '[' && at[1] != '{';
		square -= *at == ']' && square > 0;
		if (round == 0 && square == 0 && is_letter(*at)) {
			add_name(n, at, word_len(at));
			at += word_len(at);
			at += *at == ':' ? skip_value(at)
					 : strcspn(at, ",;(){}[]\n");
		} else {
			at++;
		}
	} while (*at && depth > 0);
}

static void find_message(struct names *n, const char *text, const char *message)
{
	char mark[80];
	const char *at;

	snprintf(mark, sizeof(mark), "`%s` {", message);
	at = strstr(text, mark);
	if (!at) {
		snprintf(mark, sizeof(mark), "`%s`: {", message);
		at = strstr(text, mark);
	}
	if (!at)
		fail_msg("no message '%s' {...} is described", message);
	add_members(n, strchr(at, '{'));
}

/* What the document calls members of the shape, and what it has words for. */
static void read_place(const struct place *p, struct names *members,
		       struct names *words)
{
	AUTO_FREE char *text = read_section(p->document, p->section);

	if (p->message) {
		find_message(members, text, p->message);
	} else {
		add_keys(members, text);
		add_tables(members, text);
		add_quoted(words, text, strlen(text));
	}
	for (size_t i = 0; i < members->count; i++)
		add_name(words, members->at[i], strlen(members->at[i]));
}

/* --- shapes */

struct places {
	struct place at[PLACES_MAX];
	size_t count;
	char link[PLACES_MAX][80];
};

struct shapes {
	const struct shape *at[SHAPES_MAX];
	size_t count;
};

static void add_shape(struct shapes *all, const struct shape *s)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->at[i] == s)
			return;
	assert_true(all->count < SHAPES_MAX);
	all->at[all->count++] = s;
}

static bool has_place(const struct places *all, const struct shape *s)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->at[i].shape == s)
			return true;
	return false;
}

/* @first and what it contains; not what stands in a place of its own, where
 * @but is given. */
static void add_inner(struct shapes *all, const struct shape *first,
		      const struct places *but)
{
	size_t i = all->count;

	add_shape(all, first);
	for (; i < all->count; i++)
		for (unsigned k = 0; k < all->at[i]->count; k++) {
			const struct shape *of = all->at[i]->fields[k].of;

			if (of && !(but && has_place(but, of)))
				add_shape(all, of);
		}
}

/* Of an object; members of tuples have a place, no name. */
static const char *name_of(const struct shape *s, unsigned field)
{
	return s->form == SHAPE_MEMBERS ? s->fields[field].name : NULL;
}

static bool is_field(const struct shapes *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		for (unsigned k = 0; k < all->at[i]->count; k++)
			if (name_of(all->at[i], k) &&
			    !strcmp(name_of(all->at[i], k), name))
				return true;
	return false;
}

/* --- places */

static bool is_same_place(const struct place *a, const struct place *b)
{
	char one[80], other[80];

	make_link(one, sizeof(one), a->section);
	make_link(other, sizeof(other), b->section);
	return !strcmp(a->document, b->document) && !strcmp(one, other) &&
	       !a->message == !b->message &&
	       (!a->message || !strcmp(a->message, b->message));
}

static void add_link(struct places *all, const struct shape *s,
		     const char *cell, const char *end)
{
	const char *at = memmem(cell, (size_t)(end - cell), "(#", 2);
	char *link = all->link[all->count];
	size_t len;

	if (!at && !s)
		return;
	assert_non_null(at);
	len = strcspn(at + 2, ")");
	assert_true(len < sizeof(all->link[0]) && all->count < PLACES_MAX);
	memcpy(link, at + 2, len);
	link[len] = '\0';
	all->at[all->count++] = (struct place){ s, "api.md", link, NULL };
}

/* "/v1/machines/NAME/start" for "/v1/machines/(star)/start" */
static bool is_row_of(const char *row, const struct api_route *r)
{
	const char *path = r->path;
	size_t verb = strlen(r->verb);

	if (strncmp(row, "| `", 3) != 0 || strncmp(row + 3, r->verb, verb) != 0)
		return false;
	for (row += 3 + verb + 1; *row && *row != '`'; path++) {
		if (*path == '*')
			while (isupper((unsigned char)*row))
				row++;
		else if (*path != *row++)
			return false;
	}
	return *path == '\0';
}

static const char *cell_of(const char *row, unsigned number)
{
	for (; number > 0; number--)
		row = strchr(row + 1, '|');
	return row;
}

static void add_route(struct places *all, const char *routes,
		      const struct api_route *r)
{
	const char *row = strstr(routes, "\n| ");

	while (row && !is_row_of(row + 1, r))
		row = strstr(row + 1, "\n| ");
	if (!row)
		fail_msg("api.md does not list the route %s %s", r->verb,
			 r->path);
	add_link(all, r->takes, cell_of(row + 1, 1), cell_of(row + 1, 2));
	if (!r->gives || !has_place(all, r->gives))
		add_link(all, r->gives, cell_of(row + 1, 2),
			 cell_of(row + 1, 3));
}

/* Every message that has members of its own. */
static void add_messages(struct places *all)
{
	for (int t = MESSAGE_UNKNOWN + 1; t < MESSAGE_TYPES; t++) {
		const struct shape *s = message_shape((enum message_type)t);

		assert_true(all->count < PLACES_MAX);
		if (s->count > message_shape(MESSAGE_UNKNOWN)->count)
			all->at[all->count++] = (struct place){
				s, "wire.md", "Messages",
				message_name((enum message_type)t)
			};
	}
}

static void find_places(struct places *all)
{
	AUTO_FREE char *routes = read_section("api.md", "Routes");

	all->count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(listed); i++)
		all->at[all->count++] = listed[i];
	add_messages(all);
	for (size_t i = 0; i < api_route_count; i++)
		add_route(all, routes, &api_routes[i]);
}

/* False: something that stands there has no shape yet. */
static bool add_all_of(struct shapes *shapes, const struct places *all,
		       const struct place *p)
{
	for (size_t i = 0; i < all->count; i++) {
		if (!is_same_place(p, &all->at[i]))
			continue;
		if (!all->at[i].shape)
			return false;
		add_inner(shapes, all->at[i].shape, NULL);
	}
	return true;
}

/* --- tests */

/* What every message has is not told of each. */
static bool is_of_all(const struct place *p, const char *name)
{
	return p->message && (!strcmp(name, "type") || !strcmp(name, "can"));
}

static void every_field_of_a_shape_is_documented(void **state)
{
	static struct places all;
	unsigned missing = 0;

	(void)state;
	find_places(&all);
	for (size_t i = 0; i < all.count; i++) {
		const struct place *p = &all.at[i];
		struct names members = { .count = 0 }, words = { .count = 0 };
		struct shapes shapes = { .count = 0 };

		if (!p->shape)
			continue;
		read_place(p, &members, &words);
		add_inner(&shapes, p->shape, &all);
		for (size_t s = 0; s < shapes.count; s++)
			for (unsigned k = 0; k < shapes.at[s]->count; k++) {
				const char *name = name_of(shapes.at[s], k);

				if (!name || has_name(&words, name) ||
				    is_of_all(p, name))
					continue;
				missing++;
				print_error("%s, '%s'%s%s: nothing about the "
					    "field '%s'\n",
					    p->document, p->section,
					    p->message ? ", " : "",
					    p->message ? p->message : "", name);
			}
	}
	assert_int_equal(missing, 0);
}

static void every_member_that_is_documented_is_a_field(void **state)
{
	static struct places all;
	unsigned unknown = 0;

	(void)state;
	find_places(&all);
	for (size_t i = 0; i < all.count; i++) {
		const struct place *p = &all.at[i];
		struct names members = { .count = 0 }, words = { .count = 0 };
		struct shapes shapes = { .count = 0 };

		if (!add_all_of(&shapes, &all, p))
			continue;
		read_place(p, &members, &words);
		assert_true(members.count > 0);
		for (size_t k = 0; k < members.count; k++) {
			if (is_field(&shapes, members.at[k]))
				continue;
			unknown++;
			print_error("%s, '%s'%s%s: '%s' is not a field of any "
				    "shape\n",
				    p->document, p->section,
				    p->message ? ", " : "",
				    p->message ? p->message : "",
				    members.at[k]);
		}
	}
	assert_int_equal(unknown, 0);
}

static void members_are_read_out_of_braces(void **state)
{
	static const char text[] =
		"| → `move` {job, blocks: [{name, len}], machine (that is a, "
		"b), qemu: [major, minor], size, state: on, off; host} |";
	static const char *const expected[] = { "job",  "blocks",  "name",
						"len",  "machine", "qemu",
						"size", "state",   "host" };
	struct names n = { .count = 0 };

	(void)state;
	find_message(&n, text, "move");
	for (size_t i = 0; i < n.count && i < ARRAY_SIZE(expected); i++)
		assert_string_equal(n.at[i], expected[i]);
	assert_int_equal(n.count, ARRAY_SIZE(expected));
}

static void members_are_read_out_of_tables_and_examples(void **state)
{
	static const char text[] =
		"\n{\"a\": 1, \"b_c\": {\"d\": \"word\"}}\n\n"
		"| member | value |\n|---|---|\n| `e`, `f` | {`g`: x} or "
		"`not` |\n\n| state | means |\n|---|---|\n| `lost` | `h` |\n";
	struct names n = { .count = 0 };

	(void)state;
	add_keys(&n, text);
	add_tables(&n, text);
	assert_int_equal(n.count, 6);
	assert_true(has_name(&n, "b_c") && has_name(&n, "d"));
	assert_true(has_name(&n, "e") && has_name(&n, "f"));
	assert_true(has_name(&n, "a") && has_name(&n, "g"));
	assert_false(has_name(&n, "lost") || has_name(&n, "not"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_a_shape_is_documented),
		cmocka_unit_test(every_member_that_is_documented_is_a_field),
		cmocka_unit_test(members_are_read_out_of_braces),
		cmocka_unit_test(members_are_read_out_of_tables_and_examples),
	};

	if (argc != 2) {
		print_error("usage: test_documents FOLDER\n");
		return 2;
	}
	folder = argv[1];
	return cmocka_run_group_tests_name("documents", tests, NULL, NULL);
}
