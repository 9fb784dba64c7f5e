/* SPDX-License-Identifier: MIT */

/*
 * Whose an image is.  A machine that comes from a peer may name any file in the
 * folders for images; the images of this host's own machines lie there as well,
 * and those of a machine that is stopped nobody holds.  So what one machine
 * writes is no other's, but by the word of this host's administrator, who may
 * let two of his machines take turns.  His word is what a definition of his
 * says, not what stands in an image.
 *
 * A file that both only read may be anybody's.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct definition;
struct error;
struct registry;

struct file_use {
	dev_t dev;
	ino_t ino;
	bool write;
};

bool belongings_clash(const struct file_use *one, const struct file_use *other);

/* -EPERM with the file and the machine whose it is.  @own: this host's
 * administrator wrote the definition. */
int belongings_check(struct registry *r, const struct definition *d,
		     const char *run_dir, bool own, struct error *e);
