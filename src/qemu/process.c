/* SPDX-License-Identifier: MIT */
#include "qemu/process.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/ini.h"
#include "base/scope.h"

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

int process_user(uid_t *ret, pid_t pid, struct error *e)
{
	AUTO_FREE char *text = NULL;
	unsigned real, effective, saved;
	const char *line;
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (ini_load(&text, &len, path, CMDLINE_MAX, e) < 0)
		return explain(pid, e);
	line = strstr(text, "\nUid:");
	if (!line ||
	    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers */
	    sscanf(line, "\nUid: %u %u %u", &real, &effective, &saved) != 3)
		return error_set(e, EACCES, "process %d: no user in %s",
				 (int)pid, path);
	if (real != effective || real != saved)
		return error_set(e, EACCES,
				 "process %d has the rights of several users, "
				 "and is not adopted",
				 (int)pid);
	*ret = real;
	return 0;
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
