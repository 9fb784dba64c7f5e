/* SPDX-License-Identifier: MIT */
#include "control/settings.h"

#include <stdio.h>

#include "base/error.h"
#include "base/scope.h"
#include "control/api.h"
#include "host/host.h"
#include "host/settings_view.h"

static const struct shape_field body_fields[] = {
	{ "setting", SHAPE_STRING, SHAPE_NEEDED,
	  SHAPE_AT(struct setting_body, setting) },
	{ "values", SHAPE_WORDS, SHAPE_NEEDED,
	  SHAPE_AT(struct setting_body, values) },
};

const struct shape setting_body_shape = SHAPE(struct setting_body, body_fields);

/* --- what is shown of one */

/* The section is the first member. */
static void show_setting(char *buf, size_t cap, const void *at)
{
	char name[SETTING_NAME_CAP];

	setting_view_name(name, at);
	snprintf(buf, cap, "%s", name);
}

static void show_section(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s",
		 (*(const struct ini_section *const *)at)->name);
}

static const struct ini_key *key_at(const void *at)
{
	return *(const struct ini_key *const *)at;
}

static void show_key(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s", key_at(at)->key);
}

static void show_help(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s", key_at(at)->help ? key_at(at)->help : "");
}

static void show_example(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s",
		 key_at(at)->example ? key_at(at)->example : "");
}

#define CODE(member, function) \
	SHAPE_AT(struct setting_view, member), \
		.code = &(const struct shape_code) \
	{ \
		.show = (function) \
	}

static const struct shape_field view_fields[] = {
	{ "setting", SHAPE_CODE, 0, CODE(section, show_setting) },
	{ "section", SHAPE_CODE, 0, CODE(section, show_section) },
	{ "name", SHAPE_TEXT, SHAPE_NULL, SHAPE_AT(struct setting_view, name) },
	{ "key", SHAPE_CODE, 0, CODE(key, show_key) },
	{ "values", SHAPE_WORDS, 0, SHAPE_AT(struct setting_view, values) },
	{ "file", SHAPE_STRING, SHAPE_NULL,
	  SHAPE_AT(struct setting_view, file) },
	{ "line", SHAPE_NUMBER, SHAPE_NULL,
	  SHAPE_AT(struct setting_view, line) },
	{ "restart", SHAPE_BOOL, 0, SHAPE_AT(struct setting_view, restart) },
	{ "pending", SHAPE_BOOL, 0, SHAPE_AT(struct setting_view, pending) },
	{ "help", SHAPE_CODE, 0, CODE(key, show_help) },
	{ "example", SHAPE_CODE, 0, CODE(key, show_example) },
};

const struct shape setting_view_shape = SHAPE(struct setting_view, view_fields);

static const struct shape_field all_fields[] = {
	{ NULL, SHAPE_LIST, 0, SHAPE_AT(struct settings_view, at),
	  SHAPE_COUNT(struct settings_view, count), .of = &setting_view_shape },
};

const struct shape settings_view_shape = { sizeof(struct settings_view),
					   all_fields, 1, SHAPE_BARE };

/* --- methods */

int settings_list(struct host *h, const struct api_call *c, char **ret,
		  struct error *e)
{
	SCOPED(settings_view_done) struct settings_view v = { 0 };

	(void)c;
	if (host_settings_list(h, &v, e) < 0)
		return error_code(e);
	return api_text(ret, &settings_view_shape, &v, e);
}

int settings_set(struct host *h, const struct api_call *c, char **ret,
		 struct error *e)
{
	SCOPED(settings_view_done) struct settings_view v = { 0 };
	const struct setting_body *body = c->object;

	if (host_set(h, body->setting, &body->values, &v, e) < 0)
		return error_code(e);
	return api_text(ret, &setting_view_shape, &v.at[0], e);
}
