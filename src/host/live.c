/* SPDX-License-Identifier: MIT */
#include "host/live.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/peers.h"

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

/* --- files that are written here */

/* "/etc/drover/drover.d/peer-beta.conf" */
static void file_path(char buf[static PATH_MAX], const struct live *l,
		      const char *file)
{
	char folder[PATH_MAX];

	settings_folder(folder, sizeof(folder), l->from.path);
	snprintf(buf, PATH_MAX, "%s/%s", folder, file);
}

/* What stands in it so far, or @head. */
static int load_file(char **ret, const char *path, const char *head,
		     struct error *e)
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

static int drop(const struct live *l, const char *path, struct error *e)
{
	char folder[PATH_MAX];

	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	settings_folder(folder, sizeof(folder), l->from.path);
	return folder_sync(folder, e);
}

/* The file of drover.d has this text from now on, or is gone where it has none,
 * if all settings are good then. */
static int write_and_take(struct live *l, const char *file, const char *text,
			  struct error *e)
{
	AUTO_SETTINGS struct settings *fresh = NULL;
	struct settings_source from = l->from;
	char path[PATH_MAX];
	int r;

	file_path(path, l, file);
	from.name = file;
	from.text = text ? text : "";
	if (settings_load(&fresh, &from, e) < 0)
		return error_in(e, "nothing was set");
	r = text ? save(path, text, e) : drop(l, path, e);
	if (r < 0)
		return r;
	swap(l, take_ptr(&fresh));
	return 0;
}

/* --- host set */

static const char set_file[] = "90-set.conf";
static const char set_head[] =
	"# Written by 'drover host set', which keeps what else stands here.\n";

static int set(struct live *l, const struct setting_view *v,
	       const struct words *values, struct error *e)
{
	AUTO_FREE char *old = NULL, *text = NULL;
	char section[SETTING_NAME_CAP], path[PATH_MAX];

	snprintf(section, sizeof(section), "%s%s%s", v->section->name,
		 v->name[0] ? " " : "", v->name);
	file_path(path, l, set_file);
	if (load_file(&old, path, set_head, e) < 0 ||
	    ini_edit(&text, old, section, v->key, values, e) < 0)
		return error_code(e);
	return write_and_take(l, set_file, text, e);
}

int live_set(struct live *l, const char *setting, const struct words *values,
	     struct settings_view *ret, struct error *e)
{
	AUTO_SETTINGS struct settings *now = NULL;
	struct setting_view v;

	WITH_LOCK(&l->change);

	if (setting_find(&v, setting, e) < 0 ||
	    settings_try(v.section, v.key, values, e) < 0 ||
	    set(l, &v, values, e) < 0)
		return error_code(e);
	now = live_now(l);
	return settings_view_one(ret, now, l->first, &v, e);
}

/* --- peers */

enum { PEER_FILE_CAP = INI_NAME_CAP + 16 };

static const char peer_head[] =
	"# Written by 'drover trust', which keeps what else stands here.\n";

static void peer_file(char buf[static PEER_FILE_CAP], const char *name)
{
	snprintf(buf, PEER_FILE_CAP, "peer-%.63s.conf", name);
}

/* @text is replaced. */
static int edit_peer(char **text, const char *name, const char *word,
		     const struct words *values, struct error *e)
{
	AUTO_FREE char *old = *text;
	char section[INI_NAME_CAP + 8];
	const struct ini_key *key;

	*text = NULL;
	snprintf(section, sizeof(section), "%s %.63s", peer_section.name, name);
	if (ini_find_key(&key, &peer_section, word, e) < 0)
		return error_code(e);
	return ini_edit(text, old, section, key, values, e);
}

static int edit_peer_word(char **text, const char *name, const char *word,
			  char *value, struct error *e)
{
	char *at[] = { value, NULL };
	const struct words values = { .at = at, .count = 1 };

	return edit_peer(text, name, word, &values, e);
}

int live_put_peer(struct live *l, const char *name,
		  const struct words *addresses, unsigned port, struct error *e)
{
	char file[PEER_FILE_CAP], path[PATH_MAX], number[16], on[] = "on";
	AUTO_FREE char *text = NULL;

	WITH_LOCK(&l->change);

	peer_file(file, name);
	file_path(path, l, file);
	snprintf(number, sizeof(number), "%u", port);
	if (load_file(&text, path, peer_head, e) < 0 ||
	    edit_peer(&text, name, "address", addresses, e) < 0 ||
	    edit_peer_word(&text, name, "port", number, e) < 0 ||
	    edit_peer_word(&text, name, "tls", on, e) < 0)
		return error_code(e);
	return write_and_take(l, file, text, e);
}

bool live_has_peer_file(const struct live *l, const char *name)
{
	char file[PEER_FILE_CAP], path[PATH_MAX];

	peer_file(file, name);
	file_path(path, l, file);
	return access(path, F_OK) == 0;
}

int live_drop_peer(struct live *l, const char *name, struct error *e)
{
	char file[PEER_FILE_CAP];

	WITH_LOCK(&l->change);

	if (!live_has_peer_file(l, name))
		return 0;
	peer_file(file, name);
	return write_and_take(l, file, NULL, e);
}
