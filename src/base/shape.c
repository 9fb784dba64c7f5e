/* SPDX-License-Identifier: MIT */
#include "base/shape.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/words.h"

/* A table contains others and never itself, so every depth here is that of
 * constant tables: a handful. */
/* NOLINTBEGIN(misc-no-recursion) */

static void drop_json(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON SCOPED(drop_json)

static void show_constant(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s", *(const char *const *)at);
}

const struct shape_code shape_constant = { .show = show_constant };

static const void *member(const struct shape_field *f, const void *object)
{
	return (const char *)object + f->offset;
}

static size_t list_count(const struct shape_field *f, const void *object)
{
	return *(const size_t *)(const void *)((const char *)object + f->count);
}

static void *list_at(const struct shape_field *f, const void *object)
{
	void *at = (void *)(uintptr_t)member(f, object);

	return f->flags & SHAPE_INSIDE ? at : *(void **)at;
}

static uint64_t load(const struct shape_field *f, const void *at)
{
	switch (f->bytes) {
	case 1:
		return *(const uint8_t *)at;
	case 2:
		return *(const uint16_t *)at;
	case 4:
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static void store(const struct shape_field *f, void *at, uint64_t v)
{
	if (f->bytes == 1)
		*(uint8_t *)at = (uint8_t)v;
	else if (f->bytes == 2)
		*(uint16_t *)at = (uint16_t)v;
	else if (f->bytes == 4)
		*(uint32_t *)at = (uint32_t)v;
	else
		*(uint64_t *)at = v;
}

static int64_t load_signed(const struct shape_field *f, const void *at)
{
	return f->bytes == 4 ? *(const int32_t *)at : *(const int64_t *)at;
}

/* --- writing */

static bool is_unset(const struct shape_field *f, const void *object)
{
	const void *at = member(f, object);

	if (f->has)
		return !((const bool *)object)[f->has - 1];
	switch (f->kind) {
	case SHAPE_BOOL:
		return !*(const bool *)at;
	case SHAPE_NUMBER:
	case SHAPE_NAME:
		return load(f, at) == 0;
	case SHAPE_SECONDS:
		return *(const uint64_t *)at == 0;
	case SHAPE_SIGNED:
		return load_signed(f, at) < 0;
	case SHAPE_REAL:
		return isnan(*(const double *)at);
	case SHAPE_TEXT:
		return !*(const char *)at;
	case SHAPE_STRING:
		return !*(char *const *)at;
	case SHAPE_WORDS:
		return ((const struct words *)at)->count == 0;
	case SHAPE_LIST:
		return list_count(f, object) == 0;
	case SHAPE_CODE:
	case SHAPE_OBJECT:
		break;
	}
	return false;
}

/* Other programs' words may have been cut anywhere. */
static json_t *write_string(const char *text)
{
	AUTO_FREE char *plain = NULL;
	json_t *j = json_string(text);
	size_t len = strlen(text);

	if (j)
		return j;
	plain = malloc(len + 1);
	if (!plain)
		return NULL;
	text_printable(plain, len + 1, text, len);
	return json_string(plain);
}

static json_t *write_code(const struct shape_field *f, const void *at)
{
	char buf[SHAPE_CODE_MAX] = "";

	f->code->show(buf, sizeof(buf), at);
	return write_string(buf);
}

static json_t *write_words(const struct words *w)
{
	json_t *all = json_array();

	for (size_t i = 0; i < w->count; i++)
		json_array_append_new(all, write_string(w->at[i]));
	return all;
}

static json_t *write_object(const struct shape *s, const void *object);

static json_t *write_list(const struct shape_field *f, const void *object)
{
	const char *at = list_at(f, object);
	json_t *all = json_array();

	for (size_t i = 0; i < list_count(f, object); i++)
		json_array_append_new(all, write_object(f->of,
							at + i * f->of->bytes));
	return all;
}

static json_t *write_number(uint64_t v)
{
	return json_integer(v < INT64_MAX ? (json_int_t)v : INT64_MAX);
}

static json_t *write_value(const struct shape_field *f, const void *object)
{
	const void *at = member(f, object);
	const char *string;

	switch (f->kind) {
	case SHAPE_BOOL:
		return json_boolean(*(const bool *)at);
	case SHAPE_NUMBER:
		return write_number(load(f, at));
	case SHAPE_SIGNED:
		return json_integer(load_signed(f, at));
	case SHAPE_REAL:
		return json_real(*(const double *)at);
	case SHAPE_SECONDS:
		return json_real((double)*(const uint64_t *)at / USEC_PER_SEC);
	case SHAPE_TEXT:
		return write_string(at);
	case SHAPE_STRING:
		string = *(char *const *)at;
		return write_string(string ? string : "");
	case SHAPE_NAME:
		assert(load(f, at) < f->most);
		return json_string(f->names[load(f, at)]);
	case SHAPE_CODE:
		return write_code(f, at);
	case SHAPE_WORDS:
		return write_words(at);
	case SHAPE_OBJECT:
		return write_object(f->of, at);
	case SHAPE_LIST:
		return write_list(f, object);
	}
	return NULL;
}

static json_t *write_field(const struct shape_field *f, const void *object)
{
	if (f->flags & SHAPE_NULL && is_unset(f, object))
		return json_null();
	return write_value(f, object);
}

static json_t *write_object(const struct shape *s, const void *object)
{
	json_t *o;

	if (s->form == SHAPE_BARE)
		return write_field(s->fields, object);
	o = s->form == SHAPE_TUPLE ? json_array() : json_object();
	for (unsigned i = 0; i < s->count; i++) {
		const struct shape_field *f = &s->fields[i];

		if (f->flags & SHAPE_OMIT && is_unset(f, object))
			continue;
		if (s->form == SHAPE_TUPLE)
			json_array_append_new(o, write_field(f, object));
		else
			json_object_set_new(o, f->name, write_field(f, object));
	}
	return o;
}

static char *dump(const struct shape *s, const void *object, size_t how)
{
	AUTO_JSON json_t *o = write_object(s, object);

	return o ? json_dumps(o, how | JSON_ENCODE_ANY) : NULL;
}

char *shape_text(const struct shape *s, const void *object)
{
	return dump(s, object, JSON_COMPACT);
}

char *shape_file_text(const struct shape *s, const void *object)
{
	return dump(s, object, JSON_INDENT(2));
}

char *shape_member_text(const struct shape *s, const void *object,
			const char *name)
{
	AUTO_JSON json_t *value = NULL;
	const struct shape_field *f = NULL;

	for (unsigned i = 0; i < s->count && !f; i++)
		if (!strcmp(s->fields[i].name, name))
			f = &s->fields[i];
	if (!f || (is_unset(f, object) && !(f->flags & SHAPE_NEEDED)))
		return NULL;
	value = write_value(f, object);
	return json_is_string(value)
		       ? strdup(json_string_value(value))
		       : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* --- reading */

struct reading {
	enum shape_source from;
	struct error *error;
};

static int refuse(const struct reading *r, const struct shape_field *f,
		  const char *must)
{
	return error_set(r->error, r->from == SHAPE_REQUEST ? EINVAL : EBADMSG,
			 "%s%s%s must be %s", f->name ? "'" : "",
			 f->name ? f->name : "this", f->name ? "'" : "", must);
}

static int read_bool(const struct reading *r, const struct shape_field *f,
		     bool *at, const json_t *j)
{
	if (!json_is_boolean(j))
		return refuse(r, f, "true or false");
	*at = json_is_true(j);
	return 0;
}

static int read_number(const struct reading *r, const struct shape_field *f,
		       void *at, const json_t *j)
{
	int64_t v = json_integer_value(j), least = f->least;
	char must[80];

	if (!json_is_integer(j))
		return refuse(r, f, "a whole number");
	if (f->kind == SHAPE_NUMBER && least < 0)
		least = 0;
	if (f->most || f->kind == SHAPE_NUMBER) {
		uint64_t most = f->most ? f->most : INT64_MAX;

		if (!f->most && f->bytes < sizeof(v))
			most = (1ULL << 8 * f->bytes) - 1;
		if (v < least || (v > 0 && (uint64_t)v > most)) {
			snprintf(must, sizeof(must),
				 "from %" PRId64 " to %" PRIu64, least, most);
			return refuse(r, f, must);
		}
	} else if (f->bytes == 4 && v != (int32_t)v) {
		return refuse(r, f, "a smaller number");
	}
	store(f, at, (uint64_t)v);
	return 0;
}

static int read_real(const struct reading *r, const struct shape_field *f,
		     void *at, const json_t *j)
{
	double v = json_number_value(j);
	char must[64];

	if (!json_is_number(j))
		return refuse(r, f, "a number");
	if (f->kind == SHAPE_REAL) {
		if (f->most &&
		    !(v >= (double)f->least && v <= (double)f->most)) {
			snprintf(must, sizeof(must),
				 "from %" PRId64 " to %" PRIu64, f->least,
				 f->most);
			return refuse(r, f, must);
		}
		*(double *)at = v;
		return 0;
	}
	if (!(v >= 0 && v < 1e12))
		return refuse(r, f, "a time in seconds");
	*(uint64_t *)at = (uint64_t)(v * USEC_PER_SEC);
	return 0;
}

/* NULL: it is not a string without zero bytes. */
static const char *string_of(const json_t *j)
{
	const char *text = json_string_value(j);

	return text && strlen(text) == json_string_length(j) ? text : NULL;
}

static int read_text(const struct reading *r, const struct shape_field *f,
		     char *at, const json_t *j)
{
	const char *text = string_of(j);
	char must[80];

	if (!text)
		return refuse(r, f, "a string");
	if (strlen(text) >= f->bytes) {
		snprintf(must, sizeof(must), "at most %zu bytes long",
			 f->bytes - 1);
		return refuse(r, f, must);
	}
	if (f->flags & SHAPE_PRINTABLE) {
		if (!*text)
			return refuse(r, f, "a string that is not empty");
		for (const char *c = text; *c; c++)
			if (*c < ' ' || *c > '~')
				return refuse(r, f, "printable");
	}
	memcpy(at, text, strlen(text) + 1);
	return 0;
}

static int no_memory(const struct reading *r)
{
	return error_set(r->error, ENOMEM, "no memory");
}

static int read_string(const struct reading *r, const struct shape_field *f,
		       char **at, const json_t *j)
{
	const char *text = string_of(j);
	char must[80], *fresh;

	if (!text)
		return refuse(r, f, "a string");
	if (f->most && strlen(text) > f->most) {
		snprintf(must, sizeof(must), "at most %" PRIu64 " bytes long",
			 f->most);
		return refuse(r, f, must);
	}
	fresh = strdup(text);
	if (!fresh)
		return no_memory(r);
	free(*at);
	*at = fresh;
	return 0;
}

static int read_name(const struct reading *r, const struct shape_field *f,
		     void *at, const json_t *j)
{
	const char *text = string_of(j);
	char must[200] = "one of";
	size_t used;

	for (uint64_t i = 0; text && i < f->most; i++)
		if (f->names[i] && !strcmp(f->names[i], text)) {
			store(f, at, i);
			return 0;
		}
	for (uint64_t i = 0; i < f->most; i++) {
		used = strlen(must);
		if (f->names[i])
			snprintf(must + used, sizeof(must) - used, "%s %s",
				 used > strlen("one of") ? "," : "",
				 f->names[i]);
	}
	return refuse(r, f, must);
}

static int read_code(const struct reading *r, const struct shape_field *f,
		     void *at, const json_t *j)
{
	const char *text = string_of(j);
	struct error why = { 0 };

	if (!text)
		return refuse(r, f, "a string");
	if (strlen(text) >= SHAPE_CODE_MAX ||
	    f->code->parse(at, text, &why) < 0)
		return refuse(r, f, why.code ? why.text : "valid");
	return 0;
}

/* Whether @j is a list that is not too long. */
static int check_list(const struct reading *r, const struct shape_field *f,
		      const json_t *j)
{
	char must[80];

	if (!json_is_array(j))
		return refuse(r, f, "a list");
	if (!f->most || json_array_size(j) <= f->most)
		return 0;
	snprintf(must, sizeof(must), "a list of at most %" PRIu64, f->most);
	return refuse(r, f, must);
}

static int read_words(const struct reading *r, const struct shape_field *f,
		      struct words *at, const json_t *j)
{
	const json_t *word;
	size_t i;

	if (check_list(r, f, j) < 0)
		return error_code(r->error);
	words_done(at);
	json_array_foreach (j, i, word) {
		const char *text = string_of(word);

		if (!text)
			return refuse(r, f, "a list of strings");
		if (words_add(at, text, r->error) < 0)
			return error_code(r->error);
	}
	return 0;
}

static int read_object(const struct reading *r, const struct shape *s,
		       void *object, const json_t *j);
static void free_list(const struct shape_field *f, void *object);

static int read_list(const struct reading *r, const struct shape_field *f,
		     void *object, const json_t *j)
{
	size_t *count = (size_t *)(void *)((char *)object + f->count);
	const json_t *element;
	char *at;
	size_t i;

	free_list(f, object);
	if (!(f->flags & SHAPE_INSIDE) && json_array_size(j) > 0) {
		void **all = (void **)(uintptr_t)member(f, object);

		*all = calloc(json_array_size(j), f->of->bytes);
		if (!*all)
			return no_memory(r);
	}
	at = list_at(f, object);
	json_array_foreach (j, i, element) {
		++*count; /* before it is whole: what it has is freed */
		if (read_object(r, f->of, at + i * f->of->bytes, element) < 0)
			return error_in(r->error, "number %zu", i + 1);
	}
	return 0;
}

static int read_value(const struct reading *r, const struct shape_field *f,
		      void *object, const json_t *j)
{
	void *at = (char *)object + f->offset;

	switch (f->kind) {
	case SHAPE_BOOL:
		return read_bool(r, f, at, j);
	case SHAPE_NUMBER:
	case SHAPE_SIGNED:
		return read_number(r, f, at, j);
	case SHAPE_REAL:
	case SHAPE_SECONDS:
		return read_real(r, f, at, j);
	case SHAPE_TEXT:
		return read_text(r, f, at, j);
	case SHAPE_STRING:
		return read_string(r, f, at, j);
	case SHAPE_NAME:
		return read_name(r, f, at, j);
	case SHAPE_CODE:
		return read_code(r, f, at, j);
	case SHAPE_WORDS:
		return read_words(r, f, at, j);
	case SHAPE_LIST:
		if (check_list(r, f, j) < 0)
			return error_code(r->error);
		break;
	case SHAPE_OBJECT:
		break;
	}
	if ((f->kind == SHAPE_LIST ? read_list(r, f, object, j)
				   : read_object(r, f->of, at, j)) == 0)
		return 0;
	return f->name ? error_in(r->error, "%s", f->name)
		       : error_code(r->error);
}

/* @j: NULL where it is not given. */
static int read_field(const struct reading *r, const struct shape_field *f,
		      void *object, const json_t *j)
{
	if (json_is_null(j) && f->flags & (SHAPE_NULL | SHAPE_OMIT))
		return 0;
	if (!j && f->flags & SHAPE_NEEDED)
		return error_set(r->error,
				 r->from == SHAPE_REQUEST ? EINVAL : EBADMSG,
				 "'%s' is missing", f->name);
	if (!j)
		return 0;
	if (read_value(r, f, object, j) < 0)
		return error_code(r->error);
	if (f->has)
		((bool *)object)[f->has - 1] = true;
	return 0;
}

/* A field that nobody knows is most often a typing error, and a limit that
 * silently does not hold is worse than a refusal. */
static int check_known(const struct reading *r, const struct shape *s,
		       const json_t *o)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)o, key, value) {
		unsigned i = 0;

		while (i < s->count && strcmp(s->fields[i].name, key) != 0)
			i++;
		if (i == s->count)
			return error_set(r->error, EINVAL,
					 "there is no field '%.64s' here", key);
	}
	return 0;
}

static int read_members(const struct reading *r, const struct shape *s,
			void *object, const json_t *o)
{
	if (r->from == SHAPE_REQUEST && check_known(r, s, o) < 0)
		return error_code(r->error);
	for (unsigned i = 0; i < s->count; i++)
		if (read_field(r, &s->fields[i], object,
			       json_object_get(o, s->fields[i].name)) < 0)
			return error_code(r->error);
	return 0;
}

static int read_tuple(const struct reading *r, const struct shape *s,
		      void *object, const json_t *array)
{
	for (unsigned i = 0; i < s->count; i++)
		if (read_field(r, &s->fields[i], object,
			       json_array_get(array, i)) < 0)
			return error_code(r->error);
	return 0;
}

static int read_object(const struct reading *r, const struct shape *s,
		       void *object, const json_t *j)
{
	int code = r->from == SHAPE_REQUEST ? EINVAL : EBADMSG;

	if (s->form == SHAPE_BARE)
		return read_field(r, s->fields, object, j);
	if (s->form == SHAPE_MEMBERS && json_is_object(j))
		return read_members(r, s, object, j);
	if (s->form == SHAPE_TUPLE && json_array_size(j) == s->count)
		return read_tuple(r, s, object, j);
	if (s->form == SHAPE_TUPLE)
		return error_set(r->error, code, "this must be a list of %u",
				 s->count);
	return error_set(r->error, code, "this must be a JSON object");
}

int shape_parse(const struct shape *s, void *object, const char *text,
		size_t len, enum shape_source from, struct error *e)
{
	const struct reading r = { from, e };
	AUTO_JSON json_t *j = NULL;
	json_error_t why;

	j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
		       &why);
	if (!j)
		return error_set(e, from == SHAPE_REQUEST ? EINVAL : EBADMSG,
				 "this is not JSON: line %d: %s", why.line,
				 why.text);
	if (read_object(&r, s, object, j) == 0)
		return 0;
	shape_done(s, object);
	return error_code(e);
}

