/* SPDX-License-Identifier: MIT */

/*
 * Files and sockets in a folder of somebody else's, who may put anything there
 * in the place of anything: a link that leads to another's, a pipe that nobody
 * reads, a second name of a file that is not theirs.  What is not what it ought
 * to be is refused with an error, before anything has happened to it.
 *
 * The folders above belong to whoever made them for us: only the last part of a
 * path is not believed.
 */
#pragma once

#include <sys/types.h>

struct error;
struct stat;

/* open(2) of a plain file which has no other name; never waits.  -ELOOP for a
 * link, -EPERM for what is no plain file. */
int foreign_open(const char *path, int flags, mode_t mode, struct error *e);

/* connect(2) of the unix socket @fd, as 0 or -1 with errno.  In a folder of
 * another user's links are not followed, and the socket may have one name
 * only; in ours it is as ever. */
int foreign_connect(int fd, const char *path);

struct foreign_owner {
	uid_t user;  /* (uid_t)-1: stays, */
	gid_t group; /* likewise */
	mode_t mode; /* 0: stays */
};

/* Gives the socket that we have made at @path to somebody.  All of it happens
 * to one file, whatever stands there meanwhile; @ret says which, also when that
 * cannot be given, and is left alone when it is no such socket. */
int foreign_give(struct stat *ret, const char *path,
		 const struct foreign_owner *to, struct error *e);
