/* SPDX-License-Identifier: MIT */
#include "host/old_disks.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/shape.h"
#include "base/words.h"

enum { FILE_MOST = 1 << 20, NAME_CAP = UUID_CAP + 8 };

/* Over a note and the files that it names. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* --- shapes */

static const char *const state_names[OLD_DISK_STATES] = {
	[OLD_DISK_KEPT] = "kept",
	[OLD_DISK_CHANGED] = "changed",
	[OLD_DISK_GONE] = "gone",
	[OLD_DISK_REMOVED] = "removed",
};

#define AT(m) SHAPE_AT(struct old_disk, m)
#define WHAT_IT_IS \
	{ "machine", SHAPE_TEXT, 0, AT(machine) }, \
		{ "uuid", SHAPE_TEXT, 0, AT(uuid) }, \
		{ "host", SHAPE_TEXT, 0, AT(host) }, \
		{ "left", SHAPE_SECONDS, 0, AT(left_us) }, \
		{ "was", SHAPE_STRING, SHAPE_NEEDED, AT(was) }, \
		{ "path", SHAPE_STRING, SHAPE_NEEDED, AT(path) }, \
	{ \
		"size", SHAPE_NUMBER, 0, AT(size) \
	}

static const struct shape_field noted_fields[] = {
	WHAT_IT_IS,
	{ "inode", SHAPE_NUMBER, 0, AT(inode) },
	{ "mtime_ns", SHAPE_NUMBER, 0, AT(mtime_ns) },
};

static const struct shape_field shown_fields[] = {
	WHAT_IT_IS,
	{ "allocated", SHAPE_NUMBER, 0, AT(allocated) },
	{ "state", SHAPE_NAME, 0, AT(state), .names = state_names,
	  .most = OLD_DISK_STATES },
};

#undef AT
#undef WHAT_IT_IS

static const struct shape noted_shape = SHAPE(struct old_disk, noted_fields);
static const struct shape shown_shape = SHAPE(struct old_disk, shown_fields);

#define LIST_OF(shape) \
	{ \
		.kind = SHAPE_LIST, SHAPE_AT(struct old_disks, at), \
		SHAPE_COUNT(struct old_disks, count), .of = &(shape) \
	}

static const struct shape_field note_fields[] = { LIST_OF(noted_shape) };
static const struct shape_field list_fields[] = { LIST_OF(shown_shape) };

static const struct shape note_shape = {
	.bytes = sizeof(struct old_disks),
	.fields = note_fields,
	.count = 1,
	.form = SHAPE_BARE,
};

const struct shape old_disks_shape = {
	.bytes = sizeof(struct old_disks),
	.fields = list_fields,
	.count = 1,
	.form = SHAPE_BARE,
};

void old_disks_done(struct old_disks *all)
{
	shape_done(&note_shape, all);
}

/* --- files */

static uint64_t mtime_of(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000000000 +
	       (uint64_t)st->st_mtim.tv_nsec;
}

/* The number of its file system may be another one after a restart of the
 * host: it says nothing. */
static enum old_disk_state look(const struct old_disk *d, struct stat *ret)
{
	*ret = (struct stat){ .st_size = 0 };
	if (lstat(d->path, ret) < 0)
		return errno == ENOENT ? OLD_DISK_GONE : OLD_DISK_CHANGED;
	return S_ISREG(ret->st_mode) && ret->st_ino == d->inode &&
			       (uint64_t)ret->st_size == d->size &&
			       mtime_of(ret) == d->mtime_ns
		       ? OLD_DISK_KEPT
		       : OLD_DISK_CHANGED;
}

static void sync_folder_of(const char *path)
{
	AUTO_FREE char *folder = file_folder(path);
	struct error e;

	if (folder && folder_sync(folder, &e) < 0)
		log_warning("%s", e.text);
}

/* --- notes */

static void folder_of(char buf[static PATH_MAX], const char *state_directory)
{
	snprintf(buf, PATH_MAX, "%s/old-disks", state_directory);
}

static int note_read(struct old_disks *ret, const char *folder,
		     const char *name, struct error *e)
{
	char path[PATH_MAX + NAME_MAX + 2];
	AUTO_FREE char *text = NULL;
	size_t len;

	*ret = (struct old_disks){ .count = 0 };
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (ini_load(&text, &len, path, FILE_MOST, e) < 0)
		return error_code(e);
	if (shape_parse(&note_shape, ret, text, len, SHAPE_MESSAGE, e) < 0)
		return error_in(e, "%s", path);
	return 0;
}

