/* SPDX-License-Identifier: MIT */

/*
 * The list is an attribute of the file, "system.posix_acl_access": a version,
 * then entries of a kind, rights and a number, in the order of the kinds
 * (linux/posix_acl_xattr.h).  Where there is none the mode says the same with
 * three entries, and a list with three becomes a mode again.  In a list with
 * more, the mask bounds the rights of all but the owner and the others, and
 * shows as the group's in the mode.
 */
#include "qemu/grant.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/error.h"
#include "base/scope.h"
#include "qemu/confine.h"
#include "qemu/image.h"

#define ATTRIBUTE "system.posix_acl_access"

enum { ENTRIES = 128, GROUP_SHIFT = 3 };

struct list {
	size_t count;
	struct {
		unsigned kind, rights, number;
	} at[ENTRIES];
};

/* What is looked at and changed stays the same file; a link leads to it. */
static int open_file(struct image *ret, const char *path, struct error *e)
{
	int r = image_open(ret, path);

	if (r < 0)
		return error_set(e, -r, "%s: %s", path, strerrordesc_np(-r));
	if (!image_is_plain(&ret->st))
		return error_set(e, EINVAL, "%s is no file and no disk", path);
	return 0;
}

/* --- lists */

static void from_mode(struct list *l, mode_t mode)
{
	const unsigned kinds[] = { ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_OTHER };

	l->count = 3;
	for (unsigned i = 0; i < 3; i++) {
		l->at[i].kind = kinds[i];
		l->at[i].rights = mode >> (GROUP_SHIFT * (2 - i)) & 7;
		l->at[i].number = (unsigned)ACL_UNDEFINED_ID;
	}
}

/* 1: the file system has lists; 0: it has none. */
static int read_list(struct list *l, const char *path, mode_t mode)
{
	struct {
		struct posix_acl_xattr_header head;
		struct posix_acl_xattr_entry at[ENTRIES];
	} raw;
	ssize_t n = getxattr(path, ATTRIBUTE, &raw, sizeof(raw));

	if (n < 0 && errno == EOPNOTSUPP)
		return 0;
	if (n < 0 && errno != ENODATA)
		return -1;
	from_mode(l, mode);
	if (n < (ssize_t)sizeof(raw.head))
		return 1;
	l->count = ((size_t)n - sizeof(raw.head)) / sizeof(raw.at[0]);
	for (size_t i = 0; i < l->count; i++) {
		l->at[i].kind = le16toh(raw.at[i].e_tag);
		l->at[i].rights = le16toh(raw.at[i].e_perm);
		l->at[i].number = le32toh(raw.at[i].e_id);
	}
	return 1;
}

static int write_list(const struct list *l, const char *path)
{
	struct {
		struct posix_acl_xattr_header head;
		struct posix_acl_xattr_entry at[ENTRIES];
	} raw = { .head.a_version = htole32(POSIX_ACL_XATTR_VERSION) };

	for (size_t i = 0; i < l->count; i++) {
		raw.at[i].e_tag = htole16((uint16_t)l->at[i].kind);
		raw.at[i].e_perm = htole16((uint16_t)l->at[i].rights);
		raw.at[i].e_id = htole32(l->at[i].number);
	}
	return setxattr(path, ATTRIBUTE, &raw,
			sizeof(raw.head) + l->count * sizeof(raw.at[0]), 0);
}

/* The place of the entry, or where it would go. */
static size_t place_of(const struct list *l, unsigned kind, unsigned number)
{
	size_t i = 0;

	while (i < l->count &&
	       (l->at[i].kind < kind ||
		(l->at[i].kind == kind && l->at[i].number < number)))
		i++;
	return i;
}

static bool is_at(const struct list *l, size_t i, unsigned kind,
		  unsigned number)
{
	return i < l->count && l->at[i].kind == kind &&
	       l->at[i].number == number;
}

static bool put(struct list *l, unsigned kind, unsigned number, unsigned rights)
{
	size_t i = place_of(l, kind, number);

	if (!is_at(l, i, kind, number)) {
		if (l->count == ENTRIES)
			return false;
		memmove(&l->at[i + 1], &l->at[i],
			(l->count - i) * sizeof(l->at[0]));
		l->count++;
		l->at[i].kind = kind;
		l->at[i].number = number;
	}
	l->at[i].rights = rights;
	return true;
}

