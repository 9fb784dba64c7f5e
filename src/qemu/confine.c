/* SPDX-License-Identifier: MIT */
#include "qemu/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/scope.h"

enum { USER_TEXT = 4096, WAY = 2 /* run directory and "machines" */ };

/* Where there are old ones of 16 bits as well. */
#ifdef SYS_setresuid32
#define SET_USERS SYS_setresuid32
#define SET_LOOKS SYS_setfsuid32
#define SET_GROUP SYS_setresgid32
#define SET_GROUPS SYS_setgroups32
#else
#define SET_USERS SYS_setresuid
#define SET_LOOKS SYS_setfsuid
#define SET_GROUP SYS_setresgid
#define SET_GROUPS SYS_setgroups
#endif

bool confine_wanted(const char *user)
{
	return user && strcmp(user, "root") != 0;
}

uid_t confine_number(const char *uuid)
{
	return (uid_t)(CONFINE_FIRST +
		       XXH64(uuid, strlen(uuid), 0) % CONFINE_NUMBERS);
}

static int find_groups(struct confinement *c, const char *user, struct error *e)
{
	struct passwd entry, *found = NULL;
	char text[USER_TEXT];

	if (!user[strspn(user, "0123456789")])
		return 0;
	getpwnam_r(user, &entry, text, sizeof(text), &found);
	if (!found)
		return error_set(e, EPERM,
				 "there is no user %.60s for QEMU: make it, or "
				 "set qemu-user in [host] to another, or to "
				 "root",
				 user);
	c->groups_count = CONFINE_GROUPS;
	if (getgrouplist(user, found->pw_gid, c->groups, &c->groups_count) < 0)
		return error_set(e, E2BIG, "user %.60s has more than %d groups",
				 user, CONFINE_GROUPS);
	return 0;
}

int confine_find(struct confinement *ret, const char *user, const char *uuid,
		 struct error *e)
{
	struct confinement c = { .on = confine_wanted(user) };

	if (c.on) {
		c.number = confine_number(uuid);
		c.group = c.number;
		if (find_groups(&c, user, e) < 0)
			return error_code(e);
	}
	*ret = c;
	return 0;
}

/* --- its folder */

/* Others may go through a folder of ours, and not look what is in it. */
static int let_through(const char *path, struct error *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_sys(e, "%s", path);
	if (st.st_uid != geteuid() || (st.st_mode & S_IXOTH))
		return 0;
	if (chmod(path, (st.st_mode & 07777) | S_IXGRP | S_IXOTH) < 0)
		return error_sys(e, "let QEMU's user through %s", path);
	return 0;
}

int confine_folder(const char *run_dir, const struct confinement *c,
		   struct error *e)
{
	uid_t owner = c->on ? c->number : geteuid();
	AUTO_CLOSE int fd = open(run_dir, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char above[PATH_MAX];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(e, "%s", run_dir);
	if (st.st_uid != owner && st.st_uid != geteuid())
		return error_set(e, EPERM,
				 "%s is the folder of user %u, and QEMU is to "
				 "run as user %u: remove it",
				 run_dir, (unsigned)st.st_uid, (unsigned)owner);
	if (st.st_uid != owner && fchown(fd, owner, (gid_t)owner) < 0)
		return error_sys(e, "give %s to user %u", run_dir,
				 (unsigned)owner);
	snprintf(above, sizeof(above), "%s", run_dir);
	for (int i = 0; c->on && i < WAY; i++) {
		char *slash = strrchr(above, '/');

		if (!slash || slash == above)
			break;
		*slash = '\0';
		if (let_through(above, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* An update starts a second QEMU of a machine, in NAME+. */
static bool is_same_machine(const char *one, const char *other)
{
	size_t len = strcspn(one, "+");

	return strcspn(other, "+") == len && !strncmp(one, other, len);
}

int confine_alone(const char *run_dir, const struct confinement *c,
		  struct error *e)
{
	const char *name = strrchr(run_dir, '/');
	AUTO_CLOSEDIR DIR *d = NULL;
	char above[PATH_MAX];
	struct dirent *found;
	struct stat st;

	if (!c->on || !name)
		return 0;
	snprintf(above, sizeof(above), "%.*s", (int)(name - run_dir), run_dir);
	d = opendir(above);
	if (!d)
		return error_sys(e, "%s", above);
	while ((found = readdir(d)))
		if (found->d_name[0] != '.' &&
		    !is_same_machine(found->d_name, name + 1) &&
		    fstatat(dirfd(d), found->d_name, &st,
			    AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_uid == c->number)
			return error_set(e, EPERM,
					 "machine %.60s has the same user, %u: "
					 "give one of them another uuid",
					 found->d_name, (unsigned)c->number);
	return 0;
}

/* --- its process */

static int drop_bounds(void)
{
	for (int i = 0; i <= CAP_LAST_CAP + 16; i++)
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EINVAL)
			return -1;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	const struct __user_cap_data_struct none[2] = { { 0 } };

	return (int)syscall(SYS_capset, &head, none);
}

/* The library's functions of these names change all threads, and wait for
 * them.  The call that lets files be looked at does not fail: the second one
 * changes nothing, and tells. */
int confine_look(const struct confinement *c)
{
	uid_t n = c->number;
	gid_t group = c->group;

	if (!c->on)
		return 0;
	if (drop_bounds() < 0 ||
	    syscall(SET_GROUPS, c->groups_count, c->groups) < 0 ||
	    syscall(SET_GROUP, group, group, group) < 0)
		return -1;
	syscall(SET_LOOKS, n);
	if ((uid_t)syscall(SET_LOOKS, -1) == n)
		return 0;
	errno = EPERM;
	return -1;
}

/* Of the files of programs, too, nothing comes back. */
int confine_enter(const struct confinement *c)
{
	uid_t n = c->number;

	if (!c->on)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SET_USERS, n, n, n) < 0)
		return -1;
	return drop_capabilities();
}
