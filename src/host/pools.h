/* SPDX-License-Identifier: MIT */

/*
 * Where images lie on this host: the folders of image-directories, and those
 * that a section [pool NAME] of drover.conf(5) gives a name and a limit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ini.h"
#include "base/words.h"

struct error;
struct shape;

/* A section [pool NAME]. */
struct pool {
	char name[INI_NAME_CAP];
	char *path;
	uint64_t limit; /* bytes that its files may take; 0: any */
};

extern const struct ini_section pool_section;

/* Those of @directories, then those of @pools, a list of struct pool. */
int pools_folders(struct words *ret, const struct words *directories,
		  const struct ini_list *pools, struct error *e);

/* Of the pool @name, NULL: there is none, and @e says which there are. */
const char *pools_folder(const struct ini_list *pools, const char *name,
			 const char *own_name, struct error *e);

/* --- for who looks */

struct pool_view {
	char name[INI_NAME_CAP]; /* empty: of image-directories, without one */
	char *path;
	bool there;          /* what follows is known */
	uint64_t size, free; /* of its file system */
	uint64_t used;       /* by the files in it */
	uint64_t limit;      /* 0: none */
};

struct pool_views {
	struct pool_view *at;
	size_t count;
};

extern const struct shape pool_views_shape;

void pool_views_done(struct pool_views *v);
int pools_look(struct pool_views *ret, const struct words *directories,
	       const struct ini_list *pools, struct error *e);

/* --- for a copy that comes */

struct pool_need {
	const char *path; /* of the file */
	uint64_t bytes;   /* that are still to come */
};

struct pool_needs {
	const struct pool_need *at;
	size_t count;
};

/* Is there room for all of @need, beside what is @promised to others?  -ENOSPC
 * with the folder, what is left there, and what takes it. */
int pools_check_room(const struct ini_list *pools, struct pool_needs need,
		     struct pool_needs promised, const char *own_name,
		     struct error *e);
