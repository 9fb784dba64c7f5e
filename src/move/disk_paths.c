/* SPDX-License-Identifier: MIT */
#include "move/disk_paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/words.h"
#include "qemu/definition.h"
#include "wire/description.h"

/* Length of the name, which stands before a '='; 0: there is none. */
static size_t name_length(const char *line)
{
	const char *is = strchr(line, '=');

	return is ? (size_t)(is - line) : 0;
}

const char *disk_paths_find(const struct words *asked, const char *name)
{
	for (size_t i = 0; asked && i < asked->count; i++) {
		size_t n = name_length(asked->at[i]);

		if (n == strlen(name) && !strncmp(asked->at[i], name, n))
			return asked->at[i] + n + 1;
	}
	return NULL;
}

void disk_paths_pool(char ret[static DISK_POOL_CAP], const char *where)
{
	size_t n = strlen(where);

	ret[0] = '\0';
	if (n < 2 || n > DISK_POOL_CAP || where[0] == '/' ||
	    strcspn(where, ":/,\n") != n - 1 || where[n - 1] != ':')
		return;
	memcpy(ret, where, n - 1);
	ret[n - 1] = '\0';
}

char *disk_paths_make(const char *where, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t n = strlen(where);
	char *made;

	if (n == 0 || where[n - 1] != '/')
		return strdup(where);
	return asprintf(&made, "%s%s", where, slash ? slash + 1 : path) < 0
		       ? NULL
		       : made;
}

/* As a definition can have it. */
static int check_path(const char *name, const char *path, struct error *e)
{
	char pool[DISK_POOL_CAP];

	disk_paths_pool(pool, path);
	if (pool[0])
		return 0;
	if (path[0] == '/' && !path[strcspn(path, ",\n")] &&
	    !strstr(path, "${"))
		return 0;
	return error_set(e, EINVAL,
			 "disk %s cannot go to '%.200s': write a path that "
			 "starts with '/', without ',' and '${', or POOL:",
			 name, path);
}

static int check_one(const struct words *asked, const char *line,
		     struct error *e)
{
	size_t n = name_length(line);
	char name[DISK_NAME_CAP];

	if (n == 0 || n >= sizeof(name))
		return error_set(e, EINVAL,
				 "'%.200s' says of no disk where it goes: "
				 "write NAME=PATH or NAME=POOL:, with the name "
				 "that the "
				 "definition has for it",
				 line);
	memcpy(name, line, n);
	name[n] = '\0';
	if (disk_paths_find(asked, name) != line + n + 1)
		return error_set(e, EINVAL,
				 "disk %s has two paths to go to: name one",
				 name);
	return check_path(name, line + n + 1, e);
}

int disk_paths_check(const struct words *asked, struct error *e)
{
	for (size_t i = 0; i < asked->count; i++)
		if (check_one(asked, asked->at[i], e) < 0)
			return error_code(e);
	return 0;
}

/* Takes @text over. */
static int replace(char **at, char *text, struct error *e)
{
	if (!text)
		return error_set(e, ENOMEM, "no memory for a definition");
	free(*at);
	*at = text;
	return 0;
}

static int set_defined(struct definition *d, const char *from, const char *to,
		       struct error *e)
{
	for (size_t i = 0; i < d->disks.count; i++)
		if (!strcmp(d->disks.at[i].path, from))
			return replace(&d->disks.at[i].path, strdup(to), e);
	return error_set(e, EINVAL,
			 "%.200s has no name in the definition, and keeps its "
			 "path",
			 from);
}

int disk_paths_set(struct machine_description *m, const char *from,
		   const char *to, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };

	for (size_t i = 0; i < m->n_disks; i++)
		if (!strcmp(m->disks[i].path, to))
			return error_set(e, EINVAL,
					 "%.200s is another disk of the "
					 "machine: it cannot go there",
					 to);
	if (definition_parse(&d, "definition", m->full_definition, e) < 0 ||
	    set_defined(&d, from, to, e) < 0 ||
	    replace(&m->definition, definition_text_for_peers(&d), e) < 0 ||
	    replace(&m->full_definition, definition_text(&d), e) < 0)
		return error_code(e);
	for (size_t i = 0; i < m->n_disks; i++)
		if (!strcmp(m->disks[i].path, from))
			return replace(&m->disks[i].path, strdup(to), e);
	return 0;
}
