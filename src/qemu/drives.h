/* SPDX-License-Identifier: MIT */

/*
 * The disks that a QEMU has, as its guest sees them: each with the image that
 * it stands on and what is below that.  Fields as in QEMU's
 * qapi/block-core.json, BlockInfo and ImageInfo.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"

struct error;
struct qmp;

/* Texts are NULL where QEMU does not say. */
struct drive {
	char *name; /* of the device or the drive, as somebody wrote it */
	char *node; /* the root: what a job is given */
	char *file; /* a path, a URL */
	char *format;
	bool read_only;
	bool filtered;            /* the root is a filter, and no format */
	uint64_t size, allocated; /* bytes; allocated 0: not known */
	unsigned snapshots;       /* inside the image */
	struct words chain;       /* files below it, the nearest first */
};

enum { DRIVES_MAX = 256 };

struct drives {
	struct drive *at;
	size_t count;
};

/* @ret is given back with drives_done().  A drive without a medium is none. */
int drives_list(struct qmp *q, struct drives *ret, struct error *e);
void drives_done(struct drives *d);

/* Of query-block's answer. */
int drives_read(const json_t *list, struct drives *ret, struct error *e);
