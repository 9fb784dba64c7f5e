/* SPDX-License-Identifier: MIT */
#include "qemu/process.h"

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
#include "base/ini.h"
#include "base/scope.h"
#include "base/text.h"

enum { CMDLINE_MAX = 1 << 20 };

/* One errno for "gone", whichever call noticed. */
static int explain(pid_t pid, struct error *e)
{
	if (e->code == ENOENT || e->code == ESRCH)
		return error_set(e, ESRCH, "there is no process %d", (int)pid);
	if (e->code == EACCES || e->code == EPERM)
		return error_set(e, EACCES,
				 "there is no permission to look at process %d",
				 (int)pid);
	return error_in(e, "process %d", (int)pid);
}

int process_words(struct words *ret, pid_t pid, struct error *e)
{
	AUTO_FREE char *text = NULL;
	struct words w = { 0 };
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	if (ini_load(&text, &len, path, CMDLINE_MAX, e) < 0)
		return explain(pid, e);
	for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
		if (words_add(&w, text + at, e) < 0) {
			words_done(&w);
			return error_code(e);
		}
	}
	if (w.count == 0)
		return error_set(e, EINVAL, "process %d has no command line",
				 (int)pid);
	*ret = w;
	return 0;
}

int process_link(char **ret, pid_t pid, const char *name, struct error *e)
{
	char path[64], target[PATH_MAX], *copy;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0) {
		error_sys(e, "%s", path);
		return explain(pid, e);
	}
	target[n] = '\0';
	copy = strdup(target);
	if (!copy)
		return error_set(e, ENOMEM, "no memory for a path");
	*ret = copy;
	return 0;
}

static int read_status(char **ret, pid_t pid, struct error *e)
{
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return ini_load(ret, &len, path, CMDLINE_MAX, e) < 0 ? explain(pid, e)
							     : 0;
}

/* In the text of its status. */
static int find_user(uid_t *ret, const char *text, pid_t pid, struct error *e)
{
	const char *line = strstr(text, "\nUid:");
	unsigned real, effective, saved;

	if (!line ||
	    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers */
	    sscanf(line, "\nUid: %u %u %u", &real, &effective, &saved) != 3)
		return error_set(e, EACCES, "process %d: no user in its status",
				 (int)pid);
	if (real != effective || real != saved)
		return error_set(e, EACCES,
				 "process %d has the rights of several users, "
				 "and is not adopted",
				 (int)pid);
	*ret = real;
	return 0;
}

int process_user(uid_t *ret, pid_t pid, struct error *e)
{
	AUTO_FREE char *text = NULL;

	if (read_status(&text, pid, e) < 0)
		return error_code(e);
	return find_user(ret, text, pid, e);
}

/* One that has ended and that nobody has asked after yet is none any more. */
static bool lives_as(pid_t pid, uid_t user)
{
	AUTO_FREE char *text = NULL;
	struct error ignored;
	uid_t its;

	return read_status(&text, pid, &ignored) == 0 &&
	       !strstr(text, "\nState:\tZ") && !strstr(text, "\nState:\tX") &&
	       find_user(&its, text, pid, &ignored) == 0 && its == user;
}

bool process_of_user(uid_t user)
{
	AUTO_CLOSEDIR DIR *d = opendir("/proc");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && lives_as(pid, user))
			return true;
	}
	return false;
}

int process_check_qemu(pid_t pid, struct error *e)
{
	AUTO_FREE char *exe = NULL;
	const char *base;

	if (process_link(&exe, pid, "exe", e) < 0)
		return error_code(e);
	base = strrchr(exe, '/');
	base = base ? base + 1 : exe;
	if (strncmp(base, "qemu-system-", 12) != 0 &&
	    strncmp(base, "qemu-kvm", 8))
		return error_set(e, EINVAL,
				 "process %d is not a QEMU: it runs %.100s",
				 (int)pid, exe);
	return 0;
}

/* The flags of its descriptor @name; -1: it is closed. */
static long open_flags(pid_t pid, const char *name)
{
	char path[64], text[128];
	AUTO_CLOSE int fd = -1;
	const char *flags;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.20s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	flags = strstr(text, "flags:");
	return flags ? strtol(flags + strlen("flags:"), NULL, 8) : -1;
}

/* One that was opened by O_PATH gives no rights to the file. */
static bool gives(long flags, bool to_write)
{
	int how = (int)(flags & O_ACCMODE);

	if (flags < 0 || (flags & O_PATH))
		return false;
	return how == O_RDWR || (!to_write && how == O_RDONLY);
}

bool process_has_open(pid_t pid, const struct stat *st, bool to_write)
{
	AUTO_CLOSEDIR DIR *d = NULL;
	struct dirent *entry;
	char folder[64];
	struct stat one;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
	d = opendir(folder);
	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.' &&
		    fstatat(dirfd(d), entry->d_name, &one, 0) == 0 &&
		    one.st_dev == st->st_dev && one.st_ino == st->st_ino &&
		    gives(open_flags(pid, entry->d_name), to_write))
			return true;
	return false;
}

/* "Rss:  12 kB", of which @kind is the word. */
static uint64_t kib_of(const char *line, const char *kind)
{
	const size_t len = strlen(kind);

	return strncmp(line, kind, len) == 0 ? strtoull(line + len, NULL, 10)
					     : 0;
}

uint64_t process_huge_bytes(pid_t pid)
{
	static const char *const kinds[] = {
		"AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:",
		"Shared_Hugetlb:", "Private_Hugetlb:"
	};
	char path[64], line[128];
	uint64_t kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			kib += kib_of(line, kinds[i]);
	if (f)
		fclose(f);
	return kib * 1024;
}

enum { RAM_LEAST = 12 << 20 };

/* "7f0000000000-7f0010000000 rw-p ...": none of what it heaps up itself, and
 * not what it translates code into. */
static bool begins_ram(const char *line)
{
	char *end;
	uint64_t from = strtoull(line, &end, 16), to;

	if (*end != '-')
		return false;
	to = strtoull(end + 1, &end, 16);
	return to - from >= RAM_LEAST && !strncmp(end, " rw-", 4);
}

uint64_t process_ram_bytes(pid_t pid)
{
	static const char *const kinds[] = { "Rss:", "Shared_Hugetlb:",
					     "Private_Hugetlb:" };
	char path[64], line[512];
	uint64_t kib = 0;
	bool counts = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		/* A name has a colon behind it, an address has a minus. */
		if (line[strspn(line, "0123456789abcdef")] == '-') {
			counts = begins_ram(line);
			continue;
		}
		for (size_t i = 0; counts && i < ARRAY_SIZE(kinds); i++)
			kib += kib_of(line, kinds[i]);
	}
	if (f)
		fclose(f);
	return kib * 1024;
}
