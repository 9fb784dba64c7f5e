/* SPDX-License-Identifier: MIT */

/*
 * Where disks that go with a machine lie on the other host: what the user asks
 * for, "NAME=PATH", by the name that the definition has for the disk.  A path
 * that ends with '/' is that of a folder, in which the file keeps its name, and
 * "NAME=POOL:" is the folder that the other host knows by that name.  A disk of
 * which nothing is asked keeps its path.
 */
#pragma once

#include <stddef.h>

struct error;
struct machine_description;
struct words;

enum { DISK_POOL_CAP = 64 }; /* a pool's name, terminated */

/* Each of @asked is one, and none is of the same disk as another. */
int disk_paths_check(const struct words *asked, struct error *e);
/* What is asked for the disk @name; NULL: nothing, also where @asked is. */
const char *disk_paths_find(const struct words *asked, const char *name);
/* The pool that is named in @where; empty: it is a path. */
void disk_paths_pool(char ret[static DISK_POOL_CAP], const char *where);
/* What @where, a path, makes of the file @path; on the heap, NULL: no memory.
 */
char *disk_paths_make(const char *where, const char *path);
/* The disk of @m at @from is at @to there. */
int disk_paths_set(struct machine_description *m, const char *from,
		   const char *to, struct error *e);
