/* SPDX-License-Identifier: MIT */
#include "move/journal.h"

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

enum { FILE_MOST = 1 << 20, NAME_CAP = 120 };

static const char *const step_names[JOURNAL_STEPS] = {
	[STEP_PREPARE] = "prepare",     [STEP_COMMIT] = "commit",
	[STEP_COMMITTED] = "committed", [STEP_DROPPED] = "dropped",
	[STEP_ABORTED] = "aborted",     [STEP_LEFT] = "left",
	[STEP_ARRIVED] = "arrived",     [STEP_LOST] = "lost",
};

#define AT(member) SHAPE_AT(struct journal_entry, member)

static const struct shape_field fields[] = {
	{ "job", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE, AT(job) },
	{ "role", SHAPE_NAME, SHAPE_NEEDED, AT(role), .names = role_names,
	  .most = ROLES },
	{ "step", SHAPE_NAME, SHAPE_NEEDED, AT(step), .names = step_names,
	  .most = JOURNAL_STEPS },
	{ "machine", SHAPE_TEXT, 0, AT(machine) },
	{ "peer", SHAPE_TEXT, 0, AT(peer) },
	{ "paused", SHAPE_BOOL, 0, AT(paused) },
	{ "was_running", SHAPE_BOOL, SHAPE_OMIT, AT(was_running) },
	{ "guest", SHAPE_TEXT, SHAPE_OMIT, AT(guest) },
	{ "qemu", SHAPE_TEXT, SHAPE_OMIT, AT(qemu) },
	{ "pid", SHAPE_NUMBER, SHAPE_OMIT, AT(pid), .most = INT_MAX },
	{ "start_time", SHAPE_NUMBER, SHAPE_OMIT, AT(start_time) },
	{ "definition", SHAPE_STRING, SHAPE_OMIT, AT(definition) },
	{ "disks", SHAPE_WORDS, SHAPE_OMIT, AT(disks) },
	{ "folder", SHAPE_TEXT, SHAPE_OMIT, AT(folder) },
};

const struct shape journal_entry_shape = SHAPE(struct journal_entry, fields);

static const char entries[] = "journal", records[] = "records";

static void folder_of(char *buf, size_t cap, const char *state_directory,
		      const char *which)
{
	snprintf(buf, cap, "%s/%s", state_directory, which);
}

static void name_of(char buf[static NAME_CAP], const char *job, enum role role)
{
	snprintf(buf, NAME_CAP, "%.80s.%s.json", job, role_names[role]);
}

const char *journal_step_name(enum journal_step step)
{
	return step_names[step];
}

struct journal_entry journal_entry_of(const struct job *j)
{
	struct journal_entry entry = { .role = j->role };

	snprintf(entry.job, sizeof(entry.job), "%s", j->id);
	snprintf(entry.machine, sizeof(entry.machine), "%s", j->machine);
	snprintf(entry.peer, sizeof(entry.peer), "%s", j->peer);
	return entry;
}

static int save(const char *state_directory, const char *which,
		struct journal_entry *entry, enum journal_step step,
		struct error *e)
{
	char folder[PATH_MAX], name[NAME_CAP];
	AUTO_FREE char *text = NULL;

	entry->step = step;
	text = shape_file_text(&journal_entry_shape, entry);
	if (!text)
		return error_set(e, ENOMEM, "no memory for the journal");
	folder_of(folder, sizeof(folder), state_directory, which);
	name_of(name, entry->job, entry->role);
	if (file_save(folder, name, text, 0600, e) < 0)
		return error_in(e, "journal");
	return 0;
}

int journal_write(const char *state_directory, struct journal_entry *entry,
		  enum journal_step step, struct error *e)
{
	return save(state_directory, entries, entry, step, e);
}

int journal_prepare(const char *state_directory,
		    const struct journal_entry *entry, enum journal_step step,
		    struct error *e)
{
	char folder[PATH_MAX], name[NAME_CAP];
	struct journal_entry next = *entry; /* shares what is on the heap */
	AUTO_FREE char *text = NULL;

	next.step = step;
	text = shape_file_text(&journal_entry_shape, &next);
	if (!text)
		return error_set(e, ENOMEM, "no memory for the journal");
	folder_of(folder, sizeof(folder), state_directory, entries);
	name_of(name, entry->job, entry->role);
	return file_prepare(folder, name, text, 0600, e);
}

int journal_publish(const char *state_directory, struct journal_entry *entry,
		    enum journal_step step, struct error *e)
{
	char folder[PATH_MAX], name[NAME_CAP];

	entry->step = step;
	folder_of(folder, sizeof(folder), state_directory, entries);
	name_of(name, entry->job, entry->role);
	if (file_publish(folder, name, e) < 0)
		return error_in(e, "journal");
	return 0;
}

int journal_remove(const char *state_directory, const char *job, enum role role,
		   struct error *e)
{
	char path[PATH_MAX + NAME_CAP], folder[PATH_MAX], name[NAME_CAP];

