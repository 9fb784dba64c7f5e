/* SPDX-License-Identifier: MIT */

/*
 * What the kernel calls a volume (a block device), the same on every host that
 * has it: the names of what LVM or MD made, and of the disks below that.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { VOLUME_ID_MAX = 1024 };

struct volume_id {
	char text[VOLUME_ID_MAX]; /* one word for each name */
	/* No two disks of the world have one of these names: NAA, EUI-64 and
	 * NGUID of SPC-5 and NVMe, or a UUID that NVMe's controller gives. What
	 * is on a disk is copied with it: the UUID of a volume group or an
	 * array is the same on a clone. */
	bool unique;
};

/* Looks at FOLDER/MAJOR:MINOR, as of /sys/dev/block.  False: it has no name. */
bool volume_read_id(struct volume_id *ret, const char *folder, dev_t device);