/* --- letting go */

static void free_field(const struct shape_field *f, void *object)
{
	void *at = (char *)object + f->offset;

	switch ((int)f->kind) {
	case SHAPE_STRING:
		free(*(char **)at);
		*(char **)at = NULL;
		break;
	case SHAPE_WORDS:
		words_done(at);
		break;
	case SHAPE_OBJECT:
		shape_done(f->of, at);
		break;
	case SHAPE_LIST:
		free_list(f, object);
		break;
	default:
		break;
	}
}

static void free_list(const struct shape_field *f, void *object)
{
	size_t *count = (size_t *)(void *)((char *)object + f->count);
	char *at = list_at(f, object);

	for (size_t i = 0; i < *count; i++)
		shape_done(f->of, at + i * f->of->bytes);
	*count = 0;
	if (f->flags & SHAPE_INSIDE)
		return;
	free(at);
	*(void **)((char *)object + f->offset) = NULL;
}

void shape_done(const struct shape *s, void *object)
{
	for (unsigned i = 0; i < s->count; i++)
		free_field(&s->fields[i], object);
}

/* --- copying */

static void forget_list(const struct shape_field *f, void *object);

/* After a copy byte by byte: what it points to is the other one's. */
static void forget_members(const struct shape *s, void *object)
{
	for (unsigned i = 0; i < s->count; i++) {
		const struct shape_field *f = &s->fields[i];
		void *at = (char *)object + f->offset;

		if (f->kind == SHAPE_STRING)
			*(char **)at = NULL;
		else if (f->kind == SHAPE_WORDS)
			*(struct words *)at = (struct words){ .count = 0 };
		else if (f->kind == SHAPE_OBJECT)
			forget_members(f->of, at);
		else if (f->kind == SHAPE_LIST)
			forget_list(f, object);
	}
}

