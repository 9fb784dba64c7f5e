/* SPDX-License-Identifier: MIT */

/*
 * A control group for each QEMU, so that its memory and processors are counted
 * for themselves, and a kernel without memory ends one guest and not this
 * service: a directory "drover/NAME" in the hierarchy of version 2, where
 * systemd does not rule it.
 *
 * Whoever has no such hierarchy, or may not write there, does without: that is
 * no error.
 */
#pragma once

/* Makes the group of the QEMU in @run_dir; a descriptor through which a process
 * enters it ("0"), -1 where there are none. */
int cgroup_make(const char *run_dir);
/* Its QEMU has ended: whatever that has started goes as well, and is gone when
 * this returns, or in a second. */
void cgroup_end(const char *run_dir);
/* After that. */
void cgroup_remove(const char *run_dir);
