/* SPDX-License-Identifier: MIT */

/*
 * A second QEMU of the same definition on the same host, while the first one
 * runs the guest: what may the definition name, so that neither takes anything
 * from the other?
 */
#pragma once

struct definition;
struct error;

/* -EPERM, with the word that is to blame and what to do: memory that is one
 * file for both, or a socket or a file that the second QEMU would make anew.
 * @run_dir, ${dir}, is the second one's folder: what lies in it is its own. */
int twice_check(const struct definition *d, const char *run_dir,
		struct error *e);
