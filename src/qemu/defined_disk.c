/* SPDX-License-Identifier: MIT */
#include "qemu/defined_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/words.h"
#include "qemu/options.h"

const char *const disk_bus_names[DISK_BUSES] = {
	[DISK_VIRTIO] = "virtio",
	[DISK_SCSI] = "scsi",
	[DISK_SATA] = "sata",
	[DISK_NONE] = "none",
};

const char *const disk_format_names[DISK_FORMATS] = {
	[DISK_RAW] = "raw",
	[DISK_QCOW2] = "qcow2",
};

const char *const disk_storage_names[DISK_STORAGES] = {
	[DISK_AUTO] = "",
	[DISK_ON_ALL] = "shared",
	[DISK_LOCAL] = "local",
};

static int take_name(char ret[DISK_NAME_CAP], const char *name, struct error *e)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	if (!*name || strlen(name) >= DISK_NAME_CAP ||
	    name[strspn(name, letters)])
		return error_set(e, EINVAL,
				 "'%.80s' is no name of a disk: use letters, "
				 "digits, '-', '_' and '.', at most %d",
				 name, DISK_NAME_CAP - 1);
	snprintf(ret, DISK_NAME_CAP, "%s", name);
	return 0;
}

/* The number of @value among @names. */
static int take_word(const char *key, const char *value,
		     const char *const *names, int count, struct error *e)
{
	char all[80] = "";

	for (int i = 0; i < count; i++) {
		size_t n = strlen(all);

		if (names[i][0] && !strcmp(names[i], value))
			return i;
		if (names[i][0])
			snprintf(all + n, sizeof(all) - n, "%s%s",
				 n ? ", " : "", names[i]);
	}
	return error_set(e, EINVAL, "%s=%.40s: write one of %s", key, value,
			 all);
}

static int take_path(struct definition_disk *d, const char *path,
		     struct error *e)
{
	if (text_check_path("path", path, e) < 0)
		return error_code(e);
	if (strstr(path, "${"))
		return error_set(e, EINVAL,
				 "'%.200s': nothing is filled in for ${ in the "
				 "path of a disk",
				 path);
	free(d->path);
	d->path = strdup(path);
	return d->path ? 0 : error_set(e, ENOMEM, "no memory for a definition");
}

static int take_property(struct definition_disk *d, char *pair, struct error *e)
{
	char *value = strchr(pair, '=');
	int r = 0;

	if (value)
		*value++ = '\0';
	if (value && !strcmp(pair, "path"))
		return take_path(d, value, e);
	if (value && !strcmp(pair, "format")) {
		r = take_word(pair, value, disk_format_names, DISK_FORMATS, e);
		d->format = (enum disk_format)r;
	} else if (value && !strcmp(pair, "bus")) {
		r = take_word(pair, value, disk_bus_names, DISK_BUSES, e);
		d->bus = (enum disk_bus)r;
	} else if (value && !strcmp(pair, "storage")) {
		r = take_word(pair, value, disk_storage_names, DISK_STORAGES,
			      e);
		d->storage = (enum disk_storage)r;
	} else {
		return error_set(e, EINVAL,
				 "'%.40s': a disk has path=, format=, bus= and "
				 "storage=",
				 pair);
	}
	return r < 0 ? r : 0;
}

/* What has no format was raw where QEMU guessed it, until a guest wrote the
 * first bytes of another one: it has to be said. */
static int parse(struct definition_disk *d, const char *line, struct error *e)
{
	AUTO_FREE char *copy = strdup(line);
	char *save = NULL, *rest = copy ? strchr(copy, ' ') : NULL;
	bool formatted = false;

	if (!copy)
		return error_set(e, ENOMEM, "no memory for a definition");
	if (!rest || rest == copy)
		return error_set(e, EINVAL,
				 "write disk NAME = path=/srv/a.raw,"
				 "format=raw");
	*rest++ = '\0';
	if (take_name(d->name, copy, e) < 0)
		return error_code(e);
	for (char *pair = strtok_r(rest, ",", &save); pair;
	     pair = strtok_r(NULL, ",", &save)) {
		formatted |= !strncmp(pair, "format=", 7);
		if (take_property(d, pair, e) < 0)
			return error_code(e);
	}
	if (d->path && formatted)
		return 0;
	return error_set(e, EINVAL,
			 "disk %s has no %s: write path=/srv/a.raw,format=raw",
			 d->name, d->path ? "format" : "path");
}

