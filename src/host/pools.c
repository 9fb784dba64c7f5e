/* SPDX-License-Identifier: MIT */
#include "host/pools.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"
#include "base/setting.h"
#include "base/shape.h"
#include "base/text.h"

enum { SECTOR = 512 };

/* --- the section */

#define AT(m) .offset = offsetof(struct pool, m)

static const struct ini_key keys[] = {
	{ "path", &setting_path, AT(path), .example = "/srv/fast",
	  .help = "its folder, where machines of peers may have files too" },
	{ "limit", &setting_bytes, AT(limit), .example = "500G",
	  .help = "what the files in it may take when a copy comes" },
};

#undef AT

static int check(const void *one, struct error *e)
{
	const struct pool *p = one;

	if (p->path && !strstr(p->path, "/.."))
		return 0;
	return error_set(e, EINVAL,
			 "[pool %s] needs the path of a folder, without '..': "
			 "path = /srv/fast",
			 p->name);
}

const struct ini_section pool_section = { "pool", keys, ARRAY_SIZE(keys),
					  sizeof(struct pool), check };

int pools_folders(struct words *ret, const struct words *directories,
		  const struct ini_list *pools, struct error *e)
{
	if (words_add_all(ret, directories, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < pools->count; i++) {
		const struct pool *p = pools->at[i];

		if (!words_have(ret, p->path) && words_add(ret, p->path, e) < 0)
			return error_code(e);
	}
	return 0;
}

const char *pools_folder(const struct ini_list *pools, const char *name,
			 const char *own_name, struct error *e)
{
	char all[256] = "none";
	size_t n = 0;

	for (size_t i = 0; i < pools->count; i++) {
		const struct pool *p = pools->at[i];

		if (!strcmp(p->name, name))
			return p->path;
		if (n < sizeof(all))
			n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s",
					      i ? ", " : "", p->name);
	}
	error_set(e, ENOENT, "%s has no pool '%.60s': its pools are %s",
		  own_name, name, all);
	return NULL;
}

/* --- what is in them */

/* What the files below @path take; links are not followed, and other file
 * systems not entered. */
static uint64_t used_in(const char *path)
{
	char *roots[] = { (char *)(uintptr_t)path, NULL };
	FTS *tree =
		fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	uint64_t used = 0;
	FTSENT *f;

	while (tree && (f = fts_read(tree)))
		if (f->fts_info == FTS_F)
			used += (uint64_t)f->fts_statp->st_blocks * SECTOR;
	if (tree)
		fts_close(tree);
	return used;
}

static int add_view(struct pool_views *ret, const char *name, const char *path,
		    uint64_t limit, struct error *e)
{
	struct pool_view *more =
		reallocarray(ret->at, ret->count + 1, sizeof(*more));
	struct pool_view *v;
	struct statvfs fs;

	if (more)
		ret->at = more;
	if (!more)
		return error_set(e, ENOMEM, "no memory for a list of pools");
	v = &more[ret->count++];
	*v = (struct pool_view){ .limit = limit, .path = strdup(path) };
	snprintf(v->name, sizeof(v->name), "%s", name);
	if (!v->path)
		return error_set(e, ENOMEM, "no memory for a list of pools");
	if (statvfs(path, &fs) < 0)
		return 0;
	v->there = true;
	v->size = (uint64_t)fs.f_blocks * fs.f_frsize;
	v->free = (uint64_t)fs.f_bavail * fs.f_frsize;
	v->used = used_in(path);
	return 0;
}

static bool have(const struct pool_views *v, const char *path)
{
	for (size_t i = 0; i < v->count; i++)
		if (!strcmp(v->at[i].path, path))
			return true;
	return false;
}

int pools_look(struct pool_views *ret, const struct words *directories,
	       const struct ini_list *pools, struct error *e)
{
	struct pool_views all = { .count = 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < pools->count; i++) {
		const struct pool *p = pools->at[i];

		r = add_view(&all, p->name, p->path, p->limit, e);
	}
	for (size_t i = 0; r == 0 && i < directories->count; i++)
		if (!have(&all, directories->at[i]))
			r = add_view(&all, "", directories->at[i], 0, e);
	if (r < 0)
		pool_views_done(&all);
	else
		*ret = all;
	return r;
}

#define AT(m) SHAPE_AT(struct pool_view, m)
#define THERE SHAPE_HAS(struct pool_view, there)

