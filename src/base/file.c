/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"

static int make_folder(const char *path, struct error *e)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_sys(e, "make folder %s", path);
	return 0;
}

static int write_synced(const char *path, const char *text, mode_t mode,
			struct error *e)
{
	AUTO_CLOSE int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
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

char *file_folder(const char *path)
{
	char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (slash)
		slash[slash == folder] = '\0';
	return folder;
}

int folder_sync(const char *path, struct error *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_sys(e, "sync folder %s", path);
	return 0;
}

static void aside_of(char buf[static PATH_MAX], const char *folder,
		     const char *name)
{
	snprintf(buf, PATH_MAX, "%s/.%s.new", folder, name);
}

int file_prepare(const char *folder, const char *name, const char *text,
		 mode_t mode, struct error *e)
{
	char aside[PATH_MAX];

	aside_of(aside, folder, name);
	if (make_folder(folder, e) < 0)
		return error_code(e);
	return write_synced(aside, text, mode, e);
}

int file_publish(const char *folder, const char *name, struct error *e)
{
	char aside[PATH_MAX], path[PATH_MAX];

	aside_of(aside, folder, name);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (rename(aside, path) < 0)
		return error_sys(e, "write %s", path);
	return folder_sync(folder, e);
}

void file_drop_prepared(const char *folder, const char *name)
{
	char aside[PATH_MAX];

	aside_of(aside, folder, name);
	unlink(aside);
}

int file_save(const char *folder, const char *name, const char *text,
	      mode_t mode, struct error *e)
{
	if (file_prepare(folder, name, text, mode, e) < 0)
		return error_code(e);
	return file_publish(folder, name, e);
}

void folder_remove_unfinished(const char *folder)
{
	AUTO_CLOSEDIR DIR *d = opendir(folder);
	struct dirent *f;

	while (d && (f = readdir(d))) {
		size_t len = strlen(f->d_name);

		if (f->d_name[0] == '.' && len > 5 &&
		    !strcmp(f->d_name + len - 4, ".new"))
			unlinkat(dirfd(d), f->d_name, 0);
	}
}

void folder_prune(const char *folder, unsigned most)
{
	AUTO_CLOSEDIR DIR *d = opendir(folder);
	char oldest[NAME_MAX + 1] = "";
	struct timespec at = { 0 };
	unsigned n = 0;
	struct dirent *f;
	struct stat st;

	if (!d)
		return;
	while ((f = readdir(d))) {
		if (f->d_name[0] == '.' ||
		    fstatat(dirfd(d), f->d_name, &st, 0) < 0)
			continue;
		if (n++ > 0 && (st.st_mtim.tv_sec > at.tv_sec ||
				(st.st_mtim.tv_sec == at.tv_sec &&
				 st.st_mtim.tv_nsec >= at.tv_nsec)))
			continue;
		at = st.st_mtim;
		snprintf(oldest, sizeof(oldest), "%s", f->d_name);
	}
	if (n > most)
		unlinkat(dirfd(d), oldest, 0);
}