/* A note of nothing goes. */
static int note_write(const struct old_disks *all, const char *folder,
		      const char *name, struct error *e)
{
	char path[PATH_MAX + NAME_MAX + 2];
	AUTO_FREE char *text = NULL;

	if (all->count > 0) {
		text = shape_file_text(&note_shape, all);
		return text ? file_save(folder, name, text, 0600, e)
			    : error_set(e, ENOMEM, "no memory for a note");
	}
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	return folder_sync(folder, e);
}

static struct old_disk *find(const struct old_disks *all, const char *path)
{
	for (size_t i = 0; i < all->count; i++)
		if (!strcmp(all->at[i].path, path))
			return &all->at[i];
	return NULL;
}

static void drop(struct old_disks *all, size_t i)
{
	shape_done(&noted_shape, &all->at[i]);
	all->count--;
	memmove(&all->at[i], &all->at[i + 1],
		(all->count - i) * sizeof(all->at[0]));
}

/* Takes @d over, in the place of one of the same path. */
static int put(struct old_disks *all, struct old_disk *d, struct error *e)
{
	struct old_disk *same = find(all, d->path);
	struct old_disk *more;

	if (same) {
		shape_done(&noted_shape, same);
		*same = *d;
		return 0;
	}
	more = reallocarray(all->at, all->count + 1, sizeof(*more));
	if (!more) {
		shape_done(&noted_shape, d);
		return error_set(e, ENOMEM, "no memory for a list of disks");
	}
	all->at = more;
	more[all->count++] = *d;
	return 0;
}

/* --- a machine leaves */

/* Nothing but the copy that the same machine left here before is overwritten.
 */
static bool is_free(const struct old_disks *noted, const char *path)
{
	const struct old_disk *before = find(noted, path);
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT;
	return before && look(before, &st) == OLD_DISK_KEPT;
}

static int name_anew(struct old_disk *d, const struct old_disks *noted,
		     const struct stat *st, struct error *e)
{
	if (asprintf(&d->path, "%s.old-%s", d->was, d->uuid) < 0) {
		d->path = NULL;
		return error_set(e, ENOMEM, "no memory for a disk");
	}
	d->inode = st->st_ino;
	d->size = (uint64_t)st->st_size;
	d->mtime_ns = mtime_of(st);
	if (strlen(d->path) < PATH_MAX && is_free(noted, d->path))
		return 0;
	log_warning("disk %s keeps its name: %s is there, and is not an old "
		    "disk of machine %s",
		    d->was, d->path, d->machine);
	free(d->path);
	d->path = strdup(d->was);
	return d->path ? 0 : error_set(e, ENOMEM, "no memory for a disk");
}

static int leave_one(const struct old_disk *of, const char *path,
		     struct old_disks *noted, const char *folder,
		     const char *note, struct error *e)
{
	struct old_disk d = *of;
	AUTO_FREE char *now = NULL;
	struct stat st;

	if (lstat(path, &st) < 0) /* it was done before a restart */
		return errno == ENOENT ? 0 : error_sys(e, "%s", path);
	d.left_us = clock_wall_us();
	d.was = strdup(path);
	d.path = NULL;
	if (!d.was || name_anew(&d, noted, &st, e) < 0 ||
	    !(now = strdup(d.path))) {
		shape_done(&noted_shape, &d);
		return error_set(e, ENOMEM, "no memory for a disk");
	}
	/* First the note: a disk of a name that nobody knows is lost room. */
	if (put(noted, &d, e) < 0 || note_write(noted, folder, note, e) < 0)
		return error_code(e);
	if (rename(path, now) < 0)
		return error_sys(e, "rename %s to %s", path, now);
	sync_folder_of(path);
	return 0;
}