static void take_out(struct list *l, size_t i)
{
	l->count--;
	memmove(&l->at[i], &l->at[i + 1], (l->count - i) * sizeof(l->at[0]));
}

/* The mask holds: what others have stays what it is, however wide it gets. */
static bool bounded(unsigned kind)
{
	return kind == ACL_USER || kind == ACL_GROUP || kind == ACL_GROUP_OBJ;
}

static bool widen(struct list *l, unsigned rights)
{
	size_t mask = place_of(l, ACL_MASK, (unsigned)ACL_UNDEFINED_ID);
	unsigned all = rights;

	for (size_t i = 0; i < l->count; i++) {
		if (!bounded(l->at[i].kind))
			continue;
		if (is_at(l, mask, ACL_MASK, (unsigned)ACL_UNDEFINED_ID))
			l->at[i].rights &= l->at[mask].rights;
		all |= l->at[i].rights;
	}
	return put(l, ACL_MASK, (unsigned)ACL_UNDEFINED_ID, all);
}

/* --- whose it is */

static bool is_machine(unsigned number)
{
	return number >= CONFINE_FIRST &&
	       number - CONFINE_FIRST < CONFINE_NUMBERS;
}

static bool clash(unsigned number, unsigned rights, enum grant_use use,
		  const struct confinement *c)
{
	return is_machine(number) && number != c->number &&
	       ((rights & 2) || use == GRANT_WRITE);
}

static int check_others(const struct list *l, const struct stat *st,
			const char *path, enum grant_use use,
			const struct confinement *c, struct error *e)
{
	unsigned other = 0;

	for (size_t i = 0; i < l->count; i++)
		if (l->at[i].kind == ACL_USER &&
		    clash(l->at[i].number, l->at[i].rights, use, c))
			other = l->at[i].number;
	if (clash(st->st_gid, st->st_mode >> GROUP_SHIFT & 7, use, c))
		other = st->st_gid;
	if (other)
		return error_set(e, EEXIST,
				 "%s is another machine's, that of user %u: "
				 "stop it, or if there is none any more, "
				 "'setfacl -x u:%u %s'",
				 path, other, other, path);
	return 0;
}

static bool in_group(gid_t group, const struct confinement *c)
{
	for (int i = 0; i < c->groups_count; i++)
		if (c->groups[i] == group)
			return true;
	return group == (gid_t)c->number;
}

/* As by its mode; what a list says beside it is seen when QEMU's user tries. */
static bool may_already(const struct stat *st, enum grant_use use,
			const struct confinement *c)
{
	unsigned group = st->st_mode >> GROUP_SHIFT & 7;

	if (st->st_uid == c->number)
		return true;
	if (in_group(st->st_gid, c))
		return (group & use) == (unsigned)use;
	return (st->st_mode & use) == (unsigned)use;
}

/* --- giving */

/* For file systems without lists.  Whoever has rights by the group would lose
 * them. */
static int give_group(const char *by_fd, const char *path,
		      const struct stat *st, enum grant_use use,
		      const struct confinement *c, struct error *e)
{
	mode_t mode = (st->st_mode & 07707) | (unsigned)use << GROUP_SHIFT;

	if (st->st_gid != 0 && (st->st_mode & 070) && !is_machine(st->st_gid))
		return error_set(e, EOPNOTSUPP,
				 "%s: its file system has no access control "
				 "lists, and its group %u is in use: give it "
				 "to a group of qemu-user",
				 path, (unsigned)st->st_gid);
	if (chown(by_fd, (uid_t)-1, (gid_t)c->number) < 0 ||
	    chmod(by_fd, mode) < 0)
		return error_sys(e, "give %s to group %u", path,
				 (unsigned)c->number);
	return 0;
}

struct file {
	struct image image;
	struct list list;
	bool lists; /* the file system has them */
};

static void file_close(struct file *f)
{
	image_close(&f->image);
}

static int look(struct file *f, const char *path, enum grant_use use,
		const struct confinement *c, struct error *e)
{
	const struct image *i = &f->image;
	int r;

	if (open_file(&f->image, path, e) < 0)
		return error_code(e);
	r = read_list(&f->list, i->by_fd, i->st.st_mode);
	if (r < 0)
		return error_sys(e, "read the rights of %s", path);
	f->lists = r > 0;
	return check_others(&f->list, &i->st, path, use, c, e);
}

