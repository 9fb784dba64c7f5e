/* SPDX-License-Identifier: MIT */
#include "qemu/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"

int image_open(struct image *ret, const char *path)
{
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);

	*ret = (struct image){ .fd = -1 };
	if (fd < 0 || fstat(fd, &ret->st) < 0)
		return -errno;
	ret->fd = take_fd(&fd);
	snprintf(ret->by_fd, sizeof(ret->by_fd), "/proc/self/fd/%d", ret->fd);
	return 0;
}

void image_close(struct image *i)
{
	if (i->fd >= 0)
		close(i->fd);
	i->fd = -1;
}

bool image_is_plain(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISBLK(st->st_mode);
}

int image_read(const struct image *i)
{
	int fd;

	if (!image_is_plain(&i->st))
		return -EINVAL;
	fd = open(i->by_fd, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int image_folder(const struct image *i)
{
	AUTO_CLOSE int fd = -1;
	char path[PATH_MAX];
	struct stat st;
	char *name;
	ssize_t n = readlink(i->by_fd, path, sizeof(path) - 1);

	if (n < 0)
		return -errno;
	path[n] = '\0';
	name = strrchr(path, '/');
	if (!name)
		return -ESTALE;
	*name++ = '\0';
	fd = open(path[0] ? path : "/",
		  O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* Moved, or removed, or its folder is another one by now. */
	if (st.st_dev != i->st.st_dev || st.st_ino != i->st.st_ino)
		return -ESTALE;
	return take_fd(&fd);
}

bool image_believe(const struct image_claim *c, const struct stat *st)
{
	if (!image_is_plain(st))
		return false;
	return c->is_us || c->named || c->opened || st->st_uid == c->user;
}
