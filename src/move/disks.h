/* SPDX-License-Identifier: MIT */

/*
 * Are a machine's disks the same ones at the destination?
 *
 * The source lists every image that its QEMU has open and marks it: a lock on a
 * byte far behind its end (fcntl(2), F_OFD_SETLK), at a random place, and a
 * file of a random name beside it.  Who sees the lock through its own path has
 * the same file; who has the file beside it and the same inode does too.  Block
 * devices are told by their names (move/volume.h), images over the network by
 * their URL, and what is only read by its content.
 *
 * docs/wire.md, "Messages", has the form of the list.
 */
#pragma once

#include <stdbool.h>

struct definition;
struct disk_marks;
struct error;
struct findings;
struct machine_description;
struct move_host;
struct move_machine;
struct qmp;

/* What the destination knows of one disk. */
struct disk_facts {
	bool copied;  /* its content comes by a session for disks */
	bool network; /* at a URL that means the same on every host */
	bool absent;  /* nothing is at that path here */
	bool hidden;  /* this host may not look */
	bool lock_seen;
	bool marked, mark_seen, same_inode;
	bool has_ids, same_id; /* of block devices */
	bool unique_id;        /* no other disk has that one */
	bool read_only;
	bool firmware; /* of flash memory */
	bool same_size;
	bool has_sums, same_sum; /* of all content */
	bool said_shared;        /* by the definition */
};

enum disk_outcome {
	DISK_SHARED,  /* proved */
	DISK_EQUAL,   /* only read, and the same content */
	DISK_FLASH,   /* only fills flash memory, which travels itself */
	DISK_COPIED,  /* comes with the machine */
	DISK_TRUSTED, /* nothing is proved; the definition says so */
	DISK_MISSING,
	DISK_OTHER,   /* another one: the guest would lose data */
	DISK_UNKNOWN, /* cannot be told */
};

enum disk_outcome disk_judge(const struct disk_facts *f);

/* The images that @q has open, each marked until disks_unmark(), into @to.
 * What cannot be moved at all goes into its blockers, as sentences.  @q and @d
 * are of @m: of a QEMU that is another user only its own files are looked at,
 * those that @d names, or those that the kernel says it has open
 * (qemu/image.h). */
int disks_describe(struct qmp *q, const struct definition *d,
		   const struct move_machine *m, struct machine_description *to,
		   struct disk_marks **ret_marks, struct error *e);
void disks_unmark(struct disk_marks *m); /* NULL is fine */

/* A finding for each of @m's disks: ok or error. */
void disks_check(const struct machine_description *m,
		 const struct definition *d, const struct move_host *host,
		 struct findings *findings);
/* Is @path one of them? */
bool disks_have(const struct machine_description *m, const char *path);
