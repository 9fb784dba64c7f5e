/* SPDX-License-Identifier: MIT */
#include "move/defined.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/words.h"
#include "qemu/files.h"
#include "qemu/nodes.h"

static bool is_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is_among(const struct words *w, const char *path)
{
	struct stat st, one;

	if (words_have(w, path))
		return true;
	if (stat(path, &st) < 0)
		return false;
	for (size_t i = 0; i < w->count; i++)
		if (stat(w->at[i], &one) == 0 && is_same(&st, &one))
			return true;
	return false;
}

/* Images of several files name the others themselves. */
static bool have_parts(const struct block_nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->at[i].has_parts)
			return true;
	return false;
}

/* What stands below an image is what its header says. */
static bool is_below(const struct block_nodes *nodes,
		     const struct block_node *node)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->at[i].backing &&
		    !strcmp(nodes->at[i].backing, node->file))
			return true;
	return false;
}

static bool is_local(const struct block_node *node)
{
	return node->driver && node->file && node->path &&
	       text_listed("file host_device host_cdrom", node->driver) &&
	       strncmp(node->path, "/dev/fdset/", 11) != 0;
}

static bool lies_in(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(path, folder, n) && path[n] == '/';
}

int defined_check(const struct block_nodes *nodes,
		  const struct named_files *named, const char *directory,
		  const char *run_dir, struct words *blockers, struct error *e)
{
	bool parts = have_parts(nodes);

	for (size_t i = 0; i < nodes->count; i++) {
		const struct block_node *node = &nodes->at[i];
		AUTO_FREE char *path = NULL;
		bool rel, ro = node->read_only;

		if (!is_local(node) || lies_in(node->path, run_dir))
			continue;
		rel = node->path[0] != '/';
		if (asprintf(&path, "%s%s%s", rel ? directory : "",
			     rel ? "/" : "", node->path) < 0) {
			path = NULL;
			return error_set(e, ENOMEM, "no memory");
		}
		if (is_among(&named->writes, path) ||
		    (ro && is_among(&named->reads, path)) ||
		    (ro ? is_below(nodes, node) : parts))
			continue;
		if (words_addf(blockers, e,
			       "its guest %s %.200s, which its definition does "
			       "not name for that: a snapshot or a medium of "
			       "after its start, and another QEMU would open "
			       "what was there before.  Take the change back "
			       "(block-commit), or write it into the "
			       "definition and start the machine anew",
			       ro ? "reads" : "writes to", path) < 0)
			return error_code(e);
	}
	return 0;
}