static void forget_list(const struct shape_field *f, void *object)
{
	if (f->flags & SHAPE_INSIDE)
		for (size_t i = 0; i < list_count(f, object); i++)
			forget_members(f->of, (char *)list_at(f, object) +
						      i * f->of->bytes);
	else
		*(void **)((char *)object + f->offset) = NULL;
	*(size_t *)(void *)((char *)object + f->count) = 0;
}

/* From here on @to has nothing that could be freed: all was forgotten. */
static int copy_members(const struct shape *s, void *to, const void *from);

static int copy_list(const struct shape_field *f, void *to, const void *from)
{
	size_t *count = (size_t *)(void *)((char *)to + f->count);
	size_t n = list_count(f, from), bytes = f->of->bytes;
	const char *source = list_at(f, from);
	char *at;

	if (!(f->flags & SHAPE_INSIDE) && n > 0) {
		void **all = (void **)(uintptr_t)member(f, to);

		*all = calloc(n, bytes);
		if (!*all)
			return -ENOMEM;
	}
	at = list_at(f, to);
	for (size_t i = 0; i < n; i++) {
		memcpy(at + i * bytes, source + i * bytes, bytes);
		forget_members(f->of, at + i * bytes);
		++*count; /* before it is whole: what it has is freed */
		if (copy_members(f->of, at + i * bytes, source + i * bytes) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int copy_string(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_words(struct words *to, const struct words *from)
{
	struct error ignored;

	return words_add_all(to, from, &ignored) < 0 ? -ENOMEM : 0;
}

static int copy_field(const struct shape_field *f, void *to, const void *from)
{
	void *at = (char *)to + f->offset;
	const void *source = member(f, from);

	switch ((int)f->kind) {
	case SHAPE_STRING:
		return copy_string(at, *(char *const *)source);
	case SHAPE_WORDS:
		return copy_words(at, source);
	case SHAPE_OBJECT:
		return copy_members(f->of, at, source);
	case SHAPE_LIST:
		return copy_list(f, to, from);
	default:
		return 0;
	}
}

static int copy_members(const struct shape *s, void *to, const void *from)
{
	for (unsigned i = 0; i < s->count; i++)
		if (copy_field(&s->fields[i], to, from) < 0)
			return -ENOMEM;
	return 0;
}

int shape_copy(const struct shape *s, void *to, const void *from,
	       struct error *e)
{
	memcpy(to, from, s->bytes);
	forget_members(s, to);
	if (copy_members(s, to, from) == 0)
		return 0;
	shape_done(s, to);
	return error_set(e, ENOMEM, "no memory");
}

/* NOLINTEND(misc-no-recursion) */
