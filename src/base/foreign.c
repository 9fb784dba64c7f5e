/* SPDX-License-Identifier: MIT */
#include "base/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"

enum { BY_FD = 32 };

int foreign_open(const char *path, int flags, mode_t mode, struct error *e)
{
	AUTO_CLOSE int fd =
		open(path,
		     flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		     mode);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(e, "open %s", path);
	/* Whoever may not read a file may give it another name. */
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return error_set(e, EPERM,
				 "%s is no plain file of its own: remove it",
				 path);
	return take_fd(&fd);
}

/* Does @path lie in a folder of ours?  True where that cannot be told: the use
 * says why. */
static bool is_ours(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	struct stat st;
	int n;

	if (!slash)
		return true;
	n = snprintf(folder, sizeof(folder), "%.*s",
		     slash == path ? 1 : (int)(slash - path), path);
	return n >= (int)sizeof(folder) || stat(folder, &st) < 0 ||
	       st.st_uid == geteuid();
}

/* A socket by its descriptor, so that it stays the one that was looked at. */
static int open_socket(struct stat *ret, const char *path)
{
	AUTO_CLOSE int at = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (at < 0 || fstat(at, &st) < 0)
		return -1;
	if (S_ISSOCK(st.st_mode) && st.st_nlink == 1) {
		*ret = st;
		return take_fd(&at);
	}
	errno = S_ISLNK(st.st_mode) ? ELOOP : EPERM;
	return -1;
}

/* For calls that take no such descriptor. */
static void name_by_fd(char name[BY_FD], int at)
{
	snprintf(name, BY_FD, "/proc/self/fd/%d", at);
}

static int connect_to(int fd, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	return connect(fd, (const struct sockaddr *)&a, sizeof(a));
}

int foreign_connect(int fd, const char *path)
{
	AUTO_CLOSE int at = -1;
	char by_fd[BY_FD];
	struct stat st;

	if (is_ours(path))
		return connect_to(fd, path);
	at = open_socket(&st, path);
	if (at < 0)
		return -1;
	name_by_fd(by_fd, at);
	return connect_to(fd, by_fd);
}

int foreign_give(struct stat *ret, const char *path,
		 const struct foreign_owner *to, struct error *e)
{
	AUTO_CLOSE int at = open_socket(ret, path);
	char by_fd[BY_FD];

	if (at < 0)
		return error_sys(e, "look at %s", path);
	name_by_fd(by_fd, at);
	if (to->mode && chmod(by_fd, to->mode) < 0)
		return error_sys(e, "set the mode of %s", path);
	if (fchownat(at, "", to->user, to->group, AT_EMPTY_PATH) < 0)
		return error_sys(e, "give %s to user %u", path,
				 (unsigned)to->user);
	return 0;
}
