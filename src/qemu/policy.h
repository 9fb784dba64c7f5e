/* SPDX-License-Identifier: MIT */

/*
 * What a machine's definition may name that comes from a peer: a list of what
 * is allowed, over all of QEMU's options, of backends, devices and of their
 * properties.  What is not in a list is refused, so what a later QEMU brings
 * is refused until somebody has looked at it.  docs/policy.md has the classes
 * and how to add to them.
 *
 * Nothing is opened or started here; where a path leads is asked of
 * real_path(), how an image begins of read_head().  Any thread may call these.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/words.h"
#include "qemu/policy_class.h"

struct definition;
struct error;
struct ini_list;

struct policy {
	const struct words *programs; /* QEMUs that may be started */
	/* Absolute, without ".." and doubled slashes. */
	const struct words *image_directories;
	const char *run_dir; /* the machine's own folder, ${dir} */
	/* Of struct bridge, those that cards may join; NULL: none. */
	const struct ini_list *bridges;
	/* Where @path leads once links are followed, into @ret: 0 or a
	 * negative errno.  NULL: what is written is taken for true. */
	int (*real_path)(void *arg, const char *path, char *ret, size_t cap);
	/* How the image at @path begins, into @buf: its length, at most @cap,
	 * or a negative errno, -ENOENT where it is still to be made.  NULL:
	 * images are not looked into. */
	int (*read_head)(void *arg, const char *path, void *buf, size_t cap);
	void *arg;
};

/* A sentence for each word that is to blame is added to @ret_blame; none:
 * allowed.  Below zero when it could not be looked at, which is no leave. */
int policy_check(const struct policy *p, const struct definition *d,
		 struct words *ret_blame, struct error *e);

/* Likewise of a file that is only looked at: an image, or QEMU's own. */
int policy_check_file(const struct policy *p, const char *path,
		      struct words *ret_blame, struct error *e);

/* Likewise of a file that is written. */
int policy_check_image(const struct policy *p, const char *path,
		       struct words *ret_blame, struct error *e);

/* The last word is the kernel's: what has the QEMU open that was started from
 * a definition that is allowed?  A link that was changed after policy_check()
 * leads it elsewhere.  -EPERM, with the file. */
int policy_check_opened(const struct policy *p, pid_t pid, struct error *e);

/* realpath(3), also for a file that is still to be made: its folder is
 * resolved then. */
int policy_real_path(void *unused, const char *path, char *ret, size_t cap);

int policy_read_head(void *unused, const char *path, void *buf, size_t cap);

/* The image below that at @path, where it names one that is a file. */
bool policy_backing(const char *path, char *ret, size_t cap);

/* Of an option, without its dashes. */
enum policy_class policy_class_of(const char *option);
bool policy_takes_value(const char *option);

/* Is a device, an object, ... allowed by its name?  @option is "device",
 * "object", "chardev", "netdev", "audiodev", "tpmdev". */
enum policy_class policy_class_of_kind(const char *option, const char *kind);
