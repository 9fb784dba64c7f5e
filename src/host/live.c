/* SPDX-License-Identifier: MIT */
#include "host/live.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/scope.h"

enum { LINE_CAP = 200 };

void live_init(struct live *l, struct settings *first,
	       const struct settings_source *from)
{
	*l = (struct live){ .first = first, .from = *from };
	l->now = settings_hold(first);
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->change, NULL);
}

void live_done(struct live *l)
{
	settings_drop(l->now);
	settings_drop(l->first);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->change);
}

struct settings *live_now(struct live *l)
{
	WITH_LOCK(&l->lock);

	return settings_hold(l->now);
}

int live_view(struct live *l, struct settings_view *ret, struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(l);

	return settings_view_all(ret, now, l->first, e);
}

/* --- what changes */

/* "a, b" */
static void values_text(char buf[static LINE_CAP], const struct words *w)
{
	size_t used = 0;

	snprintf(buf, LINE_CAP, "nothing");
	for (size_t i = 0; i < w->count && used < LINE_CAP; i++)
		used += (size_t)snprintf(buf + used, LINE_CAP - used, "%s%s",
					 i ? "; " : "", w->at[i]);
}

static void log_change(const struct setting_view *v)
{
	char name[SETTING_NAME_CAP], values[LINE_CAP];
	char from[LINE_CAP] = "the default";

	setting_view_name(name, v);
	values_text(values, &v->values);
	if (v->file)
		snprintf(from, sizeof(from), "%s:%u", v->file, v->line);
	log_info("settings: %s is %s (%s)%s", name, values, from,
		 v->pending ? ", once droverd is restarted" : "");
}

static bool is_in(const struct settings_view *all, const struct setting_view *v)
{
	for (size_t i = 0; i < all->count; i++)
		if (setting_view_same(&all->at[i], v))
			return true;
	return false;
}

static void log_gone(const struct settings *before, const struct settings *now)
{
	for (size_t i = 0; i < before->peers.count; i++)
		if (!settings_named(&now->peers, before->peers.at[i]))
			log_info("settings: [peer %s] is gone",
				 (const char *)before->peers.at[i]);
	for (size_t i = 0; i < before->named_networks.count; i++)
		if (!settings_named(&now->named_networks,
				    before->named_networks.at[i]))
			log_info("settings: [network %s] is gone",
				 (const char *)before->named_networks.at[i]);
}

static void log_changes(struct live *l, struct settings *before,
			struct settings *now)
{
	SCOPED(settings_view_done) struct settings_view old = { 0 };
	SCOPED(settings_view_done) struct settings_view fresh = { 0 };
	struct error e;

	settings_warn(now);
	if (settings_view_all(&old, before, l->first, &e) < 0 ||
	    settings_view_all(&fresh, now, l->first, &e) < 0)
		return;
	for (size_t i = 0; i < fresh.count; i++)
		if (!is_in(&old, &fresh.at[i]))
			log_change(&fresh.at[i]);
	log_gone(before, now);
}

/* Takes @fresh over. */
static void swap(struct live *l, struct settings *fresh)
{
	AUTO_SETTINGS struct settings *before = NULL;

	{
		WITH_LOCK(&l->lock);

		before = l->now;
		l->now = settings_hold(fresh);
	}
	log_changes(l, before, fresh);
	settings_drop(fresh);
}

int live_reload(struct live *l, struct error *e)
{
	struct settings *fresh;

	WITH_LOCK(&l->change);

	if (settings_load(&fresh, &l->from, e) < 0)
		return error_code(e);
	swap(l, fresh);
	return 0;
}

/* --- host set */

static const char head[] =
	"# Written by 'drover host set', which keeps what else stands here.\n";

/* What the file for it has so far. */
static int load_set(char **ret, const char *path, struct error *e)
{
	size_t len;
	int r = ini_load(ret, &len, path, INI_TEXT_MAX, e);

	if (r == 0 && strlen(*ret) != len)
		return error_set(e, EINVAL, "%s: this is not a text file",
				 path);
	if (r != -ENOENT)
		return r;
	*ret = strdup(head);
	return *ret ? 0 : error_set(e, ENOMEM, "no memory for a setting");
}

static int edit(char **ret, const char *path, const struct setting_view *v,
		const struct words *values, struct error *e)
{
	AUTO_FREE char *old = NULL;
	char section[SETTING_NAME_CAP];

	snprintf(section, sizeof(section), "%s%s%s", v->section->name,
		 v->name[0] ? " " : "", v->name);
	if (load_set(&old, path, e) < 0)
		return error_code(e);
	return ini_edit(ret, old, section, v->key, values, e);
}

static int make_folder(const char *path, struct error *e)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_sys(e, "make folder %s", path);
	return 0;
}

/* On disk, or not there, when it returns. */
static int save(const char *path, const char *text, struct error *e)
{
	char folder[PATH_MAX], above[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	*strrchr(folder, '/') = '\0';
	snprintf(above, sizeof(above), "%s", folder);
	/* Without a main file its folder may be missing too. */
	slash = strrchr(above, '/');
	if (slash)
		*slash = '\0';
	if (slash && above[0] && make_folder(above, e) < 0)
		return error_code(e);
	if (make_folder(folder, e) < 0)
		return error_code(e);
	return file_save(folder, strrchr(path, '/') + 1, text, 0644, e);
}

static int write_and_take(struct live *l, const struct setting_view *v,
			  const struct words *values, struct error *e)
{
	AUTO_SETTINGS struct settings *fresh = NULL;
	struct settings_source from = l->from;
	AUTO_FREE char *text = NULL;
	char path[PATH_MAX];

	settings_set_file(path, sizeof(path), from.path);
	if (edit(&text, path, v, values, e) < 0)
		return error_code(e);
	from.set_text = text;
	if (settings_load(&fresh, &from, e) < 0)
		return error_in(e, "nothing was set");
	if (save(path, text, e) < 0)
		return error_code(e);
	swap(l, take_ptr(&fresh));
	return 0;
}

int live_set(struct live *l, const char *setting, const struct words *values,
	     struct settings_view *ret, struct error *e)
{
	AUTO_SETTINGS struct settings *now = NULL;
	struct setting_view v;

	WITH_LOCK(&l->change);

	if (setting_find(&v, setting, e) < 0 ||
	    settings_try(v.section, v.key, values, e) < 0 ||
	    write_and_take(l, &v, values, e) < 0)
		return error_code(e);
	now = live_now(l);
	return settings_view_one(ret, now, l->first, &v, e);
}
