/* SPDX-License-Identifier: MIT */

/*
 * One image, opened once.
 *
 * A path leads to one file when it is looked at and to another when it is used,
 * if somebody wants that: a QEMU that its guest took over says which paths it
 * has, and may change where they lead.  So a file is opened once, by a
 * descriptor with which nothing can be done (O_PATH); what is decided of it,
 * and what is done with it, goes by that descriptor.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { IMAGE_BY_FD = 32 };

struct image {
	int fd;
	struct stat st;
	char by_fd[IMAGE_BY_FD]; /* a path that leads nowhere else */
};

/* Links are followed.  0 or a negative errno; then image_close() is still
 * fine. */
int image_open(struct image *ret, const char *path);
void image_close(struct image *i);

/* A file or a disk: to open anything else may have effects, or wait. */
bool image_is_plain(const struct stat *st);
/* A descriptor to read a plain one; negative errno. */
int image_read(const struct image *i);
/* The folder in which it lies (O_PATH); negative errno, -ESTALE when it lies
 * there no more. */
int image_folder(const struct image *i);

/* Who says that it has this image, and what the host knows of that. */
struct image_claim {
	bool is_us;  /* a QEMU that is who we are */
	uid_t user;  /* of its process, else */
	bool named;  /* the definition from which it was started names it */
	bool opened; /* by what the kernel says; of a QEMU that we have not
		      * started, and of what a header alone names */
};

/* Is the image to be read and marked on that word?  A QEMU that is another user
 * must not have us do what it could not do itself. */
bool image_believe(const struct image_claim *c, const struct stat *st);
