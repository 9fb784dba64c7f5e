/* SPDX-License-Identifier: MIT */

/*
 * The files that a definition has QEMU open: images, with those below them, and
 * what it only reads.  Names of QEMU's own data, protocols and what QEMU makes
 * itself are left out, as is what lies in the machine's own folder.
 */
#pragma once

#include "base/words.h"

struct definition;
struct error;

struct named_files {
	struct words writes, reads; /* absolute paths */
	/* Of these: those that no word of the definition names, but the header
	 * of an image, which a QEMU may have written. */
	struct words below;
};

int files_named(struct named_files *ret, const struct definition *d,
		const char *run_dir, struct error *e);
void files_done(struct named_files *f);
