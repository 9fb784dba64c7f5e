/* SPDX-License-Identifier: MIT */
#include "cmd/command.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cmd/output.h"

/* The text may hold what a guest or a peer sent. */
static void print_line(const struct call *c, const char *text)
{
	fprintf(stderr, "drover: %s%s", c->title, c->title[0] ? ": " : "");
	for (; *text; text++)
		putc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text,
		     stderr);
	putc('\n', stderr);
}

void call_warn(const struct call *c, const char *fmt, ...)
{
	AUTO_JSON json_t *object = NULL;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!c->json) {
		print_line(c, text);
		return;
	}
	object = json_pack("{s:o}", "warning", output_text(text));
	output_json_line(stderr, object);
}

int call_fail(const struct call *c, const struct outcome *o, const char *text,
	      const char *advice)
{
	AUTO_JSON json_t *object = NULL;

	if (!c->json) {
		print_line(c, text);
		if (advice)
			print_line(c, advice);
		return o->status;
	}
	object = json_pack("{s:o,s:s,s:i,s:o}", "error", output_text(text),
			   "kind", o->kind, "status", (int)o->status, "command",
			   output_text(c->title));
	if (advice)
		json_object_set_new(object, "advice", output_text(advice));
	output_json_line(stderr, object);
	return o->status;
}

int call_path(char *buf, size_t cap, const char *before, const char *name,
	      const char *after, struct error *e)
{
	int r = text_check_name("machine, job, card or host", name, e);

	if (r < 0)
		return r;
	snprintf(buf, cap, "%s%s%s", before, name, after);
	return 0;
}

int call_list(const struct call *c, const char *path,
	      const struct output_field *fields, const char *none,
	      struct error *e)
{
	AUTO_JSON json_t *all = NULL;
	int r = client_get(c->client, path, &all, e);

	if (r < 0)
		return r;
	if (c->json)
		output_json(stdout, all);
	else
		output_table(stdout, fields, all, none);
	return 0;
}

int call_set_text(json_t *body, const char *key, const char *value)
{
	if (!value)
		return 0;
	return json_object_set_new(body, key, json_string(value));
}

int call_set_list(json_t *body, const char *key, const struct call *c,
		  int option)
{
	json_t *all = json_array();

	for (size_t i = 0; i < c->repeats; i++)
		if (c->repeat[i].option == option)
			json_array_append_new(all,
					      json_string(c->repeat[i].value));
	if (json_array_size(all) > 0)
		return json_object_set_new(body, key, all);
	json_decref(all);
	return 0;
}

int call_set_words(json_t *body, const char *key, const char *value,
		   struct error *e)
{
	static const char apart[] = ", ";
	json_t *all = json_array();

	for (const char *at = value; at && *at;) {
		size_t len = strcspn(at, apart);

		if (len > 0)
			json_array_append_new(all, json_stringn(at, len));
		at += len + strspn(at + len, apart);
	}
	if (json_array_size(all) > 0)
		return json_object_set_new(body, key, all);
	json_decref(all);
	return value ? error_set(e, EINVAL, "--%s needs a word", key) : 0;
}

int call_set_ms(json_t *body, const char *key, const char *value,
		struct error *e)
{
	uint64_t us;
	int r;

	if (!value)
		return 0;
	if ((r = text_parse_duration(&us, value, e)) < 0)
		return r;
	json_object_set_new(body, key,
			    json_integer((json_int_t)(us / USEC_PER_MS)));
	return 0;
}

int call_set_rate(json_t *body, const char *key, const char *value,
		  struct error *e)
{
	uint64_t rate;
	int r;

	if (!value)
		return 0;
	if ((r = text_parse_rate(&rate, value, e)) < 0)
		return r;
	if (rate > INT64_MAX)
		return error_set(e, EINVAL, "'%.80s' is too much", value);
	json_object_set_new(body, key, json_integer((json_int_t)rate));
	return 0;
}

int call_set_number(json_t *body, const char *key, const char *value,
		    struct error *e)
{
	uint64_t n;
	int r;

	if (!value)
		return 0;
	if ((r = text_parse_number(&n, value, 1, INT_MAX, e)) < 0)
		return r;
	json_object_set_new(body, key, json_integer((json_int_t)n));
	return 0;
}
