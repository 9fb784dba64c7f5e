/* SPDX-License-Identifier: MIT */

/*
 * Disks that went with their machine to another host: the source keeps its
 * files, as PATH.old-UUID, until somebody removes them (docs/disks.md).
 *
 * STATE/old-disks/UUID.json names those of one machine.  What an entry means is
 * the file as it was left: one that was written since is somebody's, and is
 * neither overwritten nor removed.
 *
 * Any thread may call.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"

struct error;
struct shape;
struct words;

enum old_disk_state {
	OLD_DISK_KEPT,
	OLD_DISK_CHANGED, /* another file, or one that was written since */
	OLD_DISK_GONE,
	OLD_DISK_REMOVED, /* just now */
	OLD_DISK_STATES,
};

struct old_disk {
	char machine[64], host[64]; /* where it went */
	char uuid[UUID_CAP];
	char *was, *path;
	uint64_t left_us;               /* clock_wall_us() */
	uint64_t inode, size, mtime_ns; /* as it was left */
	/* As it is now; of a list alone. */
	enum old_disk_state state;
	uint64_t allocated;
};

struct old_disks {
	struct old_disk *at;
	size_t count;
};

extern const struct shape old_disks_shape; /* for the API */

void old_disks_done(struct old_disks *all);

/* The machine @of (.machine, .host, .uuid) has left with the disks at @paths,
 * and no QEMU of it runs here: they get their names.  May be done again.  What
 * fails is logged: such a disk keeps its name. */
void old_disks_leave(const char *state_directory, const struct old_disk *of,
		     const struct words *paths);
int old_disks_list(const char *state_directory, struct old_disks *ret,
		   struct error *e);
/* Those of @machine, each with what became of it.  -ENOENT: there are none. */
int old_disks_remove(const char *state_directory, const char *machine,
		     struct old_disks *ret, struct error *e);
