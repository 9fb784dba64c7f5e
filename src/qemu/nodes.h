/* SPDX-License-Identifier: MIT */

/*
 * The block nodes that a QEMU has: what it has opened, and what stands on that.
 * Fields as in QEMU's qapi/block-core.json, BlockDeviceInfo.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct error;
struct qmp;

/* Each is NULL where QEMU does not say. */
struct block_node {
	char *name, *driver;
	char *file;    /* as QEMU shows it: a path, a URL, "json:{...}" */
	char *path;    /* of a local one: that, without QEMU's ways to say it */
	char *backing; /* the file of the one below it */
	bool read_only;
	bool has_parts; /* names files of its own: extents, a data file */
};

enum { BLOCK_NODES_MAX = 1024 };

struct block_nodes {
	struct block_node *at;
	size_t count;
};

/* @ret is given back with nodes_done(). */
int nodes_list(struct qmp *q, struct block_nodes *ret, struct error *e);
void nodes_done(struct block_nodes *n);
