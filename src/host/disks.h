/* SPDX-License-Identifier: MIT */

/* The disks of a machine, for who looks.  A copy, given back with
 * disk_views_done(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"

struct disk_view {
	char *name; /* as the definition calls it, or the device's */
	char *path; /* or a URL */
	char *format;
	char storage[8]; /* "shared", "local"; "": nobody says */
	bool running;    /* what follows is of its QEMU */
	bool read_only;
	uint64_t size, allocated; /* bytes */
	unsigned snapshots;       /* inside the image */
	struct words chain;       /* images below it, the nearest first */
};

struct disk_views {
	struct disk_view *at;
	size_t count;
};

void disk_views_done(struct disk_views *v);

struct error;
struct host;
struct message;
struct session;

/* The answer to a peer's "pool". */
int pool_answer(struct host *h, struct session *s,
		const struct message *request, struct message *ret,
		struct error *e);