static int check_new(const struct definition_disks *d,
		     const struct definition_disk *fresh, struct error *e)
{
	for (size_t i = 0; i < d->count; i++)
		if (!strcmp(d->at[i].name, fresh->name) ||
		    !strcmp(d->at[i].path, fresh->path))
			return error_set(e, EINVAL,
					 "disk %s (%.200s) is there twice",
					 fresh->name, fresh->path);
	if (d->count == DEFINED_DISKS_MAX)
		return error_set(e, EINVAL, "more than %d disks",
				 DEFINED_DISKS_MAX);
	return 0;
}

int defined_disks_add(struct definition_disks *d, const char *line,
		      struct error *e)
{
	struct definition_disk fresh = { .path = NULL }, *more = NULL;

	if (parse(&fresh, line, e) == 0 && check_new(d, &fresh, e) == 0) {
		more = reallocarray(d->at, d->count + 1, sizeof(*more));
		if (!more)
			error_set(e, ENOMEM, "no memory for a definition");
	}
	if (!more) {
		free(fresh.path);
		return error_code(e);
	}
	d->at = more;
	more[d->count++] = fresh;
	return 0;
}

void defined_disks_done(struct definition_disks *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->at[i].path);
	free(d->at);
	*d = (struct definition_disks){ NULL, 0 };
}

const struct definition_disk *defined_disks_find(
	const struct definition_disks *d, const char *path)
{
	for (size_t i = 0; i < d->count; i++)
		if (!strcmp(d->at[i].path, path))
			return &d->at[i];
	return NULL;
}

void defined_disks_write(FILE *out, const struct definition_disks *d,
			 bool start)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct definition_disk *disk = &d->at[i];
		bool says = disk->storage != DISK_AUTO && !start;

		fprintf(out, "disk %s = path=%s,format=%s,bus=%s%s%s\n",
			disk->name, disk->path, disk_format_names[disk->format],
			disk_bus_names[disk->bus], says ? ",storage=" : "",
			says ? disk_storage_names[disk->storage] : "");
	}
}

static int add_node(struct words *w, const struct definition_disk *d,
		    struct error *e)
{
	AUTO_FREE char *path = option_escape(d->path);

	if (!path)
		return error_set(e, ENOMEM, "no memory for a command line");
	if (words_add(w, "-blockdev", e) < 0)
		return error_code(e);
	return words_addf(w, e,
			  "driver=%s,node-name=disk-%s,discard=unmap,"
			  "file.driver=file,file.filename=%s,"
			  "file.discard=unmap",
			  disk_format_names[d->format], d->name, path);
}

static int add_device(struct words *w, const struct definition_disk *d,
		      struct error *e)
{
	static const char *const models[DISK_BUSES] = {
		[DISK_VIRTIO] = "virtio-blk-pci",
		[DISK_SCSI] = "scsi-hd,bus=disk-scsi.0",
		[DISK_SATA] = "ide-hd",
	};

	if (!models[d->bus])
		return 0;
	if (words_add(w, "-device", e) < 0)
		return error_code(e);
	return words_addf(w, e, "%s,drive=disk-%s,id=disk-%s", models[d->bus],
			  d->name, d->name);
}

int defined_disks_argv(struct words *w, const struct definition_disks *d,
		       struct error *e)
{
	bool scsi = false;

	for (size_t i = 0; i < d->count; i++) {
		const struct definition_disk *disk = &d->at[i];

		if (disk->bus == DISK_SCSI && !scsi &&
		    (words_add(w, "-device", e) < 0 ||
		     words_add(w, "virtio-scsi-pci,id=disk-scsi", e) < 0))
			return error_code(e);
		scsi |= disk->bus == DISK_SCSI;
		if (add_node(w, disk, e) < 0 || add_device(w, disk, e) < 0)
			return error_code(e);
	}
	return 0;
}
