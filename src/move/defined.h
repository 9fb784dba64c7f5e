/* SPDX-License-Identifier: MIT */

/*
 * Has a QEMU open what its definition names?  What came since its start, a
 * snapshot or another medium, is in no definition: the QEMU that the guest goes
 * to would open what was there before, and the guest lose what it has written.
 */
#pragma once

struct block_nodes;
struct error;
struct named_files;
struct words;

/* A sentence in @blockers for each file that is not named so.  @directory is
 * where QEMU was started, @run_dir the machine's own folder, which is not
 * looked at. */
int defined_check(const struct block_nodes *nodes,
		  const struct named_files *named, const char *directory,
		  const char *run_dir, struct words *blockers, struct error *e);
