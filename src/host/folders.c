/* SPDX-License-Identifier: MIT */
#include "host/folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/foreign.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/registry.h"
#include "qemu/definition.h"
#include "qemu/options.h"

enum {
	LOG_MOST = 1 << 20,
	LOG_KEPT = 64 << 10,
	BLOCK = 512,
	FILES_MOST = 1024, /* that are looked at in one turn */
};

/* --- QEMU's log */

/* QEMU appends to it, whoever has made it shorter. */
static void bound_log(const char *run_dir)
{
	char path[PATH_MAX + 16];
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *end = NULL;
	struct error ignored;
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/qemu.log", run_dir);
	if (lstat(path, &st) < 0 || st.st_size <= LOG_MOST)
		return;
	fd = foreign_open(path, O_RDWR | O_APPEND, 0, &ignored);
	if (fd < 0)
		return;
	end = malloc(LOG_KEPT);
	n = end ? pread(fd, end, LOG_KEPT, st.st_size - LOG_KEPT) : -1;
	if (n < 0 || ftruncate(fd, 0) < 0 || write(fd, end, (size_t)n) < 0)
		log_warning("%s: %s", path, strerrordesc_np(errno));
}

/* --- serial lines */

static bool leads_to(const char *path, const char *run_dir, const char *name)
{
	size_t n = strlen(run_dir);

	return path && !strncmp(path, run_dir, n) && path[n] == '/' &&
	       !strcmp(path + n + 1, name);
}

static bool is_line(const struct option *o, const char *run_dir,
		    const char *name)
{
	static const char *const lines[] = { "serial", "parallel", "debugcon" };
	char path[PATH_MAX], kind[16];
	const char *backend;

	for (size_t i = 0; o->value && i < ARRAY_SIZE(lines); i++)
		if (!strcmp(o->name, lines[i]))
			return !strncmp(o->value, "file:", 5) &&
			       leads_to(o->value + 5, run_dir, name);
	if (!o->value || strcmp(o->name, "chardev") != 0)
		return false;
	backend = option_property(o->value, "backend", "backend", kind,
				  sizeof(kind));
	return backend && !strcmp(backend, "file") &&
	       leads_to(option_property(o->value, "backend", "path", path,
					sizeof(path)),
			run_dir, name);
}

bool folder_is_line(const struct definition *d, const char *run_dir,
		    const char *name)
{
	SCOPED(words_done) struct words w = { 0 };
	struct error ignored;
	struct option o;

	for (size_t i = 0; i < d->arguments.count; i++)
		if (definition_expand(&w, d->arguments.at[i], d, run_dir,
				      &ignored) < 0)
			return false;
	for (size_t at = 0; at < w.count; at += o.words) {
		o = option_at(w.at, w.count, at);
		if (is_line(&o, run_dir, name))
			return true;
	}
	return false;
}

static void give_up_front(const char *path)
{
	AUTO_CLOSE int fd = -1;
	struct error e;
	struct stat st;
	off_t front;

	fd = foreign_open(path, O_RDWR, 0, &e);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	front = (st.st_size - FOLDER_LINE_KEPT) / st.st_blksize * st.st_blksize;
	if (front > 0 &&
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      front) < 0)
		log_debug("%s: %s", path, strerrordesc_np(errno));
}

static bool is_large(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_blocks > FOLDER_LINE_MOST / BLOCK;
}

static void bound_lines(const struct registry_text *m)
{
	AUTO_CLOSEDIR DIR *folder = opendir(m->run_dir);
	SCOPED(definition_done) struct definition d = { 0 };
	char path[PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;
	struct error ignored;
	struct stat st;
	int n = 0;

	while (folder && n++ < FILES_MOST && (entry = readdir(folder))) {
		if (fstatat(dirfd(folder), entry->d_name, &st,
			    AT_SYMLINK_NOFOLLOW) < 0 ||
		    !is_large(&st))
			continue;
		if (!d.name &&
		    definition_parse(&d, m->name, m->text, &ignored) < 0)
			return;
		if (!folder_is_line(&d, m->run_dir, entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", m->run_dir,
			 entry->d_name);
		give_up_front(path);
	}
}

void folder_bound(const struct registry_text *m)
{
	bound_log(m->run_dir);
	if (m->text)
		bound_lines(m);
}
