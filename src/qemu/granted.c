/* SPDX-License-Identifier: MIT */
#include "qemu/granted.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/shape.h"
#include "qemu/confine.h"
#include "qemu/files.h"
#include "qemu/grant.h"
#include "qemu/process.h"

enum { RECORD_MOST = 1 << 20, NAME_CAP = 64, FILE_CAP = 24 };

struct record {
	char machine[NAME_CAP];
	struct words files; /* where links are followed */
};

static const struct shape_field record_fields[] = {
	{ "machine", SHAPE_TEXT, 0, SHAPE_AT(struct record, machine) },
	{ "files", SHAPE_WORDS, 0, SHAPE_AT(struct record, files) },
};
static const struct shape record_shape = SHAPE(struct record, record_fields);

static void record_done(struct record *r)
{
	shape_done(&record_shape, r);
}

static void folder_of(char buf[static PATH_MAX], const char *state_directory)
{
	snprintf(buf, PATH_MAX, "%s/granted", state_directory);
}

static void path_of(char buf[static PATH_MAX], const char *state_directory,
		    uid_t number)
{
	snprintf(buf, PATH_MAX, "%s/granted/%u.json", state_directory,
		 (unsigned)number);
}

/* What is not there is as if nothing had been given. */
static void record_read(struct record *ret, const char *state_directory,
			uid_t number)
{
	AUTO_FREE char *text = NULL;
	char path[PATH_MAX];
	struct error e;
	size_t len;

	path_of(path, state_directory, number);
	if (ini_load(&text, &len, path, RECORD_MOST, &e) < 0 ||
	    shape_parse(&record_shape, ret, text, len, SHAPE_MESSAGE, &e) < 0) {
		if (e.code != ENOENT)
			log_warning("%s: %s", path, e.text);
	}
}

static int record_write(const struct record *r, const char *state_directory,
			uid_t number, struct error *e)
{
	AUTO_FREE char *text = shape_file_text(&record_shape, r);
	char folder[PATH_MAX], file[FILE_CAP];

	if (!text)
		return error_set(e, ENOMEM, "no memory");
	folder_of(folder, state_directory);
	snprintf(file, sizeof(file), "%u.json", (unsigned)number);
	return file_save(folder, file, text, 0600, e);
}

/* --- giving */

/* Those that it has not yet. */
static int note_list(struct record *r, const struct words *w,
		     enum grant_use use, const struct confinement *who,
		     struct error *e)
{
	char real[PATH_MAX];

	for (size_t i = 0; i < w->count; i++) {
		int needed = grant_is_needed(w->at[i], use, who, e);

		if (needed < 0 && needed != -ENOENT)
			return needed;
		if (needed == 1 && realpath(w->at[i], real) &&
		    !words_have(&r->files, real) &&
		    words_add(&r->files, real, e) < 0)
			return error_code(e);
	}
	return 0;
}

static int note(const char *state_directory, const char *machine,
		const struct named_files *files, const struct confinement *who,
		struct error *e)
{
	SCOPED(record_done) struct record r = { 0 };
	size_t before;

	/* Of a daemon that was killed. */
	record_read(&r, state_directory, who->number);
	before = r.files.count;
	snprintf(r.machine, sizeof(r.machine), "%s", machine);
	if (note_list(&r, &files->reads, GRANT_READ, who, e) < 0 ||
	    note_list(&r, &files->writes, GRANT_WRITE, who, e) < 0)
		return error_code(e);
	if (r.files.count == before)
		return 0;
	if (record_write(&r, state_directory, who->number, e) < 0)
		return error_in(e, "what machine %s may open cannot be noted",
				machine);
	return 0;
}

static int give_list(const struct words *w, enum grant_use use,
		     const struct confinement *who, struct error *e)
{
	for (size_t i = 0; i < w->count; i++)
		if (grant_file(w->at[i], use, who, e) < 0 && e->code != ENOENT)
			return error_code(e);
	return 0;
}

int granted_give(const char *state_directory, const char *machine,
		 const struct named_files *files, const struct confinement *who,
		 struct error *e)
{
	if (state_directory &&
	    note(state_directory, machine, files, who, e) < 0)
		return error_code(e);
	if (give_list(&files->reads, GRANT_READ, who, e) < 0)
		return error_code(e);
	return give_list(&files->writes, GRANT_WRITE, who, e);
}

/* --- taking back */

void granted_forget(const char *state_directory, uid_t number)
{
	char path[PATH_MAX];

	path_of(path, state_directory, number);
	if (unlink(path) < 0 && errno != ENOENT)
		log_warning("remove %s: %s", path, strerrordesc_np(errno));
}

void granted_take_back(const char *state_directory, uid_t number)
{
	const struct confinement who = { .number = number };
	SCOPED(record_done) struct record r = { 0 };
	bool all = true;
	struct error e;

	record_read(&r, state_directory, number);
	for (size_t i = 0; i < r.files.count; i++)
		if (grant_withdraw(r.files.at[i], &who, &e) < 0) {
			log_warning("machine %s: %s", r.machine, e.text);
			all = false;
		}
	/* Else the next start of the daemon tries again. */
	if (all)
		granted_forget(state_directory, number);
}

void granted_take_back_unused(const char *state_directory, uid_t number)
{
	if (!process_of_user(number))
		granted_take_back(state_directory, number);
}

/* "1879048193.json" */
static bool number_of(uid_t *ret, const char *file)
{
	char *end;
	unsigned long n = strtoul(file, &end, 10);

	*ret = (uid_t)n;
	return end != file && !strcmp(end, ".json") && n <= UINT_MAX;
}

void granted_sweep(const char *state_directory,
		   bool (*keep)(const void *arg, const char *machine),
		   const void *arg)
{
	AUTO_CLOSEDIR DIR *d = NULL;
	struct dirent *entry;
	char folder[PATH_MAX];
	uid_t number;

	folder_of(folder, state_directory);
	d = opendir(folder);
	while (d && (entry = readdir(d))) {
		SCOPED(record_done) struct record r = { 0 };

		if (!number_of(&number, entry->d_name))
			continue;
		record_read(&r, state_directory, number);
		if (!keep(arg, r.machine))
			granted_take_back_unused(state_directory, number);
	}
}
