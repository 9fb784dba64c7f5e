/* SPDX-License-Identifier: MIT */
#include "host/settings_view.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

void setting_view_name(char buf[static SETTING_NAME_CAP],
		       const struct setting_view *v)
{
	snprintf(buf, SETTING_NAME_CAP, "%s%s%s.%s", v->section->name,
		 v->name[0] ? "." : "", v->name, v->key->key);
}

/* --- what there is */

static int show(struct words *ret, const void *base, const struct ini_key *k,
		struct error *e)
{
	return k->kind->show(ret, (const char *)base + k->offset, k, e);
}

static bool same_words(const struct words *a, const struct words *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->at[i], b->at[i]) != 0)
			return false;
	return true;
}

bool setting_view_same(const struct setting_view *a,
		       const struct setting_view *b)
{
	return a->section == b->section && a->key == b->key &&
	       !strcmp(a->name, b->name) && same_words(&a->values, &b->values);
}

/* Of keys that need a restart; their sections have no names. */
static int note_pending(struct setting_view *v, struct settings *first,
			struct error *e)
{
	SCOPED(words_done) struct words before = { 0 };

	if (!v->key->restart)
		return 0;
	if (show(&before, settings_place(first, v->section), v->key, e) < 0)
		return error_code(e);
	v->pending = !same_words(&before, &v->values);
	return 0;
}

/* @base: NULL where there is no such section, so that it has no value. */
static int add(struct settings_view *ret, struct settings *first,
	       const struct setting_view *which, const void *base,
	       struct error *e)
{
	const struct setting_origin *from =
		base ? settings_origin(ret->of, base, which->key) : NULL;
	struct setting_view *v = &ret->at[ret->count++];

	*v = *which;
	v->values = (struct words){ 0 };
	v->restart = v->key->restart;
	if (from) {
		v->file = ret->of->files.at[from->file];
		v->line = from->line;
	}
	if (base && show(&v->values, base, v->key, e) < 0)
		return error_code(e);
	return note_pending(v, first, e);
}

static int add_section(struct settings_view *ret, struct settings *first,
		       const struct ini_section *section, const void *base,
		       struct error *e)
{
	struct setting_view which = { .section = section };

	if (section->size > 0)
		snprintf(which.name, sizeof(which.name), "%s",
			 (const char *)base);
	for (size_t i = 0; i < section->count; i++) {
		which.key = &section->keys[i];
		if (add(ret, first, &which, base, e) < 0)
			return error_code(e);
	}
	return 0;
}

static size_t count_all(struct settings *s)
{
	size_t n = 0;

	for (size_t i = 0; i < settings_sections_count; i++) {
		const struct ini_section *section = settings_sections[i];
		const struct ini_list *l = settings_place(s, section);

		n += section->count * (section->size > 0 ? l->count : 1);
	}
	return n;
}

static int begin(struct settings_view *v, struct settings *s, size_t room,
		 struct error *e)
{
	assert(room > 0);
	*v = (struct settings_view){ .of = settings_hold(s) };
	v->at = calloc(room, sizeof(*v->at));
	if (v->at)
		return 0;
	settings_view_done(v);
	return error_set(e, ENOMEM, "no memory for the settings");
}

static int add_all(struct settings_view *v, struct settings *first,
		   struct error *e)
{
	for (size_t i = 0; i < settings_sections_count; i++) {
		const struct ini_section *section = settings_sections[i];
		void *place = settings_place(v->of, section);
		const struct ini_list *l = place;

		if (section->size == 0 &&
		    add_section(v, first, section, place, e) < 0)
			return error_code(e);
		for (size_t n = 0; section->size > 0 && n < l->count; n++)
			if (add_section(v, first, section, l->at[n], e) < 0)
				return error_code(e);
	}
	return 0;
}

int settings_view_all(struct settings_view *ret, struct settings *s,
		      struct settings *first, struct error *e)
{
	struct settings_view v;

	if (begin(&v, s, count_all(s), e) < 0)
		return error_code(e);
	if (add_all(&v, first, e) < 0) {
		settings_view_done(&v);
		return error_code(e);
	}
	*ret = v;
	return 0;
}

int settings_view_one(struct settings_view *ret, struct settings *s,
		      struct settings *first, const struct setting_view *which,
		      struct error *e)
{
	const void *base = settings_place(s, which->section);
	struct settings_view v;

	if (which->section->size > 0)
		base = settings_named(base, which->name);
	if (begin(&v, s, 1, e) < 0)
		return error_code(e);
	if (add(&v, first, which, base, e) < 0) {
		settings_view_done(&v);
		return error_code(e);
	}
	*ret = v;
	return 0;
}

void settings_view_done(struct settings_view *v)
{
	for (size_t i = 0; i < v->count; i++)
		words_done(&v->at[i].values);
	free(v->at);
	settings_drop(v->of);
	*v = (struct settings_view){ 0 };
}

/* --- by its name */

static int find_section(const struct ini_section **ret, const char *setting,
			size_t len, struct error *e)
{
	char word[INI_NAME_CAP];

	snprintf(word, sizeof(word), "%.*s", (int)len, setting);
	return settings_section(ret, word, e);
}

/* "beta" of "peer.beta.address" goes into @v. */
static int read_name(struct setting_view *v, const char *first,
		     const char *last, struct error *e)
{
	size_t len = (size_t)(last - first) - 1;

	if (len >= sizeof(v->name))
		return error_set(e, EINVAL, "'%.40s...' is too long for a name",
				 first + 1);
	snprintf(v->name, sizeof(v->name), "%.*s", (int)len, first + 1);
	return text_check_name(v->section->name, v->name, e);
}

int setting_find(struct setting_view *ret, const char *setting, struct error *e)
{
	const char *first = strchr(setting, '.'), *last = strrchr(setting, '.');
	struct setting_view v = { 0 };

	if (!first)
		return error_set(e, EINVAL,
				 "'%.80s' is not the name of a setting: write "
				 "SECTION.KEY, such as move.timeout, or "
				 "SECTION.NAME.KEY, such as peer.beta.address",
				 setting);
	if (find_section(&v.section, setting, (size_t)(first - setting), e) < 0)
		return error_code(e);
	if ((v.section->size > 0) != (first < last))
		return error_set(e, EINVAL,
				 "'%.80s' is not the name of a setting: write "
				 "%s.%sKEY",
				 setting, v.section->name,
				 v.section->size > 0 ? "NAME." : "");
	if (ini_find_key(&v.key, v.section, last + 1, e) < 0)
		return error_code(e);
	if (v.section->size > 0 && read_name(&v, first, last, e) < 0)
		return error_code(e);
	*ret = v;
	return 0;
}
