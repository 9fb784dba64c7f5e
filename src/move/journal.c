/* SPDX-License-Identifier: MIT */
#include "move/journal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"

static const char *const step_name[JOURNAL_STEPS] = {
	[STEP_PREPARE] = "prepare",     [STEP_COMMIT] = "commit",
	[STEP_COMMITTED] = "committed", [STEP_DROPPED] = "dropped",
	[STEP_ABORTED] = "aborted",     [STEP_LEFT] = "left",
	[STEP_ARRIVED] = "arrived",     [STEP_LOST] = "lost",
};

static const char entries[] = "journal", records[] = "records";

static void folder_of(char *buf, size_t cap, const char *state_directory,
		      const char *which)
{
	snprintf(buf, cap, "%s/%s", state_directory, which);
}

const char *journal_text(const json_t *entry, const char *key)
{
	const char *text = json_string_value(json_object_get(entry, key));

	return text ? text : "";
}

static int save(const char *state_directory, const char *which, json_t *entry,
		enum journal_step step, struct error *e)
{
	char folder[PATH_MAX], name[120];
	AUTO_FREE char *text = NULL;

	json_object_set_new(entry, "step", json_string(step_name[step]));
	text = json_dumps(entry, JSON_INDENT(2));
	if (!text)
		return error_set(e, ENOMEM, "no memory for the journal");
	folder_of(folder, sizeof(folder), state_directory, which);
	snprintf(name, sizeof(name), "%s.%s.json", journal_text(entry, "job"),
		 journal_text(entry, "role"));
	if (file_save(folder, name, text, 0600, e) < 0)
		return error_in(e, "journal");
	return 0;
}

int journal_write(const char *state_directory, json_t *entry,
		  enum journal_step step, struct error *e)
{
	return save(state_directory, entries, entry, step, e);
}

int journal_remove(const char *state_directory, const char *job,
		   const char *role, struct error *e)
{
	char path[PATH_MAX + 120], folder[PATH_MAX];

	folder_of(folder, sizeof(folder), state_directory, entries);
	snprintf(path, sizeof(path), "%s/%s.%s.json", folder, job, role);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "journal: remove %s", path);
	if (folder_sync(folder, e) < 0 && e->code != ENOENT)
		return error_in(e, "journal");
	return 0;
}

int journal_conclude(const char *state_directory, json_t *entry,
		     enum journal_step step, struct error *e)
{
	char folder[PATH_MAX];

	if (save(state_directory, records, entry, step, e) < 0)
		return error_code(e);
	folder_of(folder, sizeof(folder), state_directory, records);
	folder_prune(folder, JOURNAL_RECORDS_MAX);
	return journal_remove(state_directory, journal_text(entry, "job"),
			      journal_text(entry, "role"), e);
}

/* An entry that cannot be read is somebody's guest: it is told, not skipped. */
static int read_entry(json_t **ret, const char *folder, const char *name,
		      struct error *e)
{
	char path[PATH_MAX + 256];
	json_error_t where;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	*ret = json_load_file(path, 0, &where);
	if (!*ret && access(path, F_OK) < 0 && errno == ENOENT)
		return error_set(e, ENOENT, "no file %s", path);
	if (!*ret || journal_step_of(*ret) < 0 ||
	    !journal_text(*ret, "job")[0] || !journal_text(*ret, "role")[0]) {
		json_decref(*ret);
		return error_set(e, EBADMSG,
				 "%s is not a journal of a move: look into it, "
				 "then move it away",
				 path);
	}
	return 0;
}

/* What an older daemon wrote had no role in its name. */
static int rename_old(const char *folder, const char *name, const json_t *entry,
		      struct error *e)
{
	char from[PATH_MAX + 256], to[PATH_MAX + 256];

	snprintf(to, sizeof(to), "%s/%s.%s.json", folder,
		 journal_text(entry, "job"), journal_text(entry, "role"));
	snprintf(from, sizeof(from), "%s/%s", folder, name);
	if (strcmp(from, to) != 0 && rename(from, to) < 0)
		return error_sys(e, "journal: rename %s to %s", from, to);
	return 0;
}

static void insert(json_t *all, json_t *entry)
{
	if (journal_step_of(entry) == STEP_COMMIT)
		json_array_insert_new(all, 0, entry);
	else
		json_array_append_new(all, entry);
}

int journal_read(const char *state_directory, json_t **ret, struct error *e)
{
	char folder[PATH_MAX];
	AUTO_CLOSEDIR DIR *d = NULL;
	json_t *all, *entry;
	struct dirent *f;

	folder_of(folder, sizeof(folder), state_directory, entries);
	d = opendir(folder);
	if (!d && errno != ENOENT)
		return error_sys(e, "read the journal in %s", folder);
	all = json_array();
	while (d && (f = readdir(d))) {
		size_t len = strlen(f->d_name);
		int r;

		if (f->d_name[0] == '.' || len < 5 ||
		    strcmp(f->d_name + len - 5, ".json") != 0)
			continue;
		r = read_entry(&entry, folder, f->d_name, e);
		/* Renamed a moment ago. */
		if (r == -ENOENT)
			continue;
		if (r < 0 || rename_old(folder, f->d_name, entry, e) < 0) {
			json_decref(all);
			return error_code(e);
		}
		insert(all, entry);
	}
	*ret = all;
	return 0;
}

static int find_in(const char *state_directory, const char *which,
		   const char *job, const char *role, json_t **ret,
		   struct error *e)
{
	char folder[PATH_MAX], name[120];

	folder_of(folder, sizeof(folder), state_directory, which);
	snprintf(name, sizeof(name), "%.80s.%.20s.json", job, role);
	return read_entry(ret, folder, name, e);
}

int journal_find(const char *state_directory, const char *job, const char *role,
		 json_t **ret, struct error *e)
{
	return find_in(state_directory, entries, job, role, ret, e);
}

int journal_find_record(const char *state_directory, const char *job,
			const char *role, json_t **ret, struct error *e)
{
	return find_in(state_directory, records, job, role, ret, e);
}

int journal_step_of(const json_t *entry)
{
	const char *step = json_string_value(json_object_get(entry, "step"));

	for (size_t i = 0; step && i < ARRAY_SIZE(step_name); i++)
		if (!strcmp(step_name[i], step))
			return (int)i;
	return -1;
}
