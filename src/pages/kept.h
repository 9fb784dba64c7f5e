/* SPDX-License-Identifier: MIT */

/*
 * What a machine left behind on this host when it moved away: its memory, as a
 * file that QEMU no longer has, or written to a disk.
 *
 *     STATE/copies/UUID.copy
 *     head: whose, blocks, seed, sum of the head and of all sums
 *     sums: 8 bytes a page, 0 = zeros (there is no data for it)
 *     data: the pages, each at its place; holes between
 *
 * Nothing in here is believed: a page of the disk counts only while it has the
 * sum that was written with it, and whoever takes a page compares it with what
 * the source of the move says that it is.
 *
 * Threads: kept_page(), kept_sums() and kept_set_wrong() may be called by many
 * at once; everything else by one, before or after that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/uuid.h"

struct error;
struct guest_memory;
struct kept;

enum { KEPT_BLOCKS_MAX = 64, KEPT_NAME_CAP = 64 };

/* Whose it is. */
struct kept_of {
	char uuid[UUID_CAP];
	char machine[KEPT_NAME_CAP];
	char peer[KEPT_NAME_CAP]; /* where it went */
	uint64_t since_us;        /* 1970 */
};

/* Takes @m over, also by a failure.  -ENODATA where none of it is a file. */
int kept_of_memory(struct kept **ret, struct guest_memory *m,
		   const struct kept_of *of, struct error *e);
/* Of the disk.  -EBADMSG: it is damaged, or not whole. */
int kept_open(struct kept **ret, const char *path, struct error *e);
/* @k, which is in memory, into @folder, for its owner alone; the file is whole
 * or not there.  -EFBIG when its pages take more than @most bytes. */
int kept_write(const struct kept *k, const char *folder, uint64_t most,
	       struct error *e);
/* Where that is; @cap as of a path. */
void kept_path(char *buf, unsigned long cap, const char *folder,
	       const char *uuid);
void kept_free(struct kept *k); /* NULL is fine */

const struct kept_of *kept_whose(const struct kept *k);
bool kept_is_on_disk(const struct kept *k);
uint64_t kept_bytes(const struct kept *k); /* that it takes */
/* Pages whose sum was not that of when they were written. */
uint64_t kept_changed(const struct kept *k);

uint64_t kept_seed(const struct kept *k);
/* Sums, with that seed, of what @count pages of block @name are now, 0 for
 * zeros and for what has changed.  false: there is no such block, or it is
 * shorter. */
bool kept_sums(struct kept *k, const char *name, uint64_t first, unsigned count,
	       uint64_t *ret);
/* The 4096 bytes of a page; false: there is none that could be taken. */
bool kept_page(struct kept *k, const char *name, uint64_t page, uint8_t *ret);
/* A page was not what kept_sums() had said: it is of no use any more. */
void kept_set_wrong(struct kept *k);
bool kept_is_wrong(const struct kept *k);
