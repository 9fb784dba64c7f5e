/* SPDX-License-Identifier: MIT */
#include "control/gate.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/scope.h"

enum { BACKLOG = 64, GROUPS_MAX = 256 };

void gate_look_path(char *buf, size_t cap, const char *path)
{
	size_t len = strlen(path);
	const char *end = "";

	if (len > 5 && !strcmp(path + len - 5, ".sock"))
		end = path + (len -= 5);
	snprintf(buf, cap, "%.*s-read%s", (int)len, path, end);
}

int gate_group(gid_t *ret, const char *name, struct error *e)
{
	struct group entry, *found = NULL;
	char buf[16384];
	int r;

	if (!name || !name[0]) {
		*ret = getegid();
		return 0;
	}
	r = getgrnam_r(name, &entry, buf, sizeof(buf), &found);
	if (r != 0)
		return error_set(e, r, "look up the group %s: %s", name,
				 strerrordesc_np(r));
	*ret = found ? found->gr_gid : GATE_NO_GROUP;
	return 0;
}

/* 1: somebody listens at @to, 0: nobody does. */
static int is_served(const struct sockaddr_un *to, struct error *e)
{
	AUTO_CLOSE int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_sys(e, "socket");
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0)
		return 1;
	if (errno == EAGAIN) /* a full backlog has an owner */
		return 1;
	if (errno == ECONNREFUSED || errno == ENOENT)
		return 0;
	return error_sys(e, "connect %s", to->sun_path);
}

static int address_of(struct sockaddr_un *ret, const char *path,
		      struct error *e)
{
	size_t len = strlen(path);

	if (len >= sizeof(ret->sun_path))
		return error_set(e, ENAMETOOLONG,
				 "the socket's path is longer than %zu "
				 "characters: %s",
				 sizeof(ret->sun_path) - 1, path);
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, path, len + 1);
	return 0;
}

int gate_clear(const char *path, struct error *e)
{
	struct sockaddr_un to;
	struct stat st;
	int r;

	if ((r = address_of(&to, path, e)) < 0)
		return r;
	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_sys(e, "look at %s", path);
	}
	if (!S_ISSOCK(st.st_mode))
		return error_set(e, EEXIST, "%s exists and is not a socket",
				 path);
	if ((r = is_served(&to, e)) < 0)
		return r;
	if (r)
		return error_set(e, EADDRINUSE,
				 "another droverd already serves %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove the old %s", path);
	return 0;
}

static int make_folder(const char *path, struct error *e)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return error_sys(e, "make the folder %s", folder);
	return 0;
}

/* Mode and owner are right before the first connection can be made. */
static int hand_to_group(struct gate *g, struct error *e)
{
	struct stat st;

	if (g->group != GATE_NO_GROUP && g->group != getegid() &&
	    lchown(g->path, (uid_t)-1, g->group) < 0)
		return error_sys(e, "give %s to its group", g->path);
	if (chmod(g->path, 0660) < 0)
		return error_sys(e, "set the mode of %s", g->path);
	if (lstat(g->path, &st) < 0)
		return error_sys(e, "look at %s", g->path);
	g->dev = st.st_dev;
	g->ino = st.st_ino;
	return 0;
}

int gate_open(struct gate *ret, const char *path, gid_t group, struct error *e)
{
	struct gate g = { .fd = -1, .group = group };
	struct sockaddr_un to;
	AUTO_CLOSE int fd = -1;
	int r;

	if ((r = address_of(&to, path, e)) < 0 ||
	    (r = make_folder(path, e)) < 0 || (r = gate_clear(path, e)) < 0)
		return r;
	memcpy(g.path, to.sun_path, sizeof(g.path));

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(e, "socket");
	if (bind(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return error_sys(e, "bind %s", path);
	if ((r = hand_to_group(&g, e)) < 0)
		return r;
	if (listen(fd, BACKLOG) < 0)
		return error_sys(e, "listen on %s", path);
	g.fd = take_fd(&fd);
	*ret = g;
	return 0;
}

void gate_close(struct gate *g)
{
	struct stat st;

	if (lstat(g->path, &st) == 0 && st.st_dev == g->dev &&
	    st.st_ino == g->ino)
		unlink(g->path);
	scope_close(&g->fd);
	g->fd = -1;
}

bool gate_admits(const struct gate_peer *peer, uid_t self, gid_t group)
{
	if (peer->uid == 0 || peer->uid == self)
		return true;
	if (group == GATE_NO_GROUP)
		return false;
	if (peer->gid == group)
		return true;
	for (size_t i = 0; i < peer->group_count; i++)
		if (peer->groups[i] == group)
			return true;
	return false;
}

int gate_check(struct ucred *ret, int fd, gid_t group, struct error *e)
{
	gid_t groups[GROUPS_MAX];
	socklen_t groups_len = sizeof(groups);
	struct ucred who;
	socklen_t who_len = sizeof(who);
	struct gate_peer peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_len) < 0)
		return error_sys(e, "ask who connects");
	*ret = who;
	peer = (struct gate_peer){ .uid = who.uid, .gid = who.gid };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &groups_len) ==
	    0) {
		peer.groups = groups;
		peer.group_count = groups_len / sizeof(groups[0]);
	}
	if (!gate_admits(&peer, geteuid(), group))
		return error_set(e, EPERM,
				 "user %u may not use this service: ask to "
				 "become a member of its group",
				 (unsigned)who.uid);
	return 0;
}
