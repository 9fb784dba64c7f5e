/* SPDX-License-Identifier: MIT */

/*
 * The disks of a machine that stand in its definition: the lines
 * "disk NAME = path=/srv/a.raw,format=raw,bus=virtio,storage=local".  They
 * become -blockdev and -device; what stands among the arguments instead goes on
 * as it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct error;
struct words;

enum {
	DISK_NAME_CAP = 24, /* names of block nodes have at most 31 */
	DEFINED_DISKS_MAX = 64,
};

/* On what it is put; of none only the block node is made, "disk-NAME", for a
 * -device of the arguments. */
enum disk_bus { DISK_VIRTIO, DISK_SCSI, DISK_SATA, DISK_NONE, DISK_BUSES };
enum disk_format { DISK_RAW, DISK_QCOW2, DISK_FORMATS };
/* Who has it; auto: that is found out. */
enum disk_storage { DISK_AUTO, DISK_ON_ALL, DISK_LOCAL, DISK_STORAGES };

extern const char *const disk_bus_names[DISK_BUSES];
extern const char *const disk_format_names[DISK_FORMATS];
extern const char *const disk_storage_names[DISK_STORAGES]; /* "" for auto */

struct definition_disk {
	char name[DISK_NAME_CAP];
	char *path;
	enum disk_format format;
	enum disk_bus bus;
	enum disk_storage storage;
};

struct definition_disks {
	struct definition_disk *at; /* NULL: there are none */
	size_t count;
};

/* Adds "NAME path=...". */
int defined_disks_add(struct definition_disks *d, const char *line,
		      struct error *e);
void defined_disks_done(struct definition_disks *d);
/* NULL: there is none. */
const struct definition_disk *defined_disks_find(
	const struct definition_disks *d, const char *path);

/* The keys of a definition; @start: just what changes how QEMU is started. */
void defined_disks_write(FILE *out, const struct definition_disks *d,
			 bool start);
/* QEMU's options. */
int defined_disks_argv(struct words *w, const struct definition_disks *d,
		       struct error *e);