	folder_of(folder, sizeof(folder), state_directory, entries);
	name_of(name, job, role);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file_drop_prepared(folder, name);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "journal: remove %s", path);
	if (folder_sync(folder, e) < 0 && e->code != ENOENT)
		return error_in(e, "journal");
	return 0;
}

int journal_conclude(const char *state_directory, struct journal_entry *entry,
		     enum journal_step step, struct error *e)
{
	char folder[PATH_MAX];

	if (save(state_directory, records, entry, step, e) < 0)
		return error_code(e);
	folder_of(folder, sizeof(folder), state_directory, records);
	folder_prune(folder, JOURNAL_RECORDS_MAX);
	return journal_remove(state_directory, entry->job, entry->role, e);
}

/* An entry that cannot be read is somebody's guest: it is told, not skipped. */
static int read_entry(struct journal_entry *ret, const char *folder,
		      const char *name, struct error *e)
{
	struct journal_entry entry = { .pid = 0 };
	char path[PATH_MAX + 256];
	AUTO_FREE char *text = NULL;
	struct error why;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (ini_load(&text, &len, path, FILE_MOST, e) < 0)
		return error_in(e, "read the journal");
	if (shape_parse(&journal_entry_shape, &entry, text, len, SHAPE_MESSAGE,
			&why) < 0)
		return error_set(e, EBADMSG,
				 "%s is not a journal of a move (%.60s): look "
				 "into it, then move it away",
				 path, why.text);
	*ret = entry;
	return 0;
}

/* What an older daemon wrote had no role in its name. */
static int rename_old(const char *folder, const char *name,
		      const struct journal_entry *entry, struct error *e)
{
	char from[PATH_MAX + 256], to[PATH_MAX + 256], today[NAME_CAP];

	name_of(today, entry->job, entry->role);
	snprintf(to, sizeof(to), "%s/%s", folder, today);
	snprintf(from, sizeof(from), "%s/%s", folder, name);
	if (strcmp(from, to) != 0 && rename(from, to) < 0)
		return error_sys(e, "journal: rename %s to %s", from, to);
	return 0;
}

/* Takes @entry over, also when it fails. */
static int insert(struct journal_entries *all, struct journal_entry *entry,
		  struct error *e)
{
	size_t at = entry->step == STEP_COMMIT ? 0 : all->count;
	struct journal_entry *more =
		reallocarray(all->at, all->count + 1, sizeof(*more));

	if (!more) {
		journal_entry_done(entry);
		return error_set(e, ENOMEM, "no memory for the journal");
	}
	all->at = more;
	memmove(more + at + 1, more + at, (all->count - at) * sizeof(*more));
	more[at] = *entry;
	all->count++;
	return 0;
}

static bool is_entry(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len >= 5 && !strcmp(name + len - 5, ".json");
}

static int read_one(struct journal_entries *all, const char *folder,
		    const char *name, struct error *e)
{
	struct journal_entry entry;
	int r = read_entry(&entry, folder, name, e);

	if (r == -ENOENT) /* renamed a moment ago */
		return 0;
	if (r < 0)
		return r;
	if (rename_old(folder, name, &entry, e) < 0) {
		journal_entry_done(&entry);
		return error_code(e);
	}
	return insert(all, &entry, e);
}

int journal_read(const char *state_directory, struct journal_entries *ret,
		 struct error *e)
{
	SCOPED(journal_entries_done) struct journal_entries all = { 0 };
	AUTO_CLOSEDIR DIR *d = NULL;
	char folder[PATH_MAX];
	struct dirent *f;

	folder_of(folder, sizeof(folder), state_directory, entries);
	d = opendir(folder);
	if (!d && errno != ENOENT)
		return error_sys(e, "read the journal in %s", folder);
	while (d && (f = readdir(d)))
		if (is_entry(f->d_name) &&
		    read_one(&all, folder, f->d_name, e) < 0)
			return error_code(e);
	*ret = all;
	all = (struct journal_entries){ .count = 0 };
	return 0;
}

void journal_entries_done(struct journal_entries *all)
{
	for (size_t i = 0; i < all->count; i++)
		journal_entry_done(&all->at[i]);
	free(all->at);
	*all = (struct journal_entries){ .count = 0 };
}

static int find_in(const char *state_directory, const char *which,
		   const char *job, enum role role, struct journal_entry *ret,
		   struct error *e)
{
	char folder[PATH_MAX], name[NAME_CAP];

	folder_of(folder, sizeof(folder), state_directory, which);
	name_of(name, job, role);
	return read_entry(ret, folder, name, e);
}

int journal_find(const char *state_directory, const char *job, enum role role,
		 struct journal_entry *ret, struct error *e)
{
	return find_in(state_directory, entries, job, role, ret, e);
}

int journal_find_record(const char *state_directory, const char *job,
			enum role role, struct journal_entry *ret,
			struct error *e)
{
	return find_in(state_directory, records, job, role, ret, e);
}