static const struct shape_field view_fields[] = {
	{ "name", SHAPE_TEXT, SHAPE_NULL, AT(name) },
	{ "path", SHAPE_STRING, 0, AT(path) },
	{ "size", SHAPE_NUMBER, SHAPE_NULL, AT(size), THERE },
	{ "free", SHAPE_NUMBER, SHAPE_NULL, AT(free), THERE },
	{ "used", SHAPE_NUMBER, SHAPE_NULL, AT(used), THERE },
	{ "limit", SHAPE_NUMBER, SHAPE_NULL, AT(limit) },
};

#undef AT
#undef THERE

static const struct shape view_shape = SHAPE(struct pool_view, view_fields);

static const struct shape_field views_fields[] = {
	{ .kind = SHAPE_LIST,
	  SHAPE_AT(struct pool_views, at),
	  SHAPE_COUNT(struct pool_views, count),
	  .of = &view_shape },
};

const struct shape pool_views_shape = {
	.bytes = sizeof(struct pool_views),
	.fields = views_fields,
	.count = 1,
	.form = SHAPE_BARE,
};

void pool_views_done(struct pool_views *v)
{
	shape_done(&pool_views_shape, v);
}

/* --- room */

static bool is_in(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(path, folder, n) &&
	       (path[n] == '/' || (n > 0 && folder[n - 1] == '/'));
}

/* The innermost with a limit. */
static const struct pool *limited(const struct ini_list *pools,
				  const char *path)
{
	const struct pool *best = NULL;

	for (size_t i = 0; i < pools->count; i++) {
		const struct pool *p = pools->at[i];

		if (p->limit > 0 && is_in(path, p->path) &&
		    (!best || strlen(p->path) > strlen(best->path)))
			best = p;
	}
	return best;
}

/* What others take of the file system @dev, and of the pool @in, which may be
 * NULL. */
struct taken {
	dev_t dev;
	const struct pool *in;
	uint64_t fs, pool;
};

static void add_taken(struct taken *t, struct pool_needs of)
{
	for (size_t i = 0; i < of.count; i++) {
		AUTO_FREE char *folder = file_folder(of.at[i].path);
		struct stat st;

		if (folder && stat(folder, &st) == 0 && st.st_dev == t->dev)
			t->fs += of.at[i].bytes;
		if (t->in && is_in(of.at[i].path, t->in->path))
			t->pool += of.at[i].bytes;
	}
}

static int check_pool(const struct taken *t, const struct pool_need *need,
		      const char *own_name, struct error *e)
{
	uint64_t used;

	if (!t->in)
		return 0;
	used = used_in(t->in->path) + t->pool;
	if (used <= t->in->limit && need->bytes <= t->in->limit - used)
		return 0;
	return error_set(e, ENOSPC,
			 "the pool %s on %s may have %" PRIu64
			 " bytes, %" PRIu64
			 " are taken or promised, and %.200s "
			 "takes %" PRIu64,
			 t->in->name, own_name, t->in->limit, used, need->path,
			 need->bytes);
}

static int check_one(struct taken *t, const struct pool_need *need,
		     const char *folder, const char *own_name, struct error *e)
{
	struct statvfs fs;
	uint64_t left;

	if (statvfs(folder, &fs) < 0)
		return error_sys(e, "the folder %s on %s", folder, own_name);
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (t->fs <= left && need->bytes <= left - t->fs)
		return check_pool(t, need, own_name, e);
	if (t->fs == 0)
		return error_set(e, ENOSPC,
				 "%s has %" PRIu64 " bytes left in %s, and "
				 "%.200s takes %" PRIu64,
				 own_name, left, folder, need->path,
				 need->bytes);
	return error_set(e, ENOSPC,
			 "%s has %" PRIu64
			 " bytes left in %s, of which %" PRIu64
			 " are promised, and %.200s takes %" PRIu64,
			 own_name, left, folder, t->fs, need->path,
			 need->bytes);
}

int pools_check_room(const struct ini_list *pools, struct pool_needs need,
		     struct pool_needs promised, const char *own_name,
		     struct error *e)
{
	for (size_t i = 0; i < need.count; i++) {
		const struct pool_need *one = &need.at[i];
		AUTO_FREE char *folder = file_folder(one->path);
		struct taken t = { .in = limited(pools, one->path) };
		struct stat st;

		if (!folder || one->path[0] != '/')
			return error_set(e, EINVAL, "'%.200s' is no path",
					 one->path);
		if (stat(folder, &st) < 0)
			return error_sys(e, "the folder %s on %s", folder,
					 own_name);
		t.dev = st.st_dev;
		add_taken(&t, promised);
		add_taken(&t, (struct pool_needs){ need.at, i });
		if (check_one(&t, one, folder, own_name, e) < 0)
			return error_code(e);
	}
	return 0;
}
