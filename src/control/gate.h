/* SPDX-License-Identifier: MIT */

/*
 * The control socket's file, and who may speak through it.  The file's mode
 * keeps strangers out; the credentials of the connected process are asked
 * again, because a descriptor can be handed on and a mode can be changed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;
struct ucred;

#define GATE_NO_GROUP ((gid_t)-1)

struct gate {
	int fd; /* listening; -1 once handed on */
	gid_t group;
	dev_t dev; /* of the file, so that only our own is removed */
	ino_t ino;
	char path[108];
};

/* "/run/drover/drover-read.sock" for "/run/drover/drover.sock". */
void gate_look_path(char *buf, size_t cap, const char *path);

/* GATE_NO_GROUP: nobody has made one of this name; NULL or "": our own. */
int gate_group(gid_t *ret, const char *name, struct error *e);

/* Opens the listening socket, with mode 0660 and for @group.  A file that
 * nobody serves is replaced; EADDRINUSE: a daemon serves it. */
int gate_open(struct gate *ret, const char *path, gid_t group, struct error *e);

/* Removes the file of a daemon that died; EADDRINUSE: one serves @path. */
int gate_clear(const char *path, struct error *e);

/* Closes what is still open and removes the file when it is still ours. */
void gate_close(struct gate *g);

struct gate_peer {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary */
	size_t group_count;
};

/* Root, the daemon's own user, and members of @group may. */
bool gate_admits(const struct gate_peer *peer, uid_t self, gid_t group);

/* The same for the process at the other end of a connection, and who it was
 * when it connected; EPERM: a stranger. */
int gate_check(struct ucred *ret, int fd, gid_t group, struct error *e);
