/* SPDX-License-Identifier: MIT */

/*
 * What a machine's user may do with a file: an entry of its own in the file's
 * access control list (acl(5)); where the file system has none, its group.
 * The number says whose an entry is (qemu/confine.h), and taking away what is
 * not there is no error.  qemu/granted.h keeps what was given.
 *
 * Folders above a file are not touched.
 */
#pragma once

#include <stdbool.h>

struct confinement;
struct error;

enum grant_use { GRANT_READ = 4, GRANT_WRITE = 6 };

/* So that the machine may open the image at @path; nothing where it may
 * already.  -EEXIST when one of both writes it and another machine has it,
 * -EPERM and others when it cannot be given. */
int grant_file(const char *path, enum grant_use use,
	       const struct confinement *c, struct error *e);

/* Would that change anything?  1, 0; negative as above. */
int grant_is_needed(const char *path, enum grant_use use,
		    const struct confinement *c, struct error *e);

/* Nothing is of this machine's any more. */
int grant_withdraw(const char *path, const struct confinement *c,
		   struct error *e);

/* Why the machine cannot open @path though it was granted: a folder above that
 * it may not pass, in a sentence. */
void grant_explain(const char *path, const struct confinement *c,
		   struct error *e);
