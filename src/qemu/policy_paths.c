/* SPDX-License-Identifier: MIT */

/* Where a path of a definition may lie.  A path with ".." is refused instead
 * of resolved: what it means depends on links. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/policy.h"
#include "qemu/policy_rules.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

/* What packages install for every QEMU to read. */
static const char *const data_directories[] = {
	"/usr/share/qemu", "/usr/share/seabios",  "/usr/share/OVMF",
	"/usr/share/ovmf", "/usr/share/qemu-efi", "/usr/share/AAVMF",
	"/usr/share/edk2", "/usr/lib/ipxe/qemu",  "/usr/share/ipxe",
};

/* Files of droverd's in the machine's folder. */
static const char reserved[] = "qmp.sock qemu.log incoming.sock migrate.sock";

/* @path without doubled slashes and dots into @out, which holds as much; NULL,
 * or what is wrong with it. */
static const char *normalise(char *out, const char *path)
{
	char *start = out;

	if (path[0] != '/')
		return "it is no path of a file: write it from / on";
	if (strlen(path) >= PATH_MAX)
		return "the path is too long";
	while (*path) {
		size_t n;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 2 && !strncmp(path, "..", 2))
			return "write the path without '..'";
		if (n > 0 && !(n == 1 && path[0] == '.')) {
			*out++ = '/';
			memcpy(out, path, n);
			out += n;
		}
		path += n;
	}
	*out = '\0';
	for (; *start; start++)
		if ((unsigned char)*start < 0x20 || *start == 0x7f)
			return "there is a control character in it";
	return NULL;
}

static bool is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	if (directory[0] != '/')
		return false;
	while (n > 0 && directory[n - 1] == '/')
		n--;
	return !strncmp(path, directory, n) && path[n] == '/' && path[n + 1];
}

static bool is_image(const struct policy *p, const char *path)
{
	const struct words *w = p->image_directories;

	for (size_t i = 0; w && i < w->count; i++)
		if (is_below(path, w->at[i]))
			return true;
	return false;
}

static bool is_below_real(const struct policy *p, const char *path,
			  const char *directory)
{
	char real[PATH_MAX];

	return is_below(path, directory) ||
	       (p->real_path(p->arg, directory, real, sizeof(real)) == 0 &&
		is_below(path, real));
}

/* Does @path, which leads to @real, stay in its image directory?  One below
 * /dev has links to device nodes that udev made there: /dev/vg0/web1 leads to
 * /dev/dm-3. */
static bool leads_below(const struct policy *p, const char *path,
			const char *real)
{
	const struct words *w = p->image_directories;

	for (size_t i = 0; i < w->count; i++)
		if (is_below_real(p, real, w->at[i]) ||
		    (is_below(path, w->at[i]) && is_below(w->at[i], "/dev") &&
		     is_below(real, "/dev")))
			return true;
	return false;
}

static bool is_data(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(data_directories); i++)
		if (is_below(path, data_directories[i]))
			return true;
	return false;
}

/* A plain name of one of QEMU's files: QEMU looks in its working directory
 * first, where it would find anything else. */
static bool is_data_name(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && name[0] != '.' && !name[strspn(name, letters)] &&
	       text_listed(".bin .rom .fd", end);
}

static bool is_own(const struct policy *p, const char *path)
{
	const char *name;

	if (!p->run_dir || !is_below(path, p->run_dir))
		return false;
	name = strrchr(path, '/') + 1;
	return path + strlen(p->run_dir) + 1 == name && name[0] != '.' &&
	       !name[strspn(name, letters)] && !text_listed(reserved, name);
}

static void list_directories(const struct policy *p, char *buf, size_t cap)
{
	const struct words *w = p->image_directories;
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; w && i < w->count && n < cap; i++)
		n += (size_t)snprintf(buf + n, cap - n, "%s%s", i ? ", " : "",
				      w->at[i]);
}

static void blame_place(struct policy_run *r, const char *words,
			const char *path, unsigned places)
{
	char directories[256];

	list_directories(r->policy, directories, sizeof(directories));
	if (places & PLACE_OWN)
		policy_blame(r, words,
			     "it is not a file of the machine's own: write "
			     "${dir}/NAME with a plain name, other than "
			     "those of Drover's: %s",
			     reserved);
	else if (is_data(path))
		policy_blame(r, words,
			     "it belongs to QEMU: add readonly=on where it "
			     "is a drive, or copy it to a folder for images");
	else
		policy_blame(r, words,
			     "it lies outside of the folders for images (%s): "
			     "move it there, or add its folder to "
			     "image-directories",
			     directories[0] ? directories : "there are none");
}

static bool check_link(struct policy_run *r, const char *words,
		       const char *path)
{
	const struct policy *p = r->policy;
	char real[PATH_MAX], shown[160];
	int code;

	if (!p->real_path)
		return true;
	code = p->real_path(p->arg, path, real, sizeof(real));
	if (code < 0) {
		policy_blame(r, words, "where it leads cannot be seen: %s",
			     strerror(-code));
		return false;
	}
	if (leads_below(p, path, real))
		return true;
	text_printable(shown, sizeof(shown), real, strlen(real));
	policy_blame(r, words,
		     "it leads to %s, which lies outside of the folders for "
		     "images: move that there",
		     shown);
	return false;
}

bool policy_path(struct policy_run *r, const char *words, const char *path,
		 unsigned places)
{
	AUTO_FREE char *plain = malloc(strlen(path) + 2);
	const char *wrong;

	if (!plain) {
		policy_no_memory(r);
		return false;
	}
	if ((places & PLACE_DATA) && is_data_name(path))
		return true;
	wrong = normalise(plain, path);
	if (wrong) {
		policy_blame(r, words, "%s", wrong);
		return false;
	}
	if (((places & PLACE_DATA) && is_data(plain)) ||
	    ((places & PLACE_OWN) && is_own(r->policy, plain)))
		return true;
	if ((places & PLACE_IMAGE) && is_image(r->policy, plain))
		return check_link(r, words, plain);
	blame_place(r, words, plain, places);
	return false;
}

bool policy_is_inside(const struct policy *p, const char *real)
{
	const struct words *w = p->image_directories;
	bool device = is_below(real, "/dev");

	for (size_t i = 0; w && i < w->count; i++)
		if (is_below_real(p, real, w->at[i]) ||
		    (device && is_below(w->at[i], "/dev")))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(data_directories); i++)
		if (is_below_real(p, real, data_directories[i]))
			return true;
	return is_below_real(p, real, p->run_dir);
}

int policy_real_path(void *unused, const char *path, char *ret, size_t cap)
{
	AUTO_FREE char *real = realpath(path, NULL), *folder = NULL;
	const char *name = strrchr(path, '/');
	int n;

	(void)unused;
	if (!real && errno != ENOENT)
		return -errno;
	if (!real) {
		char target[1];

		/* A link that leads to nothing is one all the same. */
		if (!name || readlink(path, target, sizeof(target)) >= 0)
			return -ENOENT;
		folder = strndup(path, name == path ? 1 : name - path);
		real = folder ? realpath(folder, NULL) : NULL;
		if (!real)
			return -errno;
		if (!strcmp(real, "/"))
			real[0] = '\0';
	} else {
		name = "";
	}
	n = snprintf(ret, cap, "%s%s", real, name);
	return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}