/* By an entry of its own, which the mask does not take away. */
static bool is_given(const struct list *l, enum grant_use use,
		     const struct confinement *c)
{
	size_t i = place_of(l, ACL_USER, c->number);
	size_t mask = place_of(l, ACL_MASK, (unsigned)ACL_UNDEFINED_ID);

	return is_at(l, i, ACL_USER, c->number) &&
	       is_at(l, mask, ACL_MASK, (unsigned)ACL_UNDEFINED_ID) &&
	       (l->at[i].rights & l->at[mask].rights & use) == (unsigned)use;
}

int grant_is_needed(const char *path, enum grant_use use,
		    const struct confinement *c, struct error *e)
{
	SCOPED(file_close) struct file f = { .image.fd = -1 };

	if (look(&f, path, use, c, e) < 0)
		return error_code(e);
	return !may_already(&f.image.st, use, c) && !is_given(&f.list, use, c);
}

int grant_file(const char *path, enum grant_use use,
	       const struct confinement *c, struct error *e)
{
	SCOPED(file_close) struct file f = { .image.fd = -1 };
	const struct image *i = &f.image;

	if (look(&f, path, use, c, e) < 0)
		return error_code(e);
	if (may_already(&i->st, use, c) || is_given(&f.list, use, c))
		return 0;
	if (!f.lists)
		return give_group(i->by_fd, path, &i->st, use, c, e);
	if (!widen(&f.list, use) || !put(&f.list, ACL_USER, c->number, use))
		return error_set(e, E2BIG,
				 "%s: its access control list is full", path);
	if (write_list(&f.list, i->by_fd) == 0)
		return 0;
	if (errno == EOPNOTSUPP)
		return give_group(i->by_fd, path, &i->st, use, c, e);
	return error_sys(e, "give %s to user %u", path, (unsigned)c->number);
}

/* --- taking away */

/* Where nobody else has an entry a mode says all. */
static void fold(struct list *l)
{
	size_t mask = place_of(l, ACL_MASK, (unsigned)ACL_UNDEFINED_ID);

	for (size_t i = 0; i < l->count; i++)
		if (l->at[i].kind == ACL_USER || l->at[i].kind == ACL_GROUP)
			return;
	if (is_at(l, mask, ACL_MASK, (unsigned)ACL_UNDEFINED_ID))
		take_out(l, mask);
}

static int take_group(const char *by_fd, const char *path,
		      const struct stat *st, struct error *e)
{
	mode_t mode = (st->st_mode & 07707) | (st->st_mode & 7) << GROUP_SHIFT;

	if (chmod(by_fd, mode) < 0 || chown(by_fd, (uid_t)-1, 0) < 0)
		return error_sys(e, "take %s from group %u", path,
				 (unsigned)st->st_gid);
	return 0;
}

int grant_withdraw(const char *path, const struct confinement *c,
		   struct error *e)
{
	SCOPED(image_close) struct image f = { .fd = -1 };
	struct list l = { 0 };
	size_t i;

	if (open_file(&f, path, e) < 0)
		return e->code == ENOENT ? 0 : error_code(e);
	if (f.st.st_gid == (gid_t)c->number &&
	    take_group(f.by_fd, path, &f.st, e))
		return error_code(e);
	if (read_list(&l, f.by_fd, f.st.st_mode) <= 0)
		return 0;
	i = place_of(&l, ACL_USER, c->number);
	if (!is_at(&l, i, ACL_USER, c->number))
		return 0;
	take_out(&l, i);
	fold(&l);
	if (write_list(&l, f.by_fd) < 0)
		return error_sys(e, "take %s from user %u", path,
				 (unsigned)c->number);
	return 0;
}

/* --- why not */

static bool may_pass(const struct stat *st, const struct confinement *c)
{
	if (st->st_uid == c->number)
		return st->st_mode & S_IXUSR;
	return st->st_mode & (in_group(st->st_gid, c) ? S_IXGRP : S_IXOTH);
}

void grant_explain(const char *path, const struct confinement *c,
		   struct error *e)
{
	char folder[PATH_MAX];
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	for (char *slash = folder; (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		if (stat(folder, &st) == 0 && !may_pass(&st, c)) {
			error_set(e, EACCES,
				  "%s: QEMU's user, %u, may not pass %s: "
				  "'chmod o+x %s', or move the file",
				  path, (unsigned)c->number, folder, folder);
			return;
		}
		*slash = '/';
	}
	error_set(e, EACCES, "%s: QEMU's user, %u, may not open it", path,
		  (unsigned)c->number);
}
