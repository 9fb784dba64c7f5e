/* SPDX-License-Identifier: MIT */
#include "control/settings.h"

#include <errno.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/words.h"

static json_t *strings(const struct words *w)
{
	json_t *all = json_array();

	for (size_t i = 0; i < w->count; i++)
		json_array_append_new(all, json_string(w->at[i]));
	return all;
}

json_t *setting_json(const struct setting_view *v)
{
	char setting[SETTING_NAME_CAP];

	setting_view_name(setting, v);
	return json_pack("{s:s,s:s,s:o,s:s,s:o,s:s?,s:o,s:b,s:b,s:s?,s:s?}",
			 "setting", setting, "section", v->section->name,
			 "name",
			 v->name[0] ? json_string(v->name) : json_null(), "key",
			 v->key->key, "values", strings(&v->values), "file",
			 v->file, "line",
			 v->file ? json_integer(v->line) : json_null(),
			 "restart", v->key->restart, "pending", v->pending,
			 "help", v->key->help, "example", v->key->example);
}

json_t *settings_json(const struct settings_view *v)
{
	json_t *all = json_array();

	for (size_t i = 0; i < v->count; i++)
		json_array_append_new(all, setting_json(&v->at[i]));
	return all;
}

int settings_list(struct host *h, json_t **ret, struct error *e)
{
	SCOPED(settings_view_done) struct settings_view v = { 0 };

	if (host_settings_list(h, &v, e) < 0)
		return error_code(e);
	*ret = settings_json(&v);
	return 0;
}

static int read_values(struct words *ret, const json_t *values, struct error *e)
{
	const json_t *value;
	size_t i;

	json_array_foreach (values, i, value) {
		if (!json_is_string(value))
			return error_set(e, EINVAL,
					 "'values' must be a list of strings");
		if (words_add(ret, json_string_value(value), e) < 0)
			return error_code(e);
	}
	return 0;
}

int settings_set(struct host *h, const json_t *body, json_t **ret,
		 struct error *e)
{
	SCOPED(settings_view_done) struct settings_view v = { 0 };
	SCOPED(words_done) struct words values = { 0 };

	if (read_values(&values, json_object_get(body, "values"), e) < 0 ||
	    host_set(h, json_string_value(json_object_get(body, "setting")),
		     &values, &v, e) < 0)
		return error_code(e);
	*ret = setting_json(&v.at[0]);
	return 0;
}
