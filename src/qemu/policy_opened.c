/* SPDX-License-Identifier: MIT */

/* What a QEMU has open, from /proc: there are no links any more. */
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
#include "base/text.h"
#include "qemu/policy.h"
#include "qemu/policy_rules.h"

/* What every QEMU opens, or is handed by droverd: its memory, random numbers,
 * KVM, consoles, taps. */
static bool is_usual(const char *path, mode_t mode)
{
	static const char *const ours[] = { "/memfd:", "/anon_hugepage",
					    "/dev/pts/" };
	static const char devices[] =
		"/dev/null /dev/zero /dev/urandom /dev/random /dev/kvm "
		"/dev/ptmx /dev/net/tun /dev/vhost-net";

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (!strncmp(path, ours[i], strlen(ours[i])))
			return true;
	return S_ISCHR(mode) && text_listed(devices, path);
}

/* Of a tmpfs: the memory that droverd hands over (ram_file.h). */
static bool is_nameless(const char *path, const struct stat *st)
{
	const char *base = strrchr(path, '/');

	return st->st_nlink == 0 && S_ISREG(st->st_mode) && base[1] == '#' &&
	       strstr(base, " (deleted)");
}

static int check_one(const struct policy *p, int folder, const char *name,
		     struct error *e)
{
	char path[PATH_MAX], shown[200];
	ssize_t n = readlinkat(folder, name, path, sizeof(path) - 1);
	struct stat st;

	/* Closed meanwhile; or no file: "socket:[12]". */
	if (n <= 0 || path[0] != '/' || fstatat(folder, name, &st, 0) < 0)
		return 0;
	path[n] = '\0';
	if (is_usual(path, st.st_mode) || is_nameless(path, &st) ||
	    policy_is_inside(p, path))
		return 0;
	text_printable(shown, sizeof(shown), path, (size_t)n);
	return error_set(e, EPERM,
			 "QEMU has opened %s, which lies outside of the "
			 "folders for images: a link there was changed after "
			 "it was looked at, so find out by whom",
			 shown);
}

int policy_check_opened(const struct policy *p, pid_t pid, struct error *e)
{
	AUTO_CLOSEDIR DIR *d = NULL;
	struct dirent *entry;
	char folder[64];

	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
	d = opendir(folder);
	if (!d)
		return error_sys(e, "%s", folder);
	while ((entry = readdir(d)))
		if (check_one(p, dirfd(d), entry->d_name, e) < 0)
			return error_code(e);
	return 0;
}
