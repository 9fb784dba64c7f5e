/* SPDX-License-Identifier: MIT */

/*
 * What one host tells another of a machine, so that the other can say whether
 * it could run there, and what it says: docs/wire.md, "Messages".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "base/words.h"

struct disk_description {
	char *path; /* or a URL; the only one that is always there */
	char *id;   /* names of a volume; NULL: none */
	int64_t inode;
	int64_t size;  /* bytes; -1: not known */
	int64_t lock;  /* byte of the file that is locked */
	char mark[64]; /* name of the file beside it; empty: none */
	char sum[40];  /* of what is only read; empty: none */
	bool has_inode, has_size, has_lock;
	bool read_only, firmware;
	bool network;  /* means the same on every host */
	bool near;     /* nobody can compare it */
	char copy[17]; /* job by which its content comes; empty: none */
};

struct file_description {
	char *path;
	int64_t size;
};

struct qemu_version {
	int major, minor, micro;
};

struct machine_description {
	char name[64];
	char uuid[40];         /* empty: from an older version */
	char *definition;      /* with what every version knows */
	char *full_definition; /* NULL: from an older version */
	char *cpu_flags;       /* NULL: without KVM */
	char type[128];        /* the machine type, not an alias */
	struct qemu_version qemu;
	bool kvm;
	bool has_disks; /* an older version does not list them */
	uint64_t memory_bytes;
	/* How the source's QEMU has it: so much in huge pages, or none of the
	 * transparent ones for certain; an older version does not say. */
	uint64_t huge_bytes;
	bool small_pages;
	struct file_description *files;
	size_t n_files;
	struct disk_description *disks;
	size_t n_disks;
	struct words devices, blockers, capabilities;
};

extern const struct shape machine_description_shape;
extern const struct shape disk_description_shape;

enum severity { SEVERITY_OK, SEVERITY_WARNING, SEVERITY_ERROR, SEVERITIES };

struct finding {
	char *text;
	enum severity severity;
};

struct findings {
	struct finding *at;
	size_t count;
};

extern const struct shape finding_shape;

/* Without memory it is left out, but for an error, which ends the program
 * rather than be lost. */
void findings_add(struct findings *f, enum severity severity, const char *fmt,
		  ...) __attribute__((format(printf, 3, 4)));
void findings_done(struct findings *f);