void old_disks_leave(const char *state_directory, const struct old_disk *of,
		     const struct words *paths)
{
	SCOPED(old_disks_done) struct old_disks noted = { 0 };
	char folder[PATH_MAX], note[NAME_CAP];
	struct error e;

	if (paths->count == 0 || !of->uuid[0])
		return;
	folder_of(folder, state_directory);
	snprintf(note, sizeof(note), "%s.json", of->uuid);

	WITH_LOCK(&lock);

	if (note_read(&noted, folder, note, &e) < 0 && e.code != ENOENT)
		log_warning("old disks of machine %s: %s", of->machine, e.text);
	for (size_t i = 0; i < paths->count; i++)
		if (leave_one(of, paths->at[i], &noted, folder, note, &e) < 0)
			log_error("disk %s, which went to host %s with machine "
				  "%s, keeps its name: %s",
				  paths->at[i], of->host, of->machine, e.text);
}

/* --- who looks, who removes */

static void remove_one(struct old_disk *d)
{
	if (d->state != OLD_DISK_KEPT)
		return;
	if (unlink(d->path) < 0) {
		log_error("remove %s: %s", d->path, strerrordesc_np(errno));
		return;
	}
	d->state = OLD_DISK_REMOVED;
	log_info("old disk %s of machine %s, which went to host %s: removed",
		 d->path, d->machine, d->host);
	sync_folder_of(d->path);
}

static void look_at_all(struct old_disks *of)
{
	for (size_t i = 0; i < of->count; i++) {
		struct stat st;

		of->at[i].state = look(&of->at[i], &st);
		of->at[i].allocated = (uint64_t)st.st_blocks * 512;
	}
}

/* What is there no more is forgotten. */
static int forget(struct old_disks *of, const char *folder, const char *note,
		  struct error *e)
{
	SCOPED(old_disks_done) struct old_disks left = { 0 };

	if (shape_copy(&note_shape, &left, of, e) < 0)
		return error_code(e);
	for (size_t i = of->count; i-- > 0;)
		if (of->at[i].state >= OLD_DISK_GONE)
			drop(&left, i);
	return note_write(&left, folder, note, e);
}

/* Of @machine, or of all where that is NULL. */
static int take_note(struct old_disks *ret, const char *folder,
		     const char *note, const char *machine, struct error *e)
{
	SCOPED(old_disks_done) struct old_disks of = { 0 };

	if (note_read(&of, folder, note, e) < 0)
		return error_code(e);
	if (of.count == 0 ||
	    (machine && strcmp(of.at[0].machine, machine) != 0))
		return 0;
	look_at_all(&of);
	if (machine) {
		for (size_t i = 0; i < of.count; i++)
			remove_one(&of.at[i]);
		if (forget(&of, folder, note, e) < 0)
			return error_code(e);
	}
	while (of.count > 0) {
		struct old_disk d = of.at[--of.count];

		if (put(ret, &d, e) < 0)
			return error_code(e);
	}
	return 0;
}

static bool is_note(const char *name)
{
	const char *end = strrchr(name, '.');

	return name[0] != '.' && end && !strcmp(end, ".json");
}

static int take_all(struct old_disks *ret, const char *state_directory,
		    const char *machine, struct error *e)
{
	AUTO_CLOSEDIR DIR *d = NULL;
	char folder[PATH_MAX];
	const struct dirent *f;

	folder_of(folder, state_directory);

	WITH_LOCK(&lock);

	d = opendir(folder);
	if (!d && errno != ENOENT)
		return error_sys(e, "%s", folder);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
	while (d && (f = readdir(d)))
		if (is_note(f->d_name) &&
		    take_note(ret, folder, f->d_name, machine, e) < 0)
			return error_code(e);
	return 0;
}

int old_disks_list(const char *state_directory, struct old_disks *ret,
		   struct error *e)
{
	struct old_disks all = { .count = 0 };

	if (take_all(&all, state_directory, NULL, e) < 0) {
		old_disks_done(&all);
		return error_code(e);
	}
	*ret = all;
	return 0;
}

int old_disks_remove(const char *state_directory, const char *machine,
		     struct old_disks *ret, struct error *e)
{
	struct old_disks all = { .count = 0 };
	int r = take_all(&all, state_directory, machine, e);

	if (r == 0 && all.count == 0)
		r = error_set(e, ENOENT,
			      "this host keeps no old disks of a machine %s: "
			      "'drover disk old' lists those that it keeps",
			      machine);
	if (r < 0)
		old_disks_done(&all);
	else
		*ret = all;
	return r;
}
