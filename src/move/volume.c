/* SPDX-License-Identifier: MIT */
#include "move/volume.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/scope.h"
#include "base/text.h"

enum { NAME_CAP = 192, DISKS_MAX = 64, WAYS_MAX = 1024 };

struct disks {
	char name[DISKS_MAX][NAME_CAP];
	size_t count;
	bool unknown; /* one has no name, or there are too many */
};

/* As the drivers of SCSI and NVMe write it. */
static bool is_unique(const char *name)
{
	return !strncmp(name, "naa.", 4) || !strncmp(name, "eui.", 4) ||
	       !strncmp(name, "uuid.", 5);
}

static bool read_first(char ret[NAME_CAP], const char *folder,
		       const char *const *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (text_read_line(ret, NAME_CAP, "%s/%s", folder, files[i]) &&
		    ret[0] && !strchr(ret, ' '))
			return true;
	return false;
}

/* A partition has that of its disk, and its number. */
static bool read_disk(char ret[NAME_CAP], const char *folder)
{
	static const char *const own[] = { "wwid", "device/wwid" };
	static const char *const parent[] = { "../wwid", "../device/wwid" };
	char number[16];
	size_t n;

	if (!text_read_line(number, sizeof(number), "%s/partition", folder))
		return read_first(ret, folder, own, ARRAY_SIZE(own));
	if (!read_first(ret, folder, parent, ARRAY_SIZE(parent)))
		return false;
	n = strlen(ret);
	snprintf(ret + n, NAME_CAP - n, "-part%s", number);
	return true;
}

static bool is_known(const struct disks *d, const char *name)
{
	for (size_t i = 0; i < d->count; i++)
		if (!strcmp(d->name[i], name))
			return true;
	return false;
}

static void add_disk(struct disks *d, const char *folder)
{
	char name[NAME_CAP];

	if (!read_disk(name, folder) ||
	    (d->count == DISKS_MAX && !is_known(d, name)))
		d->unknown = true;
	else if (!is_known(d, name))
		memcpy(d->name[d->count++], name, NAME_CAP);
}

/* Folders of what is below, each behind the one that stands on it. */
struct ways {
	char *at[WAYS_MAX];
	size_t count;
};

/* False: nothing is below. */
static bool add_slaves(struct ways *w, struct disks *d, const char *folder)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	AUTO_CLOSEDIR DIR *below = NULL;
	bool any = false;

	snprintf(path, sizeof(path), "%s/slaves", folder);
	below = opendir(path);
	while (below && (entry = readdir(below))) {
		if (entry->d_name[0] == '.')
			continue;
		any = true;
		if (w->count == WAYS_MAX || asprintf(&w->at[w->count], "%s/%s",
						     path, entry->d_name) < 0)
			d->unknown = true;
		else
			w->count++;
	}
	return any;
}

/* The disks that it stands on, each once, by however many ways. */
static void add_below(struct disks *d, const char *folder)
{
	struct ways w = { .count = 0 };

	if (!add_slaves(&w, d, folder))
		add_disk(d, folder);
	for (size_t i = 0; i < w.count; i++)
		if (!add_slaves(&w, d, w.at[i]))
			add_disk(d, w.at[i]);
	for (size_t i = 0; i < w.count; i++)
		free(w.at[i]);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void append(struct volume_id *v, bool *fits, const char *name)
{
	size_t n = strlen(v->text);

	*fits &= (size_t)snprintf(v->text + n, sizeof(v->text) - n, "%s%s",
				  n ? " " : "", name) < sizeof(v->text) - n;
}

/* Multipath's is that of the disk below, which one host may have without it. */
static bool read_made(char ret[NAME_CAP], const char *folder)
{
	static const char *const made[] = { "dm/uuid", "md/uuid" };

	return read_first(ret, folder, made, ARRAY_SIZE(made)) &&
	       strncmp(ret, "mpath-", 6) != 0;
}

bool volume_read_id(struct volume_id *ret, const char *folder, dev_t device)
{
	AUTO_FREE struct disks *d = calloc(1, sizeof(*d));
	char path[PATH_MAX], made[NAME_CAP];
	bool fits = true;

	*ret = (struct volume_id){ .unique = true };
	if (!d)
		return false;
	snprintf(path, sizeof(path), "%s/%u:%u", folder, major(device),
		 minor(device));
	add_below(d, path);
	qsort(d->name, d->count, NAME_CAP, compare_names);
	if (read_made(made, path))
		append(ret, &fits, made);
	for (size_t i = 0; i < d->count; i++) {
		append(ret, &fits, d->name[i]);
		ret->unique &= is_unique(d->name[i]);
	}
	ret->unique &= fits && d->count > 0 && !d->unknown;
	return fits && ret->text[0];
}
