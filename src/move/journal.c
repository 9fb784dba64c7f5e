/* SPDX-License-Identifier: MIT */
#include "move/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"

static const char *const step_name[JOURNAL_STEPS] = {
	[STEP_PREPARE] = "prepare",
	[STEP_COMMIT] = "commit",
	[STEP_COMMITTED] = "committed",
};

static int make_folder(const char *path, struct error *e)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_sys(e, "make folder %s", path);
	return 0;
}

static int write_synced(const char *path, const char *text, struct error *e)
{
	AUTO_CLOSE int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t len = strlen(text);

	if (fd < 0)
		return error_sys(e, "write %s", path);
	/* A disk that fills up takes a part first, and says why the next
	 * time. */
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0)
			return error_sys(e, "write %s", path);
		done += (size_t)n;
	}
	return fsync(fd) < 0 ? error_sys(e, "write %s", path) : 0;
}

int journal_sync_folder(const char *path, struct error *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_sys(e, "sync folder %s", path);
	return 0;
}

int journal_save_file(const char *directory, const char *name, const char *text,
		      struct error *e)
{
	char aside[PATH_MAX], path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	snprintf(aside, sizeof(aside), "%s/.%s.new", directory, name);
	if (make_folder(directory, e) < 0 || write_synced(aside, text, e) < 0)
		return error_code(e);
	if (rename(aside, path) < 0)
		return error_sys(e, "write %s", path);
	return journal_sync_folder(directory, e);
}

void journal_remove_unfinished(const char *directory)
{
	AUTO_CLOSEDIR DIR *d = opendir(directory);
	struct dirent *f;

	while (d && (f = readdir(d))) {
		size_t len = strlen(f->d_name);

		if (f->d_name[0] == '.' && len > 5 &&
		    !strcmp(f->d_name + len - 4, ".new"))
			unlinkat(dirfd(d), f->d_name, 0);
	}
}

static void folder_of(char *buf, size_t cap, const char *state_directory)
{
	snprintf(buf, cap, "%s/journal", state_directory);
}

int journal_write(const char *state_directory, json_t *entry,
		  enum journal_step step, struct error *e)
{
	char folder[PATH_MAX], name[80];
	AUTO_FREE char *text = NULL;

	json_object_set_new(entry, "step", json_string(step_name[step]));
	text = json_dumps(entry, JSON_INDENT(2));
	if (!text)
		return error_set(e, ENOMEM, "no memory for the journal");
	folder_of(folder, sizeof(folder), state_directory);
	snprintf(name, sizeof(name), "%s.json",
		 json_string_value(json_object_get(entry, "job")));
	if (journal_save_file(folder, name, text, e) < 0)
		return error_in(e, "journal");
	return 0;
}

void journal_remove(const char *state_directory, const char *job)
{
	char path[PATH_MAX], folder[PATH_MAX];
	struct error e;

	folder_of(folder, sizeof(folder), state_directory);
	snprintf(path, sizeof(path), "%s/%s.json", folder, job);
	if (unlink(path) < 0) {
		if (errno == ENOENT)
			return;
		error_sys(&e, "journal: remove %s", path);
		log_error("%s", e.text);
		return;
	}
	if (journal_sync_folder(folder, &e) < 0)
		log_warning("journal: %s", e.text);
}

/* An entry that cannot be read is somebody's guest: it is told, not skipped. */
static int read_entry(json_t **ret, const char *folder, const char *name,
		      struct error *e)
{
	char path[PATH_MAX];
	json_error_t where;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	*ret = json_load_file(path, 0, &where);
	if (!*ret || journal_step_of(*ret) < 0 ||
	    !json_string_value(json_object_get(*ret, "job"))) {
		json_decref(*ret);
		return error_set(e, EBADMSG,
				 "%s is no journal of a move: look into it, "
				 "then move it away",
				 path);
	}
	return 0;
}

int journal_read(const char *state_directory, json_t **ret, struct error *e)
{
	char folder[PATH_MAX];
	AUTO_CLOSEDIR DIR *d = NULL;
	json_t *all, *entry;
	struct dirent *f;

	folder_of(folder, sizeof(folder), state_directory);
	d = opendir(folder);
	if (!d && errno != ENOENT)
		return error_sys(e, "read the journal in %s", folder);
	all = json_array();
	while (d && (f = readdir(d))) {
		size_t len = strlen(f->d_name);

		if (f->d_name[0] == '.' || len < 5 ||
		    strcmp(f->d_name + len - 5, ".json") != 0)
			continue;
		if (read_entry(&entry, folder, f->d_name, e) < 0) {
			json_decref(all);
			return error_code(e);
		}
		json_array_append_new(all, entry);
	}
	*ret = all;
	return 0;
}

int journal_find(const char *state_directory, const char *job, json_t **ret,
		 struct error *e)
{
	json_t *all, *entry;
	size_t i;
	int r = journal_read(state_directory, &all, e);

	if (r < 0)
		return r;
	r = error_set(e, ENOENT, "no entry of job %s", job);
	json_array_foreach (all, i, entry) {
		if (strcmp(json_string_value(json_object_get(entry, "job")),
			   job) != 0)
			continue;
		*ret = json_incref(entry);
		r = 0;
		break;
	}
	json_decref(all);
	return r;
}

int journal_step_of(const json_t *entry)
{
	const char *step = json_string_value(json_object_get(entry, "step"));

	for (size_t i = 0; step && i < ARRAY_SIZE(step_name); i++)
		if (!strcmp(step_name[i], step))
			return (int)i;
	return -1;
}
